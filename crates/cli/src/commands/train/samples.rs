//! The samples of a training run: each a function of the seed and its position in the order of training, so that a run that
//! resumes sees what it would have seen.

use anyhow::{Context as _, Result};
use clove::lab::{self, Texts};
use clove::preprocess::{Preprocess, RandomResizedCrop, crop_resize};
use clove::tokenizer::{Encoding, Tokenizer};
use clove::train::Order;
use clove_data::sets::{ImageTextSet, Sample};
use clove_scenes::Random;
use indicatif::HumanCount;
use rayon::prelude::*;

use super::config::{Config, Data, Kind, Style, TextKind};
use super::draft::Draft;
use crate::{output, photos};

/// What there is to learn from.
#[derive(Debug)]
pub enum Source {
    /// New scenes in every epoch, so many of them.
    Scenes(u64),
    Set(ImageTextSet),
}

impl Source {
    /// Finds the data; images are read later.
    pub fn open(data: &Data) -> Result<Self> {
        let path = data.path.as_deref().unwrap_or_else(|| "".as_ref());
        Ok(match data.kind {
            Kind::Scenes => Self::Scenes(data.scenes.unwrap_or(1)),
            Kind::Folder => Self::Set(ImageTextSet::folder(path)?),
            Kind::JsonLines => Self::Set(ImageTextSet::json_lines(path, data.images.as_deref())?),
        })
    }

    /// Samples in an epoch.
    pub fn len(&self) -> u64 {
        match self {
            Self::Scenes(count) => *count,
            Self::Set(set) => set.samples.len() as u64,
        }
    }

    /// Fills a configuration in.
    pub fn resolve(&self, draft: Draft) -> Result<Config> {
        let digest = match self {
            Self::Scenes(_) => None,
            Self::Set(set) => Some(set.digest()),
        };
        draft.resolve(self.len(), digest)
    }

    /// In words, with what was skipped.
    pub fn summary(&self) -> String {
        match self {
            Self::Scenes(count) => format!("{} scenes an epoch", HumanCount(*count)),
            Self::Set(set) => set.summary(),
        }
    }
}

/// What turns a position into a sample.
#[derive(Debug)]
pub struct Samples {
    source: Source,
    order: Order,
    seed: u64,
    texts: Texts,
    crop: RandomResizedCrop,
    /// Most negatives that a set's sample gives.
    negatives: usize,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
}

/// A sample as the trainer takes it.
#[derive(Debug)]
pub struct Example {
    pub pixels: Vec<f32>,
    pub text: Encoding,
    pub negatives: Vec<Encoding>,
}

/// A sample in words.
#[derive(Debug)]
pub struct Words {
    /// The image.
    pub place: String,
    pub caption: String,
    pub negatives: Vec<String>,
}

/// A sample that can't be read.
#[derive(Debug)]
pub struct Broken {
    pub position: u64,
    pub image: String,
    pub reason: String,
}

/// Streams of random numbers of one sample. Far from small numbers, by which [`Order`] keys its own.
mod purpose {
    pub const CAPTION: u64 = u64::from_le_bytes(*b"caption ");
    pub const CROP: u64 = u64::from_le_bytes(*b"crop    ");
    pub const NEGATIVES: u64 = u64::from_le_bytes(*b"negative");
}

impl Samples {
    pub fn new(
        source: Source,
        config: &Config,
        tokenizer: Tokenizer,
        preprocess: Preprocess,
    ) -> Self {
        let negatives = config.negatives.per_caption;
        let texts = match config.data.texts {
            Some(TextKind::Alt) => Texts::AltTexts,
            _ => Texts::Captions {
                style: match config.negatives.style {
                    Style::None | Style::File => None,
                    Style::Negclip => Some(clove_scenes::Style::NegClip),
                    Style::Replace => Some(clove_scenes::Style::Replace),
                    Style::Mixed => Some(clove_scenes::Style::Mixed),
                },
                negatives,
            },
        };
        Self {
            order: Order::new(config.seed, source.len()),
            source,
            seed: config.seed,
            texts,
            crop: config.crop(),
            negatives: match config.negatives.style {
                Style::File => negatives,
                _ => 0,
            },
            tokenizer,
            preprocess,
        }
    }

    /// The sample at a position.
    pub fn at(&self, position: u64) -> Result<Example, Broken> {
        let (pixels, words) = match &self.source {
            Source::Scenes(count) => {
                let sample = self.scene(*count, position);
                let words = Words {
                    place: String::new(),
                    caption: sample.text,
                    negatives: sample.negatives,
                };
                (lab::pixels(sample.picture, &self.preprocess), words)
            }
            Source::Set(set) => {
                let (epoch, index) = self.order.at(position);
                let sample = &set.samples[index as usize];
                let pixels = self.photo(sample, epoch, index).map_err(|error| Broken {
                    position,
                    image: sample.image.display().to_string(),
                    reason: output::one_line(&error),
                })?;
                (pixels, self.choose(sample, epoch, index))
            }
        };
        Ok(Example {
            pixels,
            text: self.tokenizer.encode(&words.caption),
            negatives: self.tokenizer.encode_batch(&words.negatives),
        })
    }

    /// The sample at a position, without its image.
    pub fn words_at(&self, position: u64) -> Words {
        let (epoch, index) = self.order.at(position);
        match &self.source {
            Source::Scenes(count) => {
                let sample = self.scene(*count, position);
                Words {
                    place: format!("scene {}", epoch * count + index),
                    caption: sample.text,
                    negatives: sample.negatives,
                }
            }
            Source::Set(set) => self.choose(&set.samples[index as usize], epoch, index),
        }
    }

    /// Every epoch draws scenes of its own: nothing is learned by heart.
    fn scene(&self, count: u64, position: u64) -> lab::SceneSample {
        let (epoch, index) = self.order.at(position);
        let place = epoch.wrapping_mul(count).wrapping_add(index);
        self.texts.sample(self.seed, place, self.preprocess.size())
    }

    fn random(&self, epoch: u64, index: u64, purpose: u64) -> Random {
        Random::new(&[self.seed, epoch, index, purpose])
    }

    /// The caption of this epoch, and its negatives.
    fn choose(&self, sample: &Sample, epoch: u64, index: u64) -> Words {
        let mut random = self.random(epoch, index, purpose::CAPTION);
        let caption = &sample.captions[random.below(sample.captions.len())];
        let mut negatives: Vec<&String> = sample
            .negatives
            .iter()
            // A set may call one caption of an image a negative of another.
            .filter(|negative| *negative != caption)
            .collect();
        self.random(epoch, index, purpose::NEGATIVES)
            .shuffle(&mut negatives);
        negatives.truncate(self.negatives);
        Words {
            place: sample.image.display().to_string(),
            caption: caption.clone(),
            negatives: negatives.into_iter().cloned().collect(),
        }
    }

    /// A photo's normalised pixels, cropped at random.
    fn photo(&self, sample: &Sample, epoch: u64, index: u64) -> Result<Vec<f32>> {
        let image = photos::read(&sample.image)?;
        let mut random = self.random(epoch, index, purpose::CROP);
        let crop = self.crop.sample(image.width(), image.height(), &mut || {
            random.uniform().into()
        });
        let cropped = crop_resize(&image, crop, self.preprocess.size())
            .with_context(|| sample.image.display().to_string())?;
        Ok(self.preprocess.normalise(&cropped))
    }

    /// How many texts the model's context cuts, of how many; of scenes the first are taken for all.
    pub fn count_cut(&self) -> (usize, usize) {
        const SCENES: u64 = 256;
        let is_cut = |text: &str| self.tokenizer.encode(text).is_truncated();
        let add = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
        let count = |texts: Vec<&String>| {
            let cut = texts.iter().filter(|text| is_cut(text)).count();
            (cut, texts.len())
        };
        match &self.source {
            Source::Scenes(scenes) => (0..SCENES.min(*scenes))
                .into_par_iter()
                .map(|position| {
                    let words = self.words_at(position);
                    count(
                        std::iter::once(&words.caption)
                            .chain(&words.negatives)
                            .collect(),
                    )
                })
                .reduce(|| (0, 0), add),
            Source::Set(set) => set
                .samples
                .par_iter()
                .map(|sample| {
                    let negatives = sample.negatives.iter().filter(|_| self.negatives > 0);
                    count(sample.captions.iter().chain(negatives).collect())
                })
                .reduce(|| (0, 0), add),
        }
    }
}
