//! What the lab does: its models, their settings, and the rule by which alpha is chosen.

use clove_scenes::Style;

use crate::data::{Scenes, Texts};
use crate::report::SweepPoint;
use clove::loss::Loss;
use clove::patch::{self, Tried};
use clove::train::{AdamWConfig, Schedule, TrainConfig};

/// How a scene model is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// Steps.
    pub steps: usize,
    /// Scenes in a step.
    pub batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps on the way up to it.
    pub warmup: usize,
    /// Hard negatives of each caption, in the runs that have them.
    pub negatives: usize,
    /// The image tower's learning rate, as a share of the other's.
    pub image_rate: f64,
    /// What is minimised.
    pub loss: Loss,
}

/// A training run: everything that decides it but the model that it starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What is read.
    pub texts: Texts,
    /// Which scenes are seen.
    pub scenes: Scenes,
    /// How long, and how fast.
    pub recipe: Recipe,
    /// Another draws others.
    pub seed: u64,
}

impl Recipe {
    /// Of the model that comes with the program.
    pub const PRETRAINING: Self = Self {
        steps: 8_000,
        batch: 64,
        learning_rate: 1e-3,
        warmup: 400,
        negatives: 0,
        image_rate: 1.0,
        loss: Loss::Clove,
    };

    /// Of each fine-tuning. What is forgotten, the image tower forgets: fine-tuned images beside pretrained texts recognise
    /// less, and pretrained images beside fine-tuned texts as much as before. So that tower learns by a quarter of the rate.
    pub const FINE_TUNING: Self = Self {
        steps: 950,
        batch: 64,
        learning_rate: 1.5e-3,
        warmup: 50,
        negatives: 1,
        image_rate: 0.25,
        loss: Loss::Clove,
    };

    /// The trainer's settings.
    #[must_use]
    pub fn train_config(&self) -> TrainConfig {
        TrainConfig {
            schedule: Schedule { peak: self.learning_rate, warmup: self.warmup, steps: self.steps },
            optimizer: AdamWConfig::default(),
            clip_norm: Some(1.0),
            loss: self.loss,
            image_rate: self.image_rate,
            ..TrainConfig::new(self.steps)
        }
    }
}

/// The kinds of fine-tuning that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// Full captions without negatives.
    Captions,
    /// Full captions with words exchanged.
    NegClip,
    /// Full captions with words replaced.
    Replace,
    /// Full captions with negatives of every kind.
    Clove,
}

impl Variant {
    /// All of them, in the order of the table. The last is the one that is patched.
    pub const ALL: [Self; 4] = [Self::Captions, Self::NegClip, Self::Replace, Self::Clove];

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Captions => "captions only",
            Self::NegClip => "NegCLIP-style",
            Self::Replace => "REPLACE-style",
            Self::Clove => "CLoVe, unpatched",
        }
    }

    /// For folders.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Captions => "captions",
            Self::NegClip => "negclip",
            Self::Replace => "replace",
            Self::Clove => "clove",
        }
    }

    /// One sentence.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Captions => "fine-tuned on full captions, without hard negatives",
            Self::NegClip => {
                "fine-tuned with hard negatives that exchange two words of the caption"
            }
            Self::Replace => "fine-tuned with hard negatives that replace a word of the caption",
            Self::Clove => "fine-tuned with hard negatives of all seven kinds",
        }
    }

    /// What it learns from.
    #[must_use]
    pub fn texts(self, recipe: &Recipe) -> Texts {
        let style = match self {
            Self::Captions => None,
            Self::NegClip => Some(Style::NegClip),
            Self::Replace => Some(Style::Replace),
            Self::Clove => Some(Style::Mixed),
        };
        Texts::Captions { style, negatives: recipe.negatives }
    }
}

/// [`choose_alpha`]'s rule in words.
pub const RULE: &str = "the alpha with the highest composition on the validation split, among those whose recognition there is \
                        within 1 point of the pretrained model's";

/// Chooses alpha on the validation split by [`RULE`].
#[must_use]
pub fn choose_alpha(points: &[SweepPoint]) -> f64 {
    patch::choose_alpha(points.iter().map(|point| Tried {
        alpha: point.alpha,
        composition: point.composition,
        recognition: Some(point.recognition),
    }))
}
