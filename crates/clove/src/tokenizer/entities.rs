//! HTML character references, by the rules of Python's `html.unescape` and by ftfy's stricter ones.

use super::charmaps::windows_1252;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

/// The 2,125 names of HTML 5, made by tests/golden/make_tokens.py: NUL-separated, `name=characters`, or
/// `name*characters` for the 106 that also count without a semicolon.
const PACKED: &[u8] = include_bytes!("html_entities.deflate");

/// Maximum length of a name (Python's Lib/html/__init__.py).
const LONGEST_NAME: usize = 32;

struct Entity {
    characters: String,
    /// Whether it's also valid without its semicolon.
    bare: bool,
}

static ENTITIES: LazyLock<HashMap<String, Entity>> = LazyLock::new(|| {
    let mut table = String::new();
    flate2::read::DeflateDecoder::new(PACKED)
        .read_to_string(&mut table)
        .expect("the embedded table is a whole deflate stream of UTF-8");
    let split = |entry: &str| {
        let at = entry.find(['=', '*'])?;
        let (name, value) = entry.split_at(at);
        let entity = Entity { characters: value[1..].to_owned(), bare: value.starts_with('*') };
        Some((name.to_owned(), entity))
    };
    table.split('\0').filter_map(split).collect()
});

/// Replaces character references like browsers, with or without a semicolon (Python's `html.unescape`).
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    replace(text, |rest| {
        if let Some(number) = rest.strip_prefix("&#") {
            let (value, digits) = numeric(number)?;
            return Some((digits + 2, value));
        }
        let name = rest[1..]
            .split(['\t', '\n', '\u{C}', ' ', '<', '&', '#', ';'])
            .next()
            .unwrap_or_default();
        let name = match name.char_indices().nth(LONGEST_NAME) {
            Some((end, _)) => &name[..end],
            None => name,
        };
        if rest[1 + name.len()..].starts_with(';')
            && let Some(entity) = ENTITIES.get(name)
        {
            return Some((name.len() + 2, Cow::Borrowed(entity.characters.as_str())));
        }
        // The longest prefix that is a name counts; the rest of the run is no reference, and has no `&`.
        let ends = name.char_indices().map(|(i, c)| i + c.len_utf8());
        ends.rev().find_map(|end| {
            let entity = ENTITIES.get(&name[..end]).filter(|entity| entity.bare)?;
            Some((end + 1, Cow::Borrowed(entity.characters.as_str())))
        })
    })
}

/// Replaces references that end in a semicolon, and those with a name in capitals (ftfy/fixes.py, unescape_html).
pub(super) fn unescape_careful(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 24;
    replace(text, |rest| {
        let start = if rest.starts_with("&#") { 2 } else { 1 };
        let length = rest[start..].bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (name, after) = rest[start..].split_at(length);
        if !(1..=LONGEST).contains(&length) || !after.starts_with(';') {
            return None;
        }
        let whole = start + length + 1;
        if start == 2 {
            let (value, digits) = numeric(&rest[2..])?;
            return (digits + 2 == whole && value != ";").then_some((whole, value));
        }
        if let Some(entity) = ENTITIES.get(name) {
            return Some((whole, Cow::Borrowed(entity.characters.as_str())));
        }
        let lower = name.to_ascii_lowercase();
        let entity = ENTITIES.get(&lower).filter(|_| name == lower.to_ascii_uppercase())?;
        let reference = &rest[..whole];
        // Names such as &GTREQQLESS; have another meaning in browsers.
        (unescape(reference) == reference)
            .then(|| (whole, Cow::Owned(entity.characters.to_uppercase())))
    })
}

/// Calls `read` at every `&`; it returns the length of the reference there, and its replacement.
fn replace(text: &str, read: impl Fn(&str) -> Option<(usize, Cow<'static, str>)>) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((length, value)) = read(rest) {
            out.push_str(&value);
            rest = &rest[length..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Reads the number after `&#`: its value, and its length in bytes with the semicolon.
fn numeric(text: &str) -> Option<(Cow<'static, str>, usize)> {
    let prefix = usize::from(text.starts_with(['x', 'X']));
    let radix = if prefix == 1 { 16 } else { 10 };
    let digits =
        text[prefix..].bytes().take_while(|byte| char::from(*byte).is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let end = prefix + digits;
    // A number too large for u32 is too large for Unicode, too.
    let number = u32::from_str_radix(&text[prefix..end], radix).unwrap_or(u32::MAX);
    let value = match number {
        0 => "\u{FFFD}".to_owned(),
        0x80..=0x9F => windows_1252(number as u8).unwrap_or(char::from(number as u8)).to_string(),
        0x01..=0x08 | 0x0B | 0x0E..=0x1F | 0x7F | 0xFDD0..=0xFDEF => String::new(),
        _ if number <= 0x10_FFFF && number & 0xFFFE == 0xFFFE => String::new(),
        _ => char::from_u32(number).unwrap_or('\u{FFFD}').to_string(),
    };
    let semicolon = usize::from(text[end..].starts_with(';'));
    Some((Cow::Owned(value), end + semicolon))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts of Python's `html.entities.html5`: 2,231 names, 106 of them without a semicolon.
    #[test]
    fn the_embedded_table_is_html_5() {
        assert_eq!(ENTITIES.len(), 2_125);
        assert_eq!(ENTITIES.values().filter(|entity| entity.bare).count(), 106);
        assert!(ENTITIES.keys().all(|name| name.len() < LONGEST_NAME));
        assert_eq!(ENTITIES["NewLine"].characters, "\n");
    }

    #[test]
    fn careful_reading_wants_a_semicolon() {
        assert_eq!(unescape("&amp &notit; &#65 &#x41;"), "& ¬it; A A");
        assert_eq!(unescape_careful("&amp &notit; &#65 &#x41;"), "&amp &notit; &#65 A");
        assert_eq!(unescape_careful("&NTILDE; &nTILDE; &SZLIG; &#59;"), "Ñ &nTILDE; SS &#59;");
    }
}
