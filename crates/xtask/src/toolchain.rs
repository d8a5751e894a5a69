//! Rust targets and components that a check needs: found, or added through rustup. Used by [`crate::test`] and [`crate::cross`].

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Longest wait for a download by rustup, which can hang where its server is walled off.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(2);

/// Names a toolchain that has the wasm32 target, for machines where rustup can't add it to the active one.
pub const WASM_TOOLCHAIN: &str = "CLOVE_WASM_TOOLCHAIN";

/// A toolchain that can compile for a target.
#[derive(Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The one this program was started with.
    Active,
    /// Another one that rustup knows by this name.
    Named(String),
}

impl Toolchain {
    /// This toolchain's cargo.
    pub fn cargo(&self) -> Command {
        match self {
            Self::Active => shell::cargo(),
            Self::Named(name) => proxy("cargo", name),
        }
    }

    fn rustc(&self) -> Command {
        match self {
            Self::Active => Command::new("rustc"),
            Self::Named(name) => proxy("rustc", name),
        }
    }

    /// Whether the standard library for `target` is installed.
    fn has(&self, target: &str) -> bool {
        shell::output(self.rustc().args(["--print", "target-libdir", "--target", target]))
            .is_some_and(|dir| Path::new(dir.trim()).is_dir())
    }
}

/// rustup's proxies read the toolchain from this variable. Unlike cargo's full path they also find a cargo for a linked
/// toolchain that has none of its own.
fn proxy(program: &str, toolchain: &str) -> Command {
    let mut command = Command::new(program);
    command.env("RUSTUP_TOOLCHAIN", toolchain).env_remove("CARGO");
    command
}

/// A toolchain that can compile for `target`: the active one, with the target added if need be, or else the one that the
/// environment variable `fallback` names.
///
/// # Errors
/// When neither can; says how to get one.
pub fn with_target(target: &str, fallback: Option<&str>) -> Result<Toolchain> {
    if Toolchain::Active.has(target) {
        return Ok(Toolchain::Active);
    }
    let added =
        shell::run_within(Command::new("rustup").args(["target", "add", target]), DOWNLOAD_LIMIT);
    let Err(why) = added else {
        return Ok(Toolchain::Active);
    };
    let Some(variable) = fallback else {
        return Err(why.context(format!("the target {target} can't be added")));
    };
    let name = env::var(variable).ok().filter(|name| !name.is_empty());
    let name = name.with_context(|| {
        format!(
            "the target {target} can't be added ({why:#}); set {variable} to a rustup toolchain that has it"
        )
    })?;
    let unfit =
        format!("{variable} names the toolchain {name:?}, which hasn't the target {target}");
    let named = Toolchain::Named(name);
    if !named.has(target) {
        bail!(unfit);
    }
    Ok(named)
}

/// Makes the cargo subcommand of a rustup component available.
///
/// # Errors
/// When it's missing and can't be added; says how to get it.
pub fn ensure_component(component: &str, subcommand: &str) -> Result<()> {
    let there = || shell::output(shell::cargo().args([subcommand, "--version"])).is_some();
    if there() {
        return Ok(());
    }
    shell::run_within(
        Command::new("rustup").args(["component", "add", component]),
        DOWNLOAD_LIMIT,
    )
    .with_context(|| {
        format!(
            "`cargo {subcommand}` is missing; get it by `rustup component add {component}` or your system's packages"
        )
    })?;
    if there() {
        return Ok(());
    }
    bail!("rustup added {component}, but `cargo {subcommand}` still can't be run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_always_a_target_and_an_invented_one_never() {
        let version = shell::output(Command::new("rustc").arg("-vV")).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        assert_eq!(with_target(host, None).unwrap(), Toolchain::Active);
        assert!(!Toolchain::Active.has("pdp11-unknown-none"));
        assert!(!Toolchain::Named("no-such-toolchain".into()).has(host));
    }
}
