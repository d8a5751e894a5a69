//! `cargo xtask cross`: the program compiles for the systems that this machine can't run.

use anyhow::Result;

use crate::shell;
use crate::steps::{Outcome, Steps};
use crate::toolchain;

/// The name of a step, and its target.
const SYSTEMS: [(&str, &str); 2] =
    [("macOS", "aarch64-apple-darwin"), ("Windows", "x86_64-pc-windows-msvc")];

/// Checks each system whose target is there or can be added; says aloud which are left out.
///
/// # Errors
/// When the program doesn't compile for one of them.
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
            // Shards on servers need TLS, part of which is C: no compiler for another system's is here.
            .args(["--no-default-features", "--target"])
            .arg(target)
            .args(shell::locked()),
    )?;
    Ok(Outcome::Passed)
}
