//! Digests of the negatives of ten thousand random captions, which must be equal in the native test and in Node (`negatives.mjs`).
//!
//! The captions consist of the lexicon's words with unusual signs, capitals and plurals.

use std::sync::LazyLock;

use clove_negatives::lexicon::{Pos, WordId};
use clove_negatives::{Generator, Request, Style};
use clove_random::Random;

/// The number of captions in a digest.
pub const CAPTIONS: u32 = 10_000;

static GENERATOR: LazyLock<Generator> = LazyLock::new(|| {
    let bytes = include_bytes!("../../../crates/negatives/english.lexicon");
    Generator::new(bytes).expect("the repository's own lexicon is whole")
});

/// The generator with the repository's lexicon.
#[must_use]
pub fn generator() -> &'static Generator {
    &GENERATOR
}

/// A caption by its number.
#[must_use]
pub fn caption(index: u32) -> String {
    const SHAPES: [&str; 8] = [
        "A {a} {n} {g} on top of the {n}.",
        "two {p} and a {n} next to {n}, {g}",
        "The {n} of a {a} {n} {g} a {a} {n}'s {n}",
        "{n}",
        "There are {a}, {a} {p} in front of an {a} {n} with {p}!",
        "A {n} is {g} {n} while the {n} isn't {a}",
        "🐕 {p} {g} «{n}» – \u{301}{a}\u{200d} {n}\t(3 {p})",
        "{a} {n} {g} by {n} {n} through {p} under {a} {p} {g} without {n}",
    ];
    let lexicon = generator().lexicon();
    let mut random = Random::new(&[u64::from(index)]);
    let word = |random: &mut Random, pos: Pos| -> String {
        loop {
            let id = random.below(lexicon.len()) as WordId;
            if !lexicon.senses(id, pos).is_empty() {
                return lexicon.word(id).to_owned();
            }
        }
    };
    let mut text = String::new();
    let mut rest = SHAPES[random.below(SHAPES.len())];
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (what, after) = after.split_once('}').unwrap_or((after, ""));
        let (pos, ending) = match what {
            "a" => (Pos::Adjective, ""),
            "g" => (Pos::Verb, "ing"),
            "p" => (Pos::Noun, "s"),
            _ => (Pos::Noun, ""),
        };
        text.push_str(&word(&mut random, pos));
        text.push_str(ending);
        rest = after;
    }
    text.push_str(rest);
    if random.below(10) == 0 {
        text = text.to_uppercase();
    }
    text
}

/// A digest: FNV-1a of 64 bits.
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A digest of the negatives of some captions in a style, three each.
#[must_use]
pub fn digest_of(style: Style, from: u32, count: u32) -> u64 {
    let mut bytes = Vec::new();
    for index in from..from.saturating_add(count) {
        let caption = caption(index);
        let made = generator().negatives(&Request {
            caption: &caption,
            others: &[],
            style,
            count: 3,
            seed: 7,
            epoch: 1,
            index: u64::from(index),
        });
        for negative in made.negatives {
            for part in [&negative.text, negative.kind.name(), &negative.from, &negative.to] {
                bytes.extend(part.bytes().chain([0xff]));
            }
        }
    }
    fnv1a(bytes)
}

/// [`digest_of`] for JavaScript, with the index of the style.
#[expect(unsafe_code, reason = "an exported name must be unmangled to be found")]
#[unsafe(no_mangle)]
pub extern "C" fn digest(style: u32, from: u32, count: u32) -> u64 {
    Style::ALL.get(style as usize).map_or(0, |style| digest_of(*style, from, count))
}
