//! `cargo xtask campaign NAME`: tests that take too long for every check. tests/campaigns keeps their last results.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::{files, shell, web};

/// Where the last result of each campaign is kept.
const RESULTS: &str = "tests/campaigns";

/// A long test.
#[derive(Debug)]
pub struct Campaign {
    name: &'static str,
    /// What it shows.
    about: &'static str,
    command: fn() -> Result<Command>,
    /// Whether the heading of its result names the device, which is the first line that it prints.
    names_device: bool,
}

const ALL: &[Campaign] = &[
    Campaign {
        name: "device-check",
        about: "`clove devices --check` with every size, on a software GPU too",
        command: device_check,
        names_device: true,
    },
    Campaign {
        name: "gpu-tests",
        about: "the native tests with everything on a GPU that runs on the CPU: divided batches, precisions, all sizes",
        command: || Ok(gpu_tests()),
        names_device: false,
    },
    Campaign {
        name: "lab-memory",
        about: "an engine's memory in Chromium over many scores and steps, and every lesson",
        command: || web::script("campaigns/lab-memory.mjs"),
        names_device: false,
    },
    Campaign {
        name: "large-set",
        about: "memory and time of opening and resuming a run on 100 million entries; 20 GB of disk",
        command: large_set,
        names_device: false,
    },
];

/// The names of all campaigns.
pub fn names() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(ALL.iter().map(|campaign| campaign.name))
}

/// Runs a campaign and keeps its result for the next commit. Without a name, lists all with the first lines of their last results.
pub fn run(name: Option<&str>, args: &[String]) -> Result<()> {
    let Some(campaign) = ALL.iter().find(|campaign| Some(campaign.name) == name) else {
        list();
        return Ok(());
    };
    let mut command = (campaign.command)()?;
    let (text, took) = shell::transcript(command.args(args))?;
    let date = shell::output(Command::new("date").arg("+%Y-%m-%d")).context("`date` failed")?;
    let device =
        if campaign.names_device { format!(" with {}", first_gpu()?) } else { String::new() };
    let heading = format!("{}: passed in {} s{device}", date.trim(), took.as_secs());
    files::write(&result(campaign.name), format!("{heading}\n{text}"))
}

/// The name of the GPU that `--device gpu` takes: the second column of `clove devices`.
fn first_gpu() -> Result<String> {
    let devices = shell::output(Command::new(web::native_program()?).arg("devices"));
    let mut lines = devices.iter().flat_map(|text| text.lines());
    let line = lines.find(|line| line.starts_with("gpu:0"));
    let name = line
        .and_then(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).nth(1));
    Ok(name.context("`clove devices` lists no GPU")?.to_owned())
}

fn result(name: &str) -> PathBuf {
    Path::new(RESULTS).join(name).with_extension("txt")
}

/// Prints each campaign with the first line of its last result.
fn list() {
    for campaign in ALL {
        let text = fs::read_to_string(result(campaign.name)).unwrap_or_default();
        let last = text.lines().next().unwrap_or("never run").to_owned();
        shell::say(format_args!(
            "  cargo xtask campaign {}: {}; {last}",
            campaign.name, campaign.about
        ));
    }
}

fn device_check() -> Result<Command> {
    let mut check = Command::new(web::native_program()?);
    check.args(["devices", "--check", "--device", "gpu"]);
    Ok(check)
}

fn large_set() -> Result<Command> {
    let mut measure = Command::new(env::current_exe()?);
    measure.arg("large-set");
    Ok(measure)
}

fn gpu_tests() -> Command {
    let mut tests = shell::cargo();
    tests
        .args(["test", "--release", "--workspace", "--test", "all", "--test", "cli", "--"])
        .args(["check::", "gradient_cache::", "half_precision::", "kernels::", "lora::"])
        .args(["parity::", "train_devices::"])
        .env("CLOVE_THOROUGH", "1")
        .env("CLOVE_REQUIRE_GPU", "1");
    tests
}
