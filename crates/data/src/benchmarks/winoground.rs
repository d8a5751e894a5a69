//! Winoground's format: two photos and two captions of the same words in another order (facebook/winoground, `examples.jsonl`). Called
//! by `clove eval --suite winoground`.
//!
//! Text: each photo is closer to its own caption; image: each caption to its own photo; group: both. Source: Thrush et al., Winoground,
//! 2022 (arXiv 2204.03162), equations 1 to 3.

use std::path::Path;

use clove::evaluate::{Comparison, Metric, Similarity, Trial, TrialSet};
use serde_json::Value;

use super::{Benchmark, Row, unique};
use crate::json::UniqueMap;
use crate::{DataError, text};

/// Reads the file: a JSON object a line, with `id`, `image_0`, `image_1`, `caption_0` and `caption_1`.
///
/// # Errors
/// Errors in the file name it, the line and the field.
pub fn read(path: &Path) -> Result<Benchmark, DataError> {
    let content = text::read(path)?;
    let mut trials = Vec::new();
    let lines = (1_usize..).zip(content.lines());
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let fields: UniqueMap<Value> =
            serde_json::from_str(line).map_err(|error| DataError::Row {
                path: path.to_owned(),
                row: number.to_string(),
                problem: error.to_string(),
            })?;
        let row = Row { path, name: number.to_string(), fields: &fields };
        trials.push(Trial {
            id: row.key("id")?,
            images: vec![row.string("image_0")?, row.string("image_1")?],
            texts: vec![row.string("caption_0")?, row.string("caption_1")?],
        });
    }
    unique(path, trials.iter().map(|trial| &trial.id))?;
    let photo = |over: (usize, usize), under: (usize, usize)| Comparison {
        over: Similarity::Photo(over.0, over.1),
        under: Similarity::Photo(under.0, under.1),
    };
    let text = [photo((0, 0), (0, 1)), photo((1, 1), (1, 0))];
    let image = [photo((0, 0), (1, 0)), photo((1, 1), (0, 1))];
    let metric =
        |name: &str, comparisons: Vec<Comparison>| Metric { name: name.to_owned(), comparisons };
    Ok(Benchmark {
        sets: vec![TrialSet {
            name: "winoground".to_owned(),
            metrics: vec![
                metric("group", [text, image].concat()),
                metric("text", text.to_vec()),
                metric("image", image.to_vec()),
            ],
            trials,
        }],
        ..Benchmark::default()
    })
}
