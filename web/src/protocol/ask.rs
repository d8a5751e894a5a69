//! The requests of the page.

use clove_scenes::Placed;
use serde::{Deserialize, Serialize};

use super::{Shape, Where};
use crate::lab::settings::Settings;
use crate::lab::{Suite, Weights};

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Open the device and the scene models. The bytes hold the two models' files, one after the other. The first request.
    Open {
        /// The length of the pretrained model's file; the differences of the fine-tuned one follow.
        pretrained: u32,
    },
    /// Take an image. The bytes hold its file. It's embedded when it's first scored.
    Image {
        /// The page's number for it.
        image: u32,
        /// Whether to preprocess it on the device, if its kernels run.
        #[serde(default)]
        on_device: bool,
    },
    /// Draw and take a sample, a scene.
    Sample {
        /// The page's number for it.
        image: u32,
        /// The sample's number, from 0.
        number: u32,
    },
    /// Score captions against an image.
    Score {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// Alpha, from 0 (pretrained) to 1 (fine-tuned).
        alpha: f64,
    },
    /// Score captions against an image at several alphas.
    Curve {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// The alphas, from 0 to 1.
        alphas: Vec<f64>,
    },
    /// Take the lexicon of hard negatives, in the bytes.
    Lexicon,
    /// Make hard negatives.
    Negatives {
        /// The caption.
        caption: String,
        /// Other captions of the image.
        others: Vec<String>,
        /// `replace`, `negclip`, `swap`, `shuffle` or `mixed`.
        style: String,
        /// The most to make.
        count: usize,
        /// Seeds the choice.
        seed: u64,
    },
    /// Compute each word's contribution to the similarity of a caption and an image.
    Words {
        /// The image.
        image: u32,
        /// The caption.
        caption: String,
        /// Alpha.
        alpha: f64,
    },
    /// Compute the similarity of a caption and each patch of an image.
    Heat {
        /// The image.
        image: u32,
        /// The caption.
        caption: String,
        /// Alpha.
        alpha: f64,
    },
    /// Embed an image and captions.
    Embed {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// Alpha.
        alpha: f64,
    },
    /// Take the files of a model from the user's disk, which accompany the message.
    Files {
        /// The name for [`Where::Disk`].
        place: String,
    },
    /// Open other models; the page must send its images again.
    Load {
        /// The pretrained model, or the only model.
        pretrained: Where,
        /// The fine-tuned model.
        finetuned: Option<Where>,
    },
    /// Time a model for an image and for a caption.
    Time {
        /// The model.
        shape: Shape,
        /// Runs of each.
        runs: u32,
    },
    /// Time the preprocessing of a photo for a model of 224 pixels.
    TimePhoto {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Runs of each.
        runs: u32,
    },
    /// Check the device again, as for [`Ask::Open`].
    Check {
        /// Check only this item, with wrong numbers injected, which the check must find.
        fault: Option<String>,
    },
    /// Report the memory in use.
    Memory,
    /// Find a model on the web, and its size.
    Look {
        /// Its name on the hub, or a URL.
        place: String,
        /// The hub's URL; `None` for the default hub.
        hub: Option<String>,
    },
    /// Download a model into the browser's storage, or resume its download.
    Fetch {
        /// As in [`Ask::Look`].
        place: String,
        /// As in [`Ask::Look`].
        hub: Option<String>,
    },
    /// Stop an [`Ask::Fetch`], which can be resumed.
    Stop {
        /// The request's number.
        fetch: u32,
    },
    /// List the stored models.
    Kept,
    /// Remove a stored model.
    Forget {
        /// Its name.
        place: String,
    },
    /// Start a training run from the pretrained model.
    StartRun {
        /// The page's number for it and its model.
        run: u32,
        /// The settings.
        settings: Settings,
    },
    /// Take a training step.
    Step {
        /// The run.
        run: u32,
    },
    /// Save the state of a run.
    KeepRun {
        /// The run.
        run: u32,
        /// The page's record, saved with it.
        record: String,
    },
    /// Restore a run from the bytes of [`Ask::KeepRun`].
    RestoreRun {
        /// The run.
        run: u32,
        /// The settings.
        settings: Settings,
    },
    /// Drop a run or an opened model.
    Drop {
        /// Its number.
        held: u32,
    },
    /// Measure a model.
    Measure {
        /// The model.
        model: Weights,
        /// The suite.
        suite: Suite,
    },
    /// Score captions against a scene with several models.
    Scene {
        /// The objects, back to front.
        placed: Vec<Placed>,
        /// Seeds background, angles and shades.
        seed: u64,
        /// The captions.
        captions: Vec<String>,
        /// The models.
        models: Vec<Weights>,
    },
    /// Compute a caption's contributions of words and its similarity by patch.
    Explain {
        /// As in [`Ask::Scene`].
        placed: Vec<Placed>,
        /// As in [`Ask::Scene`].
        seed: u64,
        /// The caption.
        caption: String,
        /// The model.
        model: Weights,
    },
    /// Compare scenes with their captions and hard negatives.
    Matrix {
        /// The model.
        model: Weights,
        /// The number of the first scene.
        first: u64,
        /// The number of scenes.
        count: usize,
    },
    /// Map embeddings to a plane.
    Map {
        /// The model.
        model: Weights,
        /// The number of the first scene.
        first: u64,
        /// The number of scenes.
        count: usize,
    },
    /// Compare a benchmark that a text-only rule wins with one that it doesn't.
    Shortcut {
        /// The model.
        model: Weights,
    },
    /// Choose alpha by the lab's rule.
    ChooseAlpha {
        /// Alpha, composition and recognition on the validation split, alpha 0 first.
        points: Vec<(f64, f64, f64)>,
    },
    /// Save a model as one safetensors file.
    SaveModel {
        /// The model.
        model: Weights,
    },
    /// Open a model's file, in the bytes.
    OpenModel {
        /// The page's number for it.
        held: u32,
        /// The file's name.
        name: String,
    },
}
