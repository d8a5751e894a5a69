//! `clove completions`: scripts that complete the program's arguments in a shell, and its manual page.

use std::io;

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::args::{Args, Completions, CompletionsFor};

pub fn run(args: &Completions) -> Result<()> {
    let mut command = Args::command();
    let mut text = Vec::new();
    match args.shell {
        CompletionsFor::Bash => generate(Shell::Bash, &mut command, "clove", &mut text),
        CompletionsFor::Elvish => generate(Shell::Elvish, &mut command, "clove", &mut text),
        CompletionsFor::Fish => generate(Shell::Fish, &mut command, "clove", &mut text),
        CompletionsFor::Powershell => generate(Shell::PowerShell, &mut command, "clove", &mut text),
        CompletionsFor::Zsh => generate(Shell::Zsh, &mut command, "clove", &mut text),
        CompletionsFor::Man => {
            command.build();
            manual(&command, &mut text).context("the manual page")?;
        }
    }
    io::Write::write_all(&mut io::stdout().lock(), &text).context("writing to stdout")
}

/// The page of a command, followed by those of its subcommands.
fn manual(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    Man::new(command.clone()).render(text)?;
    let subcommands = command.get_subcommands();
    for subcommand in subcommands.filter(|command| command.get_name() != "help") {
        manual(subcommand, text)?;
    }
    Ok(())
}
