//! WordNet's words and senses, irregular forms, and how often words stand in captions: one compact file, made by
//! `cargo xtask lexicon`.
//!
//! A [`Lexicon`] is that file ready for look-ups. Of a word's senses it gives the antonyms and, through pools, the cousins:
//! the members of the synsets two levels below a synset two levels above (Netflix/clove:src/training/text_negatives_data.py
//! has them as `hyponyms(hyponyms(hypernyms(hypernyms(s))))`). A pool is drawn from by weight without listing it per word.

mod data;
mod file;
mod pools;

pub use data::{Data, FluencyData, Form, Irregular, PosData, Related, Slot, TaggerData};
pub use file::{LexiconError, from_bytes, to_bytes};

use pools::Pools;

use crate::fluency::Fluency;
use crate::tagger::{Tag, Tagger};
use crate::words::Token;

/// A word's place in the list of words.
pub type WordId = u32;

/// The four open classes of WordNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pos {
    /// Nouns.
    Noun,
    /// Verbs.
    Verb,
    /// Adjectives, satellites among them.
    Adjective,
    /// Adverbs.
    Adverb,
}

impl Pos {
    /// All of them, in the order of [`Data::pos`].
    pub const ALL: [Self; 4] = [Self::Noun, Self::Verb, Self::Adjective, Self::Adverb];
}

/// A sense of a word: its synset, and how often the word is used in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sense {
    /// The synset's place in its part of speech.
    pub synset: u32,
    /// Uses of the word in this sense, 1 or more.
    pub weight: u32,
}

/// A part of speech, ready for look-ups.
#[derive(Debug)]
pub(crate) struct Senses {
    data: PosData,
    /// Where each synset's hypernyms begin; one more than there are synsets.
    hypernyms_at: Vec<u32>,
    antonyms_at: Vec<u32>,
    /// Senses by word: `(word, first)` as a sparse index, sorted by word.
    by_word: Vec<Sense>,
    by_word_at: Vec<u32>,
    pub pools: Pools,
}

/// The lexicon.
#[derive(Debug)]
pub struct Lexicon {
    words: String,
    /// Where each word begins; one more than there are words.
    words_at: Vec<u32>,
    /// Open addressing: a word's place plus one, or 0.
    table: Vec<u32>,
    senses: [Senses; 4],
    /// Irregular forms by form, and by lemma.
    forms: Vec<Irregular>,
    by_lemma: Vec<Irregular>,
    pub(crate) tagger: Tagger,
    pub(crate) fluency: Fluency,
}

impl Lexicon {
    /// Reads the file's bytes.
    ///
    /// # Errors
    /// When they aren't a lexicon, or one of another version, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LexiconError> {
        Self::new(from_bytes(bytes)?)
    }

    /// From the file's content.
    ///
    /// # Errors
    /// When indices point nowhere.
    pub fn new(data: Data) -> Result<Self, LexiconError> {
        data.check()?;
        let words_at = data
            .words
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at as u32 + 1);
        let words_at: Vec<u32> = std::iter::once(0).chain(words_at).collect();
        let count = words_at.len() - 1;
        let mut table = vec![0_u32; (count * 2).next_power_of_two().max(2)];
        let mask = table.len() - 1;
        for word in 0..count {
            let slice = &data.words[words_at[word] as usize..words_at[word + 1] as usize - 1];
            let mut at = hash(slice.as_bytes()) as usize & mask;
            while table[at] != 0 {
                at = (at + 1) & mask;
            }
            table[at] = word as u32 + 1;
        }
        let [noun, verb, adjective, adverb] = data.pos;
        let related = data.related;
        let noun = Senses::new(noun, count, Pools::same);
        let verb = Senses::new(verb, count, Pools::same);
        let adjective = Senses::new(adjective, count, |_, _| Pools::adjectives(&noun, &related));
        let adverb = Senses::new(adverb, count, |_, _| Pools::default());
        let mut forms = data.irregular;
        let mut by_lemma = forms.clone();
        forms.sort_unstable_by_key(|entry| entry.form);
        by_lemma.sort_unstable_by_key(|entry| (entry.lemma, entry.slot));
        Ok(Self {
            words: data.words,
            words_at,
            table,
            senses: [noun, verb, adjective, adverb],
            forms,
            by_lemma,
            tagger: Tagger::new(data.tagger)?,
            fluency: Fluency::new(data.fluency, count)?,
        })
    }

    /// A word's place, which must be given in lower case.
    #[must_use]
    pub fn find(&self, word: &str) -> Option<WordId> {
        let mask = self.table.len() - 1;
        let mut at = hash(word.as_bytes()) as usize & mask;
        loop {
            let found = self.table[at].checked_sub(1)?;
            let place = found as usize;
            let (from, to) = (self.words_at[place] as usize, self.words_at[place + 1] as usize - 1);
            if &self.words.as_bytes()[from..to] == word.as_bytes() {
                return Some(found);
            }
            at = (at + 1) & mask;
        }
    }

    /// The word at a place.
    #[must_use]
    pub fn word(&self, word: WordId) -> &str {
        let at = word as usize;
        &self.words[self.words_at[at] as usize..self.words_at[at + 1] as usize - 1]
    }

    /// Words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words_at.len() - 1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tags of a caption's tokens.
    #[must_use]
    pub fn tag(&self, tokens: &[Token]) -> Vec<Tag> {
        self.tagger.tag(self, tokens)
    }

    pub(crate) fn pos(&self, pos: Pos) -> &Senses {
        &self.senses[pos as usize]
    }

    /// A lemma's senses in a part of speech, by synset.
    #[must_use]
    pub fn senses(&self, lemma: WordId, pos: Pos) -> &[Sense] {
        self.pos(pos).of(lemma)
    }

    /// Irregular forms that are written so.
    pub(crate) fn analyses(&self, form: WordId) -> impl Iterator<Item = &Irregular> {
        let from = self.forms.partition_point(|entry| entry.form < form);
        self.forms[from..].iter().take_while(move |entry| entry.form == form)
    }

    /// The irregular form of a lemma in a slot.
    pub(crate) fn irregular(&self, lemma: WordId, slot: Slot) -> Option<WordId> {
        self.by_lemma
            .binary_search_by_key(&(lemma, slot), |entry| (entry.lemma, entry.slot))
            .ok()
            .map(|at| self.by_lemma[at].form)
    }
}

impl Senses {
    fn new(data: PosData, words: usize, pools: impl FnOnce(&PosData, &Offsets) -> Pools) -> Self {
        let offsets = Offsets {
            members: running(&data.member_counts),
            hypernyms: running(&data.hypernym_counts),
        };
        // Counting sort of the senses by word; those of a word stay in the order of their synsets.
        let mut by_word_at = vec![0_u32; words + 1];
        for member in &data.members {
            by_word_at[member.word as usize + 1] += 1;
        }
        for word in 0..words {
            by_word_at[word + 1] += by_word_at[word];
        }
        let mut next = by_word_at.clone();
        let mut by_word = vec![Sense { synset: 0, weight: 0 }; data.members.len()];
        for synset in 0..data.member_counts.len() {
            for at in offsets.members[synset]..offsets.members[synset + 1] {
                let member = data.members[at as usize];
                let place = &mut next[member.word as usize];
                by_word[*place as usize] = Sense { synset: synset as u32, weight: member.weight };
                *place += 1;
            }
        }
        let pools = pools(&data, &offsets);
        Self {
            antonyms_at: running(&data.antonym_counts),
            hypernyms_at: offsets.hypernyms,
            by_word,
            by_word_at,
            pools,
            data,
        }
    }

    pub(crate) fn of(&self, word: WordId) -> &[Sense] {
        let at = word as usize;
        &self.by_word[self.by_word_at[at] as usize..self.by_word_at[at + 1] as usize]
    }

    pub(crate) fn hypernyms(&self, synset: u32) -> &[u32] {
        let at = synset as usize;
        &self.data.hypernyms[self.hypernyms_at[at] as usize..self.hypernyms_at[at + 1] as usize]
    }

    /// Antonyms of any of the synset's members.
    pub(crate) fn antonyms(&self, synset: u32) -> &[Form] {
        let at = synset as usize;
        &self.data.antonyms[self.antonyms_at[at] as usize..self.antonyms_at[at + 1] as usize]
    }

    /// Whether one synset stands above the other, within four levels.
    pub(crate) fn in_line(&self, one: u32, other: u32) -> bool {
        self.above(one, other, 4) || self.above(other, one, 4)
    }

    fn above(&self, high: u32, low: u32, levels: usize) -> bool {
        high == low
            || (levels > 0
                && self.hypernyms(low).iter().any(|&next| self.above(high, next, levels - 1)))
    }
}

/// Where each synset's lists begin.
pub(crate) struct Offsets {
    pub members: Vec<u32>,
    pub hypernyms: Vec<u32>,
}

fn running(counts: &[u8]) -> Vec<u32> {
    let mut sum = 0;
    let mut all = Vec::with_capacity(counts.len() + 1);
    all.push(0);
    for count in counts {
        sum += u32::from(*count);
        all.push(sum);
    }
    all
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
