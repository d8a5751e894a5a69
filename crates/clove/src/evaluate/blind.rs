//! Blind baselines: what a pair benchmark gives away to a scorer that never sees the photo.
//!
//! A baseline scores a text; on a pair it gets 1 for a higher score of the caption, 0.5 for a tie, 0 otherwise. Called by
//! [`super::evaluate_pairs`], which puts these figures beside the model's.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{BigramModel, Pair, Subset};

/// Log-probabilities closer than this tie: the same bigrams summed in another order differ by rounding (about 1e-14), while
/// models of at most a few million captions tell apart different counts by far more.
const LOG_PROBABILITY_TIE: f64 = 1e-9;

/// A scorer of texts that never sees a photo.
#[derive(Debug, Clone, Copy)]
pub enum Baseline<'a> {
    /// Ties on every row, so 0.5.
    Chance,
    /// Prefers the text of fewer words, split at white space.
    FewerWords,
    /// Prefers the text of fewer characters (Unicode scalar values).
    FewerCharacters,
    /// Prefers the text that doesn't end with a full stop.
    NoFinalStop,
    /// Prefers the text of higher probability: short texts of frequent words.
    BigramSum(&'a BigramModel),
    /// Prefers the text of higher probability per token: fluent texts.
    BigramMean(&'a BigramModel),
}

impl<'a> Baseline<'a> {
    /// Every baseline that needs no training, then both of the n-gram model if there is one.
    pub fn all(model: Option<&'a BigramModel>) -> Vec<Self> {
        let mut all = vec![
            Self::Chance,
            Self::FewerWords,
            Self::FewerCharacters,
            Self::NoFinalStop,
        ];
        all.extend(
            model
                .into_iter()
                .flat_map(|m| [Self::BigramSum(m), Self::BigramMean(m)]),
        );
        all
    }

    /// The name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Chance => "chance",
            Self::FewerWords => "shorter caption (words)",
            Self::FewerCharacters => "shorter caption (characters)",
            Self::NoFinalStop => "no final full stop",
            Self::BigramSum(_) => "bigram model (sum log p)",
            Self::BigramMean(_) => "bigram model (mean log p)",
        }
    }

    /// The score of a text; the higher one is preferred.
    pub fn score(&self, text: &str) -> f64 {
        match self {
            Self::Chance => 0.0,
            Self::FewerWords => -(text.split_whitespace().count() as f64),
            Self::FewerCharacters => -(text.chars().count() as f64),
            Self::NoFinalStop => f64::from(u8::from(!text.trim_end().ends_with('.'))),
            Self::BigramSum(model) => model.log_probability(text).0,
            Self::BigramMean(model) => {
                let (sum, tokens) = model.log_probability(text);
                sum / tokens as f64
            }
        }
    }

    /// What the baseline gets on a pair: 1, 0.5 (tie) or 0.
    pub fn credit(&self, pair: &Pair) -> f64 {
        let tie = match self {
            Self::BigramSum(_) | Self::BigramMean(_) => LOG_PROBABILITY_TIE,
            _ => 0.0,
        };
        let difference = self.score(&pair.caption) - self.score(&pair.negative);
        if difference.abs() <= tie {
            0.5
        } else if difference > 0.0 {
            1.0
        } else {
            0.0
        }
    }
}

/// A baseline's figure on one subset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlindSubset {
    /// Subset's name.
    pub name: String,
    /// Mean credit, 0 to 1, ties counting 0.5; none without rows.
    pub accuracy: Option<f64>,
    /// Rows.
    pub rows: usize,
}

/// A baseline's figures on several subsets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlindFigures {
    /// By subset, in the benchmark's order.
    pub subsets: Vec<BlindSubset>,
    /// Mean over the subsets that have rows.
    pub macro_mean: Option<f64>,
    /// Mean over all rows.
    pub weighted_mean: Option<f64>,
}

/// A baseline's figures over the rows that the model was scored on, and over all rows of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlindReport {
    /// The baseline's name.
    pub baseline: Cow<'static, str>,
    /// Over the scored rows, to compare with the model.
    #[serde(flatten)]
    pub scored_rows: BlindFigures,
    /// Over every row whose negative differs from its caption, with a photo or without.
    pub all_rows: BlindFigures,
}

impl BlindFigures {
    /// The figures of `baseline` over the rows of `subsets` that `wanted` admits.
    ///
    /// Rows whose negative equals their caption are left out, as they are for a model.
    pub fn over(
        baseline: &Baseline<'_>,
        subsets: &[Subset],
        wanted: impl Fn(&Pair) -> bool,
    ) -> Self {
        let (mut total, mut rows) = (0.0, 0);
        let mut figures = Vec::with_capacity(subsets.len());
        for subset in subsets {
            let credits = subset
                .rows
                .iter()
                .filter(|pair| pair.caption != pair.negative && wanted(pair))
                .map(|pair| baseline.credit(pair));
            let (sum, count) = credits.fold((0.0, 0), |(sum, count), credit| {
                (sum + credit, count + 1_usize)
            });
            total += sum;
            rows += count;
            figures.push(BlindSubset {
                name: subset.name.clone(),
                accuracy: (count > 0).then(|| sum / count as f64),
                rows: count,
            });
        }
        Self {
            macro_mean: macro_mean(figures.iter().map(|subset| subset.accuracy)),
            weighted_mean: (rows > 0).then(|| total / rows as f64),
            subsets: figures,
        }
    }
}

/// Mean of the accuracies there are; none if there are none.
pub(super) fn macro_mean(accuracies: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = accuracies
        .flatten()
        .fold((0.0, 0_usize), |(sum, count), a| (sum + a, count + 1));
    (count > 0).then(|| sum / count as f64)
}
