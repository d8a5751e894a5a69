//! `clove completions`: prints shell completions and the manual page.

use std::io;

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _};
use clap_complete::generate;
use clap_mangen::Man;

use crate::args::{Args, Completions};

pub fn run(args: &Completions) -> Result<()> {
    let mut command = Args::command();
    let mut text = Vec::new();
    if let Some(shell) = args.shell.1 {
        generate(shell, &mut command, "clove", &mut text);
    } else {
        command.build();
        manual(&command, &mut text).context("the manual page")?;
    }
    io::Write::write_all(&mut io::stdout().lock(), &text).context("writing to stdout")
}

fn manual(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    Man::new(command.clone()).render(text)?;
    let subcommands = command.get_subcommands();
    for subcommand in subcommands.filter(|command| command.get_name() != "help") {
        manual(subcommand, text)?;
    }
    Ok(())
}
