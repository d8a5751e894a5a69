//! Vocabularies: CLIP's, which is embedded, or that of a Hugging Face tokenizer.json.

use super::TokenizerError;
use super::added::{Added, AddedTokens};
use super::words::symbol;
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, LazyLock};
use tokenizers::models::bpe::BPE;

/// The 48,894 merges that CLIP uses of the 262,144 in bpe_simple_vocab_16e6.txt (openai/CLIP, MIT), as pairs of ids, in
/// four planes of bytes: low and high bytes of the left ids, then of the right ones. Made by tests/golden/make_tokens.py.
const PACKED_MERGES: &[u8] = include_bytes!("clip_merges.deflate");

/// The end of the last token of a word.
pub(super) const END_OF_WORD: &str = "</w>";

/// Both spellings of the special tokens: OpenAI's, which Hugging Face keeps, and open_clip's.
pub(super) const START: [&str; 2] = ["<|startoftext|>", "<start_of_text>"];
pub(super) const END: [&str; 2] = ["<|endoftext|>", "<end_of_text>"];

static CLIP: LazyLock<Arc<Vocabulary>> = LazyLock::new(|| {
    let (tokens, merges) = clip_tokens_and_merges();
    let ids = tokens.into_iter().zip(0..).collect();
    let specials = [CLIP_START, CLIP_START + 1];
    let vocabulary = Vocabulary::build(ids, merges, None, specials, AddedTokens::default())
        .expect("every merge was just made of tokens of this vocabulary");
    Arc::new(vocabulary)
});

/// CLIP's vocabulary has 256 symbols, 256 that end a word, 48,894 merges, and start and end of text.
const CLIP_START: u32 = 256 + 256 + 48_894;

/// A byte-pair encoding with the ids of its special tokens. They aren't in `bpe`, so no text contains them.
pub(super) struct Vocabulary {
    pub(super) bpe: BPE,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The tokens that were added for texts.
    pub(super) added: AddedTokens,
    /// The largest id plus one.
    pub(super) size: usize,
    /// Whether no token of a text has a larger id than end of text.
    pub(super) end_is_largest: bool,
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vocabulary({} ids, start {}, end {})", self.size, self.start, self.end)
    }
}

impl Vocabulary {
    /// CLIP's vocabulary, unpacked on first use and then shared.
    pub(super) fn clip() -> Arc<Vocabulary> {
        Arc::clone(&CLIP)
    }

    fn build(
        ids: HashMap<String, u32>,
        merges: Vec<(String, String)>,
        unknown: Option<String>,
        [start, end]: [u32; 2],
        added: AddedTokens,
    ) -> Result<Vocabulary, TokenizerError> {
        let in_texts = ids.values().copied().chain(added.iter().map(|token| token.id));
        let largest = in_texts.chain([start]).max().unwrap_or(start);
        let mut builder = BPE::builder()
            .vocab_and_merges(ids.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
            .end_of_word_suffix(END_OF_WORD.to_owned());
        if let Some(unknown) = unknown {
            builder = builder.unk_token(unknown);
        }
        let bpe = builder.build().map_err(TokenizerError::Model)?;
        let (size, end_is_largest) = (largest.max(end) as usize + 1, largest < end);
        Ok(Vocabulary { bpe, start, end, added, size, end_is_largest })
    }

    /// Reads a Hugging Face tokenizer.json. CLIP's own vocabulary is detected and shared.
    pub(super) fn from_json(json: &[u8]) -> Result<Arc<Vocabulary>, TokenizerError> {
        let file: TokenizerFile = serde_json::from_slice(json).map_err(TokenizerError::Json)?;
        let special = |role, spellings: [&'static str; 2]| {
            let found = |token: &&AddedToken| spellings.contains(&token.content.as_str());
            let token = file.added_tokens.iter().find(found);
            token.map(|token| token.id).ok_or(TokenizerError::MissingSpecial(role, spellings))
        };
        let (start, end) = (special("start", START)?, special("end", END)?);
        if start == end {
            return Err(TokenizerError::SameSpecial(start));
        }
        let Model { kind, suffix, prefix, unknown, mut vocab, merges } = file.model;
        if kind.is_some_and(|kind| kind != "BPE")
            || suffix.as_deref() != Some(END_OF_WORD)
            || prefix.is_some_and(|prefix| !prefix.is_empty())
        {
            return Err(TokenizerError::NotClip);
        }
        // A symbol that isn't in a pruned vocabulary must not become a special token.
        vocab.retain(|_, id| *id != start && *id != end);
        let unknown = unknown.filter(|unknown| vocab.contains_key(unknown));
        let merges: Vec<_> = merges.into_iter().map(Merge::split).collect::<Result<_, _>>()?;
        // Other special tokens, such as padding, are ordinary text in captions, too, but have rows in the embedding.
        let ids = file.added_tokens.iter().map(|token| token.id as usize + 1);
        let least_size = ids.max().unwrap_or(0);
        let mut added = AddedTokens::default();
        for AddedToken { id, content, special, single_word, normalized } in file.added_tokens {
            if !special && ![start, end].contains(&id) {
                added.add(Added { id, content, single_word }, normalized.unwrap_or(true));
            }
        }
        let is_plain = added.iter().next().is_none() && least_size <= CLIP_START as usize + 2;
        if is_plain && (start, end) == (CLIP_START, CLIP_START + 1) && is_clip(&vocab, &merges) {
            return Ok(Vocabulary::clip());
        }
        for (left, right) in &merges {
            for token in [left, right, &format!("{left}{right}")] {
                if !vocab.contains_key(token) {
                    let merge = format!("{left} {right}");
                    return Err(TokenizerError::UnknownInMerge(token.clone(), merge));
                }
            }
        }
        let mut vocabulary = Vocabulary::build(vocab, merges, unknown, [start, end], added)?;
        vocabulary.size = vocabulary.size.max(least_size);
        Ok(Arc::new(vocabulary))
    }
}

fn is_clip(vocab: &HashMap<String, u32>, merges: &[(String, String)]) -> bool {
    if merges.len() != CLIP_START as usize - 512 || vocab.len() != CLIP_START as usize {
        return false;
    }
    let (tokens, clip_merges) = clip_tokens_and_merges();
    merges == clip_merges && tokens.iter().zip(0..).all(|(token, id)| vocab.get(token) == Some(&id))
}

/// CLIP's tokens by id, without the specials, and its merges by rank.
pub(super) fn clip_tokens_and_merges() -> (Vec<String>, Vec<(String, String)>) {
    let mut planes = Vec::new();
    flate2::read::DeflateDecoder::new(PACKED_MERGES)
        .read_to_end(&mut planes)
        .expect("the embedded merges are a whole deflate stream");
    let count = planes.len() / 4;
    // Sorted by symbol, the alphabet has printable bytes first.
    let mut alphabet: Vec<char> = (0..=u8::MAX).map(symbol).collect();
    alphabet.sort_unstable();
    let mut tokens: Vec<String> = alphabet.iter().map(char::to_string).collect();
    tokens.extend(alphabet.iter().map(|symbol| format!("{symbol}{END_OF_WORD}")));
    let mut merges = Vec::with_capacity(count);
    for i in 0..count {
        let id = |plane: usize| {
            usize::from(u16::from_le_bytes([
                planes[plane * count + i],
                planes[(plane + 1) * count + i],
            ]))
        };
        let (left, right) = (tokens[id(0)].clone(), tokens[id(2)].clone());
        tokens.push(format!("{left}{right}"));
        merges.push((left, right));
    }
    (tokens, merges)
}

/// The relevant parts of a tokenizer.json.
#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    single_word: bool,
    /// Whether it's found in cleaned texts; it is unless the file says otherwise, as in tokenizers.
    normalized: Option<bool>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "end_of_word_suffix")]
    suffix: Option<String>,
    #[serde(rename = "continuing_subword_prefix")]
    prefix: Option<String>,
    #[serde(rename = "unk_token")]
    unknown: Option<String>,
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// A merge: two strings since tokenizers 0.20, one with a space before.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

impl Merge {
    fn split(self) -> Result<(String, String), TokenizerError> {
        match self {
            Merge::Pair(left, right) => Ok((left, right)),
            Merge::Line(line) => match line.split_once(' ') {
                Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
                None => Err(TokenizerError::BadMerge(line)),
            },
        }
    }
}
