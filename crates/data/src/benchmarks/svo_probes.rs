//! SVO-Probes: a sentence, a photo that it describes, and one in which the subject, the verb or the object is another
//! (deepmind/svo_probes, `svo_probes.csv`). Called by `clove eval --suite svo-probes`.
//!
//! By CLoVe's protocol: a row is correct if the sentence is closer to its own photo; a row counts for the subject, else for the verb,
//! else for the object; missing photos are left out (links rot). Source: Castro et al., CLoVe, 2024 (arXiv 2402.15021);
//! Netflix/clove: zero_shot.py. The official protocol judges each pair of photo and sentence by itself
//! ([`clove::evaluate::judge`]); the two figures can't be compared.

use std::collections::BTreeMap;
use std::path::Path;

use clove::evaluate::{Trial, TrialSet};

use super::{Benchmark, metric, photos, some};
use crate::{DataError, text};

/// Bytes of the file, several times those of the published one.
const LARGEST: u64 = 64 << 20;
/// Columns that are read.
const COLUMNS: [&str; 6] =
    ["sentence", "pos_image_id", "neg_image_id", "subj_neg", "verb_neg", "obj_neg"];

/// Reads the file. A photo's name is its id, with any extension.
///
/// # Errors
/// [`DataError::Format`] for a damaged file, a missing column, a row of no kind, and no rows.
pub fn read(path: &Path) -> Result<Benchmark, DataError> {
    let wrong = |error: csv::Error| DataError::parse(path, error);
    // The csv crate would read a field of any length.
    let text = text::read_up_to(path, LARGEST)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(wrong)?.clone();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|name| name == column);
        *place = found.ok_or_else(|| {
            let needed = COLUMNS.join(", ");
            DataError::format(path, format!("it has no column {column}; it needs {needed}"))
        })?;
    }
    let mut kinds: BTreeMap<usize, Vec<Trial>> = BTreeMap::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(wrong)?;
        let field = |at: usize| record.get(places[at]).unwrap_or_default().to_owned();
        let is_of = |at: usize| field(at).eq_ignore_ascii_case("true");
        let kind = (3..6).find(|at| is_of(*at)).ok_or_else(|| {
            DataError::row(path, number + 1, "none of subj_neg, verb_neg and obj_neg is True")
        })?;
        kinds.entry(kind).or_default().push(Trial {
            id: number.to_string(),
            images: vec![field(1), field(2)],
            texts: vec![field(0)],
        });
    }
    let set = |(kind, trials): (usize, Vec<Trial>)| TrialSet {
        name: ["subject", "verb", "object"][kind - 3].to_owned(),
        metrics: vec![metric("", &[photos((0, 0), (1, 0))])],
        trials,
    };
    let sets = some(path, kinds.into_iter().map(set).collect())?;
    Ok(Benchmark { sets, ..Benchmark::default() })
}
