//! Figures of a model on scenes: `clove-lab` computes them, reports and the browser's page show them.

use serde::{Deserialize, Serialize};

/// Accuracies of a model on a suite, from 0 to 1; `None` where the suite has no such test.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Composition: the mean over [`Self::kinds`].
    pub composition: Option<f64>,
    /// Composition by kind of hard negative, with SugarCrepe's names.
    pub kinds: Vec<(String, f64)>,
    /// Top-1 recognition of the classes absent from fine-tuning.
    pub unseen: Option<f64>,
    /// Top-1 recognition of the classes in fine-tuning.
    pub seen: Option<f64>,
}

impl Measured {
    /// Composition for one kind.
    pub fn kind(&self, name: &str) -> Option<f64> {
        self.kinds.iter().find(|(kind, _)| kind == name).map(|(_, value)| *value)
    }

    /// The mean over the kinds that swap words.
    pub fn swaps(&self) -> Option<f64> {
        let swaps = self.kinds.iter().filter(|(kind, _)| kind.starts_with("swap"));
        let values: Vec<f64> = swaps.map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// Accuracies on one benchmark of a model and of text-only rules, from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// How its wrong captions are made.
    pub name: String,
    /// The model's accuracy.
    pub model: f64,
    /// Each text-only rule's accuracy: chance, the shorter text, the n-gram model.
    pub blind: Vec<(String, f64)>,
    /// A caption and its wrong caption.
    pub example: [String; 2],
}

/// Embeddings along their first two principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// For each scene the positions of its picture and of its caption.
    pub pairs: Vec<[[f32; 2]; 2]>,
    /// The captions.
    pub captions: Vec<String>,
    /// The share of the embeddings' variance along each component, from 0 to 1.
    pub explained: [f32; 2],
    /// The distance between the means of pictures and of captions: the modality gap (Liang et al., arXiv 2203.02053).
    pub gap: f32,
}
