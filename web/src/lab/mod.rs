//! The lab in a browser: what its page and its engine say to each other, and what needs no browser of it.

pub mod address;
pub mod editor;
pub mod lesson;
pub mod settings;

use clove_scenes::Placed;
use serde::{Deserialize, Serialize};

use self::settings::Settings;

/// A model of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Of {
    /// The pretrained one that comes with the page.
    Pretrained,
    /// What CLoVe made of it, which comes with the page too.
    Shipped,
    /// One that was trained or opened here, by the page's name for it.
    Held(u32),
}

/// A model, patched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// The fine-tuned one.
    pub of: Of,
    /// How far from the pretrained one, 0, to it, 1.
    pub alpha: f64,
}

impl Weights {
    /// The model as it is.
    #[must_use]
    pub fn of(of: Of) -> Self {
        Self { of, alpha: 1.0 }
    }
}

/// Which pictures a model is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// A small part of the validation split, for curves.
    Glance,
    /// A part of the validation split on which alpha is chosen.
    Sweep,
    /// A part of the test split.
    Test,
    /// Of the test split the pairs whose captions differ by an exchange alone.
    Swaps,
}

/// What the lab's page asks its engine for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Begin a run from the pretrained model.
    Start {
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
    Keep {
        /// The run.
        run: u32,
        /// Remembered with it.
        record: String,
    },
    /// Take up what [`Ask::Keep`] gave, which comes along.
    Restore {
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
    Choose {
        /// Alpha, composition and recognition on the validation split, alpha 0 first.
        points: Vec<(f64, f64, f64)>,
    },
    /// A model as one safetensors file; it comes as bytes.
    Save {
        /// The model.
        model: Weights,
    },
    /// Open a model's file, whose bytes come along.
    Open {
        /// The page's name for it.
        held: u32,
        /// The file's.
        name: String,
    },
}

/// What its engine answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Start`], [`Ask::Restore`], [`Ask::Drop`] and [`Ask::Open`].
    Done,
    /// To [`Ask::Step`].
    Step(Step),
    /// To [`Ask::Keep`] and [`Ask::Save`]: bytes come along.
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
    /// To [`Ask::Choose`].
    Chosen {
        /// From 0 to 1.
        alpha: f64,
    },
}

/// A training step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counted from 0.
    pub step: usize,
    /// Of the batch, before the step.
    pub loss: f32,
    /// How long it took, drawing included.
    pub milliseconds: f64,
    /// Whether it was the run's last.
    pub is_last: bool,
}

/// A model's figures, from 0 to 1; none where the suite has nothing of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The mean of the kinds.
    pub composition: Option<f64>,
    /// Accuracy by SugarCrepe's kinds.
    pub kinds: Vec<(String, f64)>,
    /// Recognition of classes that fine-tuning never shows.
    pub unseen: Option<f64>,
    /// Recognition of those that it shows.
    pub seen: Option<f64>,
}

impl Measured {
    /// The mean of the kinds that exchange words.
    #[must_use]
    pub fn swaps(&self) -> Option<f64> {
        let swaps = self
            .kinds
            .iter()
            .filter(|(kind, _)| kind.starts_with("swap"));
        let values: Vec<f64> = swaps.map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// A benchmark that the blind took too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// How its wrong captions are made.
    pub name: String,
    /// The model's accuracy, from 0 to 1.
    pub model: f64,
    /// Rules that never see a picture, with their accuracy.
    pub blind: Vec<(String, f64)>,
    /// A caption and its wrong one.
    pub example: [String; 2],
}
