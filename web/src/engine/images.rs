//! Images that the page gave: their pixels as the model takes them, and what was embedded of them.

use clove::evaluate::Embeddings;
use clove::lab;
use clove::preprocess::{DecodeLimits, Preprocess, decode};
use clove_scenes::suite::twins;
use clove_scenes::{Kind, Picture, Split, draw};

use super::{Failure, failure};
use crate::protocol::Answer;

/// Width and height at which samples are shown.
const SHOWN: u32 = 288;

/// An image.
#[derive(Debug)]
pub struct Image {
    width: u32,
    height: u32,
    /// Normalised, `[3, size, size]`.
    pub pixels: Vec<f32>,
    /// Its embedding, and the bits of the alpha that it's of.
    pub embedding: Option<(u64, Embeddings)>,
}

impl Image {
    /// Reads an image's file.
    pub fn decode(bytes: &[u8], preprocess: &Preprocess) -> Result<Self, Failure> {
        let image = decode(bytes, &DecodeLimits::default()).map_err(failure)?;
        let pixels = preprocess.pixels(&image).map_err(failure)?;
        Ok(Self {
            width: image.width(),
            height: image.height(),
            pixels: preprocess.normalise(&pixels),
            embedding: None,
        })
    }

    /// A drawn scene of the test split, its caption, and the picture to show: the model sees one of its own size, drawn alike.
    pub fn sample(number: u32, preprocess: &Preprocess) -> (Self, String, Picture) {
        let kinds = [
            Kind::ReplaceRelation,
            Kind::SwapAttribute,
            Kind::ReplaceAttribute,
        ];
        let kind = kinds[number as usize % kinds.len()];
        let pair = twins(kind, Split::Test, 0, u64::from(number));
        let scene = &pair.scenes[0];
        let small = draw(scene, preprocess.size(), &mut pair.drawing[0].clone());
        let shown = draw(scene, SHOWN, &mut pair.drawing[0].clone());
        let size = shown.size;
        let image = Self {
            width: size,
            height: size,
            pixels: lab::pixels(small, preprocess),
            embedding: None,
        };
        (image, pair.captions[0].clone(), shown)
    }

    /// What the page is told of it.
    pub fn answer(&self) -> Answer {
        Answer::Image {
            width: self.width,
            height: self.height,
            caption: None,
            pixels: false,
        }
    }
}
