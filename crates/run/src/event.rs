//! Events of a run, for the program that drives it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clove::train::StepReport;

use crate::config::Config;
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
pub enum Event<'a> {
    /// A remark.
    Note(String),
    /// Progress of work other than training steps.
    Working {
        /// Name of the work.
        what: &'a str,
        /// Units done: images, texts, bytes or steps.
        done: u64,
        /// Total, which can grow.
        of: u64,
    },
    /// Training begins or resumes.
    Began {
        /// The resolved configuration.
        config: &'a Config,
        /// Steps already taken.
        step: usize,
        /// Samples in an epoch.
        epoch: u64,
    },
    /// A training step.
    Step(Step),
    /// An unreadable sample was replaced by another.
    Skipped {
        /// The sample and the reason.
        sample: &'a Skipped,
        /// Whether it is the first of the run.
        is_first: bool,
        /// The list of skipped samples, skipped.jsonl.
        list: &'a Path,
    },
    /// A validation on held-out pairs.
    Validated {
        /// The figures.
        line: &'a Line,
        /// Whether the model is the best so far; it is then written to `best/`.
        is_best: bool,
    },
    /// A checkpoint was saved.
    Saved {
        /// Steps taken.
        step: usize,
    },
    /// A step diverged. Training returns to a checkpoint and skips the batch.
    SteppedBack {
        /// The report of the step.
        report: StepReport,
        /// The step of the checkpoint; `None` for the beginning.
        to: Option<usize>,
        /// Recoveries of this run so far.
        count: usize,
        /// Maximum number of recoveries.
        most: usize,
    },
    /// Training has finished and the model is written.
    Finished(Finished),
    /// A validation of a patched model.
    Tried {
        /// Alpha of the model.
        alpha: f64,
        /// The figures.
        line: &'a Line,
    },
    /// The patched model is written.
    Patched {
        /// Alpha of the model.
        alpha: f64,
        /// Directory of the model.
        dir: PathBuf,
        /// File with the figures of every alpha, if alpha was chosen by them.
        curve: Option<PathBuf>,
    },
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
    /// Unreadable samples of the whole run.
    pub skipped: u64,
}

/// Reports progress. Returns the listener's answer.
pub(crate) fn working(listener: &mut Listener<'_>, what: &str, done: usize, of: usize) -> Control {
    let (done, of) = (done as u64, of as u64);
    listener(&Event::Working { what, done, of })
}
