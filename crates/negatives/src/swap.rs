//! The style `swap`: objects, or their attributes, are exchanged between two noun chunks.
//!
//! SugarCrepe's swap_obj and swap_att (Hsieh et al. 2023), made by rules. An exchange that keeps the meaning is left out: a dog
//! beside a cat is a cat beside a dog. `exchange` decides that; the exchange of two parts of a caption is shared with `negclip`.

use std::ops::Range;

use clove_random::Random;

use crate::fluency::{BIT, Place, willingness};
use crate::phrases::{Analysis, Chunk};
use crate::replace::draw;
use crate::splice::{Edit, splice};
use crate::{Kind, Negative, exchange};

/// The extra cost that halves an exchange's weight.
const PATIENCE: i32 = BIT;

/// Most chunks of a caption: the number of pairs grows with their square.
const MOST_PARTS: usize = 8;

/// A change of two parts of a caption, the first before the second: tokens, and the tokens that replace them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    first: (Range<usize>, Vec<Range<usize>>),
    second: (Range<usize>, Vec<Range<usize>>),
    kind: Kind,
    /// The size of its pool: a large pool is as likely as a small one.
    share: u64,
}

impl Change {
    /// An exchange of two parts.
    pub fn exchange(first: Range<usize>, second: Range<usize>, kind: Kind, share: u64) -> Self {
        Self {
            first: (first.clone(), vec![second.clone()]),
            second: (second, vec![first]),
            kind,
            share,
        }
    }

    /// A modifier moves before the other head.
    fn hand_over(modifier: usize, giver: &Range<usize>, taker: &Range<usize>) -> Self {
        let given = (modifier..giver.end, vec![giver.clone()]);
        let taken = (taker.clone(), vec![modifier..modifier + 1, taker.clone()]);
        let (first, second) =
            if giver.start < taker.start { (given, taken) } else { (taken, given) };
        Self { first, second, kind: Kind::SwapAttribute, share: 1 }
    }

    /// The extra cost of the changed caption.
    fn extra_cost(&self, analysis: &Analysis<'_>) -> i32 {
        let between = self.first.0.end..self.second.0.start;
        let (before, after) =
            (analysis.before(self.first.0.start), analysis.after(self.second.0.end));
        let mut places: Vec<Place> = Vec::with_capacity(16);
        let mut run = |parts: &mut dyn Iterator<Item = &Range<usize>>| {
            places.clear();
            for part in parts {
                places.extend(analysis.words(part));
            }
            analysis.lexicon.fluency.run(before, &places, after)
        };
        let (first, second) = (&self.first, &self.second);
        run(&mut first.1.iter().chain([&between]).chain(&second.1))
            - run(&mut [&first.0, &between, &second.0].into_iter())
    }

    /// The changed caption; `None` if it would be ungrammatical.
    fn make(&self, analysis: &Analysis<'_>) -> Option<Negative> {
        let edit = |(tokens, parts): &(Range<usize>, Vec<Range<usize>>)| {
            let words = parts.iter().map(|part| analysis.moved(part));
            Edit { tokens: tokens.clone(), text: words.collect::<Vec<_>>().join(" ") }
        };
        let mut edits = vec![edit(&self.first), edit(&self.second)];
        if let Some((at, text)) = exchange::verb(analysis, &self.first.0, &self.second.0) {
            edits.insert(1, Edit { tokens: at..at + 1, text });
        }
        let text = splice(analysis.caption, &analysis.tokens, &edits)?;
        Some(Negative {
            text,
            kind: self.kind,
            from: analysis.slice(&self.first.0).to_owned(),
            to: analysis.slice(&self.second.0).to_owned(),
        })
    }
}

/// Negatives in a random order that favours fluent ones.
pub fn offers(analysis: &Analysis<'_>, random: &mut Random, count: usize) -> Vec<Negative> {
    let mut changes = Vec::new();
    let chunks = &analysis.chunks[..analysis.chunks.len().min(MOST_PARTS)];
    for (at, one) in chunks.iter().enumerate() {
        for other in &chunks[at + 1..] {
            let objects =
                [exchange::heads(analysis, one, other), exchange::phrases(analysis, one, other)];
            changes.extend(
                objects
                    .into_iter()
                    .flatten()
                    .map(|[first, second]| Change::exchange(first, second, Kind::SwapObject, 1)),
            );
            attributes(analysis, one, other, &mut changes);
        }
    }
    changed(analysis, changes, random, count)
}

fn attributes(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk, into: &mut Vec<Change>) {
    for &first in &one.modifiers {
        for &second in &other.modifiers {
            if exchange::attributes(analysis, first, second) {
                let (first, second) = (first..first + 1, second..second + 1);
                into.push(Change::exchange(first, second, Kind::SwapAttribute, 1));
            }
        }
    }
    // An adjective right before its noun can move to a noun without one.
    for (giver, taker) in [(one, other), (other, one)] {
        if let [modifier] = giver.modifiers[..]
            && exchange::moves(analysis, modifier, giver, taker)
        {
            let (giver, taker) = (analysis.noun(giver), analysis.noun(taker));
            into.push(Change::hand_over(modifier, &giver, &taker));
        }
    }
}

/// Changed captions in a random order by weight; a few more than `count`, since some may mean the same.
pub fn changed(
    analysis: &Analysis<'_>,
    changes: Vec<Change>,
    random: &mut Random,
    count: usize,
) -> Vec<Negative> {
    let mut weighted: Vec<(Change, u64)> = changes
        .into_iter()
        .filter(|change| {
            let (first, second) = (&change.first.0, &change.second.0);
            first.end <= second.start
                && !analysis.slice(first).eq_ignore_ascii_case(analysis.slice(second))
        })
        .map(|change| {
            let extra = change.extra_cost(analysis);
            let weight = (willingness(extra, PATIENCE) * 16 / change.share.max(1)).max(1);
            (change, weight)
        })
        .collect();
    let mut offers = Vec::new();
    while offers.len() < count.saturating_add(2)
        && let Some(at) = draw(random, weighted.iter().map(|(_, weight)| *weight))
    {
        let (change, _) = weighted.swap_remove(at);
        offers.extend(change.make(analysis));
    }
    offers
}
