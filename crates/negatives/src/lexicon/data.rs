//! The content of the lexicon's file.

use serde::{Deserialize, Serialize};

use super::{LexiconError, WordId};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Words in lower case, each once, each followed by a line feed. Compounds have spaces in them.
    pub words: String,
    /// Synsets by part of speech, in the order of [`super::Pos::ALL`].
    pub pos: [PosData; 4],
    /// Links between adjectives and nouns.
    pub related: Related,
    /// Irregular forms.
    pub irregular: Vec<Irregular>,
    /// The tagger's model.
    pub tagger: TaggerData,
    /// The bigram model of captions.
    pub fluency: FluencyData,
}

/// The synsets of a part of speech. Lists of each synset follow one another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PosData {
    /// Members of each synset.
    pub member_counts: Vec<u8>,
    /// The words of each synset.
    pub members: Vec<Form>,
    /// Hypernyms of each synset.
    pub hypernym_counts: Vec<u8>,
    /// The synsets above each synset; those of instances are left out.
    pub hypernyms: Vec<u32>,
    /// Antonyms of each synset.
    pub antonym_counts: Vec<u8>,
    /// The antonyms of each synset's members.
    pub antonyms: Vec<Form>,
}

/// A word with its frequency as a weight, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The word.
    pub word: WordId,
    /// Its weight.
    pub weight: u32,
}

/// Derivational links between adjectives and nouns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Related {
    /// Adjective's synset, noun's synset.
    pub nouns: Vec<(u32, u32)>,
    /// Noun's synset, adjective's synset, adjective, weight.
    pub adjectives: Vec<(u32, u32, Form)>,
}

/// An irregular form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Irregular {
    /// The form.
    pub form: WordId,
    /// Its lemma.
    pub lemma: WordId,
    /// Its slot.
    pub slot: Slot,
}

/// The inflected forms of English.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// Nouns: NNS.
    Plural,
    /// Verbs: VBZ.
    ThirdPerson,
    /// VBD.
    Past,
    /// VBN.
    Participle,
    /// VBG.
    Gerund,
    /// Adjectives and adverbs: JJR, RBR.
    Comparative,
    /// JJS, RBS.
    Superlative,
}

/// The model of [`crate::tagger`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaggerData {
    /// Rows of weights, a row a bucket, a weight a tag.
    pub weights: Vec<i8>,
}

/// A bigram model of captions, for the module `fluency`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FluencyData {
    /// Words with a cost of their own, in ascending order, as differences.
    pub words: Vec<u32>,
    /// Costs of those words.
    pub unigrams: Vec<u16>,
    /// The cost of another word of the lexicon.
    pub rare: u16,
    /// The cost of a word that the lexicon lacks.
    pub unknown: u16,
    /// The cost of backing off after each of those words.
    pub backoff: Vec<u16>,
    /// Pairs of indices in `words`, in ascending order, as differences: first * words + second.
    pub pairs: Vec<u64>,
    /// Costs of those pairs.
    pub bigrams: Vec<u16>,
}

impl Data {
    /// Checks that every index is in range, so that look-ups can't fail.
    pub(super) fn check(&self) -> Result<(), LexiconError> {
        let damaged = |what| Err(LexiconError::Damaged(what));
        if !self.words.is_empty() && !self.words.ends_with('\n') {
            return damaged("words");
        }
        let words = self.words.bytes().filter(|byte| *byte == b'\n').count();
        let known = |word: WordId| (word as usize) < words;
        for pos in &self.pos {
            let synsets = pos.member_counts.len();
            let sum = |counts: &[u8]| counts.iter().map(|count| usize::from(*count)).sum::<usize>();
            let sizes = [
                (sum(&pos.member_counts), pos.members.len()),
                (sum(&pos.hypernym_counts), pos.hypernyms.len()),
                (sum(&pos.antonym_counts), pos.antonyms.len()),
                (pos.hypernym_counts.len(), synsets),
                (pos.antonym_counts.len(), synsets),
            ];
            let forms = || pos.members.iter().chain(&pos.antonyms);
            if sizes.iter().any(|(sum, len)| sum != len)
                || forms().any(|form| !known(form.word) || form.weight == 0)
                || pos.hypernyms.iter().any(|above| *above as usize >= synsets)
            {
                return damaged("synsets");
            }
        }
        let (nouns, adjectives) =
            (self.pos[0].member_counts.len(), self.pos[2].member_counts.len());
        let inside = |adjective: u32, noun: u32| {
            (adjective as usize) < adjectives && (noun as usize) < nouns
        };
        let related = &self.related;
        if !related.nouns.iter().all(|&(a, n)| inside(a, n))
            || !related
                .adjectives
                .iter()
                .all(|&(n, a, form)| inside(a, n) && known(form.word) && form.weight > 0)
        {
            return damaged("related words");
        }
        let irregular = &self.irregular;
        if !irregular.iter().all(|i| known(i.form) && known(i.lemma)) {
            return damaged("irregular forms");
        }
        Ok(())
    }
}
