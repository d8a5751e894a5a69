//! Detects text that was decoded with the wrong encoding (mojibake), for `mojibake`.
//!
//! The sets of characters and the rules are those of Robyn Speer's ftfy 6.3 (ftfy/badness.py, ftfy/chardata.py, Apache-2.0).

use std::collections::HashMap;
use std::sync::LazyLock;

// Kinds of characters; one character can be of several kinds.
const C1: u32 = 1;
const BAD: u32 = 1 << 1;
const LAW: u32 = 1 << 2;
const CURRENCY: u32 = 1 << 3;
const OPENING: u32 = 1 << 4;
const CLOSING: u32 = 1 << 5;
const NUMERIC: u32 = 1 << 6;
const KAOMOJI: u32 = 1 << 7;
const UPPER_ACCENTED: u32 = 1 << 8;
const LOWER_ACCENTED: u32 = 1 << 9;
const UPPER_COMMON: u32 = 1 << 10;
const LOWER_COMMON: u32 = 1 << 11;
const BOX: u32 = 1 << 12;
const COMMON: u32 = 1 << 13;
const UPPER_ASCII: u32 = 1 << 14;
const LOWER_ASCII: u32 = 1 << 15;
const SPACE: u32 = 1 << 16;
const WORD: u32 = 1 << 17;
const NOT_ASCII_LETTER: u32 = 1 << 18;
const NOT_NEWLINE: u32 = 1 << 19;

const ASCII_LETTER: u32 = UPPER_ASCII | LOWER_ASCII;
const ACCENTED: u32 = LOWER_ACCENTED | UPPER_ACCENTED;

/// The kinds that are lists of characters; `a-z` is a range.
const MEMBERS: [(u32, &str); 14] = [
    (C1, "\u{80}-\u{9F}"),
    (BAD, "¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\u{FFFD}"),
    (LAW, "§¶"),
    (CURRENCY, "¢£¥₧€"),
    (OPENING, "¡©«¿΄΅‘‚“„•‹\u{F8FF}"),
    (CLOSING, "®»˝”›™"),
    (NUMERIC, "±²³µ¹¼½¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥"),
    (KAOMOJI, "°Ò-ÖÙ-Üò-öø-üŌŐŪŲ"),
    (UPPER_ACCENTED, "À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"),
    (LOWER_ACCENTED, "ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ"),
    (UPPER_COMMON, "ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я"),
    (LOWER_COMMON, "ά-ωа-џ"),
    (BOX, "│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓"),
    (COMMON, "\u{A0}\u{AD}·´–—―…’"),
];

/// One place of a rule: a character fits if it has one of the kinds or is in the string.
type Place = (u32, &'static str);

const fn kind(kinds: u32) -> Place {
    (kinds, "")
}

const fn one_of(characters: &'static str) -> Place {
    (0, characters)
}

const BESIDE_BAD: u32 = ACCENTED | BOX | OPENING | CLOSING | CURRENCY | NUMERIC | LAW;
const ARABIC: [Place; 2] = [one_of("ØÙ"), (COMMON | CURRENCY | BAD | NUMERIC | OPENING, "ŸŠ®°µ»")];
const CYRILLIC: Place = one_of("ВГРС");
const GREEK: Place = one_of("ΒΓΞΟ");
const A_TILDE: Place = one_of("ÃÂ");
const BLANK: Place = one_of(" ");

/// Neighbours that are very rare in correctly decoded text (BADNESS_RE).
const RULES: &[&[Place]] = &[
    &[kind(C1)],
    &[kind(BAD | BESIDE_BAD), kind(BAD)],
    &[kind(ASCII_LETTER), kind(LOWER_COMMON | UPPER_COMMON), kind(BAD)],
    &[kind(BAD), kind(BESIDE_BAD)],
    &[
        kind(LOWER_ACCENTED | LOWER_COMMON | BOX | CLOSING | CURRENCY | NUMERIC),
        kind(UPPER_ACCENTED),
    ],
    &[kind(BOX | CLOSING | CURRENCY | NUMERIC), kind(LOWER_ACCENTED)],
    &[kind(LOWER_ACCENTED | BOX | CLOSING), kind(CURRENCY)],
    &[kind(SPACE), kind(UPPER_ACCENTED), kind(CURRENCY)],
    &[kind(UPPER_ACCENTED | BOX), kind(NUMERIC | LAW)],
    &[kind(ACCENTED | BOX | CURRENCY | CLOSING), kind(OPENING), kind(NUMERIC)],
    &[kind(ACCENTED | CURRENCY | NUMERIC | BOX | LAW), kind(CLOSING), kind(OPENING)],
    &[kind(CURRENCY | NUMERIC | BOX), kind(OPENING)],
    &[kind(LOWER_ASCII), kind(UPPER_ACCENTED), kind(OPENING | CURRENCY)],
    &[kind(BOX), kind(KAOMOJI)],
    &[kind(ACCENTED | CURRENCY | NUMERIC | OPENING | CLOSING | LAW), kind(BOX)],
    &[kind(BOX), kind(CLOSING)],
    &[kind(ACCENTED), kind(OPENING | CLOSING), kind(WORD)],
    &[one_of("Œœ"), kind(NOT_ASCII_LETTER)],
    &[kind(UPPER_ACCENTED), one_of("°")],
    // Windows-1252, two characters.
    &[one_of("ÂÃÎÐ"), (OPENING | CLOSING, "€œŠš¢£Ÿž\u{A0}\u{AD}®©°·»–—´")],
    &[one_of("×"), one_of("²³")],
    // Windows-1252 of Arabic: the characters are common, so four are needed.
    &[ARABIC[0], ARABIC[1], ARABIC[0], ARABIC[1]],
    // Windows-1252 of South Asian scripts.
    &[one_of("à"), one_of("²µ¹¼½¾")],
    // MacRoman.
    &[one_of("√"), one_of("±∂†≠®™´≤≥¥µø")],
    &[one_of("≈"), one_of("°¢")],
    &[one_of("‚"), one_of("Ä"), one_of("ìîïòôúùû†°¢π")],
    &[one_of("‚"), one_of("âó"), one_of("àä°ê")],
    // Windows-1251 of punctuation, of Latin-1 and Cyrillic, and on top of other mojibake.
    &[one_of("в"), one_of("Ђ")],
    &[CYRILLIC, (C1 | BAD | OPENING | CLOSING | CURRENCY, "°µ"), CYRILLIC],
    &[
        one_of("Г"),
        one_of("ў"),
        one_of("В"),
        one_of("Ђ"),
        one_of("В"),
        kind(NOT_NEWLINE),
        (ASCII_LETTER, " "),
    ],
    // Windows-1252 of à, á and the no-break space; `is_bad` adds the one that only counts at the start of the text.
    &[one_of("Ã"), one_of("\u{A0}¡")],
    &[kind(LOWER_ASCII), A_TILDE, BLANK],
    &[kind(LOWER_ASCII), kind(SPACE), A_TILDE, BLANK],
    &[(LOWER_ASCII | CLOSING, ".,?!"), one_of("Â"), (OPENING | CLOSING, " ")],
    // Windows-1253 of punctuation, and of Latin-1 and Greek.
    &[one_of("β"), one_of("€"), one_of("™\u{A0}Ά\u{AD}®°")],
    &[GREEK, (C1 | BAD | OPENING | CLOSING | CURRENCY, "°"), GREEK],
    // Windows-1257 of punctuation.
    &[one_of("ā"), one_of("€")],
];

static KINDS: LazyLock<HashMap<char, u32>> = LazyLock::new(|| {
    let mut kinds = HashMap::new();
    for (kind, members) in MEMBERS {
        for c in expand(members) {
            *kinds.entry(c).or_insert(0) |= kind;
        }
    }
    kinds
});

/// Whether two or more neighbours in `text` look like mojibake (ftfy/badness.py, is_bad).
pub(super) fn is_bad(text: &str) -> bool {
    let kinded: Vec<(char, u32)> = text.chars().map(|c| (c, kinds(c))).collect();
    if let [(first, _), (' ', _), ..] = kinded[..]
        && A_TILDE.1.contains(first)
    {
        return true;
    }
    let fits = |&(c, kinds): &(char, u32), &(wanted, listed): &Place| {
        kinds & wanted != 0 || listed.contains(c)
    };
    (0..kinded.len()).any(|start| {
        let rest = &kinded[start..];
        RULES.iter().any(|rule| {
            rest.len() >= rule.len() && rest.iter().zip(*rule).all(|(c, place)| fits(c, place))
        })
    })
}

fn kinds(c: char) -> u32 {
    let listed = if c.is_ascii() { 0 } else { KINDS.get(&c).copied().unwrap_or(0) };
    let mut kinds = listed;
    kinds |= match c {
        'A'..='Z' => UPPER_ASCII,
        'a'..='z' => LOWER_ASCII,
        _ => NOT_ASCII_LETTER,
    };
    if c != '\n' {
        kinds |= NOT_NEWLINE;
    }
    if super::clean::is_space(c) {
        kinds |= SPACE;
    }
    if c == '_' || c.is_numeric() || super::words::is_letter(c) {
        kinds |= WORD;
    }
    kinds
}

/// The characters of a set written with ranges, such as `a-z_`.
pub(super) fn expand(set: &str) -> impl Iterator<Item = char> {
    let mut characters = set.chars().peekable();
    std::iter::from_fn(move || {
        let first = characters.next()?;
        let last = if characters.peek() == Some(&'-') {
            characters.next();
            characters.next()?
        } else {
            first
        };
        Some(first..=last)
    })
    .flatten()
}
