//! What there is to learn from: scenes, or sets on disk with what their filter leaves of them.

use std::sync::{Mutex, PoisonError};

use clove::train::{Mixture, Order};
use clove_data::sets::{Filter, Filtered, ImageTextSet};

use crate::config::{Data, Kind, SetSettings};
use crate::error::{Context as _, Result, bail};
use crate::event::{Control, Listener, working};
use crate::samples::open_set;
use crate::words::count;

/// What there is to learn from.
#[derive(Debug)]
pub enum Source {
    /// Scenes, so many an epoch; new ones in each, unless they're repeated.
    Scenes {
        /// So many.
        scenes: u64,
        /// The same in each epoch.
        repeat: bool,
    },
    /// Sets on disk.
    Pool(Pool),
}

/// The samples of a set, or of several.
#[derive(Debug)]
pub struct Pool {
    /// What is left of them.
    pub set: ImageTextSet,
    /// What was taken away, where there's a filter.
    pub filtered: Option<Filtered>,
    /// The sets, in the order of their samples; one at least.
    pub parts: Vec<Part>,
}

/// A set, as its samples stand in a [`Pool`].
#[derive(Debug)]
pub struct Part {
    /// Where it is.
    pub settings: SetSettings,
    /// What is left of it.
    pub samples: u64,
}

impl Pool {
    /// A single set, whose captions are as good as one another.
    pub(crate) fn of(set: ImageTextSet, settings: SetSettings) -> Self {
        let samples = set.samples.len() as u64;
        Self { set, filtered: None, parts: vec![Part { settings, samples }] }
    }

    fn open(data: &Data, listener: &mut Listener<'_>) -> Result<Self> {
        let settings = data.sets();
        let mut set = ImageTextSet::default();
        for (number, settings) in (0..).zip(&settings) {
            let found = open_set(settings, data.cache.as_deref(), listener);
            let found = if data.kind == Kind::Mixture {
                found.with_context(|| format!("data.sets[{number}]"))
            } else {
                found
            };
            set.add(found?, number);
        }
        let filter = data.filter.as_ref();
        let filtered = filter.map(|filter| apply(filter, &mut set, listener));
        let filtered = filtered.transpose()?;
        let mut parts = Vec::with_capacity(settings.len());
        for (number, settings) in (0..).zip(settings) {
            let of = set.samples.iter().filter(|sample| sample.part == number);
            let samples = of.count() as u64;
            if samples == 0 {
                bail!("data.filter: no sample of data.sets[{number}] passes; take the set away");
            }
            parts.push(Part { settings, samples });
        }
        Ok(Self { set, filtered, parts })
    }

    /// In which order its samples are drawn.
    fn draws(&self, seed: u64) -> Result<Draws> {
        let weights: Option<Vec<(u64, f64)>> =
            self.parts.iter().map(|part| Some((part.samples, part.settings.weight?))).collect();
        let Some(weights) = weights else {
            return Ok(Draws::Even(Order::new(seed, self.set.samples.len() as u64)));
        };
        let mixture = Mixture::new(seed, &weights).with_context(|| {
            let one = Mixture::BLOCK;
            format!("data.sets: each set's weight must be at least one {one}th of all weights")
        })?;
        Ok(Draws::Mixed(mixture))
    }

    /// In words, with what was skipped, and what the filter took away.
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!("data: {}", self.set.summary())];
        lines.extend(self.filtered.iter().map(filtered_line));
        let shares = match self.draws(0) {
            Ok(Draws::Mixed(mixture)) => mixture.shares().map(Some).collect(),
            _ => vec![None; self.parts.len()],
        };
        for (number, (part, share)) in self.parts.iter().zip(shares).enumerate() {
            let settings = &part.settings;
            let captions = settings.captions.as_ref();
            let captions = captions.map(|captions| captions.summary(&self.set, number));
            if self.parts.len() == 1 {
                lines.extend(captions.map(|captions| format!("captions: {captions}")));
                continue;
            }
            let share = share.map(|share| format!(", {:.1} % of what is drawn", 100.0 * share));
            let captions = captions.map(|captions| format!("; captions: {captions}"));
            lines.push(format!(
                "data.sets[{number}]: {}: {} samples{}{}",
                settings.path.display(),
                count(part.samples),
                share.unwrap_or_default(),
                captions.unwrap_or_default()
            ));
        }
        lines
    }
}

/// In which order samples are drawn.
#[derive(Debug)]
pub(crate) enum Draws {
    /// Each once in an epoch.
    Even(Order),
    /// By the weights of their sets.
    Mixed(Mixture),
}

impl Draws {
    /// How often its set has been gone through, and the sample, at a position.
    pub fn at(&self, position: u64) -> (u64, u64) {
        match self {
            Self::Even(order) => order.at(position),
            Self::Mixed(mixture) => mixture.at(position),
        }
    }
}

impl Source {
    /// Finds the data; images are read later.
    ///
    /// # Errors
    /// When a set can't be read, or nothing is left of it.
    pub fn open(data: &Data, listener: &mut Listener<'_>) -> Result<Self> {
        Ok(match data.kind {
            Kind::Scenes => Self::Scenes { scenes: data.scenes.unwrap_or(1), repeat: data.repeat },
            _ => Self::Pool(Pool::open(data, listener)?),
        })
    }

    /// Samples in an epoch.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Scenes { scenes, .. } => *scenes,
            Self::Pool(pool) => pool.set.samples.len() as u64,
        }
    }

    /// In which order they're drawn.
    pub(crate) fn draws(&self, seed: u64) -> Result<Draws> {
        match self {
            Self::Scenes { scenes, .. } => Ok(Draws::Even(Order::new(seed, *scenes))),
            Self::Pool(pool) => pool.draws(seed),
        }
    }

    /// The set's [`ImageTextSet::digest`].
    pub(crate) fn digest(&self) -> Option<String> {
        match self {
            Self::Scenes { .. } => None,
            Self::Pool(pool) => Some(pool.set.digest()),
        }
    }

    /// In words, with what was skipped, and what the filter took away.
    pub(crate) fn summary(&self) -> Vec<String> {
        match self {
            Self::Scenes { scenes, repeat } => {
                let same = if *repeat { ", the same in each" } else { "" };
                vec![format!("data: {} scenes an epoch{same}", count(*scenes))]
            }
            Self::Pool(pool) => pool.summary(),
        }
    }
}

fn filtered_line(filtered: &Filtered) -> String {
    format!("filtered out: {}", filtered.summary())
}

/// Takes away what a filter doesn't let through.
fn apply(filter: &Filter, set: &mut ImageTextSet, listener: &mut Listener<'_>) -> Result<Filtered> {
    let before = set.samples.len();
    let all = before * filter.passes();
    let told = Mutex::new((listener, 0));
    let filtered = set.filter(filter, &|| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.1 += 1;
        let done = told.1;
        working(told.0, "filtering images", done, all) == Control::Continue
    });
    let Some(filtered) = filtered else {
        bail!("stopped while filtering images; nothing was written");
    };
    if set.samples.is_empty() {
        bail!(
            "data.filter: none of the {} samples passes; filtered out: {}",
            count(before as u64),
            filtered.summary()
        );
    }
    Ok(filtered)
}
