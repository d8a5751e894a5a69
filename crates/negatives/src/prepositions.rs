//! Prepositions of one to four words, in groups of about the same meaning.
//!
//! Few prepositions exclude one another: what is on a table can be next to a cup, in a kitchen and near a window. So a preposition is
//! replaced by its opposite only.

use crate::lexicon::Trait;
use crate::words::Token;

/// A group of prepositions of about the same meaning.
#[derive(Debug)]
pub struct Group {
    /// Separated by `|`.
    words: &'static str,
    /// What makes the caption false instead, and what the object must be for that.
    pub opposites: &'static [(&'static str, Object)],
    /// Whether exchanging the two sides keeps the meaning: a man beside a dog, a dog beside a man.
    pub symmetric: bool,
}

/// What the object of a preposition must be for its opposite to be possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// Any thing.
    Thing,
    /// Something of this kind.
    With(Trait),
    /// Any thing, and the preposition must follow a noun: a man with a hat, but not: covered with snow.
    Owned,
}

use Object::{Owned, Thing, With};

const UNDER: Object = With(Trait::Under);
const INSIDE: Object = With(Trait::Inside);
const SLOPE: Object = With(Trait::Slope);

const fn group(words: &'static str, opposites: &'static [(&'static str, Object)]) -> Group {
    Group { words, opposites, symmetric: false }
}

const fn symmetric(words: &'static str, opposites: &'static [(&'static str, Object)]) -> Group {
    Group { words, opposites, symmetric: true }
}

/// All groups.
pub const GROUPS: [Group; 33] = [
    group("on|on top of|upon|atop|onto|on the top of", &[("under", UNDER), ("underneath", UNDER)]),
    group("in|inside|inside of|within|in the middle of", &[("outside", INSIDE)]),
    group("into", &[("out of", INSIDE)]),
    group("out of", &[("into", INSIDE)]),
    group("outside|outside of", &[("inside", INSIDE)]),
    group("at", &[]),
    symmetric("near|close to", &[("far from", Thing)]),
    symmetric("by|around", &[]),
    symmetric(
        "next to|beside|alongside|at the side of|to the side of",
        &[("far from", Thing), ("under", UNDER), ("on top of", UNDER), ("inside", INSIDE)],
    ),
    symmetric("with", &[("without", Owned)]),
    symmetric("along with|together with", &[]),
    group("without", &[("with", Owned)]),
    group("in front of|ahead of", &[("behind", Thing)]),
    group("before", &[]),
    group("behind|in back of|at the back of", &[("in front of", Thing)]),
    group("under|underneath|beneath|below", &[("on top of", Thing)]),
    group("over|above", &[("under", Thing), ("below", Thing)]),
    symmetric("facing", &[("facing away from", Thing)]),
    symmetric("across from|opposite", &[]),
    group("among|amongst|amid|between|in between|surrounded by", &[]),
    group("across", &[]),
    group("along", &[]),
    group("through|throughout", &[]),
    symmetric("against", &[]),
    group("attached to|leaning on", &[]),
    group(
        "to the left of|on the left side of|on the left of|left of",
        &[("to the right of", Thing)],
    ),
    group(
        "to the right of|on the right side of|on the right of|right of",
        &[("to the left of", Thing)],
    ),
    group("down", &[("up", SLOPE)]),
    group("up", &[("down", SLOPE)]),
    group("toward|towards", &[("away from", Thing)]),
    group("away from|far from", &[("toward", Thing), ("close to", Thing)]),
    group("off|off of", &[("onto", UNDER)]),
    group("beyond|past", &[]),
];

/// A preposition of a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its number of tokens.
    pub len: usize,
    /// Its index in [`GROUPS`].
    pub group: usize,
}

/// The longest preposition that begins at a token.
pub fn find(tokens: &[Token], at: usize) -> Option<Found> {
    let first = tokens.get(at)?.lower.as_str();
    let mut best: Option<Found> = None;
    // Most groups don't contain the word at all.
    let groups = GROUPS.iter().enumerate().filter(|(_, group)| group.words.contains(first));
    for (place, group) in groups {
        for words in group.words.split('|') {
            let mut len = 0;
            let fits = words.split(' ').all(|word| {
                let token = tokens.get(at + len);
                len += 1;
                token.is_some_and(|token| token.lower == word)
            });
            if fits && best.is_none_or(|found| len > found.len) {
                best = Some(Found { len, group: place });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, find};
    use crate::words::tokens;

    fn group(words: &str) -> usize {
        let all = tokens(words);
        let found = find(&all, 0).unwrap();
        assert_eq!(found.len, all.len(), "{words}");
        found.group
    }

    #[test]
    fn the_longest_one_is_found() {
        let tokens = tokens("a cat on top of a box in front of me");
        assert_eq!(find(&tokens, 2).map(|found| found.len), Some(3));
        assert_eq!(find(&tokens, 7).map(|found| found.len), Some(3));
        assert_eq!(find(&tokens, 0), None);
        assert_eq!(group("on"), group("on top of"));
        assert_ne!(group("to the left of"), group("to the right of"));
    }

    #[test]
    fn opposites_are_of_other_groups() {
        for group in &GROUPS {
            for (word, _) in group.opposites {
                assert!(!group.words.split('|').any(|own| own == *word), "{word}");
            }
        }
    }
}
