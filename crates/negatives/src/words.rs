//! A caption's tokens.
//!
//! Words are split as in the Penn Treebank where it matters here: the possessive and the negation are tokens of their own (`man 's`,
//! `is n't`), and so is punctuation. A word with hyphens is one token, since WordNet has many of them. What isn't language stays whole, in
//! [`opaque`](Token::opaque) tokens: web and e-mail addresses, names of files, handles, tags, times and ratios, markup.

mod whole;

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
    /// Whether it has a letter or a digit.
    pub word: bool,
    /// Whether it is no word of a language: an address, a file, a time, markup.
    pub opaque: bool,
}

impl Token {
    /// A text as a single token, for treebanks, which have their own tokens.
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
            opaque: false,
        }
    }

    /// Its text in the caption.
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }
}

/// Splits a text into tokens, without white space and control characters.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 5 + 2);
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if first.is_whitespace() || first.is_control() {
            continue;
        }
        let mut end = start + first.len_utf8();
        if let Some(token) = whole::whole(text, start) {
            while chars.next_if(|(at, _)| *at < token.end).is_some() {}
            tokens.push(token);
        } else if is_inner(first) {
            while let Some(&(at, next)) = chars.peek() {
                let joins = is_inner(next)
                    || (is_joint(next)
                        && whole::entity(&text[at..]).is_none()
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

/// A character of a word.
fn is_inner(character: char) -> bool {
    character.is_alphanumeric()
        // Combining marks and joiners belong to the letter before them.
        || matches!(character, '\u{300}'..='\u{36f}' | '\u{200d}')
}

/// A character that joins two parts of a word.
fn is_joint(character: char) -> bool {
    matches!(character, '-' | '\'' | '\u{2019}' | '\u{2010}' | '\u{2011}' | '.' | ',' | '/' | '&')
}

/// Adds a word and the tokens that are split off it.
fn push_word(tokens: &mut Vec<Token>, text: &str, start: usize, end: usize) {
    let slice = &text[start..end];
    // Nearly every word has nothing to split off.
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

/// Bytes of the clitic at a word's end: `'s`, `n't`, `'re`.
fn clitic(word: &str) -> Option<usize> {
    const ENDINGS: [&str; 14] = [
        "'s", "’s", "n't", "n’t", "'re", "’re", "'ll", "’ll", "'ve", "’ve", "'d", "’d", "'m", "’m",
    ];
    ENDINGS.iter().find_map(|ending| {
        let (start, end) = word.split_at_checked(word.len().checked_sub(ending.len())?)?;
        (!start.is_empty() && end.eq_ignore_ascii_case(ending)).then_some(end.len())
    })
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

    #[test]
    fn what_is_no_language_stays_whole() {
        for (text, expected) in [
            ("5 people at 7:30.", &["5", "people", "at", "7:30", "."][..]),
            ("a 16:9 photo", &["a", "16:9", "photo"]),
            (
                "see https://a.example/red-car.html, now",
                &["see", "https://a.example/red-car.html", ",", "now"],
            ),
            ("(www.example.com)", &["(", "www.example.com", ")"]),
            ("mail info@example.com!", &["mail", "info@example.com", "!"]),
            ("IMG_2041.JPG red-car.jpg", &["IMG_2041.JPG", "red-car.jpg"]),
            ("@user #dog", &["@user", "#dog"]),
            ("a dog &amp; a cat&amp;co", &["a", "dog", "&amp;", "a", "cat", "&amp;", "co"]),
            ("<b>red</b> car", &["<b>", "red", "</b>", "car"]),
            ("a dog.A cat a<b", &["a", "dog", ".", "A", "cat", "a", "<", "b"]),
        ] {
            assert_eq!(cut(text), expected, "{text:?}");
        }
        let found = tokens("a dog &amp; 7:30");
        assert!(found[2].lower == "&" && !found[2].word && found[3].opaque);
    }
}
