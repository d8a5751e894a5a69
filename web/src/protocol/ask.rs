//! What the page asks an engine for.

use clove_scenes::Placed;
use serde::{Deserialize, Serialize};

use super::{Shape, Where};
use crate::lab::settings::Settings;
use crate::lab::{Suite, Weights};

/// What the page asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Open the device and the scene models, whose two files come along, one after the other; the first request.
    Open {
        /// Bytes of the pretrained one; the fine-tuned one's differences follow.
        pretrained: u32,
    },
    /// Take an image, whose file's bytes come along; embed it when it is first scored.
    Image {
        /// The page's name for it.
        image: u32,
        /// Whether the device resizes it, where its kernels run.
        #[serde(default)]
        on_device: bool,
    },
    /// Draw a sample picture, a scene of the bundled models' world, and take it.
    Sample {
        /// The page's name for it.
        image: u32,
        /// Which one, from 0.
        number: u32,
    },
    /// Score captions against an image.
    Score {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// How far to patch, from 0 (pretrained) to 1 (fine-tuned).
        alpha: f64,
    },
    /// Score captions against an image at several alphas.
    Curve {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// From 0 to 1.
        alphas: Vec<f64>,
    },
    /// Take the lexicon of hard negatives, whose bytes come along.
    Lexicon,
    /// Make hard negatives.
    Negatives {
        /// The caption.
        caption: String,
        /// Other captions of the image.
        others: Vec<String>,
        /// `replace`, `negclip`, `swap`, `shuffle` or `mixed`.
        style: String,
        /// Most to make.
        count: usize,
        /// Another gives others.
        seed: u64,
    },
    /// What each word of a caption adds to its similarity with an image.
    Words {
        /// The image.
        image: u32,
        /// The caption.
        caption: String,
        /// How far to patch.
        alpha: f64,
    },
    /// How similar a caption is to each patch of an image.
    Heat {
        /// The image.
        image: u32,
        /// The caption.
        caption: String,
        /// How far to patch.
        alpha: f64,
    },
    /// The embeddings of an image and of captions.
    Embed {
        /// The image.
        image: u32,
        /// The captions.
        captions: Vec<String>,
        /// How far to patch.
        alpha: f64,
    },
    /// Take the files of a model from the user's disk; they come along.
    Files {
        /// What messages call their folder; [`Where::Disk`] names it.
        place: String,
    },
    /// Put other models in use; images must be handed over again.
    Load {
        /// The pretrained model, or the only one.
        pretrained: Where,
        /// The fine-tuned one.
        finetuned: Option<Where>,
    },
    /// How long a model of a shape takes for an image and for a caption.
    Time {
        /// Which model.
        shape: Shape,
        /// How often each is measured.
        runs: u32,
    },
    /// How long it takes to make a photo ready for a model of 224 pixels.
    TimePhoto {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// How often each is measured.
        runs: u32,
    },
    /// Check the device again, as on [`Ask::Open`].
    Check {
        /// The one item that is checked, with its numbers wronged, to see whether the check finds it.
        fault: Option<String>,
    },
    /// How much memory is in use.
    Memory,
    /// What the web holds of a model, and how much that is.
    Look {
        /// A hub's name for it, or an address.
        place: String,
        /// The hub's address, if it's not the usual one.
        hub: Option<String>,
    },
    /// Fetch a model into the browser's storage, or the rest of it.
    Fetch {
        /// As for [`Ask::Look`].
        place: String,
        /// As for [`Ask::Look`].
        hub: Option<String>,
    },
    /// Stop a [`Ask::Fetch`]; what has come is kept.
    Stop {
        /// The request's number.
        fetch: u32,
    },
    /// Which models the browser keeps.
    Kept,
    /// Remove one of them.
    Forget {
        /// Its name.
        place: String,
    },
    /// Begin a run from the pretrained model.
    StartRun {
        /// The page's name for it and its model.
        run: u32,
        /// What decides it.
        settings: Settings,
    },
    /// Take a step of a run.
    Step {
        /// The run.
        run: u32,
    },
    /// Everything that a run's next step depends on, and its model, as bytes.
    KeepRun {
        /// The run.
        run: u32,
        /// Remembered with it.
        record: String,
    },
    /// Take up what [`Ask::KeepRun`] gave, which comes along.
    RestoreRun {
        /// The run.
        run: u32,
        /// What decides it.
        settings: Settings,
    },
    /// Forget a run or an opened model.
    Drop {
        /// Which.
        held: u32,
    },
    /// A model's figures.
    Measure {
        /// The model.
        model: Weights,
        /// On what.
        suite: Suite,
    },
    /// Score captions against a scene, by several models.
    Scene {
        /// Where everything stands, what is in front last.
        placed: Vec<Placed>,
        /// Of the background, angles and shades.
        seed: u64,
        /// The captions.
        captions: Vec<String>,
        /// The models.
        models: Vec<Weights>,
    },
    /// What each word of a caption adds, and where the model sees the caption.
    Explain {
        /// As [`Ask::Scene`] has it.
        placed: Vec<Placed>,
        /// As [`Ask::Scene`] has it.
        seed: u64,
        /// The caption.
        caption: String,
        /// The model.
        model: Weights,
    },
    /// Scenes against their captions and those captions' hard negatives.
    Matrix {
        /// The model.
        model: Weights,
        /// Which scenes.
        first: u64,
        /// How many.
        count: usize,
    },
    /// Where embeddings lie.
    Map {
        /// The model.
        model: Weights,
        /// Which scenes.
        first: u64,
        /// How many.
        count: usize,
    },
    /// A benchmark that a blind rule wins, and one that it doesn't.
    Shortcut {
        /// The model.
        model: Weights,
    },
    /// Choose alpha by the lab's rule.
    ChooseAlpha {
        /// Alpha, composition and recognition on the validation split, alpha 0 first.
        points: Vec<(f64, f64, f64)>,
    },
    /// A model as one safetensors file; it comes as bytes.
    SaveModel {
        /// The model.
        model: Weights,
    },
    /// Open a model's file, whose bytes come along.
    OpenModel {
        /// The page's name for it.
        held: u32,
        /// The file's.
        name: String,
    },
}
