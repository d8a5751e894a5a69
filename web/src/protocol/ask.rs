//! The requests of the page.

use clove_scenes::Placed;
use serde::{Deserialize, Serialize};

use super::{Shape, Where};
use crate::lab::settings::Settings;
use crate::lab::{Suite, Weights};

/// A request. The page numbers its images; its runs and opened models share another series of numbers. `alpha` is from 0
/// (pretrained) to 1 (fine-tuned).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant's text covers its fields")]
pub enum Ask {
    /// Open the device and the scene models. The first request. The bytes hold the two models' files: the pretrained model's, of
    /// this length, and the differences of the fine-tuned one.
    Open { pretrained: u32 },
    /// Take an image. The bytes hold its file. It's embedded when it's first scored. `on_device` preprocesses it on the device, if
    /// its kernels run.
    Image {
        image: u32,
        #[serde(default)]
        on_device: bool,
    },
    /// Draw and take a sample, a scene, by its number from 0.
    Sample { image: u32, number: u32 },
    /// Score captions against an image.
    Score { image: u32, captions: Vec<String>, alpha: f64 },
    /// Score captions against an image at several alphas.
    Curve { image: u32, captions: Vec<String>, alphas: Vec<f64> },
    /// Take the lexicon of hard negatives, in the bytes.
    Lexicon,
    /// Make at most `count` hard negatives of a caption; `others` are other captions of the image. The style is `replace`,
    /// `negclip`, `swap`, `shuffle` or `mixed`. `seed` decides the choice.
    Negatives { caption: String, others: Vec<String>, style: String, count: usize, seed: u64 },
    /// Compute each word's contribution to the similarity of a caption and an image.
    Words { image: u32, caption: String, alpha: f64 },
    /// Compute the similarity of a caption and each patch of an image.
    Heat { image: u32, caption: String, alpha: f64 },
    /// Embed an image and captions.
    Embed { image: u32, captions: Vec<String>, alpha: f64 },
    /// Take the files of a model from the user's disk, which accompany the message. `place` is the name for [`Where::Disk`].
    Files { place: String },
    /// Open other models: a pretrained and a fine-tuned one, or a single one. The page must send its images again.
    Load { pretrained: Where, finetuned: Option<Where> },
    /// Time a model for an image and for a caption, in this many runs of each.
    Time { shape: Shape, runs: u32 },
    /// Time the preprocessing of a photo of this size in pixels for a model of 224 pixels.
    TimePhoto { width: u32, height: u32, runs: u32 },
    /// Check the device again, as for [`Ask::Open`]. With `fault`, check only this item, with wrong numbers injected, which the
    /// check must find.
    Check { fault: Option<String> },
    /// Report the memory in use.
    Memory,
    /// Find a model on the web, and its size. `place` is its name on the hub, or a URL; `hub` is the hub's URL, unless it's the
    /// default one.
    Look { place: String, hub: Option<String> },
    /// Download a model into the browser's storage, or resume its download. The fields are those of [`Ask::Look`].
    Fetch { place: String, hub: Option<String> },
    /// Stop an [`Ask::Fetch`] by the request's number; it can be resumed.
    Stop { fetch: u32 },
    /// List the stored models.
    Kept,
    /// Remove a stored model by its name.
    Forget { place: String },
    /// Start a training run from the pretrained model.
    StartRun { run: u32, settings: Settings },
    /// Take a training step.
    Step { run: u32 },
    /// Save the state of a run, and the page's record with it.
    KeepRun { run: u32, record: String },
    /// Restore a run from the bytes of [`Ask::KeepRun`].
    RestoreRun { run: u32, settings: Settings },
    /// Drop a run or an opened model by its number.
    Drop { held: u32 },
    /// Measure a model on a suite.
    Measure { model: Weights, suite: Suite },
    /// Score captions against a scene with several models. `placed` are its objects, back to front; `seed` decides background,
    /// angles and shades.
    Scene { placed: Vec<Placed>, seed: u64, captions: Vec<String>, models: Vec<Weights> },
    /// Compute a caption's contributions of words and its similarity by patch, for a scene as in [`Ask::Scene`].
    Explain { placed: Vec<Placed>, seed: u64, caption: String, model: Weights },
    /// Compare scenes with their captions and hard negatives: `count` scenes from number `first` on.
    Matrix { model: Weights, first: u64, count: usize },
    /// Map the embeddings of scenes and captions to a plane: `count` scenes from number `first` on.
    Map { model: Weights, first: u64, count: usize },
    /// Compare a benchmark that a text-only rule wins with one that it doesn't.
    Shortcut { model: Weights },
    /// Choose alpha by the lab's rule. Each point is an alpha with composition and recognition on the validation split, alpha 0
    /// first.
    ChooseAlpha { points: Vec<(f64, f64, f64)> },
    /// Save a model as one safetensors file.
    SaveModel { model: Weights },
    /// Open a model's file of this name, in the bytes, under a number of the page.
    OpenModel { held: u32, name: String },
}
