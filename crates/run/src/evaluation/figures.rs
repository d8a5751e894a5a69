//! What an evaluation found.

use clove::evaluate::{
    Rank, Report, RetrievalReport, RowsBySubset, ZeroShotReport, share_interval,
};
use serde::Serialize;
use serde_json::Value;

/// What a model got.
#[derive(Debug)]
pub struct Outcome {
    /// Its figures.
    pub figures: Figures,
    /// Of trials, each row.
    pub rows: RowsBySubset,
    /// Of what isn't one, each query or photo, as `--rows` writes it.
    pub lines: Vec<Value>,
    /// Photos that are there and can't be read, with the reasons.
    pub unreadable: Vec<(String, String)>,
}

/// A report, of whatever is measured.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// Rows of photos and texts.
    Trials(Box<Report>),
    /// Captions and photos found among all.
    Retrieval {
        /// Its name.
        suite: &'static str,
        /// Photos that were ranked.
        images: usize,
        /// Captions that were ranked.
        captions: usize,
        /// What was found.
        #[serde(flatten)]
        report: RetrievalReport,
        /// What a guess gets at 1, 5 and 10, both ways.
        chance: BothWays<[f64; 3]>,
        /// 95 % bootstrap intervals at 1, 5 and 10, drawn by photo.
        intervals: Box<BothWays<[Option<[f64; 2]>; 3]>>,
    },
    /// Photos classified by their classes' names.
    ZeroShot {
        /// Its name.
        suite: &'static str,
        /// Prompts of a class.
        templates: usize,
        /// What a guess gets.
        chance: f64,
        /// 95 % bootstrap interval of top-1.
        interval: Option<[f64; 2]>,
        /// What was found.
        #[serde(flatten)]
        report: ZeroShotReport,
        /// Of the classes.
        names: Vec<String>,
    },
}

/// Of both directions of retrieval.
#[derive(Debug, Serialize)]
pub struct BothWays<T> {
    /// A photo's captions among all.
    pub image_to_text: T,
    /// A caption's photo among all.
    pub text_to_image: T,
}

impl Figures {
    /// The figure that alphas are compared by, 0 to 1.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        match self {
            Self::Trials(report) => report.macro_mean,
            Self::Retrieval { report, .. } => {
                let [one, other] = [&report.image_to_text, &report.text_to_image].map(|r| r.at_1);
                Some((one? + other?) / 2.0)
            }
            Self::ZeroShot { report, .. } => report.top1,
        }
    }

    /// Zero-shot accuracy, where the suite tests it beside.
    #[must_use]
    pub fn recognition(&self) -> Option<f64> {
        match self {
            Self::Trials(report) => report.recognition.as_ref()?.top1,
            _ => None,
        }
    }
}

/// Intervals of the recall at 1, 5 and 10, of photos with the ranks of their queries.
pub(super) fn recall_intervals(photos: &[Vec<Rank>]) -> [Option<[f64; 2]>; 3] {
    [1, 5, 10].map(|k| {
        let is_found = |rank: &Rank| rank.greater + rank.ties < k;
        let outcomes = photos.iter().map(|ranks| ranks.iter().map(is_found).collect());
        share_interval(&outcomes.collect::<Vec<_>>())
    })
}

/// Recall of a guess at 1, 5 and 10.
pub(super) fn chance(images: usize, image_of: &[usize]) -> BothWays<[f64; 3]> {
    let captions = image_of.len();
    let mut counts = vec![0_usize; images];
    for image in image_of {
        counts[*image] += 1;
    }
    let asked: Vec<usize> = counts.into_iter().filter(|count| *count > 0).collect();
    // The chance that none of a photo's captions is among the first k, drawn one after another.
    let missed = |own: usize, k: usize| -> f64 {
        let drawn = 0..k.min(captions);
        drawn
            .map(|drawn| {
                let left = (captions - drawn) as f64;
                ((captions - own) as f64 - drawn as f64).max(0.0) / left
            })
            .product()
    };
    let to_text = |k: usize| {
        let found: f64 = asked.iter().map(|own| 1.0 - missed(*own, k)).sum();
        found / asked.len().max(1) as f64
    };
    let to_image = |k: usize| (k as f64 / images.max(1) as f64).min(1.0);
    BothWays { image_to_text: [1, 5, 10].map(to_text), text_to_image: [1, 5, 10].map(to_image) }
}
