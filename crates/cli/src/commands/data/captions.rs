//! Statistics of captions: lengths, repetitions and scripts.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail};
use clove::tokenizer::Tokenizer;
use clove_data::sets::{ImageTextSet, caption_key};
use rayon::prelude::*;
use serde::Serialize;
use unicode_script::{Script, UnicodeScript as _};

use super::spread::Spread;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

const FREQUENT: usize = 10;

/// Samples between checks for Ctrl-C.
const PART: usize = 4_096;

#[derive(Debug, Default, Serialize)]
pub struct Captions {
    pub count: usize,
    /// Words by white space.
    pub words: Spread,
    /// Tokens, including start and end.
    pub tokens: Spread,
    pub context: usize,
    /// Captions longer than the context.
    pub cut: usize,
    /// Captions that repeat an earlier one, ignoring case, spacing and punctuation.
    pub repeated: usize,
    pub frequent: Vec<(String, usize)>,
    pub ascii: usize,
    /// Captions by the script of most letters, most frequent first.
    pub scripts: Vec<(String, usize)>,
}

impl Captions {
    pub fn of(
        set: &ImageTextSet,
        tokenizer: &Tokenizer,
        progress: &Progress,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut all = Self { context: tokenizer.context_length(), ..Self::default() };
        let (mut words, mut tokens) = (Vec::new(), Vec::new());
        let mut scripts: BTreeMap<&str, usize> = BTreeMap::new();
        // Count and first occurrence of each caption, by digest.
        let mut texts: HashMap<[u8; 16], (usize, &str)> = HashMap::new();
        for part in set.samples.chunks(PART) {
            if interrupt.asked() {
                bail!("stopped while reading captions");
            }
            let captions: Vec<&str> =
                part.iter().flat_map(|sample| &sample.captions).map(String::as_str).collect();
            let look = |text: &&str| (tokenizer.encode(text), script(text), caption_key(text));
            let looked: Vec<_> = captions.par_iter().map(look).collect();
            for (caption, (encoding, script, key)) in captions.into_iter().zip(looked) {
                words.push(caption.split_whitespace().count() as u32);
                tokens.push((encoding.end + 1 + encoding.dropped) as u32);
                all.cut += usize::from(encoding.is_truncated());
                all.ascii += usize::from(caption.is_ascii());
                *scripts.entry(script).or_default() += 1;
                texts.entry(key).or_insert((0, caption)).0 += 1;
            }
            progress.advance(part.len() as u64);
        }
        all.count = words.len();
        all.repeated = all.count - texts.len();
        let mut frequent: Vec<(usize, &str)> =
            texts.into_values().filter(|(count, _)| *count > 1).collect();
        frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        frequent.truncate(FREQUENT);
        all.frequent = frequent.into_iter().map(|(count, text)| (text.to_owned(), count)).collect();
        all.scripts = scripts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        all.scripts.sort_by_key(|(_, count)| usize::MAX - count);
        all.words = Spread::of(words);
        all.tokens = Spread::of(tokens);
        Ok(all)
    }
}

/// The script of most letters of a text; of equally frequent ones the first.
fn script(text: &str) -> &'static str {
    if text.is_ascii() {
        // Skip the Unicode tables.
        let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        return if has_letter { "Latin" } else { NO_LETTER };
    }
    let mut counts: Vec<(Script, usize)> = Vec::new();
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        let script = letter.script();
        // Skip letters shared by scripts.
        if matches!(script, Script::Common | Script::Inherited | Script::Unknown) {
            continue;
        }
        match counts.iter_mut().find(|(other, _)| *other == script) {
            Some((_, count)) => *count += 1,
            None => counts.push((script, 1)),
        }
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    most.map_or(NO_LETTER, |(script, _)| script.full_name())
}

const NO_LETTER: &str = "no letter";

#[cfg(test)]
mod tests {
    use super::script;

    #[test]
    fn a_text_is_in_the_script_of_most_of_its_letters() {
        for (text, expected) in [
            ("a cat", "Latin"),
            ("une chaîne", "Latin"),
            ("кот на коврике (cat)", "Cyrillic"),
            ("猫がいる", "Hiragana"),
            ("一只猫", "Han"),
            ("قطة", "Arabic"),
            ("12 / 3", "no letter"),
            ("🐈 …", "no letter"),
        ] {
            assert_eq!(script(text), expected, "{text}");
        }
    }
}
