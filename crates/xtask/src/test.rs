//! `cargo xtask test`: every check and test of the project, on a fresh machine or on one where everything is built.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::steps::{Outcome, Steps};
use crate::toolchain::{self, Toolchain, WASM};
use crate::{files, shell, vulkan, web};

/// Time limit for fetching the advisory database, a git repository of a few megabytes.
const ADVISORY_LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Skip format, clippy, licences, advisories and packages
    #[arg(long)]
    pub no_lint: bool,
    /// Skip clippy on the browser programs and the negatives in wasm
    #[arg(long)]
    pub no_wasm: bool,
    /// Skip the browser program and its tests
    #[arg(long)]
    pub no_web: bool,
    /// Arguments for `cargo test`, for example a filter
    #[arg(last = true, value_name = "CARGO_TEST_ARGS")]
    pub cargo_test: Vec<String>,
}

/// Runs the checks that `options` asks for; the tests run last, so that their summary is near the end.
pub fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("Vulkan driver", vulkan::ensure);
    if !options.no_lint {
        steps.run("format", format);
        steps.run("clippy", clippy);
        steps.run("licences", || deny(licences));
        steps.run("advisories", || deny(advisories));
        steps.run("packages", packages);
    }
    if !options.no_wasm {
        steps.run("wasm32", || with(toolchain::wasm(), |toolchain| wasm(&toolchain)));
        steps.run("negatives in wasm", || {
            let tools = toolchain::wasm().and_then(|toolchain| web::node().map(|()| toolchain));
            with(tools, |toolchain| negatives_in_wasm(&toolchain))
        });
    }
    if !options.no_web {
        steps.run("browser program", || with(web::tools(), |tools| tools.build()));
    }
    steps.run("native build", || tests(&["--no-run".to_owned()]));
    if !options.no_web {
        steps.run("browser tests", || with(web::browser(), web::tests));
    }
    steps.run("tests", || tests(&options.cargo_test));
    steps.finish()
}

/// Runs a check with the tools that it needs. Without them, continuous integration fails and any other run skips the check.
fn with<T>(tools: Result<T>, check: impl FnOnce(T) -> Result<()>) -> Result<Outcome> {
    match tools {
        Ok(tools) => check(tools).map(|()| Outcome::Passed),
        Err(why) if shell::in_ci() => bail!("{why:#} (CI=true: no check may be skipped)"),
        Err(why) => Ok(Outcome::Skipped(format!("{why:#}"))),
    }
}

fn format() -> Result<Outcome> {
    with(toolchain::ensure_component("rustfmt", "fmt"), |()| {
        shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
    })
}

fn clippy() -> Result<Outcome> {
    with(toolchain::ensure_component("clippy", "clippy"), |()| {
        // The profile of the tests and of the program: build scripts and procedural macros are then compiled once for all three.
        shell::run(
            shell::cargo()
                .args(["clippy", "--release", "--workspace", "--all-targets"])
                .args(shell::locked())
                .args(["--", "-D", "warnings"]),
        )
    })
}

fn wasm(toolchain: &Toolchain) -> Result<()> {
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
    shell::run(&mut lint)
}

/// Builds tests/wasm, and compares its negatives in Node with the digests of the native tests.
fn negatives_in_wasm(toolchain: &Toolchain) -> Result<()> {
    let mut build = toolchain.cargo();
    build
        .args(["build", "--release", "--target", WASM, "--package", "clove-tests-wasm"])
        .args(shell::locked())
        .env_remove("RUSTFLAGS");
    shell::run(&mut build)?;
    let file = files::target()?.join(WASM).join("release/clove_tests_wasm.wasm");
    shell::run(
        Command::new("node")
            .arg("tests/wasm/negatives.mjs")
            .arg(file)
            .arg("tests/golden/negatives.json"),
    )
}

/// Runs a check of cargo-deny if that is installed. Continuous integration may lack it too: it is the one tool that has to be
/// compiled first.
fn deny(check: impl FnOnce() -> Result<Outcome>) -> Result<Outcome> {
    if shell::output(shell::cargo().args(["deny", "--version"])).is_some() {
        return check();
    }
    let why = "cargo-deny isn't installed; install it with `cargo install --locked cargo-deny`";
    Ok(Outcome::Skipped(why.into()))
}

fn licences() -> Result<Outcome> {
    shell::run(shell::cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    Ok(Outcome::Passed)
}

fn advisories() -> Result<Outcome> {
    // Fetched in a step of its own: `check` gives one exit code for an unreachable database and for a vulnerable crate.
    let fetch = shell::run_within(shell::cargo().args(["deny", "fetch", "db"]), ADVISORY_LIMIT);
    if let Err(why) = fetch {
        return Ok(Outcome::Skipped(format!("the advisory database can't be fetched: {why:#}")));
    }
    shell::run(shell::cargo().args(["deny", "check", "--disable-fetch", "advisories"]))?;
    Ok(Outcome::Passed)
}

/// Packs every published crate. The packages aren't built, because that would build burn again; files from outside a crate's
/// folder are linked into it, and a broken link fails here.
fn packages() -> Result<Outcome> {
    let mut package = shell::cargo();
    package.args(["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"]);
    for private in ["clove-tests", "clove-tests-wasm", "clove-web", "xtask"] {
        package.args(["--exclude", private]);
    }
    shell::run(&mut package)?;
    let list = ["package", "--list", "--allow-dirty", "--package", "clove-kernels"];
    let shaders = shell::output(shell::cargo().args(list));
    ensure!(
        shaders.is_some_and(|files| files.contains("shaders/patch.wgsl")),
        "the package of clove-kernels lacks the shaders"
    );
    Ok(Outcome::Passed)
}

fn tests(args: &[String]) -> Result<Outcome> {
    // A failed test program must not hide the results of those after it.
    shell::run(
        shell::cargo()
            .args(["test", "--release", "--workspace", "--no-fail-fast"])
            .args(shell::locked())
            .args(args),
    )?;
    Ok(Outcome::Passed)
}
