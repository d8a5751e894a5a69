//! The samples of a training run. Each is a function of the seed and its position in the order of training, so a resumed run sees
//! the same samples.

use std::iter;

use clove::preprocess::{Preprocess, RandomResizedCrop, crop_resize};
use clove::tokenizer::{Encoding, Tokenizer};
use clove::train::{Crop, Picture, Pixels};
use clove_data::fetch::Copies;
use clove_data::sets::{ImageTextSet, IndexedSet, Options, Purpose, Sample};
use clove_lab::{self as lab, Scenes, Texts};
use clove_negatives::{Generator, Made, Request};
use clove_scenes::Random;
use rayon::prelude::*;

use crate::config::{Captions, Config, Kind, SetSettings, Style, TextKind};
use crate::copies::copying;
use crate::error::{Context as _, Result, bail, one_line};
use crate::event::{Event, Listener};
use crate::negatives::{self, Yield};
use crate::photos;
use crate::session::Skipped;
use crate::source::{Draws, Pool, Source};
use crate::start::Parts;
use crate::unreadable::Tally;

/// Lists the samples of a set. Packed and remote files are copied where `copies` says. Where the settings name no splits, held-out ones
/// aren't read, which the listener hears. The index of a large set is kept beside the copies, where the next opening finds it.
///
/// # Errors
/// If the set can't be read.
pub fn open_set(
    settings: &SetSettings,
    copies: Copies<'_>,
    listener: &mut Listener<'_>,
) -> Result<IndexedSet> {
    open_for(Purpose::Training, settings, copies, listener)
}

/// Lists the samples of a set for validation. Where the settings name no splits, held-out ones are read.
pub(crate) fn open_held_out(
    settings: &SetSettings,
    copies: Copies<'_>,
    listener: &mut Listener<'_>,
) -> Result<ImageTextSet> {
    Ok(open_for(Purpose::Validation, settings, copies, listener)?.into_memory()?)
}

fn open_for(
    purpose: Purpose,
    settings: &SetSettings,
    copies: Copies<'_>,
    listener: &mut Listener<'_>,
) -> Result<IndexedSet> {
    let SetSettings { kind, path, .. } = settings;
    let fields = settings.captions.as_ref();
    let columns = settings.columns.as_ref();
    let options = &Options {
        images: settings.images.as_deref(),
        captions: fields.map_or(&[][..], |captions| &captions.fields),
        image: columns.and_then(|columns| columns.image.as_deref()),
        negatives: columns.map_or(&[][..], |columns| &columns.negatives),
        splits: &settings.splits,
        purpose,
        keep_index: purpose == Purpose::Training,
        ..Options::default()
    };
    let pattern = path.to_string_lossy();
    let set = copying(copies, listener, |cache| {
        Ok(match kind {
            Kind::Scenes => bail!("scenes have no path"),
            Kind::Mixture => bail!("a mixture consists of sets and has no path"),
            Kind::Folder => IndexedSet::folder(path, options, cache)?,
            Kind::Table => IndexedSet::table(path, options, cache)?,
            Kind::Webdataset => IndexedSet::shards(&pattern, options, cache)?,
            Kind::Coco => IndexedSet::coco(path, options, cache)?,
            Kind::Parquet => IndexedSet::parquet(&pattern, options, cache)?,
            Kind::JsonLines => IndexedSet::json_lines(path, options, cache)?,
        })
    })?;
    for note in &set.notes {
        listener(&Event::Note(note.clone()));
    }
    Ok(set)
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
    /// The hash of the photo, or the number of the scene: the same image has the same one, whatever its crop.
    pub image: u64,
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
        let (picture, image, words) = match &self.source {
            Source::Scenes { scenes, repeat } => {
                let (number, words, picture) = self.scene(*scenes, *repeat, position);
                (Picture::Ready(lab::pixels(picture, &self.preprocess)), number, words)
            }
            Source::Pool(pool) => {
                let (epoch, index) = self.draws.at(position);
                let skipped = |place: &str, error: &(dyn std::error::Error + 'static)| Skipped {
                    position: Some(position),
                    ..Skipped::new(place, &one_line(error))
                };
                let sample = pool.set.get(index);
                let sample = sample.map_err(|error| skipped(&format!("sample {index}"), &error))?;
                let photo = self.photo(&sample, epoch, index);
                let (picture, image) =
                    photo.map_err(|error| skipped(&sample.image.to_string(), &error))?;
                (picture, image, self.choose(pool, &sample, epoch, index).1)
            }
        };
        let text = self.tokenizer.encode(&words.caption);
        let mut negatives = self.tokenizer.encode_batch(&words.negatives);
        // A change beyond the context or between unknown words leaves the token ids of the caption. As a negative they would push the
        // image away from its own caption.
        negatives.retain(|negative| negative.ids != text.ids);
        Ok(Example { picture, image, text, negatives })
    }

    /// The index of the sample at a position; `None` for scenes, which can always be read.
    pub fn index_at(&self, position: u64) -> Option<u64> {
        match &self.source {
            Source::Scenes { .. } => None,
            Source::Pool(_) => Some(self.draws.at(position).1),
        }
    }

    /// What was tried before a position. The share `bearable` of the samples may be unreadable; those at `broken` were.
    pub fn tally(&self, position: u64, broken: &[u64], bearable: f64) -> Tally {
        /// Positions whose samples are found together.
        const CHUNK: u64 = 1 << 16;
        let len = self.set().map_or(0, IndexedSet::len);
        let mut tally = if matches!(self.draws, Draws::Even(_)) {
            Tally::of_epochs(len, position, bearable)
        } else {
            let mut tally = Tally::new(len, bearable);
            let mut next = 0;
            while next < position && !tally.has_tried_all() {
                let chunk = next..position.min(next + CHUNK);
                next = chunk.end;
                let found: Vec<u64> = chunk.into_par_iter().map(|at| self.draws.at(at).1).collect();
                for index in found {
                    tally.add(index);
                }
            }
            tally
        };
        for index in broken.iter().filter_map(|at| self.index_at(*at)) {
            tally.add_broken(index);
        }
        tally
    }

    /// The training set, if it's on disk.
    pub fn set(&self) -> Option<&IndexedSet> {
        match &self.source {
            Source::Scenes { .. } => None,
            Source::Pool(pool) => Some(&pool.set),
        }
    }

    /// Replaces the preprocessing of the images.
    pub fn set_preprocess(&mut self, preprocess: Preprocess) {
        self.preprocess = preprocess;
    }

    pub fn words_at(&self, position: u64) -> Result<Words> {
        Ok(match &self.source {
            Source::Scenes { scenes, repeat } => self.scene(*scenes, *repeat, position).1,
            Source::Pool(pool) => {
                let (epoch, index) = self.draws.at(position);
                self.choose(pool, &pool.set.get(index)?, epoch, index).1
            }
        })
    }

    /// Whether negatives are generated from captions.
    pub(crate) fn makes_negatives(&self) -> bool {
        matches!(self.negatives, Negatives::Made(..))
    }

    /// A sample in the first epoch: the index of its caption and the caption's hard negatives.
    pub fn hard(&self, index: u64) -> Result<(usize, Vec<String>)> {
        Ok(match &self.source {
            Source::Scenes { .. } => (0, Vec::new()),
            Source::Pool(pool) => {
                let (place, words) = self.choose(pool, &pool.set.get(index)?, 0, index);
                (place, words.negatives)
            }
        })
    }

    /// The number of the scene at a position, its texts and its picture.
    fn scene(
        &self,
        scenes: u64,
        repeat: bool,
        position: u64,
    ) -> (u64, Words, clove_scenes::Picture) {
        let number = Scenes::Epochs { scenes, repeat }.at(self.seed, position);
        let sample = self.texts.sample(self.seed, number, self.preprocess.size());
        let words = Words {
            place: format!("scene {number}"),
            caption: sample.text,
            negatives: sample.negatives,
        };
        (number, words, sample.picture)
    }

    fn random(&self, epoch: u64, index: u64, purpose: u64) -> Random {
        Random::new(&[self.seed, epoch, index, purpose])
    }

    /// The caption of an epoch with its negatives, and its index.
    fn choose(&self, pool: &Pool, sample: &Sample, epoch: u64, index: u64) -> (usize, Words) {
        let place = self.caption(pool, sample, epoch, index);
        let caption = &sample.captions[place];
        let negatives = match &self.negatives {
            Negatives::None => Vec::new(),
            Negatives::File => self.brought(sample, epoch, index),
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

    fn brought(&self, sample: &Sample, epoch: u64, index: u64) -> Vec<String> {
        let mut negatives: Vec<&String> = sample
            .negatives
            .iter()
            // Some sets list one caption of an image as a negative of another.
            .filter(|negative| !sample.captions.contains(negative))
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
            let mut found = Yield::default();
            // Training tells what can't be read.
            if let Ok(sample) = pool.set.get(index) {
                let place = self.caption(pool, &sample, epoch, index);
                found.add(&self.make(generator, *style, &sample, place, epoch, index));
            }
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

    /// A randomly cropped photo, as normalised pixels or as a crop for the device, and the hash of the photo.
    fn photo(&self, sample: &Sample, epoch: u64, index: u64) -> Result<(Picture, u64)> {
        let (image, hash) = photos::read_at(&sample.image)?;
        let mut random = self.random(epoch, index, purpose::CROP);
        let crop = self.crop.sample(image.width(), image.height(), &mut || random.uniform().into());
        let pixels = u64::from(image.width()) * u64::from(image.height());
        if self.on_device && pixels <= LARGEST_ON_DEVICE {
            let crop = Crop::new(image, crop).with_context(|| sample.image.to_string())?;
            return Ok((Picture::Crop(crop), hash));
        }
        let cropped = crop_resize(&image, crop, self.preprocess.size())
            .with_context(|| sample.image.to_string())?;
        Ok((Picture::Ready(self.preprocess.normalise(&cropped)), hash))
    }

    /// The number of texts that the context truncates, and the number of texts that were looked at: those of the first scenes, or of
    /// samples spread over the set.
    pub fn count_cut(&self) -> Result<(usize, usize)> {
        const SCENES: u64 = 256;
        const SAMPLES: u64 = 1 << 18;
        let found: Vec<(usize, usize)> = match &self.source {
            Source::Scenes { scenes, .. } => {
                let counts = (0..SCENES.min(*scenes)).into_par_iter().map(|position| {
                    let words = self.words_at(position)?;
                    Ok(self.cut(iter::once(&words.caption).chain(&words.negatives)))
                });
                counts.collect::<Result<_>>()?
            }
            Source::Pool(pool) => {
                let len = pool.set.len();
                let looked = SAMPLES.min(len);
                let counts = (0..looked).into_par_iter().map(|place| {
                    let index = u128::from(place) * u128::from(len) / u128::from(looked);
                    let sample = pool.set.get(index as u64)?;
                    let is_brought = matches!(self.negatives, Negatives::File);
                    let negatives = sample.negatives.iter().filter(|_| is_brought);
                    Ok(self.cut(sample.captions.iter().chain(negatives)))
                });
                counts.collect::<Result<_>>()?
            }
        };
        Ok(found.into_iter().fold((0, 0), |(cut, all), (more, of)| (cut + more, all + of)))
    }

    /// The number of texts that the context truncates, and of all.
    fn cut<'t>(&self, texts: impl Iterator<Item = &'t String>) -> (usize, usize) {
        texts.fold((0, 0), |(cut, all), text| {
            (cut + usize::from(self.tokenizer.encode(text).is_truncated()), all + 1)
        })
    }
}
