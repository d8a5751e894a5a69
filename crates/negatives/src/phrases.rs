//! A caption's noun chunks, and the verbs and prepositions between them.
//!
//! Found by rules over the tags, in one pass: captions are short, and their grammar is plain. What CLoVe's code reads off a
//! dependency parse (Netflix/clove:src/training/spacy_parser.py), a chunk's head and modifiers and what relates two chunks,
//! stands in captions in an order that the tags alone tell well enough.

use std::ops::Range;

use crate::fluency::Place;
use crate::lexicon::{Lexicon, Pos, Slot, WordId};
use crate::morphology;
use crate::prepositions;
use crate::tagger::Tag;
use crate::words::Token;

/// A noun with what belongs to it: `the small brown dog`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// The noun, with the nouns before it where the lexicon has them together: `tennis racket`.
    pub head: Range<usize>,
    /// The head's lemma, where the lexicon has one.
    pub lemma: Option<WordId>,
    /// Adjectives and numbers before the head.
    pub modifiers: Vec<usize>,
}

/// What relates two chunks, or says what one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// What it is.
    pub what: Link,
}

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A preposition, by its group in the list of prepositions.
    Preposition(usize),
    /// A verb that says something, with its lemma.
    Verb(WordId),
}

/// A caption, analysed.
#[derive(Debug, Clone)]
pub struct Analysis<'a> {
    /// The caption.
    pub caption: &'a str,
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Their tags.
    pub tags: Vec<Tag>,
    /// Noun chunks in order, apart from each other.
    pub chunks: Vec<Chunk>,
    /// Verbs and prepositions in order, apart from each other and from the chunks.
    pub relations: Vec<Relation>,
    /// Adjectives outside of chunks: `the sky is blue`.
    pub predicates: Vec<usize>,
    /// Tokens as the model of captions knows them.
    pub(crate) places: Vec<Place>,
}

impl<'a> Analysis<'a> {
    /// Analyses a caption of at least one token.
    #[must_use]
    pub fn new(lexicon: &Lexicon, caption: &'a str, tokens: Vec<Token>) -> Self {
        let tags = lexicon.tagger.tag(lexicon, &tokens);
        let places =
            tokens.iter().map(|token| lexicon.fluency.place(lexicon.find(&token.lower))).collect();
        let mut analysis = Self {
            caption,
            tokens,
            tags,
            chunks: Vec::with_capacity(4),
            relations: Vec::with_capacity(4),
            predicates: Vec::new(),
            places,
        };
        let mut at = 0;
        while at < analysis.tokens.len() {
            at = analysis.step(lexicon, at);
        }
        analysis
    }

    /// Takes what begins at a token; gives where the next begins.
    fn step(&mut self, lexicon: &Lexicon, at: usize) -> usize {
        let tag = self.tags[at];
        if may_relate(tag, &self.tokens[at].lower)
            && let Some(found) = prepositions::find(&self.tokens, at)
            // Of one word it's a preposition only if it's tagged as one.
            && (found.len > 1 || matches!(tag, Tag::IN | Tag::TO | Tag::RP))
        {
            let end = at + found.len;
            self.relations.push(Relation { tokens: at..end, what: Link::Preposition(found.group) });
            return end;
        }
        if let Some(end) = self.chunk_end(at) {
            let chunk = self.chunk(lexicon, at..end);
            self.chunks.push(chunk);
            return end;
        }
        if tag.is_verb() && !is_light(&self.tokens[at].lower) {
            let lemma = morphology::lemma(
                lexicon,
                &self.tokens[at].lower,
                Pos::Verb,
                crate::inflect::slot(tag),
            );
            if let Some(lemma) = lemma {
                self.relations.push(Relation { tokens: at..at + 1, what: Link::Verb(lemma) });
            }
        } else if tag.is_adjective() {
            self.predicates.push(at);
        }
        at + 1
    }

    /// Where the noun chunk ends that begins at a token; none if none does.
    fn chunk_end(&self, start: usize) -> Option<usize> {
        let tag = |at: usize| self.tags.get(at).copied();
        let mut noun = None;
        let mut at = start;
        while let Some(here) = tag(at) {
            let fits = match here {
                Tag::PDT | Tag::DT | Tag::PRPS => {
                    noun.is_none()
                        && (start..at).all(|at| matches!(self.tags[at], Tag::PDT | Tag::DT))
                }
                // A number or adjective after a noun begins something else.
                Tag::CD | Tag::JJ | Tag::JJR | Tag::JJS => noun.is_none(),
                // A very small, an almost empty.
                Tag::RB | Tag::RBR | Tag::RBS => {
                    noun.is_none()
                        && tag(at + 1).is_some_and(|next| {
                            next.is_adjective() || matches!(next, Tag::VBN | Tag::CD)
                        })
                }
                // A parked car, parked cars; but not: a man parked, riding horses.
                Tag::VBN | Tag::VBG => {
                    noun.is_none()
                        && (at > start || (here == Tag::VBN && self.opens(start)))
                        && tag(at + 1).is_some_and(|next| next.is_noun() || next.is_adjective())
                }
                // A black and white, a small, brown.
                Tag::CC | Tag::Punctuation => {
                    noun.is_none()
                        && at > start
                        && matches!(self.tokens[at].lower.as_str(), "and" | "&" | "," | "or")
                        && self.tags[at - 1].is_adjective()
                        && tag(at + 1).is_some_and(Tag::is_adjective)
                }
                // The man's, if more follows.
                Tag::POS => {
                    let more = noun.is_some()
                        && tag(at + 1).is_some_and(|next| next.is_noun() || next.is_adjective());
                    if more {
                        noun = None;
                    }
                    more
                }
                here if here.is_noun() => {
                    noun = Some(at);
                    true
                }
                _ => false,
            };
            if !fits {
                break;
            }
            at += 1;
        }
        noun.map(|noun| noun + 1)
    }

    /// Whether a chunk can begin here: after a preposition, a conjunction, or nothing.
    fn opens(&self, at: usize) -> bool {
        at == 0 || matches!(self.tags[at - 1], Tag::IN | Tag::TO | Tag::CC | Tag::Punctuation)
    }

    fn chunk(&self, lexicon: &Lexicon, tokens: Range<usize>) -> Chunk {
        let last = tokens.end - 1;
        let (head, lemma) = self.head(lexicon, &tokens);
        // What belongs to a possessor isn't the head's.
        let from = (tokens.start..last)
            .rev()
            .find(|&at| self.tags[at] == Tag::POS)
            .map_or(tokens.start, |at| at + 1);
        let modifiers = (from..head.start)
            .filter(|&at| {
                let tag = self.tags[at];
                tag.is_adjective() || matches!(tag, Tag::CD | Tag::VBN | Tag::VBG)
            })
            .collect();
        Chunk { tokens, head, lemma, modifiers }
    }

    /// The longest compound of the lexicon that ends a chunk.
    fn head(&self, lexicon: &Lexicon, tokens: &Range<usize>) -> (Range<usize>, Option<WordId>) {
        const LONGEST: usize = 3;
        let last = tokens.end - 1;
        let slot = matches!(self.tags[last], Tag::NNS | Tag::NNPS).then_some(Slot::Plural);
        let first = tokens.start.max(tokens.end.saturating_sub(LONGEST));
        let mut compound = String::new();
        for from in first..last {
            // Determiners aren't parts of words, and numbers count things.
            let joins = (from..last).all(|at| {
                self.tags[at].is_noun()
                    || self.tags[at].is_adjective()
                    || matches!(self.tags[at], Tag::VBG | Tag::VBN)
            });
            if !joins {
                continue;
            }
            compound.clear();
            for at in from..=last {
                if at > from {
                    compound.push(' ');
                }
                compound.push_str(&self.tokens[at].lower);
            }
            if let Some(lemma) = morphology::lemma(lexicon, &compound, Pos::Noun, slot) {
                return (from..tokens.end, Some(lemma));
            }
        }
        let lemma = morphology::lemma(lexicon, &self.tokens[last].lower, Pos::Noun, slot);
        (last..tokens.end, lemma)
    }

    /// The nearest word before a token, as the model of captions knows it.
    pub(crate) fn before(&self, at: usize) -> Place {
        (0..at)
            .rev()
            .find(|&at| self.tokens[at].word)
            .map_or(crate::fluency::BOUNDARY, |at| self.places[at])
    }

    /// The nearest word from a token on.
    pub(crate) fn after(&self, at: usize) -> Place {
        (at..self.tokens.len())
            .find(|&at| self.tokens[at].word)
            .map_or(crate::fluency::BOUNDARY, |at| self.places[at])
    }

    /// What the words of some tokens cost where they stand.
    pub(crate) fn cost(&self, lexicon: &Lexicon, tokens: &Range<usize>) -> i32 {
        let words: Vec<Place> = self.words(tokens).collect();
        lexicon.fluency.run(self.before(tokens.start), &words, self.after(tokens.end))
    }

    /// The words among some tokens, as the model of captions knows them.
    pub(crate) fn words(&self, tokens: &Range<usize>) -> impl Iterator<Item = Place> {
        tokens.clone().filter(|&at| self.tokens[at].word).map(|at| self.places[at])
    }

    /// Tokens as they stand in the caption.
    #[must_use]
    pub fn slice(&self, tokens: &Range<usize>) -> &'a str {
        &self.caption[self.tokens[tokens.start].start..self.tokens[tokens.end - 1].end]
    }
}

/// Whether a preposition can begin with such a word: those of several words begin with other parts of speech too.
fn may_relate(tag: Tag, word: &str) -> bool {
    matches!(tag, Tag::IN | Tag::TO | Tag::RP)
        || matches!(
            word,
            "next"
                | "close"
                | "far"
                | "ahead"
                | "left"
                | "right"
                | "out"
                | "away"
                | "off"
                | "surrounded"
                | "attached"
                | "leaning"
                | "along"
                | "together"
                | "across"
                | "outside"
                | "inside"
                | "facing"
        )
}

/// Verbs that say little: forms of be, have, do, get, and their helpers.
fn is_light(word: &str) -> bool {
    matches!(
        word,
        "be" | "is"
            | "are"
            | "was"
            | "were"
            | "been"
            | "being"
            | "am"
            | "'s"
            | "'re"
            | "'m"
            | "have"
            | "has"
            | "had"
            | "having"
            | "'ve"
            | "'d"
            | "do"
            | "does"
            | "did"
            | "doing"
            | "done"
            | "get"
            | "gets"
            | "got"
            | "getting"
            | "let"
            | "seem"
            | "seems"
            | "appear"
            | "appears"
    )
}
