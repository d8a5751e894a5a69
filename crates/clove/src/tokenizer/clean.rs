//! Cleans a caption before tokenization, like open_clip 3.3.
//!
//! open_clip/tokenizer.py, `_clean_lower`: ftfy's fixes, HTML unescaped twice, white space collapsed, lower case. The
//! fixes and their order are those of Robyn Speer's ftfy 6.3 (ftfy/__init__.py, fix_text; Apache-2.0), with all defaults.

use super::entities::{unescape, unescape_careful};
use super::mojibake::{fix_c1_controls, fix_encoding};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// ftfy's maximum length of a segment, in characters, which bounds its time.
const LONGEST_SEGMENT: usize = 1_000_000;

/// Cleans `text` as open_clip's default tokenizer does (`clean='lower'`).
///
/// Repairs text that was decoded with the wrong encoding, straightens quotes, resolves ligatures, full-width letters and HTML references,
/// drops control characters and terminal escapes, composes accents (NFC), collapses white space, and lowers case.
pub fn clean_text(text: &str) -> String {
    // Most captions are plain ASCII, which ftfy and HTML don't change.
    let is_plain =
        |byte: u8| matches!(byte, b'\t' | b'\n' | b'\x0C' | b'\r' | b' '..=b'~') && byte != b'&';
    if text.bytes().all(is_plain) {
        let mut text = collapse_space(text);
        text.make_ascii_lowercase();
        return text;
    }
    let fixed = fix_text(text);
    collapse_space(&unescape(&unescape(&fixed))).to_lowercase()
}

/// White space by Python's `str.isspace`: Unicode's, and the four separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1C'..='\x1F')
}

fn collapse_space(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// ftfy.fix_text: fixes each line separately.
fn fix_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A `<` indicates HTML, whose references are kept from that line on.
    let mut unescapes = true;
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while !rest.is_empty() {
            let end = rest.char_indices().nth(LONGEST_SEGMENT).map_or(rest.len(), |(i, _)| i);
            let (segment, after) = rest.split_at(end);
            unescapes &= !segment.contains('<');
            out.push_str(&fix_segment(segment, unescapes));
            rest = after;
        }
    }
    out
}

/// ftfy.fix_and_explain: the fixes in their order, repeated until nothing changes.
fn fix_segment(segment: &str, unescapes: bool) -> String {
    let mut text = segment.to_owned();
    loop {
        let unescaped =
            if unescapes { unescape_careful(&text) } else { Cow::Borrowed(text.as_str()) };
        let decoded = fix_encoding(&unescaped);
        let mapped = map_characters(&fix_c1_controls(&decoded));
        let fixed: String =
            drop_terminal_escapes(&mapped).chars().filter(|&c| !is_unwanted(c)).nfc().collect();
        if fixed == text {
            return fixed;
        }
        text = fixed;
    }
}

/// The fixes of single characters: ligatures, width, quotes and line breaks, in this order, which are independent but for U+0149.
fn map_characters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            'ŉ' => out.push_str("'n"),
            'ﬅ' => out.push_str("ſt"),
            'ﬆ' => out.push_str("st"),
            '\u{3000}' => out.push(' '),
            'Ĳ' | 'ĳ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | 'ﬀ'..='ﬄ' | '\u{FF01}'..='\u{FFEF}' => {
                out.extend(std::iter::once(c).nfkc());
            }
            '\u{2BC}' | '\u{2018}'..='\u{201B}' => out.push('\''),
            '\u{201C}'..='\u{201F}' => out.push('"'),
            '\r' => {
                characters.next_if_eq(&'\n');
                out.push('\n');
            }
            '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            _ => out.push(c),
        }
    }
    out
}

/// Removes the sequences that colour a terminal's text, such as ESC `[36;44m`.
fn drop_terminal_escapes(text: &str) -> Cow<'_, str> {
    const START: &str = "\x1B[";
    if !text.contains(START) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let inside = &rest[at + START.len()..];
        // Python's `\d` is the decimal digit of any script; this takes fractions and the like, too, which never occur.
        let end = inside.trim_start_matches(|c: char| c == ';' || c.is_numeric());
        if end.starts_with(|c: char| c.is_ascii_alphabetic()) {
            out.push_str(&rest[..at]);
            rest = &end[1..];
        } else {
            out.push_str(&rest[..at + START.len()]);
            rest = inside;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Control characters that nobody means to write (ftfy/chardata.py, CONTROL_CHARS).
fn is_unwanted(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x08'
            | '\x0B'
            | '\x0E'..='\x1F'
            | '\x7F'
            | '\u{206A}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFC}'
    )
}
