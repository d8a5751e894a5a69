//! Reads, preprocesses and embeds photos in batches, on all cores.

use std::path::Path;

use clove::evaluate::Embeddings;
use clove::preprocess::{DecodeLimits, Preprocess, RgbImage, decode};
use clove::score::{IMAGES_PER_BATCH, Scorer};
use clove_data::read_image;
use clove_data::sets::ImagePlace;
use rayon::prelude::*;

use crate::error::{Context as _, Result};
use crate::event::{Listener, working};

/// Reads and decodes a photo.
///
/// # Errors
/// If the photo can't be read.
pub fn read(path: &Path) -> Result<RgbImage> {
    let bytes = read_image(path)?;
    decode(&bytes, &DecodeLimits::default()).with_context(|| path.display().to_string())
}

/// Reads and decodes a photo of an image-text set.
pub(crate) fn read_at(place: &ImagePlace) -> Result<RgbImage> {
    if let ImagePlace::File(path) = place {
        return read(path);
    }
    let bytes = place.read().with_context(|| place.to_string())?;
    decode(&bytes, &DecodeLimits::default()).with_context(|| place.to_string())
}

/// Normalised pixels of photos, `[n, 3, size, size]`.
///
/// # Errors
/// The first unreadable photo.
pub fn batch(paths: &[impl AsRef<Path> + Sync], preprocess: &Preprocess) -> Result<Vec<f32>> {
    let pixels = |path: &Path| -> Result<Vec<f32>> {
        let cropped =
            preprocess.pixels(&read(path)?).with_context(|| path.display().to_string())?;
        Ok(preprocess.normalise(&cropped))
    };
    let photos: Vec<Result<Vec<f32>>> =
        paths.par_iter().map(|path| pixels(path.as_ref())).collect();
    Ok(photos.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

/// Embeds photos, one row each.
///
/// # Errors
/// If a photo can't be read or the device fails.
pub fn embed(
    paths: &[impl AsRef<Path> + Sync],
    scorer: &Scorer,
    listener: &mut Listener<'_>,
) -> Result<Embeddings> {
    let mut rows = Vec::new();
    for (done, chunk) in paths.chunks(IMAGES_PER_BATCH).enumerate() {
        working(listener, "photos", done * IMAGES_PER_BATCH, paths.len());
        let pixels = batch(chunk, scorer.preprocess())?;
        let embedded = pollster::block_on(scorer.embed_pixels(pixels))
            .with_context(|| format!("in the batch from {}", chunk[0].as_ref().display()))?;
        rows.extend_from_slice(embedded.as_slice());
    }
    working(listener, "photos", paths.len(), paths.len());
    Ok(Embeddings::from_rows(scorer.config().embed_dim, rows)?)
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
