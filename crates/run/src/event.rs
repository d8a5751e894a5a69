//! Events of a run, for the program that drives it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clove::train::StepReport;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::session::Skipped;
use crate::validation::Line;

/// Receives events, on the thread that works.
pub type Listener<'a> = dyn FnMut(&Event<'_>) -> Control + Send + 'a;

/// A listener's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Control {
    /// Continue.
    #[default]
    Continue,
    /// Save a checkpoint and return [`crate::Error::Stopped`]. The run can be resumed.
    Stop,
    /// End training as if this step were the last: write the model and patch it.
    Finish,
}

/// An event, independent of any front end.
#[derive(Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants' texts cover their fields")]
pub enum Event<'a> {
    /// A remark.
    Note(String),
    /// Progress of work other than training steps: images, texts, bytes or steps done of a total, which can grow.
    Working { what: &'a str, done: u64, of: u64 },
    /// Training begins or resumes: the resolved configuration, the steps already taken and the samples in an epoch.
    Began { config: &'a Config, step: usize, epoch: u64 },
    /// A training step.
    Step(Step),
    /// An unreadable sample, the first of the run or not, was replaced by another; each is told once. `list` is skipped.jsonl.
    Skipped { sample: &'a Skipped, is_first: bool, list: &'a Path },
    /// A validation on held-out pairs. If it is the best so far, the model is written to `best/`. It isn't compared with the ones before
    /// it where these scored other photos.
    Validated { line: &'a Line, is_best: bool, is_compared: bool },
    /// A checkpoint was saved after this number of steps.
    Saved { step: usize },
    /// A step diverged. Training returns to the checkpoint of step `to`, or to the beginning, and skips the batch. It is recovery
    /// `count` of at most `most`.
    SteppedBack { report: StepReport, to: Option<usize>, count: usize, most: usize },
    /// Training has finished and the model is written.
    Finished(Finished),
    /// A validation of the model patched at `alpha`.
    Tried { alpha: f64, line: &'a Line },
    /// The model patched at `alpha` is written to `dir`. `curve` has the figures of every alpha, if alpha was chosen by them.
    Patched { alpha: f64, dir: PathBuf, curve: Option<PathBuf> },
}

/// A training step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The trainer's report.
    pub report: StepReport,
    /// Pairs per second of this step.
    pub step_pairs_per_second: f64,
    /// Pairs per second of this process.
    pub pairs_per_second: f64,
    /// Seconds that the step waited for its batch.
    pub data_wait: f64,
    /// Share of this process's time in which training waited for data.
    pub waiting: f64,
}

/// Summary of a finished run.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Directory of the model.
    pub dir: PathBuf,
    /// Steps taken.
    pub step: usize,
    /// Whether it ended early because validation didn't improve.
    pub is_exhausted: bool,
    /// Directory of the best model on held-out pairs; `None` if no validation was better than the initial model's.
    pub best: Option<PathBuf>,
    /// Pairs trained on by this process.
    pub pairs: usize,
    /// Training time of this process.
    pub took: Duration,
    /// Time that training waited for data.
    pub waited: Duration,
    /// Time that data waited for training.
    pub idle: Duration,
    /// Captions without a negative in this process.
    pub without_negatives: usize,
    /// Distinct unreadable samples of the whole run.
    pub skipped: u64,
    /// Pairs of an image and a text that the loss left out in this process, because a batch had the image or the text more than once.
    pub masked: usize,
}

/// Reports progress. Returns the listener's answer.
pub(crate) fn working(listener: &mut Listener<'_>, what: &str, done: usize, of: usize) -> Control {
    let (done, of) = (done as u64, of as u64);
    listener(&Event::Working { what, done, of })
}

/// Reports progress.
///
/// # Errors
/// [`Error::Asked`] if the listener asks to stop.
pub(crate) fn ask(listener: &mut Listener<'_>, what: &str, done: usize, of: usize) -> Result<()> {
    match working(listener, what, done, of) {
        Control::Stop => Err(Error::Asked),
        Control::Continue | Control::Finish => Ok(()),
    }
}
