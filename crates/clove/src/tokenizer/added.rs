//! Tokens that were added to a vocabulary: each is found in a text as a whole, before the text is split into words.

use super::clean_text;

/// An added token.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) id: u32,
    pub(super) content: String,
    /// Whether it must not touch a letter or a digit.
    pub(super) single_word: bool,
}

/// The added tokens of a vocabulary.
#[derive(Debug, Default)]
pub(super) struct AddedTokens {
    /// Found in texts as they are.
    raw: Vec<Added>,
    /// Found in cleaned texts.
    cleaned: Vec<Added>,
}

/// A part of a text.
pub(super) enum Piece<'a> {
    /// An added token.
    Token(&'a Added),
    /// Cleaned text without one.
    Text(&'a str),
}

impl AddedTokens {
    /// Adds a token, which is cleaned like the texts if it's to be found in cleaned ones.
    pub(super) fn add(&mut self, mut token: Added, is_cleaned: bool) {
        if is_cleaned {
            token.content = clean_text(&token.content);
        }
        if !token.content.is_empty() {
            let tokens = if is_cleaned { &mut self.cleaned } else { &mut self.raw };
            tokens.push(token);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Added> {
        self.raw.iter().chain(&self.cleaned)
    }

    /// Cleans a text and splits it at the tokens.
    // Source: huggingface/tokenizers: tokenizers/src/tokenizer/added_vocabulary.rs (`extract_and_normalize`).
    pub(super) fn split(&self, text: &str, mut handle: impl FnMut(&Piece<'_>)) {
        for piece in pieces(text, &self.raw) {
            match piece {
                Piece::Token(_) => handle(&piece),
                Piece::Text(text) => {
                    pieces(&clean_text(text), &self.cleaned).iter().for_each(&mut handle);
                }
            }
        }
    }
}

/// The pieces of a text. Of tokens that begin at one place the longest is taken.
fn pieces<'a>(text: &'a str, tokens: &'a [Added]) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    // The text from here on is in no piece yet.
    let mut start = 0;
    let mut at = 0;
    while !tokens.is_empty() && at < text.len() {
        let rest = &text[at..];
        let fits = |token: &&Added| {
            rest.strip_prefix(token.content.as_str())
                .is_some_and(|after| !token.single_word || !touches(&text[..at], after))
        };
        match tokens.iter().filter(fits).max_by_key(|token| token.content.len()) {
            Some(token) => {
                pieces.push(Piece::Text(&text[start..at]));
                pieces.push(Piece::Token(token));
                at += token.content.len();
                start = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    pieces.push(Piece::Text(&text[start..]));
    pieces
}

/// Whether a token between these texts is part of a longer word.
fn touches(before: &str, after: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    before.ends_with(is_word) || after.starts_with(is_word)
}
