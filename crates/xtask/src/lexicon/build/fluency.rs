//! The bigram model of captions, by interpolated absolute discounting (Ney, Essen and Kneser 1994).

use std::collections::BTreeMap;

use crate::shell::say;
use clove_negatives::lexicon::FluencyData;
use clove_negatives::words::tokens;

const DISCOUNT: f64 = 0.75;

/// Counts of words that captions lack: in the lexicon, and elsewhere.
const RARE: f64 = 0.2;
const UNKNOWN: f64 = 0.05;

/// Trains on captions; `words` are those of the lexicon in ascending order.
pub fn train(captions: &[String], words: &[String]) -> FluencyData {
    let mut unigrams: BTreeMap<u32, f64> = BTreeMap::new();
    let mut texts = Vec::with_capacity(captions.len());
    for caption in captions {
        let ids: Vec<Option<u32>> = tokens(caption)
            .into_iter()
            .filter(|token| token.word)
            .map(|token| words.binary_search(&token.lower).ok().map(|at| at as u32))
            .collect();
        for id in ids.iter().flatten() {
            *unigrams.entry(*id).or_default() += 1.0;
        }
        texts.push(ids);
    }
    let known: Vec<u32> = unigrams.keys().copied().collect();
    let boundary = known.len();
    let place = |id: Option<u32>| id.and_then(|id| known.binary_search(&id).ok());
    let mut pairs: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    for text in &texts {
        let mut last = Some(boundary);
        let ends = text.iter().map(|id| place(*id)).chain([Some(boundary)]);
        for here in ends {
            if let (Some(one), Some(other)) = (last, here) {
                *pairs.entry((one, other)).or_default() += 1.0;
            }
            last = here;
        }
    }
    let mut single: Vec<f64> = known.iter().map(|id| unigrams[id]).collect();
    single.push(captions.len() as f64);
    let total: f64 = single.iter().sum::<f64>() + RARE * (words.len() - known.len()) as f64 * 0.01;
    let mut seen = vec![0.0; single.len()];
    let mut kinds = vec![0.0; single.len()];
    for ((one, _), count) in &pairs {
        seen[*one] += count;
        kinds[*one] += 1.0;
    }
    let lambda = |one: usize| {
        if seen[one] > 0.0 { DISCOUNT * kinds[one] / seen[one] } else { 1.0 }
    };
    let mut data = FluencyData {
        words: differences(known.iter().map(|id| u64::from(*id))).map(|step| step as u32).collect(),
        unigrams: single.iter().map(|count| cost(count / total)).collect(),
        rare: cost(RARE / total),
        unknown: cost(UNKNOWN / total),
        backoff: (0..single.len()).map(|one| cost(lambda(one))).collect(),
        ..FluencyData::default()
    };
    let width = single.len() as u64;
    data.pairs =
        differences(pairs.keys().map(|(one, other)| *one as u64 * width + *other as u64)).collect();
    data.bigrams = pairs
        .iter()
        .map(|((one, other), count)| {
            let probability =
                (count - DISCOUNT) / seen[*one] + lambda(*one) * single[*other] / total;
            cost(probability)
        })
        .collect();
    say(format_args!("model of captions: {} words, {} pairs", known.len(), pairs.len()));
    data
}

/// Steps of 1/256 bit.
fn cost(probability: f64) -> u16 {
    (-probability.log2() * 256.0).round().clamp(0.0, f64::from(u16::MAX)) as u16
}

fn differences(ascending: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    ascending.scan(0, |last, value| {
        let step = value - *last;
        *last = value;
        Some(step)
    })
}
