//! `cargo xtask test`: every check and test of the project, on a fresh machine as well as on one where all is built.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};

use crate::shell;
use crate::steps::{Outcome, Steps};
use crate::{toolchain, vulkan, web};

const WASM: &str = "wasm32-unknown-unknown";

/// Longest wait for the advisory database, a git repository of a few megabytes.
const ADVISORY_LIMIT: Duration = Duration::from_mins(1);

/// What to check.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Format, clippy, licences, advisories and packages too.
    pub lint: bool,
    /// Clippy on the browser programs, and the negatives in wasm, too.
    pub wasm: bool,
    /// The browser program and its tests too.
    pub web: bool,
    /// Arguments for `cargo test`.
    pub cargo_test: Vec<String>,
}

impl Options {
    /// Reads the arguments that follow `test`.
    ///
    /// # Errors
    /// For an argument that isn't known; names it.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self { lint: true, wasm: true, web: true, cargo_test: Vec::new() };
        for (index, arg) in args.iter().enumerate() {
            match arg.as_str() {
                "--no-lint" => options.lint = false,
                "--no-wasm" => options.wasm = false,
                "--no-web" => options.web = false,
                "--" => {
                    options.cargo_test = args[index + 1..].to_vec();
                    break;
                }
                _ => {
                    return Err(format!(
                        "`test` doesn't take {arg:?}; arguments for cargo test follow `--`"
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// Runs all that `options` asks for; the tests last, so that their closing lines stand near the end.
///
/// # Errors
/// When a step failed.
pub fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("Vulkan driver", vulkan::ensure);
    if options.lint {
        steps.run("format", format);
        steps.run("clippy", clippy);
        steps.run("licences", licences);
        steps.run("advisories", advisories);
        steps.run("packages", packages);
    }
    if options.wasm {
        steps.run("wasm32", wasm);
        steps.run("negatives in wasm", negatives_in_wasm);
    }
    if options.web {
        steps.run("browser program", || available(web::build()));
        steps.run("browser tests", || available(web::tests()));
    }
    steps.run("tests", || tests(&options.cargo_test));
    steps.finish()
}

/// Continuous integration promises every tool; at a desk a check may be left out, aloud.
fn unavailable(why: &anyhow::Error) -> Result<Outcome> {
    if shell::in_ci() {
        bail!("{why:#} (CI=true: nothing may be left out)");
    }
    Ok(Outcome::Skipped(format!("{why:#}")))
}

/// What [`web`] could do, or why not.
fn available(done: Result<web::Done>) -> Result<Outcome> {
    match done? {
        web::Done::Passed => Ok(Outcome::Passed),
        web::Done::Unavailable(why) => unavailable(&why),
    }
}

fn format() -> Result<Outcome> {
    if let Err(why) = toolchain::ensure_component("rustfmt", "fmt") {
        return unavailable(&why);
    }
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy() -> Result<Outcome> {
    if let Err(why) = toolchain::ensure_component("clippy", "clippy") {
        return unavailable(&why);
    }
    // The profile of the tests and of the program: build scripts and procedural macros are then compiled once for all three.
    shell::run(
        shell::cargo()
            .args(["clippy", "--release", "--workspace", "--all-targets"])
            .args(shell::locked())
            .args(["--", "-D", "warnings"]),
    )?;
    Ok(Outcome::Passed)
}

fn wasm() -> Result<Outcome> {
    let toolchain = match toolchain::with_target(WASM, Some(toolchain::WASM_TOOLCHAIN)) {
        Ok(toolchain) => toolchain,
        Err(why) => return unavailable(&why),
    };
    // All browser programs at once, with clippy where this toolchain has it. In their own profile: build scripts and procedural
    // macros are then compiled once for this and for the build.
    let clippy = shell::output(toolchain.cargo().args(["clippy", "--version"])).is_some();
    let mut lint = toolchain.cargo();
    lint.arg(if clippy { "clippy" } else { "check" })
        .args(["--profile", "web", "--target", WASM])
        .args(["--package", "clove-web", "--bins"])
        .args(["--features", "page,trainer-cpu,trainer-gpu"])
        .args(shell::locked())
        // The flags of this target stand in .cargo/config.toml, and cargo ignores those where RUSTFLAGS is set.
        .env_remove("RUSTFLAGS");
    if clippy {
        lint.args(["--", "-D", "warnings"]);
    }
    shell::run(&mut lint)?;
    Ok(Outcome::Passed)
}

/// Builds the wasm file of tests/wasm, and lets Node compare what it makes with what the native tests hold.
fn negatives_in_wasm() -> Result<Outcome> {
    let toolchain = match toolchain::with_target(WASM, Some(toolchain::WASM_TOOLCHAIN)) {
        Ok(toolchain) => toolchain,
        Err(why) => return unavailable(&why),
    };
    if shell::output(Command::new("node").arg("--version")).is_none() {
        return unavailable(&anyhow!("Node.js isn't installed; get it from https://nodejs.org"));
    }
    let mut build = toolchain.cargo();
    build
        .args(["build", "--release", "--target", WASM, "--package", "clove-tests-wasm"])
        .args(shell::locked())
        .env_remove("RUSTFLAGS");
    shell::run(&mut build)?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let file = target.join(WASM).join("release/clove_tests_wasm.wasm");
    shell::run(
        Command::new("node")
            .arg("tests/wasm/negatives.mjs")
            .arg(file)
            .arg("tests/golden/negatives.json"),
    )?;
    Ok(Outcome::Passed)
}

/// None where cargo-deny is there; else the outcome of a step that needs it. Even continuous integration may lack it: it's
/// the one tool that has to be compiled first.
fn without_cargo_deny() -> Option<Outcome> {
    if shell::output(shell::cargo().args(["deny", "--version"])).is_some() {
        return None;
    }
    let why = "cargo-deny isn't installed; get it by `cargo install --locked cargo-deny`";
    Some(Outcome::Skipped(why.into()))
}

fn licences() -> Result<Outcome> {
    if let Some(skipped) = without_cargo_deny() {
        return Ok(skipped);
    }
    shell::run(shell::cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    Ok(Outcome::Passed)
}

fn advisories() -> Result<Outcome> {
    if let Some(skipped) = without_cargo_deny() {
        return Ok(skipped);
    }
    // Fetched in a step of its own: `check` gives one exit code for a database out of reach and for a vulnerable crate.
    let fetch = shell::run_within(shell::cargo().args(["deny", "fetch", "db"]), ADVISORY_LIMIT);
    if let Err(why) = fetch {
        return Ok(Outcome::Skipped(format!("the advisory database can't be fetched: {why:#}")));
    }
    shell::run(shell::cargo().args(["deny", "check", "--disable-fetch", "advisories"]))?;
    Ok(Outcome::Passed)
}

/// Every published crate packs with all the files that it includes. Building them again from their packages would take burn's
/// build; what a crate includes from outside its folder is linked into it, and a broken link fails here.
fn packages() -> Result<Outcome> {
    let mut package = shell::cargo();
    package.args(["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"]);
    for private in ["clove-tests", "clove-tests-wasm", "clove-web", "xtask"] {
        package.args(["--exclude", private]);
    }
    shell::run(&mut package)?;
    let shaders = shell::output(shell::cargo().args([
        "package",
        "--list",
        "--allow-dirty",
        "--package",
        "clove-kernels",
    ]));
    ensure!(
        shaders.is_some_and(|files| files.contains("shaders/patch.wgsl")),
        "the package of clove-kernels lacks the shaders"
    );
    Ok(Outcome::Passed)
}

fn tests(args: &[String]) -> Result<Outcome> {
    // One failed test program must not hide what those after it would say.
    shell::run(
        shell::cargo()
            .args(["test", "--release", "--workspace", "--no-fail-fast"])
            .args(shell::locked())
            .args(args),
    )?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, String> {
        Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn everything_is_checked_unless_left_out() {
        let all = parse(&[]).unwrap();
        assert!(all.lint && all.wasm && all.cargo_test.is_empty());
        let some = parse(&["--no-wasm", "--no-lint"]).unwrap();
        assert!(!some.lint && !some.wasm);
    }

    #[test]
    fn what_follows_the_dashes_goes_to_cargo_test() {
        let options = parse(&["--no-lint", "--", "resample", "--", "--nocapture"]).unwrap();
        assert_eq!(options.cargo_test, ["resample", "--", "--nocapture"]);
        assert!(options.wasm);
    }

    #[test]
    fn an_unknown_argument_is_named() {
        assert!(parse(&["resample"]).unwrap_err().contains("\"resample\""));
    }
}
