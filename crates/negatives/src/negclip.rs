//! The style `negclip`: two parts of the same kind are exchanged.
//!
//! NegCLIP's six pools (Yuksekgonul et al. 2023, appendix; Netflix/clove:src/training/text_negatives_data.py): noun phrases of several
//! words, verb phrases, singular and plural nouns, adverbs, adjectives. The differences: compounds stay together; parts are exchanged only
//! where the caption stays grammatical and becomes false (`exchange`); and fluent exchanges are preferred.

use std::ops::Range;

use clove_random::Random;

use crate::phrases::{Analysis, Chunk, Link};
use crate::swap::{Change, changed};
use crate::tagger::Tag;
use crate::{Kind, Negative, exchange};

/// Most parts of a pool.
const MOST_PARTS: usize = 8;

/// Negatives in a random order that favours fluent ones.
pub fn offers(analysis: &Analysis<'_>, random: &mut Random, count: usize) -> Vec<Negative> {
    let mut changes = Vec::new();
    let mut pool = |exchanges: Vec<[Range<usize>; 2]>, kind| {
        let share = exchanges.len() as u64;
        changes.extend(
            exchanges
                .into_iter()
                .map(|[first, second]| Change::exchange(first, second, kind, share)),
        );
    };
    let chunks = |fits: &dyn Fn(&Chunk) -> bool| -> Vec<&Chunk> {
        analysis.chunks.iter().filter(|chunk| fits(chunk)).take(MOST_PARTS).collect()
    };
    let long = chunks(&|chunk| chunk.tokens.len() > 1);
    pool(pairs(&long, |one, other| exchange::phrases(analysis, one, other)), Kind::SwapObject);
    pool(pairs(&verbs(analysis), |one, other| actions(analysis, *one, *other)), Kind::SwapRelation);
    for plural in [false, true] {
        let nouns = chunks(&|chunk| analysis.is_plural(chunk) == plural);
        pool(pairs(&nouns, |one, other| exchange::heads(analysis, one, other)), Kind::SwapObject);
    }
    let tagged = |fits: fn(Tag) -> bool| -> Vec<usize> {
        let all = 0..analysis.tags.len();
        all.filter(|at| fits(analysis.tags[*at])).take(MOST_PARTS).collect()
    };
    let single = |at: usize| at..at + 1;
    let adverbs = |one: &usize, other: &usize| {
        manners(analysis, *one, *other).then(|| [single(*one), single(*other)])
    };
    pool(pairs(&tagged(Tag::is_adverb), adverbs), Kind::SwapAttribute);
    let adjectives = |one: &usize, other: &usize| {
        exchange::attributes(analysis, *one, *other).then(|| [single(*one), single(*other)])
    };
    pool(pairs(&tagged(Tag::is_adjective), adjectives), Kind::SwapAttribute);
    changed(analysis, changes, random, count)
}

/// The exchanges of all pairs of parts.
fn pairs<T>(
    parts: &[T],
    exchange: impl Fn(&T, &T) -> Option<[Range<usize>; 2]>,
) -> Vec<[Range<usize>; 2]> {
    let rest = |at: usize| parts[at + 1..].iter();
    let pairs =
        parts.iter().enumerate().flat_map(|(at, one)| rest(at).map(move |other| (one, other)));
    pairs.filter_map(|(one, other)| exchange(one, other)).collect()
}

/// Full verbs outside of chunks.
fn verbs(analysis: &Analysis<'_>) -> Vec<usize> {
    let verbs = analysis.relations.iter().filter(|relation| matches!(relation.what, Link::Verb(_)));
    verbs.map(|relation| relation.tokens.start).take(MOST_PARTS).collect()
}

/// Two verbs that can change places: of the same form, both with an object or both without.
fn actions(analysis: &Analysis<'_>, one: usize, other: usize) -> Option<[Range<usize>; 2]> {
    let transitive = |at: usize| analysis.chunk_at(at + 1).is_some();
    // Intransitive ones must be followed by the same kind of word: looking at, sitting on.
    let next =
        |at: usize| analysis.relations.iter().any(|relation| relation.tokens.start == at + 1);
    let fits = analysis.tags[one] == analysis.tags[other]
        && analysis.tags[one] != Tag::VBN
        && transitive(one) == transitive(other)
        && next(one) == next(other)
        // Sitting and standing in one place are no different for most things.
        && !analysis.word(one).eq_ignore_ascii_case(analysis.word(other));
    fits.then(|| [one..one + 1, other..other + 1])
}

/// Two adverbs that can change places: both before the same part of speech.
fn manners(analysis: &Analysis<'_>, one: usize, other: usize) -> bool {
    let next = |at: usize| analysis.tags.get(at + 1);
    other > one + 1
        && analysis.chunk_of(&(one..one + 1)).is_none_or(|chunk| other >= chunk.tokens.end)
        && next(one) == next(other)
        && next(one).is_some_and(|tag| tag.is_adjective() || tag.is_verb())
        && analysis.tags[one] == analysis.tags[other]
}
