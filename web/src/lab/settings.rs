//! The settings of a training run on the lab's page, also as the TOML that `clove train` takes.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The texts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Texts {
    /// Full captions.
    Captions,
    /// Noisy alt texts of the same scenes.
    Alt,
}

/// How hard negatives are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Negatives {
    /// No negatives.
    None,
    /// Words swapped, as in NegCLIP.
    Swap,
    /// A word replaced, as in REPLACE.
    Replace,
    /// SugarCrepe's seven kinds.
    Mixed,
}

/// The loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// CLIP's, without negatives.
    Clip,
    /// Every negative is a candidate for every image.
    Clove,
    /// CLIP's, and each image chooses between its caption and that caption's own negatives.
    Fsc,
}

/// Names of texts in addresses.
pub const TEXTS: [(Texts, &str); 2] = [(Texts::Captions, "captions"), (Texts::Alt, "alt")];
/// Names of negatives in addresses and labels.
pub const NEGATIVES: [(Negatives, &str); 4] = [
    (Negatives::None, "none"),
    (Negatives::Swap, "swap"),
    (Negatives::Replace, "replace"),
    (Negatives::Mixed, "mixed"),
];
/// Names of losses in addresses and TOML.
pub const LOSSES: [(Loss, &str); 3] =
    [(Loss::Clip, "clip"), (Loss::Clove, "clove"), (Loss::Fsc, "fsc")];

/// The name of a choice in its table.
pub fn name<T: Copy + PartialEq>(all: &[(T, &'static str)], one: T) -> &'static str {
    all.iter().find(|(other, _)| *other == one).map_or("", |(_, name)| name)
}

/// The choice of this name.
pub fn named<T: Copy>(all: &[(T, &'static str)], name: &str) -> Option<T> {
    all.iter().find(|(_, other)| *other == name).map(|(one, _)| *one)
}

/// Everything that decides a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What the texts are.
    pub texts: Texts,
    /// Distinct scenes. Each epoch shows them all, in another order.
    pub scenes: u64,
    /// How negatives are made.
    pub negatives: Negatives,
    /// The loss.
    pub loss: Loss,
    /// The peak learning rate: warmup over a tenth of the steps, then a cosine.
    pub learning_rate: f64,
    /// The image tower's learning rate, relative to it.
    pub image_rate: f64,
    /// Steps.
    pub steps: usize,
    /// Scenes per step.
    pub batch: usize,
    /// Seeds the scenes.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            texts: Texts::Captions,
            scenes: 20_000,
            negatives: Negatives::Mixed,
            loss: Loss::Clove,
            learning_rate: 1.5e-3,
            image_rate: 0.25,
            steps: 300,
            batch: 64,
            seed: 0,
        }
    }
}

/// The ranges of settings.
pub mod limits {
    use std::ops::RangeInclusive;

    /// Steps.
    pub const STEPS: RangeInclusive<usize> = 1..=100_000;
    /// Scenes per step: a contrastive loss needs two.
    pub const BATCH: RangeInclusive<usize> = 2..=512;
    /// Distinct scenes.
    pub const SCENES: RangeInclusive<u64> = 1..=10_000_000;
    /// Learning rates.
    pub const LEARNING_RATE: RangeInclusive<f64> = 1e-7..=0.1;
    /// The image tower's relative learning rate.
    pub const IMAGE_RATE: RangeInclusive<f64> = 0.001..=1.0;
    /// Seeds: TOML has signed numbers.
    pub const SEED: RangeInclusive<u64> = 0..=i64::MAX as u64;
}

impl Settings {
    /// The same settings within their ranges, and without negatives where texts or loss allow none.
    #[must_use]
    pub fn sound(mut self) -> Self {
        fn limit<T: PartialOrd + Copy>(value: &mut T, range: &RangeInclusive<T>, usual: T) {
            if *value < *range.start() {
                *value = *range.start();
            } else if *value > *range.end() {
                *value = *range.end();
            } else if !range.contains(value) {
                // NaN.
                *value = usual;
            }
        }
        let usual = Self::default();
        limit(&mut self.steps, &limits::STEPS, usual.steps);
        limit(&mut self.batch, &limits::BATCH, usual.batch);
        limit(&mut self.scenes, &limits::SCENES, usual.scenes);
        limit(&mut self.learning_rate, &limits::LEARNING_RATE, usual.learning_rate);
        limit(&mut self.image_rate, &limits::IMAGE_RATE, usual.image_rate);
        limit(&mut self.seed, &limits::SEED, usual.seed);
        // Alt texts are too short to be altered, and CLIP's loss takes no negatives.
        if self.texts == Texts::Alt || self.loss == Loss::Clip {
            self.negatives = Negatives::None;
        }
        self
    }

    /// Warmup steps.
    pub fn warmup(&self) -> usize {
        self.steps / 10
    }

    /// A short description.
    pub fn label(&self) -> String {
        let texts = ["captions", "alt texts"][self.texts as usize];
        let loss = ["CLIP", "CLoVe", "FSC"][self.loss as usize];
        match self.negatives {
            Negatives::None => format!("{texts}, no negatives"),
            negatives => format!("{texts}, {}, {loss}", name(&NEGATIVES, negatives)),
        }
    }

    /// The same run for `clove train`.
    pub fn to_toml(&self) -> String {
        let Self { scenes, learning_rate, image_rate, steps, batch, seed, .. } = self;
        let (loss, warmup) = (name(&LOSSES, self.loss), self.warmup());
        let texts = ["captions", "alt-common"][self.texts as usize];
        let style = match self.negatives {
            Negatives::Swap => "negclip",
            negatives => name(&NEGATIVES, negatives),
        };
        // TOML writes numbers as Rust's debug form does: floats keep their point or exponent.
        format!(
            "# A run of the lab's page. The same run without a browser:\n#\n#   clove train lab.toml\n\n\
             out = \"runs/lab-{texts}-{style}-{loss}-seed-{seed}\"\nseed = {seed}\n\n\
             [model]\ninit = \"scenes\"\n\n\
             [data]\nkind = \"scenes\"\ntexts = \"{texts}\"\nscenes = {scenes}\nrepeat = true\n\n\
             [negatives]\nstyle = \"{style}\"\nper_caption = 1\n\n\
             [loss]\nkind = \"{loss}\"\n\n\
             [optimizer]\nlearning_rate = {learning_rate:?}\nwarmup = {warmup}\nimage_rate = {image_rate:?}\nclip_norm = 1.0\n\n\
             [train]\nsteps = {steps}\nbatch = {batch}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_clamped_to_their_ranges() {
        let odd = Settings {
            texts: Texts::Alt,
            scenes: 0,
            learning_rate: f64::NAN,
            image_rate: -1.0,
            steps: 0,
            batch: 1_000_000,
            seed: u64::MAX,
            ..Settings::default()
        };
        let sound = odd.sound();
        assert_eq!(sound.negatives, Negatives::None);
        assert_eq!((sound.scenes, sound.steps, sound.batch), (1, 1, 512));
        assert_eq!(sound.learning_rate, Settings::default().learning_rate);
        assert_eq!(sound.image_rate, *limits::IMAGE_RATE.start());
        assert_eq!(sound.seed, i64::MAX as u64);
        assert_eq!(Settings::default().sound(), Settings::default());
    }
}
