//! Benchmark files, read into the rows that `clove::evaluate` owns. Called by `clove eval` and `clove patch --sweep`.

pub mod aro;
pub mod class_set;
pub mod cola;
pub mod own;
mod part;
pub mod sugar_crepe;
pub mod sugar_crepe_pp;
pub mod svo_probes;
pub mod winoground;
pub mod zero_shot;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use clove::evaluate::{Comparison, Metric, Similarity, Trial, TrialSet};

pub use self::part::{Part, PartError};
use crate::DataError;
use crate::sets::ImagePlace;

/// A benchmark of trials, as its files describe it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Benchmark {
    /// Its parts.
    pub sets: Vec<TrialSet>,
    /// Places of the photos that aren't files of the name that trials have for them.
    pub places: HashMap<String, Place>,
    /// Remarks, such as the rows that the benchmark's protocol doesn't count.
    pub notes: Vec<String>,
}

/// Where a photo is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A part of the photo of that file name; the rest isn't seen.
    Part(String, Part),
    /// There.
    At(ImagePlace),
}

impl Benchmark {
    /// A benchmark of a single set.
    fn of(name: &str, metrics: Vec<Metric>, trials: Vec<Trial>) -> Self {
        let name = name.to_owned();
        Self { sets: vec![TrialSet { name, metrics, trials }], ..Self::default() }
    }
}

/// A comparison of two pairs of a photo and a text.
fn photos(over: (usize, usize), under: (usize, usize)) -> Comparison {
    let [over, under] = [over, under].map(|(photo, text)| Similarity::Photo(photo, text));
    Comparison { over, under }
}

fn metric(name: &str, comparisons: &[Comparison]) -> Metric {
    Metric { name: name.to_owned(), comparisons: comparisons.to_vec(), ties_win: false }
}

/// Refuses a file without rows, over which no figure could be.
fn some<T>(path: &Path, rows: Vec<T>) -> Result<Vec<T>, DataError> {
    if rows.is_empty() { Err(DataError::format(path, "it has no rows")) } else { Ok(rows) }
}

/// Refuses an id that an earlier row has.
fn unique(path: &Path, trials: &[Trial]) -> Result<(), DataError> {
    let mut seen = HashSet::new();
    match trials.iter().find(|trial| !seen.insert(&trial.id)) {
        Some(trial) => Err(DataError::row(path, &trial.id, "an earlier row has the same id")),
        None => Ok(()),
    }
}

/// The files `NAME.json` of a folder.
///
/// # Errors
/// [`DataError::Format`] with all that the folder lacks.
fn files<'a>(
    dir: &Path,
    names: &[&'a str],
    source_of_files: &str,
) -> Result<Vec<(&'a str, PathBuf)>, DataError> {
    let file = |name: &&'a str| (*name, dir.join(format!("{name}.json")));
    let (found, missing): (Vec<_>, Vec<_>) =
        names.iter().map(file).partition(|(_, path)| path.is_file());
    if missing.is_empty() {
        return Ok(found);
    }
    let missing: Vec<_> = missing.iter().map(|(name, _)| format!("{name}.json")).collect();
    Err(DataError::format(dir, format!("it lacks {}; {source_of_files}", missing.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Cache;
    use crate::testing::{Dir, fails};

    #[test]
    fn a_file_without_rows_is_refused_by_every_reader() {
        const NONE: &[&str] = &["it has no rows"];
        let header = "sentence,pos_image_id,neg_image_id,subj_neg,verb_neg,obj_neg\n";
        let own = "[[sets]]\nname = \"x\"\npath = \"none.jsonl\"\n";
        let mut files = vec![
            ("list.json".to_owned(), "[]"),
            ("none.jsonl".to_owned(), "\n"),
            ("svo.csv".to_owned(), header),
            ("own.toml".to_owned(), own),
        ];
        files.extend(sugar_crepe::SUBSETS.map(|name| (format!("one/{name}.json"), "{}")));
        files.extend(sugar_crepe_pp::SUBSETS.map(|name| (format!("two/{name}.json"), "[]")));
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
        let dir = Dir::with(&files);
        fails(sugar_crepe::read(&dir.path("one")), NONE);
        fails(sugar_crepe_pp::read(&dir.path("two")), NONE);
        fails(cola::read(&dir.path("list.json")), NONE);
        fails(aro::order(&dir.path("list.json")), NONE);
        fails(aro::relations(&dir.path("list.json")), &["none of its 0 rows is counted"]);
        fails(aro::attributes(&dir.path("list.json")), &["none of its 0 rows is counted"]);
        fails(winoground::read(&dir.path("none.jsonl")), NONE);
        fails(svo_probes::read(&dir.path("svo.csv")), NONE);
        fails(own::read(&dir.path("own.toml"), &Cache::silent(None)), &["none.jsonl"]);
    }
}
