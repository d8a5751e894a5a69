//! Splits cleaned text into words, and writes words in the vocabulary's alphabet, as input of BPE.

use unicode_normalization::char::is_combining_mark;

/// The words of `text`: contractions, runs of letters, single numbers, and runs of anything else but white space.
///
/// This is CLIP's pattern `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`, case-insensitive
/// (openai/CLIP, simple_tokenizer.py), without its special tokens, which are ordinary text here. It's written as code, because a
/// regular expression engine would be the largest part of the tokenizer in a web page.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c| kind(c) == Kind::None);
        let first = rest.chars().next()?;
        let end = match (contraction(rest), kind(first)) {
            (Some(end), _) => end,
            (None, Kind::Number) => first.len_utf8(),
            (None, run) => rest.find(|c| kind(c) != run).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Letter,
    Number,
    Other,
    None,
}

fn kind(c: char) -> Kind {
    match c {
        'a'..='z' | 'A'..='Z' => Kind::Letter,
        '0'..='9' => Kind::Number,
        // The case-insensitive pattern drops the iota subscript, which is a mark and whose capital is a letter.
        '\u{345}' => Kind::None,
        _ if c.is_whitespace() => Kind::None,
        _ if c.is_ascii() => Kind::Other,
        _ if is_letter(c) => Kind::Letter,
        _ if c.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// Whether the general category is a letter's (`\p{L}`).
///
/// The standard library's Alphabetic has letters, letter-like numbers, some marks, and circled or squared Latin letters.
pub(super) fn is_letter(c: char) -> bool {
    c.is_alphabetic()
        && !c.is_numeric()
        && !is_combining_mark(c)
        && !matches!(c, '\u{24B6}'..='\u{24E9}' | '\u{1F130}'..='\u{1F149}' | '\u{1F150}'..='\u{1F169}' | '\u{1F170}'..='\u{1F189}')
}

/// The length of the contraction that `text` starts with. The long s counts as an s.
fn contraction(text: &str) -> Option<usize> {
    let tail = text.strip_prefix('\'')?;
    if tail.starts_with('ſ') {
        return Some(1 + 'ſ'.len_utf8());
    }
    let starts = |ending: &&str| {
        tail.get(..ending.len()).is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
    };
    ["s", "t", "re", "ve", "m", "ll", "d"]
        .iter()
        .find(|ending| starts(ending))
        .map(|ending| 1 + ending.len())
}

/// The vocabulary's character for `byte`: itself if printable in Latin-1, else from U+0100 (OpenAI's bytes_to_unicode).
pub(super) fn symbol(byte: u8) -> char {
    let others = match byte {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => return char::from(byte),
        0x00..=0x20 => 0,
        0x7F..=0xA0 => 0x7F - 0x21,
        0xAD => 0xAD - 0x21 - 0x22,
    };
    // At most U+0143, so never a surrogate.
    char::from_u32(0x100 + u32::from(byte) - others).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Replaces `out` by the symbols of the bytes of `word`.
pub(super) fn write_symbols(word: &str, out: &mut String) {
    out.clear();
    if word.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.push_str(word);
    } else {
        out.extend(word.bytes().map(symbol));
    }
}
