//! The lab's errors.

use thiserror::Error;

use clove::preprocess::PreprocessError;
use clove::score::ScoreError;
use clove::tokenizer::TokenizerError;

/// The failure of a lab run.
#[derive(Debug, Error)]
pub enum LabError {
    /// The device failed, or an embedding isn't finite.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A saved run can't be resumed.
    #[cfg(feature = "train")]
    #[error(transparent)]
    State(#[from] clove::train::StateError),
    /// The scene models' tokenizer is invalid.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The scene models' preprocessing is invalid.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// A model's weights are invalid.
    #[error(transparent)]
    Weights(#[from] clove::weights::WeightsError),
    /// An example's picture can't be encoded as PNG.
    #[cfg(feature = "train")]
    #[error("can't encode a picture as PNG: {0}")]
    Picture(#[from] image::ImageError),
    /// The loss of this step, counted from 0, isn't finite.
    #[error("the loss of step {step} is {loss}; lower the learning rate")]
    #[expect(missing_docs, reason = "the variant's text covers its fields")]
    Diverged { step: usize, loss: f32 },
}
