//! Errors of runs and evaluations.

use std::fmt::Display;
use std::path::PathBuf;

use clove::device::ReadBackError;
use clove::evaluate::EvaluateError;
use clove::score::ScoreError;
use clove::weights::WeightsError;
use clove_data::DataError;
use clove_data::fetch::Shown;
use clove_data::run::RunError;
use clove_lab::LabError;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run or an evaluation failed. [`one_line`] adds the sources of an error.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the variants' texts cover their fields")]
pub enum Error {
    /// An invalid key, file or value, which the text names.
    #[error("{0}")]
    Wrong(String),
    /// An error at a place: a file, a key or a step.
    #[error("{place}")]
    At { place: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// A listener asked to stop. A checkpoint of this step was saved in the run's folder, so the run can be resumed.
    #[error("stopped after step {step} of {steps}; the run is saved in {}", out.display())]
    Stopped { step: usize, steps: usize, out: PathBuf },
    /// A listener asked to stop before there was anything to save.
    #[error("stopped")]
    Asked,
    /// The program failed, with this panic. The run can be resumed from its last checkpoint.
    #[error(
        "the program failed in step {step} ({why}); this is an error of the program, please report it; the run resumes from its last \
         checkpoint"
    )]
    Panicked { step: usize, why: String },
    /// The device failed, with this error. The run can be resumed from its last checkpoint in a new process.
    #[error("the device failed in step {step} ({why})")]
    DeviceLost { step: usize, why: String },
    /// A data file.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A run's folder.
    #[error(transparent)]
    Folder(#[from] RunError),
    /// The lab.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A device failure during computation, or a model with non-finite output.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A model's files.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Invalid input of an evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A photo that can't be preprocessed.
    #[error(transparent)]
    Preprocess(#[from] clove::preprocess::PreprocessError),
    /// A photo that can't be decoded.
    #[error(transparent)]
    Decode(#[from] clove::preprocess::DecodeError),
    /// A configuration that can't be serialized.
    #[error(transparent)]
    Toml(#[from] toml::ser::Error),
}

impl From<ReadBackError> for Error {
    fn from(error: ReadBackError) -> Self {
        Self::Score(error.into())
    }
}

impl Error {
    /// Whether the device failed.
    pub(crate) fn is_of_device(&self) -> bool {
        let failed = |error: &ScoreError| matches!(error, ScoreError::Device(_));
        match self {
            Self::At { source, .. } => match source.downcast_ref::<Self>() {
                Some(source) => source.is_of_device(),
                None => source.downcast_ref::<ScoreError>().is_some_and(failed),
            },
            Self::Score(error) => failed(error),
            _ => false,
        }
    }

    /// Whether a listener asked to stop.
    pub(crate) fn is_asked(&self) -> bool {
        match self {
            Self::Asked => true,
            Self::At { source, .. } => source.downcast_ref::<Self>().is_some_and(Self::is_asked),
            _ => false,
        }
    }
}

/// An error and its causes, on one line, without the secrets of addresses.
pub fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let part = error.to_string().replace(char::is_control, " ");
        // Some errors repeat their source.
        if !parts.last().is_some_and(|last| last.contains(&part)) {
            parts.push(part);
        }
        cause = error.source();
    }
    // Of an address that an error of the system or of a parser names.
    Shown(&parts.join(": ")).to_string()
}

/// Adds the place of an error.
pub(crate) trait Context<T> {
    fn context(self, place: impl Display) -> Result<T>
    where
        Self: Sized,
    {
        self.with_context(|| place)
    }

    fn with_context<P: Display>(self, place: impl FnOnce() -> P) -> Result<T>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> Context<T> for Result<T, E> {
    fn with_context<P: Display>(self, place: impl FnOnce() -> P) -> Result<T> {
        self.map_err(|error| Error::At { place: place().to_string(), source: Box::new(error) })
    }
}

impl<T> Context<T> for Option<T> {
    fn with_context<P: Display>(self, place: impl FnOnce() -> P) -> Result<T> {
        self.ok_or_else(|| Error::Wrong(place().to_string()))
    }
}

/// Returns an [`Error::Wrong`].
macro_rules! bail {
    ($($text:tt)*) => {
        return Err($crate::Error::Wrong(format!($($text)*)))
    };
}

pub(crate) use bail;
