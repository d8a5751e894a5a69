//! What a run tells whoever drives it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clove::train::StepReport;

use crate::config::Config;
use crate::session::Skipped;
use crate::validation::Line;

/// Whoever is told. It is called on the threads that work.
pub type Listener<'a> = dyn FnMut(&Event<'_>) -> Control + Send + 'a;

/// What a listener wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Control {
    /// To go on.
    #[default]
    Continue,
    /// To stop. Training saves a checkpoint and gives [`crate::Error::Stopped`]; resumed, it goes on from there.
    Stop,
    /// To end training here as if this step were the last: the model is written and patched.
    Finish,
}

/// What happens. It derives nothing from a front end: numbers are numbers, and texts are whole sentences.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something worth knowing.
    Note(String),
    /// Work other than training steps: what it is, how much is done, and of how much.
    Working {
        /// In a word or two.
        what: &'a str,
        /// Units done: images, texts, bytes, steps.
        done: u64,
        /// Of so many; more may come.
        of: u64,
    },
    /// Training begins, or goes on.
    Began {
        /// The resolved configuration.
        config: &'a Config,
        /// Steps taken before.
        step: usize,
        /// Samples in an epoch.
        epoch: u64,
    },
    /// A step was taken.
    Step(Step),
    /// A sample couldn't be read; another took its place.
    Skipped {
        /// Which and why.
        sample: &'a Skipped,
        /// Whether it's the first of the run.
        is_first: bool,
        /// The list of all, skipped.jsonl.
        list: &'a Path,
    },
    /// The model was tried on held-out pairs.
    Validated {
        /// Its figures.
        line: &'a Line,
        /// Whether it's the best so far; its model is then written to `best/`.
        is_best: bool,
    },
    /// A checkpoint was saved.
    Saved {
        /// Steps taken.
        step: usize,
    },
    /// A step spoilt the weights: training goes back, and past this batch.
    SteppedBack {
        /// What the step did.
        report: StepReport,
        /// The step of the checkpoint; none for the beginning.
        to: Option<usize>,
        /// How often that happened in this run, and how often it may.
        count: usize,
        /// How often it may.
        most: usize,
    },
    /// Training is over, and the model is written.
    Finished(Finished),
    /// A patched model was tried on held-out pairs.
    Tried {
        /// Its alpha.
        alpha: f64,
        /// Its figures.
        line: &'a Line,
    },
    /// The patched model is written.
    Patched {
        /// Its alpha.
        alpha: f64,
        /// Its directory.
        dir: PathBuf,
        /// The figures of every alpha, if it was chosen by them.
        curve: Option<PathBuf>,
    },
}

/// A step of training.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What the trainer says of it.
    pub report: StepReport,
    /// Pairs a second of this step.
    pub step_pairs_per_second: f64,
    /// Pairs a second since this process went to work.
    pub pairs_per_second: f64,
    /// Seconds that the step waited for its batch.
    pub data_wait: f64,
    /// The share of the time since this process went to work in which training waited for data.
    pub waiting: f64,
}

/// A run that is over.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The model's directory.
    pub dir: PathBuf,
    /// Steps taken.
    pub step: usize,
    /// Whether it ended early, since held-out pairs were found no better.
    pub is_exhausted: bool,
    /// Pairs learned from by this process, and in which time.
    pub pairs: usize,
    /// How long this process trained.
    pub took: Duration,
    /// How long training waited for data.
    pub waited: Duration,
    /// How long data waited for training.
    pub idle: Duration,
    /// Captions of this process's pairs that had no negative.
    pub without_negatives: usize,
    /// Samples of the whole run that couldn't be read.
    pub skipped: u64,
}

/// Tells of work, and hears whether to go on.
pub(crate) fn working(listener: &mut Listener<'_>, what: &str, done: usize, of: usize) -> Control {
    let (done, of) = (done as u64, of as u64);
    listener(&Event::Working { what, done, of })
}

/// A listener that hears nothing.
pub fn silent(_: &Event<'_>) -> Control {
    Control::Continue
}
