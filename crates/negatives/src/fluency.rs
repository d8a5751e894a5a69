//! A bigram model of captions, by which negatives that read like captions are preferred.
//!
//! Negatives that a language model can detect teach reading instead of looking (Hsieh et al. 2023 show this for earlier benchmarks).
//! Costs are -log2 of a probability, in steps of 1/256, so that sums are exact on every machine.

use crate::lexicon::{FluencyData, LexiconError, WordId, probe};

/// Steps in one bit.
pub const BIT: i32 = 256;

/// A word's index in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

/// The beginning and the end of a caption.
pub const BOUNDARY: Place = Place(u32::MAX);
const RARE: Place = Place(u32::MAX - 1);
const UNKNOWN: Place = Place(u32::MAX - 2);

/// The model.
#[derive(Debug)]
pub struct Fluency {
    data: FluencyData,
    /// The index of each word of the lexicon, or `RARE`.
    places: Vec<u32>,
    /// Open addressing: key of a pair plus one, and its cost.
    pairs: Vec<(u64, u16)>,
}

impl Fluency {
    pub fn new(mut data: FluencyData, words: usize) -> Result<Self, LexiconError> {
        let damaged = Err(LexiconError::Damaged("the model of captions"));
        let known = data.words.len();
        if data.unigrams.len() != known + 1 || data.backoff.len() != known + 1 {
            // An empty model gives everything the same cost.
            if known > 0 || !data.unigrams.is_empty() || !data.backoff.is_empty() {
                return damaged;
            }
            data.unigrams = vec![0];
            data.backoff = vec![0];
        }
        if data.pairs.len() != data.bigrams.len() {
            return damaged;
        }
        let mut places = vec![RARE.0; words];
        let mut word = 0_usize;
        for (place, step) in data.words.iter().enumerate() {
            word += *step as usize;
            match places.get_mut(word) {
                Some(slot) => *slot = place as u32,
                None => return damaged,
            }
        }
        let mut pairs = vec![(0, 0); (data.pairs.len() * 2).next_power_of_two().max(2)];
        let mut pair = 0_u64;
        for (step, cost) in data.pairs.iter().zip(&data.bigrams) {
            pair = pair.wrapping_add(*step);
            let at = probe(&pairs, hash(pair), |(key, _)| *key == 0);
            pairs[at] = (pair.wrapping_add(1), *cost);
        }
        data.pairs = Vec::new();
        data.bigrams = Vec::new();
        Ok(Self { data, places, pairs })
    }

    /// The index of a word, which may be missing from the lexicon.
    pub fn place(&self, word: Option<WordId>) -> Place {
        match word {
            Some(word) => Place(self.places[word as usize]),
            None => UNKNOWN,
        }
    }

    /// Whether the captions of the model have a word.
    pub fn knows(&self, word: Place) -> bool {
        (word.0 as usize) < self.data.words.len()
    }

    /// The cost of a word after another.
    pub fn cost(&self, first: Place, second: Place) -> i32 {
        let known = self.data.words.len() as u64;
        let index = |place: Place| match place {
            BOUNDARY => Some(known),
            RARE | UNKNOWN => None,
            Place(place) => Some(u64::from(place)),
        };
        let (one, other) = (index(first), index(second));
        if let (Some(one), Some(other)) = (one, other) {
            let pair = one * (known + 1) + other;
            let at = probe(&self.pairs, hash(pair), |(key, _)| *key == 0 || *key == pair + 1);
            if let (1.., cost) = self.pairs[at] {
                return i32::from(cost);
            }
        }
        let alone = match (second, other) {
            (_, Some(other)) => self.data.unigrams[other as usize],
            (RARE, None) => self.data.rare,
            _ => self.data.unknown,
        };
        i32::from(alone) + one.map_or(0, |one| i32::from(self.data.backoff[one as usize]))
    }

    /// The cost of a sequence of words between two others.
    pub fn run(&self, before: Place, words: &[Place], after: Place) -> i32 {
        let mut last = before;
        let mut sum = 0;
        for word in words.iter().chain([&after]) {
            sum += self.cost(last, *word);
            last = *word;
        }
        sum
    }
}

fn hash(pair: u64) -> u64 {
    pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// The weight of a text by its extra cost over the caption, from 1 to 2^16: the maximum for texts that cost less, halved for each
/// `patience` of extra cost. With a patience of one bit this is the Metropolis rule (1953): captions and negatives are exchangeable.
pub fn willingness(extra: i32, patience: i32) -> u64 {
    /// 2^16 * 2^(-i/16)
    const SIXTEENTHS: [u64; 16] = [
        65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341, 44376, 42495, 40693, 38968,
        37316, 35734, 34219,
    ];
    if extra <= 0 {
        return SIXTEENTHS[0];
    }
    let sixteenths = i64::from(extra) * 16 / i64::from(patience.max(1));
    let whole = (sixteenths / 16).min(63) as u32;
    (SIXTEENTHS[(sixteenths % 16) as usize].checked_shr(whole).unwrap_or(0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::{BIT, willingness};

    #[test]
    fn willingness_halves_with_each_bit() {
        assert_eq!(willingness(-5, BIT), 65536);
        assert_eq!(willingness(BIT, BIT), 32768);
        assert_eq!(willingness(2 * BIT, BIT), 16384);
        assert_eq!(willingness(i32::MAX, BIT), 1);
        assert!((0..2000).all(|extra| willingness(extra, BIT) >= willingness(extra + 1, BIT)));
    }
}
