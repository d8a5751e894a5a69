//! The answers of an engine.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Ask;
use super::{Explained, Found, Kept, Model, Negative};
use crate::lab::{Contest, Map, Measured, Step};

/// An answer. Similarities are cosines; sizes of images are in pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant's text covers its fields")]
pub enum Answer {
    /// To [`Ask::Open`]: `WebGPU` or `CPU`, the adapter's name, the scene models, the largest difference of the scene model's
    /// embeddings from the known ones, and the duration.
    Opened { backend: String, adapter: String, model: Model, difference: f32, milliseconds: f64 },
    /// To [`Ask::Image`] and [`Ask::Sample`]. A sample has a caption and a wrong one, its hard negative. With `pixels`, the bytes
    /// hold the pixels of a sample, three bytes each. `dropped` are images for which there was no more room: the page must send them
    /// again.
    Image {
        width: u32,
        height: u32,
        caption: Option<String>,
        #[serde(default)]
        wrong: Option<String>,
        pixels: bool,
        #[serde(default)]
        dropped: Vec<u32>,
    },
    /// To [`Ask::Score`]: the similarity of each caption, the softmax of the similarities times the model's scale, and the
    /// duration.
    Scores { similarities: Vec<f32>, probabilities: Vec<f32>, milliseconds: f64 },
    /// To [`Ask::Curve`]: the requested alphas, and the similarities, `[alphas][captions]`.
    Curve { alphas: Vec<f64>, similarities: Vec<Vec<f32>> },
    /// To [`Ask::Lexicon`].
    Lexicon,
    /// To [`Ask::Negatives`]: the hard negatives, or why there are none.
    Negatives { negatives: Vec<Negative>, why_none: Option<String> },
    /// To [`Ask::Words`]: each word's contribution, the caption's similarity minus that without the word.
    Words { words: Vec<(String, f32)> },
    /// To [`Ask::Heat`]: the number of patches per row and per column; the similarity of each patch with the caption, row by row;
    /// and the part of the image that the model sees, as fractions of its width and height: left, top, width, height. That part
    /// exceeds the image if preprocessing adds a margin.
    Heat { side: u32, similarities: Vec<f32>, seen: [f64; 4] },
    /// To [`Ask::Embed`]. The bytes hold rows of `width` numbers as little-endian f32, the image's first.
    Embeddings { width: u32 },
    /// To [`Ask::Load`].
    Loaded(Model),
    /// To [`Ask::Time`]: milliseconds of each run for one image, and for one caption of twelve words.
    Times { image: Vec<f64>, caption: Vec<f64> },
    /// To [`Ask::TimePhoto`]: milliseconds of each run, including the transfer to the device, with preprocessing on the host and on
    /// the device; `device` is empty if its kernels don't run.
    PhotoTimes { host: Vec<f64>, device: Vec<f64> },
    /// To [`Ask::Memory`]: the size of the WebAssembly memory.
    Memory { bytes: f64 },
    /// To [`Ask::Look`].
    Found(Found),
    /// The progress of a request: bytes so far, and in total if known. Its answer follows.
    Progress { done: u64, total: Option<u64> },
    /// To [`Ask::Kept`], [`Ask::Fetch`] and [`Ask::Forget`].
    Kept(Kept),
    /// To requests without a result.
    Done,
    /// To [`Ask::Step`].
    Step(Step),
    /// To [`Ask::KeepRun`] and [`Ask::SaveModel`]. The bytes hold the file.
    Bytes,
    /// To [`Ask::Measure`].
    Measured(Measured),
    /// To [`Ask::Scene`]: the picture's width and height, and the similarities, `[models][captions]`. The bytes hold the picture at
    /// the models' size, three bytes per pixel.
    Scene { size: u32, similarities: Vec<Vec<f32>> },
    /// To [`Ask::Explain`].
    Explained(Explained),
    /// To [`Ask::Matrix`]: the pictures' width and height; the captions, followed by a hard negative of each; and the similarities,
    /// `[pictures, texts]`, row by row. The bytes hold the pictures, one after the other.
    Matrix { size: u32, texts: Vec<String>, similarities: Vec<f32> },
    /// To [`Ask::Map`].
    Map(Map),
    /// To [`Ask::Shortcut`].
    Shortcut(Vec<Contest>),
    /// To [`Ask::ChooseAlpha`].
    Alpha { alpha: f64 },
    /// To a request that failed, with the reason for people.
    Failed { reason: String },
}
