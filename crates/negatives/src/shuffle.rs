//! The style `shuffle`: the same words in another order.
//!
//! ARO's four perturbations (Yuksekgonul et al. 2023; mertyg/vision-language-models-are-bows:dataset_zoo/perturbations.py) and
//! FSC-CLIP's of bigrams (Oh et al. 2024). Punctuation and capitals stay in place. Orders that keep the meaning are left out: above the
//! clouds an airplane is flying, an orange next to an apple, a brown small dog.

use std::ops::Range;

use clove_random::Random;

use crate::exchange::is_symmetric;
use crate::phrases::{Analysis, Link};
use crate::splice::{Edit, key, splice};
use crate::tagger::Tag;
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
    let phrases = phrases(analysis, &words);
    kinds
        .into_iter()
        .filter_map(|kind| {
            (0..TRIES).find_map(|_| {
                let order = order(analysis, &words, kind, random);
                if is_moved(&words, &phrases, &order) || is_exchanged(analysis, &words, &order) {
                    return None;
                }
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
        let at = words[*at].start;
        analysis.tags[at].is_noun() || analysis.is_attribute(at)
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

/// A chunk with the preposition before it, or another word: its first token, the first token of the chunk, and its end.
type Phrase = (usize, usize, usize);

/// The phrase of each word.
fn phrases(analysis: &Analysis<'_>, words: &[Range<usize>]) -> Vec<Phrase> {
    let of_chunks: Vec<Phrase> = analysis
        .chunks
        .iter()
        .map(|chunk| {
            let start = chunk.tokens.start;
            (preposition(analysis, start), start, chunk.tokens.end)
        })
        .collect();
    words
        .iter()
        .map(|word| {
            let found =
                of_chunks.iter().find(|(start, _, end)| *start <= word.start && word.end <= *end);
            found.copied().unwrap_or((word.start, word.start, word.end))
        })
        .collect()
}

/// Whether an order only moves phrases with a preposition, and adjectives before their noun: above the clouds an airplane is flying.
fn is_moved(words: &[Range<usize>], phrases: &[Phrase], order: &[usize]) -> bool {
    // The order of the phrases; one that is torn apart is there twice.
    let mut places: Vec<usize> = order.to_vec();
    places.dedup_by_key(|word| phrases[*word]);
    let mut starts: Vec<usize> = places.iter().map(|word| phrases[*word].0).collect();
    let others: Vec<usize> = places
        .iter()
        .map(|word| phrases[*word])
        .filter(|(start, chunk, _)| start == chunk)
        .map(|(start, ..)| start)
        .collect();
    starts.sort_unstable();
    let torn = starts.windows(2).any(|pair| pair[0] == pair[1]);
    !torn
        && others.is_sorted()
        && order.windows(2).all(|pair| {
            let (one, other) = (&words[pair[0]], &words[pair[1]]);
            let (phrase, chunk, end) = phrases[pair[0]];
            // Within a phrase the preposition comes first, and the noun last.
            phrases[pair[1]] != (phrase, chunk, end)
                || (one.end != end
                    && (one.start >= chunk || one.end == other.start)
                    && other.start >= chunk.min(one.start))
        })
}

/// The start of the preposition before a chunk, or of the chunk.
fn preposition(analysis: &Analysis<'_>, chunk: usize) -> usize {
    let relation = analysis.relations.iter().find(|relation| {
        relation.tokens.end == chunk && matches!(relation.what, Link::Preposition(_))
    });
    let single = chunk.checked_sub(1).filter(|at| matches!(analysis.tags[*at], Tag::IN | Tag::TO));
    relation.map(|relation| relation.tokens.start).or(single).unwrap_or(chunk)
}

/// Whether an order only exchanges chunks whose exchange means the same: an orange next to an apple.
fn is_exchanged(analysis: &Analysis<'_>, words: &[Range<usize>], order: &[usize]) -> bool {
    let content = |places: &Range<usize>, word_at: &dyn Fn(usize) -> usize| {
        let inside = (0..words.len())
            .filter(|place| places.start <= words[*place].start && words[*place].end <= places.end);
        let mut texts: Vec<&str> = inside
            .map(|place| analysis.word(words[word_at(place)].start))
            .filter(|word| !matches!(*word, "a" | "an" | "the"))
            .collect();
        texts.sort_unstable();
        texts.join(" ")
    };
    let stays = |place: usize| order[place] == place || analysis.chunk_of(&words[place]).is_some();
    if !(0..words.len()).all(stays) {
        return false;
    }
    analysis.chunks.iter().all(|chunk| {
        let now = content(&chunk.tokens, &|place| order[place]);
        if now == content(&chunk.tokens, &|place| place) {
            return true;
        }
        analysis.chunks.iter().any(|other| {
            let (one, two) = if chunk.tokens.start < other.tokens.start {
                (chunk, other)
            } else {
                (other, chunk)
            };
            content(&other.tokens, &|place| place) == now && is_symmetric(analysis, one, two)
        })
    })
}

fn shuffled(
    analysis: &Analysis<'_>,
    words: &[Range<usize>],
    order: &[usize],
    kind: Kind,
    said: &str,
) -> Option<Negative> {
    let text_of = |word: usize| analysis.moved(&words[word]);
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
