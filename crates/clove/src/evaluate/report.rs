//! The report of a pair benchmark: subsets, means, groups, and the blind baselines over the same rows.
//!
//! Called by the `clove` program and the web page, which write it as JSON; its field names are the program's contract.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::blind::macro_mean;
use super::{
    Baseline, BigramModel, BlindFigures, BlindReport, Embeddings, EvaluateError, RowIndex,
    ScoredRow, Subset, SubsetReport, TrainingCaption, TrainingSummary, ZeroShotReport, score_pairs,
};

/// Most missing photos that a report lists by name; it counts them all.
pub const MAX_LISTED_IMAGES: usize = 20;

/// SugarCrepe's coarse groups, by the first part of a subset's name, in the order of CLoVe's Table 1.
const GROUPS: [&str; 3] = ["replace", "swap", "add"];

/// A pair benchmark's report. Accuracies run from 0 to 1 and are null where nothing was scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The benchmark's name.
    pub suite: String,
    /// By subset, in the benchmark's order.
    pub subsets: Vec<SubsetReport>,
    /// Mean over the subsets that have an accuracy.
    pub macro_mean: Option<f64>,
    /// Mean over all scored rows.
    pub weighted_mean: Option<f64>,
    /// Coarse groups, for benchmarks whose subsets belong to one.
    pub groups: Vec<GroupReport>,
    /// Blind baselines over the same rows.
    pub blind: Vec<BlindReport>,
    /// How far the score stands above the best blind baseline.
    pub image_lift: Option<ImageLift>,
    /// What the n-gram baselines were trained on; none if no captions were given.
    pub ngram_training: Option<TrainingSummary>,
    /// Zero-shot recognition, where the suite tests it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recognition: Option<ZeroShotReport>,
    /// Distinct photos that were missing.
    pub missing_image_count: usize,
    /// The first [`MAX_LISTED_IMAGES`] of them.
    pub missing_images: Vec<String>,
    /// Rows that were not scored because their negative equals their caption, as `subset/id`.
    pub skipped_rows: Vec<String>,
}

/// A coarse group of subsets, such as SugarCrepe's `replace`.
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

/// What the photo adds: the macro mean less that of the best blind baseline over the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageLift {
    /// The best blind baseline.
    pub baseline: String,
    /// The model's macro mean less the baseline's.
    pub lift: f64,
}

/// The embeddings a pair benchmark is scored on.
#[derive(Debug, Clone, Copy)]
pub struct PairEmbeddings<'a> {
    /// Photos `[photos, dim]`.
    pub images: &'a Embeddings,
    /// Texts `[texts, dim]`.
    pub texts: &'a Embeddings,
    /// Row of each photo by file name; a photo that is not here is missing.
    pub image_rows: &'a RowIndex,
    /// Row of each text.
    pub text_rows: &'a RowIndex,
}

/// Scored rows by subset, in the benchmark's order.
pub type RowsBySubset = Vec<(String, Vec<ScoredRow>)>;

/// Scores every subset and the blind baselines; also returns the outcome of each row.
///
/// `captions` trains the n-gram baselines, less those that occur in the benchmark; without captions there are none.
///
/// # Errors
/// Those of [`score_pairs`] and [`BigramModel::train`].
pub fn evaluate_pairs(
    suite: &str,
    subsets: &[Subset],
    embeddings: PairEmbeddings<'_>,
    captions: Option<&[TrainingCaption]>,
) -> Result<(Report, RowsBySubset), EvaluateError> {
    let trained = captions
        .map(|captions| BigramModel::train(captions, subsets))
        .transpose()?;
    let mut reports = Vec::with_capacity(subsets.len());
    let mut rows = Vec::with_capacity(subsets.len());
    let mut skipped_rows = Vec::new();
    let mut missing_images = Vec::new();
    let mut listed = HashSet::new();
    for subset in subsets {
        let score = score_pairs(
            subset,
            embeddings.images,
            embeddings.texts,
            embeddings.image_rows,
            embeddings.text_rows,
        )?;
        let name = &subset.name;
        skipped_rows.extend(score.skipped.iter().map(|id| format!("{name}/{id}")));
        for image in score.missing_images {
            if listed.insert(image.clone()) && missing_images.len() < MAX_LISTED_IMAGES {
                missing_images.push(image);
            }
        }
        reports.push(score.report);
        rows.push((subset.name.clone(), score.rows));
    }
    let blind: Vec<BlindReport> = Baseline::all(trained.as_ref().map(|(model, _)| model))
        .iter()
        .map(|baseline| BlindReport {
            baseline: baseline.name().into(),
            scored_rows: BlindFigures::over(baseline, subsets, |pair| {
                embeddings.image_rows.contains_key(&pair.image)
            }),
            all_rows: BlindFigures::over(baseline, subsets, |_| true),
        })
        .collect();
    let macro_mean = macro_mean(reports.iter().map(|subset| subset.accuracy));
    let report = Report {
        suite: suite.to_owned(),
        macro_mean,
        weighted_mean: weighted_mean(reports.iter()),
        groups: groups(&reports),
        image_lift: image_lift(macro_mean, &blind),
        blind,
        subsets: reports,
        ngram_training: trained.map(|(_, summary)| summary),
        recognition: None,
        missing_image_count: listed.len(),
        missing_images,
        skipped_rows,
    };
    Ok((report, rows))
}

fn weighted_mean<'a>(subsets: impl Iterator<Item = &'a SubsetReport>) -> Option<f64> {
    let (correct, rows) = subsets.fold((0, 0), |(correct, rows), subset| {
        (correct + subset.correct, rows + subset.rows)
    });
    (rows > 0).then(|| correct as f64 / rows as f64)
}

fn groups(subsets: &[SubsetReport]) -> Vec<GroupReport> {
    let of_group = |group: &str| -> Vec<&SubsetReport> {
        let belongs = |name: &str| name.split('_').next() == Some(group);
        subsets.iter().filter(|s| belongs(&s.name)).collect()
    };
    GROUPS
        .iter()
        .map(|&name| (name, of_group(name)))
        .filter(|(_, members)| !members.is_empty())
        .map(|(name, members)| GroupReport {
            name: name.to_owned(),
            macro_mean: macro_mean(members.iter().map(|subset| subset.accuracy)),
            weighted_mean: weighted_mean(members.iter().copied()),
            subsets: members.iter().map(|subset| subset.name.clone()).collect(),
        })
        .collect()
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
