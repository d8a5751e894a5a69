//! Parts of speech: an averaged perceptron (Collins 2002) over hashed features, left to right.
//!
//! The features are the usual ones for English, and one from the lexicon: the forms and parts of speech that the word can be. Weights are
//! integers, so that every machine gives the same tags. `cargo xtask lexicon` trains the model and prints its accuracy.

use crate::lexicon::{Lexicon, LexiconError, Pos, Slot, TaggerData, hash};
use crate::morphology::readings;
use crate::words::Token;

macro_rules! tags {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// Part-of-speech tags of the Penn Treebank (Marcus et al. 1993), and one for all punctuation.
        #[allow(clippy::upper_case_acronyms, missing_docs, reason = "the names of the field")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Tag {
            $($name),+
        }

        impl Tag {
            /// All of them, in the order of the model's weights.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name in treebanks.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }

            /// The tag of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|tag| tag.name() == name).copied()
            }
        }
    };
}

tags! {
    CC = "CC", CD = "CD", DT = "DT", EX = "EX", FW = "FW", IN = "IN", JJ = "JJ", JJR = "JJR",
    JJS = "JJS", LS = "LS", MD = "MD", NN = "NN", NNP = "NNP", NNPS = "NNPS", NNS = "NNS",
    PDT = "PDT", POS = "POS", PRP = "PRP", PRPS = "PRP$", RB = "RB", RBR = "RBR", RBS = "RBS",
    RP = "RP", SYM = "SYM", TO = "TO", UH = "UH", VB = "VB", VBD = "VBD", VBG = "VBG",
    VBN = "VBN", VBP = "VBP", VBZ = "VBZ", WDT = "WDT", WP = "WP", WPS = "WP$", WRB = "WRB",
    Punctuation = ".",
}

impl Tag {
    /// NN, NNS, NNP, NNPS.
    pub fn is_noun(self) -> bool {
        matches!(self, Self::NN | Self::NNS | Self::NNP | Self::NNPS)
    }

    /// NN, NNS.
    pub fn is_common_noun(self) -> bool {
        matches!(self, Self::NN | Self::NNS)
    }

    /// JJ, JJR, JJS.
    pub fn is_adjective(self) -> bool {
        matches!(self, Self::JJ | Self::JJR | Self::JJS)
    }

    /// RB, RBR, RBS.
    pub fn is_adverb(self) -> bool {
        matches!(self, Self::RB | Self::RBR | Self::RBS)
    }

    /// VB, VBD, VBG, VBN, VBP, VBZ.
    pub fn is_verb(self) -> bool {
        matches!(self, Self::VB | Self::VBD | Self::VBG | Self::VBN | Self::VBP | Self::VBZ)
    }
}

/// Number of buckets of hashed features.
pub const BUCKETS: usize = 1 << 16;

/// Weights of a bucket: one for each tag, and padding for aligned rows.
pub const ROW: usize = 40;

/// Number of features of a token.
pub const FEATURES: usize = 17;

/// The model.
#[derive(Debug)]
pub struct Tagger {
    weights: Vec<i8>,
}

/// The inputs of a token's features.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clues {
    word: u64,
    ending: u64,
    beginning: u64,
    shape: u64,
    forms: u64,
}

impl Clues {
    /// Those of a token.
    pub fn new(lexicon: &Lexicon, token: &Token) -> Self {
        let lower = token.lower.as_str();
        let chars = lower.chars().count();
        let ending = lower.char_indices().nth_back(2).map_or(0, |(at, _)| at);
        let digits = lower.bytes().any(|byte| byte.is_ascii_digit());
        let hyphen =
            lower[usize::from(!lower.is_empty() && lower.is_char_boundary(1))..].contains('-');
        let shape = u64::from(token.capital)
            | u64::from(digits) << 1
            | u64::from(hyphen) << 2
            | (chars.min(4) as u64) << 3;
        let mut forms = 0;
        if token.word {
            let mut weights = [0_u64; 4];
            readings(lexicon, lower, |reading| {
                let place = match (reading.pos, reading.slot) {
                    (Pos::Noun, None) => 0,
                    (Pos::Noun, Some(_)) => 1,
                    (Pos::Verb, None) => 2,
                    (Pos::Verb, Some(Slot::ThirdPerson)) => 3,
                    (Pos::Verb, Some(Slot::Past)) => 4,
                    (Pos::Verb, Some(Slot::Participle)) => 5,
                    (Pos::Verb, Some(_)) => 6,
                    (Pos::Adjective, None) => 7,
                    (Pos::Adjective, Some(_)) => 8,
                    (Pos::Adverb, _) => 9,
                };
                forms |= 1 << place;
                weights[reading.pos as usize] += lexicon.weight(reading.lemma, reading.pos);
            });
            if forms != 0 {
                // The most frequent part of speech.
                let most =
                    (0..4).fold(0, |best, at| if weights[at] > weights[best] { at } else { best });
                forms |= (most as u64 + 1) << 10;
            }
        }
        Self {
            word: hash(lower.as_bytes()),
            ending: hash(&lower.as_bytes()[ending..]),
            beginning: lower.chars().next().map_or(0, |first| first as u64),
            shape,
            forms,
        }
    }

    const START: Self = Self { word: 1, ending: 1, beginning: 1, shape: 1, forms: 1 << 20 };
}

/// The buckets of the features of token `at`, with the tags of the two tokens before it.
pub fn features(clues: &[Clues], at: usize, before: [u8; 2]) -> [u32; FEATURES] {
    let near = |offset: isize| -> Clues {
        at.checked_add_signed(offset).and_then(|at| clues.get(at).copied()).unwrap_or(Clues::START)
    };
    let (here, previous, next) = (near(0), near(-1), near(1));
    let [second, first] = before.map(|tag| u64::from(tag) + 1);
    let pairs = [
        (here.word, 0),
        (here.ending, here.shape),
        (here.beginning, here.shape),
        (here.forms, here.ending),
        (first, 0),
        (second, 0),
        (first, second),
        (first, here.word),
        (first, here.forms),
        (first, next.forms),
        (previous.word, here.forms),
        (previous.ending, 0),
        (near(-2).word, 0),
        (next.word, here.forms),
        (next.ending, here.forms),
        (near(2).word, 0),
        (next.forms, here.forms),
    ];
    let mut buckets = [0; FEATURES];
    for (place, (one, other)) in pairs.into_iter().enumerate() {
        let mixed = (one ^ (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
            .rotate_left(31)
            ^ other.wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        buckets[place] = (mixed >> (64 - BUCKETS.trailing_zeros())) as u32;
    }
    buckets
}

/// The tag of a token that needs no model.
pub fn plain(token: &Token) -> Option<Tag> {
    if token.opaque {
        Some(Tag::SYM)
    } else if token.word {
        // The model distinguishes possessives from a contracted "is".
        let digits = token.lower.bytes().all(|byte| byte.is_ascii_digit());
        digits.then_some(Tag::CD)
    } else if token.lower == "&" {
        Some(Tag::CC)
    } else {
        Some(Tag::Punctuation)
    }
}

impl Tagger {
    /// From a lexicon's data. An empty model gives every word the same tag.
    ///
    /// # Errors
    /// When the model has another size.
    pub fn new(data: TaggerData) -> Result<Self, LexiconError> {
        let weights = if data.weights.is_empty() { vec![0; BUCKETS * ROW] } else { data.weights };
        if weights.len() != BUCKETS * ROW {
            return Err(LexiconError::Damaged("the tagger's weights"));
        }
        Ok(Self { weights })
    }

    /// Tags of a caption's tokens, in their order.
    pub fn tag(&self, lexicon: &Lexicon, tokens: &[Token]) -> Vec<Tag> {
        let clues: Vec<Clues> = tokens.iter().map(|token| Clues::new(lexicon, token)).collect();
        let mut tags = Vec::with_capacity(tokens.len());
        let mut before = [Tag::ALL.len() as u8; 2];
        for (at, token) in tokens.iter().enumerate() {
            let tag = plain(token).unwrap_or_else(|| self.best(&features(&clues, at, before)));
            tags.push(tag);
            before = [before[1], tag as u8];
        }
        tags
    }

    fn best(&self, buckets: &[u32; FEATURES]) -> Tag {
        // The sum of 17 bytes fits into 16 bits, of which more fit into a register.
        let mut scores = [0_i16; ROW];
        for bucket in buckets {
            let row = &self.weights[*bucket as usize * ROW..][..ROW];
            for (score, weight) in scores.iter_mut().zip(row) {
                *score += i16::from(*weight);
            }
        }
        // The last tag is punctuation, which needs no model.
        let learnt = Tag::ALL.len() - 1;
        let best =
            (1..learnt).fold(0, |best, at| if scores[at] > scores[best] { at } else { best });
        Tag::ALL[best]
    }
}
