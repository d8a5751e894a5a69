//! The order of training: a function of (seed, epoch, position), so that a run that resumes needs no more than its step.

use clove_scenes::Random;

/// A new random order of `len` items for each epoch, without a list of them.
///
/// A permutation of the next power of four by a Feistel network, walked until it falls below `len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    seed: u64,
    len: u64,
    half: u32,
}

impl Order {
    const ROUNDS: u64 = 6;

    /// An order of `len` items.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(seed: u64, len: u64) -> Self {
        assert!(len > 0, "an order needs at least one item");
        let bits = u64::BITS - (len - 1).leading_zeros();
        Self {
            seed,
            len,
            half: bits.div_ceil(2).max(1),
        }
    }

    /// The epoch and the item at `position`, counted from the start of training; each epoch has every item once.
    #[must_use]
    pub fn at(&self, position: u64) -> (u64, u64) {
        let (epoch, place) = (position / self.len, position % self.len);
        let mut item = self.permute(epoch, place);
        while item >= self.len {
            item = self.permute(epoch, item);
        }
        (epoch, item)
    }

    fn permute(&self, epoch: u64, value: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for round in 0..Self::ROUNDS {
            let mixed = Random::new(&[self.seed, epoch, round, right]).bits() & mask;
            (left, right) = (right, left ^ mixed);
        }
        (left << self.half) | right
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn every_epoch_has_every_item_once_in_an_order_of_its_own() {
        for len in [1, 2, 3, 7, 64, 65, 1000] {
            let order = Order::new(5, len);
            let epoch = |number: u64| -> Vec<u64> {
                (0..len)
                    .map(|place| {
                        let (epoch, item) = order.at(number * len + place);
                        assert_eq!(epoch, number);
                        item
                    })
                    .collect()
            };
            let mut sorted = epoch(0);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..len).collect::<Vec<_>>());
            assert_eq!(epoch(3), epoch(3));
            if len > 10 {
                assert_ne!(epoch(0), epoch(1));
                assert_ne!(epoch(0), sorted);
            }
        }
    }
}
