//! Thumbnails for pages.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clove::preprocess::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops;

/// Length of the longer side: twice the displayed size, for high-resolution screens.
const THUMBNAIL: u32 = 400;

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
        .context("can't make a thumbnail")?;
    Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)))
}
