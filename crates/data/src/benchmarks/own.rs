//! A suite of one's own: a TOML file that says where pairs are. Called by `clove eval --suite FILE.toml`.

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

/// Reads the file, and the sets that it names: `[[sets]]` with `name`, `path` and, where they lie elsewhere, `images`, relative to the
/// file. A set is JSON lines, a table (.csv, .tsv), Parquet or a web dataset's shards (.tar) with an image, a caption and negatives; a
/// row is right if the image is closer to its first caption than to every negative. Rows without a negative are left out.
///
/// # Errors
/// [`DataError::Format`] for a file that isn't such a one, and those of [`ImageTextSet`]'s readers.
pub fn read(path: &Path, cache: &Cache<'_>) -> Result<Benchmark, DataError> {
    let format = |problem: String| DataError::Format { path: path.to_owned(), problem };
    let suite: Suite =
        toml::from_str(&text::read(path)?).map_err(|error| format(error.to_string()))?;
    if suite.sets.is_empty() {
        return Err(format("it has no [[sets]]".to_owned()));
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
            return Err(format(problem));
        }
        if without > 0 {
            let note = format!("{}: {without} rows have no negative", set.name);
            benchmark.notes.push(note);
        }
        if !found.skipped.is_empty() {
            let (place, why) = &found.skipped[0];
            let skipped = found.skipped.len();
            let note =
                format!("{}: {skipped} rows can't be read, the first {place}: {why}", set.name);
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
