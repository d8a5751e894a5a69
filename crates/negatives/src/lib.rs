//! Hard negative captions: nearly the caption, but false of the picture.
//!
//! ```
//! use clove_negatives::{ENGLISH, Generator, Request, Style};
//!
//! # fn main() -> Result<(), clove_negatives::LexiconError> {
//! let generator = Generator::new(ENGLISH)?;
//! let made = generator.negatives(&Request {
//!     caption: "a black cat sits on a wooden chair",
//!     others: &[],
//!     style: Style::Replace,
//!     count: 3,
//!     seed: 0,
//!     epoch: 0,
//!     index: 0,
//! });
//! assert_eq!(made.negatives.len(), 3);
//! for negative in made.negatives {
//!     println!("{} ({} instead of {})", negative.text, negative.to, negative.from);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! In reading order: [`words`] splits a caption into tokens, `tagger` gives each its part of speech, [`phrases`] finds noun chunks and
//! the relations between them; `lexicon` holds WordNet, the inflections and the counts, `inflect` puts a lemma into a form, `fluency`
//! gives the cost of a text as a caption; `exchange` says which parts can change places. The styles `replace`, `negclip`, `swap` and `shuffle` and the [`Generator`] use these.
//!
//! Negatives are a function of (text, style, count, seed, epoch, index) and of [`RULES`], without files, clock and floating point.
//!
//! Sources: Castro et al. 2024 (CLoVe, arXiv 2402.15021), Hsieh et al. 2023 (REPLACE and SugarCrepe, arXiv 2306.14610),
//! Yuksekgonul et al. 2023 (NegCLIP and ARO, arXiv 2210.01936), Oh et al. 2024 (FSC-CLIP, arXiv 2410.05210).

mod article;
mod english;
mod exchange;
mod fluency;
mod generator;
pub mod inflect;
pub mod lexicon;
pub mod morphology;
mod negclip;
pub mod phrases;
mod prepositions;
mod replace;
mod shuffle;
mod splice;
mod swap;
pub mod tagger;
pub mod words;

pub use generator::{Generator, Request};
pub use lexicon::LexiconError;

use serde::{Serialize, Serializer};

/// The lexicon of English, for [`Generator::new`] in native programs; web pages download it. See LEXICON.md for its sources.
pub const ENGLISH: &[u8] = include_bytes!("../english.lexicon");

/// The version of the rules and the lexicon. Another one gives other negatives from the same caption, style and seed.
pub const RULES: u32 = 2;

/// Most bytes of a caption with negatives. A dense caption has a few thousand.
pub const LONGEST_CAPTION: usize = 16_384;

/// A style of negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// A word is replaced by another of its kind: CLoVe's own (Castro et al. 2024, after Hsieh et al. 2023).
    Replace,
    /// Two phrases, nouns, adjectives, adverbs or verbs are exchanged (Yuksekgonul et al. 2023).
    Negclip,
    /// Objects, or their attributes, are exchanged between two noun chunks.
    Swap,
    /// The words are in another order (Yuksekgonul et al. 2023; Oh et al. 2024 for bigrams).
    Shuffle,
    /// Negatives of different kinds, from all styles (Oh et al. 2024).
    Mixed,
}

impl Style {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Replace, Self::Negclip, Self::Swap, Self::Shuffle, Self::Mixed];

    /// Its name in commands and configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Negclip => "negclip",
            Self::Swap => "swap",
            Self::Shuffle => "shuffle",
            Self::Mixed => "mixed",
        }
    }
}

/// The kind of a change: SugarCrepe's terms (Hsieh et al. 2023), and ARO's and FSC-CLIP's for orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Another object.
    ReplaceObject,
    /// Another attribute.
    ReplaceAttribute,
    /// Another relation.
    ReplaceRelation,
    /// Two objects exchanged.
    SwapObject,
    /// Two attributes exchanged.
    SwapAttribute,
    /// Two relations exchanged; SugarCrepe has none of these.
    SwapRelation,
    /// Nouns and adjectives in another order, all else in its place.
    ShuffleNounsAndAdjectives,
    /// All but nouns and adjectives in another order.
    ShuffleAllButNounsAndAdjectives,
    /// Words in another order within each group of three.
    ShuffleWithinTrigrams,
    /// Groups of three words in another order.
    ShuffleTrigrams,
    /// Groups of two words in another order.
    ShuffleBigrams,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ReplaceObject,
        Self::ReplaceAttribute,
        Self::ReplaceRelation,
        Self::SwapObject,
        Self::SwapAttribute,
        Self::SwapRelation,
        Self::ShuffleNounsAndAdjectives,
        Self::ShuffleAllButNounsAndAdjectives,
        Self::ShuffleWithinTrigrams,
        Self::ShuffleTrigrams,
        Self::ShuffleBigrams,
    ];

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplaceObject => "replace_obj",
            Self::ReplaceAttribute => "replace_att",
            Self::ReplaceRelation => "replace_rel",
            Self::SwapObject => "swap_obj",
            Self::SwapAttribute => "swap_att",
            Self::SwapRelation => "swap_rel",
            Self::ShuffleNounsAndAdjectives => "shuffle_nouns_and_adjectives",
            Self::ShuffleAllButNounsAndAdjectives => "shuffle_all_but_nouns_and_adjectives",
            Self::ShuffleWithinTrigrams => "shuffle_within_trigrams",
            Self::ShuffleTrigrams => "shuffle_trigrams",
            Self::ShuffleBigrams => "shuffle_bigrams",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A hard negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Negative {
    /// The whole text.
    pub text: String,
    /// The kind of the change.
    pub kind: Kind,
    /// The changed part of the caption.
    pub from: String,
    /// The new text; for an exchange the other part, for a shuffle the words in their new order.
    pub to: String,
}

/// Negatives of one caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The negatives, at most as many as requested.
    pub negatives: Vec<Negative>,
    /// The reason for no negatives.
    pub why_none: Option<WhyNone>,
}

/// Why a caption has no negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhyNone {
    /// The caption is blank.
    Blank,
    /// The caption is longer than [`LONGEST_CAPTION`].
    TooLong,
    /// The caption has no word that the style can change.
    NothingToChange,
    /// Every candidate is a caption of the same image.
    OnlyTrueOnes,
    /// The caption is in another language.
    NotEnglish,
}

impl WhyNone {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Blank, Self::TooLong, Self::NothingToChange, Self::OnlyTrueOnes, Self::NotEnglish];

    /// In words, for reports.
    pub fn words(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::TooLong => "longer than 16,384 bytes",
            Self::NothingToChange => "no word that the style can change",
            Self::OnlyTrueOnes => "every candidate is true of the image",
            Self::NotEnglish => "not English",
        }
    }
}
