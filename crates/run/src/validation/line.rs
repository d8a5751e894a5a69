//! The figures of a validation.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;

use clove::evaluate::Recall;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Result};
use crate::words::counted;

/// A line of validation.jsonl.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Training steps before this validation.
    pub step: usize,
    /// Photos ranked.
    pub images: usize,
    /// Captions ranked.
    pub captions: usize,
    /// Unreadable photos of the set.
    pub unreadable: usize,
    /// Rank of a photo's captions among all captions.
    pub image_to_text: Recall,
    /// Rank of a caption's photo among all photos.
    pub text_to_image: Recall,
    /// Pairs of a caption and one of its hard negatives.
    #[serde(default)]
    pub pairs: usize,
    /// Share of the pairs in which the caption is closer to the photo.
    pub pair_accuracy: Option<f64>,
    /// Photos classified zero-shot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classified: Option<usize>,
    /// Unreadable photos among those to classify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclassified: Option<usize>,
    /// Share classified correctly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_shot: Option<f64>,
    /// A hash of which photos were scored: figures are compared over the same ones only. Earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Why the first unreadable photo can't be read.
    #[serde(skip)]
    pub why: Option<String>,
}

impl Line {
    /// Each figure with its TensorBoard tag.
    pub fn scalars(&self) -> Vec<(String, f32)> {
        let (to_text, to_image) = (&self.image_to_text, &self.text_to_image);
        let figures = [
            ("image_to_text_r1", to_text.at_1),
            ("image_to_text_r5", to_text.at_5),
            ("image_to_text_r10", to_text.at_10),
            ("text_to_image_r1", to_image.at_1),
            ("text_to_image_r5", to_image.at_5),
            ("text_to_image_r10", to_image.at_10),
            ("pair_accuracy", self.pair_accuracy),
            ("zero_shot", self.zero_shot),
        ];
        let figures = figures.into_iter();
        figures
            .filter_map(|(tag, value)| Some((format!("validation/{tag}"), value? as f32)))
            .collect()
    }

    /// The score that selects the best model, from 0 to 1: the mean of R@1 over both directions, of the accuracy on hard negatives
    /// and of zero-shot accuracy, as far as they are measured. An alpha chosen by it keeps composition and earlier knowledge.
    pub fn worth(&self) -> f64 {
        let [to_text, to_image] =
            [&self.image_to_text, &self.text_to_image].map(|recall| recall.at_1.unwrap_or(0.0));
        let retrieval = (to_text + to_image) / 2.0;
        let parts = [Some(retrieval), self.pair_accuracy, self.zero_shot];
        let parts: Vec<f64> = parts.into_iter().flatten().collect();
        parts.iter().sum::<f64>() / parts.len() as f64
    }

    /// Whether both are over the same photos, so that their figures can be compared.
    pub fn is_over_same(&self, other: &Self) -> bool {
        match (&self.rows, &other.rows) {
            (Some(one), Some(other)) => one == other,
            // Of earlier versions the numbers have to do.
            _ => {
                (self.images, self.captions, self.pairs, self.classified)
                    == (other.images, other.captions, other.pairs, other.classified)
            }
        }
    }

    /// Photos that were scored.
    pub(crate) fn scored(&self) -> usize {
        self.images + self.classified.unwrap_or(0)
    }

    /// The error of a validation without a photo.
    pub(crate) fn nothing(&self) -> Option<String> {
        let (key, missing) = if self.images == 0 {
            ("path", self.unreadable)
        } else if self.classified == Some(0) {
            ("classes", self.unclassified.unwrap_or(0))
        } else {
            return None;
        };
        let why = self.why.as_ref().map(|why| format!("; the first: {why}"));
        let missing = counted(missing as u64, "photo");
        Some(format!(
            "validation.{key}: none of the {missing} can be read{}",
            why.unwrap_or_default()
        ))
    }

    /// One line of text.
    pub fn summary(&self) -> String {
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
        };
        let recall =
            |recall: &Recall| [recall.at_1, recall.at_5, recall.at_10].map(percent).join(" / ");
        let pairs = self.pair_accuracy.map(|share| {
            format!("; {} % correct on {} hard negatives", percent(Some(share)), self.pairs)
        });
        let classes = self.classified.map(|photos| {
            format!("; {} % of {photos} photos classified correctly", percent(self.zero_shot))
        });
        let missing = match self.unreadable + self.unclassified.unwrap_or(0) {
            0 => String::new(),
            missing => format!("; {} can't be read", counted(missing as u64, "photo")),
        };
        format!(
            "R@1 / 5 / 10 in % among {}: image to text {}, text to image {}{}{}{missing}",
            counted(self.images as u64, "photo"),
            recall(&self.image_to_text),
            recall(&self.text_to_image),
            pairs.unwrap_or_default(),
            classes.unwrap_or_default()
        )
    }
}

/// Reads a file of JSON lines. A missing file has no lines.
///
/// # Errors
/// If the file can't be read or a line can't be parsed.
pub fn read_lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let place = || file.display().to_string();
    let lines = match File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => BufReader::new(other.with_context(place)?).lines(),
    };
    // One by one: there may be more than memory holds.
    lines.map(|line| serde_json::from_str(&line.with_context(place)?).with_context(place)).collect()
}

#[cfg(test)]
/// A validation of some photos of twenty; both recalls are `worth`.
pub(crate) fn of_twenty(step: usize, images: usize, worth: f64, rows: Option<&str>) -> Line {
    use serde_json::json;

    let recall = json!({"queries": images, "at_1": worth, "ties": 0});
    let line = json!({
        "step": step, "images": images, "captions": images, "unreadable": 20 - images,
        "image_to_text": recall, "text_to_image": recall, "rows": rows,
    });
    serde_json::from_value(line).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validation_without_photos_says_why() {
        let mut line = of_twenty(0, 0, 0.0, None);
        line.why = Some("a.jpg: no such file".to_owned());
        let expected =
            "validation.path: none of the 20 photos can be read; the first: a.jpg: no such file";
        assert_eq!(line.nothing().unwrap(), expected);
        (line.images, line.classified, line.unclassified) = (3, Some(0), Some(1));
        let words = line.nothing().unwrap();
        assert!(
            words.starts_with("validation.classes: none of the 1 photo can be read"),
            "{words}"
        );
        line.classified = None;
        assert!(line.nothing().is_none());
    }
}
