//! Pairs of caption and hard negative, and the reports of their accuracy.
//!
//! SugarCrepe's protocol (RAIVNLab/sugar-crepe, main_eval.py): a row is right if sim(photo, caption) > sim(photo, negative).

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Embeddings;

/// One row of a pair benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The row's key in its subset.
    pub id: String,
    /// File name of the photo.
    pub image: String,
    /// The caption that describes the photo.
    pub caption: String,
    /// The hard negative: nearly the caption, but wrong for the photo.
    pub negative: String,
}

/// A named part of a benchmark, such as SugarCrepe's `replace_obj`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subset {
    /// Name.
    pub name: String,
    /// Rows, in the file's order.
    pub rows: Vec<Pair>,
}

/// The row of each image (by file name) or text (by the text).
pub type RowIndex = HashMap<String, usize>;

/// The embeddings of a benchmark.
#[derive(Debug, Clone, Copy)]
pub struct PairEmbeddings<'a> {
    /// Photos `[photos, dim]`.
    pub images: &'a Embeddings,
    /// Texts `[texts, dim]`.
    pub texts: &'a Embeddings,
    /// Row of each photo by file name; photos without a row are missing.
    pub image_rows: &'a RowIndex,
    /// Row of each text.
    pub text_rows: &'a RowIndex,
}

/// Scored rows by subset, in the benchmark's order.
pub type RowsBySubset = Vec<(String, Vec<ScoredRow>)>;

/// The index of a list of names: each name's first position.
pub fn row_index<S: AsRef<str>>(names: &[S]) -> RowIndex {
    let mut index = RowIndex::with_capacity(names.len());
    for (row, name) in names.iter().enumerate() {
        index.entry(name.as_ref().to_owned()).or_insert(row);
    }
    index
}

/// All captions and negatives of `subsets`, each text once, in order of appearance.
pub fn distinct_texts(subsets: &[Subset]) -> Vec<String> {
    let pairs = subsets.iter().flat_map(|subset| &subset.rows);
    distinct(pairs.flat_map(|pair| [&pair.caption, &pair.negative]))
}

/// The figures of a subset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SubsetReport {
    /// Subset's name.
    pub name: String,
    /// The metric, if the benchmark has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Share of the scored rows that are right, 0 to 1. `None` if no row was scored.
    pub accuracy: Option<f64>,
    /// 95 % bootstrap interval of the accuracy, if it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Rows scored.
    pub rows: usize,
    /// Rows that are right.
    pub correct: usize,
    /// Scored rows whose caption and negative have exactly the same similarity.
    pub ties: usize,
    /// Rows without an embedding of their photo, which aren't scored.
    pub missing: usize,
    /// Rows that no model can get right, such as those whose negative is their caption, which aren't scored.
    pub skipped: usize,
}

impl SubsetReport {
    /// The names of the subset and of its metric, if it has one.
    pub fn title(&self) -> String {
        match &self.metric {
            Some(metric) => format!("{} {metric}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The outcome of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredRow {
    /// The row's key in its subset.
    pub id: String,
    /// File name of the first photo.
    pub image: String,
    /// sim(photo, caption) - sim(photo, negative), the smallest of several comparisons; a tie at 0.
    pub margin: f32,
    /// Whether the row is right. Ties are wrong, unless the metric takes the first of equals.
    pub right: bool,
    /// Its photos' files; intervals draw rows of one photo together.
    #[serde(skip)]
    pub photos: Vec<String>,
}

/// A subset's report with its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SubsetScore {
    /// The figures.
    pub report: SubsetReport,
    /// Scored rows, in the subset's order.
    pub rows: Vec<ScoredRow>,
    /// Ids of rows that no model can get right.
    pub skipped: Vec<String>,
    /// Photos without an embedding, each once, in order of appearance.
    pub missing_images: Vec<String>,
}

pub(super) fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).cloned().collect()
}
