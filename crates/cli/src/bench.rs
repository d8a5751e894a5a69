//! A benchmark, ready to score models: for `eval`, and for the sweep of `patch`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clove::evaluate::{
    PairEmbeddings, Report, Subset, TrainingCaption, distinct_images, distinct_texts,
    evaluate_pairs, row_index,
};
use clove::lab::{SceneSuite, Sizes};
use clove::score::Scorer;
use clove_data::{Photos, benchmarks::sugar_crepe};
use clove_scenes::Split;

use crate::args::Suite;
use crate::{output, photos};

/// An open benchmark.
pub struct Bench {
    tests: Tests,
    /// What trains the blind n-gram model; scenes have captions of their own.
    pub captions: Option<Vec<TrainingCaption>>,
}

enum Tests {
    Scenes(SceneSuite),
    Photos {
        suite: &'static str,
        subsets: Vec<Subset>,
        names: Vec<String>,
        paths: Vec<PathBuf>,
    },
}

impl Bench {
    /// Opens a suite. `split` is that of the scenes; the others are test sets throughout.
    pub fn open(
        suite: Suite,
        data: Option<&Path>,
        images: Option<&Path>,
        split: Split,
    ) -> Result<Self> {
        let tests = match suite {
            Suite::Scenes => {
                let sizes = match split {
                    Split::Test => Sizes::TEST,
                    _ => Sizes::VALIDATION,
                };
                Tests::Scenes(SceneSuite::new(split, sizes))
            }
            Suite::SugarCrepe => {
                let missing = "the suite sugar-crepe needs --data and --images";
                let subsets = sugar_crepe::read(data.context(missing)?)?;
                let folder = Photos::open(images.context(missing)?)?;
                let (names, paths) = present(&folder, &subsets)?;
                Tests::Photos {
                    suite: "sugar-crepe",
                    subsets,
                    names,
                    paths,
                }
            }
        };
        Ok(Self {
            tests,
            captions: None,
        })
    }

    /// Scores a model.
    pub fn score(&self, scorer: &Scorer) -> Result<Report> {
        match &self.tests {
            Tests::Scenes(suite) => {
                let bar = output::progress(suite.pictures(), "scenes");
                let report = pollster::block_on(
                    suite.evaluate(scorer, &mut |pictures| bar.inc(pictures as u64)),
                )?;
                bar.finish_and_clear();
                Ok(report)
            }
            Tests::Photos {
                suite,
                subsets,
                names,
                paths,
            } => {
                let images = photos::embed(paths, scorer)?;
                // Texts of rows without a photo aren't scored, so they aren't embedded.
                let texts = distinct_texts(&with_photos(subsets, names));
                let embedded = photos::embed_texts(&texts, scorer)?;
                let (report, _) = evaluate_pairs(
                    suite,
                    subsets,
                    PairEmbeddings {
                        images: &images,
                        texts: &embedded,
                        image_rows: &row_index(names),
                        text_rows: &row_index(&texts),
                    },
                    self.captions.as_deref(),
                )?;
                Ok(report)
            }
        }
    }
}

/// The benchmark's photos that are in the folder: names and paths.
fn present(folder: &Photos, subsets: &[Subset]) -> Result<(Vec<String>, Vec<PathBuf>)> {
    let (mut names, mut paths) = (Vec::new(), Vec::new());
    for name in distinct_images(subsets) {
        if let Some(path) = folder.find(&name).context("looking for the photos")? {
            paths.push(path.to_owned());
            names.push(name);
        }
    }
    Ok((names, paths))
}

/// The rows whose photo is among `names`.
fn with_photos(subsets: &[Subset], names: &[String]) -> Vec<Subset> {
    let rows = row_index(names);
    subsets
        .iter()
        .map(|subset| Subset {
            name: subset.name.clone(),
            rows: subset
                .rows
                .iter()
                .filter(|pair| rows.contains_key(&pair.image))
                .cloned()
                .collect(),
        })
        .collect()
}
