//! Embeds photos and texts, each distinct one once, and caches embeddings on disk by content and model.

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

/// Bytes of a record's key and checksum.
const KEY: usize = 32;
const CHECK: usize = 8;

const TEXTS: usize = 1_024;

/// The key of a photo, and its pixels unless its embedding is known.
type Keyed = ([u8; KEY], Option<Vec<f32>>);

/// A photo, or a part of one.
#[derive(Debug, Clone)]
pub struct Photo {
    /// Name in the benchmark.
    pub name: String,
    /// Location of the file.
    pub place: ImagePlace,
    /// The part; `None` for the whole photo.
    pub part: Option<CropBox>,
}

impl From<&ImagePlace> for Photo {
    fn from(place: &ImagePlace) -> Self {
        Self { name: place.to_string(), place: place.clone(), part: None }
    }
}

/// Embeddings of readable photos, and the unreadable ones.
#[derive(Debug)]
pub struct EmbeddedPhotos {
    /// One row per readable photo.
    pub rows: Embeddings,
    /// Index of each row's photo.
    pub places: Vec<usize>,
    /// Unreadable photos with the reasons.
    pub unreadable: Vec<(String, String)>,
}

pub(crate) struct Embedder<'a> {
    pub scorer: &'a Scorer,
    pub store: &'a mut Store,
    pub listener: &'a mut Listener<'a>,
}

/// A cache of embeddings.
#[derive(Debug)]
pub struct Store {
    known: HashMap<[u8; KEY], Vec<f32>>,
    /// The file on disk; `None` for a cache in memory.
    file: Option<(PathBuf, File)>,
    dim: usize,
    /// Number of new embeddings.
    pub made: usize,
    /// Number of cache hits.
    pub found: usize,
}

impl Store {
    /// A cache in memory.
    pub fn forgetful(dim: usize) -> Self {
        Self { known: HashMap::new(), file: None, dim, made: 0, found: 0 }
    }

    /// Opens the cache of a model on a device. Drops the damaged end of a file.
    ///
    /// # Errors
    /// If the model's files or the cache folder can't be read.
    pub fn open(source: &ModelSource, device: &str) -> Result<Self> {
        let dim = source.config().embed_dim;
        let mut store = Self::forgetful(dim);
        let folder = cache_dir("embeddings")?;
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(model_key(source, device)?);
        let place = || path.display().to_string();
        let file = OpenOptions::new().create(true).append(true).open(&path).with_context(place)?;
        // If another process has the lock, only read.
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
            // Records after damage would be misaligned.
            file.set_len(whole).with_context(place)?;
            store.file = Some((path, file));
        }
        Ok(store)
    }

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
            file.write_all(&bytes).with_context(|| {
                format!("{}: use --no-cache to disable the cache", path.display())
            })?;
        }
        Ok(())
    }
}

impl Embedder<'_> {
    pub fn photos(&mut self, photos: &[Photo]) -> Result<EmbeddedPhotos> {
        let (mut values, mut places, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        for (number, chunk) in photos.chunks(IMAGES_PER_BATCH).enumerate() {
            let done = number * IMAGES_PER_BATCH;
            working(self.listener, "photos", done, photos.len());
            let (store, preprocess) = (&*self.store, self.scorer.preprocess());
            let read = |photo: &Photo| -> Result<Keyed> {
                let bytes = photo.place.read()?;
                let key = photo.key(&bytes);
                let is_new = !store.known.contains_key(&key);
                let pixels = is_new.then(|| photo.pixels(&bytes, preprocess)).transpose()?;
                Ok((key, pixels))
            };
            let found: Vec<Result<Keyed>> = chunk.par_iter().map(read).collect();
            let (mut keys, mut fresh, mut batch) = (Vec::new(), Vec::new(), Vec::new());
            for (place, found) in (done..).zip(found) {
                match found {
                    Ok((key, pixels)) => {
                        keys.push((place, key));
                        self.store.found += usize::from(pixels.is_none());
                        fresh.extend(pixels.is_some().then_some((place, key)));
                        batch.extend(pixels.unwrap_or_default());
                    }
                    Err(error) => unreadable.push((photos[place].name.clone(), one_line(&error))),
                }
            }
            if !fresh.is_empty() {
                let rows = pollster::block_on(self.scorer.embed_pixels(batch));
                let rows = rows.map_err(|error| named(error, |row| &photos[fresh[row].0].name))?;
                let keys: Vec<_> = fresh.iter().map(|(_, key)| *key).collect();
                self.store.add(&keys, &rows)?;
            }
            for (place, key) in keys {
                values.extend_from_slice(&self.store.known[&key]);
                places.push(place);
            }
        }
        working(self.listener, "photos", photos.len(), photos.len());
        Ok(EmbeddedPhotos {
            rows: Embeddings::from_rows(self.store.dim, values)?,
            places,
            unreadable,
        })
    }

    /// Embeds texts, one row each.
    pub fn texts(&mut self, texts: &[String]) -> Result<Embeddings> {
        let mut values = Vec::with_capacity(texts.len() * self.store.dim);
        for (number, chunk) in texts.chunks(TEXTS).enumerate() {
            working(self.listener, "texts", number * TEXTS, texts.len());
            let key = |text: &String| *blake3::hash(text.as_bytes()).as_bytes();
            let keys: Vec<[u8; KEY]> = chunk.iter().map(key).collect();
            let mut fresh: Vec<([u8; KEY], &str)> = Vec::new();
            for (key, text) in keys.iter().zip(chunk) {
                let is_known = self.store.known.contains_key(key);
                self.store.found += usize::from(is_known);
                if !is_known && fresh.iter().all(|(other, _)| other != key) {
                    fresh.push((*key, text.as_str()));
                }
            }
            if !fresh.is_empty() {
                let (keys, texts): (Vec<_>, Vec<_>) = fresh.into_iter().unzip();
                let rows = pollster::block_on(self.scorer.embed_texts(&texts, &mut |_| ()));
                let rows = rows.map_err(|error| named(error, |row| texts[row]))?;
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

/// Adds the name of the row that an error refers to.
fn named<'a>(error: ScoreError, name: impl Fn(usize) -> &'a str) -> Error {
    let place = match &error {
        ScoreError::Embeddings(
            EvaluateError::NotFinite { row, .. } | EvaluateError::ZeroRow { row },
        ) => name(*row).to_owned(),
        _ => return error.into(),
    };
    Error::At { place, source: Box::new(error) }
}

impl Photo {
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

    /// Reads the photo, or its part.
    ///
    /// # Errors
    /// If it can't be read.
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
                bail!("the part {part:?} exceeds its {width} x {height} pixels");
            }
            image = RgbImage::from_fn(part.width, part.height, |x, y| {
                *image.get_pixel(part.x + x, part.y + y)
            });
        }
        Ok(image)
    }
}

/// File name of a cache: a hash of the program's version, the device and the model's files.
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
