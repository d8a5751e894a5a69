//! Small pictures for pages.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clove::preprocess::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops;

/// The longer side of a picture on the page: twice what it takes there, for sharp screens.
const THUMBNAIL: u32 = 400;

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
    Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)))
}
