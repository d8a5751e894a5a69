//! SugarCrepe++: five files of captions that say the same in two ways, and a hard negative (Sri-Harsha/scpp, data/). Called by
//! `clove eval --suite sugar-crepe-pp`.
//!
//! ITT: the photo is closer to both captions than to the negative. TOT: the captions are closer to one another than either is to the
//! negative, without the photo. Source: Dumpala et al., SugarCrepe++, 2024 (arXiv 2406.11171), section 3.

use std::path::Path;

use clove::evaluate::{Comparison, Metric, Similarity, Trial, TrialSet};
use serde_json::Value;

use super::{Benchmark, Row, unique};
use crate::DataError;
use crate::json::{self, UniqueMap};

/// The subsets, each in a file `NAME.json`.
pub const SUBSETS: [&str; 5] =
    ["replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj"];

const SOURCE: &str =
    "SugarCrepe++'s files stand in the folder data/ of https://github.com/Sri-Harsha/scpp";

/// Reads the five files of `dir`: each a list of objects with `id`, `filename`, `caption`, `caption2` and `negative_caption`.
///
/// # Errors
/// [`DataError::MissingFiles`] for files that `dir` lacks; errors in a file name it, the row and the field.
pub fn read(dir: &Path) -> Result<Benchmark, DataError> {
    super::missing(dir, &SUBSETS.map(|name| format!("{name}.json")), SOURCE)?;
    let sets = SUBSETS.map(|name| read_set(name, &dir.join(format!("{name}.json"))));
    Ok(Benchmark { sets: sets.into_iter().collect::<Result<_, _>>()?, ..Benchmark::default() })
}

fn read_set(name: &str, path: &Path) -> Result<TrialSet, DataError> {
    let rows: Vec<UniqueMap<Value>> = json::read(path)?;
    let trial = |(number, fields): (usize, &UniqueMap<Value>)| {
        let row = Row { path, name: number.to_string(), fields };
        Ok(Trial {
            id: row.key("id")?,
            images: vec![row.string("filename")?],
            texts: vec![
                row.string("caption")?,
                row.string("caption2")?,
                row.string("negative_caption")?,
            ],
        })
    };
    let trials: Result<Vec<Trial>, DataError> = rows.iter().enumerate().map(trial).collect();
    let trials = trials?;
    unique(path, trials.iter().map(|trial| &trial.id))?;
    let less = |over, under| Comparison { over, under };
    let photo = |text| less(Similarity::Photo(0, text), Similarity::Photo(0, 2));
    let texts = |text| less(Similarity::Texts(0, 1), Similarity::Texts(text, 2));
    let metric = |name: &str, comparisons: [Comparison; 2]| Metric {
        name: name.to_owned(),
        comparisons: comparisons.to_vec(),
    };
    Ok(TrialSet {
        name: name.to_owned(),
        metrics: vec![metric("ITT", [photo(0), photo(1)]), metric("TOT", [texts(0), texts(1)])],
        trials,
    })
}
