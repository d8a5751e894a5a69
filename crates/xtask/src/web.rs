//! `cargo xtask web`: builds the engines of the browser program into `web/dist`, and tests them in a real browser.
//!
//! The wasm-bindgen that Cargo.lock asks for is installed where it's missing, into the target folder.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Error, Result, anyhow};

use crate::toolchain::{self, Toolchain};
use crate::{debian, shell};

const WASM: &str = "wasm32-unknown-unknown";

/// The programs, each with the features that it's named after.
const ENGINES: [&str; 2] = ["engine-cpu", "engine-gpu"];

/// Where they're put.
const DIST: &str = "web/dist";

/// Where Playwright finds a browser: Debian's, or one that is named.
const CHROMIUM: &str = "CLOVE_CHROMIUM";

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    sizes: bool,
}

impl Options {
    /// Reads the arguments that follow `web`.
    ///
    /// # Errors
    /// For an argument that isn't known; names it.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        for arg in args {
            match arg.as_str() {
                "--sizes" => options.sizes = true,
                _ => return Err(format!("`web` doesn't take {arg:?}")),
            }
        }
        Ok(options)
    }
}

/// How a step ended that a machine may lack the means for.
pub enum Done {
    /// As it should.
    Passed,
    /// Not begun; why.
    Unavailable(Error),
}

/// Builds, and measures.
///
/// # Errors
/// When a tool can't be had, or the build fails.
pub fn run(options: &Options) -> Result<()> {
    if let Done::Unavailable(why) = build()? {
        return Err(why);
    }
    if options.sizes {
        shell::run(Command::new("node").args(["tests/browser/sizes.mjs", DIST]))?;
    }
    Ok(())
}

/// Builds `web/dist`.
///
/// # Errors
/// When the build fails.
pub fn build() -> Result<Done> {
    let tools = match tools() {
        Ok(tools) => tools,
        Err(why) => return Ok(Done::Unavailable(why)),
    };
    let dist = Path::new(DIST);
    // What an earlier build left would be served too.
    match fs::remove_dir_all(dist) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| DIST.to_owned());
        }
        _ => fs::create_dir_all(dist).with_context(|| DIST.to_owned())?,
    }
    for engine in ENGINES {
        let mut build = tools.toolchain.cargo();
        build
            .args(["build", "--profile", "web", "--target", WASM])
            .args([
                "--package",
                "clove-web",
                "--features",
                engine,
                "--bin",
                engine,
            ])
            .args(shell::locked())
            // The flags of this target stand in .cargo/config.toml, and cargo ignores those where RUSTFLAGS is set.
            .env_remove("RUSTFLAGS");
        shell::run(&mut build)?;
        let wasm = tools
            .target
            .join(WASM)
            .join("web")
            .join(format!("{engine}.wasm"));
        shell::run(
            Command::new(&tools.bindgen)
                .args(["--target", "web", "--no-typescript", "--out-name", engine])
                .args(["--out-dir", DIST])
                .arg(wasm),
        )?;
        let loader = format!("import init from \"./{engine}.js\";\ninit();\n");
        let file = dist.join(format!("{engine}_loader.js"));
        fs::write(&file, loader).with_context(|| file.display().to_string())?;
    }
    let lexicon = "english.lexicon";
    fs::copy(
        Path::new("crates/negatives").join(lexicon),
        dist.join(lexicon),
    )
    .with_context(|| lexicon.to_owned())?;
    Ok(Done::Passed)
}

/// Tests what [`build`] built, in Chromium.
///
/// # Errors
/// When a test fails.
pub fn tests() -> Result<Done> {
    if !shell::works("node", &["--version"]) {
        return Ok(Done::Unavailable(anyhow!(
            "Node.js isn't installed; get it from https://nodejs.org"
        )));
    }
    let Some(chromium) = chromium() else {
        return Ok(Done::Unavailable(anyhow!(
            "Chromium isn't installed; install it, or name it by {CHROMIUM}"
        )));
    };
    let folder = Path::new("tests/browser");
    if !folder.join("node_modules/playwright-core").is_dir() {
        shell::run(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(folder),
        )?;
    }
    shell::run(
        Command::new("node")
            .args(["--test", "tests/browser/"])
            .env(CHROMIUM, chromium),
    )?;
    Ok(Done::Passed)
}

/// The browser, installed where that needs no password.
fn chromium() -> Option<OsString> {
    const NAMES: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];
    if let Some(named) = env::var_os(CHROMIUM).filter(|name| !name.is_empty()) {
        return Some(named);
    }
    // Playwright starts a file, not a name.
    let path = env::var_os("PATH").unwrap_or_default();
    let found = || {
        let all = env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name)));
        all.into_iter()
            .find(|file| file.is_file())
            .map(OsString::from)
    };
    found().or_else(|| {
        if shell::works("apt-get", &["--version"])
            && let Err(error) = debian::install(&["chromium"])
        {
            shell::say(format_args!("{error:#}"));
        }
        found()
    })
}

/// What builds the engines.
struct Tools {
    toolchain: Toolchain,
    /// wasm-bindgen's program.
    bindgen: PathBuf,
    /// cargo's target folder.
    target: PathBuf,
}

/// Finds or installs them.
fn tools() -> Result<Tools> {
    let toolchain = toolchain::with_target(WASM, Some(toolchain::WASM_TOOLCHAIN))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let target = env::current_dir()?.join(target);
    let root = target.join("tools");
    let bindgen = root.join("bin/wasm-bindgen");
    let version = locked_version("wasm-bindgen")?;
    let there = shell::output(Command::new(&bindgen).arg("--version"));
    if there.is_none_or(|found| found.split_whitespace().nth(1) != Some(version.as_str())) {
        shell::say(format_args!(
            "installing wasm-bindgen-cli {version}: some minutes"
        ));
        let build = root.join("build");
        shell::run(
            shell::cargo()
                .args([
                    "install",
                    "--quiet",
                    "--force",
                    "--version",
                    &version,
                    "--root",
                ])
                .arg(&root)
                .arg("wasm-bindgen-cli")
                // Unoptimised it builds in half the time, and it runs for seconds.
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_TARGET_DIR", &build),
        )?;
        // It only takes room.
        let _ = fs::remove_dir_all(build);
    }
    Ok(Tools {
        toolchain,
        bindgen,
        target,
    })
}

/// The version of a package in Cargo.lock.
fn locked_version(package: &str) -> Result<String> {
    let text = fs::read_to_string("Cargo.lock").context("Cargo.lock")?;
    version_in(&text, package).with_context(|| format!("Cargo.lock has no package {package}"))
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let mut lines = lock.lines();
    let name = format!("name = \"{package}\"");
    lines.find(|line| *line == name)?;
    let version = lines.next()?.strip_prefix("version = \"")?;
    Some(version.strip_suffix('"')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Options, version_in};

    #[test]
    fn a_locked_version_is_found_by_its_whole_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-cli\"\nversion = \"1\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "wasm"), None);
    }

    #[test]
    fn what_web_does_not_take_is_named() {
        let parse = |args: &[&str]| {
            Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(parse(&["--sizes"]).unwrap().sizes);
        assert!(parse(&["--size"]).unwrap_err().contains("\"--size\""));
    }
}
