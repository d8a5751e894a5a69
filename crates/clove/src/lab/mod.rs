//! The whole method on drawn scenes: fine-tune, break recognition, patch it back.

mod data;
pub mod html;
mod model;
mod recipe;
mod report;
mod shipped;
mod story;
mod suite;
mod tuning;

pub use data::{SceneSample, Texts, pixels};
pub use model::{CONTEXT_LENGTH, IMAGE_SIZE, config, preprocess, tokenizer, tokenizer_json};
pub use recipe::{ALLOWED_LOSS, RULE, Recipe, Variant, alphas, choose_alpha};
pub use report::*;
pub use shipped::{finetuned, pretrained, read_deltas, read_model, write_deltas, write_model};
pub use story::{blind_rows, examples, model_row};
pub use suite::{SceneSuite, Sizes, figures, kinds};
pub use tuning::{LabError, Tuning, scorer};
