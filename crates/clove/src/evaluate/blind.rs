//! Blind baselines: the accuracy of scorers that never see the photo.
//!
//! A baseline scores a text; the score replaces the text's similarity to every photo. A tie gets the expected score of a guess.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::trials::credit;
use super::{BigramModel, Comparison, Metric, Pair, Similarity, Trial, TrialSet};

/// Tolerance of ties between log-probabilities. The order of summation changes them by about 1e-14, other counts by far more.
const LOG_PROBABILITY_TIE: f64 = 1e-9;

/// A scorer of texts that never sees a photo.
#[derive(Debug, Clone, Copy)]
pub enum Baseline<'a> {
    /// Ties on every row.
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
    /// Every baseline without training, then both of the n-gram model, if there is one.
    pub fn all(model: Option<&'a BigramModel>) -> Vec<Self> {
        let mut all =
            vec![Self::Chance, Self::FewerWords, Self::FewerCharacters, Self::NoFinalStop];
        all.extend(model.into_iter().flat_map(|m| [Self::BigramSum(m), Self::BigramMean(m)]));
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

    /// Scores at most this far apart tie.
    pub(super) fn tie(&self) -> f64 {
        match self {
            Self::BigramSum(_) | Self::BigramMean(_) => LOG_PROBABILITY_TIE,
            _ => 0.0,
        }
    }

    /// The baseline's score on a pair: 1, 0.5 (tie) or 0.
    pub fn credit(&self, pair: &Pair) -> f64 {
        let trial = Trial {
            id: String::new(),
            images: Vec::new(),
            texts: vec![pair.caption.clone(), pair.negative.clone()],
        };
        self.credit_on(&Metric::first_of("", 1), &trial)
    }

    /// The baseline's score on a trial: 1, 0, or the expected score of a guess where it ties.
    pub fn credit_on(&self, metric: &Metric, trial: &Trial) -> f64 {
        let comparisons: Vec<Comparison> = metric.of(trial).collect();
        let score = |text: usize| trial.texts.get(text).map_or(0.0, |text| self.score(text));
        let value = |similarity| match similarity {
            Similarity::Photo(_, text) => score(text),
            // Comparisons of texts have no blind baseline.
            Similarity::Texts(..) => 0.0,
        };
        credit(&comparisons, value, self.tie())
    }
}

/// A baseline's figure on one subset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlindSubset {
    /// Subset's name.
    pub name: String,
    /// The metric, if the benchmark has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Mean score, 0 to 1; `None` without rows.
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

/// A baseline's figures over the scored rows, and over all rows of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlindReport {
    /// The baseline's name.
    pub baseline: Cow<'static, str>,
    /// Over the scored rows, to compare with the model.
    #[serde(flatten)]
    pub scored_rows: BlindFigures,
    /// Over every row that a model can get right, even without a photo.
    pub all_rows: BlindFigures,
}

impl BlindFigures {
    /// The figures of a baseline over the `wanted` trials of `sets`.
    pub fn of(baseline: &Baseline<'_>, sets: &[TrialSet], wanted: impl Fn(&Trial) -> bool) -> Self {
        let is_chance = matches!(baseline, Baseline::Chance);
        Self::over(sets, wanted, is_chance, |metric, trial| baseline.credit_on(metric, trial))
    }

    /// The figures of a baseline with `credit` for each of the `wanted` trials of `sets`. Metrics without photos have chance as their
    /// only baseline. Rows that [no model can get right](Metric::is_unanswerable) are left out, as for a model.
    pub(super) fn over(
        sets: &[TrialSet],
        wanted: impl Fn(&Trial) -> bool,
        is_chance: bool,
        credit: impl Fn(&Metric, &Trial) -> f64,
    ) -> Self {
        let (mut total, mut rows) = (0.0, 0);
        let (mut figures, mut means) = (Vec::with_capacity(sets.len()), Vec::new());
        for set in sets {
            for (number, metric) in set.metrics.iter().enumerate() {
                let counts = is_chance || metric.sees_photos();
                let asked = |trial: &&Trial| wanted(trial) && !metric.is_unanswerable(trial);
                let (mut sum, mut count) = (0.0, 0_usize);
                for trial in set.trials.iter().filter(|_| counts).filter(asked) {
                    sum += credit(metric, trial);
                    count += 1;
                }
                let accuracy = (count > 0).then(|| sum / count as f64);
                if number == 0 {
                    total += sum;
                    rows += count;
                    means.push(accuracy);
                }
                figures.push(BlindSubset {
                    name: set.name.clone(),
                    metric: (!metric.name.is_empty()).then(|| metric.name.clone()),
                    accuracy,
                    rows: count,
                });
            }
        }
        Self {
            macro_mean: macro_mean(means.into_iter()),
            weighted_mean: (rows > 0).then(|| total / rows as f64),
            subsets: figures,
        }
    }
}

/// Mean of the known accuracies; `None` if there are none.
pub(super) fn macro_mean(accuracies: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) =
        accuracies.flatten().fold((0.0, 0_usize), |(sum, count), a| (sum + a, count + 1));
    (count > 0).then(|| sum / count as f64)
}
