//! `cargo xtask COMMAND`: the project's checks and tools, the same locally and in continuous integration.
//!
//! Each command has a file: [`test`], [`cross`], [`web`], [`bench`], [`campaign`], [`fixtures`], [`lexicon`], [`npm`], and
//! [`archive`] for `dist`. They share [`steps`], which runs and reports named steps, [`shell`] for other programs, [`files`],
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

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--no-lint] [--no-wasm] [--no-web] [-- CARGO_TEST_ARGS...]
      Install missing tools, then run every check and test. --no-lint skips format, clippy, licences, advisories and
      packages; --no-wasm skips clippy on the browser programs and the negatives in wasm; --no-web skips the browser
      program and its tests. Arguments after `--` go to `cargo test`, for example a filter.
  cross
      Check that the program compiles for macOS and Windows, if rustup can add their targets.
  web [--sizes] [--serve]
      Build the browser program into web/dist, and install its tools. --sizes prints the sizes of the downloads, --serve
      serves it at http://localhost:8080 and rebuilds it on changes.
  npm
      Build the browser programs and pack the npm package clove-web into npm/ of the target folder.
  bench data|evaluate|kernels|model|negatives|web [ARGS...]
      Run a benchmark with its own arguments, for example --help.
  campaign [NAME [ARGS...]]
      Run a test that is too slow for every check and keep its result in tests/campaigns; without a name, list them.
  dist
      Pack the program for this machine, with completions, manual page and licences, into archives/ of the target folder.
  lexicon [ARGS...]
      Build the lexicon of hard negatives from its sources; without arguments, print the sources.
  fixtures [--python PATH]
      Rewrite the golden files with the reference libraries of this interpreter; without one, print the requirements.

Exit code: 0 on success, 1 when a step failed, 2 when the arguments don't parse.
";

enum Command {
    Test(test::Options),
    Cross,
    Web(web::Options),
    Bench(bench::Options),
    Campaign(campaign::Options),
    Dist,
    Npm,
    Lexicon(Vec<String>),
    Fixtures(fixtures::Options),
    Help,
}

fn main() -> ExitCode {
    let command = match parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(wrong) => {
            eprintln!("error: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(args: impl Iterator<Item = std::ffi::OsString>) -> Result<Command, String> {
    let args = args
        .map(|arg| {
            arg.into_string().map_err(|arg| format!("argument {} is not UTF-8", arg.display()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (name, rest) = args.split_first().ok_or("no command")?;
    match name.as_str() {
        "test" => test::Options::parse(rest).map(Command::Test),
        "web" => web::Options::parse(rest).map(Command::Web),
        "bench" => bench::Options::parse(rest).map(Command::Bench),
        "campaign" => campaign::Options::parse(rest).map(Command::Campaign),
        "lexicon" => Ok(Command::Lexicon(rest.to_vec())),
        "fixtures" => fixtures::Options::parse(rest).map(Command::Fixtures),
        "cross" | "dist" | "npm" if !rest.is_empty() => Err(shell::unknown(name, &rest[0])),
        "cross" => Ok(Command::Cross),
        "dist" => Ok(Command::Dist),
        "npm" => Ok(Command::Npm),
        "help" | "--help" | "-h" => Ok(Command::Help),
        _ => Err(format!("unknown command {name:?}")),
    }
}

fn run(command: &Command) -> Result<()> {
    if matches!(command, Command::Help) {
        shell::say(USAGE.trim_end());
        return Ok(());
    }
    // Looked up at run time: several checkouts may share a target folder, and so this program.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = manifest
        .as_deref()
        .and_then(|dir| dir.ancestors().nth(2))
        .context("CARGO_MANIFEST_DIR isn't set: run this as `cargo xtask`")?;
    env::set_current_dir(root).with_context(|| format!("can't enter {}", root.display()))?;
    match command {
        Command::Test(options) => test::run(options),
        Command::Cross => cross::run(),
        Command::Web(options) => web::run(options),
        Command::Bench(options) => bench::run(options),
        Command::Campaign(options) => campaign::run(options),
        Command::Dist => archive::run(),
        Command::Npm => npm::run(),
        Command::Lexicon(args) => lexicon::run(args),
        Command::Fixtures(options) => fixtures::run(options),
        Command::Help => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &str) -> Result<Command, String> {
        parse(shell::words(args).into_iter().map(Into::into))
    }

    #[test]
    fn every_documented_command_parses() {
        assert!(matches!(parsed("test"), Ok(Command::Test(_))));
        assert!(matches!(parsed("cross"), Ok(Command::Cross)));
        assert!(matches!(parsed("fixtures"), Ok(Command::Fixtures(_))));
        assert!(matches!(parsed("web --sizes"), Ok(Command::Web(_))));
        assert!(matches!(parsed("--help"), Ok(Command::Help)));
    }

    #[test]
    fn what_does_not_parse_is_named() {
        for (args, named) in [
            ("", "no command"),
            ("tets", "\"tets\""),
            ("cross linux", "\"linux\""),
            ("test --no-lints", "\"--no-lints\""),
            ("fixtures python3", "\"python3\""),
            ("campaign check", "device-check"),
            ("bench", "negatives"),
            ("bench speed", "\"speed\""),
            ("web --size", "\"--size\""),
            ("fixtures --python", "path"),
            ("fixtures --python p q", "\"q\""),
        ] {
            let wrong = parsed(args).err().unwrap_or_else(|| panic!("{args:?} parsed"));
            assert!(wrong.contains(named), "{args:?}: {wrong}");
        }
    }
}
