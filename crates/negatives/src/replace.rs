//! The style `replace`: an object, an attribute or a relation is replaced by another of its kind.
//!
//! After Netflix/clove:src/training/text_negatives_data.py (REPLACE in Castro et al. 2024, section 3.2): the head word of an element is
//! replaced by an antonym or a cousin in WordNet, drawn by frequency. There are four differences. First a sense is drawn, by its
//! frequency, so that a plate becomes a bowl and not a geological stratum; hypernyms and hyponyms (a dog is an animal) are left out
//! because they'd be true; a preposition's replacement can't be true of the same picture; and fluent candidates are preferred.

use std::ops::Range;

use clove_random::Random;

use crate::fluency::{Place, willingness};
use crate::inflect::{inflect, slot};
use crate::lexicon::{Lexicon, Pos, Slot, WordId};
use crate::phrases::{Analysis, Link};
use crate::prepositions;
use crate::splice::{Edit, splice};
use crate::tagger::Tag;
use crate::words::tokens;
use crate::{Kind, Negative};

/// Draws for an element; some are synonyms, hypernyms or hyponyms.
const DRAWS: usize = 10;

/// Candidates of an element.
const CANDIDATES: usize = 5;

/// The extra cost that halves a candidate's weight, in steps of [`crate::fluency::BIT`].
const PATIENCE: i32 = crate::fluency::BIT * 3 / 2;

/// A replacement for some tokens.
struct Candidate {
    tokens: Range<usize>,
    text: String,
    kind: Kind,
    weight: u64,
}

/// Negatives in a random order that favours fluent ones; a few more than `count`, since some may be true.
pub fn offers(analysis: &Analysis<'_>, random: &mut Random, count: usize) -> Vec<Negative> {
    let mut candidates = Vec::with_capacity(32);
    objects(analysis, random, &mut candidates);
    attributes(analysis, random, &mut candidates);
    relations(analysis, random, &mut candidates);
    let mut offers: Vec<Negative> = Vec::new();
    while offers.len() < count.saturating_add(2)
        && let Some(at) = draw(random, candidates.iter().map(|candidate| candidate.weight))
    {
        let candidate = candidates.swap_remove(at);
        // Other places first: negatives of one caption should differ.
        for other in &mut candidates {
            if other.tokens == candidate.tokens {
                other.weight = (other.weight / 64).max(1);
            }
        }
        let edit = Edit { tokens: candidate.tokens.clone(), text: candidate.text.clone() };
        if let Some(text) = splice(analysis.caption, &analysis.tokens, &[edit]) {
            offers.push(Negative {
                text,
                kind: candidate.kind,
                from: analysis.slice(&candidate.tokens).to_owned(),
                to: candidate.text,
            });
        }
    }
    offers
}

/// A random index by weight; `None` where all weights are 0.
pub fn draw(random: &mut Random, weights: impl Iterator<Item = u64> + Clone) -> Option<usize> {
    let total: u64 = weights.clone().sum();
    if total == 0 {
        return None;
    }
    let mut left = random.bits() % total;
    for (at, weight) in weights.enumerate() {
        if left < weight {
            return Some(at);
        }
        left -= weight;
    }
    None
}

fn objects(analysis: &Analysis<'_>, random: &mut Random, into: &mut Vec<Candidate>) {
    for chunk in &analysis.chunks {
        let Some(lemma) = chunk.lemma else { continue };
        let tag = analysis.tags[chunk.head.end - 1];
        let part_of = analysis.tokens.get(chunk.head.end).is_some_and(|next| next.lower == "of");
        if !tag.is_common_noun() || (part_of && is_partitive(analysis.lexicon.word(lemma))) {
            continue;
        }
        let (tokens, slot) = (chunk.head.clone(), slot(tag));
        let element = Element { tokens, lemma, pos: Pos::Noun, slot, kind: Kind::ReplaceObject };
        element.candidates(analysis, random, into);
    }
}

fn attributes(analysis: &Analysis<'_>, random: &mut Random, into: &mut Vec<Candidate>) {
    let inside = analysis.chunks.iter().flat_map(|chunk| &chunk.modifiers);
    for &at in inside.chain(&analysis.predicates) {
        let tag = analysis.tags[at];
        if tag == Tag::CD {
            numbers(analysis, at, into);
            continue;
        }
        let slot = slot(tag).filter(|_| tag.is_adjective());
        if let Some(lemma) = analysis.lemma(at, Pos::Adjective, slot) {
            let (tokens, pos, kind) = (at..at + 1, Pos::Adjective, Kind::ReplaceAttribute);
            Element { tokens, lemma, pos, slot, kind }.candidates(analysis, random, into);
        }
    }
}

/// Other numbers, in digits or in words like the original.
fn numbers(analysis: &Analysis<'_>, at: usize, into: &mut Vec<Candidate>) {
    const WORDS: [&str; 9] =
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let word = analysis.tokens[at].lower.as_str();
    let place = WORDS.iter().position(|number| *number == word);
    let others: Vec<String> = match (place, word.parse::<u32>()) {
        (Some(place), _) => {
            let near = place.saturating_sub(2)..(place + 3).min(WORDS.len());
            near.filter(|other| *other != place).map(|other| WORDS[other].to_owned()).collect()
        }
        // "One" has other meanings; a year or a large number is no count.
        (None, Ok(number @ 2..=20)) => {
            let near = number.saturating_sub(2).max(2)..=number + 2;
            near.filter(|other| *other != number).map(|other| other.to_string()).collect()
        }
        _ => return,
    };
    push(analysis, &(at..at + 1), Kind::ReplaceAttribute, others, into);
}

fn relations(analysis: &Analysis<'_>, random: &mut Random, into: &mut Vec<Candidate>) {
    let kind = Kind::ReplaceRelation;
    for relation in &analysis.relations {
        let tokens = relation.tokens.clone();
        match relation.what {
            Link::Preposition(group) => {
                // Only between two chunks: not `to stand up`, `turned on`.
                let related = analysis.chunks.iter().any(|chunk| chunk.tokens.end <= tokens.start)
                    && analysis.chunk_at(tokens.end).is_some();
                if related {
                    let others = prepositions::others(group).map(str::to_owned).collect();
                    push(analysis, &tokens, kind, others, into);
                }
            }
            Link::Verb(lemma) => {
                let slot = slot(analysis.tags[tokens.start]);
                let element = Element { tokens, lemma, pos: Pos::Verb, slot, kind };
                element.candidates(analysis, random, into);
            }
        }
    }
}

/// A word of the caption that can be replaced.
struct Element {
    tokens: Range<usize>,
    lemma: WordId,
    pos: Pos,
    slot: Option<Slot>,
    kind: Kind,
}

impl Element {
    fn candidates(&self, analysis: &Analysis<'_>, random: &mut Random, into: &mut Vec<Candidate>) {
        let lexicon = analysis.lexicon;
        let mut found: Vec<WordId> = Vec::with_capacity(CANDIDATES);
        for _ in 0..DRAWS {
            if found.len() == CANDIDATES {
                break;
            }
            if let Some(word) = option(lexicon, self.lemma, self.pos, random)
                && !found.contains(&word)
            {
                found.push(word);
            }
        }
        let texts = found
            .into_iter()
            .map(|word| inflect(lexicon, lexicon.word(word), self.pos, self.slot))
            .collect();
        push(analysis, &self.tokens, self.kind, texts, into);
    }
}

/// A word to replace a lemma: an antonym or a cousin of one of its senses; `None` if the drawn one would be true.
fn option(lexicon: &Lexicon, lemma: WordId, pos: Pos, random: &mut Random) -> Option<WordId> {
    let senses = lexicon.pos(pos);
    let own = senses.of(lemma);
    let sense = own[draw(random, own.iter().map(|sense| u64::from(sense.weight)))?];
    let antonyms = senses.antonyms(sense.synset);
    // Antonyms are few and distinct, cousins many: each gets half of the draws.
    let (word, synset) = if !antonyms.is_empty() && random.below(2) == 0 {
        let at = draw(random, antonyms.iter().map(|form| u64::from(form.weight)))?;
        (antonyms[at].word, None)
    } else {
        let cousin = senses.pools.draw(sense.synset, random)?;
        (cousin.word, Some(cousin.synset))
    };
    // A synonym in any sense would be true, and so would a hypernym or hyponym.
    let others = senses.of(word);
    let same = word == lemma
        || others.iter().any(|other| own.iter().any(|sense| sense.synset == other.synset));
    let in_line =
        pos != Pos::Adjective && synset.is_some_and(|synset| senses.in_line(sense.synset, synset));
    (!same && !in_line).then_some(word)
}

/// Adds texts as candidates for some tokens, weighted by their fluency there.
fn push(
    analysis: &Analysis<'_>,
    range: &Range<usize>,
    kind: Kind,
    texts: Vec<String>,
    into: &mut Vec<Candidate>,
) {
    let lexicon = analysis.lexicon;
    let usual = analysis.cost(range);
    let (before, after) = (analysis.before(range.start), analysis.after(range.end));
    let from = into.len();
    // Not: a black and black cat.
    let chunk = analysis.chunk_of(range).map_or(range, |chunk| &chunk.tokens);
    for text in texts {
        if analysis.tokens[chunk.clone()].iter().any(|token| token.lower == text) {
            continue;
        }
        let places: Vec<Place> = if text.contains([' ', '-', '\'']) {
            tokens(&text).iter().map(|token| lexicon.place(&token.lower)).collect()
        } else {
            vec![lexicon.place(&text)]
        };
        let cost = lexicon.fluency.run(before, &places, after);
        let weight = willingness(cost - usual, PATIENCE);
        into.push(Candidate { tokens: range.clone(), text, kind, weight });
    }
    // An element with many candidates is as likely as one with few.
    let count = (into.len() - from) as u64;
    for candidate in &mut into[from..] {
        candidate.weight = (candidate.weight * 16 / count).max(1);
    }
}

/// Nouns that quantify the next noun: replacing them changes little.
fn is_partitive(lemma: &str) -> bool {
    const WORDS: [&str; 29] = [
        "kind", "sort", "type", "lot", "number", "couple", "top", "side", "front", "back", "part",
        "piece", "variety", "pair", "bit", "set", "view", "picture", "photo", "image", "middle",
        "edge", "end", "bottom", "corner", "rest", "one", "close-up", "closeup",
    ];
    WORDS.contains(&lemma)
}
