//! What a lab run found: the figures, and what a page needs to show them.
//!
//! [`Report`] is `report.json` as it stands; the crate `clove-report` makes `report.html` of it.

use serde::{Deserialize, Serialize};

/// A whole lab run, over one or more seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The program's version.
    pub version: String,
    /// What was run.
    pub settings: Settings,
    /// The models, in the order of the story: pretrained first, the fine-tuned ones, the patched one right after the one
    /// that it was made of.
    pub models: Vec<ModelRow>,
    /// Rules that see no picture, over the same test pairs.
    pub blind: Vec<BlindRow>,
    /// The patching curve of each seed.
    pub sweeps: Vec<Sweep>,
    /// How alpha was chosen, in words.
    pub rule: String,
    /// The learning curves of the first seed.
    pub curves: Vec<Curve>,
    /// Some test pictures with what the models of the first seed make of them.
    pub examples: Vec<Example>,
}

/// What was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The seeds, one fine-tuning of each kind for each.
    pub seeds: Vec<u64>,
    /// The device, for people.
    pub device: String,
    /// Numbers in the model.
    pub parameters: usize,
    /// Fine-tuning steps of each model.
    pub steps: usize,
    /// Scenes in a step.
    pub batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The image tower's learning rate, as a share of that.
    pub image_rate: f64,
    /// Hard negatives of a caption in the runs that have them.
    pub negatives_per_caption: usize,
    /// Test pairs of composition, all kinds together.
    pub composition_rows: usize,
    /// Test pictures of recognition.
    pub recognition_rows: usize,
    /// Names that recognition chooses among.
    pub classes: Vec<String>,
    /// Whether the pretrained model was trained in this run, and not the one that comes with the program.
    pub from_scratch: bool,
    /// Wall-clock seconds of the run, breaks not counted.
    pub seconds: f64,
}

/// A share from 0 to 1: its mean over the seeds, and the standard deviation (with n - 1; none for one seed).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Mean over the seeds.
    pub mean: f64,
    /// Sample standard deviation over the seeds.
    pub spread: Option<f64>,
}

impl Figure {
    /// Of one value a seed.
    #[must_use]
    pub fn over(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let spread = (values.len() > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (count - 1.0)).sqrt()
        });
        Self { mean, spread }
    }
}

/// One model's figures on the test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRow {
    /// Such as `CLoVe, patched`.
    pub name: String,
    /// One sentence on how it was made.
    pub about: String,
    /// Mean of the kinds of [`Self::kinds`].
    pub composition: Figure,
    /// Accuracy by kind of negative, SugarCrepe's names.
    pub kinds: Vec<(String, Figure)>,
    /// Zero-shot accuracy on the classes that fine-tuning never shows.
    pub recognition: Figure,
    /// For the patched model: the alpha of each seed.
    pub alphas: Vec<f64>,
}

/// A rule that sees no picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlindRow {
    /// Such as `shorter text`.
    pub name: String,
    /// Mean of the kinds; a tie counts one half.
    pub composition: f64,
    /// Accuracy by kind of negative.
    pub kinds: Vec<(String, f64)>,
}

/// Composition against recognition along alpha, for one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The seed.
    pub seed: u64,
    /// On the validation split, alpha rising from 0 to 1.
    pub validation: Vec<SweepPoint>,
    /// The alpha that the rule chose.
    pub chosen: f64,
    /// On the test split: pretrained (alpha 0), chosen, unpatched (alpha 1).
    pub test: Vec<SweepPoint>,
}

/// One model between the pretrained and the fine-tuned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// The share of the fine-tuned model.
    pub alpha: f64,
    /// Mean of the kinds, 0 to 1.
    pub composition: f64,
    /// Zero-shot accuracy, 0 to 1.
    pub recognition: f64,
}

/// How one fine-tuning went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The model's name.
    pub name: String,
    /// Step, and mean loss since the last point.
    pub loss: Vec<(usize, f64)>,
    /// Step, and composition on the validation split.
    pub composition: Vec<(usize, f64)>,
    /// Step, and recognition on the validation split.
    pub recognition: Vec<(usize, f64)>,
}

/// A test picture with two texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Kind of the negative.
    pub kind: String,
    /// What is drawn.
    pub caption: String,
    /// The hard negative.
    pub negative: String,
    /// A PNG as a data URL.
    pub picture: String,
    /// For each model its name and the cosine similarities of the picture with the caption and with the negative.
    pub scores: Vec<(String, f32, f32)>,
}
