//! Captions to token ids, exactly as open_clip 3.3 makes them: for `score`, `train`, `evaluate` and the text tower.
//!
//! A caption is cleaned (`clean`), split into words (`words`), and each word is cut by byte-pair encoding, in CLIP's
//! embedded vocabulary or that of a model's tokenizer.json (`vocabulary`). Start and end of text are added here, and
//! `pooling` finds the latter again.
//!
//! In one point this departs from open_clip on purpose: special-token text is ordinary text, in every spelling.
//! open_clip turns "<end_of_text>" in a caption into the id 49407 (open_clip/tokenizer.py, the pattern and the cache of
//! `SimpleTokenizer`), so that a caption could end itself early.

mod badness;
mod charmaps;
mod clean;
mod entities;
mod mojibake;
mod pooling;
mod pruned;
mod vocabulary;
mod words;

pub use clean::clean_text;
pub use pooling::EotRule;
pub use pruned::pruned_tokenizer_json;

use std::sync::Arc;
use tokenizers::{Model, Token};
use vocabulary::Vocabulary;

/// A start and an end of text need two ids.
const SHORTEST_CONTEXT: usize = 2;

/// Why a tokenizer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A context too short for start and end of text.
    #[error(
        "context length {context_length} is too short: start and end of text need 2 tokens; CLIP models have 77"
    )]
    ContextTooShort {
        /// The context length asked for, in tokens.
        context_length: usize,
    },
    /// Not the JSON of a tokenizer.
    #[error(
        "tokenizer.json can't be read; it must hold `added_tokens` and a BPE `model` with `vocab` and `merges`"
    )]
    Json(#[source] serde_json::Error),
    /// Not a tokenizer of CLIP's kind.
    #[error(
        "tokenizer.json is not of CLIP's kind: model.type must be \"BPE\", model.end_of_word_suffix \"</w>\" and \
         model.continuing_subword_prefix empty"
    )]
    NotClip,
    /// Start or end of text is not among the added tokens.
    #[error("tokenizer.json has no {role}-of-text token: added_tokens must hold \"{}\" or \"{}\"", spellings[0], spellings[1])]
    MissingSpecial {
        /// "start" or "end".
        role: &'static str,
        /// What the token may be called.
        spellings: [&'static str; 2],
    },
    /// Start and end of text can't be told apart.
    #[error("tokenizer.json gives start and end of text the same id {id}; they must differ")]
    SameSpecial {
        /// The id of both.
        id: u32,
    },
    /// A merge that isn't two tokens.
    #[error("tokenizer.json: the merge \"{merge}\" is not two tokens with a space between")]
    BadMerge {
        /// The merge as it stands in the file.
        merge: String,
    },
    /// A merge of, or into, something that isn't in the vocabulary.
    #[error("tokenizer.json: model.vocab lacks \"{token}\", which the merge \"{merge}\" needs")]
    UnknownInMerge {
        /// The missing token.
        token: String,
        /// The merge.
        merge: String,
    },
    /// The BPE model refused the vocabulary.
    #[error("tokenizer.json: the BPE model can't be built")]
    Model(#[source] tokenizers::Error),
}

/// How long the rows of ids are, and what fills them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizerConfig {
    /// Ids a text, start and end of text included. At least 2; 77 for CLIP, 64 for CLoVe's fine-tuning.
    pub context_length: usize,
    /// The id behind the end of text; 0 in open_clip.
    pub pad_id: u32,
}

impl Default for TokenizerConfig {
    fn default() -> TokenizerConfig {
        TokenizerConfig { context_length: 77, pad_id: 0 }
    }
}

impl TokenizerConfig {
    /// A tokenizer with CLIP's embedded vocabulary.
    ///
    /// # Errors
    /// A context length below 2.
    pub fn init(&self) -> Result<Tokenizer, TokenizerError> {
        self.with_vocabulary(Vocabulary::clip)
    }

    /// A tokenizer with the vocabulary of a Hugging Face tokenizer.json; see [`Tokenizer::from_json`].
    ///
    /// # Errors
    /// A context length below 2, and whatever is wrong with the JSON.
    pub fn init_from_json(&self, json: &[u8]) -> Result<Tokenizer, TokenizerError> {
        let vocabulary = Vocabulary::from_json(json)?;
        self.with_vocabulary(|| vocabulary)
    }

    fn with_vocabulary(
        &self,
        vocabulary: impl FnOnce() -> Arc<Vocabulary>,
    ) -> Result<Tokenizer, TokenizerError> {
        let context_length = self.context_length;
        if context_length < SHORTEST_CONTEXT {
            return Err(TokenizerError::ContextTooShort { context_length });
        }
        Ok(Tokenizer { vocabulary: vocabulary(), config: *self })
    }
}

/// Turns captions into ids. Cheap to clone: the vocabulary is shared.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    config: TokenizerConfig,
}

/// The ids of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Start of text, the text, end of text, padding: `[context_length]`.
    pub ids: Vec<u32>,
    /// The position of end of text in `ids`.
    pub end: usize,
    /// How many tokens of the text didn't fit.
    pub dropped: usize,
}

impl Encoding {
    /// Whether tokens were dropped to fit the context.
    pub fn is_truncated(&self) -> bool {
        self.dropped > 0
    }
}

impl Tokenizer {
    /// A tokenizer with CLIP's embedded vocabulary of 49,408 tokens, padding with 0.
    ///
    /// A context length below 2 is taken as 2, since start and end of text need as many; [`TokenizerConfig::init`]
    /// makes it an error instead.
    pub fn clip(context_length: usize) -> Tokenizer {
        let context_length = context_length.max(SHORTEST_CONTEXT);
        Tokenizer {
            vocabulary: Vocabulary::clip(),
            config: TokenizerConfig { context_length, ..TokenizerConfig::default() },
        }
    }

    /// The same tokenizer with another context length; below 2 it's taken as 2.
    #[must_use]
    pub fn with_context_length(mut self, context_length: usize) -> Tokenizer {
        self.config.context_length = context_length.max(SHORTEST_CONTEXT);
        self
    }

    /// A tokenizer with the vocabulary and merges of a Hugging Face tokenizer.json, padding with 0.
    ///
    /// Its normaliser, word splitting and post-processor are not used: text is cleaned and split as CLIP does it, and
    /// start and end of text, whose ids come from `added_tokens`, are added here. Added tokens are not looked for in
    /// captions. Symbols that the vocabulary lacks become `unk_token`, unless that is a special token; then they are
    /// left out.
    ///
    /// # Errors
    /// A context length below 2; JSON that isn't a byte-pair encoding of CLIP's kind; start or end of text missing from
    /// the added tokens; merges of tokens that the vocabulary lacks.
    pub fn from_json(json: &[u8], context_length: usize) -> Result<Tokenizer, TokenizerError> {
        TokenizerConfig { context_length, ..TokenizerConfig::default() }.init_from_json(json)
    }

    /// Whether this is CLIP's own vocabulary, so that ids fit CLIP's weights.
    pub fn is_clip_vocabulary(&self) -> bool {
        Arc::ptr_eq(&self.vocabulary, &Vocabulary::clip())
    }

    /// The largest id that a text can get, plus one: the rows that a token embedding must have.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.size
    }

    /// The id of start of text; 49,406 in CLIP's vocabulary.
    pub fn start_id(&self) -> u32 {
        self.vocabulary.start
    }

    /// The id of end of text; 49,407 in CLIP's vocabulary.
    pub fn end_id(&self) -> u32 {
        self.vocabulary.end
    }

    /// Ids a text.
    pub fn context_length(&self) -> usize {
        self.config.context_length
    }

    /// Cleans `text` and turns it into exactly `context_length` ids.
    ///
    /// A text that is too long is cut, and its last id is end of text. A blank one is start, end and padding.
    pub fn encode(&self, text: &str) -> Encoding {
        let context_length = self.config.context_length;
        let room = context_length - SHORTEST_CONTEXT;
        let mut ids = Vec::with_capacity(context_length);
        ids.push(self.vocabulary.start);
        let mut count = 0;
        self.for_each_word(text, |tokens| {
            let left = room.saturating_sub(count);
            ids.extend(tokens.iter().take(left).map(|token| token.id));
            count += tokens.len();
        });
        let end = ids.len();
        ids.push(self.vocabulary.end);
        ids.resize(context_length, self.config.pad_id);
        Encoding { ids, end, dropped: count.saturating_sub(room) }
    }

    /// [`Tokenizer::encode`] of each text, in order.
    pub fn encode_batch(&self, texts: &[impl AsRef<str>]) -> Vec<Encoding> {
        texts.iter().map(|text| self.encode(text.as_ref())).collect()
    }

    /// The tokens of `text` in the vocabulary's spelling ("</w>" ends a word), uncut and without start and end.
    pub fn tokens(&self, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        self.for_each_word(text, |word| {
            tokens.extend(word.into_iter().map(|token| token.value));
        });
        tokens
    }

    fn for_each_word(&self, text: &str, mut handle: impl FnMut(Vec<Token>)) {
        let mut symbols = String::new();
        for word in words::split(&clean_text(text)) {
            words::write_symbols(word, &mut symbols);
            // It fails only where the unknown token is not in the vocabulary, which `from_json` rules out.
            handle(self.vocabulary.bpe.tokenize(&symbols).unwrap_or_default());
        }
    }
}
