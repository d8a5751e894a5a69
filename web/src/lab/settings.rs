//! What decides a training run of the lab's page; `clove train` takes the same as TOML.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What is read.
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
    /// None.
    None,
    /// Words exchanged, as NegCLIP does.
    Swap,
    /// A word replaced, as REPLACE does.
    Replace,
    /// SugarCrepe's seven kinds.
    Mixed,
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// CLIP's own, without negatives.
    Clip,
    /// Every negative is a candidate for every image.
    Clove,
    /// CLIP's, and each image chooses between its caption and that caption's own negatives.
    Fsc,
}

/// Everything that decides a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What is read.
    pub texts: Texts,
    /// Different scenes; when all were seen they come again in another order.
    pub scenes: u64,
    /// How negatives are made.
    pub negatives: Negatives,
    /// What is minimised.
    pub loss: Loss,
    /// The highest learning rate; a tenth of the steps lead up to it, and a cosine down from it.
    pub learning_rate: f64,
    /// The image tower's, as a share of it.
    pub image_rate: f64,
    /// How many steps.
    pub steps: usize,
    /// Scenes in a step.
    pub batch: usize,
    /// Another draws other scenes.
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

/// What a setting may be, both ends included.
pub mod limits {
    use std::ops::RangeInclusive;

    /// Steps.
    pub const STEPS: RangeInclusive<usize> = 1..=100_000;
    /// Scenes in a step: a contrastive loss needs two.
    pub const BATCH: RangeInclusive<usize> = 2..=512;
    /// Different scenes.
    pub const SCENES: RangeInclusive<u64> = 1..=10_000_000;
    /// Learning rates.
    pub const LEARNING_RATE: RangeInclusive<f64> = 1e-7..=0.1;
    /// Shares of it.
    pub const IMAGE_RATE: RangeInclusive<f64> = 0.001..=1.0;
    /// Seeds: TOML has signed numbers.
    pub const SEED: RangeInclusive<u64> = 0..=i64::MAX as u64;
}

impl Settings {
    /// The same, with everything in its range, and without negatives where there can be none.
    #[must_use]
    pub fn sound(mut self) -> Self {
        fn within<T: PartialOrd + Copy>(value: T, range: &std::ops::RangeInclusive<T>) -> T {
            if value < *range.start() {
                *range.start()
            } else if value > *range.end() {
                *range.end()
            } else {
                value
            }
        }
        let usual = Self::default();
        if self.learning_rate.is_nan() {
            self.learning_rate = usual.learning_rate;
        }
        if self.image_rate.is_nan() {
            self.image_rate = usual.image_rate;
        }
        self.steps = within(self.steps, &limits::STEPS);
        self.batch = within(self.batch, &limits::BATCH);
        self.scenes = within(self.scenes, &limits::SCENES);
        self.learning_rate = within(self.learning_rate, &limits::LEARNING_RATE);
        self.image_rate = within(self.image_rate, &limits::IMAGE_RATE);
        self.seed = within(self.seed, &limits::SEED);
        // Alt texts say too little to be altered, and CLIP's loss takes none.
        if self.texts == Texts::Alt || self.loss == Loss::Clip {
            self.negatives = Negatives::None;
        }
        self
    }

    /// Steps on the way up to the learning rate.
    #[must_use]
    pub fn warmup(&self) -> usize {
        self.steps / 10
    }

    /// In a few words.
    #[must_use]
    pub fn label(&self) -> String {
        let texts = match self.texts {
            Texts::Captions => "captions",
            Texts::Alt => "alt texts",
        };
        let negatives = match self.negatives {
            Negatives::None => "none",
            Negatives::Swap => "swap",
            Negatives::Replace => "replace",
            Negatives::Mixed => "mixed",
        };
        let loss = match self.loss {
            Loss::Clip => "CLIP",
            Loss::Clove => "CLoVe",
            Loss::Fsc => "FSC",
        };
        if self.negatives == Negatives::None {
            return format!("{texts}, no negatives");
        }
        format!("{texts}, {negatives}, {loss}")
    }

    /// What `clove train` takes for the same run.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let texts = match self.texts {
            Texts::Captions => "captions",
            Texts::Alt => "alt-common",
        };
        let style = match self.negatives {
            Negatives::None => "none",
            Negatives::Swap => "negclip",
            Negatives::Replace => "replace",
            Negatives::Mixed => "mixed",
        };
        let loss = match self.loss {
            Loss::Clip => "clip",
            Loss::Clove => "clove",
            Loss::Fsc => "fsc",
        };
        let mut toml = String::from(
            "# A run of the lab's page. The same run without a browser:\n#\n#   clove train lab.toml\n\n",
        );
        // Numbers as Rust's debug form has them are TOML's too: floats keep their point or exponent.
        let _ = write!(
            toml,
            "out = \"runs/lab-{texts}-{style}-{loss}-seed-{seed}\"\nseed = {seed}\n\n\
             [model]\ninit = \"scenes\"\n\n\
             [data]\nkind = \"scenes\"\ntexts = \"{texts}\"\nscenes = {scenes}\nrepeat = true\n\n\
             [negatives]\nstyle = \"{style}\"\nper_caption = 1\n\n\
             [loss]\nkind = \"{loss}\"\n\n\
             [optimizer]\nlearning_rate = {rate:?}\nwarmup = {warmup}\nimage_rate = {image_rate:?}\nclip_norm = 1.0\n\n\
             [train]\nsteps = {steps}\nbatch = {batch}\n",
            seed = self.seed,
            scenes = self.scenes,
            rate = self.learning_rate,
            warmup = self.warmup(),
            image_rate = self.image_rate,
            steps = self.steps,
            batch = self.batch,
        );
        toml
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_anybodys_become_sound() {
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
