//! The order of training: a function of (seed, epoch, position), so that a resumed run needs only its step.

use clove_random::Random;

/// A new random order of `len` items for each epoch, without a list of them.
///
/// A Feistel network permutes the next power of four; results of `len` and more are permuted again.
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
    pub fn new(seed: u64, len: u64) -> Self {
        assert!(len > 0, "an order needs at least one item");
        let bits = u64::BITS - (len - 1).leading_zeros();
        Self { seed, len, half: bits.div_ceil(2).max(1) }
    }

    /// The epoch and the item at `position`, counted from the start of training. Each epoch has every item once.
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

/// Items of several sets in one order of training, each set in proportion to its weight.
///
/// Positions come in blocks of 4,096. In each block a set has a number of places, rounded from its weight, in random order. Each set
/// has an [`Order`] of its own, so every pass over it has a new order, and small sets are repeated more often than large ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixture {
    /// The order of the places in a block.
    places: Order,
    parts: Vec<Part>,
}

/// A set of a mixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    order: Order,
    /// The first of its items among those of all sets.
    start: u64,
    /// Its places in a block.
    from: u64,
    count: u64,
}

impl Mixture {
    /// Places in a block.
    pub const BLOCK: u64 = 4_096;

    /// Sets given as numbers of items and weights. `None` if a weight isn't above 0, or is too small for a place in a block.
    ///
    /// # Panics
    /// If a set has no items.
    pub fn new(seed: u64, sets: &[(u64, f64)]) -> Option<Self> {
        let all: f64 = sets.iter().map(|(_, weight)| weight).sum();
        let exact = |weight: f64| weight / all * Self::BLOCK as f64;
        let is_one = |weight: f64| weight > 0.0 && exact(weight).is_finite();
        if !sets.iter().all(|(_, weight)| is_one(*weight)) {
            return None;
        }
        let mut counts: Vec<u64> = sets.iter().map(|(_, weight)| exact(*weight) as u64).collect();
        // The remaining places go to the sets that lost most by rounding down.
        let mut lost: Vec<usize> = (0..sets.len()).collect();
        let loss = |at: usize| exact(sets[at].1).fract();
        lost.sort_by(|a, b| loss(*b).total_cmp(&loss(*a)));
        let left = Self::BLOCK.saturating_sub(counts.iter().sum());
        for at in lost.into_iter().cycle().take(usize::try_from(left).ok()?) {
            counts[at] += 1;
        }
        if counts.contains(&0) {
            return None;
        }
        let (mut start, mut from) = (0, 0);
        let mut parts = Vec::with_capacity(sets.len());
        for (number, ((len, _), count)) in (1..).zip(sets.iter().zip(counts)) {
            // Sets of the same length have different orders.
            let order = Order::new(seed ^ (number << 32), *len);
            parts.push(Part { order, start, from, count });
            start += len;
            from += count;
        }
        Some(Self { places: Order::new(seed, Self::BLOCK), parts })
    }

    /// The item at `position`, counted over all sets, after the epoch of its set.
    pub fn at(&self, position: u64) -> (u64, u64) {
        let (block, place) = self.places.at(position);
        let after = self.parts.partition_point(|part| part.from <= place);
        let part = self.parts[after - 1];
        let (epoch, item) = part.order.at(block * part.count + place - part.from);
        (epoch, part.start + item)
    }

    /// Each set's share of the positions.
    pub fn shares(&self) -> impl Iterator<Item = f64> {
        let shares = self.parts.iter();
        shares.map(|part| part.count as f64 / Self::BLOCK as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mixture, Order};

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

    #[test]
    fn a_mixture_draws_each_set_as_often_as_its_weight_says_and_evenly() {
        let sets = [(10, 3.0), (1_000, 1.0), (7, 0.5)];
        let mixture = Mixture::new(5, &sets).unwrap();
        let shares: Vec<f64> = mixture.shares().collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let mut seen = vec![Vec::new(); 1_017];
        let blocks = 5;
        for position in 0..blocks * Mixture::BLOCK {
            let (epoch, item) = mixture.at(position);
            seen[usize::try_from(item).unwrap()].push(epoch);
        }
        let of_set = [&seen[..10], &seen[10..1_010], &seen[1_010..]];
        for ((set, share), (_, weight)) in of_set.iter().zip(shares).zip(sets) {
            assert!((share - weight / 4.5).abs() < 1.0 / 4_096.0);
            let drawn: usize = set.iter().map(Vec::len).sum();
            assert!((drawn as f64 - share * blocks as f64 * 4_096.0).abs() < 1e-6);
            for epochs in *set {
                // Each item once in each round of its set, of which the last may be incomplete.
                let mut epochs = epochs.clone();
                epochs.sort_unstable();
                let rounds = drawn / set.len();
                assert!([rounds, rounds + 1].contains(&epochs.len()));
                assert!((0..).zip(&epochs).all(|(at, epoch)| at == *epoch));
            }
        }
        // Any stretch has about its share of each.
        let first = (0..256).filter(|position| mixture.at(*position).1 < 10).count();
        assert!((130..212).contains(&first), "{first}");
    }

    #[test]
    fn a_weight_that_gives_no_place_is_refused() {
        for weights in [[1.0, 0.0], [1.0, -1.0], [1.0, f64::NAN], [1.0, f64::INFINITY], [1.0, 1e-5]]
        {
            assert_eq!(Mixture::new(0, &weights.map(|weight| (3, weight))), None);
        }
        assert!(Mixture::new(0, &[(3, 1.0), (3, 1e-3)]).is_some());
    }
}
