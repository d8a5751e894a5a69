//! A caption's tokens: where they stand, and what they look like.
//!
//! Words are cut as the Penn Treebank does where it matters here: the possessive and the negation stand apart (`man 's`,
//! `is n't`), punctuation is its own token. A word with hyphens is one token, since WordNet has many of them.

/// A token of a caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// First byte in the caption.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// In lower case.
    pub lower: String,
    /// Whether it begins with a capital.
    pub capital: bool,
    /// Whether it has a letter or a digit in it.
    pub word: bool,
}

impl Token {
    /// A text that is one token, whatever is in it: treebanks have their own.
    #[must_use]
    pub fn whole(text: &str) -> Self {
        Self::new(text, 0, text.len())
    }

    fn new(text: &str, start: usize, end: usize) -> Self {
        let slice = &text[start..end];
        Self {
            start,
            end,
            lower: if slice.is_ascii() { slice.to_ascii_lowercase() } else { slice.to_lowercase() },
            capital: slice.chars().next().is_some_and(char::is_uppercase),
            word: slice.chars().any(char::is_alphanumeric),
        }
    }

    /// As it stands in the caption.
    #[must_use]
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }
}

/// Cuts a text into tokens, in order, none empty, with white space and control characters between them left out.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 5 + 2);
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if first.is_whitespace() || first.is_control() {
            continue;
        }
        let mut end = start + first.len_utf8();
        if is_inner(first) {
            while let Some(&(at, next)) = chars.peek() {
                let joins = is_inner(next)
                    || (is_joint(next)
                        && text[at + next.len_utf8()..].chars().next().is_some_and(is_inner));
                if !joins {
                    break;
                }
                end = at + next.len_utf8();
                chars.next();
            }
            push_word(&mut tokens, text, start, end);
        } else {
            tokens.push(Token::new(text, start, end));
        }
    }
    tokens
}

/// A character that words are made of.
fn is_inner(character: char) -> bool {
    character.is_alphanumeric()
        // Combining marks and joiners belong to the letter before them.
        || matches!(character, '\u{300}'..='\u{36f}' | '\u{200d}')
}

/// A character that joins two parts of a word.
fn is_joint(character: char) -> bool {
    matches!(character, '-' | '\'' | '\u{2019}' | '\u{2010}' | '\u{2011}' | '.' | ',' | '/' | '&')
}

/// One word, with what stands apart in it.
fn push_word(tokens: &mut Vec<Token>, text: &str, start: usize, end: usize) {
    let slice = &text[start..end];
    // Nearly every word, and nothing stands apart in it.
    if slice.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        tokens.push(Token::new(text, start, end));
        return;
    }
    // A point, comma, slash or ampersand joins digits and single letters only: 3.5, 1,000, U.S., w/o, b&w.
    if let Some(at) = slice.find(['.', ',', '/', '&'])
        && !slice
            .split(['.', ',', '/', '&'])
            .all(|part| part.chars().count() == 1 || part.bytes().all(|byte| byte.is_ascii_digit()))
    {
        push_word(tokens, text, start, start + at);
        tokens.push(Token::new(text, start + at, start + at + 1));
        push_word(tokens, text, start + at + 1, end);
        return;
    }
    let cut = clitic(slice).map_or(end, |length| end - length);
    tokens.push(Token::new(text, start, cut));
    if cut < end {
        tokens.push(Token::new(text, cut, end));
    }
}

/// Bytes of what stands apart at a word's end: `'s`, `n't`, `'re`.
fn clitic(word: &str) -> Option<usize> {
    let ends = |ending: &str| {
        word.len() > ending.len()
            && word.is_char_boundary(word.len() - ending.len())
            && word[word.len() - ending.len()..].eq_ignore_ascii_case(ending)
    };
    [
        "'s",
        "\u{2019}s",
        "n't",
        "n\u{2019}t",
        "'re",
        "\u{2019}re",
        "'ll",
        "\u{2019}ll",
        "'ve",
        "\u{2019}ve",
        "'d",
        "\u{2019}d",
        "'m",
        "\u{2019}m",
    ]
    .into_iter()
    .find(|ending| ends(ending))
    .map(str::len)
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn cut(text: &str) -> Vec<&str> {
        tokens(text).iter().map(|token| token.of(text)).collect()
    }

    #[test]
    fn captions_are_cut_as_treebanks_are() {
        for (text, expected) in [
            ("A man's dog.", &["A", "man", "'s", "dog", "."][..]),
            ("It isn't a t-shirt", &["It", "is", "n't", "a", "t-shirt"]),
            ("cats,dogs and 3.5 pies", &["cats", ",", "dogs", "and", "3.5", "pies"]),
            ("girls' room", &["girls", "'", "room"]),
            ("black & white b&w", &["black", "&", "white", "b&w"]),
            ("  \t\u{7}", &[]),
            ("🐕 café—bar", &["🐕", "café", "—", "bar"]),
            ("the man/woman", &["the", "man", "/", "woman"]),
        ] {
            assert_eq!(cut(text), expected, "{text:?}");
        }
    }
}
