//! Which words exclude one another, and which can name the same thing: the lists of `classes.txt`, by the lexicon's words.

use std::collections::{BTreeMap, BTreeSet};

use super::{Lexicon, Pos, WordId};

const LISTS: &str = include_str!("../../classes.txt");

/// What the lists say about a word; `classes.txt` explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trait {
    Animate,
    Male,
    Female,
    Inside,
    Under,
    Slope,
    Place,
    Surface,
    Mass,
    Listed,
    Never,
    Picture,
    General,
    Colour,
    Material,
    Gradable,
    Acts,
    Moves,
    On,
}

impl Trait {
    const NAMES: [(&str, Self); 19] = [
        ("animate", Self::Animate),
        ("male", Self::Male),
        ("female", Self::Female),
        ("inside", Self::Inside),
        ("under", Self::Under),
        ("slope", Self::Slope),
        ("place", Self::Place),
        ("surface", Self::Surface),
        ("mass", Self::Mass),
        ("listed", Self::Listed),
        ("never", Self::Never),
        ("picture", Self::Picture),
        ("general", Self::General),
        ("colour", Self::Colour),
        ("material", Self::Material),
        ("gradable", Self::Gradable),
        ("acts", Self::Acts),
        ("moves", Self::Moves),
        ("on", Self::On),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, found)| *found)
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What is listed of a word.
#[derive(Debug, Default)]
struct Entry {
    traits: u32,
    /// Words that replace it, with their weights.
    others: Vec<(WordId, u64)>,
}

/// The lists.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    words: BTreeMap<(Pos, WordId), Entry>,
    same: BTreeSet<(WordId, WordId)>,
}

/// A line of the lists.
struct Line<'a> {
    head: &'a str,
    /// Replaced words.
    from: Vec<&'a str>,
    /// Their replacements; `None` where each replaces the others.
    to: Option<Vec<&'a str>>,
}

impl<'a> Line<'a> {
    fn all() -> impl Iterator<Item = Line<'a>> {
        LISTS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (head, words) = line.split_once(':')?;
            let (from, to) = match words.split_once('>') {
                Some((from, to)) => (from, Some(to.split_whitespace().collect())),
                None => (words, None),
            };
            Some(Line { head, from: from.split_whitespace().collect(), to })
        })
    }

    /// The part of speech, and the traits as bits. Nouns alone have marks.
    fn kind(&self) -> (Pos, u32) {
        let names = self.head.split(' ');
        let pos = match names.clone().next() {
            Some("verb") => Pos::Verb,
            Some("adjective") => Pos::Adjective,
            _ => Pos::Noun,
        };
        // `never` and `general` are traits and the line's kind in one.
        let traits = names.filter_map(Trait::named);
        (pos, traits.fold(0, |bits, found| bits | found.bit()))
    }
}

impl Classes {
    /// Words that the lexicon lacks are left out.
    pub fn new(lexicon: &Lexicon) -> Self {
        let mut classes = Self::default();
        let find = |words: &[&str]| -> Vec<WordId> {
            words.iter().filter_map(|word| lexicon.find(&word.replace('_', " "))).collect()
        };
        for line in Line::all() {
            let from = find(&line.from);
            if line.head == "same" {
                let pairs =
                    from.iter().flat_map(|one| from.iter().map(move |other| (*one, *other)));
                classes.same.extend(pairs);
                continue;
            }
            let (pos, traits) = line.kind();
            let replaces =
                matches!(line.head.split(' ').next(), Some("noun" | "verb" | "adjective"));
            let to = line.to.as_deref().map_or_else(|| from.clone(), find);
            for &word in &from {
                let entry = classes.words.entry((pos, word)).or_default();
                entry.traits |= traits;
                for &other in to.iter().filter(|other| replaces && **other != word) {
                    // The root: captions of COCO use few words very often.
                    let weight = lexicon.weight(other, pos).max(1).isqrt();
                    if !entry.others.iter().any(|(known, _)| *known == other) {
                        entry.others.push((other, weight));
                    }
                }
            }
        }
        classes
    }

    /// Words that replace a word, with their weights.
    pub fn others(&self, pos: Pos, word: WordId) -> &[(WordId, u64)] {
        self.words.get(&(pos, word)).map_or(&[], |entry| &entry.others)
    }

    pub fn has(&self, pos: Pos, word: WordId, wanted: Trait) -> bool {
        self.words.get(&(pos, word)).is_some_and(|entry| entry.traits & wanted.bit() != 0)
    }

    /// Whether one photo can bear both words for the same thing.
    pub fn same(&self, one: WordId, other: WordId) -> bool {
        one == other || self.same.contains(&(one, other))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{LISTS, Line, Trait};
    use crate::lexicon::{Lexicon, Pos};

    #[test]
    fn every_line_is_read_and_every_word_known() {
        let lexicon = Lexicon::from_bytes(crate::ENGLISH).unwrap();
        let lines = LISTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        assert_eq!(Line::all().count(), lines);
        for line in Line::all() {
            let mut names = line.head.split(' ');
            let first = names.next().unwrap();
            assert!(
                ["noun", "verb", "adjective", "same", "never", "general", "mark"].contains(&first),
                "{}",
                line.head
            );
            for name in names {
                assert!(Trait::named(name).is_some(), "{name}");
            }
            for word in line.from.iter().chain(line.to.iter().flatten()) {
                let found = lexicon.find(&word.replace('_', " "));
                assert!(found.is_some(), "{}: {word}", line.head);
                let (pos, _) = line.kind();
                assert!(
                    matches!(first, "same" | "never" | "general")
                        || !lexicon.senses(found.unwrap(), pos).is_empty(),
                    "{}: {word} has no sense as a {pos:?}",
                    line.head
                );
            }
            let words: BTreeSet<_> = line.from.iter().collect();
            assert_eq!(words.len(), line.from.len(), "{}", line.head);
        }
        let word = |word: &str| lexicon.find(word).unwrap();
        let classes = &lexicon.classes;
        assert!(classes.has(Pos::Noun, word("man"), Trait::Male));
        assert!(
            classes.same(word("plate"), word("dish")) && classes.same(word("herd"), word("flock"))
        );
        assert!(!classes.same(word("boy"), word("girl")));
    }
}
