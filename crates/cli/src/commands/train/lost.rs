//! A device that is lost takes its process with it: what it held can't be had again, and what the driver still answers can't be
//! trusted. So the program begins anew, from the last checkpoint, a bounded number of times.

use std::any::Any;
use std::env;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clove::score::ScoreError;
use clove::train::StepReport;

use super::run::{Outcome, Run};
use crate::output;

/// How often a run's program has begun anew, told from one process to the next.
const RESTARTS: &str = "CLOVE_RESTARTS";

/// How often this run's program has begun anew.
pub fn restarts() -> u32 {
    env::var(RESTARTS)
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}

/// Trains; the error, in words, is a device's that failed. burn 0.22.1 panics where a GPU is lost or out of memory.
pub fn guard(train: impl FnOnce() -> Result<Outcome>) -> Result<Result<Outcome>, String> {
    // What is said of it is one line, and not the panic's.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(train));
    panic::set_hook(hook);
    match result {
        Ok(Err(error)) if error.chain().any(<dyn std::error::Error>::is::<ScoreError>) => {
            Err(output::one_line(&error))
        }
        Ok(result) => Ok(result),
        Err(panic) => Err(message(&*panic)),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it failed")
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Goes on in a new process, with --resume.
pub fn restart(run: Run<'_>, why: &str, most: usize) -> Result<()> {
    let restarts = restarts() as usize;
    let device = format!("the device failed in step {} ({why})", run.trainer.steps());
    // Only its folder is let go, for the next process; what lies on the device is not touched again.
    run.let_go();
    if restarts >= most {
        bail!(
            "{device}, after {restarts} new beginnings (train.recoveries); the run's checkpoints are whole: --resume goes on, \
             with a lower train.micro_batch or train.checkpointing where memory was short"
        );
    }
    output::note(&format!(
        "warning: {device}; beginning anew from the last checkpoint ({} of {most} times, train.recoveries)",
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

/// What a test does to a run, to see what becomes of it.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The loss of the batch with this sample, in the order of training, isn't a number.
    Nan(u64),
    /// The device is lost at this step, in so many lives of the program.
    Lost { step: usize, lives: u32 },
}

impl Fault {
    /// `nan@SAMPLE`, or `lost@STEP` with `xLIVES` behind it where it's more than one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "a fault is nan@SAMPLE or lost@STEPxLIVES".to_owned();
        let (kind, place) = text.split_once('@').ok_or_else(wrong)?;
        let (place, lives) = place.split_once('x').unwrap_or((place, "1"));
        match (kind, place.parse(), lives.parse()) {
            ("nan", Ok(sample), Ok(1)) => Ok(Self::Nan(sample)),
            ("lost", Ok(step), Ok(lives)) => Ok(Self::Lost {
                step: step as usize,
                lives,
            }),
            _ => Err(wrong()),
        }
    }

    /// What is left of it in the life after so many.
    pub fn of_life(self, restarts: u32) -> Self {
        match self {
            Self::Lost { lives, .. } if restarts >= lives => Self::Lost {
                step: usize::MAX,
                lives,
            },
            other => other,
        }
    }

    /// Strikes after a step on these samples, where it's due.
    #[expect(
        clippy::panic,
        reason = "burn panics where a device is lost, and so does what takes its part"
    )]
    pub fn strike(&mut self, report: &mut StepReport, samples: Range<u64>) {
        match self {
            Self::Nan(sample) if samples.contains(sample) => report.loss = f32::NAN,
            Self::Lost { step, .. } if *step == report.step => panic!("a device that a test lost"),
            _ => {}
        }
    }
}
