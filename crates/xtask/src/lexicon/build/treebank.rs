//! Tagged sentences, and the averaged perceptron (Collins 2002) that learns from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::files;
use crate::shell::say;
use anyhow::{Result, bail};
use clove_negatives::lexicon::{Lexicon, TaggerData};
use clove_negatives::tagger::{BUCKETS, Clues, ROW, Tag, features, plain};
use clove_negatives::words::Token;
use clove_random::Random;

/// A sentence with its tags, `None` for tags that the tagger doesn't learn.
pub struct Sentence {
    tokens: Vec<Token>,
    clues: Vec<Clues>,
    tags: Vec<Option<Tag>>,
}

/// Genres of GUM whose texts are under CC BY or in the public domain (UD_English-GUM, LICENSE.txt). Those of wikiHow and the
/// fiction are for non-commercial use and are left out.
const GENRES: [&str; 8] =
    ["bio", "conversation", "interview", "news", "speech", "textbook", "vlog", "voyage"];

const PASSES: usize = 8;

/// The sentences of a folder's CoNLL-U files with one of the genres in their name, GUM_genre_name, without the test documents.
pub fn read(lexicon: &Lexicon, dir: &Path, tests: &[PathBuf]) -> Result<Vec<Sentence>> {
    let mut tested = BTreeSet::new();
    for test in tests {
        let text = files::read_text(test)?;
        let ids = text.lines().filter_map(|line| line.strip_prefix("# newdoc id = "));
        tested.extend(ids.map(|id| format!("{}.conllu", id.trim())));
    }
    let mut corpus = files::list(dir)?;
    corpus.retain(|path| {
        let name = files::name(path);
        GENRES.iter().any(|genre| name.starts_with(&format!("GUM_{genre}_")))
            && !tested.contains(name)
    });
    let mut all = Vec::new();
    for file in &corpus {
        all.extend(sentences(lexicon, file)?);
    }
    if all.is_empty() {
        bail!("{}: no GUM_GENRE_NAME.conllu", dir.display());
    }
    Ok(all)
}

/// The sentences of a CoNLL-U file.
pub fn sentences(lexicon: &Lexicon, path: &Path) -> Result<Vec<Sentence>> {
    let text = files::read_text(path)?;
    let mut all = Vec::new();
    for block in text.split("\n\n") {
        let words = block.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            // Ranges of fused words and elided words have other numbers.
            let counts = fields.len() == 10 && fields[0].bytes().all(|byte| byte.is_ascii_digit());
            counts.then(|| (fields[1], fields[4]))
        });
        let sentence = sentence(lexicon, words);
        if !sentence.tokens.is_empty() {
            all.push(sentence);
        }
    }
    Ok(all)
}

/// A sentence of words with their tags.
pub fn sentence<'a>(
    lexicon: &Lexicon,
    words: impl Iterator<Item = (&'a str, &'a str)>,
) -> Sentence {
    let mut sentence = Sentence { tokens: Vec::new(), clues: Vec::new(), tags: Vec::new() };
    for (word, tag) in words {
        let token = Token::whole(word);
        sentence.clues.push(Clues::new(lexicon, &token));
        sentence.tokens.push(token);
        sentence.tags.push(Tag::from_name(tag).filter(|tag| *tag != Tag::Punctuation));
    }
    sentence
}

/// Trains the tagger on both; a caption counts as much as a sentence.
pub fn train(gold: &[Sentence], silver: &[Sentence]) -> TaggerData {
    let mut weights = vec![0_f32; BUCKETS * ROW];
    let mut sums = vec![0_f64; BUCKETS * ROW];
    let mut stamps = vec![0_u64; BUCKETS * ROW];
    let mut clock = 0_u64;
    let mut order: Vec<&Sentence> = gold.iter().chain(silver).collect();
    say(format_args!(
        "tagger: learns from {} sentences of a treebank and {} captions",
        gold.len(),
        silver.len()
    ));
    let learnt = Tag::ALL.len() - 1;
    for pass in 0..PASSES {
        Random::new(&[pass as u64]).shuffle(&mut order);
        let (mut wrong, mut seen) = (0_u64, 0_u64);
        for sentence in &order {
            let mut before = [Tag::ALL.len() as u8; 2];
            for (at, token) in sentence.tokens.iter().enumerate() {
                if let Some(tag) = plain(token) {
                    before = [before[1], tag as u8];
                    continue;
                }
                let buckets = features(&sentence.clues, at, before);
                let mut scores = [0_f32; ROW];
                for bucket in buckets {
                    for (score, weight) in
                        scores.iter_mut().zip(&weights[bucket as usize * ROW..][..ROW])
                    {
                        *score += weight;
                    }
                }
                let guess = (1..learnt)
                    .fold(0, |best, at| if scores[at] > scores[best] { at } else { best });
                before = [before[1], guess as u8];
                let Some(right) = sentence.tags[at] else { continue };
                clock += 1;
                seen += 1;
                if guess == right as usize {
                    continue;
                }
                wrong += 1;
                for bucket in buckets {
                    for (tag, step) in [(right as usize, 1.0), (guess, -1.0)] {
                        let place = bucket as usize * ROW + tag;
                        sums[place] += f64::from(weights[place]) * (clock - stamps[place]) as f64;
                        stamps[place] = clock;
                        weights[place] += step;
                    }
                }
            }
        }
        say(format_args!(
            "  pass {}: {:.2} % right while learning",
            pass + 1,
            100.0 * (1.0 - wrong as f64 / seen as f64)
        ));
    }
    for place in 0..weights.len() {
        sums[place] += f64::from(weights[place]) * (clock - stamps[place]) as f64;
    }
    // Averages as whole numbers, scaled so that nearly all fit.
    let mut sizes: Vec<f64> =
        sums.iter().map(|sum| (sum / clock as f64).abs()).filter(|size| *size > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    let largest = sizes[(sizes.len() - 1) * 9995 / 10000];
    let scale = 127.0 / largest;
    TaggerData {
        weights: sums
            .iter()
            .map(|sum| (sum / clock as f64 * scale).round().clamp(-127.0, 127.0) as i8)
            .collect(),
    }
}

/// The tagger's accuracy on words without punctuation, and its most frequent confusions.
pub fn accuracy(lexicon: &Lexicon, sentences: &[Sentence]) -> String {
    let (mut right, mut all) = (0_usize, 0_usize);
    let mut confusions: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for sentence in sentences {
        let tags = lexicon.tag(&sentence.tokens);
        for (guess, tag) in tags.iter().zip(&sentence.tags) {
            let Some(tag) = tag else { continue };
            all += 1;
            if guess == tag {
                right += 1;
            } else {
                *confusions.entry((tag.name(), guess.name())).or_default() += 1;
            }
        }
    }
    let mut worst: Vec<_> = confusions.into_iter().collect();
    worst.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let worst: Vec<String> = worst
        .iter()
        .take(5)
        .map(|((tag, guess), count)| format!("{tag} as {guess} {count}"))
        .collect();
    format!(
        "{:.2} % of {all} words tagged right; mostly wrong: {}",
        100.0 * right as f64 / all.max(1) as f64,
        worst.join(", ")
    )
}
