//! Hard negatives as several commands make them: the generator, and an account of what it made.

use std::collections::BTreeMap;

use clove_negatives::{Generator, Kind, Made, WhyNone};
use serde_json::{Value, json};

use crate::error::{Context as _, Result};
use crate::words::{count, counted};

/// The generator with the lexicon that comes along.
///
/// # Errors
/// Never, unless the lexicon is damaged.
pub fn generator() -> Result<Generator> {
    Generator::new(clove_negatives::ENGLISH).context("the lexicon that comes with the program")
}

/// How many negatives captions gave, of which kinds, and why some gave none.
#[derive(Debug, Default)]
pub struct Yield {
    /// Captions counted.
    pub captions: u64,
    /// Captions with at least one negative.
    with: u64,
    kinds: BTreeMap<Kind, u64>,
    without: BTreeMap<WhyNone, u64>,
}

impl Yield {
    /// Counts what one caption gave.
    pub fn add(&mut self, made: &Made) {
        self.captions += 1;
        self.with += u64::from(!made.negatives.is_empty());
        for negative in &made.negatives {
            *self.kinds.entry(negative.kind).or_default() += 1;
        }
        if let Some(why) = made.why_none {
            *self.without.entry(why).or_default() += 1;
        }
    }

    /// Adds another account to this one.
    pub fn absorb(&mut self, other: Self) {
        self.captions += other.captions;
        self.with += other.with;
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        for (why, count) in other.without {
            *self.without.entry(why).or_default() += count;
        }
    }

    /// For a report in JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let kinds = self.kinds.iter().map(|(kind, count)| (kind.name(), *count));
        let without = self.without.iter();
        let without = without.map(|(why, count)| (why.words(), *count));
        json!({
            "captions": self.captions,
            "with": self.with,
            "kinds": kinds.collect::<BTreeMap<&str, u64>>(),
            "without": without.collect::<BTreeMap<&str, u64>>(),
        })
    }

    /// `12 captions, 9 with a negative (75.0 %), 18 negatives`
    #[must_use]
    pub fn summary(&self) -> String {
        let negatives = self.kinds.values().sum();
        format!(
            "{}, {} with a negative ({:.1} %), {}",
            counted(self.captions, "caption"),
            count(self.with),
            percent(self.with, self.captions),
            counted(negatives, "negative")
        )
    }

    /// How many of each kind there are, with their share, a row each.
    #[must_use]
    pub fn kinds(&self) -> Vec<Vec<String>> {
        let negatives = self.kinds.values().sum();
        let row = |(kind, number): (&Kind, &u64)| {
            let share = format!("{:.1} %", percent(*number, negatives));
            vec![format!("  {}", kind.name()), count(*number), share]
        };
        self.kinds.iter().map(row).collect()
    }

    /// `without one: 2 blank; 1 longer than 16,384 bytes`, unless all have one.
    #[must_use]
    pub fn why_none(&self) -> Option<String> {
        let reasons: Vec<String> = self
            .without
            .iter()
            .map(|(why, number)| format!("{} {}", count(*number), why.words()))
            .collect();
        (!reasons.is_empty()).then(|| format!("without one: {}", reasons.join("; ")))
    }
}

/// A share of 100; of nothing it's 0.
fn percent(part: u64, all: u64) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}
