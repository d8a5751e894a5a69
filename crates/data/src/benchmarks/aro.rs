//! ARO: relations, attributes and the order of words (mertyg/vision-language-models-are-bows). Called by `clove eval`.
//!
//! Photos of Visual Genome are cropped to the box of the row. Symmetric relations are left out, and the mean is over relations; of
//! attributes it's over the pairs with 25 rows or more. Of word orders the caption is the first of five options; options that equal it
//! are left out, as in CLoVe's evaluation (Netflix/clove: zero_shot.py); ARO's counts the first of equals as correct.
//!
//! Source: Yuksekgonul et al., 2023 (arXiv 2210.01936); dataset_zoo/aro_datasets.py and main_aro.py of its repository.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use clove::evaluate::{Metric, Trial, TrialSet};
use clove::preprocess::CropBox;
use clove_negatives::{Generator, Kind, Request, Style};
use serde_json::{Value, json};

use super::{Benchmark, Place, some};
use crate::DataError;
use crate::json::{self, Row};
use crate::sets::ImageTextSet;

/// The field of a caption and its other orders.
const OPTIONS: &str = "caption_options";

/// Fewest rows of a pair of attributes that counts.
const FEWEST: usize = 25;

/// Relations that hold both ways, or nearly so, and are left out.
const SYMMETRIC: &str = include_str!("aro_symmetric.txt");

/// Reads `visual_genome_relation.json`: a list of objects with `image_path`, `bbox_x`, `bbox_y`, `bbox_w`, `bbox_h`, `true_caption`,
/// `false_caption` and `relation_name`.
///
/// # Errors
/// Errors name the file, the row and the field; [`DataError::Format`] where no row counts.
pub fn relations(path: &Path) -> Result<Benchmark, DataError> {
    let is_symmetric = |name: &str| SYMMETRIC.lines().any(|symmetric| symmetric == name);
    let named = |row: &Row<'_>| row.string("relation_name");
    genome(path, named, |name, _| is_symmetric(name).then_some("with a symmetric relation"))
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
    let rows = json::rows(path)?;
    let mut benchmark = Benchmark::default();
    let mut sets: BTreeMap<String, Vec<Trial>> = BTreeMap::new();
    for row in &rows {
        let file = row.string("image_path")?;
        let part = CropBox {
            x: row.count("bbox_x")?,
            y: row.count("bbox_y")?,
            width: row.count("bbox_w")?,
            height: row.count("bbox_h")?,
        };
        let name = format!("{file} {},{} {}x{}", part.x, part.y, part.width, part.height);
        sets.entry(named(row)?).or_default().push(Trial {
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
        .map(|(why, rows)| {
            format!("{rows} rows {why} are left out, as in the benchmark's protocol")
        })
        .collect();
    if benchmark.sets.is_empty() {
        return Err(DataError::format(path, format!("none of its {} rows is counted", rows.len())));
    }
    Ok(benchmark)
}

/// Words of a caption that count.
const MOST_WORDS: usize = 30;

/// The captions of a set, each with its words in other random orders: nouns and adjectives, all else, within groups of three, and the
/// groups. As in ARO, captions are in lower case, without punctuation, and cut at 30 words. The same seed gives the same orders; the
/// part-of-speech tagger is another than ARO's. An order that equals its caption isn't compared.
///
/// # Errors
/// [`DataError::Format`] where no caption has another order.
pub fn orders_of(
    set: &ImageTextSet,
    generator: &Generator,
    seed: u64,
) -> Result<Benchmark, DataError> {
    let mut places = HashMap::new();
    let (mut trials, mut most, mut without) = (Vec::new(), 1, 0_usize);
    let captions = set.samples.iter().flat_map(|sample| {
        let captions = sample.captions.iter();
        captions.map(move |caption| (&sample.image, caption))
    });
    for (index, (image, caption)) in (0_u64..).zip(captions) {
        let (style, count) = (Style::Shuffle, 8);
        let request = Request { caption, others: &[], style, count, seed, epoch: 0, index };
        let made = generator.negatives(&request);
        let own = cleaned(caption);
        let of_aro = made.negatives.iter().filter(|made| made.kind != Kind::ShuffleBigrams);
        let mut others: Vec<String> = of_aro.map(|made| cleaned(&made.text)).collect();
        others.retain(|other| *other != own);
        if others.is_empty() {
            without += 1;
            continue;
        }
        most = most.max(others.len());
        let name = image.to_string();
        let (images, texts) = (vec![name.clone()], [vec![own], others].concat());
        trials.push(Trial { id: index.to_string(), images, texts });
        places.insert(name, Place::At(image.clone()));
    }
    if trials.is_empty() {
        let place = set.samples.first().map_or("", |sample| sample.place.as_str());
        return Err(DataError::format(place, "no caption has its words in another order"));
    }
    let mut notes = vec![format!("orders drawn with seed {seed}")];
    if without > 0 {
        notes.push(format!("{without} captions have no other order and are left out"));
    }
    let benchmark = Benchmark::of("order", vec![Metric::first_of("", most)], trials);
    Ok(Benchmark { places, notes, ..benchmark })
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

/// Whether a file has the options that [`order`] reads.
pub fn has_options(path: &Path) -> bool {
    let rows = json::rows(path);
    rows.is_ok_and(|rows| rows.first().is_some_and(|row| row.fields.get(OPTIONS).is_some()))
}

/// Options as [`order`] reads them.
pub fn options(sets: &[TrialSet]) -> Value {
    let trials = sets.iter().flat_map(|set| &set.trials);
    trials.map(|trial| json!({"image": trial.images.first(), OPTIONS: trial.texts})).collect()
}

/// Reads a file of captions and their words in other orders: a list of objects with `image` and `caption_options`, of which the first
/// is the caption. The orders are random; the file keeps those that were drawn once.
///
/// # Errors
/// Errors name the file, the row and the field; [`DataError::Format`] where it has no rows.
pub fn order(path: &Path) -> Result<Benchmark, DataError> {
    let (mut trials, mut equal, mut most) = (Vec::new(), 0_usize, 1);
    for row in some(path, json::rows(path)?)? {
        let options = row.strings(OPTIONS)?;
        let [caption, others @ ..] = &options[..] else {
            return Err(row.wrong(OPTIONS, "must be a list of at least two"));
        };
        let others: Vec<String> = others.iter().filter(|text| *text != caption).cloned().collect();
        equal += usize::from(others.len() + 1 < options.len());
        most = most.max(others.len());
        let (images, texts) =
            (vec![row.string("image")?], [vec![caption.clone()], others].concat());
        trials.push(Trial { id: row.name, images, texts });
    }
    let note = format!("{equal} rows have options that equal their caption; those aren't compared");
    let benchmark = Benchmark::of("order", vec![Metric::first_of("", most)], trials);
    Ok(Benchmark { notes: if equal > 0 { vec![note] } else { Vec::new() }, ..benchmark })
}
