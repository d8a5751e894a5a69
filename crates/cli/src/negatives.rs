//! Hard negatives as several commands make them: the generator, and an account of what it made.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use clove_negatives::{Generator, Kind, Made, WhyNone};
use indicatif::HumanCount;
use serde_json::{Value, json};

use crate::output;

/// The generator with the lexicon that is part of the program.
pub fn generator() -> Result<Generator> {
    Generator::new(clove_data::lexicon()).context("the lexicon that comes with the program")
}

/// How many negatives captions gave, of which kinds, and why some gave none.
#[derive(Debug, Default)]
pub struct Yield {
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
    pub fn summary(&self) -> String {
        let negatives = self.kinds.values().sum();
        format!(
            "{}, {} with a negative ({:.1} %), {}",
            counted(self.captions, "caption"),
            HumanCount(self.with),
            percent(self.with, self.captions),
            counted(negatives, "negative")
        )
    }

    /// How many of each kind, in columns; empty where there's none.
    pub fn kinds(&self) -> String {
        let negatives = self.kinds.values().sum();
        let rows: Vec<Vec<String>> = self
            .kinds
            .iter()
            .map(|(kind, count)| {
                vec![
                    format!("  {}", kind.name()),
                    HumanCount(*count).to_string(),
                    format!("{:.1} %", percent(*count, negatives)),
                ]
            })
            .collect();
        output::table(&rows)
    }

    /// `without one: 2 blank; 1 longer than 16,384 bytes`, unless all have one.
    pub fn why_none(&self) -> Option<String> {
        let reasons: Vec<String> = self
            .without
            .iter()
            .map(|(why, count)| format!("{} {}", HumanCount(*count), why.words()))
            .collect();
        (!reasons.is_empty()).then(|| format!("without one: {}", reasons.join("; ")))
    }
}

/// `1 caption`, `2 captions`.
pub fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", HumanCount(count))
}

/// A share of 100; of nothing it's 0.
fn percent(part: u64, all: u64) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}
