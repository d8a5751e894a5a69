//! The two tests on scenes, for any CLIP: composition by twins, and recognition of shapes.

use clove_scenes::figures::Measured;
use clove_scenes::suite::{Specimen, Twins, common_specimen, prompts, specimen, twins};
use clove_scenes::{Kind, Pool, Scene, Shape, Split, Wording, caption, draw};

use crate::data::pixels;
use clove::evaluate::{
    Embeddings, Pair, PairEmbeddings, Report, RowsBySubset, Subset, TrainingCaption,
    ZeroShotReport, add_intervals, class_embeddings, classify, distinct_texts, evaluate_pairs,
    row_index,
};
use clove::score::{ScoreError, Scorer};

/// The sizes of the tests. Each pair of twins is two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Pairs of twins per kind.
    pub twins_per_kind: usize,
    /// Pictures of classes absent from fine-tuning.
    pub specimens: usize,
    /// Pictures of classes in fine-tuning, for [`SceneSuite::measure`] only.
    pub common: usize,
}

impl Sizes {
    /// The test split: one standard error is at most 0.7 points.
    pub const TEST: Self = Self { twins_per_kind: 250, specimens: 5_000, common: 0 };
    /// The validation split: as much recognition as in the test split, because the choice of alpha limits its loss.
    pub const VALIDATION: Self = Self { twins_per_kind: 100, specimens: 5_000, common: 0 };
    /// The part of the validation split for learning curves.
    pub const WATCHED: Self = Self { twins_per_kind: 100, specimens: 1_000, common: 0 };
    /// The part of the validation split for learning curves in a browser, on one core.
    pub const GLANCED: Self = Self { twins_per_kind: 50, specimens: 200, common: 240 };
    /// The part of the test split for results in a browser.
    pub const REPORTED: Self = Self { twins_per_kind: 150, specimens: 1_000, common: 600 };
    /// The part of the validation split for the choice of alpha in a browser, with as much recognition as [`Self::REPORTED`].
    pub const SWEPT: Self = Self { twins_per_kind: 60, specimens: 1_000, common: 0 };
}

/// The seed of the tests: every run is measured on the same pictures.
const SUITE_SEED: u64 = 0;

/// Training captions of the text-only n-gram model.
const NGRAM_CAPTIONS: u64 = 5_000;

/// The benchmark's name.
const SCENES: &str = "scenes";

/// Pictures per batch.
const PICTURES_PER_BATCH: usize = 128;

/// The tests of a split.
#[derive(Debug)]
pub struct SceneSuite {
    twins: Vec<Twins>,
    specimens: Vec<Specimen>,
    common: Vec<Specimen>,
    subsets: Vec<Subset>,
}

impl SceneSuite {
    /// The tests of a split, with all kinds.
    pub fn new(split: Split, sizes: Sizes) -> Self {
        Self::of_kinds(&Kind::ALL, split, sizes)
    }

    /// The tests of a split, with these kinds.
    pub fn of_kinds(kinds: &[Kind], split: Split, sizes: Sizes) -> Self {
        let (mut all, mut subsets) = (Vec::new(), Vec::new());
        for &kind in kinds {
            let mut rows = Vec::with_capacity(2 * sizes.twins_per_kind);
            for index in 0..sizes.twins_per_kind {
                let pair = twins(kind, split, SUITE_SEED, index as u64);
                for side in 0..2 {
                    rows.push(Pair {
                        id: image_name(index, side),
                        image: image_name(all.len(), side),
                        caption: pair.captions[side].clone(),
                        negative: pair.captions[1 - side].clone(),
                    });
                }
                all.push(pair);
            }
            subsets.push(Subset { name: kind.name().to_owned(), rows });
        }
        let drawn = |count: usize, of: fn(Split, u64, u64) -> Specimen| {
            (0..count as u64).map(|index| of(split, SUITE_SEED, index)).collect()
        };
        Self {
            twins: all,
            specimens: drawn(sizes.specimens, specimen),
            common: drawn(sizes.common, common_specimen),
            subsets,
        }
    }

    /// The twins of the test of composition.
    pub fn twins(&self) -> &[Twins] {
        &self.twins
    }

    /// The number of pictures.
    pub fn pictures(&self) -> usize {
        2 * self.twins.len() + self.specimens.len() + self.common.len()
    }

    /// Scores a model, with confidence intervals and text-only baselines. `progress` receives the pictures of each batch.
    ///
    /// # Errors
    /// If the device fails, or an embedding isn't finite.
    pub async fn evaluate(
        &self,
        scorer: &Scorer,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Report, ScoreError> {
        let captions = training_captions();
        let (mut report, rows) =
            compose(SCENES, scorer, &self.twins, &self.subsets, progress, Some(&captions)).await?;
        add_intervals(&mut report, &rows);
        report.recognition = recognise(scorer, &self.specimens, Shape::rare(), progress).await?;
        Ok(report)
    }

    /// Scores a model, without intervals and baselines. `progress` receives the pictures of each batch.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub async fn measure(
        &self,
        scorer: &Scorer,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Measured, ScoreError> {
        let (report, _) =
            compose(SCENES, scorer, &self.twins, &self.subsets, progress, None).await?;
        let rare = recognise(scorer, &self.specimens, Shape::rare(), progress).await?;
        let common = recognise(scorer, &self.common, Shape::common(), progress).await?;
        let top1 = |found: Option<ZeroShotReport>| found.and_then(|found| found.top1);
        Ok(Measured {
            composition: report.macro_mean,
            kinds: report
                .subsets
                .into_iter()
                .filter_map(|subset| Some((subset.name, subset.accuracy?)))
                .collect(),
            unseen: top1(rare),
            seen: top1(common),
        })
    }
}

/// Scores subsets whose rows show the pictures of `twins`, named by [`image_name`]: the report, and the outcome of each row.
/// `captions` train the text-only n-gram model.
pub(super) async fn compose(
    benchmark: &str,
    scorer: &Scorer,
    twins: &[Twins],
    subsets: &[Subset],
    progress: &mut dyn FnMut(usize),
    captions: Option<&[TrainingCaption]>,
) -> Result<(Report, RowsBySubset), ScoreError> {
    let texts = distinct_texts(subsets);
    let embedded = scorer.embed_texts(&texts, &mut |_| {}).await?;
    let scenes: Vec<(&Scene, &clove_scenes::Random)> =
        twins.iter().flat_map(|pair| pair.scenes.iter().zip(&pair.drawing)).collect();
    let names: Vec<String> =
        (0..scenes.len()).map(|place| image_name(place / 2, place % 2)).collect();
    let images = embed_scenes(scorer, &scenes, progress).await?;
    let embeddings = PairEmbeddings {
        images: &images,
        texts: &embedded,
        image_rows: &row_index(&names),
        text_rows: &row_index(&texts),
    };
    Ok(evaluate_pairs(benchmark, subsets, embeddings, captions)?)
}

/// The captions that train the text-only n-gram model.
pub(super) fn training_captions() -> Vec<TrainingCaption> {
    (0..NGRAM_CAPTIONS)
        .map(|index| {
            let mut random = Split::FineTuning.random(SUITE_SEED, index);
            let scene = Scene::random(&mut random, Pool::Common);
            TrainingCaption::from(caption(&scene, Wording::random(&mut random)).as_str())
        })
        .collect()
}

/// Zero-shot classification by the classes' prompts; `None` without specimens.
async fn recognise(
    scorer: &Scorer,
    specimens: &[Specimen],
    shapes: &[Shape],
    progress: &mut dyn FnMut(usize),
) -> Result<Option<ZeroShotReport>, ScoreError> {
    if specimens.is_empty() {
        return Ok(None);
    }
    let texts: Vec<String> = shapes.iter().flat_map(|shape| prompts(*shape)).collect();
    let embedded = scorer.embed_texts(&texts, &mut |_| {}).await?;
    let classes = class_embeddings(&embedded, shapes.len())?;
    let scenes: Vec<(&Scene, &clove_scenes::Random)> =
        specimens.iter().map(|specimen| (&specimen.scene, &specimen.drawing)).collect();
    let labels: Vec<usize> = specimens.iter().map(|specimen| specimen.class).collect();
    let images = embed_scenes(scorer, &scenes, progress).await?;
    Ok(Some(classify(&images, &classes, &labels)?))
}

/// The name of a picture of the pair of this number.
pub(super) fn image_name(twins: usize, side: usize) -> String {
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

/// The two figures of a report of [`SceneSuite::evaluate`], from 0 to 1: composition (the mean over the kinds) and top-1 recognition.
pub fn figures(report: &Report) -> (f64, f64) {
    let recognition = report.recognition.as_ref().and_then(|found| found.top1);
    (report.macro_mean.unwrap_or(f64::NAN), recognition.unwrap_or(f64::NAN))
}
