//! Finds the Rust targets and components that a check needs, or adds them with rustup. Used by [`crate::test`] and [`crate::cross`].

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// Time limit of a download by rustup, which can hang behind a firewall.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(2);

/// The variable that names a toolchain with the wasm32 target, for machines where rustup can't add it to the active one.
const WASM_TOOLCHAIN: &str = "CLOVE_WASM_TOOLCHAIN";

/// The target of the browser programs.
pub const WASM: &str = "wasm32-unknown-unknown";

/// A toolchain that can compile for a target: the active one, or another one by its name in rustup.
#[derive(Debug, PartialEq, Eq)]
pub struct Toolchain(Option<String>);

impl Toolchain {
    const ACTIVE: Self = Self(None);

    /// This toolchain's cargo.
    pub fn cargo(&self) -> Command {
        match self.0 {
            None => shell::cargo(),
            Some(_) => self.of(Command::new("cargo")),
        }
    }

    /// Makes a program use this toolchain. rustup's proxies read it from a variable; unlike cargo's full path they also find a
    /// cargo for a linked toolchain that has none of its own.
    pub fn of(&self, mut program: Command) -> Command {
        if let Some(name) = &self.0 {
            program.env("RUSTUP_TOOLCHAIN", name).env_remove("CARGO");
        }
        program
    }

    /// Whether the standard library for `target` is installed.
    fn has(&self, target: &str) -> bool {
        let mut rustc = self.of(Command::new("rustc"));
        shell::output(rustc.args(["--print", "target-libdir", "--target", target]))
            .is_some_and(|dir| Path::new(dir.trim()).is_dir())
    }
}

/// A toolchain that can compile for `target`: the active one, after adding the target if necessary, or else the one that the
/// environment variable `fallback` names.
pub fn with_target(target: &str, fallback: Option<&str>) -> Result<Toolchain> {
    if Toolchain::ACTIVE.has(target) {
        return Ok(Toolchain::ACTIVE);
    }
    let added =
        shell::run_within(Command::new("rustup").args(["target", "add", target]), DOWNLOAD_LIMIT);
    let Err(why) = added else {
        return Ok(Toolchain::ACTIVE);
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
    let named = Toolchain(Some(name.clone()));
    ensure!(named.has(target), "the toolchain {name:?} of {variable} lacks the target {target}");
    Ok(named)
}

/// A toolchain that can compile for [`WASM`].
pub fn wasm() -> Result<Toolchain> {
    with_target(WASM, Some(WASM_TOOLCHAIN))
}

/// Checks that the cargo subcommand of a rustup component is installed, or adds the component.
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
            "`cargo {subcommand}` is missing; install it with `rustup component add {component}` or your system's packages"
        )
    })?;
    ensure!(there(), "rustup added {component}, but `cargo {subcommand}` still can't be run");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_always_a_target_and_an_invented_one_never() {
        let version = shell::output(Command::new("rustc").arg("-vV")).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        assert_eq!(with_target(host, None).unwrap(), Toolchain::ACTIVE);
        assert!(!Toolchain::ACTIVE.has("pdp11-unknown-none"));
        assert!(!Toolchain(Some("no-such-toolchain".into())).has(host));
    }
}
