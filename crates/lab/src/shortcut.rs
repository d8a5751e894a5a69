//! The reason for twins: a text-only rule wins a benchmark whose wrong captions are shuffled words.

use clove_scenes::figures::Contest;
use clove_scenes::suite::{Twins, twins};
use clove_scenes::{Kind, Random, Split};

use crate::suite::{compose, image_name, training_captions};
use clove::evaluate::{Pair, Subset};
use clove::score::{ScoreError, Scorer};

/// Seeds the order of words in shuffled captions.
const SHUFFLE: u64 = u64::from_le_bytes(*b"shuffle ");

/// Scores a bad and a good benchmark of the same pictures and captions: shuffled words, as in ARO's order tests (Yuksekgonul et al.,
/// arXiv 2210.01936), and twins, whose texts are each right for one picture and wrong for the other.
///
/// # Errors
/// If the device fails, or an embedding isn't finite.
pub async fn shortcut(scorer: &Scorer, per_kind: usize) -> Result<Vec<Contest>, ScoreError> {
    let all: Vec<Twins> = [Kind::SwapAttribute, Kind::SwapObject]
        .into_iter()
        .flat_map(|kind| (0..per_kind as u64).map(move |index| twins(kind, Split::Test, 0, index)))
        .collect();
    let mut subsets =
        ["words shuffled", "twins"].map(|name| Subset { name: name.to_owned(), rows: Vec::new() });
    for (number, pair) in all.iter().enumerate() {
        for side in 0..2 {
            let (caption, image) = (&pair.captions[side], image_name(number, side));
            let shuffled = shuffled(caption, (number * 2 + side) as u64);
            for (subset, negative) in
                subsets.iter_mut().zip([shuffled, pair.captions[1 - side].clone()])
            {
                subset.rows.push(Pair {
                    id: image.clone(),
                    image: image.clone(),
                    caption: caption.clone(),
                    negative,
                });
            }
        }
    }
    let captions = training_captions();
    let (report, _) =
        compose("shortcut", scorer, &all, &subsets, &mut |_| {}, Some(&captions)).await?;
    let contests = subsets.iter().enumerate().map(|(at, subset)| Contest {
        name: subset.name.clone(),
        model: report.subsets[at].accuracy.unwrap_or(f64::NAN),
        blind: report
            .blind
            .iter()
            .map(|blind| {
                let figures = &blind.scored_rows.subsets[at];
                (blind.baseline.to_string(), figures.accuracy.unwrap_or(f64::NAN))
            })
            .collect(),
        example: subset
            .rows
            .first()
            .map(|row| [row.caption.clone(), row.negative.clone()])
            .unwrap_or_default(),
    });
    Ok(contests.collect())
}

/// The same words in another order.
fn shuffled(caption: &str, number: u64) -> String {
    let words: Vec<&str> = caption.split(' ').collect();
    let mut random = Random::new(&[SHUFFLE, number]);
    loop {
        let mut other = words.clone();
        random.shuffle(&mut other);
        // Captions have at least two different words.
        if other != words {
            return other.join(" ");
        }
    }
}
