//! The parts of the lab that need no browser, and the types of its messages.

pub mod address;
pub mod editor;
pub mod lesson;
pub mod settings;

pub use clove_scenes::figures::{Contest, Map, Measured};
use serde::{Deserialize, Serialize};

/// A model of the lab.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Of {
    /// The page's pretrained model.
    Pretrained,
    /// The page's fine-tuned model.
    #[default]
    Shipped,
    /// A model trained or opened in the lab, by the page's number for it.
    Held(u32),
}

/// A patched model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// The fine-tuned model.
    pub of: Of,
    /// Alpha: 0 is the pretrained model, 1 the fine-tuned one.
    pub alpha: f64,
}

impl Weights {
    /// The model itself, unpatched.
    pub fn of(of: Of) -> Self {
        Self { of, alpha: 1.0 }
    }
}

/// The pictures that a model is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// A small part of the validation split, for learning curves.
    Glance,
    /// A part of the validation split, to choose alpha.
    Sweep,
    /// A part of the test split.
    Test,
    /// The pairs of the test split whose captions differ by swapped words.
    Swaps,
}

/// A training step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counted from 0.
    pub step: usize,
    /// The loss of the batch, before the step.
    pub loss: f32,
    /// Duration, including the drawing of the batch.
    pub milliseconds: f64,
    /// Whether the run is complete.
    pub is_last: bool,
}
