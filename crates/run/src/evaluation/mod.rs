//! Benchmarks that score models, for `clove eval` and the sweep of `clove patch`.

mod classes;
mod figures;
mod store;
mod suite;

use std::path::{Path, PathBuf};

use clove::evaluate::{
    Comparison, Embeddings, PairEmbeddings, Rank, Similarity, TrainingCaption, Trial, TrialSet,
    add_intervals, evaluate_trials, judge, photos_of, ranks, row_index, share_interval, texts_of,
};
use clove::score::Scorer;
use clove_data::Photos;
use clove_data::benchmarks::{
    Benchmark, Place, aro, cola, own, sugar_crepe, sugar_crepe_pp, svo_probes, winoground,
};
use clove_data::fetch::Cache;
use clove_data::sets::{ImagePlace, ImageTextSet};
use clove_lab::{SceneSuite, Sizes};
use clove_scenes::Split;
use serde_json::json;

pub(crate) use self::classes::Classes;
use self::classes::Classified;
pub use self::figures::{BothWays, Figures, Outcome};
use self::figures::{chance, recall_intervals};
pub(crate) use self::store::{EmbeddedPhotos, Embedder};
pub use self::store::{Photo, Store};
pub use self::suite::Suite;
use crate::error::{Context as _, Result, bail};
use crate::event::{Listener, working};
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
}

/// An open benchmark.
#[derive(Debug)]
pub struct Bench {
    tests: Tests,
    suite: Suite,
    /// Training captions of the blind n-gram model. Scenes have their own.
    pub captions: Option<Vec<TrainingCaption>>,
    /// Remarks on excluded rows and files.
    pub notes: Vec<String>,
}

#[derive(Debug)]
enum Tests {
    Scenes(SceneSuite),
    Trials { sets: Vec<TrialSet>, photos: Vec<Photo> },
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
    /// Opens a suite. `split` applies to scenes; other suites are test sets.
    ///
    /// # Errors
    /// If a file is missing or can't be read.
    pub fn open(suite: Suite, files: Files<'_>, split: Split) -> Result<Self> {
        let name = suite.name();
        let data = || {
            files.data.with_context(|| format!("the suite {name} needs --data: {}", suite.data()))
        };
        let cache = Cache::silent(None);
        let trials = |benchmark: Benchmark| -> Result<(Tests, Vec<String>)> {
            let photos = present(&benchmark, files.images, name)?;
            let sets = benchmark.sets;
            Ok((Tests::Trials { sets, photos }, benchmark.notes))
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
                let set = captions(data()?, &files, &cache)?;
                let generator = negatives::generator()?;
                trials(aro::orders_of(&set, &generator, files.seed)?)?
            }
            Suite::SvoProbes => trials(svo_probes::read(data()?)?)?,
            Suite::Cola => trials(cola::read(data()?)?)?,
            Suite::Winoground => trials(winoground::read(data()?)?)?,
            Suite::Own => trials(own::read(data()?, &cache)?)?,
            Suite::Retrieval => {
                let set = captions(data()?, &files, &cache)?;
                let notes = vec![set.summary()];
                (Tests::Retrieval(set), notes)
            }
            Suite::ZeroShot => {
                let (names, templates) = (files.class_names, files.templates);
                let classes = Classes::open(data()?, names, templates, "", &cache)?;
                let notes = std::iter::once(classes.summary()).chain(classes.skipped()).collect();
                (Tests::ZeroShot(classes), notes)
            }
        };
        Ok(Self { tests, suite, captions: None, notes })
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
        let Tests::Trials { sets, photos } = &self.tests else {
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

    /// Evaluates a model. Reuses stored embeddings.
    ///
    /// # Errors
    /// If the device fails or the embeddings aren't finite.
    pub fn score(
        &self,
        scorer: &Scorer,
        store: &mut Store,
        listener: &mut Listener<'_>,
    ) -> Result<Outcome> {
        let embedder = &mut Embedder { scorer, store, listener };
        match &self.tests {
            Tests::Scenes(suite) => {
                let (mut done, all) = (0, suite.pictures());
                let report = pollster::block_on(suite.evaluate(scorer, &mut |pictures| {
                    done += pictures;
                    working(embedder.listener, "scenes", done, all);
                }))?;
                Ok(Outcome::of(Figures::Trials(Box::new(report))))
            }
            Tests::Trials { sets, photos } => self.trials(sets, photos, embedder),
            Tests::Retrieval(set) => self.retrieval(set, embedder),
            Tests::ZeroShot(classes) => self.zero_shot(classes, embedder),
        }
    }

    fn trials(
        &self,
        sets: &[TrialSet],
        photos: &[Photo],
        embedder: &mut Embedder<'_>,
    ) -> Result<Outcome> {
        let embedded = embedder.photos(photos)?;
        let places = embedded.places.iter();
        let names: Vec<&str> = places.map(|place| photos[*place].name.as_str()).collect();
        let image_rows = row_index(&names);
        // Rows without a photo aren't scored, so their texts aren't embedded.
        let texts = texts_of(sets, |image| image_rows.contains_key(image));
        let embedded_texts = embedder.texts(&texts)?;
        let text_rows = row_index(&texts);
        let (mut report, rows) = evaluate_trials(
            self.suite(),
            sets,
            PairEmbeddings {
                images: &embedded.rows,
                texts: &embedded_texts,
                image_rows: &image_rows,
                text_rows: &text_rows,
            },
            self.captions.as_deref(),
        )?;
        add_intervals(&mut report, &rows);
        // SVO-Probes also has its own protocol.
        if self.suite == Suite::SvoProbes {
            let similar = |trial: &Trial, photo: usize| {
                let photo = *image_rows.get(trial.images.get(photo)?)?;
                let text = *text_rows.get(trial.texts.first()?)?;
                Some(embedded.rows.dot(photo, &embedded_texts, text))
            };
            let trials = sets.iter().flat_map(|set| &set.trials);
            let pairs = trials.filter_map(|trial| Some((similar(trial, 0)?, similar(trial, 1)?)));
            report.matching = judge(&pairs.collect::<Vec<_>>());
        }
        let figures = Figures::Trials(Box::new(report));
        Ok(Outcome { rows, unreadable: embedded.unreadable, ..Outcome::of(figures) })
    }

    fn retrieval(&self, set: &ImageTextSet, embedder: &mut Embedder<'_>) -> Result<Outcome> {
        let EmbeddedSet { photos: embedded, captions, image_of, texts } =
            EmbeddedSet::of(set, embedder)?;
        let samples = &set.samples;
        let ranks = ranks(&embedded.rows, &texts, &image_of)?;
        let line = |set: &str, id: &str, rank: &Rank| json!({"set": set, "id": id, "above": rank.greater, "ties": rank.ties});
        let mut lines = Vec::with_capacity(ranks.image_to_text.len() + ranks.text_to_image.len());
        for (place, rank) in embedded.places.iter().zip(&ranks.image_to_text) {
            lines.extend(
                rank.iter()
                    .map(|rank| line("image to text", &samples[*place].image.to_string(), rank)),
            );
        }
        let texts = captions.iter().zip(&ranks.text_to_image);
        lines.extend(texts.map(|(text, rank)| line("text to image", text, rank)));
        let report = ranks.report();
        // Intervals resample photos with all their captions.
        let mut of_photo: Vec<Vec<Rank>> = vec![Vec::new(); samples.len()];
        for (rank, image) in ranks.text_to_image.iter().zip(&image_of) {
            of_photo[*image].push(*rank);
        }
        let of_image: Vec<Vec<Rank>> =
            ranks.image_to_text.iter().map(|rank| rank.iter().copied().collect()).collect();
        let intervals = Box::new(BothWays {
            image_to_text: recall_intervals(&of_image),
            text_to_image: recall_intervals(&of_photo),
        });
        let figures = Figures::Retrieval {
            suite: self.suite(),
            images: embedded.rows.len(),
            captions: captions.len(),
            report,
            chance: chance(embedded.rows.len(), &image_of),
            intervals,
        };
        Ok(Outcome { lines, unreadable: embedded.unreadable, ..Outcome::of(figures) })
    }

    fn zero_shot(&self, classes: &Classes, embedder: &mut Embedder<'_>) -> Result<Outcome> {
        let (set, templates) = (&classes.set, &classes.templates);
        let classified = classes.embed(embedder)?;
        let report = classified.report()?;
        let Classified { photos: EmbeddedPhotos { rows, places, unreadable }, classes, labels } =
            classified;
        let mut right = Vec::with_capacity(places.len());
        let lines = places.iter().enumerate().map(|(row, place)| {
            let similar = |class: &usize| rows.dot(row, &classes, *class);
            let own = similar(&labels[row]);
            let mut others = (0..set.classes.len()).filter(|class| *class != labels[row]);
            right.push(vec![others.all(|class| similar(&class) < own)]);
            let said =
                (0..set.classes.len()).max_by(|one, other| similar(one).total_cmp(&similar(other)));
            json!({
                "set": "zero-shot",
                "id": set.photos[*place].0.to_string(),
                "class": set.classes[labels[row]],
                "said": said.map(|said| &set.classes[said]),
            })
        });
        let lines = lines.collect();
        let figures = Figures::ZeroShot {
            interval: share_interval(&right),
            suite: self.suite(),
            templates: templates.len(),
            chance: 1.0 / set.classes.len() as f64,
            report,
            names: set.classes.clone(),
        };
        Ok(Outcome { lines, unreadable, ..Outcome::of(figures) })
    }
}

fn captions(path: &Path, files: &Files<'_>, cache: &Cache<'_>) -> Result<ImageTextSet> {
    Ok(if files.splits.is_empty() {
        ImageTextSet::of_file(path, files.images, cache)?
    } else {
        ImageTextSet::coco(path, files.images, files.splits)?
    })
}

pub(crate) struct EmbeddedSet {
    pub photos: EmbeddedPhotos,
    /// Captions of the readable photos.
    pub captions: Vec<String>,
    /// Row of each caption's photo.
    pub image_of: Vec<usize>,
    pub texts: Embeddings,
}

impl EmbeddedSet {
    pub fn of(set: &ImageTextSet, embedder: &mut Embedder<'_>) -> Result<Self> {
        let photos: Vec<Photo> = set.samples.iter().map(|s| (&s.image).into()).collect();
        let photos = embedder.photos(&photos)?;
        let (mut captions, mut image_of) = (Vec::new(), Vec::new());
        for (row, place) in photos.places.iter().enumerate() {
            let texts = &set.samples[*place].captions;
            image_of.extend(texts.iter().map(|_| row));
            captions.extend(texts.iter().cloned());
        }
        let texts = embedder.texts(&captions)?;
        Ok(Self { photos, captions, image_of, texts })
    }
}

/// The photos of a benchmark found in the folder.
fn present(benchmark: &Benchmark, folder: Option<&Path>, suite: &str) -> Result<Vec<Photo>> {
    let folder = folder.map(Photos::open).transpose()?;
    let mut found = Vec::new();
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
        }
    }
    Ok(found)
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
