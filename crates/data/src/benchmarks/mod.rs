//! Benchmark files, read into the rows that `clove::evaluate` owns. Called by `clove eval` and `clove patch --sweep`.

pub mod aro;
pub mod class_set;
pub mod cola;
pub mod own;
pub mod sugar_crepe;
pub mod sugar_crepe_pp;
pub mod svo_probes;
pub mod winoground;
pub mod zero_shot;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use clove::evaluate::{Comparison, Metric, Similarity, Trial, TrialSet};
use clove::preprocess::CropBox;

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
    Part(String, CropBox),
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
    Metric { name: name.to_owned(), comparisons: comparisons.to_vec() }
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
