//! COLA's multi-object benchmark: two photos with captions of the same words, each of which belongs to one of them
//! (arijitray1993/COLA, `COLA_multiobjects_matching_benchmark.json`). Called by `clove eval --suite cola`.
//!
//! A row is correct if each caption is closer to its own photo than to the other. Source: Ray et al., COLA, 2023 (arXiv 2305.03689).

use std::path::Path;

use clove::evaluate::Trial;

use super::{Benchmark, metric, photos, some};
use crate::{DataError, json};

/// Reads the file: a list of `[photo, caption, photo, caption]`. Photos are links; the last part of a link is the file name.
///
/// # Errors
/// [`DataError::Format`] for another file, with the line and column, and for one without rows.
pub fn read(path: &Path) -> Result<Benchmark, DataError> {
    let rows: Vec<[String; 4]> = some(path, json::read(path)?)?;
    let name = |link: &str| link.rsplit('/').next().unwrap_or(link).to_owned();
    let trials = rows.into_iter().enumerate().map(|(number, row)| {
        let [first, caption, second, other] = row;
        Trial {
            id: number.to_string(),
            images: vec![name(&first), name(&second)],
            texts: vec![caption, other],
        }
    });
    let own = metric("", &[photos((0, 0), (1, 0)), photos((1, 1), (0, 1))]);
    Ok(Benchmark::of("multi-object", vec![own], trials.collect()))
}
