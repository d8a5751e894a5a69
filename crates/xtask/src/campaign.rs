//! `cargo xtask campaign NAME`: what takes too long for every check. The last result of each is kept in tests/campaigns.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{shell, web};

/// Where the last result of each campaign is kept.
const RESULTS: &str = "tests/campaigns";

/// A long test.
#[derive(Debug)]
pub struct Campaign {
    name: &'static str,
    /// What it shows.
    pub about: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const ALL: &[Campaign] = &[
    Campaign {
        name: "device-check",
        about: "`clove devices --check` with every size, on a software GPU too",
        run: device_check,
    },
    Campaign {
        name: "gpu-tests",
        about: "the native tests, a GPU going through all that the CPU does: divisions of a batch, precisions, the check's sizes",
        run: gpu_tests,
    },
    Campaign {
        name: "lab-memory",
        about: "an engine's memory in Chromium over many scores and steps, and every lesson",
        run: lab_memory,
    },
];

/// A campaign and its arguments; `None` lists them all.
#[derive(Debug)]
pub struct Options(Option<(&'static Campaign, Vec<String>)>);

impl Options {
    /// Reads the arguments that follow `campaign`.
    ///
    /// # Errors
    /// For an unknown campaign; names those that exist.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let Some((name, args)) = args.split_first() else {
            return Ok(Self(None));
        };
        let found = ALL.iter().find(|campaign| campaign.name == name);
        let campaign = found.ok_or_else(|| {
            let known: Vec<_> = ALL.iter().map(|campaign| campaign.name).collect();
            format!("there is no campaign {name:?}, only {}", known.join(", "))
        })?;
        Ok(Self(Some((campaign, args.to_vec()))))
    }
}

/// Runs a campaign, or lists all with the first line of their last results.
///
/// # Errors
/// When it fails.
pub fn run(options: &Options) -> Result<()> {
    if let Some((campaign, args)) = &options.0 {
        return (campaign.run)(args);
    }
    list();
    Ok(())
}

/// Prints each campaign with the first line of its last result.
pub fn list() {
    for campaign in ALL {
        let file = Path::new(RESULTS).join(campaign.name).with_extension("txt");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let last = text.lines().next().unwrap_or("never run").to_owned();
        shell::say(format_args!(
            "  cargo xtask campaign {}: {}; {last}",
            campaign.name, campaign.about
        ));
    }
}

fn device_check(args: &[String]) -> Result<()> {
    let program = web::native_program()?;
    let mut check = Command::new(program);
    check.args(["devices", "--check", "--device", "gpu"]).args(args);
    let (text, took) = shell::transcript(&mut check)?;
    let head = format!(
        "{}: passed in {} s with {}",
        date()?,
        took.as_secs(),
        text.lines().next().unwrap_or_default()
    );
    keep("device-check", &format!("{head}\n{text}"))
}

fn gpu_tests(args: &[String]) -> Result<()> {
    let mut tests = shell::cargo();
    tests
        .args(["test", "--release", "--workspace", "--test", "all", "--test", "cli", "--"])
        .args([
            "check::",
            "gradient_cache::",
            "half_precision::",
            "kernels::",
            "lora::",
            "parity::",
            "train_devices::",
        ])
        .args(args)
        .env("CLOVE_THOROUGH", "1")
        .env("CLOVE_REQUIRE_GPU", "1");
    let (text, took) = shell::transcript(&mut tests)?;
    let head = format!("{}: passed in {} s", date()?, took.as_secs());
    keep("gpu-tests", &format!("{head}\n{text}"))
}

fn lab_memory(args: &[String]) -> Result<()> {
    let mut script = web::script("campaigns/lab-memory.mjs")?;
    let (text, took) = shell::transcript(script.args(args))?;
    let head = format!("{}: passed in {} s", date()?, took.as_secs());
    keep("lab-memory", &format!("{head}\n{text}"))
}

/// Keeps a result, for the next commit.
fn keep(name: &str, text: &str) -> Result<()> {
    fs::create_dir_all(RESULTS).context(RESULTS)?;
    let file = Path::new(RESULTS).join(name).with_extension("txt");
    fs::write(&file, text).with_context(|| file.display().to_string())
}

fn date() -> Result<String> {
    let date = shell::output(Command::new("date").arg("+%Y-%m-%d"));
    Ok(date.context("`date` failed")?.trim().to_owned())
}
