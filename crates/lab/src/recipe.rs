//! Recipes of training runs, and the choice of alpha.

use clove_scenes::Style;

use crate::data::{Scenes, Texts};
use crate::report::SweepPoint;
use clove::loss::Loss;
use clove::patch::{self, Tried};
use clove::train::{AdamWConfig, Schedule, TrainConfig};

/// The settings of a training run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// Steps.
    pub steps: usize,
    /// Scenes per step.
    pub batch: usize,
    /// The peak learning rate.
    pub learning_rate: f64,
    /// Warmup steps.
    pub warmup: usize,
    /// Hard negatives per caption, in runs with hard negatives.
    pub negatives: usize,
    /// The image tower's learning rate, relative to the peak.
    pub image_rate: f64,
    /// The loss.
    pub loss: Loss,
}

/// A training run, except the model that it starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The texts.
    pub texts: Texts,
    /// The scenes.
    pub scenes: Scenes,
    /// The recipe.
    pub recipe: Recipe,
    /// Seeds the scenes.
    pub seed: u64,
}

impl Recipe {
    /// The recipe of the included pretrained model.
    pub const PRETRAINING: Self = Self {
        steps: 8_000,
        batch: 64,
        learning_rate: 1e-3,
        warmup: 400,
        negatives: 0,
        image_rate: 1.0,
        loss: Loss::Clove,
    };

    /// The recipe of each fine-tuning. Forgetting happens in the image tower: fine-tuned images with pretrained texts lose
    /// recognition, and pretrained images with fine-tuned texts don't. So this tower learns at a quarter of the rate.
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

/// The fine-tunings that the lab compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// Full captions, no negatives.
    Captions,
    /// Full captions, swapped words.
    NegClip,
    /// Full captions, replaced words.
    Replace,
    /// Full captions, negatives of all kinds.
    Clove,
}

impl Variant {
    /// All variants, in the order of the table. The last is patched.
    pub const ALL: [Self; 4] = [Self::Captions, Self::NegClip, Self::Replace, Self::Clove];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        ["captions only", "NegCLIP-style", "REPLACE-style", "CLoVe, unpatched"][self as usize]
    }

    /// The name of its folder.
    pub fn slug(self) -> &'static str {
        ["captions", "negclip", "replace", "clove"][self as usize]
    }

    /// A description in one sentence.
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

    /// Its training texts.
    pub fn texts(self, recipe: &Recipe) -> Texts {
        let style =
            [None, Some(Style::NegClip), Some(Style::Replace), Some(Style::Mixed)][self as usize];
        Texts::Captions { style, negatives: recipe.negatives }
    }
}

/// [`choose_alpha`]'s rule in words.
pub const RULE: &str = "the alpha with the highest composition on the validation split, among those whose recognition there is \
                        within 1 point of the pretrained model's";

/// Chooses alpha on the validation split by [`RULE`].
pub fn choose_alpha(points: &[SweepPoint]) -> f64 {
    patch::choose_alpha(points.iter().map(|point| Tried {
        alpha: point.alpha,
        composition: point.composition,
        recognition: Some(point.recognition),
    }))
}
