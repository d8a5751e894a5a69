//! Random numbers that are a function of their keys, the same on every platform.
//!
//! ```
//! use clove_random::Random;
//!
//! let (seed, index) = (7, 12);
//! let mut order: Vec<u32> = (0..10).collect();
//! Random::new(&[seed, index]).shuffle(&mut order);
//!
//! // The same keys give the same numbers.
//! let mut again: Vec<u32> = (0..10).collect();
//! Random::new(&[seed, index]).shuffle(&mut again);
//! assert_eq!(order, again);
//! ```
//!
//! Called wherever something is drawn by (seed, epoch, index): scenes, negatives, the order of training.

/// SplitMix64 (Steele, Lea and Flood 2014): a counter through a mixing function, so that a stream can be begun at any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream of `keys`, such as a seed and an index. Different keys give unrelated streams.
    pub fn new(keys: &[u64]) -> Self {
        Self(keys.iter().fold(STEP, |state, key| mix(state.wrapping_add(STEP) ^ mix(*key))))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// In `[0, 1)`, a multiple of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// In `[from, to)`.
    pub fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.uniform()
    }

    /// Whether an event of this probability happens.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.uniform() < probability
    }

    /// A whole number below `count`, which is at least 1 and far below 2^32.
    pub fn below(&mut self, count: usize) -> usize {
        // Multiply and shift: the bias is count / 2^32.
        (((self.bits() >> 32) * count as u64) >> 32) as usize
    }

    /// One of `items`, which has at least one.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Puts `items` in a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn streams_differ_by_key_and_repeat_by_key() {
        let first = |keys: &[u64]| Random::new(keys).bits();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[0, 1]), first(&[1, 0]));
        assert_ne!(first(&[1]), first(&[1, 0]));
    }

    #[test]
    fn draws_are_even() {
        let mut random = Random::new(&[7]);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[random.below(6)] += 1;
        }
        // Six standard deviations of a binomial with n = 60,000 and p = 1/6.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 550), "{counts:?}");
        let mean = (0..10_000).map(|_| random.uniform()).sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
