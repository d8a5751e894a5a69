//! The model's own text tower as a blind baseline: its texts with a photo that isn't the trial's.

use super::blind::BlindReport;
use super::trials::{Comparison, Similarity, credit};
use super::{
    BlindFigures, Embeddings, EvaluateError, Metric, PairEmbeddings, Trial, TrialSet, normalise,
};
use clove_random::Random;

/// The seed of the shuffled photos.
const SEED: u64 = 20_240_225;

/// The text tower with the mean of all photos, and with shuffled photos.
pub(super) fn baselines(
    sets: &[TrialSet],
    embeddings: PairEmbeddings<'_>,
) -> Result<Vec<BlindReport>, EvaluateError> {
    let count = embeddings.images.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let mean = mean(embeddings.images)?;
    let others = others(count);
    let of_mean =
        |_: usize, text: usize| mean.as_ref().map(|mean| mean.dot(0, embeddings.texts, text));
    let of_other = |photo: usize, text: usize| {
        Some(embeddings.images.dot(others[photo], embeddings.texts, text))
    };
    let mut found = Vec::new();
    if mean.is_some() {
        found.push(report("text tower, mean photo", sets, embeddings, of_mean));
    }
    if count > 1 {
        found.push(report("text tower, other photos", sets, embeddings, of_other));
    }
    Ok(found)
}

/// The mean of the photos, if it has a direction.
fn mean(images: &Embeddings) -> Result<Option<Embeddings>, EvaluateError> {
    let mut sums = vec![0_f64; images.dim()];
    for row in 0..images.len() {
        for (sum, value) in sums.iter_mut().zip(images.row(row)) {
            *sum += f64::from(*value);
        }
    }
    let mut mean: Vec<f32> = sums.iter().map(|sum| *sum as f32).collect();
    if !normalise(&mut mean) {
        return Ok(None);
    }
    Embeddings::from_rows(images.dim(), mean).map(Some)
}

/// A permutation that gives each photo another one.
fn others(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    Random::new(&[SEED]).shuffle(&mut order);
    let mut others = vec![0; count];
    // Each photo is replaced by the next one in a cycle of all.
    for (place, photo) in order.iter().enumerate() {
        others[*photo] = order[(place + 1) % count];
    }
    others
}

fn report(
    name: &'static str,
    sets: &[TrialSet],
    embeddings: PairEmbeddings<'_>,
    similar: impl Fn(usize, usize) -> Option<f32>,
) -> BlindReport {
    let photo_row = |image: &String| embeddings.image_rows.get(image).copied();
    let whole = |trial: &Trial| trial.images.iter().all(|image| photo_row(image).is_some());
    let credit_of = |metric: &Metric, trial: &Trial| {
        let comparisons: Vec<Comparison> = metric.of(trial).collect();
        let value = |similarity| {
            let Similarity::Photo(photo, text) = similarity else {
                return 0.0;
            };
            let photo = trial.images.get(photo).and_then(photo_row);
            let text = trial.texts.get(text);
            let text = text.and_then(|text| embeddings.text_rows.get(text).copied());
            let found = photo.zip(text).and_then(|(photo, text)| similar(photo, text));
            found.map_or(0.0, f64::from)
        };
        credit(&comparisons, value, 0.0)
    };
    let scored_rows = BlindFigures::over(sets, whole, false, credit_of);
    BlindReport {
        baseline: name.into(),
        // Trials without photos have no embeddings of texts.
        all_rows: scored_rows.clone(),
        scored_rows,
    }
}
