//! Repairs UTF-8 text that was decoded with a single-byte encoding.
//!
//! The method is that of Robyn Speer's ftfy 6.3 (ftfy/__init__.py, fix_encoding; ftfy/fixes.py; ftfy/chardata.py;
//! ftfy/bad_codecs/utf8_variants.py; Apache-2.0), with all of its defaults. Text without mojibake by `badness` isn't changed.

use super::badness::{expand, is_bad};
use super::charmaps::{CHARMAPS, windows_1252};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Maximum depth of repairs inside repaired stretches of text, which keeps malicious text from overflowing the stack.
const MAX_DEPTH: usize = 48;

/// Undoes wrong decodings until nothing changes.
pub(super) fn fix_encoding(text: &str) -> String {
    fix_nested(text, 0)
}

fn fix_nested(text: &str, depth: usize) -> String {
    let mut text = text.to_owned();
    while let Some(fixed) = fix_one_step(&text, depth).filter(|fixed| *fixed != text) {
        text = fixed;
    }
    text
}

/// Undoes one wrong decoding; `None` if there is none to undo.
fn fix_one_step(text: &str, depth: usize) -> Option<String> {
    if text.is_ascii() || !is_bad(text) {
        return None;
    }
    let mut is_latin_1 = false;
    for charmap in CHARMAPS.iter() {
        let Some(mut bytes) = charmap.encode(text) else {
            continue;
        };
        is_latin_1 |= charmap.is_latin_1();
        if !charmap.mac_roman {
            bytes = restore_byte_a0(&bytes);
        }
        if charmap.sloppy {
            bytes = replace(&bytes, LOSSY, |_, out| out.extend("\u{FFFD}".as_bytes()));
        }
        if let Some(fixed) = decode_utf8(&bytes) {
            return Some(fixed);
        }
    }
    let fixed = decode_inconsistent_utf8(text, depth);
    if fixed != text {
        return Some(fixed);
    }
    if is_latin_1 {
        // Fails for unassigned bytes; the code below handles single characters.
        let read = |c| match c {
            '\u{80}'..='\u{9F}' => windows_1252(c as u8),
            _ => Some(c),
        };
        match text.chars().map(read).collect::<Option<String>>() {
            Some(fixed) if fixed != text => return Some(fixed),
            _ => {}
        }
    }
    Some(fix_c1_controls(text).into_owned())
}

/// Decodes C1 control characters as Windows-1252, like browsers.
pub(super) fn fix_c1_controls(text: &str) -> Cow<'_, str> {
    let is_c1 = |c: char| ('\u{80}'..='\u{9F}').contains(&c);
    if !text.contains(is_c1) {
        return Cow::Borrowed(text);
    }
    let fix = |c| {
        if is_c1(c) { windows_1252(c as u8).unwrap_or(c) } else { c }
    };
    Cow::Owned(text.chars().map(fix).collect())
}

/// One place of a byte pattern: the ranges of bytes that fit.
type Bytes = &'static [(u8, u8)];

const CONTINUATION: (u8, u8) = (0x80, 0xBF);
const BLANK: Bytes = &[(b' ', b' ')];
const NOT_DOTS: Bytes = &[(0x80, 0x84), (0x86, 0x9F), (0xA1, 0xBF)];
const ANY: Bytes = &[CONTINUATION];
const FOUR: Bytes = &[(0xF0, 0xF0)];

/// UTF-8 in which a no-break space (byte 0xA0) has become a space (ALTERED_UTF8_RE).
const ALTERED: &[&[Bytes]] = &[
    &[&[(0xC2, 0xC3), (0xC5, 0xC5), (0xCE, 0xCE), (0xD0, 0xD0), (0xD9, 0xD9)], BLANK],
    &[&[(0xE2, 0xE3)], BLANK, NOT_DOTS],
    &[&[(0xE0, 0xE3)], NOT_DOTS, BLANK],
    &[FOUR, BLANK, ANY, ANY],
    &[FOUR, ANY, BLANK, ANY],
    &[FOUR, ANY, ANY, BLANK],
];

// In the sloppy encodings 0x1A is a lost byte, which sometimes appears as a question mark.
const LOST: (u8, u8) = (0x1A, 0x1A);
const GAP: Bytes = &[LOST, (b'?', b'?')];
const KEPT: Bytes = &[LOST, CONTINUATION];
const HIGH: [Bytes; 2] = [&[(0xED, 0xED)], &[(0xA0, 0xAF)]];
const LOW: [Bytes; 2] = [&[(0xED, 0xED)], &[(0xB0, 0xBF)]];
const EITHER: Bytes = &[LOST, (b'?', b'?'), CONTINUATION];
const LEAD_3: Bytes = &[(0xE0, 0xEF)];
const LEAD_4: Bytes = &[(0xF0, 0xF4)];

/// UTF-8 and CESU-8 sequences that have lost bytes (LOSSY_UTF8_RE).
const LOSSY: &[&[Bytes]] = &[
    &[&[(0xC2, 0xDF)], &[LOST]],
    &[&[(0xC2, 0xC3)], &[(b'?', b'?')]],
    &[HIGH[0], HIGH[1], GAP, LOW[0], LOW[1], EITHER],
    &[HIGH[0], HIGH[1], EITHER, LOW[0], LOW[1], GAP],
    &[LEAD_3, GAP, KEPT],
    &[LEAD_3, KEPT, GAP],
    &[LEAD_4, GAP, KEPT, KEPT],
    &[LEAD_4, KEPT, GAP, KEPT],
    &[LEAD_4, KEPT, KEPT, GAP],
    &[&[LOST]],
];

/// Passes every match of the patterns (the first that fits at a place) to `write`, and copies the rest.
fn replace(bytes: &[u8], patterns: &[&[Bytes]], write: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    let fits = |rest: &[u8], pattern: &[Bytes]| {
        let inside = |(byte, place): (&u8, &Bytes)| {
            place.iter().any(|&(low, high)| (low..=high).contains(byte))
        };
        rest.len() >= pattern.len() && rest.iter().zip(pattern).all(inside)
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(pattern) = patterns.iter().find(|pattern| fits(rest, pattern)) {
            let (matched, after) = rest.split_at(pattern.len());
            write(matched, &mut out);
            rest = after;
        } else {
            out.push(byte);
            rest = after;
        }
    }
    out
}

/// Restores the byte 0xA0 where a space replaces it.
fn restore_byte_a0(bytes: &[u8]) -> Vec<u8> {
    // A lone "Ã " is the French word "à" and keeps its space, except in Portuguese "às", "àquele" and similar words.
    let mut kept = Vec::with_capacity(bytes.len());
    for (i, &byte) in bytes.iter().enumerate() {
        let (before, rest) = bytes.split_at(i);
        let joins = |word: &&[u8]| rest[1..].starts_with(word);
        if byte == b' '
            && before.ends_with(&[0xC3])
            && ![&b" "[..], b"quele", b"quela", b"quilo", b"s "].iter().any(joins)
        {
            kept.push(0xA0);
        }
        kept.push(byte);
    }
    replace(&kept, ALTERED, |matched, out| {
        out.extend(matched.iter().map(|&byte| if byte == b' ' { 0xA0 } else { byte }));
    })
}

/// Decodes UTF-8, and after the byte 0xED or 0xC0 also CESU-8 and Java's NUL, which strict UTF-8 forbids.
fn decode_utf8(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        // The second form of each is an accident of ftfy's patterns, whose `$` also matches before a last newline.
        match *rest {
            [0xC0, 0x80 | b'\n', ref after @ ..] if rest[1] == 0x80 || after.is_empty() => {
                out.push(0);
                rest = after;
            }
            [0xED, a @ 0xA0..=0xAF, b @ 0x80..=0xBF, 0xED, c @ 0xB0..=0xBF, d, ref after @ ..]
                if (0x80..=0xBF).contains(&d) || (d == b'\n' && after.is_empty()) =>
            {
                let bits = |byte: u8, mask: u8| u32::from(byte & mask);
                let code = 0x1_0000
                    + (bits(a, 15) << 16 | bits(b, 63) << 10 | bits(c, 15) << 6 | bits(d, 63));
                out.extend(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            [byte, ref after @ ..] => {
                out.push(byte);
                rest = after;
            }
            [] => return String::from_utf8(out).ok(),
        }
    }
}

/// Lead characters of 2, 3 and 4 bytes, their possible successors, and excluded predecessors (UTF8_CLUES).
const LEADS: [&str; 3] = [
    "Â-ßĀĂĆČĎĐĒĖĘĚĞĢĪİĶĹĻŁŃŅŇŌŐŘŚŞŠŢŪŮŰŲŹŻŽ×Β-ΡΣ-ίВ-Я",
    "à-ïāăąćčďēėęěģīįķĺļŕźΰ-οа-п",
    "ðóđğšπσру",
];
const FOLLOWING: &str = "\u{80}-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞşŠšŤťŸŹźŻżŽžƒˆˇ˘˛˜˝΄ΆΈΉΊΌΎΏЁ-ЌЎЏё-ќўџҐґ†‡‰‹›€№™΅";
const FOLLOWING_LOOSELY: &str = " –—―‘’‚“”„•…";

struct Clues {
    leads: [HashSet<char>; 3],
    following: HashSet<char>,
    following_strictly: HashSet<char>,
}

static CLUES: LazyLock<Clues> = LazyLock::new(|| Clues {
    leads: LEADS.map(|set| expand(set).collect()),
    following: expand(FOLLOWING).chain(FOLLOWING_LOOSELY.chars()).collect(),
    following_strictly: expand(FOLLOWING).collect(),
});

/// Repairs the stretches that look like UTF-8, if the text as a whole can't be repaired.
fn decode_inconsistent_utf8(text: &str, depth: usize) -> String {
    if depth >= MAX_DEPTH {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(first) = rest.chars().next() {
        let found = match before {
            Some(c) if CLUES.following_strictly.contains(&c) => 0,
            _ => stretch(rest),
        };
        let (piece, after) = rest.split_at(if found == 0 { first.len_utf8() } else { found });
        // A stretch must be shorter than the text, so that the recursion ends.
        if found > 0 && piece.len() < text.len() && is_bad(piece) {
            out.push_str(&fix_nested(piece, depth + 1));
        } else {
            out.push_str(piece);
        }
        before = piece.chars().next_back();
        rest = after;
    }
    out
}

/// Length in bytes of the run of characters at the start of `text` that look like UTF-8 sequences.
fn stretch(text: &str) -> usize {
    let mut characters = text.char_indices();
    loop {
        let end = characters.offset();
        let Some((_, lead)) = characters.next() else {
            return end;
        };
        let Some(length) = CLUES.leads.iter().position(|leads| leads.contains(&lead)) else {
            return end;
        };
        for _ in 0..=length {
            match characters.next() {
                Some((_, c)) if CLUES.following.contains(&c) => {}
                _ => return end,
            }
        }
    }
}
