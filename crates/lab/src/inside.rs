//! A look inside a model: similarities of a few scenes and their hard negatives, and a map of their embeddings.

use clove_scenes::figures::Map;
use clove_scenes::suite::{Twins, twins};
use clove_scenes::{Kind, Picture, Split, draw};

use crate::data::pixels;
use clove::evaluate::Embeddings;
use clove::score::{ScoreError, Scorer};

/// The kinds in turn: three that need word order, and one that doesn't.
const SHOWN: [Kind; 4] =
    [Kind::SwapAttribute, Kind::ReplaceRelation, Kind::SwapObject, Kind::ReplaceAttribute];

/// Similarities of scenes with their captions and hard negatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The scenes, at the model's size.
    pub pictures: Vec<Picture>,
    /// Their captions, followed by a hard negative of each.
    pub texts: Vec<String>,
    /// Cosines, `[pictures, texts]`, row by row.
    pub similarities: Vec<f32>,
}

/// Compares `count` scenes of the validation split, from number `first` of each kind on, with their texts.
///
/// # Errors
/// If the device fails, or an embedding isn't finite.
pub async fn matrix(scorer: &Scorer, first: u64, count: usize) -> Result<Matrix, ScoreError> {
    let all = shown(first, count);
    let (pictures, images) = embed_pictures(scorer, &all).await?;
    let texts: Vec<String> =
        (0..2).flat_map(|side| all.iter().map(move |pair| pair.captions[side].clone())).collect();
    let embedded = scorer.embed_texts(&texts, &mut |_| {}).await?;
    let similarities = (0..images.len())
        .flat_map(|image| (0..texts.len()).map(move |text| (image, text)))
        .map(|(image, text)| images.dot(image, &embedded, text))
        .collect();
    Ok(Matrix { pictures, texts, similarities })
}

/// Maps `count` scenes of the validation split and their captions.
///
/// # Errors
/// As [`matrix`].
pub async fn map(scorer: &Scorer, first: u64, count: usize) -> Result<Map, ScoreError> {
    let all = shown(first, count);
    let (_, images) = embed_pictures(scorer, &all).await?;
    let captions: Vec<String> = all.iter().map(|pair| pair.captions[0].clone()).collect();
    let texts = scorer.embed_texts(&captions, &mut |_| {}).await?;
    let rows: Vec<&[f32]> = (0..images.len())
        .map(|row| images.row(row))
        .chain((0..texts.len()).map(|row| texts.row(row)))
        .collect();
    let (places, explained) = principal_components(&rows);
    let (of_images, of_texts) = places.split_at(images.len());
    let pairs = of_images.iter().zip(of_texts).map(|(image, text)| [*image, *text]).collect();
    let difference = mean(&rows[..images.len()]).into_iter().zip(mean(&rows[images.len()..]));
    let gap: f64 = difference.map(|(image, text)| (image - text).powi(2)).sum();
    Ok(Map { pairs, captions, explained, gap: gap.sqrt() as f32 })
}

fn shown(first: u64, count: usize) -> Vec<Twins> {
    (0..count)
        .map(|at| {
            let kind = SHOWN[at % SHOWN.len()];
            twins(kind, Split::Validation, 0, first + (at / SHOWN.len()) as u64)
        })
        .collect()
}

async fn embed_pictures(
    scorer: &Scorer,
    all: &[Twins],
) -> Result<(Vec<Picture>, Embeddings), ScoreError> {
    let preprocess = scorer.preprocess();
    let pictures: Vec<Picture> = all
        .iter()
        .map(|pair| draw(&pair.scenes[0], preprocess.size(), &mut pair.drawing[0].clone()))
        .collect();
    let rows = pictures.iter().flat_map(|picture| pixels(picture.clone(), preprocess)).collect();
    let embedded = scorer.embed_pixels(rows).await?;
    Ok((pictures, embedded))
}

fn mean(rows: &[&[f32]]) -> Vec<f64> {
    let mut sum = vec![0.0; rows.first().map_or(0, |row| row.len())];
    for row in rows {
        for (sum, value) in sum.iter_mut().zip(*row) {
            *sum += f64::from(*value);
        }
    }
    let count = rows.len().max(1) as f64;
    sum.into_iter().map(|sum| sum / count).collect()
}

/// The rows' coordinates along their first two principal components, and each component's share of the variance. By power
/// iteration on the covariance, since rows are few and short.
fn principal_components(rows: &[&[f32]]) -> (Vec<[f32; 2]>, [f32; 2]) {
    const ROUNDS: usize = 200;
    let mean = mean(rows);
    let dim = mean.len();
    let mut centred: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| row.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect())
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let total: f64 = centred.iter().map(|row| dot(row, row)).sum();
    let mut places = vec![[0.0; 2]; rows.len()];
    let mut explained = [0.0; 2];
    for component in 0..2 {
        // Not along an axis, which may be orthogonal to every difference.
        let mut direction: Vec<f64> = (0..dim).map(|at| 1.0 + (at % 7) as f64 / 10.0).collect();
        for _ in 0..ROUNDS {
            let mut next = vec![0.0; dim];
            for row in &centred {
                let along = dot(row, &direction);
                for (next, value) in next.iter_mut().zip(row) {
                    *next += along * value;
                }
            }
            let length = dot(&next, &next).sqrt();
            if length == 0.0 {
                break;
            }
            direction = next.into_iter().map(|value| value / length).collect();
        }
        let length = dot(&direction, &direction).sqrt();
        for (row, place) in centred.iter_mut().zip(&mut places) {
            let along = dot(row, &direction) / length;
            place[component] = along as f32;
            explained[component] += (along * along / total.max(f64::MIN_POSITIVE)) as f32;
            for (value, part) in row.iter_mut().zip(&direction) {
                *value -= along * part / length;
            }
        }
    }
    (places, explained)
}

#[cfg(test)]
mod tests {
    use super::principal_components;

    #[test]
    fn the_first_two_components_are_found() {
        // Points of an ellipse in a plane of four dimensions, away from the origin.
        let points: Vec<[f32; 4]> = (0..60)
            .map(|at| {
                let (sine, cosine) = (at as f32 * 0.31).sin_cos();
                [5.0 + 3.0 * cosine, 1.0, -2.0 + 3.0 * cosine, 2.0 * sine]
            })
            .collect();
        let rows: Vec<&[f32]> = points.iter().map(<[f32; 4]>::as_slice).collect();
        let (places, explained) = principal_components(&rows);
        assert!((explained.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(explained[0] > explained[1] && explained[1] > 0.1);
        // Distances in the plane are preserved.
        for (a, b) in [(0, 7), (3, 40), (11, 12)] {
            let apart = |x: &[f32], y: &[f32]| {
                let squares = x.iter().zip(y).map(|(x, y)| (x - y).powi(2));
                squares.sum::<f32>().sqrt()
            };
            let (real, drawn) = (apart(rows[a], rows[b]), apart(&places[a], &places[b]));
            assert!((real - drawn).abs() < 1e-4, "{real} {drawn}");
        }
        // Equal rows have no components.
        let same = [[1.0_f32, 2.0]; 3];
        let rows: Vec<&[f32]> = same.iter().map(<[f32; 2]>::as_slice).collect();
        assert_eq!(principal_components(&rows), (vec![[0.0; 2]; 3], [0.0; 2]));
    }
}
