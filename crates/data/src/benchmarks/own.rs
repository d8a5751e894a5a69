//! A custom suite: a TOML file that names sets of captions with hard negatives. Called by `clove eval --suite FILE.toml`.

use std::path::{Path, PathBuf};

use clove::evaluate::{Metric, Trial, TrialSet};
use serde::Deserialize;

use super::{Benchmark, Place};
use crate::fetch::Cache;
use crate::sets::ImageTextSet;
use crate::{DataError, text};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    sets: Vec<Set>,
}

/// A set of captions with hard negatives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    name: String,
    path: PathBuf,
    #[serde(default)]
    images: Option<PathBuf>,
}

/// Reads the file and the sets that it names: `[[sets]]` with `name`, `path` and optionally `images`, relative to the file. A set is
/// JSON lines, a table (.csv, .tsv), Parquet or a web dataset's shards (.tar) with an image, a caption and negatives. A row is correct
/// if the image is closer to its first caption than to every negative. Rows without a negative are left out.
///
/// # Errors
/// [`DataError::Format`] for a file that doesn't follow this format, and those of [`ImageTextSet`]'s readers.
pub fn read(path: &Path, cache: &Cache<'_>) -> Result<Benchmark, DataError> {
    let suite: Suite = toml::from_str(&text::read(path)?)
        .map_err(|error| DataError::format(path, error.to_string()))?;
    if suite.sets.is_empty() {
        return Err(DataError::format(path, "it has no [[sets]]"));
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut benchmark = Benchmark::default();
    for set in suite.sets {
        let found = ImageTextSet::of_file(
            &dir.join(&set.path),
            set.images.map(|images| dir.join(images)).as_deref(),
            cache,
        )?;
        let most = found.samples.iter().map(|sample| sample.negatives.len()).max();
        let (mut trials, mut without) = (Vec::new(), 0);
        for (number, sample) in found.samples.into_iter().enumerate() {
            if sample.negatives.is_empty() {
                without += 1;
                continue;
            }
            let name = sample.image.to_string();
            let mut texts = sample.captions;
            texts.truncate(1);
            texts.extend(sample.negatives);
            trials.push(Trial { id: number.to_string(), images: vec![name.clone()], texts });
            benchmark.places.insert(name, Place::At(sample.image));
        }
        if trials.is_empty() {
            let problem = format!("{}: none of its rows has a negative", set.path.display());
            return Err(DataError::format(path, problem));
        }
        if without > 0 {
            benchmark.notes.push(format!("{}: {without} rows have no negative", set.name));
        }
        benchmark.notes.extend(found.notes);
        if let Some((place, why)) = found.skipped.first() {
            let (name, skipped) = (&set.name, found.skipped.len());
            let note = format!("{name}: {skipped} rows can't be read, the first {place}: {why}");
            benchmark.notes.push(note);
        }
        benchmark.sets.push(TrialSet {
            name: set.name,
            metrics: vec![Metric::first_of("", most.unwrap_or(1))],
            trials,
        });
    }
    Ok(benchmark)
}
