//! The rule of `data.unreadable`, the same for every kind of set: the share of distinct samples that may be unreadable.

use clove_data::DataError;

use crate::error::{Result, bail};
use crate::words::{count, counted};

/// Unreadable samples for a judgement before every sample was tried: fewer can be chance.
const MANY: u64 = 20;

/// Samples tried before a set without a readable one is given up.
const ENOUGH: u64 = 1_000;

/// The share of a set's images that may be missing while `data.unreadable` isn't larger.
const HALF: f64 = 0.5;

/// Kinds of reasons for skipping a sample whose image can't be read.
const MISSING: [&str; 2] = ["image not found", "unreadable"];

/// The samples that were tried, and those that couldn't be read.
#[derive(Debug, Clone)]
pub struct Tally {
    tried: Tried,
    broken: Numbers,
    len: u64,
    bearable: f64,
}

/// The samples that were tried.
#[derive(Debug, Clone)]
enum Tried {
    /// The first in an order in which each comes once before any comes again: their number.
    First(u64),
    /// Any.
    Some(Numbers),
}

impl Tally {
    /// Of `len` samples, of which the share `bearable` may be unreadable.
    pub fn new(len: u64, bearable: f64) -> Self {
        Self { tried: Tried::Some(Numbers::below(len)), ..Self::of_epochs(len, 0, bearable) }
    }

    /// The same of samples that come in epochs, each of which has every sample once; `drawn` have been tried.
    pub fn of_epochs(len: u64, drawn: u64, bearable: f64) -> Self {
        Self { tried: Tried::First(drawn.min(len)), broken: Numbers::below(len), len, bearable }
    }

    /// Distinct unreadable samples.
    pub fn broken(&self) -> u64 {
        self.broken.count
    }

    /// Distinct samples that were tried.
    fn tried(&self) -> u64 {
        match &self.tried {
            Tried::First(count) => *count,
            Tried::Some(numbers) => numbers.count,
        }
    }

    /// Whether every sample was tried.
    pub fn has_tried_all(&self) -> bool {
        self.tried() == self.len
    }

    /// Counts a sample as tried.
    pub fn add(&mut self, sample: u64) {
        match &mut self.tried {
            Tried::First(count) => *count = self.len.min(*count + 1),
            Tried::Some(numbers) => drop(numbers.add(sample)),
        }
    }

    /// Counts a sample that was tried as unreadable. Returns whether it wasn't yet.
    pub fn add_broken(&mut self, sample: u64) -> bool {
        self.broken.add(sample)
    }

    /// Why training can't go on.
    pub fn verdict(&self) -> Option<String> {
        let (tried, broken) = (self.tried(), self.broken.count);
        if broken > 0 && broken == tried && tried >= self.len.min(ENOUGH) {
            let tried = counted(tried, "sample");
            return Some(format!("none of the {tried} that were tried can be read"));
        }
        let is_judged = self.bearable == 0.0 || broken >= MANY || self.has_tried_all();
        (broken as f64 > self.bearable * tried as f64 && is_judged).then(|| {
            format!(
                "{} of the {} that were tried can't be read, more than a share of {} (data.unreadable)",
                count(broken),
                counted(tried, "sample"),
                self.bearable
            )
        })
    }
}

/// A set of numbers, a bit for each.
#[derive(Debug, Clone)]
struct Numbers {
    bits: Vec<u64>,
    count: u64,
}

impl Numbers {
    /// None of the numbers below `len`.
    fn below(len: u64) -> Self {
        Self { bits: vec![0; len.div_ceil(64) as usize], count: 0 }
    }

    /// Returns whether it's new.
    fn add(&mut self, number: u64) -> bool {
        let bit = 1 << (number % 64);
        let Some(word) = self.bits.get_mut((number / 64) as usize) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(is_new);
        is_new
    }
}

/// Refuses a set of which too many images are missing: likely they're in another folder. `key` names the folder's key.
///
/// A set has `samples`, and `skipped` ones, which are of the kinds `kinds`.
pub fn check_missing(
    samples: u64,
    kinds: &[(&str, usize)],
    mut skipped: impl Iterator<Item = Result<(String, String), DataError>>,
    bearable: f64,
    key: &str,
) -> Result<()> {
    let missing = kinds.iter().filter(|(kind, _)| MISSING.contains(kind));
    let number: u64 = missing.map(|(_, count)| *count as u64).sum();
    let all = number + samples;
    let most = if bearable == 0.0 { 0.0 } else { bearable.max(HALF) };
    if number as f64 > most * all as f64 {
        let is_first = |found: &Result<(String, String), DataError>| {
            let kind = |why: &str| MISSING.contains(&why.split(": ").next().unwrap_or_default());
            found.as_ref().map_or(true, |(_, why)| kind(why))
        };
        let (place, why) = skipped.find(is_first).transpose()?.unwrap_or_default();
        bail!(
            "{} of {} have no image that can be read; the first: {place}: {why}; correct {key}, or set data.unreadable to a larger share \
             to train on the rest",
            count(number),
            counted(all, "sample"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clove::train::Order;

    use super::*;

    /// The verdict after these samples of `len`, the broken ones first.
    fn verdict(len: u64, bearable: f64, broken: u64, tried: u64) -> Option<String> {
        let mut tally = Tally::new(len, bearable);
        (0..tried).for_each(|sample| tally.add(sample));
        (0..broken).for_each(|sample| assert!(tally.add_broken(sample)));
        tally.verdict()
    }

    #[test]
    fn a_share_is_of_distinct_samples_and_judged_when_there_are_many_or_all() {
        for (len, bearable, broken, tried, is_over) in [
            (1_000, 0.1, 0, 1_000, false),
            (1_000, 0.1, 100, 1_000, false),
            (1_000, 0.1, 101, 1_000, true),
            // Fewer than twenty say nothing before all were tried.
            (1_000, 0.1, 19, 30, false),
            (1_000, 0.1, 20, 30, true),
            (20, 0.1, 2, 20, false),
            (20, 0.1, 3, 20, true),
            (20, 0.1, 3, 19, false),
            (20, 0.0, 1, 2, true),
            (20, 0.0, 0, 20, false),
            // All may be unreadable but not without an end.
            (1_000_000, 1.0, 999, 999, false),
            (1_000_000, 1.0, 1_000, 1_000, true),
            (1_000_000, 1.0, 1_000, 1_001, false),
            (3, 1.0, 3, 3, true),
            (3, 1.0, 2, 3, false),
        ] {
            let verdict = verdict(len, bearable, broken, tried);
            assert_eq!(
                verdict.is_some(),
                is_over,
                "{len} {bearable} {broken} {tried}: {verdict:?}"
            );
        }
        let words = "1 of the 2 samples that were tried can't be read, more than a share of 0 (data.unreadable)";
        assert_eq!(verdict(20, 0.0, 1, 2).unwrap(), words);
    }

    #[test]
    fn the_same_sample_counts_once() {
        let mut tally = Tally::new(100, 0.5);
        for time in 0..50 {
            tally.add(70);
            assert_eq!(tally.add_broken(70), time == 0);
        }
        assert_eq!((tally.tried(), tally.broken(), tally.verdict()), (1, 1, None));
        (0..100).for_each(|sample| tally.add(sample));
        assert_eq!(tally.tried(), 100);
    }

    /// What is counted by numbers of draws is what a mark for each sample counts.
    #[test]
    fn epochs_are_counted_without_their_samples() {
        for (len, resumed) in [(1, 0), (10, 0), (10, 7), (1_000, 999), (1_000, 2_500)] {
            let order = Order::new(3, len);
            let mut counted = Tally::of_epochs(len, resumed, 0.5);
            let mut marked = Tally::new(len, 0.5);
            (0..resumed).for_each(|position| marked.add(order.at(position).1));
            for position in resumed..resumed + 2 * len {
                assert_eq!(counted.tried(), marked.tried());
                assert_eq!(counted.has_tried_all(), marked.has_tried_all());
                let (_, sample) = order.at(position);
                counted.add(sample);
                marked.add(sample);
            }
        }
    }

    #[test]
    fn more_than_half_of_the_images_missing_is_refused_unless_it_is_allowed() {
        let skip = |why: &str| ("list line 3".to_owned(), why.to_owned());
        let check = |missing: usize, bearable: f64| {
            let kinds = [("without a text", 9), ("image not found", missing)];
            let skipped =
                [vec![skip("without a text: b.txt"); 9], vec![skip("image not found: x"); missing]];
            check_missing(4, &kinds, skipped.concat().into_iter().map(Ok), bearable, "data.images")
        };
        for (missing, bearable, is_fine) in [
            (4, 0.1, true),
            (5, 0.1, false),
            (5, 0.6, true),
            (0, 0.0, true),
            (1, 0.0, false),
            (50, 1.0, true),
        ] {
            let result = check(missing, bearable);
            assert_eq!(result.is_ok(), is_fine, "{missing} {bearable}: {result:?}");
        }
        let error = check(5, 0.1).unwrap_err().to_string();
        assert!(error.starts_with("5 of 9 samples have no image"), "{error}");
        assert!(error.contains("list line 3: image not found: x; correct data.images"), "{error}");
    }
}
