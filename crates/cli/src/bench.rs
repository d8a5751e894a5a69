//! A benchmark, ready to score models: for `eval`, and for the sweep of `patch`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clove::evaluate::{
    Comparison, Embeddings, PairEmbeddings, Rank, Report, RetrievalReport, RowsBySubset,
    Similarity, TrainingCaption, Trial, TrialSet, ZeroShotReport, add_intervals, class_embeddings,
    classify, evaluate_trials, judge, photos_of, prompts, ranks, row_index, share_interval,
    texts_of,
};
use clove::score::Scorer;
use clove_data::Photos;
use clove_data::benchmarks::class_set::{ClassSet, lines};
use clove_data::benchmarks::{
    Benchmark, Place, aro, cola, own, sugar_crepe, sugar_crepe_pp, svo_probes, winoground,
    zero_shot,
};
use clove_data::fetch::Cache;
use clove_data::sets::{ImagePlace, ImageTextSet};
use clove_lab::{SceneSuite, Sizes};
use clove_scenes::Split;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Suite;
use crate::embeddings::{EmbeddedPhotos, Photo, Store};
use crate::negatives::{self, counted};
use crate::output;

/// Endings of photos that a benchmark names without one.
const ENDINGS: [&str; 4] = ["jpg", "png", "jpeg", "webp"];

/// The suite that is judged by its own protocol beside CLoVe's.
const SVO_PROBES: &str = "svo-probes";

/// What stands where a class's name does, without templates of the user's.
const TEMPLATE: &str = "a photo of a {c}.";

/// Where a benchmark's parts are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files<'a> {
    pub data: Option<&'a Path>,
    pub images: Option<&'a Path>,
    pub splits: &'a [String],
    pub class_names: Option<&'a Path>,
    pub templates: Option<&'a Path>,
    /// Of what is drawn at random.
    pub seed: u64,
}

/// An open benchmark.
pub struct Bench {
    tests: Tests,
    suite: &'static str,
    /// What trains the blind n-gram model; scenes have captions of their own.
    pub captions: Option<Vec<TrainingCaption>>,
    /// What of the files isn't counted.
    pub notes: Vec<String>,
}

enum Tests {
    Scenes(SceneSuite),
    Trials {
        sets: Vec<TrialSet>,
        /// Those that are there.
        photos: Vec<Photo>,
    },
    Retrieval(ImageTextSet),
    ZeroShot {
        set: ClassSet,
        templates: Vec<String>,
    },
}

/// A row of trials as people see it.
pub struct Example<'a> {
    pub photos: Vec<&'a Photo>,
    pub texts: &'a [String],
    right: &'a [Comparison],
}

impl Example<'_> {
    /// Whether a text is right for no photo.
    pub fn is_negative(&self, text: usize) -> bool {
        let is_of = |similarity| matches!(similarity, Similarity::Photo(_, of) if of == text);
        !self.right.iter().any(|found| is_of(found.over))
    }
}

/// What a model got.
#[derive(Debug)]
pub struct Outcome {
    pub figures: Figures,
    /// Of trials, each row.
    pub rows: RowsBySubset,
    /// Of what isn't one, each query or photo, as `--rows` writes it.
    pub lines: Vec<Value>,
    /// Photos that are there and can't be read, with the reasons.
    pub unreadable: Vec<(String, String)>,
}

/// A report, of whatever is measured.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Figures {
    Trials(Box<Report>),
    Retrieval {
        suite: &'static str,
        images: usize,
        captions: usize,
        #[serde(flatten)]
        report: RetrievalReport,
        /// What a guess gets at 1, 5 and 10, both ways.
        chance: BothWays<[f64; 3]>,
        /// 95 % bootstrap intervals at 1, 5 and 10, drawn by photo.
        intervals: Box<BothWays<[Option<[f64; 2]>; 3]>>,
    },
    ZeroShot {
        suite: &'static str,
        templates: usize,
        chance: f64,
        /// 95 % bootstrap interval of top-1.
        interval: Option<[f64; 2]>,
        #[serde(flatten)]
        report: ZeroShotReport,
        names: Vec<String>,
    },
}

/// Of both directions of retrieval.
#[derive(Debug, Serialize)]
pub struct BothWays<T> {
    pub image_to_text: T,
    pub text_to_image: T,
}

impl Figures {
    /// The figure that alphas are compared by, 0 to 1.
    pub fn accuracy(&self) -> Option<f64> {
        match self {
            Self::Trials(report) => report.macro_mean,
            Self::Retrieval { report, .. } => {
                let [one, other] = [&report.image_to_text, &report.text_to_image].map(|r| r.at_1);
                Some((one? + other?) / 2.0)
            }
            Self::ZeroShot { report, .. } => report.top1,
        }
    }

    /// Zero-shot accuracy, where the suite tests it beside.
    pub fn recognition(&self) -> Option<f64> {
        match self {
            Self::Trials(report) => report.recognition.as_ref()?.top1,
            _ => None,
        }
    }
}

impl Bench {
    /// Opens a suite. `split` is that of the scenes; the others are test sets throughout.
    pub fn open(suite: Suite, files: Files<'_>, split: Split) -> Result<Self> {
        let (name, asks) = about(suite);
        let data = || {
            files
                .data
                .with_context(|| format!("the suite {name} needs --data: {asks}"))
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
                let names = files.class_names.map(texts).transpose()?;
                let templates = files.templates.map(texts).transpose()?;
                let set = ClassSet::open(data()?, names.as_deref(), &cache)?;
                let photos = counted(set.photos.len() as u64, "photo");
                let mut notes = vec![format!("{photos} of {} classes", set.classes.len())];
                notes.extend(set.skipped.first().map(|(place, why)| {
                    let skipped = set.skipped.len();
                    format!("{skipped} photos are left out, the first {place}: {why}")
                }));
                let templates = templates.unwrap_or_else(|| vec![TEMPLATE.to_owned()]);
                (Tests::ZeroShot { set, templates }, notes)
            }
        };
        Ok(Self {
            tests,
            suite: name,
            captions: None,
            notes,
        })
    }

    /// The rows of trials.
    pub fn sets(&self) -> &[TrialSet] {
        match &self.tests {
            Tests::Trials { sets, .. } => sets,
            _ => &[],
        }
    }

    /// Its name.
    pub fn suite(&self) -> &'static str {
        self.suite
    }

    /// A row of trials with its photos, by its set's name (with the metric's) and its key.
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
            right: found
                .metrics
                .first()
                .map_or(&[], |metric| &metric.comparisons),
        })
    }

    /// Scores a model, with embeddings that are there or are made.
    pub fn score(&self, scorer: &Scorer, store: &mut Store) -> Result<Outcome> {
        match &self.tests {
            Tests::Scenes(suite) => {
                let bar = output::progress(suite.pictures(), "scenes");
                let report = pollster::block_on(
                    suite.evaluate(scorer, &mut |pictures| bar.inc(pictures as u64)),
                )?;
                bar.finish_and_clear();
                Ok(Outcome {
                    figures: Figures::Trials(Box::new(report)),
                    rows: Vec::new(),
                    lines: Vec::new(),
                    unreadable: Vec::new(),
                })
            }
            Tests::Trials { sets, photos } => self.trials(sets, photos, scorer, store),
            Tests::Retrieval(set) => self.retrieval(set, scorer, store),
            Tests::ZeroShot { set, templates } => self.zero_shot(set, templates, scorer, store),
        }
    }

    fn trials(
        &self,
        sets: &[TrialSet],
        photos: &[Photo],
        scorer: &Scorer,
        store: &mut Store,
    ) -> Result<Outcome> {
        let embedded = store.photos(photos, scorer)?;
        let places = embedded.places.iter();
        let names: Vec<&str> = places.map(|place| photos[*place].name.as_str()).collect();
        let image_rows = row_index(&names);
        // Texts of rows without a photo aren't scored, so they aren't embedded.
        let texts = texts_of(sets, |image| image_rows.contains_key(image));
        let embedded_texts = store.texts(&texts, scorer)?;
        let (mut report, rows) = evaluate_trials(
            self.suite,
            sets,
            PairEmbeddings {
                images: &embedded.rows,
                texts: &embedded_texts,
                image_rows: &image_rows,
                text_rows: &row_index(&texts),
            },
            self.captions.as_deref(),
        )?;
        add_intervals(&mut report, &rows);
        if self.suite == SVO_PROBES {
            let text_rows = row_index(&texts);
            let similar = |trial: &Trial, photo: usize| {
                let photo = *image_rows.get(trial.images.get(photo)?)?;
                let text = *text_rows.get(trial.texts.first()?)?;
                Some(embedded.rows.dot(photo, &embedded_texts, text))
            };
            let trials = sets.iter().flat_map(|set| &set.trials);
            let pairs = trials.filter_map(|trial| Some((similar(trial, 0)?, similar(trial, 1)?)));
            report.matching = judge(&pairs.collect::<Vec<_>>());
        }
        Ok(Outcome {
            figures: Figures::Trials(Box::new(report)),
            rows,
            lines: Vec::new(),
            unreadable: embedded.unreadable,
        })
    }

    fn retrieval(&self, set: &ImageTextSet, scorer: &Scorer, store: &mut Store) -> Result<Outcome> {
        let photos: Vec<Photo> = set.samples.iter().map(|s| photo(&s.image)).collect();
        let embedded = store.photos(&photos, scorer)?;
        let (mut captions, mut image_of) = (Vec::new(), Vec::new());
        for (row, place) in embedded.places.iter().enumerate() {
            let texts = &set.samples[*place].captions;
            image_of.extend(texts.iter().map(|_| row));
            captions.extend(texts.iter().cloned());
        }
        let texts = store.texts(&captions, scorer)?;
        let ranks = ranks(&embedded.rows, &texts, &image_of)?;
        let line = |set: &str, id: &str, rank: &Rank| json!({"set": set, "id": id, "above": rank.greater, "ties": rank.ties});
        let mut lines = Vec::with_capacity(ranks.image_to_text.len() + ranks.text_to_image.len());
        for (place, rank) in embedded.places.iter().zip(&ranks.image_to_text) {
            lines.extend(
                rank.iter()
                    .map(|rank| line("image to text", &photos[*place].name, rank)),
            );
        }
        let texts = captions.iter().zip(&ranks.text_to_image);
        lines.extend(texts.map(|(text, rank)| line("text to image", text, rank)));
        let report = ranks.report();
        // Captions belong to photos.
        let mut of_photo: Vec<Vec<Rank>> = vec![Vec::new(); photos.len()];
        for (rank, image) in ranks.text_to_image.iter().zip(&image_of) {
            of_photo[*image].push(*rank);
        }
        let of_image: Vec<Vec<Rank>> = ranks
            .image_to_text
            .iter()
            .map(|rank| rank.iter().copied().collect())
            .collect();
        let intervals = Box::new(BothWays {
            image_to_text: recall_intervals(&of_image),
            text_to_image: recall_intervals(&of_photo),
        });
        Ok(Outcome {
            figures: Figures::Retrieval {
                suite: self.suite,
                images: embedded.rows.len(),
                captions: captions.len(),
                report,
                chance: chance(embedded.rows.len(), &image_of),
                intervals,
            },
            rows: Vec::new(),
            lines,
            unreadable: embedded.unreadable,
        })
    }

    fn zero_shot(
        &self,
        set: &ClassSet,
        templates: &[String],
        scorer: &Scorer,
        store: &mut Store,
    ) -> Result<Outcome> {
        let photos: Vec<Photo> = set.photos.iter().map(|(place, _)| photo(place)).collect();
        let EmbeddedPhotos {
            rows,
            places,
            unreadable,
        } = store.photos(&photos, scorer)?;
        let prompts = prompts(&set.classes, templates)?;
        let texts: Embeddings = store.texts(&prompts, scorer)?;
        let classes = class_embeddings(&texts, set.classes.len())?;
        let labels: Vec<usize> = places.iter().map(|place| set.photos[*place].1).collect();
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
                "id": photos[*place].name,
                "class": set.classes[labels[row]],
                "said": said.map(|said| &set.classes[said]),
            })
        });
        let lines = lines.collect();
        Ok(Outcome {
            figures: Figures::ZeroShot {
                interval: share_interval(&right),
                suite: self.suite,
                templates: templates.len(),
                chance: 1.0 / set.classes.len() as f64,
                report: classify(&rows, &classes, &labels)?,
                names: set.classes.clone(),
            },
            rows: Vec::new(),
            lines,
            unreadable,
        })
    }
}

/// A suite's name, and what `--data` is for it.
fn about(suite: Suite) -> (&'static str, &'static str) {
    match suite {
        Suite::Scenes => ("scenes", "nothing"),
        Suite::SugarCrepe => ("sugar-crepe", "the folder data/ of RAIVNLab/sugar-crepe"),
        Suite::SugarCrepePp => ("sugar-crepe-pp", "the folder data/ of Sri-Harsha/scpp"),
        Suite::VgRelation => ("vg-relation", "visual_genome_relation.json"),
        Suite::VgAttribution => ("vg-attribution", "visual_genome_attribution.json"),
        Suite::Order => (
            "order",
            "photos with captions, or a JSON list of objects with image and caption_options",
        ),
        Suite::SvoProbes => (SVO_PROBES, "svo_probes.csv"),
        Suite::Cola => ("cola", "COLA_multiobjects_matching_benchmark.json"),
        Suite::Winoground => ("winoground", "examples.jsonl"),
        Suite::Own => ("own", "a TOML file with [[sets]]"),
        Suite::Retrieval => ("retrieval", "photos with captions"),
        Suite::ZeroShot => ("zero-shot", "photos in folders named after their classes"),
    }
}

/// The lines of a text file, or those of a data set in a file of CLIP_benchmark's: `FILE.json#DATASET`.
fn texts(path: &Path) -> Result<Vec<String>> {
    let name = path.to_string_lossy();
    Ok(match name.rsplit_once(".json#") {
        Some((file, set)) => zero_shot::read(Path::new(&format!("{file}.json")), set)?,
        None => lines(path)?,
    })
}

/// Photos with their captions.
fn captions(path: &Path, files: &Files<'_>, cache: &Cache<'_>) -> Result<ImageTextSet> {
    Ok(if files.splits.is_empty() {
        ImageTextSet::of_file(path, files.images, cache)?
    } else {
        ImageTextSet::coco(path, files.images, files.splits)?
    })
}

fn photo(place: &ImagePlace) -> Photo {
    Photo {
        name: place.to_string(),
        place: place.clone(),
        part: None,
    }
}

/// The benchmark's photos that are in the folder.
fn present(benchmark: &Benchmark, folder: Option<&Path>, suite: &str) -> Result<Vec<Photo>> {
    let folder = folder.map(Photos::open).transpose()?;
    let mut found = Vec::new();
    for name in photos_of(&benchmark.sets) {
        let (file, part) = match benchmark.places.get(&name) {
            Some(Place::At(place)) => {
                let place = place.clone();
                found.push(Photo {
                    name,
                    place,
                    part: None,
                });
                continue;
            }
            Some(Place::Part(file, part)) => (file.as_str(), Some(*part)),
            None => (name.as_str(), None),
        };
        let Some(folder) = &folder else {
            bail!("the suite {suite} needs --images, the folder of its photos");
        };
        if let Some(path) = find(folder, file)? {
            found.push(Photo {
                place: ImagePlace::File(path),
                name,
                part,
            });
        }
    }
    Ok(found)
}

/// A photo by its file name, or by that without its ending.
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

/// Intervals of the recall at 1, 5 and 10, of photos with the ranks of their queries.
fn recall_intervals(photos: &[Vec<Rank>]) -> [Option<[f64; 2]>; 3] {
    [1, 5, 10].map(|k| {
        let is_found = |rank: &Rank| rank.greater + rank.ties < k;
        let outcomes = photos
            .iter()
            .map(|ranks| ranks.iter().map(is_found).collect());
        share_interval(&outcomes.collect::<Vec<_>>())
    })
}

/// Recall of a guess at 1, 5 and 10.
fn chance(images: usize, image_of: &[usize]) -> BothWays<[f64; 3]> {
    let captions = image_of.len();
    let mut counts = vec![0_usize; images];
    for image in image_of {
        counts[*image] += 1;
    }
    let asked: Vec<usize> = counts.into_iter().filter(|count| *count > 0).collect();
    // The chance that none of a photo's captions is among the first k, drawn one after another.
    let missed = |own: usize, k: usize| -> f64 {
        let drawn = 0..k.min(captions);
        drawn
            .map(|drawn| {
                let left = (captions - drawn) as f64;
                ((captions - own) as f64 - drawn as f64).max(0.0) / left
            })
            .product()
    };
    let to_text = |k: usize| {
        let found: f64 = asked.iter().map(|own| 1.0 - missed(*own, k)).sum();
        found / asked.len().max(1) as f64
    };
    let to_image = |k: usize| (k as f64 / images.max(1) as f64).min(1.0);
    BothWays {
        image_to_text: [1, 5, 10].map(to_text),
        text_to_image: [1, 5, 10].map(to_image),
    }
}
