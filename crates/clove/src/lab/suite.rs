//! The two tests on drawn scenes, for any CLIP: composition by twins, recognition of the rare shapes.

use std::collections::BTreeMap;

use clove_scenes::suite::{Specimen, Twins, prompts, specimen, twins};
use clove_scenes::{Kind, Pool, Scene, Shape, Split, Wording, caption, draw};

use super::data::pixels;
use crate::evaluate::{
    Embeddings, Pair, PairEmbeddings, Report, Subset, TrainingCaption, add_intervals,
    class_embeddings, classify, distinct_texts, evaluate_pairs, row_index,
};
use crate::score::{ScoreError, Scorer};

/// How many pictures the tests have. Twins count two rows each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Pairs of scenes of each kind.
    pub twins_per_kind: usize,
    /// Pictures of recognition.
    pub specimens: usize,
}

impl Sizes {
    /// Of the test split: so many that a point means something (one standard error is at most 0.7 points).
    pub const TEST: Self = Self {
        twins_per_kind: 250,
        specimens: 5_000,
    };
    /// Of the validation split: as much recognition as the test split has, since a limit is kept on it.
    pub const VALIDATION: Self = Self {
        twins_per_kind: 100,
        specimens: 5_000,
    };
    /// Of the part of the validation split that learning curves are drawn from: the test is taken many times, and decides
    /// nothing.
    pub const WATCHED: Self = Self {
        twins_per_kind: 100,
        specimens: 1_000,
    };
}

/// Where the splits of the tests begin. One number for every run, so that all are measured on the same pictures.
const SUITE_SEED: u64 = 0;

/// Captions that train the blind n-gram model.
const NGRAM_CAPTIONS: u64 = 5_000;

/// Pictures that are embedded at a time.
const PICTURES_PER_BATCH: usize = 128;

/// A split of the tests, ready to be scored by any model.
#[derive(Debug)]
pub struct SceneSuite {
    twins: Vec<Twins>,
    specimens: Vec<Specimen>,
    subsets: Vec<Subset>,
    captions: Vec<TrainingCaption>,
}

impl SceneSuite {
    /// The tests of a split.
    #[must_use]
    pub fn new(split: Split, sizes: Sizes) -> Self {
        let (mut all, mut subsets) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            let mut rows = Vec::with_capacity(2 * sizes.twins_per_kind);
            for index in 0..sizes.twins_per_kind {
                let pair = twins(kind, split, SUITE_SEED, index as u64);
                for side in 0..2 {
                    rows.push(Pair {
                        id: format!("{index}{}", ["a", "b"][side]),
                        image: image_name(all.len(), side),
                        caption: pair.captions[side].clone(),
                        negative: pair.captions[1 - side].clone(),
                    });
                }
                all.push(pair);
            }
            subsets.push(Subset {
                name: kind.name().to_owned(),
                rows,
            });
        }
        let captions = (0..NGRAM_CAPTIONS)
            .map(|index| {
                let mut random = Split::FineTuning.random(SUITE_SEED, index);
                let scene = Scene::random(&mut random, Pool::Common);
                TrainingCaption::from(caption(&scene, Wording::random(&mut random)).as_str())
            })
            .collect();
        Self {
            twins: all,
            specimens: (0..sizes.specimens)
                .map(|index| specimen(split, SUITE_SEED, index as u64))
                .collect(),
            subsets,
            captions,
        }
    }

    /// The pairs of composition.
    #[must_use]
    pub fn twins(&self) -> &[Twins] {
        &self.twins
    }

    /// Pictures in all.
    #[must_use]
    pub fn pictures(&self) -> usize {
        2 * self.twins.len() + self.specimens.len()
    }

    /// Scores a model; `progress` hears how many pictures were embedded.
    ///
    /// # Errors
    /// When the device fails, or an embedding isn't finite.
    pub async fn evaluate(
        &self,
        scorer: &Scorer,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Report, ScoreError> {
        let texts = distinct_texts(&self.subsets);
        let embedded = scorer.embed_texts(&texts, &mut |_| {}).await?;
        let scenes: Vec<(&Scene, &clove_scenes::Random)> = self
            .twins
            .iter()
            .flat_map(|pair| pair.scenes.iter().zip(&pair.drawing))
            .collect();
        let names: Vec<String> = (0..scenes.len())
            .map(|place| image_name(place / 2, place % 2))
            .collect();
        let images = embed_scenes(scorer, &scenes, progress).await?;
        let (mut report, rows) = evaluate_pairs(
            "scenes",
            &self.subsets,
            PairEmbeddings {
                images: &images,
                texts: &embedded,
                image_rows: &row_index(&names),
                text_rows: &row_index(&texts),
            },
            Some(&self.captions),
        )?;
        add_intervals(&mut report, &rows);

        let texts: Vec<String> = Shape::rare()
            .iter()
            .flat_map(|shape| prompts(*shape))
            .collect();
        let embedded = scorer.embed_texts(&texts, &mut |_| {}).await?;
        let classes = class_embeddings(&embedded, Shape::rare().len())?;
        let scenes: Vec<(&Scene, &clove_scenes::Random)> = self
            .specimens
            .iter()
            .map(|specimen| (&specimen.scene, &specimen.drawing))
            .collect();
        let labels: Vec<usize> = self
            .specimens
            .iter()
            .map(|specimen| specimen.class)
            .collect();
        let images = embed_scenes(scorer, &scenes, progress).await?;
        report.recognition = Some(classify(&images, &classes, &labels)?);
        Ok(report)
    }
}

fn image_name(twins: usize, side: usize) -> String {
    format!("{twins}{}", ["a", "b"][side])
}

async fn embed_scenes(
    scorer: &Scorer,
    scenes: &[(&Scene, &clove_scenes::Random)],
    progress: &mut dyn FnMut(usize),
) -> Result<Embeddings, ScoreError> {
    let preprocess = scorer.preprocess();
    let mut rows = Vec::with_capacity(scenes.len() * scorer.config().embed_dim);
    for batch in scenes.chunks(PICTURES_PER_BATCH) {
        let pixels = batch
            .iter()
            .flat_map(|(scene, drawing)| {
                let picture = draw(scene, preprocess.size(), &mut (*drawing).clone());
                pixels(picture, preprocess)
            })
            .collect();
        rows.extend_from_slice(scorer.embed_pixels(pixels).await?.as_slice());
        progress(batch.len());
    }
    Ok(Embeddings::from_rows(scorer.config().embed_dim, rows)?)
}

/// The two figures of a report of [`SceneSuite::evaluate`], from 0 to 1: the mean of the kinds, and top-1 accuracy.
#[must_use]
pub fn figures(report: &Report) -> (f64, f64) {
    let recognition = report.recognition.as_ref().and_then(|found| found.top1);
    (
        report.macro_mean.unwrap_or(f64::NAN),
        recognition.unwrap_or(f64::NAN),
    )
}

/// Accuracy by kind.
#[must_use]
pub fn kinds(report: &Report) -> BTreeMap<String, f64> {
    report
        .subsets
        .iter()
        .map(|subset| (subset.name.clone(), subset.accuracy.unwrap_or(f64::NAN)))
        .collect()
}
