//! `cargo xtask COMMAND`: the project's checks and tools, the same locally and in continuous integration.
//!
//! Each command has a file: [`test`], [`cross`], [`web`], [`bench`], [`campaign`] with [`large_set`], [`fixtures`], [`lexicon`],
//! [`npm`], and [`archive`] for `dist`. They share [`steps`], which runs and reports named steps, [`shell`] for other programs, [`files`],
//! [`toolchain`] for Rust targets and components, [`vulkan`] for a driver, [`debian`] for packages, and [`dist`], which finishes
//! a build by trunk.

#![allow(clippy::print_stderr, reason = "a program for the terminal prints its errors on stderr")]

mod archive;
mod bench;
mod campaign;
mod cross;
mod debian;
mod dist;
mod files;
mod fixtures;
#[cfg(test)]
mod graph;
mod large_set;
mod lexicon;
mod npm;
mod shell;
mod steps;
mod test;
mod toolchain;
mod vulkan;
mod web;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask",
    about = "The project's checks and tools, the same locally and in continuous integration",
    after_help = "Exit code: 0 on success, 1 when a step failed, 2 when the arguments don't parse."
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install missing tools, then run every check and test
    Test(test::Options),
    /// Check that the program compiles for macOS and Windows, if rustup can add their targets
    Cross,
    /// Build the browser program into web/dist, and install its tools
    Web(web::Options),
    /// Build the browser programs and pack the npm package clove-web into npm/ of the target folder
    Npm,
    /// Run a benchmark with its own arguments, for example --help
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(value_parser = bench::NAMES)]
        name: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run a test that is too slow for every check and keep its result in tests/campaigns; without a name, list them
    #[command(disable_help_flag = true)]
    Campaign {
        #[arg(value_parser = campaign::names())]
        name: Option<String>,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure opening and resuming a run on a set of millions of entries; `campaign large-set` keeps the result
    #[command(hide = true)]
    LargeSet(large_set::Options),
    /// Pack the program for this machine, with completions, manual page and licences, into archives/ of the target folder
    Dist,
    /// Build the lexicon of hard negatives from its sources; without arguments, print the sources
    #[command(disable_help_flag = true)]
    Lexicon {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Rewrite the golden files with the reference libraries of an interpreter; without one, print the requirements
    Fixtures {
        /// Interpreter with these libraries
        #[arg(long, value_name = "PATH")]
        python: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    // Exits with 2 on invalid arguments, and with 0 on --help.
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    // Looked up at run time: several checkouts may share a target folder, and so this program.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = manifest
        .as_deref()
        .and_then(|dir| dir.ancestors().nth(2))
        .context("CARGO_MANIFEST_DIR isn't set: run this as `cargo xtask`")?;
    env::set_current_dir(root).with_context(|| format!("can't enter {}", root.display()))?;
    match command {
        Command::Test(options) => test::run(&options),
        Command::Cross => cross::run(),
        Command::Web(options) => web::run(&options),
        Command::Npm => npm::run(),
        Command::Bench { name, args } => bench::run(&name, &args),
        Command::Campaign { name, args } => campaign::run(name.as_deref(), &args),
        Command::LargeSet(options) => large_set::run(&options),
        Command::Dist => archive::run(),
        Command::Lexicon { args } => lexicon::run(&args),
        Command::Fixtures { python } => fixtures::run(python.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Command, clap::Error> {
        let args = std::iter::once("xtask").chain(args.split_whitespace());
        Args::try_parse_from(args).map(|args| args.command)
    }

    #[test]
    fn every_command_parses_and_passes_on_what_is_not_its_own() {
        for args in ["cross", "npm", "dist", "web --sizes --serve", "web --finish", "campaign"] {
            assert!(parse(args).is_ok(), "{args}");
        }
        for (args, rest) in [
            ("bench negatives --out x", "--out x"),
            ("bench data --help", "--help"),
            ("campaign lab-memory -n 3", "-n 3"),
            ("lexicon --wordnet x", "--wordnet x"),
            ("test --no-lint -- resample -- --nocapture", "resample -- --nocapture"),
        ] {
            let (Command::Bench { args: found, .. }
            | Command::Campaign { args: found, .. }
            | Command::Lexicon { args: found }
            | Command::Test(test::Options { cargo_test: found, .. })) = parse(args).unwrap()
            else {
                panic!("{args}");
            };
            assert_eq!(found.join(" "), rest);
        }
        let Ok(Command::Fixtures { python }) = parse("fixtures --python venv/bin/python") else {
            panic!("an interpreter");
        };
        assert_eq!(python, Some("venv/bin/python".into()));
        let Ok(Command::Test(some)) = parse("test --no-wasm --no-lint") else { panic!("a test") };
        assert!(some.no_wasm && some.no_lint && !some.no_web && some.cargo_test.is_empty());
    }

    #[test]
    fn what_does_not_parse_is_named() {
        for (args, named) in [
            ("", "Usage"),
            ("tets", "'tets'"),
            ("cross linux", "'linux'"),
            ("test --no-lints", "'--no-lints'"),
            ("fixtures python3", "'python3'"),
            ("campaign check", "device-check"),
            ("bench", "<NAME>"),
            ("bench speed", "negatives"),
            ("web --size", "'--size'"),
            ("fixtures --python", "PATH"),
            ("fixtures --python p q", "'q'"),
        ] {
            let wrong = parse(args).err().unwrap_or_else(|| panic!("{args:?} parsed")).to_string();
            assert!(wrong.contains(named), "{args:?}: {wrong}");
        }
    }
}
