//! SVO-Probes: a sentence, a photo that it describes, and one in which the subject, the verb or the object is another
//! (deepmind/svo_probes, `svo_probes.csv`). Called by `clove eval --suite svo-probes`.
//!
//! By CLoVe's protocol: a row is right if the sentence is closer to its own photo; a row counts as one of the subject, else of the
//! verb, else of the object; photos that are missing are left out (links rot). Source: Castro et al., CLoVe, 2024 (arXiv 2402.15021);
//! Netflix/clove: zero_shot.py. The official protocol asks of each photo and sentence by itself whether they match
//! ([`clove::evaluate::judge`]); the two figures can't be compared.

use std::collections::BTreeMap;
use std::path::Path;

use clove::evaluate::{Comparison, Metric, Similarity, Trial, TrialSet};

use super::Benchmark;
use crate::DataError;

/// Columns that are read.
const COLUMNS: [&str; 6] =
    ["sentence", "pos_image_id", "neg_image_id", "subj_neg", "verb_neg", "obj_neg"];

/// Reads the file, of which each photo is named by its id, whatever its ending.
///
/// # Errors
/// [`DataError::Csv`] for a file that doesn't parse; [`DataError::Format`] for a column that's missing, and [`DataError::Row`] for a row
/// that is of no kind.
pub fn read(path: &Path) -> Result<Benchmark, DataError> {
    let wrong = |source| DataError::Csv { path: path.to_owned(), source };
    let mut reader = csv::Reader::from_path(path).map_err(wrong)?;
    let header = reader.headers().map_err(wrong)?.clone();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|name| name == column);
        *place = found.ok_or_else(|| DataError::Format {
            path: path.to_owned(),
            problem: format!("it has no column {column}; it needs {}", COLUMNS.join(", ")),
        })?;
    }
    let mut kinds: BTreeMap<usize, Vec<Trial>> = BTreeMap::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(wrong)?;
        let field = |at: usize| record.get(places[at]).unwrap_or_default().to_owned();
        let is_of = |at: usize| field(at).eq_ignore_ascii_case("true");
        let kind = (3..6).find(|at| is_of(*at)).ok_or_else(|| DataError::Row {
            path: path.to_owned(),
            row: (number + 1).to_string(),
            problem: "none of subj_neg, verb_neg and obj_neg is True".to_owned(),
        })?;
        kinds.entry(kind).or_default().push(Trial {
            id: number.to_string(),
            images: vec![field(1), field(2)],
            texts: vec![field(0)],
        });
    }
    let set = |(kind, trials): (usize, Vec<Trial>)| TrialSet {
        name: ["subject", "verb", "object"][kind - 3].to_owned(),
        metrics: vec![Metric {
            name: String::new(),
            comparisons: vec![Comparison {
                over: Similarity::Photo(0, 0),
                under: Similarity::Photo(1, 0),
            }],
        }],
        trials,
    };
    Ok(Benchmark { sets: kinds.into_iter().map(set).collect(), ..Benchmark::default() })
}
