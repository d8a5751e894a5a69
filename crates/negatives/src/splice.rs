//! Putting words into a caption: case, articles and spacing come out as a writer would have them.

use crate::article;
use crate::words::{Token, tokens};

/// Tokens `start..end` of a caption give way to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub start: usize,
    pub end: usize,
    pub text: String,
}

/// What a text says, whatever its case, spacing and punctuation: texts of one key are one caption.
pub fn key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for token in tokens(text) {
        // Emoji and other signs say something too; full stops and commas don't.
        if token.word || !token.lower.is_ascii() {
            key.push_str(&token.lower);
            key.push(' ');
        }
    }
    key
}

/// The caption with the edits made, which are in order and apart; none if a word would stand twice in a row.
pub fn splice(caption: &str, of: &[Token], edits: &[Edit]) -> Option<String> {
    let mut text = String::with_capacity(caption.len() + 16);
    let mut at = 0;
    let words = of.iter().filter(|token| token.word).count();
    let titled = of.iter().filter(|token| token.word && token.capital).count() * 4 > words * 3;
    for edit in edits {
        let (from, to) = (of[edit.start].start, of[edit.end - 1].end);
        text.push_str(&caption[at..from]);
        // Within a sentence a capital belongs to a name, which goes with it.
        let begins =
            edit.start == 0 || matches!(of[edit.start - 1].lower.as_str(), "." | "!" | "?");
        text.push_str(&cased(&caption[from..to], &edit.text, begins || titled));
        at = to;
    }
    text.push_str(&caption[at..]);
    let text = article::mend(of, text);
    let after = tokens(&text);
    let doubled = |tokens: &[Token]| {
        tokens.windows(2).filter(|pair| pair[0].word && pair[0].lower == pair[1].lower).count()
    };
    let determiners = |tokens: &[Token]| {
        tokens
            .windows(2)
            .filter(|pair| pair.iter().all(|token| is_determiner(&token.lower)))
            .count()
    };
    (doubled(&after) <= doubled(of) && determiners(&after) <= determiners(of)).then_some(text)
}

fn is_determiner(word: &str) -> bool {
    matches!(word, "a" | "an" | "the" | "his" | "her" | "its" | "their" | "this" | "that")
}

/// A text in the case of what it replaces: all capitals, or where it `begins` something its first letter.
fn cased(original: &str, text: &str, begins: bool) -> String {
    let letters = || original.chars().filter(|letter| letter.is_alphabetic());
    if letters().count() > 1 && letters().all(char::is_uppercase) {
        return text.to_uppercase();
    }
    if begins && letters().next().is_some_and(char::is_uppercase) {
        let mut chars = text.chars();
        return match chars.next() {
            Some(first) => first.to_uppercase().chain(chars).collect(),
            None => String::new(),
        };
    }
    text.to_owned()
}

/// Tokens `start..end` as they stand, but with no capital that only a sentence's beginning asked for.
pub fn moved(caption: &str, of: &[Token], start: usize, end: usize) -> String {
    let slice = &caption[of[start].start..of[end - 1].end];
    let first = &of[start];
    let whole_word_capital = first.of(caption).chars().skip(1).any(char::is_uppercase);
    if start == 0 && first.capital && !whole_word_capital && first.lower != "i" {
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
        let edits: Vec<Edit> = edits
            .iter()
            .map(|&(start, end, text)| Edit { start, end, text: text.to_owned() })
            .collect();
        splice(caption, &tokens(caption), &edits)
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
        let low = |caption: &str| moved(caption, &tokens(caption), 0, 2);
        assert_eq!(low("The dog sleeps"), "the dog");
        assert_eq!(low("TV set here"), "TV set");
        assert_eq!(low("I see"), "I see");
    }

    #[test]
    fn one_key_one_caption() {
        assert_eq!(key("A dog, running."), key("a  DOG running"));
        assert_ne!(key("a dog"), key("a dog 🐕"));
    }
}
