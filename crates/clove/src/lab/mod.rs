//! The whole method on drawn scenes: fine-tune, break recognition, patch it back.

mod data;
mod error;
#[cfg(feature = "train")]
pub mod html;
mod model;
#[cfg(feature = "train")]
mod recipe;
#[cfg(feature = "train")]
mod report;
mod shipped;
#[cfg(feature = "train")]
mod story;
mod suite;
#[cfg(feature = "train")]
mod tuning;

pub use data::{SceneSample, Texts, pixels};
pub use error::LabError;
pub use model::{CONTEXT_LENGTH, IMAGE_SIZE, config, preprocess, tokenizer, tokenizer_json};
#[cfg(feature = "train")]
pub use recipe::{ALLOWED_LOSS, RULE, Recipe, Variant, alphas, choose_alpha};
#[cfg(feature = "train")]
pub use report::*;
pub use shipped::{Deltas, read_deltas, read_model, write_deltas, write_model};
#[cfg(feature = "models")]
pub use shipped::{finetuned, pretrained};
#[cfg(feature = "train")]
pub use story::{blind_rows, examples, model_row};
pub use suite::{SceneSuite, Sizes, figures, kinds};
#[cfg(feature = "train")]
pub use tuning::{Tuning, scorer};
