//! The style `swap`: objects, or their attributes, change places between two noun chunks.
//!
//! SugarCrepe's swap_obj and swap_att (Hsieh et al. 2023), made by rule. An exchange that changes nothing is left out: a dog
//! beside a cat is a cat beside a dog. Also holds what `negclip` shares: an exchange of two parts of a caption.

use std::ops::Range;

use clove_random::Random;

use crate::fluency::{BIT, Place, willingness};
use crate::lexicon::Lexicon;
use crate::phrases::{Analysis, Chunk, Link};
use crate::prepositions::GROUPS;
use crate::replace::draw;
use crate::splice::{Edit, moved, splice};
use crate::tagger::Tag;
use crate::{Kind, Negative};

/// What an exchange may cost more than the caption before it's half as welcome: more than a replaced word may, since nearly
/// every order costs more than the one that was written.
const PATIENCE: i32 = BIT;

/// Parts that are looked at in each caption: pairs grow with their square.
const MOST_PARTS: usize = 8;

/// Two parts of a caption that could change places, the first before the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub first: Range<usize>,
    pub second: Range<usize>,
    pub kind: Kind,
    /// How welcome it is beside those of other pools.
    pub share: u64,
}

/// Negatives in a random order, the more fluent the sooner.
pub fn offers(
    lexicon: &Lexicon,
    analysis: &Analysis<'_>,
    random: &mut Random,
    count: usize,
) -> Vec<Negative> {
    let mut exchanges = Vec::new();
    let chunks = &analysis.chunks[..analysis.chunks.len().min(MOST_PARTS)];
    for (at, one) in chunks.iter().enumerate() {
        for other in &chunks[at + 1..] {
            let mut add = |first: &Range<usize>, second: &Range<usize>, kind| {
                exchanges.push(Exchange {
                    first: first.clone(),
                    second: second.clone(),
                    kind,
                    share: 1,
                });
            };
            if heads_differ(analysis, one, other) {
                if same_number(analysis, one, other)
                    && !(is_symmetric(analysis, one, other) && bare(one) && bare(other))
                {
                    add(&one.head, &other.head, Kind::SwapObject);
                }
                if !is_symmetric(analysis, one, other) && !agreement_breaks(analysis, one, other) {
                    add(&one.tokens, &other.tokens, Kind::SwapObject);
                }
                for first in &one.modifiers {
                    for second in &other.modifiers {
                        if numbers_alike(analysis, *first, *second) {
                            add(
                                &(*first..first + 1),
                                &(*second..second + 1),
                                Kind::SwapAttribute,
                            );
                        }
                    }
                }
            }
        }
    }
    let mut offers = exchanged(lexicon, analysis, exchanges, random, count);
    if offers.len() < count {
        offers.extend(handed_over(analysis, chunks, random));
    }
    offers
}

/// Does the exchanges, the welcome ones sooner; a few more than `count`, since some may turn out to say the same.
pub fn exchanged(
    lexicon: &Lexicon,
    analysis: &Analysis<'_>,
    exchanges: Vec<Exchange>,
    random: &mut Random,
    count: usize,
) -> Vec<Negative> {
    let mut weighted: Vec<(Exchange, u64)> = exchanges
        .into_iter()
        .filter(|exchange| {
            exchange.first.end <= exchange.second.start
                && !analysis
                    .slice(&exchange.first)
                    .eq_ignore_ascii_case(analysis.slice(&exchange.second))
        })
        .map(|exchange| {
            let extra = extra_cost(lexicon, analysis, &exchange);
            let weight = (willingness(extra, PATIENCE) * 16 / exchange.share.max(1)).max(1);
            (exchange, weight)
        })
        .collect();
    let mut offers = Vec::new();
    while offers.len() < count.saturating_add(2) && !weighted.is_empty() {
        let total = weighted.iter().map(|(_, weight)| weight).sum();
        let at = draw(random, total, weighted.iter().map(|(_, weight)| *weight));
        let (exchange, _) = weighted.swap_remove(at);
        let place = |range: &Range<usize>, other: &Range<usize>| Edit {
            start: range.start,
            end: range.end,
            text: moved(analysis.caption, &analysis.tokens, other.start, other.end),
        };
        let edits = [
            place(&exchange.first, &exchange.second),
            place(&exchange.second, &exchange.first),
        ];
        if let Some(text) = splice(analysis.caption, &analysis.tokens, &edits) {
            offers.push(Negative {
                text,
                kind: exchange.kind,
                from: analysis.slice(&exchange.first).to_owned(),
                to: analysis.slice(&exchange.second).to_owned(),
            });
        }
    }
    offers
}

/// What the caption costs more after an exchange.
fn extra_cost(lexicon: &Lexicon, analysis: &Analysis<'_>, exchange: &Exchange) -> i32 {
    let Exchange { first, second, .. } = exchange;
    let between = first.end..second.start;
    let (before, after) = (analysis.before(first.start), analysis.after(second.end));
    let words = |ranges: [&Range<usize>; 3]| -> Vec<Place> {
        ranges
            .into_iter()
            .flat_map(|range| analysis.words(range))
            .collect()
    };
    let run = |places: &[Place]| lexicon.fluency.run(before, places, after);
    run(&words([second, &between, first])) - run(&words([first, &between, second]))
}

/// Of chunks of which only one has a modifier, that modifier before the other's head.
fn handed_over(analysis: &Analysis<'_>, chunks: &[Chunk], random: &mut Random) -> Vec<Negative> {
    let mut offers = Vec::new();
    for (at, giver) in chunks.iter().enumerate() {
        for (place, taker) in chunks.iter().enumerate() {
            let [modifier] = giver.modifiers[..] else {
                continue;
            };
            if at == place
                || !taker.modifiers.is_empty()
                || analysis.tags[modifier] == Tag::CD
                || modifier + 1 != giver.head.start
                || !heads_differ(analysis, giver, taker)
            {
                continue;
            }
            let text = |range: &Range<usize>| {
                moved(analysis.caption, &analysis.tokens, range.start, range.end)
            };
            let word = text(&(modifier..modifier + 1));
            let given = Edit {
                start: modifier,
                end: giver.head.end,
                text: text(&giver.head),
            };
            let taken = Edit {
                start: taker.head.start,
                end: taker.head.end,
                text: format!("{word} {}", text(&taker.head)),
            };
            let (from, to) = (
                analysis.slice(&(modifier..giver.head.end)).to_owned(),
                taken.text.clone(),
            );
            let edits = if at < place {
                [given, taken]
            } else {
                [taken, given]
            };
            if let Some(text) = splice(analysis.caption, &analysis.tokens, &edits) {
                offers.push(Negative {
                    text,
                    kind: Kind::SwapAttribute,
                    from,
                    to,
                });
            }
        }
    }
    random.shuffle(&mut offers);
    offers
}

fn heads_differ(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    match (one.lemma, other.lemma) {
        (Some(one), Some(other)) => one != other,
        _ => !analysis
            .slice(&one.head)
            .eq_ignore_ascii_case(analysis.slice(&other.head)),
    }
}

fn same_number(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    let plural = |chunk: &Chunk| matches!(analysis.tags[chunk.head.end - 1], Tag::NNS | Tag::NNPS);
    plural(one) == plural(other)
}

/// Numbers change places with numbers, adjectives with adjectives.
fn numbers_alike(analysis: &Analysis<'_>, one: usize, other: usize) -> bool {
    (analysis.tags[one] == Tag::CD) == (analysis.tags[other] == Tag::CD)
}

fn bare(chunk: &Chunk) -> bool {
    chunk.modifiers.is_empty() && chunk.head.start <= chunk.tokens.start + 1
}

/// Whether a verb stands in a form that asks for the number of what is exchanged.
fn agreement_breaks(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    !same_number(analysis, one, other)
        && (one.tokens.end..analysis.tokens.len())
            .any(|at| matches!(analysis.tags[at], Tag::VBZ | Tag::VBP))
}

/// Whether what stands between two chunks says the same in both directions: and, beside, who merely stand or sit there.
pub fn is_symmetric(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    let mut at = one.tokens.end;
    while at < other.tokens.start {
        if let Some(relation) = analysis.relations.iter().find(|r| r.tokens.start == at) {
            let neutral = match relation.what {
                Link::Preposition(group) => GROUPS[group].symmetric,
                Link::Verb(_) => is_posture(&analysis.tokens[at].lower),
            };
            if !neutral {
                return false;
            }
            at = relation.tokens.end;
            continue;
        }
        // Three in a row: what is between includes a chunk.
        if let Some(chunk) = analysis.chunks.iter().find(|c| c.tokens.start == at) {
            at = chunk.tokens.end;
            continue;
        }
        let token = &analysis.tokens[at];
        let neutral = matches!(analysis.tags[at], Tag::CC)
            || matches!(
                token.lower.as_str(),
                "," | "&" | "is" | "are" | "was" | "were" | "-"
            )
            || is_posture(&token.lower);
        if !neutral {
            return false;
        }
        at += 1;
    }
    true
}

fn is_posture(word: &str) -> bool {
    [
        "stand", "sit", "sat", "lying", "laying", "lies", "lays", "pos", "park", "stood", "plac",
        "seat",
    ]
    .iter()
    .any(|stem| word.starts_with(stem))
}
