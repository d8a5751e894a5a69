//! Captions to token ids, exactly as in open_clip 3.3.
//!
//! A caption is cleaned (`clean`), split into words (`words`), and each word is split by byte-pair encoding, with CLIP's vocabulary or
//! that of a tokenizer.json (`vocabulary`). This module adds start and end of text; `pooling` finds the latter.
//!
//! There is one intended difference to open_clip: special tokens in captions are ordinary text. open_clip turns "<end_of_text>" in a
//! caption into the id 49407 (open_clip/tokenizer.py, `SimpleTokenizer`), so a caption could end early.

mod added;
mod badness;
mod charmaps;
mod clean;
mod entities;
mod file;
mod mojibake;
mod pooling;
mod pruned;
mod vocabulary;
mod words;

pub use clean::clean_text;
pub use file::tokenizer_json;
pub use pooling::EotRule;
pub use pruned::pruned_tokenizer_json;

use added::Piece;
use std::sync::Arc;
use tokenizers::{Model, Token};
use vocabulary::Vocabulary;

/// Start and end of text.
const SHORTEST_CONTEXT: usize = 2;

/// Why a tokenizer can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A context too short for start and end of text.
    #[error(
        "context length {0} is too short: start and end of text need 2 tokens; CLIP models have 77"
    )]
    ContextTooShort(usize),
    /// Not the JSON of a tokenizer.
    #[error(
        "not a tokenizer; it must have `added_tokens` and a BPE `model` with `vocab` and `merges`"
    )]
    Json(#[source] serde_json::Error),
    /// Not the JSON of a vocabulary.
    #[error("not a vocabulary; it must be an object of tokens with their ids")]
    Ids(#[source] serde_json::Error),
    /// Not a tokenizer of CLIP's kind.
    #[error(
        "not of CLIP's kind: model.type must be \"BPE\", model.end_of_word_suffix \"</w>\" and \
         model.continuing_subword_prefix empty"
    )]
    NotClip,
    /// Start or end of text is not among the added tokens.
    #[error(
        "there is no {}-of-text token, \"{}\" or \"{}\"; tokenizer.json needs it in added_tokens",
        .0, .1[0], .1[1]
    )]
    MissingSpecial(&'static str, [&'static str; 2]),
    /// Start and end of text are the same.
    #[error("start and end of text have the same id {0}; they must differ")]
    SameSpecial(u32),
    /// A merge that isn't two tokens.
    #[error("the merge \"{0}\" is not two tokens separated by a space")]
    BadMerge(String),
    /// A token that isn't in the vocabulary, and the merge of it or into it.
    #[error("the vocabulary lacks \"{0}\", which the merge \"{1}\" needs")]
    UnknownInMerge(String, String),
    /// The BPE model doesn't accept the vocabulary.
    #[error("the BPE model can't be built")]
    Model(#[source] tokenizers::Error),
}

/// Turns captions into ids. Cheap to clone: the vocabulary is shared.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    /// Ids of a text, start and end of text included. At least 2; 77 for CLIP, 64 for CLoVe's fine-tuning.
    context_length: usize,
}

/// The ids of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Start of text, the text, end of text, padding: `[context_length]`.
    pub ids: Vec<u32>,
    /// The position of end of text in `ids`.
    pub end: usize,
    /// Number of tokens that didn't fit.
    pub dropped: usize,
}

impl Encoding {
    /// Whether the text didn't fit the context.
    pub fn is_truncated(&self) -> bool {
        self.dropped > 0
    }
}

impl Tokenizer {
    /// A tokenizer with CLIP's embedded vocabulary of 49,408 tokens. A context length below 2 is raised to 2.
    pub fn clip(context_length: usize) -> Tokenizer {
        let context_length = context_length.max(SHORTEST_CONTEXT);
        Tokenizer { vocabulary: Vocabulary::clip(), context_length }
    }

    /// The same tokenizer with another context length. One below 2 is raised to 2.
    #[must_use]
    pub fn with_context_length(mut self, context_length: usize) -> Tokenizer {
        self.context_length = context_length.max(SHORTEST_CONTEXT);
        self
    }

    /// A tokenizer with the vocabulary and merges of a Hugging Face tokenizer.json.
    ///
    /// Its normaliser, word splitting and post-processor aren't used: text is cleaned and split as in CLIP, and start and end of
    /// text, whose ids come from `added_tokens`, are added here. Other added tokens are found in captions as wholes, unless they are
    /// special. Symbols that aren't in the vocabulary become `unk_token`, or are dropped if that is a special token.
    ///
    /// # Errors
    /// A context length below 2; JSON that isn't BPE of CLIP's kind; no start or end of text; merges of unknown tokens.
    pub fn from_json(json: &[u8], context_length: usize) -> Result<Tokenizer, TokenizerError> {
        let vocabulary = Vocabulary::from_json(json)?;
        if context_length < SHORTEST_CONTEXT {
            return Err(TokenizerError::ContextTooShort(context_length));
        }
        Ok(Tokenizer { vocabulary, context_length })
    }

    /// Whether this is CLIP's own vocabulary.
    pub fn is_clip_vocabulary(&self) -> bool {
        Arc::ptr_eq(&self.vocabulary, &Vocabulary::clip())
    }

    /// The largest id plus one: the minimum number of rows of a token embedding.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.size
    }

    /// Whether no token of a text has a larger id than end of text, which [`EotRule::Argmax`] needs.
    pub fn end_is_largest(&self) -> bool {
        self.vocabulary.end_is_largest
    }

    /// The id of start of text; 49,406 in CLIP's vocabulary.
    pub fn start_id(&self) -> u32 {
        self.vocabulary.start
    }

    /// The id of end of text; 49,407 in CLIP's vocabulary.
    pub fn end_id(&self) -> u32 {
        self.vocabulary.end
    }

    /// Ids of a text.
    pub fn context_length(&self) -> usize {
        self.context_length
    }

    /// Cleans `text` and turns it into exactly `context_length` ids, padded with 0.
    ///
    /// Longer texts are truncated, and still end with end of text. A blank text is start, end and padding.
    pub fn encode(&self, text: &str) -> Encoding {
        let room = self.context_length - SHORTEST_CONTEXT;
        let mut ids = Vec::with_capacity(self.context_length);
        ids.push(self.vocabulary.start);
        let mut count = 0;
        self.for_each_word(text, |tokens| {
            let left = room.saturating_sub(count);
            ids.extend(tokens.iter().take(left).map(|token| token.id));
            count += tokens.len();
        });
        let end = ids.len();
        ids.push(self.vocabulary.end);
        ids.resize(self.context_length, 0);
        Encoding { ids, end, dropped: count.saturating_sub(room) }
    }

    /// [`Tokenizer::encode`] of each text, in order.
    pub fn encode_batch(&self, texts: &[impl AsRef<str>]) -> Vec<Encoding> {
        texts.iter().map(|text| self.encode(text.as_ref())).collect()
    }

    /// All tokens of `text` in the vocabulary's spelling ("</w>" ends a word), without start and end.
    pub fn tokens(&self, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        self.for_each_word(text, |word| {
            tokens.extend(word.into_iter().map(|token| token.value));
        });
        tokens
    }

    fn for_each_word(&self, text: &str, mut handle: impl FnMut(Vec<Token>)) {
        let mut symbols = String::new();
        self.vocabulary.added.split(text, |piece| match piece {
            Piece::Token(token) => {
                handle(vec![Token::new(token.id, token.content.clone(), (0, 0))]);
            }
            Piece::Text(text) => {
                for word in words::split(text) {
                    words::write_symbols(word, &mut symbols);
                    // Fails only if the unknown token isn't in the vocabulary, which `from_json` excludes.
                    handle(self.vocabulary.bpe.tokenize(&symbols).unwrap_or_default());
                }
            }
        });
    }
}
