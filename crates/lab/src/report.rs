//! The results of a lab run. [`Report`] is `report.json`; the crate `clove-report` renders it as `report.html`.

use serde::{Deserialize, Serialize};

/// The results of a lab run over one or more seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The program's version.
    pub version: String,
    /// The settings.
    pub settings: Settings,
    /// The models: pretrained, fine-tuned, and patched right after its fine-tuned model.
    pub models: Vec<ModelRow>,
    /// Text-only rules, on the same test pairs.
    pub blind: Vec<BlindRow>,
    /// The patching curve of each seed.
    pub sweeps: Vec<Sweep>,
    /// The rule for alpha, in words.
    pub rule: String,
    /// The learning curves of the first seed.
    pub curves: Vec<Curve>,
    /// Some test pictures with the scores of the first seed's models.
    pub examples: Vec<Example>,
}

/// The settings of a lab run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The seeds; each has one fine-tuning of each variant.
    pub seeds: Vec<u64>,
    /// The device's description.
    pub device: String,
    /// Parameters of the model.
    pub parameters: usize,
    /// Fine-tuning steps of each model.
    pub steps: usize,
    /// Scenes per step.
    pub batch: usize,
    /// The peak learning rate.
    pub learning_rate: f64,
    /// The image tower's learning rate, relative to the peak.
    pub image_rate: f64,
    /// Hard negatives per caption, in runs with hard negatives.
    pub negatives_per_caption: usize,
    /// Test rows of composition, over all kinds.
    pub composition_rows: usize,
    /// Test pictures of recognition.
    pub recognition_rows: usize,
    /// The classes of recognition.
    pub classes: Vec<String>,
    /// Whether this run trained the pretrained model, instead of using the included one.
    pub from_scratch: bool,
    /// Wall-clock seconds of the run, without interruptions.
    pub seconds: f64,
}

/// A figure from 0 to 1 over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Mean over the seeds.
    pub mean: f64,
    /// Sample standard deviation over the seeds (n - 1); `None` for one seed.
    pub spread: Option<f64>,
}

impl Figure {
    /// The figure of one value per seed.
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
    /// A description in one sentence.
    pub about: String,
    /// Mean over [`Self::kinds`].
    pub composition: Figure,
    /// Accuracy by kind of negative, with SugarCrepe's names.
    pub kinds: Vec<(String, Figure)>,
    /// Zero-shot accuracy on the classes absent from fine-tuning.
    pub recognition: Figure,
    /// The alpha of each seed, for the patched model.
    pub alphas: Vec<f64>,
}

/// The row of a text-only rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlindRow {
    /// Such as `shorter text`.
    pub name: String,
    /// Mean over the kinds; a tie counts one half.
    pub composition: f64,
    /// Accuracy by kind of negative.
    pub kinds: Vec<(String, f64)>,
}

/// Composition against recognition along alpha, for one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The seed.
    pub seed: u64,
    /// The validation split, alpha from 0 to 1.
    pub validation: Vec<SweepPoint>,
    /// The chosen alpha.
    pub chosen: f64,
    /// The test split: pretrained (alpha 0), chosen, unpatched (alpha 1).
    pub test: Vec<SweepPoint>,
}

/// The figures of a model at one alpha.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Alpha: the weight of the fine-tuned model.
    pub alpha: f64,
    /// Mean over the kinds, 0 to 1.
    pub composition: f64,
    /// Zero-shot accuracy, 0 to 1.
    pub recognition: f64,
}

/// The learning curves of a fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The model's name.
    pub name: String,
    /// Step, and mean loss since the previous point.
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
    /// The right caption.
    pub caption: String,
    /// The hard negative.
    pub negative: String,
    /// A PNG as a data URL.
    pub picture: String,
    /// Each model's name, and its cosines of the picture with the caption and with the negative.
    pub scores: Vec<(String, f32, f32)>,
}
