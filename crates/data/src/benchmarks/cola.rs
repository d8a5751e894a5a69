//! COLA's multi-object benchmark: two photos with captions of the same words, each of which belongs to one of them
//! (arijitray1993/COLA, `COLA_multiobjects_matching_benchmark.json`). Called by `clove eval --suite cola`.
//!
//! A row is right if each caption is closer to its own photo than to the other. Source: Ray et al., COLA, 2023 (arXiv 2305.03689).

use std::path::Path;

use clove::evaluate::{Comparison, Metric, Similarity, Trial, TrialSet};

use super::Benchmark;
use crate::{DataError, json};

/// Reads the file: a list of `[photo, caption, photo, caption]`, where photos are links, of which the last part names the file.
///
/// # Errors
/// [`DataError::Json`] for what is no such list, with its place.
pub fn read(path: &Path) -> Result<Benchmark, DataError> {
    let rows: Vec<[String; 4]> = json::read(path)?;
    let name = |link: &str| link.rsplit('/').next().unwrap_or(link).to_owned();
    let trials = rows.into_iter().enumerate().map(|(number, row)| {
        let [first, caption, second, other] = row;
        Trial {
            id: number.to_string(),
            images: vec![name(&first), name(&second)],
            texts: vec![caption, other],
        }
    });
    let own = |number: usize, other: usize| Comparison {
        over: Similarity::Photo(number, number),
        under: Similarity::Photo(other, number),
    };
    Ok(Benchmark {
        sets: vec![TrialSet {
            name: "multi-object".to_owned(),
            metrics: vec![Metric { name: String::new(), comparisons: vec![own(0, 1), own(1, 0)] }],
            trials: trials.collect(),
        }],
        ..Benchmark::default()
    })
}
