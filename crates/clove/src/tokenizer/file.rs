//! A tokenizer.json of CLIP's kind, as transformers writes it.

use serde_json::{Map, Value, json};

use super::TokenizerError;
use super::vocabulary::{END, END_OF_WORD, START};

/// The tokenizer.json of a tokenizer in several files: vocab.json, merges.txt and, where it exists, added_tokens.json.
///
/// # Errors
/// When vocab.json or added_tokens.json isn't an object of ids.
// Source: huggingface/transformers: src/transformers/convert_slow_tokenizer.py (`CLIPConverter`).
pub fn tokenizer_json(
    vocabulary: &str,
    merges: &str,
    added: Option<&str>,
) -> Result<String, TokenizerError> {
    let ids = |text| serde_json::from_str::<Map<String, Value>>(text).map_err(TokenizerError::Ids);
    let vocabulary = ids(vocabulary)?;
    let added = added.map(ids).transpose()?.unwrap_or_default();
    let mut lines = merges.lines().filter(|line| !line.trim().is_empty()).peekable();
    // The first line names the version of the format.
    lines.next_if(|line| line.starts_with("#version"));
    let merges: Vec<&str> = lines.collect();
    let is_special = |token: &str| START.contains(&token) || END.contains(&token);
    let special = vocabulary.iter().filter(|(token, _)| is_special(token));
    let tokens: Map<String, Value> =
        special.chain(&added).map(|(token, id)| (token.clone(), id.clone())).collect();
    let tokens = tokens.iter().map(|(token, id)| added_token(token, id, is_special(token)));
    Ok(written(&tokens.collect::<Vec<Value>>(), &vocabulary, &json!(merges)))
}

/// An entry of a tokenizer.json's `added_tokens`.
pub(super) fn added_token(token: &str, id: &Value, is_special: bool) -> Value {
    json!({
        "id": id,
        "content": token,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": !is_special,
        "special": is_special,
    })
}

/// The text of a tokenizer.json with these added tokens, ids of tokens, and merges.
pub(super) fn written(added: &[Value], vocab: &Map<String, Value>, merges: &Value) -> String {
    let id = |spellings: [&str; 2]| {
        let found = |token: &&Value| spellings.iter().any(|spelling| token["content"] == *spelling);
        added.iter().find(found).map(|token| json!([token["content"], token["id"]]))
    };
    let (start, end) = (id(START), id(END));
    let unknown = end.as_ref().map(|end| end[0].clone());
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": "\\s+" }, "content": " " },
            { "type": "Lowercase" },
        ] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            {
                "type": "Split",
                "pattern": { "Regex": "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
                "behavior": "Removed",
                "invert": true,
            },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        ] },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": end,
            "cls": start,
            "trim_offsets": false,
            "add_prefix_space": false,
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": END_OF_WORD,
            "fuse_unk": false,
            "byte_fallback": false,
            "vocab": vocab,
            "merges": merges,
        },
    });
    let mut text = format!("{file:#}");
    text.push('\n');
    text
}
