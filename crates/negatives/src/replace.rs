//! The style `replace`: an object, an attribute or a relation gives way to another of its kind.
//!
//! After Netflix/clove:src/training/text_negatives_data.py (REPLACE in Castro et al. 2024, section 3.2): of an element of the
//! caption the head word is replaced by an antonym or a cousin in WordNet, drawn by how often it's used. Four things are done
//! otherwise. A sense is drawn first, by how often the word is used in it, so that a plate gives a bowl and not a geological
//! stratum; words in one line with the replaced one (a dog is an animal) are left out, since they'd be true; a preposition
//! is replaced by one that can't hold of the same picture; and of several candidates those are preferred that read as
//! captions do.

use std::ops::Range;

use clove_random::Random;

use crate::fluency::{Place, willingness};
use crate::inflect::{inflect, slot};
use crate::lexicon::{Lexicon, Pos, Slot, WordId};
use crate::morphology;
use crate::phrases::{Analysis, Link};
use crate::prepositions;
use crate::splice::{Edit, splice};
use crate::tagger::Tag;
use crate::words::tokens;
use crate::{Kind, Negative};

/// Draws for an element: some are synonyms or stand in one line.
const DRAWS: usize = 10;

/// Candidates of an element.
const CANDIDATES: usize = 5;

/// What a candidate may cost more than the caption before it's half as welcome, in steps of [`crate::fluency::BIT`].
const PATIENCE: i32 = crate::fluency::BIT * 3 / 2;

/// A word that could stand in the place of some tokens.
struct Candidate {
    tokens: Range<usize>,
    text: String,
    kind: Kind,
    weight: u64,
}

/// Negatives in a random order, the more fluent the sooner; a few more than `count`, since some may turn out true.
pub fn offers(
    lexicon: &Lexicon,
    analysis: &Analysis<'_>,
    random: &mut Random,
    count: usize,
) -> Vec<Negative> {
    let mut candidates = Vec::with_capacity(32);
    objects(lexicon, analysis, random, &mut candidates);
    attributes(lexicon, analysis, random, &mut candidates);
    relations(lexicon, analysis, random, &mut candidates);
    let mut offers: Vec<Negative> = Vec::new();
    while offers.len() < count.saturating_add(2) {
        let total: u64 = candidates.iter().map(|candidate| candidate.weight).sum();
        if total == 0 {
            break;
        }
        let at = draw(random, total, candidates.iter().map(|candidate| candidate.weight));
        let candidate = candidates.swap_remove(at);
        // Other places first: negatives of one caption should differ in what they teach.
        for other in &mut candidates {
            if other.tokens == candidate.tokens {
                other.weight = (other.weight / 64).max(1);
            }
        }
        let edit = Edit {
            start: candidate.tokens.start,
            end: candidate.tokens.end,
            text: candidate.text.clone(),
        };
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

/// One of several, by weight.
pub fn draw(random: &mut Random, total: u64, weights: impl Iterator<Item = u64>) -> usize {
    let mut left = random.bits() % total.max(1);
    let mut last = 0;
    for (at, weight) in weights.enumerate() {
        if left < weight {
            return at;
        }
        left -= weight;
        last = at;
    }
    last
}

fn objects(
    lexicon: &Lexicon,
    analysis: &Analysis<'_>,
    random: &mut Random,
    into: &mut Vec<Candidate>,
) {
    for chunk in &analysis.chunks {
        let Some(lemma) = chunk.lemma else { continue };
        let tag = analysis.tags[chunk.head.end - 1];
        let part_of = analysis.tokens.get(chunk.head.end).is_some_and(|next| next.lower == "of");
        if !tag.is_common_noun() || (part_of && is_partitive(lexicon.word(lemma))) {
            continue;
        }
        let element = Element {
            tokens: chunk.head.clone(),
            lemma,
            pos: Pos::Noun,
            slot: slot(tag),
            kind: Kind::ReplaceObject,
        };
        element.candidates(lexicon, analysis, random, into);
    }
}

fn attributes(
    lexicon: &Lexicon,
    analysis: &Analysis<'_>,
    random: &mut Random,
    into: &mut Vec<Candidate>,
) {
    let inside = analysis.chunks.iter().flat_map(|chunk| &chunk.modifiers);
    for &at in inside.chain(&analysis.predicates) {
        let (tag, word) = (analysis.tags[at], analysis.tokens[at].lower.as_str());
        if tag == Tag::CD {
            numbers(lexicon, analysis, at, into);
            continue;
        }
        let slot = slot(tag).filter(|_| tag.is_adjective());
        let Some(lemma) = morphology::lemma(lexicon, word, Pos::Adjective, slot) else {
            continue;
        };
        let element = Element {
            tokens: at..at + 1,
            lemma,
            pos: Pos::Adjective,
            slot,
            kind: Kind::ReplaceAttribute,
        };
        element.candidates(lexicon, analysis, random, into);
    }
}

/// Another number, as it is written.
fn numbers(lexicon: &Lexicon, analysis: &Analysis<'_>, at: usize, into: &mut Vec<Candidate>) {
    const WORDS: [&str; 9] =
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let word = analysis.tokens[at].lower.as_str();
    let place = WORDS.iter().position(|number| *number == word);
    let others: Vec<String> = match (place, word.parse::<u32>()) {
        (Some(place), _) => {
            let near = place.saturating_sub(2)..(place + 3).min(WORDS.len());
            near.filter(|other| *other != place).map(|other| WORDS[other].to_owned()).collect()
        }
        // One is too many things; a year or a large number is no count.
        (None, Ok(number @ 2..=20)) => {
            let near = number.saturating_sub(2).max(2)..=number + 2;
            near.filter(|other| *other != number).map(|other| other.to_string()).collect()
        }
        _ => return,
    };
    push(lexicon, analysis, &(at..at + 1), Kind::ReplaceAttribute, others, into);
}

fn relations(
    lexicon: &Lexicon,
    analysis: &Analysis<'_>,
    random: &mut Random,
    into: &mut Vec<Candidate>,
) {
    for relation in &analysis.relations {
        let (start, end) = (relation.tokens.start, relation.tokens.end);
        match relation.what {
            Link::Preposition(group) => {
                // Of two things only: not `to stand up`, `turned on`.
                let related = analysis.chunks.iter().any(|chunk| chunk.tokens.end <= start)
                    && analysis.chunks.iter().any(|chunk| chunk.tokens.start == end);
                if related {
                    let others = prepositions::others(group).map(str::to_owned).collect();
                    push(lexicon, analysis, &relation.tokens, Kind::ReplaceRelation, others, into);
                }
            }
            Link::Verb(lemma) => {
                let element = Element {
                    tokens: relation.tokens.clone(),
                    lemma,
                    pos: Pos::Verb,
                    slot: slot(analysis.tags[start]),
                    kind: Kind::ReplaceRelation,
                };
                element.candidates(lexicon, analysis, random, into);
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
    fn candidates(
        &self,
        lexicon: &Lexicon,
        analysis: &Analysis<'_>,
        random: &mut Random,
        into: &mut Vec<Candidate>,
    ) {
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
        push(lexicon, analysis, &self.tokens, self.kind, texts, into);
    }
}

/// A word to replace a lemma: an antonym or a cousin of one of its senses; none if the draw found none that is false.
fn option(lexicon: &Lexicon, lemma: WordId, pos: Pos, random: &mut Random) -> Option<WordId> {
    let senses = lexicon.pos(pos);
    let own = senses.of(lemma);
    let total: u64 = own.iter().map(|sense| u64::from(sense.weight)).sum();
    let sense = own[draw(random, total, own.iter().map(|sense| u64::from(sense.weight)))];
    let antonyms = senses.antonyms(sense.synset);
    // Antonyms are few and sharp, cousins many: both get their turn.
    let (word, synset) = if !antonyms.is_empty() && random.below(2) == 0 {
        let total = antonyms.iter().map(|form| u64::from(form.weight)).sum();
        let at = draw(random, total, antonyms.iter().map(|form| u64::from(form.weight)));
        (antonyms[at].word, None)
    } else {
        let cousin = senses.pools.draw(sense.synset, random)?;
        (cousin.word, Some(cousin.synset))
    };
    // A synonym in any sense would be true, and so would what stands above or below in line.
    let others = senses.of(word);
    let same = word == lemma
        || others.iter().any(|other| own.iter().any(|sense| sense.synset == other.synset));
    let in_line =
        pos != Pos::Adjective && synset.is_some_and(|synset| senses.in_line(sense.synset, synset));
    (!same && !in_line).then_some(word)
}

/// Adds texts as candidates for some tokens, each as welcome as it is fluent there.
fn push(
    lexicon: &Lexicon,
    analysis: &Analysis<'_>,
    range: &Range<usize>,
    kind: Kind,
    texts: Vec<String>,
    into: &mut Vec<Candidate>,
) {
    let usual = analysis.cost(lexicon, range);
    let (before, after) = (analysis.before(range.start), analysis.after(range.end));
    let from = into.len();
    // Not: a black and black cat.
    let chunk = analysis
        .chunks
        .iter()
        .find(|chunk| chunk.tokens.start <= range.start && range.end <= chunk.tokens.end)
        .map_or(range.clone(), |chunk| chunk.tokens.clone());
    for text in texts {
        if analysis.tokens[chunk.clone()].iter().any(|token| token.lower == text) {
            continue;
        }
        let places: Vec<Place> = if text.contains([' ', '-', '\'']) {
            tokens(&text)
                .iter()
                .map(|token| lexicon.fluency.place(lexicon.find(&token.lower)))
                .collect()
        } else {
            vec![lexicon.fluency.place(lexicon.find(&text))]
        };
        let cost = lexicon.fluency.run(before, &places, after);
        into.push(Candidate {
            tokens: range.clone(),
            text,
            kind,
            weight: willingness(cost - usual, PATIENCE),
        });
    }
    // An element with many candidates is no likelier than one with few.
    let count = (into.len() - from) as u64;
    for candidate in &mut into[from..] {
        candidate.weight = (candidate.weight * 16 / count).max(1);
    }
}

/// Nouns that measure what follows: what they're replaced by says little.
fn is_partitive(lemma: &str) -> bool {
    matches!(
        lemma,
        "kind"
            | "sort"
            | "type"
            | "lot"
            | "number"
            | "couple"
            | "top"
            | "side"
            | "front"
            | "back"
            | "part"
            | "piece"
            | "variety"
            | "pair"
            | "bit"
            | "set"
            | "view"
            | "picture"
            | "photo"
            | "image"
            | "middle"
            | "edge"
            | "end"
            | "bottom"
            | "corner"
            | "rest"
            | "one"
            | "close-up"
            | "closeup"
    )
}
