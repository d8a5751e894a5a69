//! Winoground's format: two photos and two captions of the same words in another order (facebook/winoground, `examples.jsonl`).
//!
//! Text: each photo is closer to its own caption; image: each caption to its own photo; group: both. Source: Thrush et al., Winoground,
//! 2022 (arXiv 2204.03162), equations 1 to 3.

use std::path::Path;

use clove::evaluate::Trial;

use super::{Benchmark, metric, photos, some, unique};
use crate::{DataError, json};

/// Reads the file: a JSON object a line, with `id`, `image_0`, `image_1`, `caption_0` and `caption_1`.
///
/// # Errors
/// Errors name the file, the line and the field; [`DataError::Format`] where it has no rows.
pub fn read(path: &Path) -> Result<Benchmark, DataError> {
    let trials = json::lines(path)?.into_iter().map(|row| {
        Ok(Trial {
            id: row.key("id")?,
            images: vec![row.string("image_0")?, row.string("image_1")?],
            texts: vec![row.string("caption_0")?, row.string("caption_1")?],
        })
    });
    let trials = some(path, trials.collect::<Result<Vec<_>, DataError>>()?)?;
    unique(path, &trials)?;
    let text = [photos((0, 0), (0, 1)), photos((1, 1), (1, 0))];
    let image = [photos((0, 0), (1, 0)), photos((1, 1), (0, 1))];
    let metrics = vec![
        metric("group", &[text, image].concat()),
        metric("text", &text),
        metric("image", &image),
    ];
    Ok(Benchmark::of("winoground", metrics, trials))
}
