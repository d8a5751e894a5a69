//! The `clove` program: arguments, listeners and printing. What is computed stands in the crate `clove`, what is read from disk
//! in `clove-data`, and a training run in `clove-run`.

mod args;
mod commands;
mod interrupt;
mod listener;
mod model;
mod output;
mod parallel;
mod progress;
mod tensors;
mod thumbnail;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    // clap ends with 2 on arguments that don't parse, and with 0 on --help and --version.
    let args = Args::parse();
    let result = match args.command {
        Command::Lab(args) => commands::lab::run(&args),
        Command::Train(args) => commands::train::run(&args),
        Command::Data(args) => commands::data::run(&args),
        Command::Score(args) => commands::score::run(&args),
        Command::Embed(args) => commands::embed::run(&args),
        Command::Tokenize(args) => commands::tokenize::run(&args),
        Command::Preprocess(args) => commands::preprocess::run(&args),
        Command::Negatives(args) => commands::negatives::run(&args),
        Command::Patch(args) => commands::patch::run(&args),
        Command::Eval(args) => commands::eval::run(&args),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Devices(args) => commands::devices::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `clove ... | head` closes the pipe early; that's no error of ours.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
