//! Hard negative captions: captions in, nearly the same captions out that no longer fit the picture.
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
//! In reading order: [`words`] cuts a caption into tokens, `tagger` gives each its part of speech, [`phrases`] finds noun
//! chunks and the relations between them; `lexicon` holds WordNet, the inflections and the counts that all of them use,
//! `inflect` puts a lemma into the form that a tag asks for, `fluency` says how likely a text is as a caption. On these stand
//! the styles: `replace`, `negclip`, `swap`, `shuffle`, and [`Generator`], which draws from them.
//!
//! No files, no clock, no floating point: the same negatives natively and in a browser, a function of
//! (text, style, count, seed, epoch, index). Called by the trainer, by `clove negatives` and by the page.
//!
//! Sources: Castro et al. 2024 (CLoVe, arXiv 2402.15021), Hsieh et al. 2023 (REPLACE and SugarCrepe, arXiv 2306.14610),
//! Yuksekgonul et al. 2023 (NegCLIP and ARO, arXiv 2210.01936), Oh et al. 2024 (FSC-CLIP, arXiv 2410.05210).

mod article;
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

use serde::{Deserialize, Serialize};

/// The lexicon of English, for [`Generator::new`]. A native program holds it; a page fetches the file instead. LEXICON.md has its
/// sources and licences.
pub const ENGLISH: &[u8] = include_bytes!("../english.lexicon");

/// Longest caption that negatives are made of, in bytes. A dense caption has a few thousand; a line of a megabyte is none.
pub const LONGEST_CAPTION: usize = 16_384;

/// How negatives are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// A word gives way to another of its kind: CLoVe's own (Castro et al. 2024, after Hsieh et al. 2023).
    Replace,
    /// Two phrases, nouns, adjectives, adverbs or verbs change places (Yuksekgonul et al. 2023).
    Negclip,
    /// Objects, or their attributes, change places between two noun chunks.
    Swap,
    /// The order of words is lost (Yuksekgonul et al. 2023; Oh et al. 2024 for bigrams).
    Shuffle,
    /// Negatives of different kinds, from all of these (Oh et al. 2024).
    Mixed,
}

impl Style {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Replace, Self::Negclip, Self::Swap, Self::Shuffle, Self::Mixed];

    /// Its name in commands and configurations.
    #[must_use]
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

/// What was done to a caption: SugarCrepe's terms (Hsieh et al. 2023), and ARO's and FSC-CLIP's for orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Another object.
    #[serde(rename = "replace_obj")]
    ReplaceObject,
    /// Another attribute.
    #[serde(rename = "replace_att")]
    ReplaceAttribute,
    /// Another relation.
    #[serde(rename = "replace_rel")]
    ReplaceRelation,
    /// Two objects exchanged.
    #[serde(rename = "swap_obj")]
    SwapObject,
    /// Two attributes exchanged.
    #[serde(rename = "swap_att")]
    SwapAttribute,
    /// Two relations exchanged; SugarCrepe has none of these.
    #[serde(rename = "swap_rel")]
    SwapRelation,
    /// Nouns and adjectives in another order, all else in its place.
    #[serde(rename = "shuffle_nouns_and_adjectives")]
    ShuffleNounsAndAdjectives,
    /// All but nouns and adjectives in another order.
    #[serde(rename = "shuffle_all_but_nouns_and_adjectives")]
    ShuffleAllButNounsAndAdjectives,
    /// Words in another order within each group of three.
    #[serde(rename = "shuffle_within_trigrams")]
    ShuffleWithinTrigrams,
    /// Groups of three words in another order.
    #[serde(rename = "shuffle_trigrams")]
    ShuffleTrigrams,
    /// Groups of two words in another order.
    #[serde(rename = "shuffle_bigrams")]
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
    #[must_use]
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

/// A hard negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negative {
    /// The whole text.
    pub text: String,
    /// What was done.
    pub kind: Kind,
    /// What stood in the caption.
    pub from: String,
    /// What stands there now; of an exchange, the other part; of a shuffle, the words in their new order.
    pub to: String,
}

/// Negatives of one caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// At most as many as were asked for.
    pub negatives: Vec<Negative>,
    /// Why there are none; none if there are.
    pub why_none: Option<WhyNone>,
}

/// Why a caption gave no negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhyNone {
    /// There is nothing but white space.
    Blank,
    /// It is longer than [`LONGEST_CAPTION`].
    TooLong,
    /// There is no word in it that the style could take hold of.
    NothingToChange,
    /// Whatever could be made is a caption of the same image, or the caption itself.
    OnlyTrueOnes,
}

impl WhyNone {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Blank, Self::TooLong, Self::NothingToChange, Self::OnlyTrueOnes];

    /// In words, for reports.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::TooLong => "longer than 16,384 bytes",
            Self::NothingToChange => "nothing in it that the style could change",
            Self::OnlyTrueOnes => "what could be made is true of the image too",
        }
    }
}
