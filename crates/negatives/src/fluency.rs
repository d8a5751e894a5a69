//! How likely words are beside each other in a caption: a bigram model, by which negatives are chosen that read as captions do.
//!
//! A negative that a model of language can tell from its caption teaches to read, not to look (Hsieh et al. 2023 show it of
//! earlier benchmarks). Costs are -log2 of a probability, in steps of 1/256, so that sums are exact on every machine.

use crate::lexicon::{FluencyData, LexiconError, WordId};

/// Steps in one bit.
pub const BIT: i32 = 256;

/// A word as the model knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

/// Before the first word, and after the last.
pub const BOUNDARY: Place = Place(u32::MAX);
const RARE: Place = Place(u32::MAX - 1);
const UNKNOWN: Place = Place(u32::MAX - 2);

/// The model.
#[derive(Debug)]
pub struct Fluency {
    data: FluencyData,
    /// The place of each of the lexicon's words, or `RARE`.
    places: Vec<u32>,
    /// Open addressing: key of a pair plus one, and its cost.
    pairs: Vec<(u64, u16)>,
}

impl Fluency {
    pub fn new(mut data: FluencyData, words: usize) -> Result<Self, LexiconError> {
        let damaged = Err(LexiconError::Damaged("the model of captions"));
        let known = data.words.len();
        if data.unigrams.len() != known + 1 || data.backoff.len() != known + 1 {
            // An empty model is taken too, and finds everything alike.
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
            let mut at = slot(pair, pairs.len());
            while pairs[at].0 != 0 {
                at = (at + 1) & (pairs.len() - 1);
            }
            pairs[at] = (pair.wrapping_add(1), *cost);
        }
        data.pairs = Vec::new();
        data.bigrams = Vec::new();
        Ok(Self { data, places, pairs })
    }

    /// The place of a word of the lexicon, or of a word that it lacks.
    pub fn place(&self, word: Option<WordId>) -> Place {
        match word {
            Some(word) => Place(self.places[word as usize]),
            None => UNKNOWN,
        }
    }

    /// What a word costs after another.
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
            let mut at = slot(pair, self.pairs.len());
            while self.pairs[at].0 != 0 {
                if self.pairs[at].0 == pair + 1 {
                    return i32::from(self.pairs[at].1);
                }
                at = (at + 1) & (self.pairs.len() - 1);
            }
        }
        let alone = match (second, other) {
            (_, Some(other)) => self.data.unigrams[other as usize],
            (RARE, None) => self.data.rare,
            _ => self.data.unknown,
        };
        i32::from(alone) + one.map_or(0, |one| i32::from(self.data.backoff[one as usize]))
    }

    /// What a run of words costs between two others.
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

fn slot(pair: u64, len: usize) -> usize {
    (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (len - 1)
}

/// How willingly a text that costs so much more than the caption is taken, from 0 to 2^16: all alike that cost less, half as
/// willingly for each `patience` that it costs more. With one bit for the patience this is Metropolis's rule (1953), under
/// which captions and negatives are equally likely to have been the other.
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
