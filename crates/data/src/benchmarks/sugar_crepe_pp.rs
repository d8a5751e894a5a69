//! SugarCrepe++: five files of captions that say the same in two ways, and a hard negative (Sri-Harsha/scpp, data/).
//!
//! ITT: the photo is closer to both captions than to the negative. TOT: the captions are closer to one another than either is to the
//! negative, without the photo. Source: Dumpala et al., SugarCrepe++, 2024 (arXiv 2406.11171), section 3.

use std::path::Path;

use clove::evaluate::{Comparison, Similarity, Trial, TrialSet};

use super::{Benchmark, files, metric, photos, some, unique};
use crate::{DataError, json};

/// The subsets, each in a file `NAME.json`.
pub const SUBSETS: [&str; 5] =
    ["replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj"];

const SOURCE: &str =
    "get SugarCrepe++'s files from the folder data/ of https://github.com/Sri-Harsha/scpp";

/// Reads the five files of `dir`: each a list of objects with `id`, `filename`, `caption`, `caption2` and `negative_caption`.
///
/// # Errors
/// [`DataError::Format`] for files that `dir` lacks; errors in a file name it, the row and the field; a file has rows.
pub fn read(dir: &Path) -> Result<Benchmark, DataError> {
    let sets = files(dir, &SUBSETS, SOURCE)?;
    let sets = sets.iter().map(|(name, path)| read_set(name, path)).collect::<Result<_, _>>()?;
    Ok(Benchmark { sets, ..Benchmark::default() })
}

fn read_set(name: &str, path: &Path) -> Result<TrialSet, DataError> {
    let trials = json::rows(path)?.into_iter().map(|row| {
        let texts = ["caption", "caption2", "negative_caption"].map(|field| row.string(field));
        Ok(Trial {
            id: row.key("id")?,
            images: vec![row.string("filename")?],
            texts: texts.into_iter().collect::<Result<_, _>>()?,
        })
    });
    let trials = some(path, trials.collect::<Result<Vec<_>, DataError>>()?)?;
    unique(path, &trials)?;
    let texts =
        |text| Comparison { over: Similarity::Texts(0, 1), under: Similarity::Texts(text, 2) };
    let metrics = vec![
        metric("ITT", &[0, 1].map(|text| photos((0, text), (0, 2)))),
        metric("TOT", &[0, 1].map(texts)),
    ];
    Ok(TrialSet { name: name.to_owned(), metrics, trials })
}
