//! The CLoVe method on synthetic scenes, natively and in a browser: fine-tuning, its loss of recognition, and patching.
//!
//! A [`Recipe`] has the settings of a training run, [`Tuning`] trains a model step by step, a [`SceneSuite`] measures it, and a
//! [`Report`] holds the results.
//!
//! ```no_run
//! use clove_lab::{Plan, Recipe, Scenes, Tuning, Variant, pretrained};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recipe = Recipe { steps: 100, ..Recipe::FINE_TUNING };
//! let texts = Variant::Clove.texts(&recipe);
//! let plan = Plan { texts, scenes: Scenes::New, recipe, seed: 0 };
//! let device = clove::device::cpu().device.autodiff();
//! let mut tuning = Tuning::new(&pretrained()?, plan, &device)?;
//! while !tuning.is_done() {
//!     let report = pollster::block_on(tuning.step())?;
//!     println!("step {}: loss {:.3}", tuning.steps(), report.loss);
//! }
//! # Ok(())
//! # }
//! ```

mod data;
mod error;
mod inside;
mod model;
#[cfg(feature = "train")]
mod recipe;
#[cfg(feature = "train")]
mod report;
mod shipped;
mod shortcut;
#[cfg(feature = "train")]
mod story;
mod suite;
#[cfg(feature = "train")]
mod tuning;

pub use clove::patch::ALLOWED_LOSS;
pub use clove_scenes::common_words;
pub use clove_scenes::figures::{Contest, Map, Measured};
pub use data::{SceneSample, Scenes, Texts, pixels};
pub use error::LabError;
pub use inside::{Matrix, map, matrix};
pub use model::{
    CONTEXT_LENGTH, IMAGE_SIZE, config, preprocess, scorer, tokenizer, tokenizer_json,
};
#[cfg(feature = "train")]
pub use recipe::{Plan, RULE, Recipe, Variant, choose_alpha};
#[cfg(feature = "train")]
pub use report::*;
pub use shipped::{Deltas, directory, read_deltas, read_model, write_deltas, write_model};
#[cfg(feature = "models")]
pub use shipped::{finetuned, pretrained};
pub use shortcut::shortcut;
#[cfg(feature = "train")]
pub use story::{blind_rows, examples, model_row};
pub use suite::{SceneSuite, Sizes, figures};
#[cfg(feature = "train")]
pub use tuning::Tuning;
