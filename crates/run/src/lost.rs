//! Handles a lost device. Its memory is gone and its driver can't be trusted, so the run ends with [`crate::Error::DeviceLost`] and
//! resumes from the last checkpoint in a new process.

use std::any::Any;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use clove::train::StepReport;

use crate::error::{Result, one_line};

/// Runs `train`. The outer error describes a device failure: burn 0.22.1 panics when a GPU is lost or out of memory. Without a GPU,
/// panics pass through.
pub fn guard<T>(is_gpu: bool, train: impl FnOnce() -> Result<T>) -> Result<Result<T>, String> {
    if !is_gpu {
        return Ok(train());
    }
    // The error has one line; suppress the message of the panic.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(train));
    panic::set_hook(hook);
    match result {
        Ok(Err(error)) if error.is_of_device() => Err(one_line(&error)),
        Ok(result) => Ok(result),
        Err(panic) => {
            let text = panic_text(&*panic).unwrap_or("no reason given");
            Err(text.lines().next().unwrap_or_default().to_owned())
        }
    }
}

/// The text of a panic.
pub fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// A fault that a test injects into a run.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The loss of the batch with the sample at this position is NaN.
    Nan(u64),
    /// The device is lost at this step, from 0, in this many processes.
    #[expect(missing_docs, reason = "the variant's text covers its fields")]
    Lost { step: usize, lives: u32 },
}

impl FromStr for Fault {
    type Err = String;

    /// Parses `nan@SAMPLE`, `lost@STEP` or `lost@STEPxLIVES`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a fault is nan@SAMPLE or lost@STEPxLIVES".to_owned();
        let (kind, place) = text.split_once('@').ok_or_else(wrong)?;
        let (place, lives) = place.split_once('x').unwrap_or((place, "1"));
        match (kind, place.parse(), lives.parse()) {
            ("nan", Ok(sample), Ok(1)) => Ok(Self::Nan(sample)),
            ("lost", Ok(step), Ok(lives)) => Ok(Self::Lost { step: step as usize, lives }),
            _ => Err(wrong()),
        }
    }
}

impl Fault {
    /// The fault in the process after `restarts` others.
    #[must_use]
    pub fn of_life(self, restarts: u32) -> Self {
        match self {
            Self::Lost { lives, .. } if restarts >= lives => Self::Lost { step: usize::MAX, lives },
            other => other,
        }
    }

    /// Applies the fault to a step on these samples, if it is due.
    #[expect(clippy::panic, reason = "burn panics when a device is lost; the test does the same")]
    pub(crate) fn strike(&mut self, report: &mut StepReport, samples: Range<u64>) {
        match self {
            Self::Nan(sample) if samples.contains(sample) => report.loss = f32::NAN,
            Self::Lost { step, .. } if *step == report.step => panic!("a device that a test lost"),
            _ => {}
        }
    }
}
