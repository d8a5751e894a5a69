//! Handles a lost device, and panics. A lost device's memory is gone and its driver can't be trusted, so the run ends with
//! [`crate::Error::DeviceLost`] and resumes from the last checkpoint in a new process. Any other panic is an error of the program.

use std::any::Any;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use clove::train::StepReport;

use crate::error::{Result, one_line};

/// Why guarded work failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device failed, with this error.
    Device(String),
    /// The program failed, with this panic.
    Panic(String),
}

/// Runs `work`. burn 0.22.1 panics when a GPU is lost or out of memory, often on a thread of its own; without a GPU no panic is one of a
/// device.
pub fn guard<T>(is_gpu: bool, work: impl FnOnce() -> Result<T>) -> Result<Result<T>, Failure> {
    // The error has one line; suppress the messages of panics.
    let panics: Arc<Mutex<Vec<Panic>>> = Arc::default();
    let heard = Arc::clone(&panics);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(Panic::of(info));
    }));
    let result = catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    match result {
        Ok(Err(error)) if is_gpu && error.is_of_device() => Err(Failure::Device(one_line(&error))),
        Ok(result) => Ok(result),
        Err(payload) => {
            let panics = panics.lock().unwrap_or_else(PoisonError::into_inner);
            let of_device = panics.iter().find(|panic| panic.is_of_device(is_gpu));
            Err(match (of_device, panics.first()) {
                (Some(panic), _) => Failure::Device(panic.text.clone()),
                (None, Some(panic)) => Failure::Panic(format!("{}, {}", panic.text, panic.place)),
                (None, None) => Failure::Panic(first_line(panic_text(&*payload))),
            })
        }
    }
}

/// A panic of any thread.
struct Panic {
    text: String,
    /// File, line and column.
    place: String,
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let text = first_line(panic_text(info.payload()));
        let place = info.location().map_or_else(String::new, ToString::to_string);
        Self { text, place }
    }

    /// Whether a GPU failed: a panic in the code that drives it, or one that a test injects.
    fn is_of_device(&self, is_gpu: bool) -> bool {
        /// Crates, as the folders of their sources are named.
        const DRIVERS: [&str; 4] = ["cubecl", "wgpu", "burn-wgpu", "burn-cubecl"];
        let mut folders = self.place.split(['/', '\\']);
        let is_driver = |folder: &str| DRIVERS.iter().any(|driver| folder.starts_with(driver));
        self.text == LOST || (is_gpu && folders.any(is_driver))
    }
}

fn first_line(text: Option<&str>) -> String {
    let text = text.unwrap_or("no reason given");
    text.lines().next().unwrap_or_default().to_owned()
}

/// The text of a panic.
pub fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// The panic of a device that a test loses.
const LOST: &str = "a device that a test lost";

/// A fault that a test injects into a run.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The loss of the batch with the sample at this position is NaN.
    Nan(u64),
    /// The device is lost at this step, from 0, in this many processes.
    #[expect(missing_docs, reason = "the variant's text covers its fields")]
    Lost { step: usize, lives: u32 },
    /// The program panics at this step, from 0.
    Panic(usize),
}

impl FromStr for Fault {
    type Err = String;

    /// Parses `nan@SAMPLE`, `lost@STEP`, `lost@STEPxLIVES` or `panic@STEP`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a fault is nan@SAMPLE, lost@STEPxLIVES or panic@STEP".to_owned();
        let (kind, place) = text.split_once('@').ok_or_else(wrong)?;
        let (place, lives) = place.split_once('x').unwrap_or((place, "1"));
        match (kind, place.parse(), lives.parse()) {
            ("nan", Ok(sample), Ok(1)) => Ok(Self::Nan(sample)),
            ("lost", Ok(step), Ok(lives)) => Ok(Self::Lost { step: step as usize, lives }),
            ("panic", Ok(step), Ok(1)) => Ok(Self::Panic(step as usize)),
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
            Self::Lost { step, .. } if *step == report.step => panic!("{LOST}"),
            Self::Panic(step) if *step == report.step => panic!("a panic that a test injected"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn at(place: &str) -> Panic {
        Panic { text: "no".to_owned(), place: place.to_owned() }
    }

    #[test]
    fn only_panics_of_the_code_that_drives_a_gpu_are_of_the_device() {
        let cubecl = "/registry/src/index/cubecl-wgpu-0.11.3/src/compute/device_poison.rs:42:17";
        assert!(at(cubecl).is_of_device(true));
        assert!(at(r"C:\registry\src\index\wgpu-core-30.0.1\src\device.rs:1:1").is_of_device(true));
        // A CPU isn't lost.
        assert!(!at(cubecl).is_of_device(false));
        let image = "/registry/src/index/image-0.25.10/src/lib.rs:3:4";
        for other in ["crates/run/src/sitting.rs:1:1", image, ""] {
            assert!(!at(other).is_of_device(true), "{other}");
        }
        let lost = Panic { text: LOST.to_owned(), place: String::new() };
        assert!(lost.is_of_device(false));
    }

    #[test]
    fn a_panic_is_told_with_its_text_and_its_place() {
        let result = guard::<()>(true, || panic!("index out of bounds\nand more"));
        let Err(Failure::Panic(why)) = &result else { panic!("{result:?}") };
        assert!(why.starts_with("index out of bounds, "), "{why}");
        assert!(why.contains("lost.rs:"), "{why}");
        let lost = guard::<()>(true, || panic!("{LOST}")).unwrap_err();
        assert_eq!(lost, Failure::Device(LOST.to_owned()));
        assert_eq!(guard(true, || Ok(3)).unwrap().unwrap(), 3);
        let wrong = guard::<()>(true, || Err(Error::Wrong("x".to_owned())));
        assert!(matches!(wrong, Ok(Err(Error::Wrong(_)))));
    }
}
