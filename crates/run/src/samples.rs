//! The samples of a training run. Each is a function of the seed and its position in the order of training, so a resumed run sees
//! the same samples.

use std::iter;
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
use crate::session::Skipped;
use crate::source::{Draws, Pool, Source};
use crate::start::Parts;

/// Lists the samples of a set. Packed and remote files are copied to `cache`.
///
/// # Errors
/// If the set can't be read.
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
            Kind::Scenes => bail!("scenes have no path"),
            Kind::Mixture => bail!("a mixture consists of sets and has no path"),
            Kind::Folder => ImageTextSet::folder(path)?,
            Kind::Table => ImageTextSet::table(path, images, fields)?,
            Kind::Webdataset => ImageTextSet::shards(&pattern, fields, cache)?,
            Kind::Coco => ImageTextSet::coco(path, images, splits)?,
            Kind::Parquet => ImageTextSet::parquet(&pattern, images, fields, cache)?,
            Kind::JsonLines => ImageTextSet::json_lines(path, images, fields)?,
        })
    })
}

#[derive(Debug)]
pub struct Samples {
    source: Source,
    draws: Draws,
    seed: u64,
    texts: Texts,
    crop: RandomResizedCrop,
    negatives: Negatives,
    per_caption: usize,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
    on_device: bool,
}

/// Largest photo, in pixels, that the device crops. Batches of larger photos would fill its memory.
const LARGEST_ON_DEVICE: u64 = 4 << 20;

#[derive(Debug)]
enum Negatives {
    None,
    /// The set.
    File,
    /// Generated from the caption.
    Made(Box<Generator>, clove_negatives::Style),
}

#[derive(Debug)]
pub struct Example {
    pub picture: Picture,
    pub text: Encoding,
    pub negatives: Vec<Encoding>,
}

/// A sample without its pixels.
#[derive(Debug)]
pub struct Words {
    /// Location of the image, or number of the scene.
    pub place: String,
    /// Caption of this epoch.
    pub caption: String,
    /// Hard negatives of the caption.
    pub negatives: Vec<String>,
}

/// Keys of a sample's random streams. [`Order`](clove::train::Order) uses small numbers for its own.
mod purpose {
    pub const CAPTION: u64 = u64::from_le_bytes(*b"caption ");
    pub const CROP: u64 = u64::from_le_bytes(*b"crop    ");
    pub const NEGATIVES: u64 = u64::from_le_bytes(*b"negative");
}

impl Samples {
    pub fn new(source: Source, config: &Config, parts: &Parts) -> Result<Self> {
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
            // `texts` makes the negatives of scenes.
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
            tokenizer: parts.tokenizer.clone(),
            preprocess: parts.preprocess.clone(),
            on_device: config.crops_on_device(),
        })
    }

    pub fn len(&self) -> u64 {
        self.source.len()
    }

    /// The sample at a position. The caller sets the step of an unreadable one.
    pub fn at(&self, position: u64) -> Result<Example, Skipped> {
        let (picture, words) = match &self.source {
            Source::Scenes { scenes, repeat } => {
                let (words, picture) = self.scene(*scenes, *repeat, position);
                (Picture::Ready(lab::pixels(picture, &self.preprocess)), words)
            }
            Source::Pool(pool) => {
                let (epoch, index) = self.draws.at(position);
                let sample = &pool.set.samples[index as usize];
                let picture = self.photo(sample, epoch, index).map_err(|error| Skipped {
                    step: 0,
                    position,
                    image: sample.image.to_string(),
                    reason: one_line(&error),
                })?;
                (picture, self.choose(pool, epoch, index).1)
            }
        };
        let text = self.tokenizer.encode(&words.caption);
        let mut negatives = self.tokenizer.encode_batch(&words.negatives);
        // A change beyond the context or between unknown words leaves the token ids of the caption. As a negative they would push the
        // image away from its own caption.
        negatives.retain(|negative| negative.ids != text.ids);
        Ok(Example { picture, text, negatives })
    }

    pub fn words_at(&self, position: u64) -> Words {
        match &self.source {
            Source::Scenes { scenes, repeat } => self.scene(*scenes, *repeat, position).0,
            Source::Pool(pool) => {
                let (epoch, index) = self.draws.at(position);
                self.choose(pool, epoch, index).1
            }
        }
    }

    /// A sample in the first epoch: the index of its caption and the caption's hard negatives.
    pub fn hard(&self, index: usize) -> (usize, Vec<String>) {
        match &self.source {
            Source::Scenes { .. } => (0, Vec::new()),
            Source::Pool(pool) => {
                let (place, words) = self.choose(pool, 0, index as u64);
                (place, words.negatives)
            }
        }
    }

    fn scene(&self, scenes: u64, repeat: bool, position: u64) -> (Words, clove_scenes::Picture) {
        let number = Scenes::Epochs { scenes, repeat }.at(self.seed, position);
        let sample = self.texts.sample(self.seed, number, self.preprocess.size());
        let words = Words {
            place: format!("scene {number}"),
            caption: sample.text,
            negatives: sample.negatives,
        };
        (words, sample.picture)
    }

    fn random(&self, epoch: u64, index: u64, purpose: u64) -> Random {
        Random::new(&[self.seed, epoch, index, purpose])
    }

    /// The caption of an epoch with its negatives, and its index.
    fn choose(&self, pool: &Pool, epoch: u64, index: u64) -> (usize, Words) {
        let sample = &pool.set.samples[index as usize];
        let place = self.caption(pool, sample, epoch, index);
        let caption = &sample.captions[place];
        let negatives = match &self.negatives {
            Negatives::None => Vec::new(),
            Negatives::File => self.brought(sample, caption, epoch, index),
            Negatives::Made(generator, style) => {
                let made = self.make(generator, *style, sample, place, epoch, index);
                made.negatives.into_iter().map(|negative| negative.text).collect()
            }
        };
        (place, Words { place: sample.image.to_string(), caption: caption.clone(), negatives })
    }

    /// The index of the caption of an epoch.
    fn caption(&self, pool: &Pool, sample: &Sample, epoch: u64, index: u64) -> usize {
        let mut random = self.random(epoch, index, purpose::CAPTION);
        let part = pool.parts.get(usize::from(sample.part));
        let captions = part.and_then(|part| part.settings.captions.as_ref());
        captions.unwrap_or(&Captions::default()).choose(sample, &mut random)
    }

    fn brought(&self, sample: &Sample, caption: &str, epoch: u64, index: u64) -> Vec<String> {
        let mut negatives: Vec<&String> = sample
            .negatives
            .iter()
            // Some sets list one caption of an image as a negative of another.
            .filter(|negative| *negative != caption)
            .collect();
        self.random(epoch, index, purpose::NEGATIVES).shuffle(&mut negatives);
        negatives.truncate(self.per_caption);
        negatives.into_iter().cloned().collect()
    }

    /// Negatives generated from a caption. They differ from epoch to epoch.
    fn make(
        &self,
        generator: &Generator,
        style: clove_negatives::Style,
        sample: &Sample,
        place: usize,
        epoch: u64,
        index: u64,
    ) -> Made {
        generator.negatives(&Request {
            caption: &sample.captions[place],
            others: &negatives::others(&sample.captions, place),
            style,
            count: self.per_caption,
            seed: self.seed,
            epoch,
            index,
        })
    }

    /// The yield of negatives from the first captions in the order of training, if they are generated.
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
            let place = self.caption(pool, sample, epoch, index);
            let mut found = Yield::default();
            found.add(&self.make(generator, *style, sample, place, epoch, index));
            found
        });
        Some(found.reduce(Yield::default, Yield::merge))
    }

    pub fn pixels(&self, pictures: Vec<Picture>) -> Pixels {
        if self.on_device {
            return Pixels::Pictures(pictures, self.preprocess.clone());
        }
        let pixels = pictures.into_iter().map(|picture| match picture {
            Picture::Ready(pixels) => pixels,
            // Only the device gets crops.
            Picture::Crop(_) => Vec::new(),
        });
        pixels.collect::<Vec<_>>().concat().into()
    }

    /// A randomly cropped photo: its normalised pixels, or a crop for the device.
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

    /// The number of texts that the context truncates, and the number of texts. Of scenes only the first are counted.
    pub fn count_cut(&self) -> (usize, usize) {
        const SCENES: u64 = 256;
        let words: Vec<Words>;
        let texts: Vec<&String> = match &self.source {
            Source::Scenes { scenes, .. } => {
                let positions = (0..SCENES.min(*scenes)).into_par_iter();
                words = positions.map(|position| self.words_at(position)).collect();
                let texts = words.iter();
                texts.flat_map(|words| iter::once(&words.caption).chain(&words.negatives)).collect()
            }
            Source::Pool(pool) => {
                let is_brought = matches!(self.negatives, Negatives::File);
                let texts = pool.set.samples.iter().flat_map(|sample| {
                    let negatives = sample.negatives.iter().filter(move |_| is_brought);
                    sample.captions.iter().chain(negatives)
                });
                texts.collect()
            }
        };
        let is_cut = |text: &&&String| self.tokenizer.encode(text).is_truncated();
        (texts.par_iter().filter(is_cut).count(), texts.len())
    }
}
