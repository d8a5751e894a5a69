//! Benchmarks that score models, for `clove eval` and the sweep of `clove patch`.

mod classes;
mod figures;
mod keys;
mod same;
mod scoring;
mod store;
mod suite;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clove::evaluate::{Comparison, Similarity, TrainingCaption, TrialSet, photos_of};
use clove_data::Photos;
use clove_data::benchmarks::{
    Benchmark, Place, aro, cola, own, sugar_crepe, sugar_crepe_pp, svo_probes, winoground,
};
use clove_data::fetch::{Cache, Copies, Progress};
use clove_data::sets::{ImagePlace, ImageTextSet, Options, Purpose};
use clove_lab::{SceneSuite, Sizes};
use clove_scenes::Split;

pub(crate) use self::classes::Classes;
pub use self::figures::{BothWays, Counts, Figures, Outcome};
pub use self::same::SameImage;
pub(crate) use self::scoring::EmbeddedSet;
pub(crate) use self::store::{EmbeddedPhotos, Embedder, of_row};
pub use self::store::{Photo, Store};
pub use self::suite::Suite;
use crate::error::{Context as _, Result, bail};
use crate::negatives;

/// Extensions tried for photos that a benchmark names without one.
const ENDINGS: [&str; 4] = ["jpg", "png", "jpeg", "webp"];

/// Files and options of a benchmark.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files<'a> {
    /// The files described by [`Suite::data`].
    pub data: Option<&'a Path>,
    /// Folder of photos.
    pub images: Option<&'a Path>,
    /// Splits of a Karpathy file; all if empty.
    pub splits: &'a [String],
    /// File of class names.
    pub class_names: Option<&'a Path>,
    /// File of prompt templates.
    pub templates: Option<&'a Path>,
    /// Seed of word orders.
    pub seed: u64,
    /// Which rows of retrieval have the same image.
    pub same_image: SameImage,
}

/// An open benchmark.
#[derive(Debug)]
pub struct Bench {
    tests: Tests,
    suite: Suite,
    /// The files of `--data`.
    files: Vec<PathBuf>,
    /// Training captions of the blind n-gram model. Scenes have their own.
    pub captions: Option<Vec<TrainingCaption>>,
    /// Remarks on excluded rows and files.
    pub notes: Vec<String>,
}

#[derive(Debug)]
enum Tests {
    Scenes(SceneSuite),
    Trials {
        sets: Vec<TrialSet>,
        photos: Vec<Photo>,
        /// File names of photos that aren't in the folder.
        absent: Vec<String>,
    },
    Retrieval(ImageTextSet),
    ZeroShot(Classes),
}

/// A row of trials for display.
#[derive(Debug)]
pub struct Example<'a> {
    /// Photos of the row.
    pub photos: Vec<&'a Photo>,
    /// Texts of the row.
    pub texts: &'a [String],
    right: &'a [Comparison],
}

impl Example<'_> {
    /// Whether a text is wrong for every photo.
    pub fn is_negative(&self, text: usize) -> bool {
        let is_of = |similarity| matches!(similarity, Similarity::Photo(_, of) if of == text);
        !self.right.iter().any(|found| is_of(found.over))
    }
}

impl Bench {
    /// Opens a suite. `split` applies to scenes and, where the files name none, to captions; other suites are test sets.
    ///
    /// # Errors
    /// If a file is missing or can't be read.
    pub fn open(suite: Suite, files: Files<'_>, split: Split) -> Result<Self> {
        let name = suite.name();
        let data = || {
            files.data.with_context(|| format!("the suite {name} needs --data: {}", suite.data()))
        };
        let told = Mutex::new(Vec::new());
        let hear = |progress: Progress<'_>| {
            if let Progress::Note(text) = progress {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
            }
            true
        };
        let cache = Cache::new(Copies::default(), &hear);
        let trials = |benchmark: Benchmark| -> Result<(Tests, Vec<String>)> {
            let (photos, absent) = present(&benchmark, files.images, name)?;
            let sets = benchmark.sets;
            Ok((Tests::Trials { sets, photos, absent }, benchmark.notes))
        };
        let (tests, notes) = match suite {
            Suite::Scenes => {
                let sizes = match split {
                    Split::Test => Sizes::TEST,
                    _ => Sizes::VALIDATION,
                };
                (Tests::Scenes(SceneSuite::new(split, sizes)), Vec::new())
            }
            Suite::SugarCrepe => {
                let subsets = sugar_crepe::read(data()?)?;
                trials(Benchmark {
                    sets: subsets.iter().map(TrialSet::from).collect(),
                    ..Benchmark::default()
                })?
            }
            Suite::SugarCrepePp => trials(sugar_crepe_pp::read(data()?)?)?,
            Suite::VgRelation => trials(aro::relations(data()?)?)?,
            Suite::VgAttribution => trials(aro::attributes(data()?)?)?,
            Suite::Order if aro::has_options(data()?) => trials(aro::order(data()?)?)?,
            Suite::Order => {
                let set = captions(data()?, &files, split, &cache)?;
                let generator = negatives::generator()?;
                trials(aro::orders_of(&set, &generator, files.seed)?)?
            }
            Suite::SvoProbes => trials(svo_probes::read(data()?)?)?,
            Suite::Cola => trials(cola::read(data()?)?)?,
            Suite::Winoground => trials(winoground::read(data()?)?)?,
            Suite::Own => trials(own::read(data()?, &cache)?)?,
            Suite::Retrieval => {
                let mut set = captions(data()?, &files, split, &cache)?;
                let joined = files.same_image.join(&mut set)?;
                let splits = set.notes.clone();
                let notes = std::iter::once(set.summary()).chain(splits).chain(joined).collect();
                (Tests::Retrieval(set), notes)
            }
            Suite::ZeroShot => {
                let (names, templates) = (files.class_names, files.templates);
                let classes = Classes::open(data()?, names, templates, "", &cache)?;
                let notes = std::iter::once(classes.summary()).chain(classes.skipped());
                let notes = notes.chain(classes.set.notes.iter().cloned()).collect();
                (Tests::ZeroShot(classes), notes)
            }
        };
        let files = files.data.map_or_else(Vec::new, |data| files_of(suite, data));
        let mut notes = notes;
        notes.append(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Self { tests, suite, files, captions: None, notes })
    }

    /// The files that it reads: those of `--data`, and each photo.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let mut places: Vec<&ImagePlace> = Vec::new();
        let mut inputs: BTreeSet<PathBuf> = self.files.iter().cloned().collect();
        match &self.tests {
            Tests::Scenes(_) => {}
            Tests::Trials { photos, .. } => places.extend(photos.iter().map(|photo| &photo.place)),
            Tests::Retrieval(set) => {
                places.extend(set.samples.iter().map(|sample| &sample.image));
                // In a folder of images the place of a caption is its file; elsewhere there is no such file.
                inputs.extend(set.samples.iter().map(|sample| PathBuf::from(&sample.place)));
            }
            Tests::ZeroShot(classes) => {
                places.extend(classes.set.photos.iter().map(|(place, _)| place));
            }
        }
        for place in places {
            match place {
                ImagePlace::File(path) => inputs.insert(path.clone()),
                ImagePlace::Member { shard, .. } => inputs.insert(PathBuf::from(&shard.name)),
                ImagePlace::Cifar { file, .. } => inputs.insert(file.to_path_buf()),
                ImagePlace::Row { .. } => {
                    let named = place.to_string();
                    inputs.insert(named.rsplit_once(" row ").map_or("", |(file, _)| file).into())
                }
            };
        }
        inputs.into_iter().filter(|path| path.is_file()).collect()
    }

    /// Sets of trials.
    pub fn sets(&self) -> &[TrialSet] {
        match &self.tests {
            Tests::Trials { sets, .. } => sets,
            _ => &[],
        }
    }

    /// Name of the suite.
    pub fn suite(&self) -> &'static str {
        self.suite.name()
    }

    /// A row of trials, by the name of its set and metric and its id.
    pub fn example(&self, set: &str, id: &str) -> Option<Example<'_>> {
        let Tests::Trials { sets, photos, .. } = &self.tests else {
            return None;
        };
        let is_it = |found: &&TrialSet| {
            let rest = set.strip_prefix(found.name.as_str());
            rest.is_some_and(|rest| {
                let mut metrics = found.metrics.iter();
                metrics.any(|metric| rest.trim_start() == metric.name)
            })
        };
        let found = sets.iter().find(is_it)?;
        let trial = found.trials.iter().find(|trial| trial.id == id)?;
        let photo = |name: &String| photos.iter().find(|photo| photo.name == *name);
        Some(Example {
            photos: trial.images.iter().filter_map(photo).collect(),
            texts: &trial.texts,
            right: found.metrics.first().map_or(&[], |metric| &metric.comparisons),
        })
    }
}

fn captions(
    path: &Path,
    files: &Files<'_>,
    split: Split,
    cache: &Cache<'_>,
) -> Result<ImageTextSet> {
    // Where none is named, a choice is made by the validation split, and the result is measured on the test split.
    let purpose = if split == Split::Test { Purpose::Evaluation } else { Purpose::Validation };
    let options =
        Options { images: files.images, splits: files.splits, purpose, ..Options::default() };
    Ok(ImageTextSet::open(path, &options, cache)?)
}

/// The files of `--data`, where it's a folder or names others.
fn files_of(suite: Suite, data: &Path) -> Vec<PathBuf> {
    let subsets: &[&str] = match suite {
        Suite::SugarCrepe => &sugar_crepe::SUBSETS,
        Suite::SugarCrepePp => &sugar_crepe_pp::SUBSETS,
        _ => &[],
    };
    let mut files = vec![data.to_owned()];
    files.extend(subsets.iter().map(|name| data.join(format!("{name}.json"))));
    if suite == Suite::Own
        && let Ok(text) = fs::read_to_string(data)
    {
        // The reader has checked it.
        let table: toml::Table = toml::from_str(&text).unwrap_or_default();
        let sets = table.get("sets").and_then(toml::Value::as_array).into_iter().flatten();
        let paths = sets.filter_map(|set| set.get("path")?.as_str());
        files.extend(paths.map(|path| data.with_file_name("").join(path)));
    }
    files
}

/// The photos of a benchmark found in the folder, and the file names of the others, each once.
fn present(
    benchmark: &Benchmark,
    folder: Option<&Path>,
    suite: &str,
) -> Result<(Vec<Photo>, Vec<String>)> {
    let folder = folder.map(Photos::open).transpose()?;
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for name in photos_of(&benchmark.sets) {
        let (file, part) = match benchmark.places.get(&name) {
            Some(Place::At(place)) => {
                let place = place.clone();
                found.push(Photo { name, place, part: None });
                continue;
            }
            Some(Place::Part(file, part)) => (file.as_str(), Some(*part)),
            None => (name.as_str(), None),
        };
        let Some(folder) = &folder else {
            bail!("the suite {suite} needs --images, the folder of its photos");
        };
        if let Some(path) = find(folder, file)? {
            found.push(Photo { place: ImagePlace::File(path), name, part });
        } else if seen.insert(file.to_owned()) {
            absent.push(file.to_owned());
        }
    }
    Ok((found, absent))
}

/// Finds a photo by its file name, with or without extension.
fn find(folder: &Photos, name: &str) -> Result<Option<PathBuf>> {
    let whole = std::iter::once(name.to_owned());
    let ended = ENDINGS.iter().map(|ending| format!("{name}.{ending}"));
    for name in whole.chain(ended) {
        if let Some(path) = folder.find(&name).context("looking for the photos")? {
            return Ok(Some(path.to_owned()));
        }
    }
    Ok(None)
}
