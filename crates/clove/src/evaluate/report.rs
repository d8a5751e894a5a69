//! The report of a benchmark: subsets, means, groups, and the blind baselines over the same rows.
//!
//! The program writes it as JSON, so the field names are part of its interface.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::blind::macro_mean;
use super::{
    Baseline, BigramModel, BlindFigures, BlindReport, EvaluateError, MatchReport, PairEmbeddings,
    RowsBySubset, Subset, SubsetReport, SubsetScore, TrainingCaption, TrainingSummary, Trial,
    TrialSet, ZeroShotReport, score_trials, tower,
};

/// Maximum number of missing photos that a report names.
pub const MAX_LISTED_IMAGES: usize = 20;

/// SugarCrepe's groups, by the first part of a subset's name, in the order of CLoVe's Table 1.
const GROUPS: [&str; 3] = ["replace", "swap", "add"];

/// The report of a benchmark. Accuracies are 0 to 1, or null where nothing was scored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The benchmark's name.
    pub suite: String,
    /// By subset, in the benchmark's order.
    pub subsets: Vec<SubsetReport>,
    /// Mean over the subsets that have an accuracy, of the first metric.
    pub macro_mean: Option<f64>,
    /// Mean over all scored rows, of the first metric.
    pub weighted_mean: Option<f64>,
    /// 95 % bootstrap intervals of both means, if they were computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<MeanIntervals>,
    /// Groups of subsets, if the benchmark has any.
    pub groups: Vec<GroupReport>,
    /// Blind baselines over the same rows.
    pub blind: Vec<BlindReport>,
    /// The score minus that of the best blind baseline.
    pub image_lift: Option<ImageLift>,
    /// The training data of the n-gram baselines, if there are any.
    pub ngram_training: Option<TrainingSummary>,
    /// Zero-shot recognition, if the suite tests it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recognition: Option<ZeroShotReport>,
    /// Classification of photo and text as matching or not, if it's the suite's own protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<MatchReport>,
    /// Distinct photos that were missing; without the unreadable ones where those are listed apart.
    pub missing_image_count: usize,
    /// The first [`MAX_LISTED_IMAGES`] of them.
    pub missing_images: Vec<String>,
    /// Rows that no model can get right, such as those whose negative is their caption, which aren't scored: as `subset/id`, or as
    /// `subset metric/id` where another metric scores them.
    pub skipped_rows: Vec<String>,
}

/// A group of subsets, such as SugarCrepe's `replace`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// Name.
    pub name: String,
    /// Mean over the group's subsets that have an accuracy (the CLoVe paper's figure).
    pub macro_mean: Option<f64>,
    /// Mean over the group's scored rows (the SugarCrepe paper's figure).
    pub weighted_mean: Option<f64>,
    /// Names of the group's subsets.
    pub subsets: Vec<String>,
}

/// The contribution of the photo: the macro mean minus that of the best blind baseline over the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageLift {
    /// The best blind baseline.
    pub baseline: String,
    /// The model's macro mean minus the baseline's.
    pub lift: f64,
}

/// 95 % intervals of a report's means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanIntervals {
    /// The interval of the mean of subsets.
    pub macro_mean: [f64; 2],
    /// The interval of the mean of rows.
    pub weighted_mean: [f64; 2],
}

/// Scores pairs and the blind baselines of texts; also returns the outcome of each row.
///
/// `captions` train the n-gram baselines; those in the benchmark are dropped.
///
/// # Errors
/// Those of [`score_trials`] and [`BigramModel::train`].
pub fn evaluate_pairs(
    suite: &str,
    subsets: &[Subset],
    embeddings: PairEmbeddings<'_>,
    captions: Option<&[TrainingCaption]>,
) -> Result<(Report, RowsBySubset), EvaluateError> {
    let sets: Vec<TrialSet> = subsets.iter().map(TrialSet::from).collect();
    evaluate(suite, &sets, embeddings, captions, Vec::new())
}

/// Scores trials and the blind baselines: rules on texts, and the text tower with other photos. Also returns each row's outcome.
///
/// `captions` train the n-gram baselines; those in the benchmark are dropped.
///
/// # Errors
/// Those of [`score_trials`] and [`BigramModel::train`].
pub fn evaluate_trials(
    suite: &str,
    sets: &[TrialSet],
    embeddings: PairEmbeddings<'_>,
    captions: Option<&[TrainingCaption]>,
) -> Result<(Report, RowsBySubset), EvaluateError> {
    let towers = tower::baselines(sets, embeddings)?;
    evaluate(suite, sets, embeddings, captions, towers)
}

fn evaluate(
    suite: &str,
    sets: &[TrialSet],
    embeddings: PairEmbeddings<'_>,
    captions: Option<&[TrainingCaption]>,
    towers: Vec<BlindReport>,
) -> Result<(Report, RowsBySubset), EvaluateError> {
    let trained = captions.map(|captions| BigramModel::train(captions, sets)).transpose()?;
    let (mut reports, mut primary) = (Vec::new(), Vec::new());
    let mut rows = Vec::with_capacity(sets.len());
    let mut skipped_rows = Vec::new();
    let mut missing_images = Vec::new();
    let mut listed = HashSet::new();
    for set in sets {
        let scores = score_trials(set, embeddings)?;
        skipped_rows.extend(unscored(&set.name, &scores));
        primary.extend(scores.first().map(|score| score.report.clone()));
        for score in scores {
            for image in score.missing_images {
                if listed.insert(image.clone()) && missing_images.len() < MAX_LISTED_IMAGES {
                    missing_images.push(image);
                }
            }
            rows.push((score.report.title(), score.rows));
            reports.push(score.report);
        }
    }
    let whole = |trial: &Trial| {
        let mut images = trial.images.iter();
        images.all(|image| embeddings.image_rows.contains_key(image))
    };
    let mut blind: Vec<BlindReport> = Baseline::all(trained.as_ref().map(|(model, _)| model))
        .iter()
        .map(|baseline| BlindReport {
            baseline: baseline.name().into(),
            scored_rows: BlindFigures::of(baseline, sets, whole),
            all_rows: BlindFigures::of(baseline, sets, |_| true),
        })
        .collect();
    blind.extend(towers);
    let macro_mean = macro_mean(primary.iter().map(|subset| subset.accuracy));
    let report = Report {
        suite: suite.to_owned(),
        macro_mean,
        weighted_mean: weighted_mean(primary.iter()),
        groups: groups(&reports),
        image_lift: image_lift(macro_mean, &blind),
        blind,
        subsets: reports,
        ngram_training: trained.map(|(_, summary)| summary),
        missing_image_count: listed.len(),
        missing_images,
        skipped_rows,
        ..Report::default()
    };
    Ok((report, rows))
}

/// The rows of a set that aren't scored: by the set's name where no metric scores them, else by the metric's title.
fn unscored(set: &str, scores: &[SubsetScore]) -> Vec<String> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for id in scores.iter().flat_map(|score| &score.skipped) {
        *times.entry(id).or_default() += 1;
    }
    let mut found = Vec::new();
    for (number, score) in scores.iter().enumerate() {
        let title = score.report.title();
        for id in &score.skipped {
            let by_all = times.get(id.as_str()) == Some(&scores.len());
            if number == 0 || !by_all {
                found.push(format!("{}/{id}", if by_all { set } else { title.as_str() }));
            }
        }
    }
    found
}

fn weighted_mean<'a>(subsets: impl Iterator<Item = &'a SubsetReport>) -> Option<f64> {
    let (correct, rows) = subsets
        .fold((0, 0), |(correct, rows), subset| (correct + subset.correct, rows + subset.rows));
    (rows > 0).then(|| correct as f64 / rows as f64)
}

/// SugarCrepe's groups of each metric, and all subsets of each metric if there are several.
fn groups(subsets: &[SubsetReport]) -> Vec<GroupReport> {
    let mut metrics: Vec<&Option<String>> = Vec::new();
    for subset in subsets {
        if !metrics.contains(&&subset.metric) {
            metrics.push(&subset.metric);
        }
    }
    let mut found = Vec::new();
    for metric in &metrics {
        let of_metric = || subsets.iter().filter(|subset| subset.metric == **metric);
        let mut add = |name: &str, members: Vec<&SubsetReport>| {
            if members.is_empty() {
                return;
            }
            let name = match metric {
                Some(metric) => format!("{name} {metric}"),
                None => name.to_owned(),
            };
            found.push(GroupReport {
                name,
                macro_mean: macro_mean(members.iter().map(|subset| subset.accuracy)),
                weighted_mean: weighted_mean(members.iter().copied()),
                subsets: members.iter().map(|subset| subset.name.clone()).collect(),
            });
        };
        for group in GROUPS {
            let belongs = |name: &str| name.split('_').next() == Some(group);
            add(group, of_metric().filter(|s| belongs(&s.name)).collect());
        }
        if metrics.len() > 1 && of_metric().count() > 1 {
            add("all", of_metric().collect());
        }
    }
    found
}

fn image_lift(score: Option<f64>, blind: &[BlindReport]) -> Option<ImageLift> {
    let score = score?;
    blind
        .iter()
        .filter_map(|report| Some((report, report.scored_rows.macro_mean?)))
        .max_by(|(_, left), (_, right)| left.total_cmp(right))
        .map(|(report, best)| ImageLift {
            baseline: report.baseline.clone().into_owned(),
            lift: score - best,
        })
}
