//! `cargo xtask web`: builds the browser program into `web/dist`, and its tests in a real browser.
//!
//! Missing tools are installed into the target folder: trunk, and the version of wasm-bindgen in Cargo.lock.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::toolchain::{self, Toolchain, WASM};
use crate::{debian, dist, files, npm, shell};

/// The newest version that the pinned compiler builds.
const TRUNK: &str = "0.21.14";

/// The tests in a browser.
const TESTS: &str = "tests/browser";

/// Time limit of the tests, for a browser that doesn't end.
const TESTS_LIMIT: Duration = Duration::from_mins(40);

/// The variable that names Playwright's browser; the default is Debian's.
const CHROMIUM: &str = "CLOVE_CHROMIUM";

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print the sizes of the downloads
    #[arg(long)]
    sizes: bool,
    /// Serve the page at http://localhost:8080 and rebuild it on changes
    #[arg(long)]
    serve: bool,
    /// Finish a build; trunk calls this
    #[arg(long, hide = true)]
    finish: bool,
}

/// Builds `web/dist`, and serves or measures it.
pub fn run(options: &Options) -> Result<()> {
    if options.finish {
        let staging = env::var_os("TRUNK_STAGING_DIR")
            .context("TRUNK_STAGING_DIR isn't set: trunk calls this while it builds")?;
        return dist::finish(Path::new(&staging));
    }
    if options.serve {
        return shell::run(tools()?.trunk().args(["serve", "--release"]));
    }
    tools()?.build()?;
    if options.sizes {
        shell::run(Command::new("node").args(["tests/browser/sizes.mjs", "web/dist"]))?;
    }
    Ok(())
}

/// Builds `web/dist` and runs a benchmark of tests/browser/bench in Chromium with these arguments: bench.mjs, or lab.mjs with
/// `--lab`.
pub fn bench(args: &[String]) -> Result<()> {
    packages(&Path::new(TESTS).join("bench"))?;
    let is_lab = args.iter().any(|arg| arg == "--lab");
    let name = if is_lab { "bench/lab.mjs" } else { "bench/bench.mjs" };
    shell::run(script(name)?.args(args))
}

/// Builds `web/dist`, and returns the command that runs a script of tests/browser on it.
pub fn script(name: &str) -> Result<Command> {
    let browser = browser()?;
    tools()?.build()?;
    let folder = Path::new(TESTS);
    packages(folder)?;
    let mut node = Command::new("node");
    node.arg(folder.join(name)).env(CHROMIUM, browser);
    Ok(node)
}

/// Finds Node.js.
pub fn node() -> Result<()> {
    ensure!(
        shell::works("node", &["--version"]),
        "Node.js isn't installed; get it from https://nodejs.org"
    );
    Ok(())
}

/// Finds the programs that the browser's tests need.
pub fn browser() -> Result<OsString> {
    node()?;
    chromium().with_context(|| {
        format!("Chromium isn't installed; install it, or set {CHROMIUM} to its path")
    })
}

/// Tests `web/dist` in Chromium.
pub fn tests(chromium: OsString) -> Result<()> {
    let folder = Path::new(TESTS);
    packages(folder)?;
    // Models go from the page to the native program and back.
    let native = native_program()?;
    let mut scripts = files::list(folder)?;
    scripts.retain(|path| files::name(path).ends_with(".test.mjs"));
    shell::run_within(
        Command::new("node")
            // Two files at a time: a browser that waits for its GPU in software leaves a core idle.
            .args(["--test", "--test-concurrency=2"])
            .args(scripts)
            .env(CHROMIUM, chromium)
            .env("CLOVE_BIN", native)
            .env("CLOVE_NPM", npm::assemble()?),
        TESTS_LIMIT,
    )
}

/// Builds the program with the features of the whole workspace, as the tests do, so that nothing is compiled twice.
pub fn native_program() -> Result<PathBuf> {
    shell::run(
        shell::cargo()
            .args(["build", "--release", "--workspace", "--bin", "clove"])
            .args(shell::locked()),
    )?;
    Ok(files::target()?.join("release/clove"))
}

/// Installs the packages of a folder's package-lock.json, unless they are up to date.
fn packages(folder: &Path) -> Result<()> {
    let changed = |name: &str| folder.join(name).metadata().and_then(|file| file.modified());
    let there = changed("node_modules/.package-lock.json");
    if matches!((there, changed("package-lock.json")), (Ok(there), Ok(asked)) if there >= asked) {
        return Ok(());
    }
    shell::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder))
}

/// Finds Chromium, or installs it if that needs no password.
fn chromium() -> Option<OsString> {
    const NAMES: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];
    if let Some(named) = env::var_os(CHROMIUM).filter(|name| !name.is_empty()) {
        return Some(named);
    }
    // Playwright needs the path of a file.
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

/// The tools that build the browser program.
pub struct Tools {
    toolchain: Toolchain,
    /// Where trunk and wasm-bindgen were installed.
    bin: PathBuf,
}

impl Tools {
    /// Builds `web/dist`.
    pub fn build(&self) -> Result<()> {
        shell::run(self.trunk().args(["build", "--release"]))
    }

    fn trunk(&self) -> Command {
        let path = env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.bin.clone()).chain(env::split_paths(&path));
        let mut trunk = Command::new(self.bin.join("trunk"));
        trunk
            .current_dir("web")
            .env("PATH", env::join_paths(all).unwrap_or(path))
            // The flags of this target stand in .cargo/config.toml, and cargo ignores those where RUSTFLAGS is set.
            .env_remove("RUSTFLAGS")
            // trunk reads NO_COLOR as a boolean and refuses the usual 1.
            .env_remove("NO_COLOR");
        self.toolchain.of(trunk)
    }
}

/// Finds or installs the tools, and fetches the crates of the browser programs: trunk builds offline.
pub fn tools() -> Result<Tools> {
    let toolchain = toolchain::wasm()?;
    shell::run(toolchain.cargo().args(["fetch", "--locked", "--target", WASM]))?;
    let root = files::target()?.join("tools");
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
            // Unoptimised builds take half the time, and the tools run for seconds only.
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
    let text = files::read_text(Path::new("Cargo.lock"))?;
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
    use super::version_in;

    #[test]
    fn a_locked_version_is_found_by_its_whole_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-cli\"\nversion = \"1\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "wasm"), None);
    }
}
