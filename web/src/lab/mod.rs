//! The lab in a browser: what needs no browser of it, and what its messages are about.

pub mod address;
pub mod editor;
pub mod lesson;
pub mod settings;

use serde::{Deserialize, Serialize};

/// A model of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Of {
    /// The pretrained one that comes with the page.
    Pretrained,
    /// What CLoVe made of it, which comes with the page too.
    Shipped,
    /// One that was trained or opened here, by the page's name for it.
    Held(u32),
}

/// A model, patched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// The fine-tuned one.
    pub of: Of,
    /// How far from the pretrained one, 0, to it, 1.
    pub alpha: f64,
}

impl Weights {
    /// The model as it is.
    #[must_use]
    pub fn of(of: Of) -> Self {
        Self { of, alpha: 1.0 }
    }
}

/// Which pictures a model is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// A small part of the validation split, for curves.
    Glance,
    /// A part of the validation split on which alpha is chosen.
    Sweep,
    /// A part of the test split.
    Test,
    /// Of the test split the pairs whose captions differ by an exchange alone.
    Swaps,
}

/// A training step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counted from 0.
    pub step: usize,
    /// Of the batch, before the step.
    pub loss: f32,
    /// How long it took, drawing included.
    pub milliseconds: f64,
    /// Whether it was the run's last.
    pub is_last: bool,
}

/// A model's figures, from 0 to 1; none where the suite has nothing of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The mean of the kinds.
    pub composition: Option<f64>,
    /// Accuracy by SugarCrepe's kinds.
    pub kinds: Vec<(String, f64)>,
    /// Recognition of classes that fine-tuning never shows.
    pub unseen: Option<f64>,
    /// Recognition of those that it shows.
    pub seen: Option<f64>,
}

impl Measured {
    /// The mean of the kinds that exchange words.
    #[must_use]
    pub fn swaps(&self) -> Option<f64> {
        let swaps = self.kinds.iter().filter(|(kind, _)| kind.starts_with("swap"));
        let values: Vec<f64> = swaps.map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// A benchmark that the blind took too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// How its wrong captions are made.
    pub name: String,
    /// The model's accuracy, from 0 to 1.
    pub model: f64,
    /// Rules that never see a picture, with their accuracy.
    pub blind: Vec<(String, f64)>,
    /// A caption and its wrong one.
    pub example: [String; 2],
}
