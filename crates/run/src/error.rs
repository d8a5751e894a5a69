//! Why a run, or an evaluation, ends early.

use std::fmt::Display;
use std::path::PathBuf;

use clove::device::DeviceError;
use clove::evaluate::EvaluateError;
use clove::patch::PatchError;
use clove::score::ScoreError;
use clove::train::StateError;
use clove::weights::WeightsError;
use clove_data::DataError;
use clove_data::run::RunError;
use clove_lab::LabError;

/// What functions of this crate give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run, or an evaluation, ends early. The sources of an error tell the rest of it; see [`one_line`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key, a file or a value isn't what it has to be; the text names it.
    #[error("{0}")]
    Wrong(String),
    /// Something went wrong at a place: a file, a key, a step.
    #[error("{place}")]
    At {
        /// The place.
        place: String,
        /// What went wrong.
        source: Box<Self>,
    },
    /// A listener asked to stop. A checkpoint of this step was saved, so the run can go on.
    #[error("stopped after step {step} of {steps}; everything is kept in {}", out.display())]
    Stopped {
        /// Steps taken.
        step: usize,
        /// Steps that the run has.
        steps: usize,
        /// The run's folder.
        out: PathBuf,
    },
    /// The device failed. What lies on it is lost for this process; the run goes on from its last checkpoint in another.
    #[error("the device failed in step {step} ({why})")]
    DeviceLost {
        /// The step.
        step: usize,
        /// What the device said.
        why: String,
    },
    /// Files of data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run's folder.
    #[error(transparent)]
    Folder(#[from] RunError),
    /// Scenes.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// No such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The device fails while it computes, or the model gives no numbers.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A checkpoint isn't that of this run.
    #[error(transparent)]
    State(#[from] StateError),
    /// A model's files.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Two models can't be patched.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The inputs of an evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A model's configuration.
    #[error(transparent)]
    Model(#[from] clove::model::ConfigError),
    /// A model's tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] clove::tokenizer::TokenizerError),
    /// A photo can't be preprocessed.
    #[error(transparent)]
    Preprocess(#[from] clove::preprocess::PreprocessError),
    /// A photo can't be decoded.
    #[error(transparent)]
    Decode(#[from] clove::preprocess::DecodeError),
    /// The lexicon of negatives.
    #[error(transparent)]
    Lexicon(#[from] clove_negatives::LexiconError),
    /// The system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Threads can't be started.
    #[error(transparent)]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A line that can't be read or written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A configuration that can't be written.
    #[error(transparent)]
    Toml(#[from] toml::ser::Error),
    /// A configuration that can't be read.
    #[error(transparent)]
    Document(#[from] toml::de::Error),
}

impl Error {
    /// Whether it's the device that failed.
    pub(crate) fn is_of_device(&self) -> bool {
        match self {
            Self::At { source, .. } => source.is_of_device(),
            Self::Score(_) => true,
            _ => false,
        }
    }
}

/// An error and what caused it, on one line.
#[must_use]
pub fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let part = error.to_string().replace(char::is_control, " ");
        // Some errors repeat their source in their own text.
        if !parts.last().is_some_and(|last| last.contains(&part)) {
            parts.push(part);
        }
        cause = error.source();
    }
    parts.join(": ")
}

/// Says where something went wrong.
pub(crate) trait Context<T> {
    fn context(self, place: impl Display) -> Result<T>
    where
        Self: Sized,
    {
        self.with_context(|| place)
    }

    fn with_context<P: Display>(self, place: impl FnOnce() -> P) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn with_context<P: Display>(self, place: impl FnOnce() -> P) -> Result<T> {
        self.map_err(|error| Error::At {
            place: place().to_string(),
            source: Box::new(error.into()),
        })
    }
}

impl<T> Context<T> for Option<T> {
    fn with_context<P: Display>(self, place: impl FnOnce() -> P) -> Result<T> {
        self.ok_or_else(|| Error::Wrong(place().to_string()))
    }
}

/// Ends with an [`Error::Wrong`].
macro_rules! bail {
    ($($text:tt)*) => {
        return Err($crate::Error::Wrong(format!($($text)*)))
    };
}

pub(crate) use bail;
