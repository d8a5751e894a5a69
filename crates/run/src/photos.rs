//! Reads, preprocesses and embeds photos in batches, on all cores.

use std::path::Path;

use clove::evaluate::Embeddings;
use clove::preprocess::{DecodeLimits, Preprocess, RgbImage, decode};
use clove::score::{IMAGES_PER_BATCH, Scorer};
use clove_data::read_image;
use clove_data::sets::ImagePlace;
use rayon::prelude::*;

use crate::error::{Context as _, Result, bail, one_line};
use crate::evaluation::of_row;
use crate::event::{Listener, working};

/// Reads and decodes a photo.
///
/// # Errors
/// If the photo can't be read.
pub fn read(path: &Path) -> Result<RgbImage> {
    let bytes = read_image(path)?;
    decode(&bytes, &DecodeLimits::default()).with_context(|| path.display().to_string())
}

/// Reads and decodes a photo of an image-text set, and hashes its bytes.
pub(crate) fn read_at(place: &ImagePlace) -> Result<(RgbImage, u64)> {
    let bytes = match place {
        ImagePlace::File(path) => read_image(path)?,
        _ => place.read().with_context(|| place.to_string())?,
    };
    let image = decode(&bytes, &DecodeLimits::default()).with_context(|| place.to_string())?;
    let mut hash = [0; 8];
    hash.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
    Ok((image, u64::from_le_bytes(hash)))
}

/// Rows of the photos that can be read.
#[derive(Debug)]
pub struct Rows<T> {
    /// One row for each of these photos.
    pub values: T,
    /// The index of each row's photo.
    pub places: Vec<usize>,
    /// The other photos with the reasons.
    pub unreadable: Vec<(String, String)>,
}

/// Normalised pixels of photos, `[n, 3, size, size]`. With `skip`, photos that can't be read are left out.
///
/// # Errors
/// Without `skip` the first unreadable photo, and with it if no photo can be read.
pub fn batch(
    paths: &[impl AsRef<Path> + Sync],
    preprocess: &Preprocess,
    skip: bool,
) -> Result<Rows<Vec<f32>>> {
    let mut rows = Rows { values: Vec::new(), places: Vec::new(), unreadable: Vec::new() };
    add(&mut rows, 0, paths, preprocess, skip)?;
    some(rows)
}

/// Adds the pixels of the photos from `first` on.
fn add(
    rows: &mut Rows<Vec<f32>>,
    first: usize,
    paths: &[impl AsRef<Path> + Sync],
    preprocess: &Preprocess,
    skip: bool,
) -> Result<()> {
    let pixels = |path: &Path| -> Result<Vec<f32>> {
        let cropped =
            preprocess.pixels(&read(path)?).with_context(|| path.display().to_string())?;
        Ok(preprocess.normalise(&cropped))
    };
    let photos: Vec<Result<Vec<f32>>> =
        paths.par_iter().map(|path| pixels(path.as_ref())).collect();
    for ((place, photo), path) in (first..).zip(photos).zip(paths) {
        match photo {
            Ok(pixels) => {
                rows.places.push(place);
                rows.values.extend(pixels);
            }
            Err(error) if skip => {
                let name = path.as_ref().display().to_string();
                rows.unreadable.push((name, one_line(&error)));
            }
            Err(error) => {
                bail!("{}; --skip-unreadable leaves out such photos", one_line(&error));
            }
        }
    }
    Ok(())
}

/// Rows, unless there are none.
fn some<T>(rows: Rows<T>) -> Result<Rows<T>> {
    match (rows.places.is_empty(), rows.unreadable.first()) {
        (true, Some((_, why))) => {
            bail!("no photo can be read; the first: {why}");
        }
        _ => Ok(rows),
    }
}

/// Embeds photos, one row each. With `skip`, photos that can't be read are left out.
///
/// # Errors
/// Those of [`batch`], and if the device fails or an embedding isn't finite.
pub fn embed(
    paths: &[impl AsRef<Path> + Sync],
    scorer: &Scorer,
    skip: bool,
    listener: &mut Listener<'_>,
) -> Result<Rows<Embeddings>> {
    let mut values = Vec::new();
    let mut rows = Rows { values: Vec::new(), places: Vec::new(), unreadable: Vec::new() };
    for (number, chunk) in paths.chunks(IMAGES_PER_BATCH).enumerate() {
        let first = number * IMAGES_PER_BATCH;
        working(listener, "photos", first, paths.len());
        let before = rows.places.len();
        add(&mut rows, first, chunk, scorer.preprocess(), skip)?;
        let batch = std::mem::take(&mut rows.values);
        if !batch.is_empty() {
            let embedded = pollster::block_on(scorer.embed_pixels(batch));
            let name = |row: usize| {
                let path = paths[rows.places[before + row]].as_ref();
                path.to_str().unwrap_or("a photo")
            };
            values.extend_from_slice(embedded.map_err(|error| of_row(error, name))?.as_slice());
        }
    }
    working(listener, "photos", paths.len(), paths.len());
    let Rows { places, unreadable, .. } = some(rows)?;
    let values = Embeddings::from_rows(scorer.config().embed_dim, values)?;
    Ok(Rows { values, places, unreadable })
}

/// Embeds texts, one row each.
///
/// # Errors
/// If the device fails.
pub fn embed_texts(
    texts: &[impl AsRef<str>],
    scorer: &Scorer,
    listener: &mut Listener<'_>,
) -> Result<Embeddings> {
    let mut done = 0;
    Ok(pollster::block_on(scorer.embed_texts(texts, &mut |count| {
        done += count;
        working(listener, "texts", done, texts.len());
    }))?)
}
