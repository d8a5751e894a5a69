//! The style `shuffle`: the same words in another order.
//!
//! ARO's four perturbations (Yuksekgonul et al. 2023; mertyg/vision-language-models-are-bows:dataset_zoo/perturbations.py) and
//! FSC-CLIP's of bigrams (Oh et al. 2024). Punctuation and capitals stay in place.

use std::ops::Range;

use clove_random::Random;

use crate::phrases::Analysis;
use crate::splice::{Edit, key, moved, splice};
use crate::{Kind, Negative};

/// Every perturbation.
pub const ALL: [Kind; 5] = [
    Kind::ShuffleNounsAndAdjectives,
    Kind::ShuffleAllButNounsAndAdjectives,
    Kind::ShuffleWithinTrigrams,
    Kind::ShuffleTrigrams,
    Kind::ShuffleBigrams,
];

/// Attempts for each perturbation: short captions have few different orders.
const TRIES: usize = 8;

/// Most words of a shuffled text.
const MOST_WORDS: usize = 2_048;

/// Negatives of these kinds, one each, in a random order.
pub fn offers(analysis: &Analysis<'_>, random: &mut Random, kinds: &[Kind]) -> Vec<Negative> {
    let words = words(analysis);
    if words.len() < 2 || words.len() > MOST_WORDS {
        return Vec::new();
    }
    let mut kinds = kinds.to_vec();
    random.shuffle(&mut kinds);
    let said = key(analysis.caption);
    kinds
        .into_iter()
        .filter_map(|kind| {
            (0..TRIES).find_map(|_| {
                let order = order(analysis, &words, kind, random);
                shuffled(analysis, &words, &order, kind, &said)
            })
        })
        .collect()
}

/// Words with their clitics, as ranges of tokens.
fn words(analysis: &Analysis<'_>) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::with_capacity(analysis.tokens.len());
    for (at, token) in analysis.tokens.iter().enumerate() {
        if !token.word {
            continue;
        }
        let joined = at > 0
            && analysis.tokens[at - 1].end == token.start
            && (token.lower.starts_with(['\'', '\u{2019}']) || token.lower.starts_with("n't"));
        match words.last_mut() {
            Some(last) if joined && last.end == at => last.end = at + 1,
            _ => words.push(at..at + 1),
        }
    }
    words
}

/// The word for each place.
fn order(
    analysis: &Analysis<'_>,
    words: &[Range<usize>],
    kind: Kind,
    random: &mut Random,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..words.len()).collect();
    let names = |at: &usize| {
        let tag = analysis.tags[words[*at].start];
        tag.is_noun() || tag.is_adjective()
    };
    match kind {
        Kind::ShuffleNounsAndAdjectives | Kind::ShuffleAllButNounsAndAdjectives => {
            let wanted = kind == Kind::ShuffleNounsAndAdjectives;
            let places: Vec<usize> =
                order.iter().copied().filter(|at| names(at) == wanted).collect();
            let mut moved = places.clone();
            random.shuffle(&mut moved);
            for (place, word) in places.into_iter().zip(moved) {
                order[place] = word;
            }
        }
        Kind::ShuffleWithinTrigrams => {
            for group in order.chunks_mut(3) {
                random.shuffle(group);
            }
        }
        _ => {
            let length = if kind == Kind::ShuffleTrigrams { 3 } else { 2 };
            let mut groups: Vec<Vec<usize>> = order.chunks(length).map(<[usize]>::to_vec).collect();
            random.shuffle(&mut groups);
            order = groups.concat();
        }
    }
    order
}

fn shuffled(
    analysis: &Analysis<'_>,
    words: &[Range<usize>],
    order: &[usize],
    kind: Kind,
    said: &str,
) -> Option<Negative> {
    let text_of = |word: usize| moved(analysis.caption, &analysis.tokens, &words[word]);
    let edits: Vec<Edit> = order
        .iter()
        .enumerate()
        .filter(|(place, word)| place != *word)
        .map(|(place, word)| Edit { tokens: words[place].clone(), text: text_of(*word) })
        .collect();
    if edits.is_empty() {
        return None;
    }
    let text = splice(analysis.caption, &analysis.tokens, &edits)?;
    if key(&text) == said {
        return None;
    }
    let join =
        |words: &mut dyn Iterator<Item = usize>| words.map(text_of).collect::<Vec<_>>().join(" ");
    Some(Negative {
        text,
        kind,
        from: join(&mut (0..words.len())),
        to: join(&mut order.iter().copied()),
    })
}
