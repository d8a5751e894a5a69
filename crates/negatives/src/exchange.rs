//! Which two parts of a caption can change places, so that the caption stays grammatical and becomes false.

use std::ops::Range;

use crate::inflect::inflect;
use crate::lexicon::{Pos, Slot, Trait};
use crate::phrases::{Analysis, Chunk, Link};
use crate::prepositions::GROUPS;
use crate::tagger::Tag;

/// The tokens of two things that can change places with all their words: a man with his hat and a dog, a group of people and a bus.
pub fn phrases(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> Option<[Range<usize>; 2]> {
    let fits = are_apart(analysis, one, other)
        && !is_symmetric(analysis, one, other)
        && !agreement_breaks(analysis, one, other)
        // A group of people is one thing.
        && [one, other].iter().all(|chunk| !is_measured(analysis, chunk))
        && [one, other].iter().all(|chunk| {
            !analysis.is(measured(analysis, chunk), Trait::Never)
                && !analysis.is(chunk, Trait::Picture)
        })
        // Whose hat it is, is said before it.
        && analysis.tags[other.tokens.start] != Tag::PRPS
        // There is the man.
        && !(is_introduced(analysis, one) && determiner(analysis, other) == Determiner::Definite);
    fits.then(|| [unit(analysis, one), unit(analysis, other)])
        .filter(|[first, second]| first.end <= second.start)
}

/// The heads of two things that can change places while their articles and adjectives stay.
pub fn heads(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> Option<[Range<usize>; 2]> {
    let named = |chunk: &Chunk| modifiers(analysis, chunk);
    let (first, second) = (determiner(analysis, one), determiner(analysis, other));
    let bare_coordination = second == Determiner::None && other.modifiers.is_empty();
    let fits = are_apart(analysis, one, other)
        && !is_measure(analysis, one)
        && !is_measure(analysis, other)
        && analysis.is_plural(one) == analysis.is_plural(other)
        && (first == second
            || (analysis.is_plural(one) && ![first, second].contains(&Determiner::Indefinite))
            || (articles(first, second) && is_countable(analysis, one) && is_countable(analysis, other)))
        // Adverbs belong to the adjective of their noun.
        && [one, other].iter().all(|chunk| {
            chunk.tokens.clone().all(|at| !analysis.tags[at].is_adverb())
        })
        && !(is_symmetric(analysis, one, other)
            // A brown horse and a brown cow; a decorated cup and knife; a lamp next to a small bed.
            && (named(one) == named(other) || bare_coordination || !(is_marked(analysis, one) || is_marked(analysis, other))));
    fits.then(|| [analysis.noun(one), analysis.noun(other)])
}

/// Whether an article can stand before a noun in another's place as well.
fn articles(first: Determiner, second: Determiner) -> bool {
    let fits = |one| matches!(one, Determiner::Indefinite | Determiner::Definite);
    fits(first) && fits(second)
}

fn is_countable(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    let is_listed = |lemma| !analysis.lexicon.classes.others(Pos::Noun, lemma).is_empty();
    !analysis.is(chunk, Trait::Mass)
        && (analysis.is(chunk, Trait::Animate) || chunk.lemma.is_some_and(is_listed))
}

/// Whether a chunk has an attribute that few things have: a colour, a material, a number, an owner.
fn is_marked(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    (chunk.tokens.start..analysis.noun(chunk).start)
        .any(|at| matches!(analysis.tags[at], Tag::CD | Tag::POS) || is_of_few(analysis, at))
}

/// Whether the attributes of two chunks, or of a chunk and a predicate, exclude one another, so that their exchange is false.
pub fn attributes(analysis: &Analysis<'_>, first: usize, second: usize) -> bool {
    let (one, other) = (first..first + 1, second..second + 1);
    let tags = (analysis.tags[first], analysis.tags[second]);
    match (analysis.chunk_of(&one), analysis.chunk_of(&other)) {
        (Some(one), Some(other)) => {
            if one == other || !heads_differ(analysis, one, other) {
                return false;
            }
            if tags == (Tag::CD, Tag::CD) {
                let is_count = |at, chunk| analysis.is_plural(chunk) && !analysis.is_quantified(at);
                return is_count(first, one) && is_count(second, other);
            }
        }
        // A predicate says something of a chunk, which may be the other one's.
        _ if !(is_of_few(analysis, first) && is_of_few(analysis, second)) => return false,
        _ => {}
    }
    let described = |at: usize| analysis.is_attribute(at);
    let lemma = |at: usize| analysis.lemma(at, Pos::Adjective, None);
    let same = |one, other| analysis.lexicon.classes.same(one, other);
    let graded = |lemma| analysis.lexicon.classes.has(Pos::Adjective, lemma, Trait::Gradable);
    let opposite = |one, other| {
        analysis.lexicon.classes.others(Pos::Adjective, one).iter().any(|(word, _)| *word == other)
    };
    tags.0 == tags.1
        && described(first)
        && described(second)
        && match (lemma(first), lemma(second)) {
            (Some(one), Some(other)) if same(one, other) => false,
            (Some(one), Some(other)) if opposite(one, other) || opposite(other, one) => true,
            // Large and small are relative: the bird with a yellow head may be small as well.
            (Some(one), Some(other)) if graded(one) || graded(other) => false,
            _ => is_of_few(analysis, first) || is_of_few(analysis, second),
        }
}

/// Whether an attribute can move from a thing to another that has none: colours and materials, which few things of a caption have. A large
/// clock on a building may be on a large building; too many things are white.
pub fn moves(analysis: &Analysis<'_>, modifier: usize, giver: &Chunk, taker: &Chunk) -> bool {
    let is_plain = |chunk: &Chunk| analysis.is_thing(chunk) && !analysis.is(chunk, Trait::General);
    is_of_few(analysis, modifier)
        && analysis.word(modifier) != "white"
        && modifier + 1 == analysis.noun(giver).start
        && taker.modifiers.is_empty()
        && analysis.tags[taker.tokens.start] != Tag::PRPS
        && heads_differ(analysis, giver, taker)
        && is_plain(giver)
        && is_plain(taker)
        && !is_measure(analysis, giver)
        && !is_measure(analysis, taker)
}

/// Whether an adjective is a colour or a material.
fn is_of_few(analysis: &Analysis<'_>, at: usize) -> bool {
    analysis.tags[at] == Tag::JJ
        && analysis.lemma(at, Pos::Adjective, None).is_some_and(|lemma| {
            [Trait::Colour, Trait::Material]
                .into_iter()
                .any(|few| analysis.lexicon.classes.has(Pos::Adjective, lemma, few))
        })
}

/// Whether two chunks are different things with something between them.
fn are_apart(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    let between = one.tokens.end..other.tokens.start;
    between.start < between.end
        && heads_differ(analysis, one, other)
        && [one, other].iter().all(|chunk| {
            let (start, end) = (chunk.tokens.start, chunk.tokens.end);
            let touches = |near: &Chunk| near.tokens.end == start || near.tokens.start == end;
            // Where two chunks touch, a tag is wrong.
            (analysis.is_thing(chunk) || is_measure(analysis, chunk)) && !analysis.chunks.iter().any(touches)
        })
        && !between.clone().any(|at| analysis.tokens[at].opaque)
        // The nose of a horse, a glass of wine.
        && !(between.len() == 1 && analysis.word(between.start) == "of")
        && !are_alike_places(analysis, one, other)
        // Two girls hugging each other.
        && !analysis.tokens.windows(2).any(|pair| {
            matches!((pair[0].lower.as_str(), pair[1].lower.as_str()), ("each", "other") | ("one", "another"))
        })
}

/// Whether two chunks are said of one thing in the same way: on the grass on the hill, with a hat in a room with a dog.
fn are_alike_places(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    let before = |chunk: &Chunk| {
        analysis.relations.iter().find_map(|relation| match relation.what {
            Link::Preposition(group) if relation.tokens.end == chunk.tokens.start => {
                Some((group, relation.tokens.start))
            }
            _ => None,
        })
    };
    matches!((before(one), before(other)), (Some((first, _)), Some((second, start)))
        if first == second && (start == one.tokens.end || GROUPS[first].symmetric))
}

/// Whether the heads of two chunks can't name the same thing.
fn heads_differ(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    match (one.lemma, other.lemma) {
        (Some(one), Some(other)) => !analysis.lexicon.classes.same(one, other),
        _ => !analysis.slice(&one.head).eq_ignore_ascii_case(analysis.slice(&other.head)),
    }
}

/// Whether a chunk measures or shows the next one: a group of people, a piece of cake, a picture of a dog.
fn is_measure(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    analysis.word(chunk.tokens.end) == "of" && analysis.chunk_at(chunk.tokens.end + 1).is_some()
}

/// Whether a chunk is measured by the one before it. A picture of a dog measures nothing.
fn is_measured(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    let before = |near: &Chunk| {
        near.tokens.end + 1 == chunk.tokens.start && !analysis.is(near, Trait::Picture)
    };
    analysis.word_before(chunk.tokens.start) == "of" && analysis.chunks.iter().any(before)
}

/// What a chunk measures in the end: an image of a herd of giraffes; itself if it measures nothing.
fn measured<'a>(analysis: &'a Analysis<'_>, mut chunk: &'a Chunk) -> &'a Chunk {
    while is_measure(analysis, chunk)
        && let Some(next) = analysis.chunk_at(chunk.tokens.end + 1)
    {
        chunk = next;
    }
    chunk
}

/// A chunk with what it measures: a group of people.
fn unit(analysis: &Analysis<'_>, chunk: &Chunk) -> Range<usize> {
    chunk.tokens.start..measured(analysis, chunk).tokens.end
}

/// There is, it's.
fn is_introduced(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    matches!(
        analysis.word_before(chunk.tokens.start),
        "is" | "are" | "was" | "were" | "'s" | "isn't"
    ) && analysis.tags[..chunk.tokens.start].contains(&Tag::EX)
}

/// What stands before a noun. Nouns with the same can change places: some have no plural, and others need an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Determiner {
    None,
    Indefinite,
    Definite,
    Counted,
}

fn determiner(analysis: &Analysis<'_>, chunk: &Chunk) -> Determiner {
    let at = chunk.tokens.start;
    match analysis.word(at) {
        "a" | "an" | "another" | "each" | "every" => Determiner::Indefinite,
        "some" | "several" | "many" | "few" | "all" | "both" | "any" | "no" => Determiner::Counted,
        _ => match analysis.tags[at] {
            Tag::DT | Tag::PDT | Tag::PRPS => Determiner::Definite,
            Tag::CD => Determiner::Counted,
            _ if analysis.tags[at..chunk.tokens.end].contains(&Tag::POS) => Determiner::Definite,
            _ => Determiner::None,
        },
    }
}

/// The words before a noun without articles and possessive pronouns, in alphabetical order.
fn modifiers<'a>(analysis: &'a Analysis<'_>, chunk: &Chunk) -> Vec<&'a str> {
    let before = chunk.tokens.start..analysis.noun(chunk).start;
    let before = before.filter(|&at| !matches!(analysis.tags[at], Tag::DT | Tag::PRPS));
    let mut words: Vec<&str> = before.map(|at| analysis.word(at)).collect();
    words.sort_unstable();
    words
}

/// How many a phrase names: a group of people is one or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    One,
    Many,
    Either,
}

fn number(analysis: &Analysis<'_>, chunk: &Chunk) -> Number {
    match (is_measure(analysis, chunk), analysis.chunk_at(chunk.tokens.end + 1)) {
        _ if analysis.is_plural(chunk) => Number::Many,
        (true, Some(measured)) if analysis.is_plural(measured) => Number::Either,
        _ => Number::One,
    }
}

/// Whether an exchange breaks the agreement of a verb in number, and [`verb`] can't mend it.
fn agreement_breaks(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    let start = unit(analysis, one).end;
    let finite = |at: &usize| matches!(analysis.tags[*at], Tag::VBZ | Tag::VBP);
    let mut verbs = (start..analysis.tokens.len()).filter(finite);
    let single = number(analysis, one) == number(analysis, other);
    let joined = matches!(analysis.word_before(one.tokens.start), "and" | "," | "&" | "or");
    match (verbs.next(), verbs.next()) {
        _ if single => false,
        (None, _) => false,
        (Some(at), None) => at != start || joined || at >= other.tokens.start,
        _ => true,
    }
}

/// The verb after the first of two exchanged phrases, and its form for the other one, where that differs: a man is, two dogs are.
pub fn verb(
    analysis: &Analysis<'_>,
    first: &Range<usize>,
    second: &Range<usize>,
) -> Option<(usize, String)> {
    let of = |tokens: &Range<usize>| {
        analysis.chunks.iter().find(|chunk| unit(analysis, chunk) == *tokens)
    };
    let (at, one, other) = (first.end, of(first)?, of(second)?);
    let word = analysis.word(at);
    let form = |slot: Option<Slot>, wanted: Option<Slot>| {
        let lemma = analysis.lemma(at, Pos::Verb, slot)?;
        Some(inflect(analysis.lexicon, analysis.lexicon.word(lemma), Pos::Verb, wanted))
    };
    if number(analysis, one) == number(analysis, other) {
        return None;
    }
    let text = match (analysis.tags.get(at)?, number(analysis, other)) {
        (Tag::VBZ, Number::Many) if word == "is" => "are".to_owned(),
        (Tag::VBP, Number::One) if word == "are" => "is".to_owned(),
        (Tag::VBZ, Number::Many) => form(Some(Slot::ThirdPerson), None)?,
        (Tag::VBP, Number::One) => form(None, Some(Slot::ThirdPerson))?,
        _ => return None,
    };
    Some((at, text))
}

/// Whether the words between two chunks mean the same in both directions: and, beside, hugging, standing or sitting together.
pub fn is_symmetric(analysis: &Analysis<'_>, one: &Chunk, other: &Chunk) -> bool {
    let animate = analysis.is(one, Trait::Animate) && analysis.is(other, Trait::Animate);
    let is_beside = |at: usize| {
        analysis.relations.iter().any(|relation| {
            relation.tokens.start == at
                && matches!(relation.what, Link::Preposition(group) if GROUPS[group].symmetric)
        })
    };
    let mut at = unit(analysis, one).end;
    while at < other.tokens.start {
        if let Some(relation) = analysis.relations.iter().find(|r| r.tokens.start == at) {
            let end = relation.tokens.end;
            let neutral = match relation.what {
                Link::Preposition(group) => GROUPS[group].symmetric,
                Link::Verb(_) => {
                    let word = analysis.word(at);
                    is_posture(word) || is_reciprocal(word) || (animate && is_beside(end))
                }
            };
            if !neutral {
                return false;
            }
            at = end;
            continue;
        }
        // Of three in a row, another chunk is between them.
        if let Some(chunk) = analysis.chunk_at(at) {
            at = chunk.tokens.end;
            continue;
        }
        let word = analysis.word(at);
        let neutral = matches!(analysis.tags[at], Tag::CC)
            || is_separator(word)
            || is_posture(word)
            || is_reciprocal(word)
            || matches!(
                word,
                "as" | "well"
                    | "with"
                    | "both"
                    | "together"
                    | "also"
                    | "versus"
                    | "vs"
                    | "then"
                    | "up"
                    | "side"
            );
        if !neutral {
            return false;
        }
        at += 1;
    }
    true
}

/// Signs between the things of a list, and forms of be.
fn is_separator(word: &str) -> bool {
    matches!(
        word,
        "," | ";"
            | "&"
            | "|"
            | "/"
            | "+"
            | "-"
            | "\u{2013}"
            | "\u{2014}"
            | "\u{b7}"
            | "\u{2022}"
            | "."
            | ":"
            | "x"
            | "plus"
            | "is"
            | "are"
            | "was"
            | "were"
            | "that"
            | "who"
            | "which"
    )
}

fn is_posture(word: &str) -> bool {
    const STEMS: [&str; 12] = [
        "stand", "sit", "sat", "lying", "laying", "lies", "lays", "pos", "park", "stood", "plac",
        "seat",
    ];
    STEMS.iter().any(|stem| word.starts_with(stem))
}

/// What two do to each other: if one hugs the other, the other hugs the one, as far as a photo shows.
fn is_reciprocal(word: &str) -> bool {
    const STEMS: [&str; 22] = [
        "hug", "kiss", "meet", "met", "marr", "danc", "talk", "chat", "convers", "fight", "fought",
        "wrestl", "embrac", "cuddl", "snuggl", "nuzzl", "argu", "compet", "match", "join",
        "interact", "touch",
    ];
    STEMS.iter().any(|stem| word.starts_with(stem))
}
