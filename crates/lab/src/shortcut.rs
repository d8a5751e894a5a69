//! Why twins: a benchmark whose wrong captions are made by shuffling words is won by a rule that never looks at a picture.

use clove_scenes::suite::{Twins, twins};
use clove_scenes::{Kind, Random, Split};

use crate::suite::{embed_scenes, training_captions};
use clove::evaluate::{Pair, PairEmbeddings, Subset, distinct_texts, evaluate_pairs, row_index};
use clove::score::{ScoreError, Scorer};

/// Of the words' order in shuffled captions.
const SHUFFLE: u64 = u64::from_le_bytes(*b"shuffle ");

/// What a benchmark lets a blind rule do.
#[derive(Debug, Clone, PartialEq)]
pub struct Contest {
    /// How its wrong captions are made.
    pub name: String,
    /// The model's accuracy, from 0 to 1.
    pub model: f64,
    /// Each blind rule's accuracy: chance, the shorter text, the n-gram model.
    pub blind: Vec<(String, f64)>,
    /// A caption and its wrong one.
    pub example: [String; 2],
}

/// A bad benchmark and a good one of the same pictures and captions: wrong captions with their words shuffled, as ARO's order tests
/// have them (Yuksekgonul et al., arXiv 2210.01936), and twins, whose texts are each right for one picture and wrong for another.
///
/// # Errors
/// When the device fails, or an embedding isn't finite.
pub async fn shortcut(scorer: &Scorer, per_kind: usize) -> Result<Vec<Contest>, ScoreError> {
    let all: Vec<Twins> = [Kind::SwapAttribute, Kind::SwapObject]
        .into_iter()
        .flat_map(|kind| (0..per_kind as u64).map(move |index| twins(kind, Split::Test, 0, index)))
        .collect();
    let mut subsets =
        ["words shuffled", "twins"].map(|name| Subset { name: name.to_owned(), rows: Vec::new() });
    for (number, pair) in (0_u64..).zip(&all) {
        for side in 0..2 {
            let caption = &pair.captions[side];
            let wrong =
                [shuffled(caption, number * 2 + side as u64), pair.captions[1 - side].clone()];
            for (subset, negative) in subsets.iter_mut().zip(wrong) {
                subset.rows.push(Pair {
                    id: format!("{number}-{side}"),
                    image: format!("{number}-{side}"),
                    caption: caption.clone(),
                    negative,
                });
            }
        }
    }
    let scenes: Vec<_> =
        all.iter().flat_map(|pair| pair.scenes.iter().zip(&pair.drawing)).collect();
    let names: Vec<String> = subsets[0].rows.iter().map(|row| row.image.clone()).collect();
    let images = embed_scenes(scorer, &scenes, &mut |_| {}).await?;
    let texts = distinct_texts(&subsets);
    let embedded = scorer.embed_texts(&texts, &mut |_| {}).await?;
    let (report, _) = evaluate_pairs(
        "shortcut",
        &subsets,
        PairEmbeddings {
            images: &images,
            texts: &embedded,
            image_rows: &row_index(&names),
            text_rows: &row_index(&texts),
        },
        Some(&training_captions()),
    )?;
    let contests = subsets.iter().enumerate().map(|(at, subset)| {
        let example = subset.rows.first();
        Contest {
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
            example: example
                .map(|row| [row.caption.clone(), row.negative.clone()])
                .unwrap_or_default(),
        }
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
