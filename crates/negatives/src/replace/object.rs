//! Which noun can replace another.

use crate::lexicon::{Pos, Slot, Trait, WordId};
use crate::phrases::{Analysis, Chunk};
use crate::tagger::Tag;

/// Whether a noun may be a verb: a dog positions for a picture.
pub fn may_be_verb(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    let bare = chunk.tokens.len() == 1
        || !matches!(analysis.tags[chunk.tokens.start], Tag::DT | Tag::PRPS | Tag::CD);
    let verb = analysis.lemma(chunk.head.end - 1, Pos::Verb, Some(Slot::ThirdPerson)).is_some()
        || analysis.lemma(chunk.head.end - 1, Pos::Verb, None).is_some();
    verb && (bare || analysis.is_plural(chunk))
}

/// Whether a noun in place of a chunk's head makes the caption false, and keeps it grammatical.
pub fn is_other_object(
    analysis: &Analysis<'_>,
    chunk: &Chunk,
    lemma: WordId,
    other: WordId,
) -> bool {
    let classes = &analysis.lexicon.classes;
    let has = |word, wanted| classes.has(Pos::Noun, word, wanted);
    // Countable nouns need an article, and others have none.
    let (mass, plural) = (has(other, Trait::Mass), analysis.is_plural(chunk));
    if (plural && mass) || (!plural && has(lemma, Trait::Mass) != mass) {
        return false;
    }
    if mass && matches!(analysis.word(chunk.tokens.start), "a" | "an") {
        return false;
    }
    // A plate of pizza, and salad: nothing that needs an article.
    let bare = !plural
        && !mass
        && chunk.tokens.start > 0
        && chunk.tokens.start == analysis.noun(chunk).start
        && analysis.tokens.iter().any(|token| matches!(token.lower.as_str(), "a" | "an" | "the"));
    if bare {
        return false;
    }
    // In the park, on the beach, on the phone.
    let before = analysis.word_before(chunk.tokens.start);
    let on = matches!(before, "on" | "onto" | "upon" | "along" | "down" | "up" | "across");
    let within = matches!(before, "in" | "into" | "inside" | "within" | "of");
    if has(other, Trait::Place)
        && ((on && !has(other, Trait::Surface)) || (within && has(other, Trait::Surface)))
    {
        return false;
    }
    if before == "on"
        && analysis.word(chunk.tokens.start) == "the"
        && analysis.word(chunk.head.end - 1).ends_with("phone")
    {
        return false;
    }
    // A kitchen with a stove may have a toaster as well.
    if has(lemma, Trait::Listed) && is_listed(analysis, chunk) {
        return false;
    }
    let pronoun =
        |list: &[&str]| analysis.tokens.iter().any(|token| list.contains(&token.lower.as_str()));
    let clash = (has(other, Trait::Female) && pronoun(&["he", "him", "his", "himself"]))
        || (has(other, Trait::Male) && pronoun(&["she", "her", "hers", "herself"]));
    // Another thing of the caption, or a word for one: a woman and a lady.
    let word = analysis.lexicon.word(other);
    let present = analysis.tokens.iter().any(|token| token.lower == word)
        || analysis
            .chunks
            .iter()
            .filter_map(|chunk| chunk.lemma)
            .any(|lemma| classes.same(lemma, other));
    !clash && !present
}

/// Whether a thing is only mentioned, so that another may be there as well: with a stove, a sink and a stove, next to a stove.
fn is_listed(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    let start = chunk.tokens.start;
    let after = analysis.word(chunk.tokens.end);
    matches!(
        analysis.word_before(start),
        "" | "with"
            | "has"
            | "have"
            | "having"
            | "and"
            | ","
            | "&"
            | "including"
            | "containing"
            | "contains"
            | "of"
            | "featuring"
            | "to"
            | "beside"
            | "near"
            | "by"
            | "is"
            | "are"
            | "shows"
            | "showing"
    ) || matches!(after, "and" | "," | "&")
}

/// Whether a chunk is one of several possibilities: a cat or a dog.
pub fn is_alternative(analysis: &Analysis<'_>, chunk: &Chunk) -> bool {
    let is_or = |word: &str| matches!(word, "or" | "/" | "either" | "nor");
    is_or(analysis.word_before(chunk.tokens.start)) || is_or(analysis.word(chunk.tokens.end))
}
