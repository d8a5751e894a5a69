//! Images that the page gave: their pixels as the model takes them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use clove::device::OpenDevice;
use clove::device::read_back;
use clove::preprocess::{DecodeLimits, Preprocess, Resize, RgbImage, decode};
use clove_lab as lab;
use clove_scenes::suite::twins;
use clove_scenes::{Kind, Picture, Split, draw};

use super::{Failure, failure, worker};
use crate::protocol::Answer;

/// Width and height at which samples are shown.
const SHOWN: u32 = 288;

/// An image.
#[derive(Debug)]
pub struct Image {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The part that the model sees, as fractions of width and height: left, top, width, height.
    pub seen: [f64; 4],
    /// Normalised, `[3, size, size]`.
    pub pixels: Vec<f32>,
    /// Of the pixels: what was embedded of the same ones is not embedded again.
    pub hash: u64,
}

impl Image {
    /// Reads an image's file. A device, if given, resizes it where its kernels run.
    pub async fn decode(
        bytes: &[u8],
        preprocess: &Preprocess,
        device: Option<&OpenDevice>,
    ) -> Result<Self, Failure> {
        let image = decode(bytes, &DecodeLimits::default()).map_err(failure)?;
        let values = device.and_then(|device| preprocess.on_device(&[&image], &device.device));
        let Some(values) = values else {
            return Self::of(&image, preprocess);
        };
        let (width, height) = image.dimensions();
        Ok(Self::new(
            [width, height],
            seen(width, height, preprocess),
            read_back(values).await.map_err(failure)?,
        ))
    }

    fn of(image: &RgbImage, preprocess: &Preprocess) -> Result<Self, Failure> {
        let pixels = preprocess.pixels(image).map_err(failure)?;
        let (width, height) = image.dimensions();
        Ok(Self::new(
            [width, height],
            seen(width, height, preprocess),
            preprocess.normalise(&pixels),
        ))
    }

    fn new([width, height]: [u32; 2], seen: [f64; 4], pixels: Vec<f32>) -> Self {
        let mut hasher = DefaultHasher::new();
        for pixel in &pixels {
            pixel.to_bits().hash(&mut hasher);
        }
        Self { width, height, seen, hash: hasher.finish(), pixels }
    }

    /// A drawn scene of the test split, its caption and its twin's, and the picture to show. A scene model sees one of its own
    /// size, drawn alike; any other sees the picture.
    pub fn sample(
        number: u32,
        preprocess: &Preprocess,
        by_scene_model: bool,
    ) -> Result<(Self, [String; 2], Picture), Failure> {
        let kinds = [Kind::ReplaceRelation, Kind::SwapAttribute, Kind::ReplaceAttribute];
        let kind = kinds[number as usize % kinds.len()];
        let pair = twins(kind, Split::Test, 0, u64::from(number));
        let scene = &pair.scenes[0];
        let shown = draw(scene, SHOWN, &mut pair.drawing[0].clone());
        let size = shown.size;
        let image = if by_scene_model {
            let small = draw(scene, preprocess.size(), &mut pair.drawing[0].clone());
            let pixels = lab::pixels(small, preprocess);
            Self::new([size, size], [0.0, 0.0, 1.0, 1.0], pixels)
        } else {
            let picture = RgbImage::from_raw(size, size, shown.rgb.clone());
            Self::of(&picture.ok_or("a sample without pixels")?, preprocess)?
        };
        Ok((image, pair.captions, shown))
    }
}

/// The part of an image that is left of it after resizing and cropping.
fn seen(width: u32, height: u32, preprocess: &Preprocess) -> [f64; 4] {
    let (width, height) = (f64::from(width), f64::from(height));
    let size = f64::from(preprocess.size());
    let across = match preprocess.resize() {
        Resize::Square(side) => [size / f64::from(side); 2],
        Resize::Keep => [size / width, size / height],
        Resize::ShortestEdge(edge) => {
            let scale = f64::from(edge) / width.min(height);
            [size / (width * scale), size / (height * scale)]
        }
    };
    let [wide, high] = across;
    [(1.0 - wide) / 2.0, (1.0 - high) / 2.0, wide, high]
}

/// How long a photo takes from its pixels to the device, resized by the host or by the device.
pub async fn time(
    width: u32,
    height: u32,
    runs: u32,
    device: &OpenDevice,
) -> Result<Answer, Failure> {
    let bytes = (0..width * height * 3).map(|at| (at / 5) as u8).collect();
    let photo = RgbImage::from_raw(width, height, bytes).ok_or("a photo without pixels")?;
    let preprocess = Preprocess::clip(224).map_err(failure)?;
    let (mut host, mut on_device) = (Vec::new(), Vec::new());
    // The first run compiles shaders.
    for run in 0..=runs {
        let began = worker::now();
        let values = preprocess.on_host(&[&photo], &device.device);
        let values = values.map_err(failure)?;
        // A sum is read back once all that it's of is there.
        read_back(values.sum()).await.map_err(failure)?;
        let between = worker::now();
        let values = preprocess.on_device(&[&photo], &device.device);
        if let Some(values) = values {
            read_back(values.sum()).await.map_err(failure)?;
            if run > 0 {
                on_device.push(worker::now() - between);
            }
        }
        if run > 0 {
            host.push(between - began);
        }
    }
    Ok(Answer::PhotoTimes { host, device: on_device })
}
