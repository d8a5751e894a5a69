//! Results of an evaluation.

use clove::evaluate::{
    Rank, Report, RetrievalReport, RowsBySubset, SubsetReport, ZeroShotReport, share_interval,
};
use serde::Serialize;
use serde_json::Value;

/// Results of a model.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// Each row of trials.
    #[serde(skip)]
    pub rows: RowsBySubset,
    /// Each query or photo of other suites, as `--rows` writes it.
    #[serde(skip)]
    pub lines: Vec<Value>,
    /// Unreadable photos with the reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<(String, String)>,
}

impl Outcome {
    pub(super) fn of(figures: Figures) -> Self {
        Self { figures, rows: Vec::new(), lines: Vec::new(), unreadable: Vec::new() }
    }

    /// A photo that only one of two outcomes of a benchmark has, so that their figures can't be compared.
    pub fn differs_by<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let is_of = |outcome: &Self, name: &str| outcome.unreadable.iter().any(|of| of.0 == name);
        let both = [(self, other), (other, self)];
        both.into_iter().find_map(|(one, other)| {
            let mut names = one.unreadable.iter().map(|(name, _)| name.as_str());
            names.find(|name| !is_of(other, name))
        })
    }
}

/// The number of rows, which are photos in retrieval and zero-shot classification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows scored.
    pub rows: usize,
    /// Rows without a photo.
    pub missing: usize,
}

/// The figures of a suite.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the report names its figures")]
pub enum Figures {
    /// Rows of photos and texts.
    Trials(Box<Report>),
    /// Retrieval of captions and photos.
    Retrieval {
        suite: &'static str,
        images: usize,
        captions: usize,
        /// Unreadable photos.
        missing: usize,
        #[serde(flatten)]
        report: RetrievalReport,
        /// Recall of a guess at 1, 5 and 10.
        chance: BothWays<[f64; 3]>,
        /// 95 % bootstrap intervals of recall at 1, 5 and 10, resampled by photo.
        intervals: Box<BothWays<[Option<[f64; 2]>; 3]>>,
    },
    /// Zero-shot classification.
    ZeroShot {
        suite: &'static str,
        templates: usize,
        /// Unreadable photos.
        missing: usize,
        chance: f64,
        /// 95 % bootstrap interval of top-1.
        interval: Option<[f64; 2]>,
        #[serde(flatten)]
        report: ZeroShotReport,
        names: Vec<String>,
    },
}

/// A value for each direction of retrieval.
#[derive(Debug, Serialize)]
pub struct BothWays<T> {
    /// From a photo to its captions.
    pub image_to_text: T,
    /// From a caption to its photo.
    pub text_to_image: T,
}

impl Figures {
    /// The figure that selects alpha, 0 to 1.
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

    /// The rows that were scored, and those that weren't.
    pub fn counts(&self) -> Counts {
        match self {
            Self::Trials(report) => {
                // Each further metric has the same rows.
                let first = report.subsets.first().map(|subset| &subset.metric);
                let subsets = report.subsets.iter().filter(|s| Some(&s.metric) == first);
                let of =
                    |subset: &SubsetReport| Counts { rows: subset.rows, missing: subset.missing };
                subsets.map(of).fold(Counts { rows: 0, missing: 0 }, |sum, of| Counts {
                    rows: sum.rows + of.rows,
                    missing: sum.missing + of.missing,
                })
            }
            Self::Retrieval { images, missing, .. } => Counts { rows: *images, missing: *missing },
            Self::ZeroShot { report, missing, .. } => {
                Counts { rows: report.rows, missing: *missing }
            }
        }
    }

    /// Recognition accuracy, if the suite measures it.
    pub fn recognition(&self) -> Option<f64> {
        match self {
            Self::Trials(report) => report.recognition.as_ref()?.top1,
            _ => None,
        }
    }
}

/// Intervals of recall at 1, 5 and 10, from the ranks of each photo's queries.
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
    // The probability that the first k of a random order have none of a photo's captions.
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
