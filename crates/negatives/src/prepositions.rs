//! Prepositions of one to four words, in groups of about the same meaning.
//!
//! A replaced preposition must make the caption false: a group names those that can be true of the same picture (at, near).

use crate::words::Token;

/// A group of prepositions of about the same meaning.
#[derive(Debug)]
pub struct Group {
    /// The most common first, separated by `|`.
    words: &'static str,
    /// Groups that can be true at the same time, by their index in [`GROUPS`].
    near: &'static [usize],
    /// Whether exchanging the two sides keeps the meaning: a man beside a dog, a dog beside a man.
    pub symmetric: bool,
    /// Whether it expresses a direction rather than a place.
    path: bool,
}

const fn group(words: &'static str, near: &'static [usize], symmetric: bool) -> Group {
    Group { words, near, symmetric, path: false }
}

const fn path(words: &'static str, near: &'static [usize]) -> Group {
    Group { words, near, symmetric: false, path: true }
}

/// All groups.
pub const GROUPS: [Group; 25] = [
    group("on|on top of|upon|atop|onto|on the top of", &[1, 2, 4, 5, 15, 16], false), // 0
    group("in|inside|inside of|into|within|in the middle of", &[0, 2, 5, 10, 12, 14, 15], false), // 1
    group("at", &[0, 1, 3, 4, 5, 6, 15], false), // 2
    group(
        "near|close to|by|around",
        &[0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24],
        true,
    ), // 3
    group(
        "next to|beside|alongside|at the side of|to the side of",
        &[0, 2, 3, 5, 10, 16, 17, 18, 24],
        true,
    ), // 4
    group("with|along with|together with", &[0, 1, 2, 3, 4, 10, 16], true), // 5
    group("in front of|before|ahead of", &[2, 3, 9], false), // 6
    group("behind|in back of|at the back of", &[2, 3], false), // 7
    group("under|underneath|beneath|below", &[3], false), // 8
    group("facing|across from|opposite", &[3, 6], true), // 9
    group("among|amongst|amid|between|in between|surrounded by", &[1, 3, 4, 5], false), // 10
    group("over|above", &[3, 12, 14], false),    // 11
    path("across", &[14]),                       // 12
    path("along", &[14, 19, 20]),                // 13
    path("through|throughout", &[12, 13]),       // 14
    group("against", &[0, 2, 3, 4, 16], false),  // 15
    group("attached to|leaning on", &[0, 3, 4, 5, 15], false), // 16
    group("to the left of|on the left side of|left of", &[3, 4], false), // 17
    group("to the right of|on the right side of|right of", &[3, 4], false), // 18
    path("down", &[13]),                         // 19
    path("up", &[13]),                           // 20
    path("toward|towards", &[]),                 // 21
    group("away from|far from|out of|off|off of|outside|outside of", &[], false), // 22
    group("without", &[], false),                // 23
    group("beyond|past", &[3, 7], false),        // 24
];

/// The group that expresses both a place and a direction.
const AWAY: usize = 22;

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

/// Replacements for a preposition of a group that make the caption false.
pub fn others(group: usize) -> impl Iterator<Item = &'static str> {
    GROUPS
        .iter()
        .enumerate()
        .filter(move |(place, other)| {
            *place != group
                && (other.path == GROUPS[group].path || *place == AWAY)
                && !GROUPS[group].near.contains(place)
                && !other.near.contains(&group)
        })
        // The rare ones of a group are recognised only.
        .flat_map(|(_, other)| other.words.split('|').take(2))
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, find, others};
    use crate::words::tokens;

    #[test]
    fn the_longest_one_is_found() {
        let tokens = tokens("a cat on top of a box in front of me");
        assert_eq!(find(&tokens, 2).map(|found| (found.len, found.group)), Some((3, 0)));
        assert_eq!(find(&tokens, 7).map(|found| (found.len, found.group)), Some((3, 6)));
        assert_eq!(find(&tokens, 0), None);
    }

    #[test]
    fn every_group_has_something_else_to_be_replaced_by() {
        for (place, group) in GROUPS.iter().enumerate() {
            let others: Vec<_> = others(place).collect();
            assert!(others.len() >= 3, "{:?}: {others:?}", group.words);
            assert!(group.words.split('|').all(|word| !others.contains(&word)));
        }
    }
}
