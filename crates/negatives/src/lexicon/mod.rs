//! WordNet's words and senses, irregular forms and word frequencies, in one compact file built by `cargo xtask lexicon`.
//!
//! A [`Lexicon`] is that file, indexed, with the lists of words that exclude one another. An adjective's sense has antonyms, and a noun's
//! has cousins, in pools: the members of the synsets two levels below a synset two levels above
//! (`hyponyms(hyponyms(hypernyms(hypernyms(s))))` in Netflix/clove:src/training/text_negatives_data.py).

mod classes;
mod data;
mod file;
mod lists;
mod pools;

pub(crate) use classes::Trait;
pub use data::{Data, FluencyData, Form, Irregular, PosData, Related, Slot, TaggerData};
pub use file::{LexiconError, from_bytes, to_bytes};

use classes::Classes;
use lists::Lists;
use pools::Pools;

use crate::fluency::{Fluency, Place};
use crate::tagger::{Tag, Tagger};
use crate::words::Token;

/// A word's index.
pub type WordId = u32;

/// The four open classes of WordNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pos {
    /// Nouns.
    Noun,
    /// Verbs.
    Verb,
    /// Adjectives, including satellites.
    Adjective,
    /// Adverbs.
    Adverb,
}

impl Pos {
    /// All of them, in the order of [`Data::pos`].
    pub const ALL: [Self; 4] = [Self::Noun, Self::Verb, Self::Adjective, Self::Adverb];
}

/// A sense of a word: its synset and its frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sense {
    /// The synset's index in its part of speech.
    pub synset: u32,
    /// Uses of the word in this sense, 1 or more.
    pub weight: u32,
}

/// The indexed synsets of a part of speech.
#[derive(Debug)]
pub(crate) struct Senses {
    /// By synset.
    hypernyms: Lists<u32>,
    /// By synset.
    antonyms: Lists<Form>,
    by_word: Lists<Sense>,
    pub pools: Pools,
}

/// The lexicon.
#[derive(Debug)]
pub struct Lexicon {
    words: String,
    /// The start of each word, and the end.
    words_at: Vec<u32>,
    /// Hash table with open addressing: a word's index plus one, or 0.
    table: Vec<u32>,
    senses: [Senses; 4],
    /// Irregular forms by form, and by lemma.
    forms: Vec<Irregular>,
    by_lemma: Vec<Irregular>,
    pub(crate) tagger: Tagger,
    pub(crate) fluency: Fluency,
    pub(crate) classes: Classes,
}

impl Lexicon {
    /// Reads the file's bytes.
    ///
    /// # Errors
    /// When they are no lexicon, of another version, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LexiconError> {
        Self::new(from_bytes(bytes)?)
    }

    /// From the file's content.
    ///
    /// # Errors
    /// When an index is out of range.
    pub fn new(data: Data) -> Result<Self, LexiconError> {
        data.check()?;
        let ends = data.words.match_indices('\n').map(|(at, _)| at as u32 + 1);
        let words_at: Vec<u32> = std::iter::once(0).chain(ends).collect();
        let count = words_at.len() - 1;
        let mut table = vec![0_u32; (count * 2).next_power_of_two().max(2)];
        for word in 0..count {
            let slice = &data.words[words_at[word] as usize..words_at[word + 1] as usize - 1];
            let at = probe(&table, hash(slice.as_bytes()), |slot| *slot == 0);
            table[at] = word as u32 + 1;
        }
        let [noun, verb, adjective, adverb] = data.pos;
        // Only nouns are replaced by cousins.
        let noun = Senses::new(noun, count, Pools::new);
        let [verb, adjective, adverb] =
            [verb, adjective, adverb].map(|data| Senses::new(data, count, |_, _| Pools::default()));
        let mut forms = data.irregular;
        let mut by_lemma = forms.clone();
        forms.sort_unstable_by_key(|entry| entry.form);
        by_lemma.sort_unstable_by_key(|entry| (entry.lemma, entry.slot));
        let mut lexicon = Self {
            words: data.words,
            words_at,
            table,
            senses: [noun, verb, adjective, adverb],
            forms,
            by_lemma,
            tagger: Tagger::new(data.tagger)?,
            fluency: Fluency::new(data.fluency, count)?,
            classes: Classes::default(),
        };
        lexicon.classes = Classes::new(&lexicon);
        Ok(lexicon)
    }

    /// The index of a word in lower case.
    pub fn find(&self, word: &str) -> Option<WordId> {
        let is_it = |slot: &u32| *slot == 0 || self.word(*slot - 1) == word;
        self.table[probe(&self.table, hash(word.as_bytes()), is_it)].checked_sub(1)
    }

    /// The word of an index.
    pub fn word(&self, word: WordId) -> &str {
        let at = word as usize;
        &self.words[self.words_at[at] as usize..self.words_at[at + 1] as usize - 1]
    }

    /// The number of words.
    pub fn len(&self) -> usize {
        self.words_at.len() - 1
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A word's index in the model of captions.
    pub(crate) fn place(&self, word: &str) -> Place {
        self.fluency.place(self.find(word))
    }

    /// Tags of a caption's tokens.
    pub fn tag(&self, tokens: &[Token]) -> Vec<Tag> {
        self.tagger.tag(self, tokens)
    }

    /// Whether captions have every word of a lemma.
    pub(crate) fn in_captions(&self, lemma: &str) -> bool {
        lemma.split([' ', '-']).all(|word| self.fluency.knows(self.place(word)))
    }

    /// The frequency of a lemma in a part of speech.
    pub(crate) fn weight(&self, lemma: WordId, pos: Pos) -> u64 {
        self.senses(lemma, pos).iter().map(|sense| u64::from(sense.weight)).sum()
    }

    pub(crate) fn pos(&self, pos: Pos) -> &Senses {
        &self.senses[pos as usize]
    }

    /// A lemma's senses in a part of speech, by synset.
    pub fn senses(&self, lemma: WordId, pos: Pos) -> &[Sense] {
        self.pos(pos).of(lemma)
    }

    pub(crate) fn analyses(&self, form: WordId) -> impl Iterator<Item = &Irregular> {
        let from = self.forms.partition_point(|entry| entry.form < form);
        self.forms[from..].iter().take_while(move |entry| entry.form == form)
    }

    pub(crate) fn irregular(&self, lemma: WordId, slot: Slot) -> Option<WordId> {
        self.by_lemma
            .binary_search_by_key(&(lemma, slot), |entry| (entry.lemma, entry.slot))
            .ok()
            .map(|at| self.by_lemma[at].form)
    }
}

impl Senses {
    fn new(
        data: PosData,
        words: usize,
        pools: impl FnOnce(&Lists<Form>, &Lists<u32>) -> Pools,
    ) -> Self {
        let members = Lists::counted(&data.member_counts, data.members);
        let hypernyms = Lists::counted(&data.hypernym_counts, data.hypernyms);
        let by_word = (0..members.len()).flat_map(|synset| {
            let sense = move |weight| Sense { synset: synset as u32, weight };
            members.get(synset).iter().map(move |member| (member.word, sense(member.weight)))
        });
        Self {
            by_word: Lists::by_number(words, by_word.collect()),
            antonyms: Lists::counted(&data.antonym_counts, data.antonyms),
            pools: pools(&members, &hypernyms),
            hypernyms,
        }
    }

    pub(crate) fn of(&self, word: WordId) -> &[Sense] {
        self.by_word.get(word as usize)
    }

    /// Antonyms of any of the synset's members.
    pub(crate) fn antonyms(&self, synset: u32) -> &[Form] {
        self.antonyms.get(synset as usize)
    }

    /// Whether one photo can bear both words: they share a synset, one's is a hypernym of the other's within four levels, or both have
    /// the same hypernym. WordNet's sisters are near-synonyms as often as they exclude one another: plate and dish, herd and flock.
    pub(crate) fn close(&self, one: WordId, other: WordId) -> bool {
        self.of(one).iter().any(|one| {
            self.of(other).iter().any(|other| {
                let (one, other) = (one.synset, other.synset);
                let above = self.hypernyms.get(other as usize);
                self.above(one, other, 4)
                    || self.above(other, one, 4)
                    || self.hypernyms.get(one as usize).iter().any(|parent| above.contains(parent))
            })
        })
    }

    fn above(&self, high: u32, low: u32, levels: usize) -> bool {
        high == low
            || (levels > 0
                && self
                    .hypernyms
                    .get(low as usize)
                    .iter()
                    .any(|&next| self.above(high, next, levels - 1)))
    }
}

/// The first slot that `stops`, in a hash table with open addressing whose size is a power of two.
pub(crate) fn probe<T>(table: &[T], hash: u64, stops: impl Fn(&T) -> bool) -> usize {
    let mask = table.len() - 1;
    let mut at = hash as usize & mask;
    while !stops(&table[at]) {
        at = (at + 1) & mask;
    }
    at
}

/// The multiplicative hash of the Rust compiler's tables (rustc-hash), eight bytes at a time.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;
    let mut state = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR).rotate_left(29);
    }
    state ^ (state >> 32)
}
