//! What an engine answers.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Ask;
use super::{Kept, Model, Negative};
use crate::lab::{Contest, Measured, Step};

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Open`].
    Opened {
        /// `WebGPU` or `CPU`.
        backend: String,
        /// The adapter, or what computes.
        adapter: String,
        /// The scene models.
        model: Model,
        /// Largest difference of the bundled model's embeddings from the known ones.
        difference: f32,
        /// How long opening took.
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
        /// A wrong caption of the sample, a hard one.
        #[serde(default)]
        wrong: Option<String>,
        /// A sample's pixels, three bytes each: they come along as bytes.
        pixels: bool,
    },
    /// To [`Ask::Score`].
    Scores {
        /// Cosines, a caption each.
        similarities: Vec<f32>,
        /// Softmax of cosines times the model's scale.
        probabilities: Vec<f32>,
        /// How long it took.
        milliseconds: f64,
    },
    /// To [`Ask::Curve`]: for each alpha the cosines.
    Curve {
        /// As they were asked for.
        alphas: Vec<f64>,
        /// `[alphas][captions]`.
        similarities: Vec<Vec<f32>>,
    },
    /// To [`Ask::Lexicon`].
    Lexicon,
    /// To [`Ask::Negatives`].
    Negatives {
        /// What was made.
        negatives: Vec<Negative>,
        /// Why nothing was.
        why_none: Option<String>,
    },
    /// To [`Ask::Words`].
    Words {
        /// Words with what each adds: the similarity less that of the caption without it.
        words: Vec<(String, f32)>,
    },
    /// To [`Ask::Heat`].
    Heat {
        /// Patches in a row; there are as many rows.
        side: u32,
        /// Cosines with the patches, row by row.
        similarities: Vec<f32>,
        /// The part of the image that the model sees, as fractions of its width and height: left, top, width, height. More
        /// than the image where a margin was added.
        seen: [f64; 4],
    },
    /// To [`Ask::Embed`]: rows as little-endian f32 come along as bytes, the image's first.
    Embeddings {
        /// Numbers a row.
        width: u32,
    },
    /// To [`Ask::Load`].
    Loaded(Model),
    /// To [`Ask::Time`].
    Times {
        /// Milliseconds of each run, for one image.
        image: Vec<f64>,
        /// Milliseconds of each run, for one caption of twelve words.
        caption: Vec<f64>,
    },
    /// To [`Ask::TimePhoto`]: milliseconds of each run, until the device has the numbers.
    PhotoTimes {
        /// Resized by the host.
        host: Vec<f64>,
        /// By the device; none where its kernels don't run.
        device: Vec<f64>,
    },
    /// To [`Ask::Memory`]: bytes of WebAssembly's memory.
    Memory {
        /// In bytes.
        bytes: f64,
    },
    /// To [`Ask::Look`].
    Found {
        /// Its name, by which it will be kept.
        place: String,
        /// Bytes in all, where that's told.
        bytes: Option<u64>,
        /// The model's files.
        files: Vec<String>,
    },
    /// While a request is being answered.
    Progress {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where that's known.
        total: Option<u64>,
    },
    /// To [`Ask::Kept`], [`Ask::Fetch`] and [`Ask::Forget`].
    Kept(Kept),
    /// To what has nothing else to tell.
    Done,
    /// To [`Ask::Step`].
    Step(Step),
    /// To [`Ask::KeepRun`] and [`Ask::SaveModel`]: bytes come along.
    Bytes,
    /// To [`Ask::Measure`].
    Measured(Measured),
    /// To [`Ask::Scene`]: the picture as the models see it comes as bytes, three a pixel.
    Scene {
        /// Its width and height.
        size: u32,
        /// Cosines, `[models][captions]`.
        similarities: Vec<Vec<f32>>,
    },
    /// To [`Ask::Explain`].
    Explained {
        /// Words with what each adds: the similarity less that of the caption without it.
        words: Vec<(String, f32)>,
        /// Patches in a row; there are as many rows.
        side: u32,
        /// Cosines with the patches, row by row.
        patches: Vec<f32>,
    },
    /// To [`Ask::Matrix`]: the pictures come as bytes, one after the other.
    Matrix {
        /// A picture's width and height.
        size: u32,
        /// Captions, then a hard negative of each.
        texts: Vec<String>,
        /// `[pictures, texts]`, row by row.
        similarities: Vec<f32>,
    },
    /// To [`Ask::Map`].
    Map {
        /// Of each scene its picture's place and its caption's.
        pairs: Vec<[[f32; 2]; 2]>,
        /// The captions.
        captions: Vec<String>,
        /// Shares of the variance.
        explained: [f32; 2],
        /// The distance between the means.
        gap: f32,
    },
    /// To [`Ask::Shortcut`].
    Shortcut(Vec<Contest>),
    /// To [`Ask::ChooseAlpha`].
    Alpha {
        /// From 0 to 1.
        alpha: f64,
    },
    /// To anything that failed.
    Failed {
        /// Why, for people.
        reason: String,
    },
}
