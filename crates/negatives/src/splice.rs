//! Insertion of words into a caption, with correct case, articles and spacing.

use std::ops::Range;

use crate::article;
use crate::words::{Token, tokens};

/// A replacement of some tokens of a caption by a text.
#[derive(Debug)]
pub struct Edit {
    pub tokens: Range<usize>,
    pub text: String,
}

/// A text without case, spacing and punctuation: texts of the same key are the same caption.
pub fn key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for token in tokens(text) {
        // Emoji and other signs have a meaning; full stops and commas don't.
        if token.word || !token.lower.is_ascii() {
            key.push_str(&token.lower);
            key.push(' ');
        }
    }
    key
}

/// The caption with edits, which are in order and don't overlap; `None` if it would repeat a word or a determiner.
pub fn splice(caption: &str, of: &[Token], edits: &[Edit]) -> Option<String> {
    let mut text = String::with_capacity(caption.len() + 16);
    let mut at = 0;
    let titled = is_titled(of);
    let shouted = is_shouted(caption, of);
    for edit in edits {
        let Range { start, end } = edit.tokens;
        let (from, to) = (of[start].start, of[end - 1].end);
        text.push_str(&caption[at..from]);
        // Within a sentence a capital belongs to a name, which is replaced.
        let begins = start == 0 || matches!(of[start - 1].lower.as_str(), "." | "!" | "?");
        text.push_str(&cased(&caption[from..to], &edit.text, begins, titled, shouted));
        at = to;
    }
    text.push_str(&caption[at..]);
    let text = article::mend(of, text);
    let after = tokens(&text);
    let rises = |is_wrong: fn(&Token, &Token) -> bool| {
        let count =
            |of: &[Token]| of.windows(2).filter(|pair| is_wrong(&pair[0], &pair[1])).count();
        count(&after) > count(of)
    };
    let doubled = |one: &Token, other: &Token| one.word && one.lower == other.lower;
    let determiners =
        |one: &Token, other: &Token| is_determiner(&one.lower) && is_determiner(&other.lower);
    (!rises(doubled) && !rises(determiners)).then_some(text)
}

fn is_determiner(word: &str) -> bool {
    matches!(word, "a" | "an" | "the" | "his" | "her" | "its" | "their" | "this" | "that")
}

/// Whether nearly every word has a capital, as in titles.
fn is_titled(of: &[Token]) -> bool {
    let words = of.iter().filter(|token| token.word).count();
    of.iter().filter(|token| token.word && token.capital).count() * 4 > words * 3
}

/// Whether most words of several letters are in capitals: one in a caption is an abbreviation, a TV.
fn is_shouted(caption: &str, of: &[Token]) -> bool {
    let words = || of.iter().filter(|token| token.word && token.lower.chars().nth(1).is_some());
    let shouts = |token: &&Token| {
        let mut letters = token.of(caption).chars().filter(|letter| letter.is_alphabetic());
        letters.all(char::is_uppercase)
    };
    words().filter(shouts).count() * 2 > words().count()
}

/// A text in the case of the original: all capitals, or a capital first letter where it `begins` a sentence, or of each word in a title.
fn cased(original: &str, text: &str, begins: bool, titled: bool, shouted: bool) -> String {
    let letters = || original.chars().filter(|letter| letter.is_alphabetic());
    if shouted && letters().all(char::is_uppercase) {
        return text.to_uppercase();
    }
    if !(begins || titled) || !letters().next().is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    let mut capital = true;
    let mut cased = String::with_capacity(text.len());
    for letter in text.chars() {
        if capital {
            cased.extend(letter.to_uppercase());
        } else {
            cased.push(letter);
        }
        capital = titled && letter == ' ';
    }
    cased
}

/// The text of some tokens, without the capital of a sentence's beginning; `is_name` tells that the first token has one anywhere.
pub fn moved(caption: &str, of: &[Token], tokens: &Range<usize>, is_name: bool) -> String {
    let first = &of[tokens.start];
    let slice = &caption[first.start..of[tokens.end - 1].end];
    let whole_word_capital = first.of(caption).chars().skip(1).any(char::is_uppercase);
    let begins = tokens.start == 0 && first.capital && !is_titled(of);
    if begins && !is_name && !whole_word_capital && !first.opaque && first.lower != "i" {
        let rest = &slice[first.end - first.start..];
        return format!("{}{rest}", first.lower);
    }
    slice.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Edit, key, moved, splice};
    use crate::words::tokens;

    fn edited(caption: &str, edits: &[(usize, usize, &str)]) -> Option<String> {
        let edits = edits.iter();
        let edits = edits.map(|&(from, to, text)| Edit { tokens: from..to, text: text.to_owned() });
        splice(caption, &tokens(caption), &edits.collect::<Vec<_>>())
    }

    #[test]
    fn case_articles_and_spacing_come_out_right() {
        for (caption, edits, expected) in [
            ("A dog runs.", &[(1, 2, "elephant")][..], Some("An elephant runs.")),
            ("An old man", &[(1, 2, "young")], Some("A young man")),
            ("DOGS RUN", &[(0, 1, "cats")], Some("CATS RUN")),
            ("Dogs  run", &[(0, 1, "cats")], Some("Cats  run")),
            ("an African dog", &[(1, 3, "cat")], Some("a cat")),
            ("A Red Dog Runs", &[(2, 3, "cat")], Some("A Red Cat Runs")),
            ("A Red Dog Runs", &[(2, 3, "polar bear")], Some("A Red Polar Bear Runs")),
            ("Dogs run. Cats sit.", &[(3, 4, "birds")], Some("Dogs run. Birds sit.")),
            ("He saw a hour", &[(0, 1, "she")], Some("She saw a hour")),
            ("on a bus", &[(2, 3, "hour")], Some("on an hour")),
            ("a big big dog", &[(3, 4, "cat")], Some("a big big cat")),
            ("a cat sees a dog", &[(2, 3, "a")], None),
            ("one dog two cats", &[(2, 3, "dog")], None),
        ] {
            assert_eq!(edited(caption, edits).as_deref(), expected, "{caption}");
        }
    }

    #[test]
    fn a_moved_beginning_loses_its_capital() {
        let low = |caption: &str| moved(caption, &tokens(caption), &(0..2), false);
        assert_eq!(low("The dog sleeps"), "the dog");
        assert_eq!(moved("Paris at night", &tokens("Paris at night"), &(0..1), true), "Paris");
        assert_eq!(low("Red Roses, White Lilies"), "Red Roses");
        assert_eq!(low("TV set here"), "TV set");
        assert_eq!(low("I see"), "I see");
    }

    #[test]
    fn one_key_one_caption() {
        assert_eq!(key("A dog, running."), key("a  DOG running"));
        assert_ne!(key("a dog"), key("a dog 🐕"));
    }
}
