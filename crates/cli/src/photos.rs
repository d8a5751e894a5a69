//! Photos from disk to pixels, on all cores, a batch at a time.

use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clove::evaluate::Embeddings;
use clove::preprocess::{DecodeLimits, Preprocess, RgbImage, decode};
use clove::score::{IMAGES_PER_BATCH, Scorer};
use clove_data::read_image;
use clove_data::sets::ImagePlace;
use image::codecs::jpeg::JpegEncoder;
use image::imageops;
use rayon::prelude::*;

use crate::output;

/// The longer side of a picture on the page: twice what it takes there, for sharp screens.
const THUMBNAIL: u32 = 400;

/// Reads and decodes one photo.
pub fn read(path: &Path) -> Result<RgbImage> {
    let bytes = read_image(path)?;
    decode(&bytes, &DecodeLimits::default()).with_context(|| path.display().to_string())
}

/// Reads and decodes one photo of an image-text set.
pub fn read_at(place: &ImagePlace) -> Result<RgbImage> {
    if let ImagePlace::File(path) = place {
        return read(path);
    }
    let bytes = place.read().with_context(|| place.to_string())?;
    decode(&bytes, &DecodeLimits::default()).with_context(|| place.to_string())
}

/// One photo as a model's normalised pixels, `[3, size, size]`.
pub fn pixels(path: &Path, preprocess: &Preprocess) -> Result<Vec<f32>> {
    let image = read(path)?;
    let cropped = preprocess
        .pixels(&image)
        .with_context(|| path.display().to_string())?;
    Ok(preprocess.normalise(&cropped))
}

/// Several photos' pixels, in order; the first in order that can't be read is the error.
pub fn batch(paths: &[impl AsRef<Path> + Sync], preprocess: &Preprocess) -> Result<Vec<f32>> {
    let photos: Vec<Result<Vec<f32>>> = paths
        .par_iter()
        .map(|path| pixels(path.as_ref(), preprocess))
        .collect();
    let mut batch = Vec::new();
    for photo in photos {
        batch.extend(photo?);
    }
    Ok(batch)
}

/// Embeds photos, a row each, in order.
pub fn embed(paths: &[impl AsRef<Path> + Sync], scorer: &Scorer) -> Result<Embeddings> {
    let bar = output::progress(paths.len(), "photos");
    let mut rows = Vec::new();
    for paths in paths.chunks(IMAGES_PER_BATCH) {
        let pixels = batch(paths, scorer.preprocess())?;
        let embedded = pollster::block_on(scorer.embed_pixels(pixels))
            .with_context(|| format!("in the batch from {}", paths[0].as_ref().display()))?;
        rows.extend_from_slice(embedded.as_slice());
        bar.inc(paths.len() as u64);
    }
    bar.finish_and_clear();
    Ok(Embeddings::from_rows(scorer.config().embed_dim, rows)?)
}

/// Embeds texts, a row each, in order.
pub fn embed_texts(texts: &[impl AsRef<str>], scorer: &Scorer) -> Result<Embeddings> {
    let bar = output::progress(texts.len(), "texts");
    let embedded =
        pollster::block_on(scorer.embed_texts(texts, &mut |count| bar.inc(count as u64)))?;
    bar.finish_and_clear();
    Ok(embedded)
}

/// A small JPEG as a data URL.
pub fn thumbnail(image: &RgbImage) -> Result<String> {
    let longer = image.width().max(image.height());
    let shrunk = |side: u32| {
        let shrunk = u64::from(side) * u64::from(THUMBNAIL) / u64::from(longer.max(1));
        (shrunk as u32).max(1)
    };
    let small;
    let image = if longer > THUMBNAIL {
        small = imageops::thumbnail(image, shrunk(image.width()), shrunk(image.height()));
        &small
    } else {
        image
    };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 80)
        .encode_image(image)
        .context("can't make a small picture")?;
    Ok(format!(
        "data:image/jpeg;base64,{}",
        BASE64_STANDARD.encode(jpeg)
    ))
}
