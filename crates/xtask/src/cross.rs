//! `cargo xtask cross`: checks that the program compiles for other systems.

use anyhow::Result;

use crate::shell;
use crate::steps::{Outcome, Steps};
use crate::toolchain;

/// The names of the steps, and their targets.
const SYSTEMS: [(&str, &str); 2] =
    [("macOS", "aarch64-apple-darwin"), ("Windows", "x86_64-pc-windows-msvc")];

/// Checks each system whose target is installed or can be added; reports the others as skipped.
pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    for (name, target) in SYSTEMS {
        steps.run(name, || check(target));
    }
    steps.finish()
}

fn check(target: &str) -> Result<Outcome> {
    let toolchain = match toolchain::with_target(target, None) {
        Ok(toolchain) => toolchain,
        Err(why) => return Ok(Outcome::Skipped(format!("{why:#}"))),
    };
    shell::run(
        toolchain
            .cargo()
            .args(["check", "--release", "--package", "clove-clip-cli"])
            // Shards on servers need TLS, which contains C, and there is no C compiler for the other system.
            .args(["--no-default-features", "--target"])
            .arg(target)
            .args(shell::locked()),
    )?;
    Ok(Outcome::Passed)
}
