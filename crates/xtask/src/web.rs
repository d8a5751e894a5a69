//! `cargo xtask web`: builds the browser program into `web/dist`, and its tests in a real browser.
//!
//! Its tools are installed where they're missing, into the target folder: trunk, and the wasm-bindgen that Cargo.lock asks for.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow};

use crate::toolchain::{self, Toolchain};
use crate::{debian, dist, shell};

const WASM: &str = "wasm32-unknown-unknown";

/// The newest that the pinned compiler builds.
const TRUNK: &str = "0.21.14";

/// The tests in a browser.
const TESTS: &str = "tests/browser";

/// Longest that they may take: a browser that doesn't end would be waited for.
const TESTS_LIMIT: Duration = Duration::from_mins(40);

/// Where Playwright finds a browser: Debian's, or one that is named.
const CHROMIUM: &str = "CLOVE_CHROMIUM";

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    sizes: bool,
    serve: bool,
    finish: bool,
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
                "--serve" => options.serve = true,
                "--finish" => options.finish = true,
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

/// Builds, and serves or measures.
///
/// # Errors
/// When a tool can't be had, or the build fails.
pub fn run(options: &Options) -> Result<()> {
    if options.finish {
        let staging = env::var_os("TRUNK_STAGING_DIR")
            .context("TRUNK_STAGING_DIR isn't set: trunk calls this while it builds")?;
        return dist::finish(Path::new(&staging));
    }
    if options.serve {
        return shell::run(tools()?.trunk().args(["serve", "--release"]));
    }
    if let Done::Unavailable(why) = build()? {
        return Err(why);
    }
    if options.sizes {
        shell::run(Command::new("node").args(["tests/browser/sizes.mjs", "web/dist"]))?;
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
    shell::run(tools.trunk().args(["build", "--release"]))?;
    Ok(Done::Passed)
}

/// Builds, and measures in Chromium; the arguments are those of tests/browser/bench/bench.mjs, or with `--lab` of lab.mjs beside
/// it.
///
/// # Errors
/// When a tool can't be had, the build fails, or the browser does.
pub fn bench(args: &[String]) -> Result<()> {
    packages(&Path::new(TESTS).join("bench"))?;
    let is_lab = args.iter().any(|arg| arg == "--lab");
    let name = if is_lab { "bench/lab.mjs" } else { "bench/bench.mjs" };
    shell::run(script(name)?.args(args))
}

/// Builds, and gives the command that runs a script of tests/browser on what was built.
///
/// # Errors
/// When a tool can't be had, or the build fails.
pub fn script(name: &str) -> Result<Command> {
    let browser = browser()?;
    if let Done::Unavailable(why) = build()? {
        return Err(why);
    }
    let folder = Path::new(TESTS);
    packages(folder)?;
    let mut node = Command::new("node");
    node.arg(folder.join(name)).env(CHROMIUM, browser);
    Ok(node)
}

/// What the browser's tests need that no package brings.
fn browser() -> Result<OsString> {
    if !shell::works("node", &["--version"]) {
        return Err(anyhow!("Node.js isn't installed; get it from https://nodejs.org"));
    }
    chromium()
        .ok_or_else(|| anyhow!("Chromium isn't installed; install it, or name it by {CHROMIUM}"))
}

/// Tests what [`build`] built, in Chromium.
///
/// # Errors
/// When a test fails.
pub fn tests() -> Result<Done> {
    let chromium = match browser() {
        Ok(chromium) => chromium,
        Err(why) => return Ok(Done::Unavailable(why)),
    };
    let folder = Path::new(TESTS);
    packages(folder)?;
    // Models go from the page to the native program and back.
    let native = native_program()?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    shell::run_within(
        Command::new("node")
            .arg("--test")
            .args(files)
            .env(CHROMIUM, chromium)
            .env("CLOVE_BIN", native),
        TESTS_LIMIT,
    )?;
    Ok(Done::Passed)
}

/// Builds the program; of the whole workspace, so that its features are those of the tests, and nothing is compiled twice.
///
/// # Errors
/// When the build fails.
pub fn native_program() -> Result<PathBuf> {
    shell::run(
        shell::cargo()
            .args(["build", "--release", "--workspace", "--bin", "clove"])
            .args(shell::locked()),
    )?;
    Ok(env::current_dir()?.join(target()).join("release/clove"))
}

/// Installs what a folder's package-lock.json asks for, unless it's there.
fn packages(folder: &Path) -> Result<()> {
    let changed = |name: &str| folder.join(name).metadata().and_then(|file| file.modified());
    let there = changed("node_modules/.package-lock.json");
    if matches!((there, changed("package-lock.json")), (Ok(there), Ok(asked)) if there >= asked) {
        return Ok(());
    }
    shell::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder))
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
        all.into_iter().find(|file| file.is_file()).map(OsString::from)
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

/// What builds the browser program.
struct Tools {
    toolchain: Toolchain,
    /// Where trunk and wasm-bindgen were installed.
    bin: PathBuf,
}

impl Tools {
    fn trunk(&self) -> Command {
        let path = env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.bin.clone()).chain(env::split_paths(&path));
        let mut trunk = Command::new(self.bin.join("trunk"));
        trunk
            .current_dir("web")
            .env("PATH", env::join_paths(all).unwrap_or(path))
            // The flags of this target stand in .cargo/config.toml, and cargo ignores those where RUSTFLAGS is set.
            .env_remove("RUSTFLAGS")
            // trunk takes NO_COLOR for a truth value, and refuses the 1 that others set.
            .env_remove("NO_COLOR");
        if let Toolchain::Named(name) = &self.toolchain {
            trunk.env("RUSTUP_TOOLCHAIN", name).env_remove("CARGO");
        }
        trunk
    }
}

/// Where cargo builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

/// Finds or installs them, and fetches the crates of the browser programs: trunk builds offline.
fn tools() -> Result<Tools> {
    let toolchain = toolchain::with_target(WASM, Some(toolchain::WASM_TOOLCHAIN))?;
    shell::run(toolchain.cargo().args(["fetch", "--locked", "--target", WASM]))?;
    let root = env::current_dir()?.join(target()).join("tools");
    let bin = root.join("bin");
    let bindgen = locked_version("wasm-bindgen")?;
    for (package, program, version, locked) in [
        ("trunk", "trunk", TRUNK, true),
        ("wasm-bindgen-cli", "wasm-bindgen", bindgen.as_str(), false),
    ] {
        let there = shell::output(Command::new(bin.join(program)).arg("--version"));
        if there.is_some_and(|found| found.split_whitespace().nth(1) == Some(version)) {
            continue;
        }
        shell::say(format_args!("installing {package} {version}: some minutes"));
        let mut install = shell::cargo();
        install
            .args(["install", "--quiet", "--force", "--version", version, "--root"])
            .arg(&root)
            .arg(package)
            // Unoptimised they build in half the time, and they run for seconds.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_TARGET_DIR", root.join("build"));
        if locked {
            install.arg("--locked");
        }
        shell::run(&mut install)?;
        let _ = fs::remove_dir_all(root.join("build"));
    }
    Ok(Tools { toolchain, bin })
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
