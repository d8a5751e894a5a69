//! Why the lab stops.

use thiserror::Error;

use clove::preprocess::PreprocessError;
use clove::score::ScoreError;
use clove::tokenizer::TokenizerError;

/// Why a lab run stops.
#[derive(Debug, Error)]
pub enum LabError {
    /// The device fails, or the model gives no numbers.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A saved run can't be taken up again.
    #[cfg(feature = "train")]
    #[error(transparent)]
    State(#[from] clove::train::StateError),
    /// The scene models' vocabulary can't be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The scene models' preprocessing can't be used.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// A model's weights can't be used.
    #[error(transparent)]
    Weights(#[from] clove::weights::WeightsError),
    /// An example's picture can't be encoded.
    #[cfg(feature = "train")]
    #[error("a picture can't be written as PNG: {0}")]
    Picture(#[from] image::ImageError),
    /// The loss isn't a number any more.
    #[error("the loss of step {step} is {loss}; lower the learning rate")]
    Diverged {
        /// Counted from 0.
        step: usize,
        /// What it is.
        loss: f32,
    },
}
