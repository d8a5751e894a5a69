//! The `clove` program: arguments, listeners and printing. The crates `clove`, `clove-data` and `clove-run` do the work.

mod args;
mod commands;
mod interrupt;
mod limits;
mod listener;
mod model;
mod output;
mod progress;
mod tensors;
mod thumbnail;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use clove_data::fetch::Shown;

use args::{Args, Command};

fn main() -> ExitCode {
    keep_drivers_quiet();
    if let Err(error) = limits::heed() {
        output::error(&error);
    }
    let Args { command, device } =
        Args::try_parse_from(args::given(std::env::args_os())).unwrap_or_else(|error| exit(&error));
    let result = match command {
        Command::Lab(args) => commands::lab::run(&args, device),
        Command::Train(args) => commands::train::run(&args, device),
        Command::Data(args) => commands::data::run(&args),
        Command::Score(args) => commands::score::run(&args, device),
        Command::Embed(args) => commands::embed::run(&args, device),
        Command::Tokenize(args) => commands::tokenize::run(&args),
        Command::Preprocess(args) => commands::preprocess::run(&args),
        Command::Negatives(args) => commands::negatives::run(&args),
        Command::Patch(args) => commands::patch::run(&args, device),
        Command::Eval(args) => commands::eval::run(&args, device),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Devices(args) => commands::devices::run(&args, device),
        Command::Completions(args) => commands::completions::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `clove ... | head` closes the pipe early.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            if interrupt::was_asked() {
                ExitCode::from(interrupt::INTERRUPTED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Exits with 2 on invalid arguments, and with 0 on --help and --version.
fn exit(error: &clap::Error) -> ! {
    let plain = error.to_string();
    if Shown(&plain).to_string() == plain {
        error.exit();
    }
    // An address among the arguments has a secret.
    output::note(plain.trim_end());
    std::process::exit(error.exit_code())
}

/// Names a folder for `XDG_RUNTIME_DIR` where none is named, as in cron and Docker. Mesa's layer that selects a device asks the display
/// server, whose library complains on stderr otherwise.
#[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
fn keep_drivers_quiet() {
    const VARIABLE: &str = "XDG_RUNTIME_DIR";
    let is_named = std::env::var_os(VARIABLE).is_some_and(|dir| Path::new(&dir).is_absolute());
    if !is_named {
        // No display server is found there either.
        unsafe { std::env::set_var(VARIABLE, "/nonexistent") };
    }
}
