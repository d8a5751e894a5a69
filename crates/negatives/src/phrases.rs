//! A caption's noun chunks, and the verbs and prepositions between them.
//!
//! Found by rules over the tags, in one pass: captions are short, and their grammar is simple. CLoVe's code gets chunks and relations
//! from a dependency parse (Netflix/clove:src/training/spacy_parser.py); in captions the tags are enough.

use std::ops::Range;

use crate::fluency::{BOUNDARY, Place};
use crate::inflect::slot;
use crate::lexicon::{Lexicon, Pos, Slot, Trait, WordId};
use crate::morphology;
use crate::prepositions;
use crate::splice::moved;
use crate::tagger::Tag;
use crate::words::Token;

/// A noun with its modifiers: `the small brown dog`.
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

/// A relation between two chunks, or the action of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// Its kind.
    pub what: Link,
}

/// The kind of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A preposition, by its group in the list of prepositions.
    Preposition(usize),
    /// A full verb, with its lemma.
    Verb(WordId),
}

/// An analysed caption.
#[derive(Debug, Clone)]
pub struct Analysis<'a> {
    /// The caption.
    pub caption: &'a str,
    pub(crate) lexicon: &'a Lexicon,
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Their tags.
    pub tags: Vec<Tag>,
    /// Noun chunks in order, without overlap.
    pub chunks: Vec<Chunk>,
    /// Verbs and prepositions in order, without overlap.
    pub relations: Vec<Relation>,
    /// Adjectives outside of chunks: `the sky is blue`.
    pub predicates: Vec<usize>,
    /// The tokens in the model of captions.
    pub(crate) places: Vec<Place>,
}

impl<'a> Analysis<'a> {
    /// Analyses a caption of at least one token.
    pub fn new(lexicon: &'a Lexicon, caption: &'a str, tokens: Vec<Token>) -> Self {
        let mut tags = lexicon.tag(&tokens);
        gerunds(lexicon, &tokens, &mut tags);
        let places = tokens.iter().map(|token| lexicon.place(&token.lower)).collect();
        let mut analysis = Self {
            caption,
            lexicon,
            tokens,
            tags,
            chunks: Vec::with_capacity(4),
            relations: Vec::with_capacity(4),
            predicates: Vec::new(),
            places,
        };
        let mut at = 0;
        while at < analysis.tokens.len() {
            at = analysis.step(at);
        }
        analysis
    }

    /// Adds the chunk or relation that begins at a token, and returns the token after it.
    fn step(&mut self, at: usize) -> usize {
        let tag = self.tags[at];
        if may_relate(tag, &self.tokens[at].lower)
            && let Some(found) = prepositions::find(&self.tokens, at)
            // A single word must be tagged as a preposition.
            && (found.len > 1 || matches!(tag, Tag::IN | Tag::TO | Tag::RP))
        {
            let end = at + found.len;
            self.relations.push(Relation { tokens: at..end, what: Link::Preposition(found.group) });
            return end;
        }
        if let Some(end) = self.chunk_end(at) {
            let chunk = self.chunk(at..end);
            self.chunks.push(chunk);
            return end;
        }
        if tag.is_verb() && !is_light(&self.tokens[at].lower) {
            if let Some(lemma) = self.lemma(at, Pos::Verb, slot(tag)) {
                self.relations.push(Relation { tokens: at..at + 1, what: Link::Verb(lemma) });
            }
        } else if self.is_attribute(at) {
            self.predicates.push(at);
        }
        at + 1
    }

    /// The end of the noun chunk that begins at a token.
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
                // A number or adjective after a noun begins another phrase.
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

    fn chunk(&self, tokens: Range<usize>) -> Chunk {
        let last = tokens.end - 1;
        let (head, lemma) = self.head(&tokens);
        // Modifiers of a possessor don't belong to the head.
        let from = (tokens.start..last)
            .rev()
            .find(|&at| self.tags[at] == Tag::POS)
            .map_or(tokens.start, |at| at + 1);
        let modifiers = (from..head.start)
            .filter(|&at| {
                self.is_attribute(at) || matches!(self.tags[at], Tag::CD | Tag::VBN | Tag::VBG)
            })
            .collect();
        Chunk { tokens, head, lemma, modifiers }
    }

    /// The longest compound of the lexicon that ends a chunk.
    fn head(&self, tokens: &Range<usize>) -> (Range<usize>, Option<WordId>) {
        const LONGEST: usize = 3;
        let last = tokens.end - 1;
        let slot = matches!(self.tags[last], Tag::NNS | Tag::NNPS).then_some(Slot::Plural);
        let first = tokens.start.max(tokens.end.saturating_sub(LONGEST));
        let mut compound = String::new();
        for from in first..last {
            // Determiners aren't parts of words, and numbers count things. A white horse is a horse, though WordNet knows a wave of that name.
            let joins = (from..last).all(|at| {
                self.tags[at].is_noun()
                    || matches!(self.tags[at], Tag::VBG | Tag::VBN)
                    || (self.tags[at].is_adjective() && !self.is_plain(at))
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
            if let Some(lemma) = morphology::lemma(self.lexicon, &compound, Pos::Noun, slot) {
                return (from..tokens.end, Some(lemma));
            }
        }
        (last..tokens.end, self.lemma(last, Pos::Noun, slot))
    }

    /// Whether a token is an adjective that describes: quantifiers don't.
    pub(crate) fn is_attribute(&self, at: usize) -> bool {
        self.tags[at].is_adjective() && !is_quantifier(&self.tokens[at].lower)
    }

    /// Whether an adjective is a colour, or has an opposite: such ones are parts of no compound.
    fn is_plain(&self, at: usize) -> bool {
        self.tokens[at].lower != "hot"
            && self.lexicon.find(&self.tokens[at].lower).is_some_and(|word| {
                [Trait::Colour, Trait::Gradable]
                    .into_iter()
                    .any(|wanted| self.lexicon.classes.has(Pos::Adjective, word, wanted))
            })
    }

    /// Whether a chunk's head is of a kind; false where the lexicon lacks it.
    pub(crate) fn is(&self, chunk: &Chunk, wanted: Trait) -> bool {
        chunk.lemma.is_some_and(|lemma| self.lexicon.classes.has(Pos::Noun, lemma, wanted))
    }

    /// The text of a token in lower case; empty beyond the caption.
    pub(crate) fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.lower)
    }

    /// The text of the token before another in lower case.
    pub(crate) fn word_before(&self, at: usize) -> &str {
        at.checked_sub(1).map_or("", |at| self.word(at))
    }

    pub(crate) fn is_plural(&self, chunk: &Chunk) -> bool {
        matches!(self.tags[chunk.head.end - 1], Tag::NNS | Tag::NNPS)
    }

    /// The head with all nouns before it: `parking spot`, `pie pans`.
    pub(crate) fn noun(&self, chunk: &Chunk) -> Range<usize> {
        let from = (chunk.tokens.start..chunk.head.start)
            .rev()
            .take_while(|&at| {
                // A shirt playing: the verb belongs to the noun before it.
                self.tags[at].is_noun()
                    || (self.tags[at] == Tag::VBG
                        && at > chunk.tokens.start
                        && !self.tags[at - 1].is_noun())
            })
            .last();
        from.unwrap_or(chunk.head.start)..chunk.head.end
    }

    /// Whether a chunk names a thing by words that can stand elsewhere: no name, no part of a possessive, a measure (a group of) or a
    /// set phrase (side by side, a close up), and no rest of a number (more than ten people).
    pub(crate) fn is_thing(&self, chunk: &Chunk) -> bool {
        let (start, end) = (chunk.tokens.start, chunk.tokens.end);
        let next_is_possessive = self.tags.get(end) == Some(&Tag::POS)
            || (self.tokens.get(end).is_some_and(|next| next.start == self.tokens[end - 1].end)
                && matches!(self.word(end), "'" | "\u{2019}"));
        let names =
            self.tags[start..end].iter().any(|tag| matches!(tag, Tag::NNP | Tag::NNPS | Tag::SYM));
        let twin = |other: &Chunk, between: &Range<usize>| {
            between.len() == 1
                && self.tags[between.start] == Tag::IN
                && self.slice(&other.tokens) == self.slice(&chunk.tokens)
        };
        let doubled = self.chunks.iter().any(|other| {
            twin(other, &(other.tokens.end..start.max(other.tokens.end)))
                || twin(other, &(end..other.tokens.start.max(end)))
        });
        // A guys: the caption's own error, or a wrong tag.
        let is_odd =
            self.is_plural(chunk) && matches!(self.word(start), "a" | "an") && end - start == 2;
        // A snowy hill whose adjective was no adjective to the tagger.
        let is_rest = start.checked_sub(1).is_some_and(|before| {
            matches!(self.tags[before], Tag::DT | Tag::PRPS | Tag::POS | Tag::JJ)
                && !is_quantifier(&self.tokens[before].lower)
        });
        !next_is_possessive
            && !names
            && !is_odd
            && !is_rest
            && !matches!(self.word(start), "least" | "most" | "more" | "up")
            && !doubled
            && !self.is_quantified(start)
            && self.word(end) != "up"
            && !self.is(chunk, Trait::Never)
    }

    /// Whether words before a token bound or blur what follows: more than, at least, up to, about.
    pub(crate) fn is_quantified(&self, at: usize) -> bool {
        match self.word_before(at) {
            "than" | "least" | "most" | "about" | "almost" | "nearly" | "approximately"
            | "roughly" | "maximum" | "minimum" => true,
            "to" => at > 1 && (self.word(at - 2) == "up" || self.tags[at - 2] == Tag::CD),
            "over" | "under" | "around" => self.tags[at] == Tag::CD,
            "or" | "and" | "-" | "\u{2013}" | "/" => {
                at > 1 && self.tags[at] == Tag::CD && self.tags[at - 2] == Tag::CD
            }
            _ => false,
        }
    }

    pub(crate) fn lemma(&self, at: usize, pos: Pos, slot: Option<Slot>) -> Option<WordId> {
        morphology::lemma(self.lexicon, &self.tokens[at].lower, pos, slot)
    }

    /// The chunk that some tokens belong to.
    pub(crate) fn chunk_of(&self, tokens: &Range<usize>) -> Option<&Chunk> {
        let mut chunks = self.chunks.iter();
        chunks.find(|chunk| chunk.tokens.start <= tokens.start && tokens.end <= chunk.tokens.end)
    }

    pub(crate) fn chunk_at(&self, at: usize) -> Option<&Chunk> {
        self.chunks.iter().find(|chunk| chunk.tokens.start == at)
    }

    /// The nearest word before a token, in the model of captions.
    pub(crate) fn before(&self, at: usize) -> Place {
        let nearest = (0..at).rev().find(|&at| self.tokens[at].word);
        nearest.map_or(BOUNDARY, |at| self.places[at])
    }

    /// The nearest word from a token on, in the model of captions.
    pub(crate) fn after(&self, at: usize) -> Place {
        let nearest = (at..self.tokens.len()).find(|&at| self.tokens[at].word);
        nearest.map_or(BOUNDARY, |at| self.places[at])
    }

    /// The cost of some tokens in their place.
    pub(crate) fn cost(&self, tokens: &Range<usize>) -> i32 {
        let words: Vec<Place> = self.words(tokens).collect();
        self.lexicon.fluency.run(self.before(tokens.start), &words, self.after(tokens.end))
    }

    /// The words among some tokens, in the model of captions.
    pub(crate) fn words(&self, tokens: &Range<usize>) -> impl Iterator<Item = Place> {
        tokens.clone().filter(|&at| self.tokens[at].word).map(|at| self.places[at])
    }

    /// The text of some tokens for another place: the capital of the caption's beginning goes, a name's stays.
    pub(crate) fn moved(&self, tokens: &Range<usize>) -> String {
        /// The least weight of a word that captions use.
        const USUAL: u64 = 200;
        let (tag, word) = (self.tags[tokens.start], &self.tokens[tokens.start].lower);
        let mut weight = 0;
        morphology::readings(self.lexicon, word, |reading| {
            weight = weight.max(self.lexicon.weight(reading.lemma, reading.pos));
        });
        let is_name = weight < USUAL
            && (matches!(tag, Tag::NNP | Tag::NNPS) || self.lexicon.find(word).is_none());
        moved(self.caption, &self.tokens, tokens, is_name)
    }

    /// The text of some tokens.
    pub fn slice(&self, tokens: &Range<usize>) -> &'a str {
        &self.caption[self.tokens[tokens.start].start..self.tokens[tokens.end - 1].end]
    }
}

/// Whether a preposition can begin with a word. Those of several words begin with other parts of speech too.
fn may_relate(tag: Tag, word: &str) -> bool {
    const WORDS: [&str; 17] = [
        "next", "close", "far", "ahead", "left", "right", "out", "away", "off", "attached",
        "leaning", "along", "together", "across", "outside", "inside", "facing",
    ];
    matches!(tag, Tag::IN | Tag::TO | Tag::RP) || word == "surrounded" || WORDS.contains(&word)
}

/// Participles after a noun that the tagger took for nouns: a man surfing, a woman on the pavement looking.
fn gerunds(lexicon: &Lexicon, tokens: &[Token], tags: &mut [Tag]) {
    for at in 1..tokens.len() {
        let word = tokens[at].lower.as_str();
        if tags[at] != Tag::NN || !word.ends_with("ing") || !tags[at - 1].is_noun() {
            continue;
        }
        let weight = |pos, slot| {
            morphology::lemma(lexicon, word, pos, slot)
                .map_or(0, |lemma| lexicon.weight(lemma, pos))
        };
        // A girl brushing teeth, but not: a boy's parking lot.
        let is_last = tags.get(at + 1).is_none_or(|next| !next.is_noun() || *next == Tag::NNS);
        if is_last && weight(Pos::Verb, Some(Slot::Gerund)) > 2 * weight(Pos::Noun, None) {
            tags[at] = Tag::VBG;
        }
    }
}

/// Adjectives that count or compare instead of describing.
fn is_quantifier(word: &str) -> bool {
    const WORDS: [&str; 43] = [
        "many",
        "several",
        "few",
        "fewer",
        "fewest",
        "more",
        "most",
        "much",
        "less",
        "least",
        "some",
        "any",
        "all",
        "both",
        "each",
        "every",
        "various",
        "numerous",
        "multiple",
        "other",
        "another",
        "same",
        "such",
        "own",
        "different",
        "similar",
        "certain",
        "single",
        "double",
        "only",
        "first",
        "second",
        "third",
        "next",
        "last",
        "half",
        "whole",
        "entire",
        "countless",
        "assorted",
        "additional",
        "extra",
        "main",
    ];
    WORDS.contains(&word)
}

/// Verbs with little meaning: forms of be, have, do and get, and auxiliaries.
fn is_light(word: &str) -> bool {
    const WORDS: [&str; 31] = [
        "be", "is", "are", "was", "were", "been", "being", "am", "'s", "'re", "'m", "have", "has",
        "had", "having", "'ve", "'d", "do", "does", "did", "doing", "done", "get", "gets", "got",
        "getting", "let", "seem", "seems", "appear", "appears",
    ];
    WORDS.contains(&word)
}
