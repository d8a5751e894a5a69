//! ARO: relations, attributes and the order of words (mertyg/vision-language-models-are-bows). Called by `clove eval` with the suites
//! `vg-relation`, `vg-attribution` and `order`.
//!
//! Photos of Visual Genome are cropped to the box that a row names. Relations that say the same both ways are left out, and the mean is
//! over relations; of attributes it's over the pairs of which there are 25 rows or more. Of word orders the caption is the first of
//! five options; options that equal it can't be told from it and are left out of the comparison, as CLoVe's evaluation does
//! (Netflix/clove: zero_shot.py), where ARO's own takes the first of equals for right.
//!
//! Source: Yuksekgonul et al., 2023 (arXiv 2210.01936); dataset_zoo/aro_datasets.py and main_aro.py of its repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clove::evaluate::{Metric, Trial, TrialSet};
use clove::preprocess::CropBox;
use clove_negatives::{Generator, Kind, Request, Style};
use serde_json::{Value, json};

use super::{Benchmark, Place, Row};
use crate::DataError;
use crate::json::{self, UniqueMap};
use crate::sets::ImageTextSet;

/// Rows of a pair of attributes that counts.
const FEWEST: usize = 25;

/// Relations that aren't asked about, for they hold both ways or nearly so.
const SYMMETRIC: &str = include_str!("aro_symmetric.txt");

/// Reads `visual_genome_relation.json`: a list of objects with `image_path`, `bbox_x`, `bbox_y`, `bbox_w`, `bbox_h`, `true_caption`,
/// `false_caption` and `relation_name`.
///
/// # Errors
/// Errors in the file name it, the row and the field; [`DataError::Format`] where no row counts.
pub fn relations(path: &Path) -> Result<Benchmark, DataError> {
    let is_symmetric = |name: &str| SYMMETRIC.lines().any(|symmetric| symmetric == name);
    let named = |row: &Row<'_>| row.string("relation_name");
    genome(path, named, |name, _| is_symmetric(name).then_some("whose relation holds both ways"))
}

/// Reads `visual_genome_attribution.json`, which has `attributes`, a list of two, in place of the relation.
///
/// # Errors
/// As [`relations`].
pub fn attributes(path: &Path) -> Result<Benchmark, DataError> {
    let named = |row: &Row<'_>| {
        let attributes = row.strings("attributes")?;
        match &attributes[..] {
            [first, second] => Ok(format!("{first}_{second}")),
            _ => Err(row.wrong("attributes", "must be a list of two")),
        }
    };
    genome(path, named, |_, rows| {
        (rows < FEWEST).then_some("of attributes with fewer than 25 rows")
    })
}

fn genome(
    path: &Path,
    named: impl Fn(&Row<'_>) -> Result<String, DataError>,
    left_out: impl Fn(&str, usize) -> Option<&'static str>,
) -> Result<Benchmark, DataError> {
    let rows: Vec<UniqueMap<Value>> = json::read(path)?;
    let mut benchmark = Benchmark::default();
    let mut sets: BTreeMap<String, Vec<Trial>> = BTreeMap::new();
    for (number, fields) in rows.iter().enumerate() {
        let row = Row { path, name: number.to_string(), fields };
        let file = row.string("image_path")?;
        let part = CropBox {
            x: row.count("bbox_x")?,
            y: row.count("bbox_y")?,
            width: row.count("bbox_w")?,
            height: row.count("bbox_h")?,
        };
        let name = format!("{file} {},{} {}x{}", part.x, part.y, part.width, part.height);
        sets.entry(named(&row)?).or_default().push(Trial {
            id: row.name.clone(),
            images: vec![name.clone()],
            texts: vec![row.string("true_caption")?, row.string("false_caption")?],
        });
        benchmark.places.insert(name, Place::Part(file, part));
    }
    let mut dropped: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, trials) in sets {
        if let Some(why) = left_out(&name, trials.len()) {
            *dropped.entry(why).or_default() += trials.len();
            continue;
        }
        benchmark.sets.push(TrialSet { name, metrics: vec![Metric::first_of("", 1)], trials });
    }
    let notes = dropped.into_iter();
    benchmark.notes = notes
        .map(|(why, rows)| format!("{rows} rows {why} don't count, by the benchmark's protocol"))
        .collect();
    if benchmark.sets.is_empty() {
        return Err(DataError::Format {
            path: path.to_owned(),
            problem: format!("none of its {} rows counts", rows.len()),
        });
    }
    Ok(benchmark)
}

/// Words of a caption that count.
const MOST_WORDS: usize = 30;

/// The captions of a set and their words in other orders, drawn anew: nouns and adjectives, all else, within groups of three, and the
/// groups. Captions are in lower case and without punctuation, and cut at 30 words, as ARO's are. The same seed gives the same orders;
/// parts of speech are told by another tagger than ARO's. An order that equals its caption isn't compared.
///
/// # Errors
/// [`DataError::Format`] where no caption has another order.
pub fn orders_of(
    set: &ImageTextSet,
    generator: &Generator,
    seed: u64,
) -> Result<Benchmark, DataError> {
    let mut benchmark = Benchmark::default();
    let (mut trials, mut most, mut without) = (Vec::new(), 1, 0_usize);
    let captions = set.samples.iter().flat_map(|sample| {
        let captions = sample.captions.iter();
        captions.map(move |caption| (&sample.image, caption))
    });
    for (number, (image, caption)) in (0_u64..).zip(captions) {
        let made = generator.negatives(&Request {
            caption,
            others: &[],
            style: Style::Shuffle,
            count: 8,
            seed,
            epoch: 0,
            index: number,
        });
        let said = cleaned(caption);
        let of_aro = made.negatives.iter().filter(|made| made.kind != Kind::ShuffleBigrams);
        let mut others: Vec<String> = of_aro.map(|made| cleaned(&made.text)).collect();
        others.retain(|other| *other != said);
        if others.is_empty() {
            without += 1;
            continue;
        }
        most = most.max(others.len());
        let name = image.to_string();
        trials.push(Trial {
            id: number.to_string(),
            images: vec![name.clone()],
            texts: [vec![said], others].concat(),
        });
        benchmark.places.insert(name, Place::At(image.clone()));
    }
    if trials.is_empty() {
        return Err(DataError::Format {
            path: PathBuf::new(),
            problem: "no caption has its words in another order".to_owned(),
        });
    }
    benchmark.notes.push(format!("orders drawn with seed {seed}"));
    if without > 0 {
        let note = format!("{without} captions have no other order, and aren't asked about");
        benchmark.notes.push(note);
    }
    benchmark.sets.push(TrialSet {
        name: "order".to_owned(),
        metrics: vec![Metric::first_of("", most)],
        trials,
    });
    Ok(benchmark)
}

/// A caption as ARO compares them. Source: dataset_zoo/retrieval.py of its repository (`pre_caption`).
fn cleaned(caption: &str) -> String {
    let plain: String = caption
        .to_lowercase()
        .chars()
        .map(|letter| if ".!\"()*#:;~".contains(letter) { ' ' } else { letter })
        .collect();
    let words: Vec<&str> = plain.split_whitespace().take(MOST_WORDS).collect();
    words.join(" ")
}

/// Whether a file has [`order`]'s options.
#[must_use]
pub fn has_options(path: &Path) -> bool {
    let rows: Result<Vec<UniqueMap<Value>>, DataError> = json::read(path);
    rows.is_ok_and(|rows| {
        let first = rows.first();
        first.is_some_and(|row| row.0.iter().any(|(key, _)| key == "caption_options"))
    })
}

/// Options as [`order`] reads them.
#[must_use]
pub fn options(sets: &[TrialSet]) -> Value {
    let trials = sets.iter().flat_map(|set| &set.trials);
    let row =
        |trial: &Trial| json!({"image": trial.images.first(), "caption_options": trial.texts});
    trials.map(row).collect()
}

/// Reads a file of captions and their words in other orders: a list of objects with `image` and `caption_options`, of which the first
/// is the caption. The orders are random: those that were drawn once are kept in the file.
///
/// # Errors
/// Errors in the file name it, the row and the field.
pub fn order(path: &Path) -> Result<Benchmark, DataError> {
    let rows: Vec<UniqueMap<Value>> = json::read(path)?;
    let (mut trials, mut equal, mut most) = (Vec::new(), 0_usize, 1);
    for (number, fields) in rows.iter().enumerate() {
        let row = Row { path, name: number.to_string(), fields };
        let options = row.strings("caption_options")?;
        let [caption, others @ ..] = &options[..] else {
            return Err(row.wrong("caption_options", "must be a list of at least two"));
        };
        let others: Vec<String> = others.iter().filter(|text| *text != caption).cloned().collect();
        equal += usize::from(others.len() + 1 < options.len());
        most = most.max(others.len());
        trials.push(Trial {
            id: row.name.clone(),
            images: vec![row.string("image")?],
            texts: [vec![caption.clone()], others].concat(),
        });
    }
    let note = format!("{equal} rows have options that equal their caption; those aren't compared");
    Ok(Benchmark {
        sets: vec![TrialSet {
            name: "order".to_owned(),
            metrics: vec![Metric::first_of("", most)],
            trials,
        }],
        notes: if equal > 0 { vec![note] } else { Vec::new() },
        ..Benchmark::default()
    })
}
