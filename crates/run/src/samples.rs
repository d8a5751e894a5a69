//! The samples of a training run: each a function of the seed and its position in the order of training, so that a run that
//! resumes sees what it would have seen.

use std::path::Path;

use clove::preprocess::{Preprocess, RandomResizedCrop, crop_resize};
use clove::tokenizer::{Encoding, Tokenizer};
use clove::train::{Crop, Picture, Pixels};
use clove_data::sets::{ImageTextSet, Sample};
use clove_lab::{self as lab, Scenes, Texts};
use clove_negatives::{Generator, Made, Request};
use clove_scenes::Random;
use rayon::prelude::*;

use crate::config::{Captions, Config, Kind, SetSettings, Style, TextKind};
use crate::copies::copying;
use crate::error::{Context as _, Result, bail, one_line};
use crate::event::Listener;
use crate::negatives::{self, Yield};
use crate::photos;
use crate::source::{Draws, Source};

/// Finds the samples of a set, with copies of what is packed or on a server in `cache`.
///
/// # Errors
/// When the set can't be read.
pub fn open_set(
    settings: &SetSettings,
    cache: Option<&Path>,
    listener: &mut Listener<'_>,
) -> Result<ImageTextSet> {
    let SetSettings { kind, path, splits, .. } = settings;
    let images = settings.images.as_deref();
    let fields = settings.captions.as_ref();
    let fields = fields.map_or(&[][..], |captions| &captions.fields);
    let pattern = path.to_string_lossy();
    copying(cache, listener, |cache| {
        Ok(match kind {
            Kind::Scenes => bail!("scenes are drawn, and have no path"),
            Kind::Mixture => bail!("a mixture is made of sets, and has no path"),
            Kind::Folder => ImageTextSet::folder(path)?,
            Kind::Table => ImageTextSet::table(path, images, fields)?,
            Kind::Webdataset => ImageTextSet::shards(&pattern, fields, cache)?,
            Kind::Coco => ImageTextSet::coco(path, images, splits)?,
            Kind::Parquet => ImageTextSet::parquet(&pattern, images, fields, cache)?,
            Kind::JsonLines => ImageTextSet::json_lines(path, images, fields)?,
        })
    })
}

/// What turns a position into a sample.
#[derive(Debug)]
pub struct Samples {
    source: Source,
    draws: Draws,
    seed: u64,
    texts: Texts,
    crop: RandomResizedCrop,
    negatives: Negatives,
    /// Most negatives that a set's sample gives.
    per_caption: usize,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
    /// Whether photos are cropped by the device that trains.
    on_device: bool,
}

/// Pixels of a photo that goes to the device as it is: batches of larger ones would fill the memory.
const LARGEST_ON_DEVICE: u64 = 4 << 20;

/// Where the negatives of a set's sample come from.
#[derive(Debug)]
enum Negatives {
    None,
    /// The set brings them.
    File,
    /// They're made of the caption.
    Made(Box<Generator>, clove_negatives::Style),
}

/// A sample as the trainer takes it.
#[derive(Debug)]
pub struct Example {
    pub picture: Picture,
    pub text: Encoding,
    pub negatives: Vec<Encoding>,
}

/// A sample in words.
#[derive(Debug)]
pub struct Words {
    /// The image.
    pub place: String,
    /// The caption of this epoch.
    pub caption: String,
    /// Its hard negatives.
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
    ) -> Result<Self> {
        let per_caption = config.negatives.per_caption;
        let style = config.negatives.style;
        let texts = match config.data.texts {
            Some(TextKind::Alt) => Texts::AltTexts,
            Some(TextKind::AltCommon) => Texts::AltTextsOfCommon,
            _ => Texts::Captions { style: style.of_scenes(), negatives: per_caption },
        };
        let negatives = match (&source, style.of_captions()) {
            (Source::Pool(_), Some(style)) => {
                Negatives::Made(Box::new(negatives::generator()?), style)
            }
            (Source::Pool(_), None) if style == Style::File => Negatives::File,
            // Scenes bring their own, by `texts`.
            _ => Negatives::None,
        };
        Ok(Self {
            draws: source.draws(config.seed)?,
            source,
            seed: config.seed,
            texts,
            crop: config.crop(),
            negatives,
            per_caption,
            tokenizer,
            preprocess,
            on_device: config.crops_on_device(),
        })
    }

    /// Samples in an epoch.
    pub fn len(&self) -> u64 {
        self.source.len()
    }

    /// The sample at a position.
    pub fn at(&self, position: u64) -> Result<Example, Broken> {
        let (picture, words) = match &self.source {
            Source::Scenes { scenes, repeat } => {
                let (_, sample) = self.scene(*scenes, *repeat, position);
                let words = Words {
                    place: String::new(),
                    caption: sample.text,
                    negatives: sample.negatives,
                };
                let pixels = lab::pixels(sample.picture, &self.preprocess);
                (Picture::Ready(pixels), words)
            }
            Source::Pool(pool) => {
                let (epoch, index) = self.draws.at(position);
                let sample = &pool.set.samples[index as usize];
                let picture = self.photo(sample, epoch, index).map_err(|error| Broken {
                    position,
                    image: sample.image.to_string(),
                    reason: one_line(&error),
                })?;
                (picture, self.choose(sample, epoch, index))
            }
        };
        let text = self.tokenizer.encode(&words.caption);
        let mut negatives = self.tokenizer.encode_batch(&words.negatives);
        // A change may lie beyond the model's context, or between words that it doesn't know: such a negative would push the image
        // away from its own caption.
        negatives.retain(|negative| negative.ids != text.ids);
        Ok(Example { picture, text, negatives })
    }

    /// The sample at a position, without its image.
    pub fn words_at(&self, position: u64) -> Words {
        match &self.source {
            Source::Scenes { scenes, repeat } => {
                let (number, sample) = self.scene(*scenes, *repeat, position);
                Words {
                    place: format!("scene {number}"),
                    caption: sample.text,
                    negatives: sample.negatives,
                }
            }
            Source::Pool(pool) => {
                let (epoch, index) = self.draws.at(position);
                self.choose(&pool.set.samples[index as usize], epoch, index)
            }
        }
    }

    /// Of the first epoch a sample's caption, by its place, and the caption's hard negatives.
    pub fn hard(&self, index: usize) -> (usize, Vec<String>) {
        match &self.source {
            Source::Scenes { .. } => (0, Vec::new()),
            Source::Pool(pool) => {
                let sample = &pool.set.samples[index];
                let words = self.choose(sample, 0, index as u64);
                (self.caption(sample, 0, index as u64), words.negatives)
            }
        }
    }

    /// The scene at a position, and its number.
    fn scene(&self, scenes: u64, repeat: bool, position: u64) -> (u64, lab::SceneSample) {
        let number = Scenes::Epochs { scenes, repeat }.at(self.seed, position);
        let size = self.preprocess.size();
        (number, self.texts.sample(self.seed, number, size))
    }

    fn random(&self, epoch: u64, index: u64, purpose: u64) -> Random {
        Random::new(&[self.seed, epoch, index, purpose])
    }

    /// The caption of this epoch, and its negatives.
    fn choose(&self, sample: &Sample, epoch: u64, index: u64) -> Words {
        let place = self.caption(sample, epoch, index);
        let caption = &sample.captions[place];
        let negatives = match &self.negatives {
            Negatives::None => Vec::new(),
            Negatives::File => self.brought(sample, caption, epoch, index),
            Negatives::Made(generator, style) => {
                let made = self.make(generator, *style, sample, epoch, index);
                let texts = made.negatives.into_iter();
                texts.map(|negative| negative.text).collect()
            }
        };
        Words { place: sample.image.to_string(), caption: caption.clone(), negatives }
    }

    /// The place of the caption of this epoch.
    fn caption(&self, sample: &Sample, epoch: u64, index: u64) -> usize {
        let mut random = self.random(epoch, index, purpose::CAPTION);
        match &self.source {
            Source::Scenes { .. } => random.below(sample.captions.len()),
            Source::Pool(pool) => {
                let captions = pool.parts.get(usize::from(sample.part));
                let captions = captions.and_then(|part| part.settings.captions.as_ref());
                let usual = Captions::default();
                captions.unwrap_or(&usual).choose(sample, &mut random)
            }
        }
    }

    /// Negatives that the set brings.
    fn brought(&self, sample: &Sample, caption: &str, epoch: u64, index: u64) -> Vec<String> {
        let mut negatives: Vec<&String> = sample
            .negatives
            .iter()
            // A set may call one caption of an image a negative of another.
            .filter(|negative| *negative != caption)
            .collect();
        self.random(epoch, index, purpose::NEGATIVES).shuffle(&mut negatives);
        negatives.truncate(self.per_caption);
        negatives.into_iter().cloned().collect()
    }

    /// Negatives made of the caption of this epoch. They're others in each.
    fn make(
        &self,
        generator: &Generator,
        style: clove_negatives::Style,
        sample: &Sample,
        epoch: u64,
        index: u64,
    ) -> Made {
        let place = self.caption(sample, epoch, index);
        let (before, after) = (&sample.captions[..place], &sample.captions[place + 1..]);
        let others: Vec<&str> = before.iter().chain(after).map(String::as_str).collect();
        generator.negatives(&Request {
            caption: &sample.captions[place],
            others: &others,
            style,
            count: self.per_caption,
            seed: self.seed,
            epoch,
            index,
        })
    }

    /// What the first captions in the order of training give, where negatives are made of them.
    pub fn estimate(&self) -> Option<Yield> {
        const TRIED: u64 = 1_024;
        let (Source::Pool(pool), Negatives::Made(generator, style)) =
            (&self.source, &self.negatives)
        else {
            return None;
        };
        let found = (0..TRIED.min(self.source.len())).into_par_iter().map(|position| {
            let (epoch, index) = self.draws.at(position);
            let sample = &pool.set.samples[index as usize];
            let mut found = Yield::default();
            found.add(&self.make(generator, *style, sample, epoch, index));
            found
        });
        Some(found.reduce(Yield::default, |mut all, found| {
            all.absorb(found);
            all
        }))
    }

    /// Pictures as a batch has them.
    pub fn pixels(&self, pictures: Vec<Picture>) -> Pixels {
        if self.on_device {
            return Pixels::Pictures(pictures, self.preprocess.clone());
        }
        let pixels = pictures.into_iter().map(|picture| match picture {
            Picture::Ready(pixels) => pixels,
            // Made for the device alone.
            Picture::Crop(_) => Vec::new(),
        });
        pixels.collect::<Vec<_>>().concat().into()
    }

    /// A photo cropped at random: its normalised pixels, or what the device makes them of.
    fn photo(&self, sample: &Sample, epoch: u64, index: u64) -> Result<Picture> {
        let image = photos::read_at(&sample.image)?;
        let mut random = self.random(epoch, index, purpose::CROP);
        let crop = self.crop.sample(image.width(), image.height(), &mut || random.uniform().into());
        let pixels = u64::from(image.width()) * u64::from(image.height());
        if self.on_device && pixels <= LARGEST_ON_DEVICE {
            let crop = Crop::new(image, crop).with_context(|| sample.image.to_string())?;
            return Ok(Picture::Crop(crop));
        }
        let cropped = crop_resize(&image, crop, self.preprocess.size())
            .with_context(|| sample.image.to_string())?;
        Ok(Picture::Ready(self.preprocess.normalise(&cropped)))
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
            Source::Scenes { scenes, .. } => (0..SCENES.min(*scenes))
                .into_par_iter()
                .map(|position| {
                    let words = self.words_at(position);
                    count(std::iter::once(&words.caption).chain(&words.negatives).collect())
                })
                .reduce(|| (0, 0), add),
            Source::Pool(pool) => pool
                .set
                .samples
                .par_iter()
                .map(|sample| {
                    let is_brought = matches!(self.negatives, Negatives::File);
                    let negatives = sample.negatives.iter().filter(|_| is_brought);
                    count(sample.captions.iter().chain(negatives).collect())
                })
                .reduce(|| (0, 0), add),
        }
    }
}
