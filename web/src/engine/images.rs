//! The page's images, preprocessed for the model.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use clove::device::OpenDevice;
use clove::device::read_back;
use clove::preprocess::{DecodeLimits, Preprocess, Resize, RgbImage, decode};
use clove_lab as lab;
use clove_scenes::suite::twins;
use clove_scenes::{Kind, Picture, Split, draw};

use super::{Failure, worker};
use crate::protocol::Answer;

/// Width and height of samples on the page.
const SHOWN: u32 = 288;

#[derive(Debug)]
pub struct Image {
    pub width: u32,
    pub height: u32,
    /// The part that the model sees, as fractions of width and height: left, top, width, height.
    pub seen: [f64; 4],
    /// Normalised, `[3, size, size]`.
    pub pixels: Vec<f32>,
    /// Hash of the pixels, to cache embeddings.
    pub hash: u64,
}

impl Image {
    /// Decodes an image's file. Resizes it on the device, if one is given and its kernels run.
    pub async fn decode(
        bytes: &[u8],
        preprocess: &Preprocess,
        device: Option<&OpenDevice>,
    ) -> Result<Self, Failure> {
        let image = decode(bytes, &DecodeLimits::default())?;
        match device.and_then(|device| preprocess.on_device(&[&image], &device.device)) {
            Some(values) => {
                let seen = seen(image.dimensions(), preprocess);
                Ok(Self::new(image.dimensions(), seen, read_back(values).await?))
            }
            None => Self::of(&image, preprocess),
        }
    }

    fn of(image: &RgbImage, preprocess: &Preprocess) -> Result<Self, Failure> {
        let pixels = preprocess.normalise(&preprocess.pixels(image)?);
        Ok(Self::new(image.dimensions(), seen(image.dimensions(), preprocess), pixels))
    }

    fn new((width, height): (u32, u32), seen: [f64; 4], pixels: Vec<f32>) -> Self {
        let mut hasher = DefaultHasher::new();
        for pixel in &pixels {
            pixel.to_bits().hash(&mut hasher);
        }
        Self { width, height, seen, hash: hasher.finish(), pixels }
    }

    /// A scene of the test split, its caption and its twin's, and the picture to show. A scene model gets the scene drawn at its own
    /// size; other models get the picture.
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
            Self::new((size, size), [0.0, 0.0, 1.0, 1.0], lab::pixels(small, preprocess))
        } else {
            let picture = RgbImage::from_raw(size, size, shown.rgb.clone());
            Self::of(&picture.ok_or("a sample without pixels")?, preprocess)?
        };
        Ok((image, pair.captions, shown))
    }
}

/// The part of an image that remains after resizing and cropping.
fn seen((width, height): (u32, u32), preprocess: &Preprocess) -> [f64; 4] {
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

/// Times the preprocessing of a photo, on the host and on the device.
pub async fn time(
    width: u32,
    height: u32,
    runs: u32,
    device: &OpenDevice,
) -> Result<Answer, Failure> {
    let bytes = (0..width * height * 3).map(|at| (at / 5) as u8).collect();
    let photo = RgbImage::from_raw(width, height, bytes).ok_or("a photo without pixels")?;
    let preprocess = Preprocess::clip(224)?;
    let (mut host, mut on_device) = (Vec::new(), Vec::new());
    // The first run is a warm-up: it compiles shaders.
    for run in 0..=runs {
        let began = worker::now();
        // Reading back the sum waits for all of its terms.
        read_back(preprocess.on_host(&[&photo], &device.device)?.sum()).await?;
        let between = worker::now();
        if let Some(values) = preprocess.on_device(&[&photo], &device.device) {
            read_back(values.sum()).await?;
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
