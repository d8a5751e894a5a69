//! ARO: relations, attributes and the order of words (mertyg/vision-language-models-are-bows). Called by `clove eval`.
//!
//! Photos of Visual Genome are cropped to the box of the row. Symmetric relations are left out, and the mean is over relations; of
//! attributes it's over the pairs with 25 rows or more. The order of words is in `orders.rs`.
//!
//! Source: Yuksekgonul et al., 2023 (arXiv 2210.01936); dataset_zoo/aro_datasets.py and main_aro.py of its repository.

mod orders;

pub use self::orders::{Class, Cut, cleaned, has_options, options, order, orders_of};

use std::collections::BTreeMap;
use std::path::Path;

use clove::evaluate::{Metric, Trial, TrialSet};

use super::{Benchmark, Part, Place};
use crate::DataError;
use crate::json::{self, Row};

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
        // Boxes reach beyond their photos, and files that passed through floating point have fractions.
        let [x, y] = [row.number("bbox_x")?, row.number("bbox_y")?];
        let part = Part::of_box(x, y, row.number("bbox_w")?, row.number("bbox_h")?);
        let (width, height) = part.size();
        let name = format!("{file} {},{} {width}x{height}", part.left, part.top);
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
