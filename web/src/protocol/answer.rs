//! The answers of an engine.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Ask;
use super::{Explained, Found, Kept, Model, Negative};
use crate::lab::{Contest, Map, Measured, Step};

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Open`].
    Opened {
        /// `WebGPU` or `CPU`.
        backend: String,
        /// The adapter's name.
        adapter: String,
        /// The scene models.
        model: Model,
        /// The largest difference of the scene model's embeddings from the known ones.
        difference: f32,
        /// Duration.
        milliseconds: f64,
    },
    /// To [`Ask::Image`] and [`Ask::Sample`].
    Image {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// A sample's caption.
        caption: Option<String>,
        /// A sample's wrong caption: its hard negative.
        #[serde(default)]
        wrong: Option<String>,
        /// Whether the bytes hold the pixels of a sample, three bytes each.
        pixels: bool,
    },
    /// To [`Ask::Score`].
    Scores {
        /// The cosine of each caption.
        similarities: Vec<f32>,
        /// The softmax of the cosines times the model's scale.
        probabilities: Vec<f32>,
        /// Duration.
        milliseconds: f64,
    },
    /// To [`Ask::Curve`].
    Curve {
        /// The requested alphas.
        alphas: Vec<f64>,
        /// Cosines, `[alphas][captions]`.
        similarities: Vec<Vec<f32>>,
    },
    /// To [`Ask::Lexicon`].
    Lexicon,
    /// To [`Ask::Negatives`].
    Negatives {
        /// The hard negatives.
        negatives: Vec<Negative>,
        /// Why there are none.
        why_none: Option<String>,
    },
    /// To [`Ask::Words`].
    Words {
        /// Each word's contribution: the caption's similarity minus that without the word.
        words: Vec<(String, f32)>,
    },
    /// To [`Ask::Heat`].
    Heat {
        /// Patches per row and per column.
        side: u32,
        /// The cosine of each patch with the caption, row by row.
        similarities: Vec<f32>,
        /// The part of the image that the model sees, as fractions of its width and height: left, top, width, height. Exceeds the
        /// image if preprocessing adds a margin.
        seen: [f64; 4],
    },
    /// To [`Ask::Embed`]. The bytes hold the rows as little-endian f32, the image's first.
    Embeddings {
        /// Numbers per row.
        width: u32,
    },
    /// To [`Ask::Load`].
    Loaded(Model),
    /// To [`Ask::Time`].
    Times {
        /// Milliseconds of each run for one image.
        image: Vec<f64>,
        /// Milliseconds of each run for one caption of twelve words.
        caption: Vec<f64>,
    },
    /// To [`Ask::TimePhoto`]: milliseconds of each run, including the transfer to the device.
    PhotoTimes {
        /// Preprocessed on the host.
        host: Vec<f64>,
        /// Preprocessed on the device; empty if its kernels don't run.
        device: Vec<f64>,
    },
    /// To [`Ask::Memory`]: the WebAssembly memory.
    Memory {
        /// In bytes.
        bytes: f64,
    },
    /// To [`Ask::Look`].
    Found(Found),
    /// The progress of a request; its answer follows.
    Progress {
        /// Bytes so far.
        done: u64,
        /// Bytes in total, if known.
        total: Option<u64>,
    },
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
    /// To [`Ask::Scene`]. The bytes hold the picture at the models' size, three bytes per pixel.
    Scene {
        /// The picture's width and height.
        size: u32,
        /// Cosines, `[models][captions]`.
        similarities: Vec<Vec<f32>>,
    },
    /// To [`Ask::Explain`].
    Explained(Explained),
    /// To [`Ask::Matrix`]. The bytes hold the pictures, one after the other.
    Matrix {
        /// The pictures' width and height.
        size: u32,
        /// The captions, followed by a hard negative of each.
        texts: Vec<String>,
        /// Cosines, `[pictures, texts]`, row by row.
        similarities: Vec<f32>,
    },
    /// To [`Ask::Map`].
    Map(Map),
    /// To [`Ask::Shortcut`].
    Shortcut(Vec<Contest>),
    /// To [`Ask::ChooseAlpha`].
    Alpha {
        /// From 0 to 1.
        alpha: f64,
    },
    /// To a request that failed.
    Failed {
        /// Why, for people.
        reason: String,
    },
}
