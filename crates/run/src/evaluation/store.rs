//! Embeds photos and texts, each distinct one once, and caches embeddings on disk by content and model.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read as _, Write as _};
use std::path::PathBuf;

use clove::evaluate::{Embeddings, EvaluateError};
use clove::preprocess::{DecodeLimits, Preprocess, RgbImage, decode};
use clove::score::{IMAGES_PER_BATCH, ScoreError, Scorer};
use clove::weights::ModelSource;
use clove_data::benchmarks::Part;
use clove_data::fetch::cache_dir;
use clove_data::sets::ImagePlace;
use rayon::prelude::*;

use super::keys::{self, KEY, Key};
use crate::error::{Context as _, Error, Result, one_line};
use crate::event::{Event, Listener, ask, working};

/// Bytes of a record's checksum, which stands behind its key and its embedding.
const CHECK: usize = 8;

const TEXTS: usize = 1_024;

/// The key of a photo, and its pixels unless its embedding is known.
type Keyed = (Key, Option<Vec<f32>>);

/// The name of an unreadable photo, and the reason.
type Unreadable = (String, String);

/// A photo, or a part of one.
#[derive(Debug, Clone)]
pub struct Photo {
    /// Name in the benchmark.
    pub name: String,
    /// Location of the file.
    pub place: ImagePlace,
    /// The part; `None` for the whole photo.
    pub part: Option<Part>,
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
    /// The key of what computes the embeddings.
    model: Key,
    known: HashMap<Key, Vec<f32>>,
    /// The file on disk; `None` for a cache in memory.
    file: Option<(PathBuf, File)>,
    /// Why there is no file, until it's told.
    trouble: Option<String>,
    dim: usize,
    /// Number of new embeddings.
    pub made: usize,
    /// Number of cache hits.
    pub found: usize,
}

impl Store {
    /// A cache in memory.
    pub fn forgetful(dim: usize) -> Self {
        let (model, known) = ([0; KEY], HashMap::new());
        Self { model, known, file: None, trouble: None, dim, made: 0, found: 0 }
    }

    /// Opens the cache of a model on a device. Drops the damaged end of a file. A cache that can't be opened is one in memory; the
    /// listener of the evaluation hears why.
    ///
    /// # Errors
    /// If the model's files can't be read.
    pub fn open(source: &ModelSource, device: &str) -> Result<Self> {
        let mut store = Self::forgetful(source.config().embed_dim);
        store.model = keys::of_model(source, device)?;
        let name = blake3::Hash::from_bytes(store.model).to_hex();
        if let Err(error) = store.open_file(&name) {
            store.go_on_without(&error);
        }
        Ok(store)
    }

    fn open_file(&mut self, name: &str) -> Result<()> {
        let folder = cache_dir("embeddings")?;
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(name);
        let place = || path.display().to_string();
        let file = OpenOptions::new().create(true).append(true).open(&path).with_context(place)?;
        // If another process has the lock, only read.
        let is_ours = file.try_lock().is_ok();
        let mut whole = 0;
        let stored = File::open(&path).with_context(place)?;
        let mut reader = BufReader::with_capacity(1 << 18, stored);
        let mut record = vec![0; KEY + 4 * self.dim + CHECK];
        while reader.read_exact(&mut record).is_ok() {
            let (content, check) = record.split_at(KEY + 4 * self.dim);
            if blake3::hash(content).as_bytes()[..CHECK] != *check {
                break;
            }
            let (key, row) = content.split_at(KEY);
            let row = row.as_chunks::<4>().0.iter();
            let row = row.copied().map(f32::from_le_bytes);
            let mut bytes = [0; KEY];
            bytes.copy_from_slice(key);
            self.known.insert(bytes, row.collect());
            whole += record.len() as u64;
        }
        if is_ours {
            // Records after damage would be misaligned.
            file.set_len(whole).with_context(place)?;
            self.file = Some((path, file));
        }
        Ok(())
    }

    /// Keeps embeddings in memory only: a cache is no reason to end an evaluation.
    fn go_on_without(&mut self, error: &Error) {
        self.file = None;
        let why = one_line(error);
        self.trouble = Some(format!("warning: no embeddings are cached: {why}"));
    }

    fn add(&mut self, keys: &[Key], rows: &Embeddings) {
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
        if let Some((path, file)) = &mut self.file
            && let Err(error) = file.write_all(&bytes).with_context(|| path.display())
        {
            self.go_on_without(&error);
        }
    }
}

impl Embedder<'_> {
    /// Embeds photos, one row for each that can be read.
    pub fn photos(&mut self, photos: &[Photo]) -> Result<EmbeddedPhotos> {
        let (mut values, mut places, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        let mut named = HashSet::new();
        for (number, chunk) in photos.chunks(IMAGES_PER_BATCH).enumerate() {
            let done = number * IMAGES_PER_BATCH;
            ask(self.listener, "photos", done, photos.len())?;
            let (store, preprocess) = (&*self.store, self.scorer.preprocess());
            let read = |photo: &Photo| photo.keyed(store, preprocess);
            let found: Vec<Result<Keyed, Unreadable>> = chunk.par_iter().map(read).collect();
            let (mut keys, mut fresh, mut batch) = (Vec::new(), Vec::new(), Vec::new());
            for (place, found) in (done..).zip(found) {
                match found {
                    Ok((key, pixels)) => {
                        keys.push((place, key));
                        self.store.found += usize::from(pixels.is_none());
                        fresh.extend(pixels.is_some().then_some((place, key)));
                        batch.extend(pixels.unwrap_or_default());
                    }
                    // Several parts of a photo, or several rows, are one unreadable photo.
                    Err((name, why)) => {
                        if named.insert(name.clone()) {
                            unreadable.push((name, why));
                        }
                    }
                }
            }
            if !fresh.is_empty() {
                let rows = pollster::block_on(self.scorer.embed_pixels(batch));
                let rows = rows.map_err(|error| of_row(error, |row| &photos[fresh[row].0].name))?;
                let keys: Vec<_> = fresh.iter().map(|(_, key)| *key).collect();
                self.keep(&keys, &rows);
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

    /// Adds embeddings to the cache, and tells its trouble.
    fn keep(&mut self, keys: &[Key], rows: &Embeddings) {
        self.store.add(keys, rows);
        if let Some(trouble) = self.store.trouble.take() {
            (self.listener)(&Event::Note(trouble));
        }
    }

    /// Embeds texts, one row each.
    pub fn texts(&mut self, texts: &[String]) -> Result<Embeddings> {
        let mut values = Vec::with_capacity(texts.len() * self.store.dim);
        for (number, chunk) in texts.chunks(TEXTS).enumerate() {
            ask(self.listener, "texts", number * TEXTS, texts.len())?;
            let model = self.store.model;
            let keys: Vec<Key> = chunk.iter().map(|text| keys::of_text(&model, text)).collect();
            let mut fresh: Vec<(Key, &str)> = Vec::new();
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
                let rows = rows.map_err(|error| of_row(error, |row| texts[row]))?;
                self.keep(&keys, &rows);
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
pub(crate) fn of_row<'a>(error: ScoreError, name: impl Fn(usize) -> &'a str) -> Error {
    let place = match &error {
        ScoreError::Embeddings(
            EvaluateError::NotFinite { row, .. } | EvaluateError::ZeroRow { row },
        ) => name(*row).to_owned(),
        _ => return error.into(),
    };
    Error::At { place, source: Box::new(error) }
}

impl Photo {
    /// Reads the photo, or its part.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn image(&self) -> Result<RgbImage> {
        self.cut(decode(&self.place.read()?, &DecodeLimits::default())?)
    }

    fn keyed(&self, store: &Store, preprocess: &Preprocess) -> Result<Keyed, Unreadable> {
        // A file that can't be read has no part, so it's named itself.
        let of_file = |error: &Error| {
            let name = self.part.map_or_else(|| self.name.clone(), |_| self.place.to_string());
            (name, one_line(error))
        };
        let bytes = self.place.read().map_err(|error| of_file(&error.into()))?;
        let key = keys::of_photo(&store.model, &bytes, self.part);
        if store.known.contains_key(&key) {
            return Ok((key, None));
        }
        let image = decode(&bytes, &DecodeLimits::default());
        let image = image.map_err(|error| of_file(&error.into()))?;
        let pixels = self.cut(image).and_then(|image| Ok(preprocess.pixels(&image)?));
        let pixels = pixels.map_err(|error| (self.name.clone(), one_line(&error)))?;
        Ok((key, Some(preprocess.normalise(&pixels))))
    }

    fn cut(&self, image: RgbImage) -> Result<RgbImage> {
        match self.part {
            Some(part) => part.cut(&image).with_context(|| self.place.to_string()),
            None => Ok(image),
        }
    }
}
