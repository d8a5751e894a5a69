//! Embeddings of photos and texts, each distinct one made once and kept on disk: by what's in the file and by the model, so that a
//! second evaluation reads them.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clove::evaluate::{Embeddings, EvaluateError};
use clove::preprocess::{CropBox, DecodeLimits, Preprocess, RgbImage, decode};
use clove::score::{IMAGES_PER_BATCH, ScoreError, Scorer};
use clove::weights::ModelSource;
use clove_data::fetch::cache_dir;
use clove_data::sets::ImagePlace;
use rayon::prelude::*;

use crate::error::{Context as _, Error, Result, bail, one_line};
use crate::event::{Listener, working};

/// Bytes of a key, and of the check of a record.
const KEY: usize = 32;
const CHECK: usize = 8;

/// Texts that are embedded between two records of progress.
const TEXTS: usize = 1_024;

/// Where a photo is, and which part of it is meant.
#[derive(Debug, Clone)]
pub struct Photo {
    /// Its name in the benchmark.
    pub name: String,
    /// Its file.
    pub place: ImagePlace,
    /// The part; none for the whole.
    pub part: Option<CropBox>,
}

impl From<&ImagePlace> for Photo {
    fn from(place: &ImagePlace) -> Self {
        Self { name: place.to_string(), place: place.clone(), part: None }
    }
}

/// Embeddings of photos that could be read, and those that couldn't.
#[derive(Debug)]
pub struct EmbeddedPhotos {
    /// A row each.
    pub rows: Embeddings,
    /// Places of the rows among those that were asked for.
    pub places: Vec<usize>,
    /// Names, and why.
    pub unreadable: Vec<(String, String)>,
}

/// What turns photos and texts into embeddings, and whoever hears of it.
pub(crate) struct Embedder<'a> {
    pub scorer: &'a Scorer,
    pub store: &'a mut Store,
    pub listener: &'a mut Listener<'a>,
}

/// Embeddings that were made before.
#[derive(Debug)]
pub struct Store {
    known: HashMap<[u8; KEY], Vec<f32>>,
    /// None where nothing is kept.
    file: Option<(PathBuf, File)>,
    dim: usize,
    /// Photos and texts that were embedded, and that were known.
    pub made: usize,
    /// How often one was known.
    pub found: usize,
}

impl Store {
    /// Keeps nothing beyond this run.
    #[must_use]
    pub fn forgetful(dim: usize) -> Self {
        Self { known: HashMap::new(), file: None, dim, made: 0, found: 0 }
    }

    /// Opens what is known of a model on a device. A file that's damaged is read as far as it's whole.
    ///
    /// # Errors
    /// When the model's files or the folder of embeddings can't be read.
    pub fn open(source: &ModelSource, device: &str) -> Result<Self> {
        let dim = source.config().embed_dim;
        let mut store = Self::forgetful(dim);
        let folder = cache_dir("embeddings")?;
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(model_key(source, device)?);
        let place = || path.display().to_string();
        let file = OpenOptions::new().create(true).append(true).open(&path).with_context(place)?;
        // Another evaluation that is at work keeps what it makes; this one only reads.
        let is_ours = file.try_lock().is_ok();
        let mut whole = 0;
        let stored = File::open(&path).with_context(place)?;
        let mut reader = BufReader::with_capacity(1 << 18, stored);
        let mut record = vec![0; KEY + 4 * dim + CHECK];
        while reader.read_exact(&mut record).is_ok() {
            let (content, check) = record.split_at(KEY + 4 * dim);
            if blake3::hash(content).as_bytes()[..CHECK] != *check {
                break;
            }
            let (key, row) = content.split_at(KEY);
            let row = row.as_chunks::<4>().0.iter();
            let row = row.copied().map(f32::from_le_bytes);
            let mut bytes = [0; KEY];
            bytes.copy_from_slice(key);
            store.known.insert(bytes, row.collect());
            whole += record.len() as u64;
        }
        if is_ours {
            // What follows damage would be cut into records in the wrong places.
            file.set_len(whole).with_context(place)?;
            store.file = Some((path, file));
        }
        Ok(store)
    }

    fn get(&mut self, key: &[u8; KEY]) -> Option<&Vec<f32>> {
        let row = self.known.get(key);
        self.found += usize::from(row.is_some());
        row
    }

    /// Adds rows, and has them on the disk's way.
    fn add(&mut self, keys: &[[u8; KEY]], rows: &Embeddings) -> Result<()> {
        let mut bytes = Vec::with_capacity(keys.len() * (KEY + 4 * self.dim + CHECK));
        for (place, key) in keys.iter().enumerate() {
            let row = rows.row(place);
            let start = bytes.len();
            bytes.extend_from_slice(key);
            bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
            let check = blake3::hash(&bytes[start..]);
            bytes.extend_from_slice(&check.as_bytes()[..CHECK]);
            self.known.insert(*key, row.to_vec());
        }
        self.made += keys.len();
        if let Some((path, file)) = &mut self.file {
            file.write_all(&bytes)
                .with_context(|| format!("{}: --no-cache keeps no embeddings", path.display()))?;
        }
        Ok(())
    }
}

impl Embedder<'_> {
    /// Embeds photos, each distinct one once.
    pub fn photos(&mut self, photos: &[Photo]) -> Result<EmbeddedPhotos> {
        let (mut values, mut places, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        for (number, chunk) in photos.chunks(IMAGES_PER_BATCH).enumerate() {
            let done = number * IMAGES_PER_BATCH;
            working(self.listener, "photos", done, photos.len());
            let read = |photo: &Photo| photo.place.read().map(|bytes| (photo.key(&bytes), bytes));
            let found: Vec<_> = chunk.par_iter().map(read).collect();
            let mut keys = Vec::with_capacity(chunk.len());
            let mut fresh = Vec::new();
            for (place, (photo, found)) in chunk.iter().zip(found).enumerate() {
                match found {
                    Err(error) => {
                        unreadable.push((photo.name.clone(), error.to_string()));
                        keys.push(None);
                    }
                    Ok((key, bytes)) => {
                        if self.store.get(&key).is_none() {
                            fresh.push((place, key, bytes));
                        }
                        keys.push(Some(key));
                    }
                }
            }
            let preprocess = self.scorer.preprocess();
            let pixels: Vec<Result<Vec<f32>>> = fresh
                .par_iter()
                .map(|(place, _, bytes)| chunk[*place].pixels(bytes, preprocess))
                .collect();
            let (mut batch, mut made) = (Vec::new(), Vec::new());
            for ((place, key, _), pixels) in fresh.into_iter().zip(pixels) {
                match pixels {
                    Ok(pixels) => {
                        batch.extend(pixels);
                        made.push((place, key));
                    }
                    Err(error) => {
                        let why = one_line(&error);
                        unreadable.push((chunk[place].name.clone(), why));
                        keys[place] = None;
                    }
                }
            }
            if !made.is_empty() {
                let rows = pollster::block_on(self.scorer.embed_pixels(batch));
                let rows = rows.map_err(|error| named(error, |row| &chunk[made[row].0].name))?;
                let keys: Vec<_> = made.iter().map(|(_, key)| *key).collect();
                self.store.add(&keys, &rows)?;
            }
            for (place, key) in keys.into_iter().enumerate() {
                if let Some(row) = key.and_then(|key| self.store.known.get(&key)) {
                    values.extend_from_slice(row);
                    places.push(done + place);
                }
            }
        }
        working(self.listener, "photos", photos.len(), photos.len());
        Ok(EmbeddedPhotos {
            rows: Embeddings::from_rows(self.store.dim, values)?,
            places,
            unreadable,
        })
    }

    /// Embeds texts, a row each, each distinct one once.
    pub fn texts(&mut self, texts: &[String]) -> Result<Embeddings> {
        let mut values = Vec::with_capacity(texts.len() * self.store.dim);
        for (number, chunk) in texts.chunks(TEXTS).enumerate() {
            working(self.listener, "texts", number * TEXTS, texts.len());
            let key = |text: &String| *blake3::hash(text.as_bytes()).as_bytes();
            let keys: Vec<[u8; KEY]> = chunk.iter().map(key).collect();
            let mut fresh: Vec<([u8; KEY], &String)> = Vec::new();
            for (key, text) in keys.iter().zip(chunk) {
                let is_new = fresh.iter().all(|(other, _)| other != key);
                if self.store.get(key).is_none() && is_new {
                    fresh.push((*key, text));
                }
            }
            if !fresh.is_empty() {
                let texts: Vec<&str> = fresh.iter().map(|(_, text)| text.as_str()).collect();
                let rows = pollster::block_on(self.scorer.embed_texts(&texts, &mut |_| ()));
                let rows = rows.map_err(|error| named(error, |row| texts[row]))?;
                let keys: Vec<_> = fresh.iter().map(|(key, _)| *key).collect();
                self.store.add(&keys, &rows)?;
            }
            for key in &keys {
                values.extend(self.store.known.get(key).into_iter().flatten());
            }
        }
        working(self.listener, "texts", texts.len(), texts.len());
        Ok(Embeddings::from_rows(self.store.dim, values)?)
    }
}

/// A failure that knows a row of a batch, with what the row is of.
fn named<'a>(error: ScoreError, name: impl Fn(usize) -> &'a str) -> Error {
    let place = match &error {
        ScoreError::Embeddings(
            EvaluateError::NotFinite { row, .. } | EvaluateError::ZeroRow { row },
        ) => name(*row).to_owned(),
        _ => return error.into(),
    };
    Error::At { place, source: Box::new(error.into()) }
}

impl Photo {
    /// By the file's bytes, and the part of the photo that's meant.
    fn key(&self, bytes: &[u8]) -> [u8; KEY] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytes);
        if let Some(part) = self.part {
            for number in [part.x, part.y, part.width, part.height] {
                hasher.update(&number.to_le_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }

    /// What's meant of it.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn image(&self) -> Result<RgbImage> {
        self.decode(&self.place.read()?)
    }

    fn pixels(&self, bytes: &[u8], preprocess: &Preprocess) -> Result<Vec<f32>> {
        let image = self.decode(bytes)?;
        Ok(preprocess.normalise(&preprocess.pixels(&image)?))
    }

    fn decode(&self, bytes: &[u8]) -> Result<RgbImage> {
        let mut image = decode(bytes, &DecodeLimits::default())?;
        if let Some(part) = self.part {
            let (width, height) = (image.width(), image.height());
            if !part.fits(width, height) {
                bail!("the part {part:?} isn't inside its {width} x {height} pixels");
            }
            image = RgbImage::from_fn(part.width, part.height, |x, y| {
                *image.get_pixel(part.x + x, part.y + y)
            });
        }
        Ok(image)
    }
}

/// A name for a model on a device: another model, preprocessing, device or program has another one.
fn model_key(source: &ModelSource, device: &str) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(concat!("clove ", env!("CARGO_PKG_VERSION")).as_bytes());
    hasher.update(device.as_bytes());
    let mut names = source.files().names();
    names.sort();
    let is_part = |name: &&String| {
        let end = Path::new(name).extension();
        end.is_some_and(|end| end == "json" || end == "safetensors" || end == "txt")
    };
    for name in names.iter().filter(is_part) {
        let place = source.files().describe(name);
        hasher.update(name.as_bytes());
        let mut file = File::open(&place).with_context(|| place.clone())?;
        std::io::copy(&mut file, &mut hasher).with_context(|| place.clone())?;
    }
    Ok(hasher.finalize().to_hex()[..KEY].to_owned())
}
