//! The style `replace`: an object, an attribute or a relation is replaced by another of its kind.
//!
//! After Netflix/clove:src/training/text_negatives_data.py (REPLACE in Castro et al. 2024, section 3.2): the head word of an element is
//! replaced by another, drawn by frequency. The difference: the negative must be false. So a word is replaced by one that excludes it,
//! from the lists of `classes.txt`; a noun in none of these by a cousin in WordNet that is no near-synonym, an adjective by its antonym, a
//! preposition by its opposite. Fluent candidates are preferred.

mod object;

use std::ops::Range;

use clove_random::Random;

use crate::fluency::{Place, willingness};
use crate::inflect::{inflect, slot};
use crate::lexicon::{Lexicon, Pos, Slot, Trait, WordId};
use crate::phrases::{Analysis, Chunk, Link};
use crate::prepositions::{GROUPS, Object};
use crate::splice::{Edit, splice};
use crate::tagger::Tag;
use crate::words::tokens;
use crate::{Kind, Negative};
use object::{is_alternative, is_other_object, may_be_verb};

/// Draws for an element; some are refused.
const DRAWS: usize = 12;

/// Candidates of an element.
const CANDIDATES: usize = 5;

/// The extra cost that halves a candidate's weight, in steps of [`crate::fluency::BIT`].
const PATIENCE: i32 = crate::fluency::BIT * 3 / 2;

/// How much likelier a listed word is than a cousin in WordNet.
const LISTED: u64 = 64;

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
        if !tag.is_common_noun()
            || !analysis.is_thing(chunk)
            || analysis.is(chunk, Trait::General)
            || is_alternative(analysis, chunk)
        {
            continue;
        }
        // A compound that the lexicon lacks is replaced as a whole, a pie pan by a bowl; but by nothing that only fits its last word.
        let tokens = analysis.noun(chunk);
        let listed = !analysis.lexicon.classes.others(Pos::Noun, lemma).is_empty();
        // A man skateboards: the last noun is a verb.
        let acts = |at: usize| {
            analysis
                .lemma(at, Pos::Noun, None)
                .is_some_and(|noun| analysis.lexicon.classes.has(Pos::Noun, noun, Trait::Animate))
        };
        if (tokens.start..chunk.head.start).any(acts) {
            continue;
        }
        if !listed && (tokens != chunk.head || may_be_verb(analysis, chunk)) {
            continue;
        }
        let element =
            Element { tokens, lemma, pos: Pos::Noun, slot: slot(tag), kind: Kind::ReplaceObject };
        let fits = |other| is_other_object(analysis, chunk, lemma, other);
        element.candidates(analysis, random, &fits, into);
    }
}

fn attributes(analysis: &Analysis<'_>, random: &mut Random, into: &mut Vec<Candidate>) {
    let inside = analysis
        .chunks
        .iter()
        .flat_map(|chunk| chunk.modifiers.iter().map(move |modifier| (*modifier, Some(chunk))));
    let outside = analysis.predicates.iter().map(|predicate| (*predicate, None));
    for (at, chunk) in inside.chain(outside) {
        let tag = analysis.tags[at];
        if tag == Tag::CD {
            if chunk.is_some_and(|chunk| is_count(analysis, chunk, at)) {
                numbers(analysis, at, into);
            }
            continue;
        }
        let slot = slot(tag).filter(|_| tag.is_adjective());
        let is_or = |word: &str| matches!(word, "or" | "/");
        if is_or(analysis.word_before(at)) || is_or(analysis.word(at + 1)) {
            continue;
        }
        if let Some(lemma) = analysis.lemma(at, Pos::Adjective, slot) {
            let (tokens, pos, kind) = (at..at + 1, Pos::Adjective, Kind::ReplaceAttribute);
            let animate = chunk.is_none_or(|chunk| analysis.is(chunk, Trait::Animate));
            let fits = |other| is_other_attribute(analysis, lemma, other, slot, animate);
            Element { tokens, lemma, pos, slot, kind }.candidates(analysis, random, &fits, into);
        }
    }
}

fn is_other_attribute(
    analysis: &Analysis<'_>,
    lemma: WordId,
    other: WordId,
    slot: Option<Slot>,
    animate: bool,
) -> bool {
    let classes = &analysis.lexicon.classes;
    let word = analysis.lexicon.word(other);
    // Colours have no degrees, in captions; a young man is no new one.
    let degrees = slot.is_none() || classes.has(Pos::Adjective, lemma, Trait::Gradable);
    let age = match word {
        "young" => animate,
        "new" => !animate,
        _ => true,
    };
    degrees && age && !classes.same(lemma, other)
}

/// Whether a number counts a chunk's things exactly, and nothing else of the caption follows from it.
fn is_count(analysis: &Analysis<'_>, chunk: &Chunk, at: usize) -> bool {
    let sign = |word: &str| {
        matches!(word, "%" | "$" | "#" | "+" | "-" | "/" | "or" | "to" | ":" | "." | "no")
    };
    analysis.is_plural(chunk)
        && !analysis.is_quantified(at)
        && !sign(analysis.word_before(at))
        && !sign(analysis.word(at + 1))
        && !analysis.tokens.iter().any(|token| token.lower == "both")
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
                let others = opposites(analysis, &tokens, group);
                push(analysis, &tokens, kind, others, into);
            }
            Link::Verb(lemma) => {
                // Participles of the passive have other objects.
                let tag = analysis.tags[tokens.start];
                let slot = slot(tag);
                if tag != Tag::VBN && takes_another(analysis, &tokens, lemma) {
                    let fits = |other| moves(analysis, lemma, other, tokens.end);
                    let tokens = tokens.clone();
                    let element = Element { tokens, lemma, pos: Pos::Verb, slot, kind };
                    element.candidates(analysis, random, &fits, into);
                }
            }
        }
    }
}

/// What a preposition can be replaced by; nothing where it isn't between two chunks, as in `to stand up`, `turned on`.
fn opposites(analysis: &Analysis<'_>, tokens: &Range<usize>, group: usize) -> Vec<String> {
    let object = analysis.chunk_at(tokens.end);
    let is_between = analysis.chunks.iter().any(|chunk| chunk.tokens.end <= tokens.start);
    let Some(object) = object.filter(|object| is_between && analysis.is_thing(object)) else {
        return Vec::new();
    };
    let follows_noun = analysis.chunks.iter().any(|chunk| chunk.tokens.end == tokens.start);
    let group = GROUPS[group].opposites.iter();
    let group = group.filter(|(_, wanted)| match wanted {
        Object::Thing => object.lemma.is_some(),
        Object::With(wanted) => analysis.is(object, *wanted),
        Object::Owned => object.lemma.is_some() && follows_noun,
    });
    group.map(|(text, _)| (*text).to_owned()).collect()
}

/// Whether a verb of the lists has what it needs: someone who acts, and an object or none.
fn takes_another(analysis: &Analysis<'_>, tokens: &Range<usize>, lemma: WordId) -> bool {
    let classes = &analysis.lexicon.classes;
    let has = |wanted| classes.has(Pos::Verb, lemma, wanted);
    let actor = analysis.chunks.iter().rfind(|chunk| chunk.tokens.end <= tokens.start);
    // A plate stands where it sits.
    if !actor
        .is_some_and(|actor| analysis.is(actor, Trait::Animate) || is_of_animate(analysis, actor))
    {
        return false;
    }
    match analysis.chunk_at(tokens.end) {
        Some(object) => {
            has(Trait::On)
                && object.lemma.is_some()
                && analysis.is_thing(object)
                && !analysis.is(object, Trait::General)
        }
        None => has(Trait::Acts),
    }
}

/// A bunch of kids, a pair of dogs.
fn is_of_animate(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    analysis.word(chunk.tokens.end) == "of"
        && analysis.chunk_at(chunk.tokens.end + 1).is_some_and(|of| analysis.is(of, Trait::Animate))
}

/// Whether another action fits with what follows: one can walk into the water, and run, but not sit.
fn moves(analysis: &Analysis<'_>, lemma: WordId, other: WordId, after: usize) -> bool {
    let classes = &analysis.lexicon.classes;
    let directed = matches!(
        analysis.word(after),
        "into"
            | "over"
            | "through"
            | "down"
            | "up"
            | "across"
            | "along"
            | "to"
            | "toward"
            | "towards"
            | "off"
            | "around"
            | "from"
            | "out"
            | "onto"
            | "away"
            | "past"
            | "for"
            | "back"
    );
    let moving = |word| classes.has(Pos::Verb, word, Trait::Moves);
    !directed || classes.has(Pos::Verb, lemma, Trait::On) || (moving(lemma) && moving(other))
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
        analysis: &Analysis<'_>,
        random: &mut Random,
        fits: &dyn Fn(WordId) -> bool,
        into: &mut Vec<Candidate>,
    ) {
        let lexicon = analysis.lexicon;
        let listed = lexicon.classes.others(self.pos, self.lemma);
        let mut found: Vec<WordId> = Vec::with_capacity(CANDIDATES);
        for _ in 0..DRAWS {
            if found.len() == CANDIDATES {
                break;
            }
            let drawn = if listed.is_empty() {
                option(lexicon, self.lemma, self.pos, random)
            } else {
                draw(random, listed.iter().map(|(_, weight)| *weight)).map(|at| listed[at].0)
            };
            if let Some(word) = drawn
                && !found.contains(&word)
                && !lexicon.classes.same(self.lemma, word)
                && fits(word)
            {
                found.push(word);
            }
        }
        let texts = found
            .into_iter()
            .map(|word| inflect(lexicon, lexicon.word(word), self.pos, self.slot))
            .collect();
        let from = into.len();
        push(analysis, &self.tokens, self.kind, texts, into);
        if listed.is_empty() {
            for candidate in &mut into[from..] {
                candidate.weight = (candidate.weight / LISTED).max(1);
            }
        }
    }
}

/// A word for one that is in no list: a cousin of one of a noun's senses, or an antonym of an adjective's; `None` if it may be true.
fn option(lexicon: &Lexicon, lemma: WordId, pos: Pos, random: &mut Random) -> Option<WordId> {
    let senses = lexicon.pos(pos);
    let own = senses.of(lemma);
    let sense = own[draw(random, own.iter().map(|sense| u64::from(sense.weight)))?];
    let word = match pos {
        Pos::Noun => senses.pools.draw(sense.synset, random)?,
        Pos::Adjective => {
            let antonyms = senses.antonyms(sense.synset);
            antonyms[draw(random, antonyms.iter().map(|form| u64::from(form.weight)))?].word
        }
        Pos::Verb | Pos::Adverb => return None,
    };
    let is_mainly = |word| {
        Pos::ALL.into_iter().all(|other| lexicon.weight(word, pos) >= lexicon.weight(word, other))
    };
    let is_vague = |word| {
        [Trait::Never, Trait::General]
            .into_iter()
            .any(|vague| lexicon.classes.has(pos, word, vague))
    };
    let usable = lexicon.in_captions(lexicon.word(word))
        && is_mainly(word)
        && is_mainly(lemma)
        && !is_vague(word);
    (usable && !senses.close(lemma, word)).then_some(word)
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
