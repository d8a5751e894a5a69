//! Hard negatives: the generator, and statistics of its output.

use std::collections::BTreeMap;

use clove_negatives::{Generator, Kind, Made};
use serde::Serialize;

use crate::error::{Context as _, Result};
use crate::words::{count, counted};

/// The generator with the built-in lexicon.
///
/// # Errors
/// If the lexicon is damaged.
pub fn generator() -> Result<Generator> {
    Generator::new(clove_negatives::ENGLISH).context("the built-in lexicon")
}

/// All captions of an image but the one at `place`.
pub fn others(captions: &[String], place: usize) -> Vec<&str> {
    let (before, after) = (&captions[..place], &captions[place + 1..]);
    before.iter().chain(after).map(String::as_str).collect()
}

/// Statistics of generated negatives: their number by kind, and the captions without negatives by reason.
#[derive(Debug, Default, Serialize)]
pub struct Yield {
    /// Number of captions.
    pub captions: u64,
    /// Number of captions with at least one negative.
    with: u64,
    kinds: BTreeMap<Kind, u64>,
    without: BTreeMap<&'static str, u64>,
}

impl Yield {
    /// Adds the negatives of one caption.
    pub fn add(&mut self, made: &Made) {
        self.captions += 1;
        self.with += u64::from(!made.negatives.is_empty());
        for negative in &made.negatives {
            *self.kinds.entry(negative.kind).or_default() += 1;
        }
        if let Some(why) = made.why_none {
            *self.without.entry(why.words()).or_default() += 1;
        }
    }

    /// The sum of two.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.captions += other.captions;
        self.with += other.with;
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        for (why, count) in other.without {
            *self.without.entry(why).or_default() += count;
        }
        self
    }

    /// `12 captions, 9 with a negative (75.0 %), 18 negatives`
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

    /// A row per kind: name, number and share.
    pub fn kinds(&self) -> Vec<Vec<String>> {
        let negatives = self.kinds.values().sum();
        let row = |(kind, number): (&Kind, &u64)| {
            let share = format!("{:.1} %", percent(*number, negatives));
            vec![format!("  {}", kind.name()), count(*number), share]
        };
        self.kinds.iter().map(row).collect()
    }

    /// `without one: 2 blank; 1 longer than 16,384 bytes`; `None` if every caption has a negative.
    pub fn why_none(&self) -> Option<String> {
        let reasons: Vec<String> =
            self.without.iter().map(|(why, number)| format!("{} {why}", count(*number))).collect();
        (!reasons.is_empty()).then(|| format!("without one: {}", reasons.join("; ")))
    }
}

/// A share in percent; 0 of 0.
fn percent(part: u64, all: u64) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}
