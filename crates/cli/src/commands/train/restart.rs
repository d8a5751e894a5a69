//! After a device was lost the program begins anew in another process, a bounded number of times.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clove_run::Error;

use crate::output;

/// How often a run's program has begun anew, told from one process to the next.
const RESTARTS: &str = "CLOVE_RESTARTS";

/// How often this run's program has begun anew.
pub fn restarts() -> u32 {
    env::var(RESTARTS).ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Goes on in a new process, with --resume.
pub fn restart(lost: &Error, most: usize) -> Result<()> {
    let restarts = restarts() as usize;
    if restarts >= most {
        bail!(
            "{lost}, after {restarts} new beginnings (train.recoveries); the run's checkpoints are whole: --resume goes on, \
             with a lower train.micro_batch or train.checkpointing where memory was short"
        );
    }
    output::note(&format!(
        "warning: {lost}; beginning anew from the last checkpoint ({} of {most} times, train.recoveries)",
        restarts + 1
    ));
    let mut again = Command::new(env::current_exe().context("can't find this program")?);
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let resumes = arguments.iter().any(|argument| argument == "--resume");
    again
        .args(arguments)
        .args((!resumes).then_some("--resume"))
        .env(RESTARTS, (restarts + 1).to_string());
    become_it(again)
}

/// In the place of this process: signals and its end reach whoever started it.
#[cfg(unix)]
fn become_it(mut again: Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;

    Err(again.exec()).context("can't begin anew")
}

/// Beside this process, which waits for it.
#[cfg(not(unix))]
fn become_it(mut again: Command) -> Result<()> {
    let status = again.status().context("can't begin anew")?;
    std::process::exit(status.code().unwrap_or(1))
}
