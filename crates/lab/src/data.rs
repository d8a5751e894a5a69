//! Batches of scenes for training.

use clove_scenes::{
    Picture, Pool, Scene, Split, Style, Wording, alt_text, caption, draw, negative,
};

use clove::preprocess::{Preprocess, RgbImage};
#[cfg(feature = "train")]
use clove::{
    tokenizer::Tokenizer,
    train::{Batch, Order},
};

/// The texts of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Noisy alt texts of all shapes, for pretraining.
    AltTexts,
    /// Noisy alt texts of the same pictures as [`Self::Captions`].
    AltTextsOfCommon,
    /// Full captions of the common shapes, each with this number of hard negatives; without a style, none.
    #[expect(missing_docs, reason = "the variant's text covers its fields")]
    Captions { style: Option<Style>, negatives: usize },
}

/// The scenes of a run and their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenes {
    /// New scenes at every step, in the order of the stream.
    New,
    /// Epochs of at least one scene, each with every scene once in a random order. With `repeat`, every epoch has the same scenes,
    /// as a data set on disk; otherwise each epoch has new ones.
    #[expect(missing_docs, reason = "the variant's text covers its fields")]
    Epochs { scenes: u64, repeat: bool },
}

#[cfg(feature = "train")]
impl Scenes {
    /// The number of the scene at a position from the start of training.
    ///
    /// # Panics
    /// If an epoch has no scenes.
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

/// A training sample.
#[derive(Debug, Clone)]
pub struct SceneSample {
    /// The picture.
    pub picture: Picture,
    /// Its text.
    pub text: String,
    /// Hard negatives of the text.
    pub negatives: Vec<String>,
}

impl Texts {
    /// Scene `index` of the stream of `seed`, drawn at `size` pixels a side.
    pub fn sample(self, seed: u64, index: u64, size: u32) -> SceneSample {
        if self == Self::AltTexts {
            let mut random = Split::Pretraining.random(seed, index);
            let scene = Scene::of_the_web(&mut random);
            let text = alt_text(&scene, &mut random);
            let picture = draw(&scene, size, &mut random);
            return SceneSample { picture, text, negatives: Vec::new() };
        }
        let mut random = Split::FineTuning.random(seed, index);
        let scene = Scene::random(&mut random, Pool::Common);
        let wording = Wording::random(&mut random);
        let picture = draw(&scene, size, &mut random);
        match self {
            Self::Captions { style, negatives } => {
                let made = (0..negatives)
                    .filter_map(|_| Some(negative(&scene, wording, style?, &mut random)?.1));
                SceneSample { picture, negatives: made.collect(), text: caption(&scene, wording) }
            }
            // The wording was drawn all the same, so that the pictures are those of captions.
            Self::AltTexts | Self::AltTextsOfCommon => {
                SceneSample { picture, text: alt_text(&scene, &mut random), negatives: Vec::new() }
            }
        }
    }

    /// The batch of the scenes of these numbers of the stream of `seed`.
    #[cfg(feature = "train")]
    pub fn batch(
        self,
        seed: u64,
        numbers: impl Iterator<Item = u64>,
        tokenizer: &Tokenizer,
        preprocess: &Preprocess,
    ) -> Batch {
        let mut rows = Vec::new();
        let mut batch = Batch::default();
        for index in numbers {
            let sample = self.sample(seed, index, preprocess.size());
            rows.extend(pixels(sample.picture, preprocess));
            batch.texts.push(tokenizer.encode(&sample.text));
            batch.negatives.push(tokenizer.encode_batch(&sample.negatives));
            batch.images.push(index);
        }
        batch.pixels = rows.into();
        batch
    }
}

/// A picture's normalised pixels, `[3, size, size]`.
///
/// # Panics
/// Never: a picture has three bytes per pixel.
pub fn pixels(picture: Picture, preprocess: &Preprocess) -> Vec<f32> {
    let image = RgbImage::from_raw(picture.size, picture.size, picture.rgb)
        .expect("a picture has three bytes for each pixel");
    preprocess.normalise(&image)
}
