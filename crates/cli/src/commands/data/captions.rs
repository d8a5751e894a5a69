//! What a set's captions are like: their lengths, what repeats, and in which scripts they're written.

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

/// Captions that are named as the most frequent, at most.
const FREQUENT: usize = 10;

/// Samples between two looks at the clock.
const PART: usize = 4_096;

/// All captions of a set.
#[derive(Debug, Default, Serialize)]
pub struct Captions {
    pub count: usize,
    /// Between white space; a language that writes none between words has one a caption.
    pub words: Spread,
    /// As the model reads them, with start and end.
    pub tokens: Spread,
    /// The model's context.
    pub context: usize,
    /// Captions that are longer.
    pub cut: usize,
    /// Captions that stood earlier in the set, but for case, spacing and punctuation.
    pub repeated: usize,
    /// Those that repeat most, as they stand first, with how often.
    pub frequent: Vec<(String, usize)>,
    /// Captions of ASCII alone.
    pub ascii: usize,
    /// Captions by the script of most of their letters, most first.
    pub scripts: Vec<(String, usize)>,
}

/// What one caption adds.
struct Looked {
    words: u32,
    tokens: u32,
    is_cut: bool,
    is_ascii: bool,
    script: &'static str,
    text: [u8; 16],
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
        // A caption by its digest: how often it stands, and where first.
        let mut texts: HashMap<[u8; 16], (usize, &str)> = HashMap::new();
        for part in set.samples.chunks(PART) {
            if interrupt.asked() {
                bail!("stopped while reading captions");
            }
            let captions: Vec<&str> =
                part.iter().flat_map(|sample| &sample.captions).map(String::as_str).collect();
            let looked: Vec<Looked> =
                captions.par_iter().map(|caption| look(caption, tokenizer)).collect();
            for (caption, looked) in captions.into_iter().zip(looked) {
                words.push(looked.words);
                tokens.push(looked.tokens);
                all.cut += usize::from(looked.is_cut);
                all.ascii += usize::from(looked.is_ascii);
                *scripts.entry(looked.script).or_default() += 1;
                texts.entry(looked.text).or_insert((0, caption)).0 += 1;
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

fn look(caption: &str, tokenizer: &Tokenizer) -> Looked {
    let encoding = tokenizer.encode(caption);
    Looked {
        words: caption.split_whitespace().count() as u32,
        tokens: (encoding.end + 1 + encoding.dropped) as u32,
        is_cut: encoding.is_truncated(),
        is_ascii: caption.is_ascii(),
        script: script(caption),
        text: caption_key(caption),
    }
}

/// The script of most of a text's letters; of as many, the one that comes first.
fn script(text: &str) -> &'static str {
    if text.is_ascii() {
        // Without a look into Unicode's tables.
        let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        return if has_letter { "Latin" } else { NO_LETTER };
    }
    let mut counts: Vec<(Script, usize)> = Vec::new();
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        let script = letter.script();
        // Letters that several scripts share.
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
