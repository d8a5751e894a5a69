//! `cargo xtask COMMAND`: the habits of the house as commands, the same at a desk and in continuous integration.
//!
//! One file a command: [`test`], [`cross`], [`web`], [`bench`], [`campaign`], [`fixtures`], [`lexicon`], and [`archive`] for
//! `dist`. What they share: [`steps`] runs and reports named steps, [`shell`]
//! runs programs, [`toolchain`] finds Rust targets and components, [`vulkan`] finds or installs a driver, [`debian`] packages,
//! [`dist`] finishes what trunk built.

#![allow(
    clippy::print_stderr,
    reason = "a program for the terminal: its last word, if it failed, goes to stderr"
)]

mod archive;
mod bench;
mod campaign;
mod cross;
mod debian;
mod dist;
mod fixtures;
#[cfg(test)]
mod graph;
mod lexicon;
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
      Installs what is missing, then runs every check and test. --no-lint leaves out format, clippy, licences,
      advisories and packages; --no-wasm clippy on the browser programs and the negatives in wasm; --no-web the browser
      program and its tests. What follows `--` goes to `cargo test`, for example a filter.
  cross
      Checks that the program compiles for macOS and Windows, where rustup can add those targets.
  web [--sizes] [--serve]
      Builds the browser program into web/dist, tools included; --sizes prints what a visitor fetches, --serve serves it
      at http://localhost:8080 and builds it anew on changes.
  bench kernels|model|negatives|web [ARGS...]
      Runs a benchmark; ARGS go to it, for example --help.
  campaign [NAME [ARGS...]]
      Runs a test that is too slow for every check and keeps its result in tests/campaigns; without a name, lists them.
  dist
      Packs the program for this machine, with completions, manual page and licences, into archives/ of the target folder.
  lexicon [ARGS...]
      Builds the lexicon of hard negatives from its sources; without arguments, says what it needs.
  fixtures [--python PATH]
      Rewrites the golden files with the reference libraries of the given interpreter; without one, says what it needs.

Exit code: 0 on success, 1 when a step failed, 2 when the arguments don't parse.
";

enum Command {
    Test(test::Options),
    Cross,
    Web(web::Options),
    Bench(bench::Options),
    Campaign(campaign::Options),
    Dist,
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
        "dist" => match rest.first() {
            None => Ok(Command::Dist),
            Some(arg) => Err(format!("`dist` takes no argument, but got {arg:?}")),
        },
        "cross" => match rest.first() {
            None => Ok(Command::Cross),
            Some(arg) => Err(format!("`cross` takes no argument, but got {arg:?}")),
        },
        "help" | "--help" | "-h" => Ok(Command::Help),
        _ => Err(format!("unknown command {name:?}")),
    }
}

fn run(command: &Command) -> Result<()> {
    if matches!(command, Command::Help) {
        shell::say(USAGE.trim_end());
        return Ok(());
    }
    // Asked at run time: a target directory that several checkouts share may hold the program of another one.
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
        Command::Lexicon(args) => lexicon::run(args),
        Command::Fixtures(options) => fixtures::run(options),
        Command::Help => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, String> {
        parse(args.iter().map(std::ffi::OsString::from))
    }

    #[test]
    fn every_documented_command_parses() {
        assert!(matches!(parsed(&["test"]), Ok(Command::Test(_))));
        assert!(matches!(parsed(&["cross"]), Ok(Command::Cross)));
        assert!(matches!(parsed(&["fixtures"]), Ok(Command::Fixtures(_))));
        assert!(matches!(parsed(&["--help"]), Ok(Command::Help)));
    }

    #[test]
    fn what_does_not_parse_is_named() {
        for (args, named) in [
            (&[][..], "no command"),
            (&["tets"], "\"tets\""),
            (&["cross", "linux"], "\"linux\""),
            (&["test", "--no-lints"], "\"--no-lints\""),
            (&["fixtures", "python3"], "\"python3\""),
            (&["campaign", "check"], "device-check"),
        ] {
            let wrong = parsed(args).err().unwrap_or_else(|| panic!("{args:?} parsed"));
            assert!(wrong.contains(named), "{args:?}: {wrong}");
        }
    }
}
