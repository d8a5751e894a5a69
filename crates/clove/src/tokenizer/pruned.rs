//! A part of CLIP's vocabulary as a tokenizer.json, for small models, where 49,408 embeddings would outweigh the rest.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::clean_text;
use super::file::{added_token, written};
use super::vocabulary::{END, END_OF_WORD, START, clip_tokens_and_merges};
use super::words;

/// The tokenizer.json of the smallest vocabulary that tokenizes each of `texts` like CLIP's, and other ASCII text into single letters.
///
/// Ids are the printable ASCII characters, the same at a word's end, the merges in CLIP's order, start and end of text.
pub fn pruned_tokenizer_json(texts: &[&str]) -> String {
    let (_, merges) = clip_tokens_and_merges();
    let ranks: HashMap<(&str, &str), usize> = merges
        .iter()
        .enumerate()
        .map(|(rank, (left, right))| ((left.as_str(), right.as_str()), rank))
        .collect();
    // By rank, so that the pruned vocabulary merges in the same order.
    let mut used: BTreeMap<usize, (&str, &str)> = BTreeMap::new();
    let mut symbols = String::new();
    for text in texts {
        for word in words::split(&clean_text(text)) {
            words::write_symbols(word, &mut symbols);
            merge(&symbols, &ranks, |rank| {
                let (left, right) = &merges[rank];
                used.insert(rank, (left, right));
            });
        }
    }
    let letters = || (b'!'..=b'~').map(char::from);
    let tokens = letters()
        .map(String::from)
        .chain(letters().map(|letter| format!("{letter}{END_OF_WORD}")))
        .chain(used.values().map(|(left, right)| format!("{left}{right}")))
        .chain([START, END].map(|[token, _]| token.to_owned()));
    let vocab: Map<String, Value> =
        tokens.zip(0_u32..).map(|(token, id)| (token, Value::from(id))).collect();
    let merges: Vec<[&str; 2]> = used.values().map(|(left, right)| [*left, *right]).collect();
    let specials = [START, END].map(|[token, _]| added_token(token, &vocab[token], true));
    written(&specials, &vocab, &json!(merges))
}

/// Merges a word's symbols by byte-pair encoding, the lowest rank first, and reports each rank.
fn merge(symbols: &str, ranks: &HashMap<(&str, &str), usize>, mut report: impl FnMut(usize)) {
    let mut parts: Vec<String> = symbols.chars().map(String::from).collect();
    if let Some(last) = parts.last_mut() {
        last.push_str(END_OF_WORD);
    }
    loop {
        let best = parts
            .windows(2)
            .enumerate()
            .filter_map(|(place, pair)| Some((*ranks.get(&(&*pair[0], &*pair[1]))?, place)))
            .min();
        let Some((rank, place)) = best else {
            return;
        };
        report(rank);
        let right = parts.remove(place + 1);
        parts[place].push_str(&right);
    }
}
