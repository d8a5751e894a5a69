//! Batches of scenes for the trainer.

use clove_scenes::{
    Picture, Pool, Scene, Split, Style, Wording, alt_text, caption, draw, negative,
};

use clove::preprocess::{Preprocess, RgbImage};
#[cfg(feature = "train")]
use clove::{
    tokenizer::Tokenizer,
    train::{Batch, Order},
};

/// What the texts of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Noisy alt texts of all shapes, as pretraining has them.
    AltTexts,
    /// Noisy alt texts of the scenes that [`Self::Captions`] has, picture by picture.
    AltTextsOfCommon,
    /// Full captions of the common shapes, with this many hard negatives each.
    Captions {
        /// How negatives are made; none for plain fine-tuning.
        style: Option<Style>,
        /// Negatives of each caption.
        negatives: usize,
    },
}

/// Which scenes of a stream a run sees, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenes {
    /// New ones at every step, in their own order.
    New,
    /// So many in an epoch, each once, in a random order.
    Epochs {
        /// How many, at least one.
        scenes: u64,
        /// Whether each epoch has the same ones again, as a data set on disk does; else each draws new ones, so that nothing is
        /// learned by heart.
        repeat: bool,
    },
}

#[cfg(feature = "train")]
impl Scenes {
    /// The number of the scene at `position`, counted from the start of training.
    ///
    /// # Panics
    /// If an epoch has no scenes.
    #[must_use]
    pub fn at(self, seed: u64, position: u64) -> u64 {
        match self {
            Self::New => position,
            Self::Epochs { scenes, repeat } => {
                let (epoch, index) = Order::new(seed, scenes).at(position);
                if repeat { index } else { epoch.wrapping_mul(scenes).wrapping_add(index) }
            }
        }
    }
}

/// A scene as training takes it.
#[derive(Debug, Clone)]
pub struct SceneSample {
    /// What is seen.
    pub picture: Picture,
    /// Its text.
    pub text: String,
    /// Hard negatives of the text.
    pub negatives: Vec<String>,
}

impl Texts {
    /// The scene `index` of the stream of `seed`, drawn at `size` pixels a side.
    #[must_use]
    pub fn sample(self, seed: u64, index: u64, size: u32) -> SceneSample {
        match self {
            Self::AltTexts => {
                let mut random = Split::Pretraining.random(seed, index);
                let scene = Scene::of_the_web(&mut random);
                let text = alt_text(&scene, &mut random);
                SceneSample {
                    picture: draw(&scene, size, &mut random),
                    text,
                    negatives: Vec::new(),
                }
            }
            Self::AltTextsOfCommon => {
                let mut random = Split::FineTuning.random(seed, index);
                let scene = Scene::random(&mut random, Pool::Common);
                // Not used, but drawn: what comes after it is then the same.
                let _ = Wording::random(&mut random);
                SceneSample {
                    picture: draw(&scene, size, &mut random),
                    text: alt_text(&scene, &mut random),
                    negatives: Vec::new(),
                }
            }
            Self::Captions { style, negatives } => {
                let mut random = Split::FineTuning.random(seed, index);
                let scene = Scene::random(&mut random, Pool::Common);
                let wording = Wording::random(&mut random);
                let picture = draw(&scene, size, &mut random);
                let made = style.into_iter().flat_map(|style| {
                    let random = &mut random;
                    (0..negatives)
                        .filter_map(|_| negative(&scene, wording, style, random))
                        .map(|(_, text)| text)
                        .collect::<Vec<_>>()
                });
                SceneSample { picture, negatives: made.collect(), text: caption(&scene, wording) }
            }
        }
    }

    #[cfg(feature = "train")]
    /// The scenes of these numbers of the stream of `seed`.
    ///
    /// # Panics
    /// Never: pictures have as many bytes as pixels ask for.
    #[must_use]
    pub fn batch(
        self,
        seed: u64,
        numbers: impl Iterator<Item = u64>,
        tokenizer: &Tokenizer,
        preprocess: &Preprocess,
    ) -> Batch {
        let mut rows = Vec::new();
        let mut batch =
            Batch { pixels: Vec::new().into(), texts: Vec::new(), negatives: Vec::new() };
        for index in numbers {
            let sample = self.sample(seed, index, preprocess.size());
            rows.extend(pixels(sample.picture, preprocess));
            batch.texts.push(tokenizer.encode(&sample.text));
            batch.negatives.push(tokenizer.encode_batch(&sample.negatives));
        }
        batch.pixels = rows.into();
        batch
    }
}

/// A picture's normalised pixels, `[3, size, size]`.
///
/// # Panics
/// Never: a picture has as many bytes as its pixels ask for.
#[must_use]
pub fn pixels(picture: Picture, preprocess: &Preprocess) -> Vec<f32> {
    let image = RgbImage::from_raw(picture.size, picture.size, picture.rgb)
        .expect("a picture has three bytes for each pixel");
    preprocess.normalise(&image)
}
