//! Pair accuracy: does a photo score its caption above the caption's hard negative?
//!
//! SugarCrepe's protocol (RAIVNLab/sugar-crepe, main_eval.py): a row is right if and only if sim(photo, caption) is strictly
//! greater than sim(photo, negative). Called by [`super::evaluate_pairs`] and by the patching sweep.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Embeddings, EvaluateError};

/// One row of a pair benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The row's key in its subset.
    pub id: String,
    /// File name of the photo.
    pub image: String,
    /// The caption that describes the photo.
    pub caption: String,
    /// The hard negative: nearly the caption, and wrong for the photo.
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

/// Where the embedding of an image (by file name) or of a text (by the text) stands.
pub type RowIndex = HashMap<String, usize>;

/// The index of a list of names: each name's first position.
pub fn row_index<S: AsRef<str>>(names: &[S]) -> RowIndex {
    let mut index = RowIndex::with_capacity(names.len());
    for (row, name) in names.iter().enumerate() {
        index.entry(name.as_ref().to_owned()).or_insert(row);
    }
    index
}

/// File names of all photos of `subsets`, each once, in order of appearance.
pub fn distinct_images(subsets: &[Subset]) -> Vec<String> {
    distinct(pairs_of(subsets).map(|pair| &pair.image))
}

/// All captions and negatives of `subsets`, each text once, in order of appearance.
pub fn distinct_texts(subsets: &[Subset]) -> Vec<String> {
    distinct(pairs_of(subsets).flat_map(|pair| [&pair.caption, &pair.negative]))
}

fn pairs_of(subsets: &[Subset]) -> impl Iterator<Item = &Pair> {
    subsets.iter().flat_map(|subset| &subset.rows)
}

fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).cloned().collect()
}

/// One subset's line of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubsetReport {
    /// Subset's name.
    pub name: String,
    /// Share of the scored rows that are right, 0 to 1; a tie is not right. None if no row was scored.
    pub accuracy: Option<f64>,
    /// Rows scored.
    pub rows: usize,
    /// Rows that are right.
    pub correct: usize,
    /// Scored rows whose caption and negative have exactly the same similarity. They are not right.
    pub ties: usize,
    /// Rows left out because their photo has no embedding.
    pub missing: usize,
    /// Rows left out because their negative equals their caption.
    pub skipped: usize,
}

/// The outcome of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredRow {
    /// The row's key in its subset.
    pub id: String,
    /// File name of the photo.
    pub image: String,
    /// sim(photo, caption) - sim(photo, negative): right if above 0, a tie at 0.
    pub margin: f32,
}

/// A subset's report with its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SubsetScore {
    /// The figures.
    pub report: SubsetReport,
    /// Scored rows, in the subset's order.
    pub rows: Vec<ScoredRow>,
    /// Ids of rows left out because their negative equals their caption.
    pub skipped: Vec<String>,
    /// Photos without an embedding, each once, in order of appearance.
    pub missing_images: Vec<String>,
}

/// Scores the rows of `subset` whose photo stands in `image_rows`.
///
/// `images` is `[photos, dim]` and `texts` `[texts, dim]`; `image_rows` and `text_rows` say which row belongs to which file
/// name and text. A row whose negative equals its caption can be neither right nor wrong, so it is listed and not scored.
///
/// # Errors
/// Different widths, an index past the embeddings, or a text of a row with a photo that is not in `text_rows`.
pub fn score_pairs(
    subset: &Subset,
    images: &Embeddings,
    texts: &Embeddings,
    image_rows: &RowIndex,
    text_rows: &RowIndex,
) -> Result<SubsetScore, EvaluateError> {
    images.check_width(texts)?;
    let mut rows = Vec::new();
    let mut skipped = Vec::new();
    let mut without_photo = Vec::new();
    for pair in &subset.rows {
        if pair.caption == pair.negative {
            skipped.push(pair.id.clone());
            continue;
        }
        let Some(&image) = image_rows.get(&pair.image) else {
            without_photo.push(&pair.image);
            continue;
        };
        check_index("image", &pair.image, image, images)?;
        let text_row = |text: &String| {
            let row = *text_rows
                .get(text)
                .ok_or_else(|| EvaluateError::TextNotEncoded {
                    subset: subset.name.clone(),
                    row: pair.id.clone(),
                    text: text.clone(),
                })?;
            check_index("text", text, row, texts)?;
            Ok(row)
        };
        let caption = images.dot(image, texts, text_row(&pair.caption)?);
        let negative = images.dot(image, texts, text_row(&pair.negative)?);
        rows.push(ScoredRow {
            id: pair.id.clone(),
            image: pair.image.clone(),
            // The difference of two f32 is zero only if they are equal (subnormals see to that), so the sign loses nothing.
            margin: caption - negative,
        });
    }
    let correct = rows.iter().filter(|row| row.margin > 0.0).count();
    let report = SubsetReport {
        name: subset.name.clone(),
        accuracy: (!rows.is_empty()).then(|| correct as f64 / rows.len() as f64),
        rows: rows.len(),
        correct,
        ties: rows.iter().filter(|row| row.margin == 0.0).count(),
        missing: without_photo.len(),
        skipped: skipped.len(),
    };
    Ok(SubsetScore {
        report,
        rows,
        skipped,
        missing_images: distinct(without_photo.into_iter()),
    })
}

fn check_index(
    what: &'static str,
    at: &str,
    row: usize,
    embeddings: &Embeddings,
) -> Result<(), EvaluateError> {
    if row < embeddings.len() {
        return Ok(());
    }
    Err(EvaluateError::Index {
        what,
        at: at.to_owned(),
        row,
        rows: embeddings.len(),
    })
}
