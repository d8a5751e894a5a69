//! Guards the tokenizer: ids equal to open_clip's on hard texts and on every caption of the shared data, the same from
//! the embedded vocabulary and from tokenizer.json, and rows of one shape whatever the text.
//! Goldens: tests/golden/make_tokens.py.

use clove::tokenizer::{EotRule, Tokenizer, TokenizerError, clean_text};
use clove_tests::{assert_contains, fnv1a, json, json_members, shared};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const CONTEXT: usize = 77;
const START: u32 = 49_406;
const END: u32 = 49_407;

fn golden(name: &str) -> Value {
    json(&clove_tests::golden(name))
}

/// The ids up to and with end of text.
fn unpadded(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let encoding = tokenizer.encode(text);
    encoding.ids[..=encoding.end].to_vec()
}

#[test]
fn hard_texts_equal_open_clip() {
    let tokenizer = Tokenizer::clip(CONTEXT);
    let rows = golden("hard_texts.json");
    let rows = rows.as_array().expect("a list");
    assert!(rows.len() > 150);
    let mut wrong = Vec::new();
    for row in rows {
        let text = row["text"].as_str().expect("a text");
        let ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).expect("ids");
        let ours = unpadded(&tokenizer, text);
        if ours != ids {
            let beginning: String = text.chars().take(80).collect();
            wrong.push(format!("{beginning:?}: {ours:?} instead of {ids:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} texts differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn captions_of_the_shared_data_equal_open_clip() {
    let tokenizer = Tokenizer::clip(CONTEXT);
    let digests = golden("caption_digests.json");
    let digests: BTreeMap<String, Value> = serde_json::from_value(digests).expect("an object");
    assert!(digests.len() >= 20);
    for (file, expected) in digests {
        let Some(path) = shared(&file) else { continue };
        let texts = texts_of(&path);
        let digest = texts.iter().fold(0_u64, |sum, text| {
            let ids = unpadded(&tokenizer, text);
            sum.wrapping_add(fnv1a(ids.iter().flat_map(|id| id.to_le_bytes())))
        });
        let ours = json!({"texts": texts.len(), "digest": format!("{digest:016x}")});
        assert_eq!(ours, expected, "{file}");
    }
}

/// Every string in a JSON file or in those of a tar shard, every cell of a TSV file.
fn texts_of(path: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("tar") => {
            for json in json_members(path) {
                collect_strings(json, &mut texts);
            }
        }
        Some("tsv") => {
            let table = std::fs::read_to_string(path).expect("a table in UTF-8");
            texts.extend(table.split('\n').flat_map(|line| line.split('\t')).map(str::to_owned));
        }
        _ => collect_strings(json(path), &mut texts),
    }
    texts
}

fn collect_strings(value: Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.into_iter().for_each(|item| collect_strings(item, out)),
        Value::Object(members) => {
            members.into_iter().for_each(|(_, item)| collect_strings(item, out));
        }
        _ => {}
    }
}

#[test]
fn shared_tokenizer_json_is_the_embedded_vocabulary() {
    let Some(path) = shared("tokenizer/tokenizer.json") else { return };
    let json = std::fs::read(path).expect("tokenizer.json");
    let (embedded, read) =
        (Tokenizer::clip(CONTEXT), Tokenizer::from_json(&json, CONTEXT).expect("CLIP's"));
    assert!(embedded.is_clip_vocabulary() && read.is_clip_vocabulary());
    assert_eq!(embedded.vocab_size(), 49_408);
    assert_eq!((embedded.start_id(), embedded.end_id()), (START, END));
    assert_eq!((read.start_id(), read.end_id(), read.vocab_size()), (START, END, 49_408));

    // With one merge less it is another vocabulary: built on its own, and still right on what doesn't need that merge.
    let mut other: Value = serde_json::from_slice(&json).expect("JSON");
    other["model"]["merges"].as_array_mut().expect("merges").pop();
    let other = Tokenizer::from_json(other.to_string().as_bytes(), CONTEXT).expect("a vocabulary");
    assert!(!other.is_clip_vocabulary());
    for row in golden("hard_texts.json").as_array().expect("a list") {
        let text = row["text"].as_str().expect("a text");
        assert_eq!(other.encode(text), embedded.encode(text), "{text:.80?}");
    }
}

/// A vocabulary of few letters: a, b, c and their ends of word, two merges, and the specials in the middle.
fn small() -> Value {
    json!({
        "added_tokens": [
            {"id": 6, "content": "<|startoftext|>", "special": true},
            {"id": 7, "content": "<|endoftext|>", "special": true},
        ],
        "normalizer": {"type": "Lowercase"},
        "model": {
            "type": "BPE", "unk_token": "<|endoftext|>", "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
            "vocab": {"a": 0, "b": 1, "c": 2, "a</w>": 3, "b</w>": 4, "c</w>": 5, "<|startoftext|>": 6,
                      "<|endoftext|>": 7, "ab": 8, "ab</w>": 9},
            "merges": ["a b", ["a", "b</w>"]],
        },
    })
}

fn load(json: &Value) -> Result<Tokenizer, TokenizerError> {
    Tokenizer::from_json(json.to_string().as_bytes(), 8)
}

#[test]
fn another_vocabulary_is_used_as_it_is() {
    let tokenizer = load(&small()).expect("a vocabulary");
    assert_eq!((tokenizer.start_id(), tokenizer.end_id(), tokenizer.vocab_size()), (6, 7, 10));
    assert_eq!(tokenizer.encode("AB cab").ids, [6, 9, 2, 9, 7, 0, 0, 0]);
    assert_eq!(tokenizer.tokens("AB cab"), ["ab</w>", "c", "ab</w>"]);
    // What the vocabulary lacks doesn't become end of text.
    assert_eq!(tokenizer.encode("abba").ids, [6, 8, 1, 3, 7, 0, 0, 0]);
    assert_eq!(tokenizer.encode("x a é <|endoftext|>").ids, [6, 3, 7, 0, 0, 0, 0, 0]);

    let mut json = small();
    json["model"]["unk_token"] = json!("c");
    let tokenizer = load(&json).expect("a vocabulary");
    assert_eq!(tokenizer.encode("xa").ids[..4], [6, 2, 3, 7]);
}

/// huggingface/tokenizers: tokenizers/src/tokenizer/added_vocabulary.rs (`find_matches`, `extract_and_normalize`), with captions cleaned
/// as open_clip does.
#[test]
fn added_tokens_are_counted_and_found_whole() {
    let ids = |tokenizer: &Tokenizer, text: &str| unpadded(tokenizer, text)[1..].to_vec();
    let mut json = small();
    json["added_tokens"].as_array_mut().unwrap().extend([
        json!({"id": 10, "content": "abba"}),
        json!({"id": 11, "content": "<Toy>", "normalized": true}),
        json!({"id": 12, "content": "<Raw>", "normalized": false}),
        json!({"id": 13, "content": "ca", "single_word": true}),
        json!({"id": 14, "content": "abb"}),
        // Padding, as in tokenizers that were saved with one; such tokens are ordinary text.
        json!({"id": 15, "content": "c", "special": true}),
    ]);
    let tokenizer = load(&json).expect("a vocabulary");
    assert_eq!(tokenizer.vocab_size(), 16);
    assert!(!tokenizer.end_is_largest());
    // The longest at a place; what touches it is a word of its own.
    assert_eq!(ids(&tokenizer, "abba abb cabba"), [10, 14, 5, 10, 7]);
    assert_eq!(ids(&tokenizer, "a<TOY> b"), [3, 11, 4, 7]);
    assert_eq!(ids(&tokenizer, "<Raw>a"), [12, 3, 7]);
    assert!(!ids(&tokenizer, "<raw>").contains(&12));
    assert_eq!(ids(&tokenizer, "ca, cab c"), [13, 2, 9, 5, 7]);
    assert_eq!(tokenizer.tokens("A<toy>"), ["a</w>", "<toy>"]);
    // A token that is cut off counts.
    let cut = tokenizer.encode("abba abba abba abba abba abba abba");
    assert_eq!((cut.end, cut.dropped), (7, 1));
    // A special token beyond end of text is in no text.
    let mut json = small();
    json["added_tokens"][1]["id"] = json!(30);
    json["model"]["vocab"]["<|endoftext|>"] = json!(30);
    let padding = json!({"id": 31, "content": "<pad>", "special": true});
    json["added_tokens"].as_array_mut().unwrap().push(padding);
    let padded = load(&json).expect("a vocabulary");
    assert_eq!((padded.vocab_size(), padded.end_is_largest()), (32, true));
    assert_eq!(ids(&padded, "a <pad>")[0], 3);
}

#[test]
fn wrong_tokenizer_files_are_named_errors() {
    for (place, value, parts) in [
        ("/added_tokens/1/content", json!("<end>"), &["<|endoftext|>", "<end_of_text>"][..]),
        ("/added_tokens", json!([]), &["<|startoftext|>", "<start_of_text>"]),
        ("/added_tokens/0/id", json!(7), &["same id 7"]),
        (
            "/model/merges/0",
            json!("a bcdefghijklmnopqrstuvwxyz"),
            &["\"bcdefghijklmnopqrstuvwxyz\""],
        ),
        ("/model/merges/0", json!("b c"), &["lacks \"bc\"", "\"b c\""]),
        ("/model/merges/0", json!("ab"), &["\"ab\" is not two tokens"]),
        ("/model/type", json!("WordPiece"), &["not of CLIP's kind"]),
        ("/model/end_of_word_suffix", json!(""), &["not of CLIP's kind"]),
        ("/model/continuing_subword_prefix", json!("##"), &["not of CLIP's kind"]),
    ] {
        let mut json = small();
        *json.pointer_mut(place).expect("a place in it") = value;
        assert_contains(&load(&json).expect_err("an error").to_string(), parts);
    }
    assert!(matches!(Tokenizer::from_json(b"{}", 8), Err(TokenizerError::Json(_))));
    assert!(matches!(Tokenizer::from_json(b"\xFF", 8), Err(TokenizerError::Json(_))));
    let short = Tokenizer::from_json(small().to_string().as_bytes(), 1);
    assert_contains(&short.expect_err("an error").to_string(), &["context length 1 is too short"]);
}

#[test]
fn long_texts_are_cut_and_keep_end_of_text() {
    let tokenizer = Tokenizer::clip(8);
    let fits = tokenizer.encode("one two three four five six");
    assert_eq!((fits.end, fits.dropped, fits.is_truncated()), (7, 0, false));
    let cut = tokenizer.encode("one two three four five six seven eight");
    assert_eq!((cut.ids.len(), cut.end, cut.dropped, cut.is_truncated()), (8, 7, 2, true));
    assert_eq!(cut.ids, fits.ids);
    assert_eq!(cut.ids[7], END);
    // The shortest context holds start and end; `clip` raises a shorter one to it.
    for context_length in [0, 1, 2] {
        let tokenizer = Tokenizer::clip(context_length);
        assert_eq!(tokenizer.context_length(), 2);
        assert_eq!(tokenizer.encode("a dog").ids, [START, END]);
    }
}

#[test]
fn no_spelling_of_a_special_token_ends_a_caption() {
    let tokenizer = Tokenizer::clip(CONTEXT);
    for text in [
        "<|endoftext|>",
        "<end_of_text>",
        "<END_OF_TEXT>",
        "a &lt;end_of_text&gt; b",
        "＜end_of_text＞",
        "<|startoftext|> <start_of_text>",
    ] {
        let encoding = tokenizer.encode(text);
        let specials = encoding.ids.iter().filter(|id| **id >= START).count();
        assert_eq!(specials, 2, "{text:?}: {:?}", encoding.ids);
        assert_eq!(EotRule::Argmax.position(&encoding.ids), encoding.end);
    }
}

#[test]
fn cleaning_follows_open_clip() {
    for (text, clean) in [
        ("“It’s”  A&amp;amp;B\t", "\"it's\" a&b"),
        ("ＦＵＬＬ　ｗｉｄｔｈ ﬁ", "full width fi"),
        ("cafÃ© â€” voilÃ  ok", "café — voilà ok"),
        ("<b> &eacute;", "<b> é"),
        ("ΟΔΟΣ İ", "οδος i\u{307}"),
        ("\u{1B}[31mred\u{1B}[0m\u{7}\u{FEFF}", "red"),
        (" \u{3000}\u{A0}\u{85} ", "…"),
    ] {
        assert_eq!(clean_text(text), clean, "{text:?}");
    }
}

#[test]
fn end_of_text_is_found_by_the_models_rule() {
    let ids = [START, 5, END, END, 0];
    assert_eq!(EotRule::Argmax.position(&ids), 2);
    assert_eq!(EotRule::FirstOf(5).position(&ids), 1);
    assert_eq!(EotRule::FirstOf(9).position(&ids), 0);
    assert_eq!(EotRule::Argmax.position(&[]), 0);
    assert_eq!(EotRule::from_eos_token_id(2), EotRule::Argmax);
    assert_eq!(EotRule::from_eos_token_id(END), EotRule::FirstOf(END));
}

/// Pieces that cleaning changes: references, quotes, widths, escapes, wrongly decoded letters, specials.
fn piece() -> impl Strategy<Value = String> {
    let telling = "&amp; &# &#x ; &lt < Ã © â€ ™ \u{A0} \u{1A} \u{FFFD} ? í À\n í\u{A0}½í¸\u{8D} 's 'S ſ ’ \u{1B}[3 m ﬃ Ａ \u{345} \
                   \u{301} Σ İ \r \n <|endoftext|> <end_of_text> </w> 👩\u{200D}👧 ğŸ Ð° √©";
    let telling = prop::sample::select(telling.split(' ').collect::<Vec<_>>());
    prop_oneof![any::<String>(), telling.prop_map(str::to_owned), "[a-zA-Z0-9 ]{0,6}"]
}

proptest! {
    #[test]
    fn every_text_makes_one_row(pieces in prop::collection::vec(piece(), 0..24), context in 2_usize..90) {
        let text = pieces.concat();
        let tokenizer = Tokenizer::clip(context);
        let encoding = tokenizer.encode(&text);
        prop_assert_eq!(encoding.ids.len(), context);
        prop_assert_eq!(encoding.ids[0], START);
        prop_assert_eq!(encoding.ids[encoding.end], END);
        prop_assert!(encoding.ids[1..encoding.end].iter().all(|id| *id < START));
        prop_assert!(encoding.ids[encoding.end + 1..].iter().all(|id| *id == 0));
        prop_assert_eq!(EotRule::Argmax.position(&encoding.ids), encoding.end);
        prop_assert_eq!(EotRule::FirstOf(END).position(&encoding.ids), encoding.end);
        prop_assert_eq!(tokenizer.tokens(&text).len(), encoding.end - 1 + encoding.dropped);
        prop_assert!(!encoding.is_truncated() || encoding.end == context - 1);
        prop_assert_eq!(&tokenizer.encode_batch(&[&text])[0], &encoding);
    }

    #[test]
    fn tokens_spell_the_cleaned_text(text in "[ -~]{0,60}") {
        // On ASCII the tokens' spelling, with ends of words and all spaces left out, is the cleaned text.
        let spelled = Tokenizer::clip(CONTEXT).tokens(&text).iter()
            .map(|token| token.strip_suffix("</w>").unwrap_or(token)).collect::<String>();
        let clean = clean_text(&text);
        prop_assume!(clean.is_ascii());
        prop_assert_eq!(spelled, clean.replace(' ', ""));
    }

    #[test]
    fn any_bytes_are_an_error_or_a_tokenizer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let refused = matches!(Tokenizer::from_json(&bytes, CONTEXT), Err(TokenizerError::Json(_)));
        prop_assert!(refused, "random bytes made a tokenizer");
    }
}
