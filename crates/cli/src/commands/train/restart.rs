//! Restarts the program in a new process after a lost device, a limited number of times.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clove_run::Error;

use crate::output;

/// Environment variable with the number of restarts so far.
const RESTARTS: &str = "CLOVE_RESTARTS";

pub fn restarts() -> u32 {
    env::var(RESTARTS).ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Resumes in a new process.
pub fn restart(lost: &Error, most: usize) -> Result<()> {
    let restarts = restarts() as usize;
    if restarts >= most {
        bail!(
            "{lost}, after {restarts} restarts (train.recoveries); resume with --resume; if memory was short, lower \
             train.micro_batch or set train.checkpointing"
        );
    }
    output::note(&format!(
        "warning: {lost}; restarting from the last checkpoint ({} of {most} times, train.recoveries)",
        restarts + 1
    ));
    let mut again = Command::new(env::current_exe().context("can't find this program")?);
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let is_resume = |text: &str| text == "--resume" || text.starts_with("--resume=");
    let resumes = arguments.iter().any(|argument| argument.to_str().is_some_and(is_resume));
    again
        .args(arguments)
        .args((!resumes).then_some("--resume"))
        .env(RESTARTS, (restarts + 1).to_string());
    become_it(again)
}

/// Replaces this process, so that signals and the exit code pass through.
#[cfg(unix)]
fn become_it(mut again: Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;

    Err(again.exec()).context("can't restart")
}

/// Runs beside this process, which waits for it.
#[cfg(not(unix))]
fn become_it(mut again: Command) -> Result<()> {
    let status = again.status().context("can't restart")?;
    std::process::exit(status.code().unwrap_or(1))
}
