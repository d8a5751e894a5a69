//! A device that is lost takes its process with it: what it held can't be had again, and what the driver still answers can't be
//! trusted. So [`crate::Error::DeviceLost`] is what remains, and the run goes on from its last checkpoint in another process.

use std::any::Any;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use clove::train::StepReport;

use crate::error::{Result, one_line};

/// Trains; the error, in words, is a device's that failed. burn 0.22.1 panics where a GPU is lost or out of memory, and nothing
/// is caught where there is none.
pub fn guard<T>(is_gpu: bool, train: impl FnOnce() -> Result<T>) -> Result<Result<T>, String> {
    if !is_gpu {
        return Ok(train());
    }
    // What is said of it is one line, and not the panic's.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(train));
    panic::set_hook(hook);
    match result {
        Ok(Err(error)) if error.is_of_device() => Err(one_line(&error)),
        Ok(result) => Ok(result),
        Err(panic) => Err(message(&*panic)),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it failed").lines().next().unwrap_or_default().to_owned()
}

/// What a test does to a run, to see what becomes of it.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The loss of the batch with this sample, in the order of training, isn't a number.
    Nan(u64),
    /// The device is lost at this step, in so many lives of the program.
    Lost {
        /// Counted from 0.
        step: usize,
        /// How often.
        lives: u32,
    },
}

impl FromStr for Fault {
    type Err = String;

    /// `nan@SAMPLE`, or `lost@STEP` with `xLIVES` behind it where it's more than one.
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
    /// What is left of it in the life after so many.
    #[must_use]
    pub fn of_life(self, restarts: u32) -> Self {
        match self {
            Self::Lost { lives, .. } if restarts >= lives => Self::Lost { step: usize::MAX, lives },
            other => other,
        }
    }

    /// Strikes after a step on these samples, where it's due.
    #[expect(
        clippy::panic,
        reason = "burn panics where a device is lost, and so does what takes its part"
    )]
    pub(crate) fn strike(&mut self, report: &mut StepReport, samples: Range<u64>) {
        match self {
            Self::Nan(sample) if samples.contains(sample) => report.loss = f32::NAN,
            Self::Lost { step, .. } if *step == report.step => panic!("a device that a test lost"),
            _ => {}
        }
    }
}
