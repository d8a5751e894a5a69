//! The style `negclip`: two parts of the same kind are exchanged.
//!
//! NegCLIP's six pools (Yuksekgonul et al. 2023, appendix; Netflix/clove:src/training/text_negatives_data.py): noun phrases of several
//! words, verb phrases, singular and plural nouns, adverbs, adjectives. The differences: compounds stay together; adjectives of the same
//! noun aren't exchanged, nor are parts in a symmetric relation; and fluent exchanges are preferred.

use std::ops::Range;

use clove_random::Random;

use crate::phrases::{Analysis, Chunk};
use crate::swap::{Change, changed, is_symmetric};
use crate::tagger::Tag;
use crate::{Kind, Negative};

/// Most parts of a pool.
const MOST_PARTS: usize = 8;

/// Negatives in a random order that favours fluent ones.
pub fn offers(analysis: &Analysis<'_>, random: &mut Random, count: usize) -> Vec<Negative> {
    let mut changes = Vec::new();
    let mut pool =
        |parts: Vec<Range<usize>>, kind, fits: &dyn Fn(&Range<usize>, &Range<usize>) -> bool| {
            let parts = &parts[..parts.len().min(MOST_PARTS)];
            let pairs: Vec<_> = parts
                .iter()
                .enumerate()
                .flat_map(|(at, first)| parts[at + 1..].iter().map(move |second| (first, second)))
                .filter(|(first, second)| fits(first, second))
                .collect();
            let share = pairs.len() as u64;
            changes.extend(pairs.into_iter().map(|(first, second)| {
                Change::exchange(first.clone(), second.clone(), kind, share)
            }));
        };
    let related = |first: &Range<usize>, second: &Range<usize>, bare: bool| {
        let chunks = analysis.chunk_of(first).zip(analysis.chunk_of(second));
        chunks.is_none_or(|(one, other)| {
            let plain = |chunk: &Chunk| chunk.modifiers.is_empty();
            !(is_symmetric(analysis, one, other) && (!bare || (plain(one) && plain(other))))
        })
    };
    let phrases = analysis.chunks.iter().map(|chunk| chunk.tokens.clone());
    let phrases = phrases.filter(|tokens| tokens.len() > 2).collect();
    pool(phrases, Kind::SwapObject, &|first, second| related(first, second, false));
    pool(verbs(analysis), Kind::SwapRelation, &|_, _| true);
    for number in [[Tag::NN, Tag::NNP], [Tag::NNS, Tag::NNPS]] {
        let heads = analysis.chunks.iter().map(|chunk| chunk.head.clone());
        let heads = heads.filter(|head| number.contains(&analysis.tags[head.end - 1])).collect();
        pool(heads, Kind::SwapObject, &|first, second| related(first, second, true));
    }
    let tagged = |fits: fn(Tag) -> bool| -> Vec<Range<usize>> {
        let all = 0..analysis.tags.len();
        all.filter(|at| fits(analysis.tags[*at])).map(|at| at..at + 1).collect()
    };
    let apart = |first: &Range<usize>, second: &Range<usize>| {
        analysis.chunk_of(first).is_none_or(|chunk| second.start >= chunk.tokens.end)
    };
    pool(tagged(Tag::is_adverb), Kind::SwapAttribute, &apart);
    pool(tagged(Tag::is_adjective), Kind::SwapAttribute, &apart);
    changed(analysis, changes, random, count)
}

/// Runs of verbs, with the adverbs among them, outside of chunks.
fn verbs(analysis: &Analysis<'_>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < analysis.tags.len() {
        if let Some(chunk) = analysis.chunk_at(at) {
            at = chunk.tokens.end;
            continue;
        }
        let start = at;
        let mut end = at;
        while at < analysis.tags.len() && analysis.chunk_at(at).is_none() {
            let tag = analysis.tags[at];
            if tag.is_verb() || tag == Tag::MD {
                end = at + 1;
            } else if !(tag.is_adverb() && end > start) {
                break;
            }
            at += 1;
        }
        if end > start {
            runs.push(start..end);
            at = end;
        } else {
            at = start + 1;
        }
    }
    runs
}
