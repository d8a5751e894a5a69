//! The `clove` program: arguments, listeners and printing. The crates `clove`, `clove-data` and `clove-run` do the work.

mod args;
mod commands;
mod interrupt;
mod listener;
mod model;
mod output;
mod progress;
mod tensors;
mod thumbnail;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    // Exits with 2 on invalid arguments, and with 0 on --help and --version.
    let Args { command, device } = Args::parse();
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
            ExitCode::FAILURE
        }
    }
}
