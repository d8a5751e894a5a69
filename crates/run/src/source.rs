//! The training data: synthetic scenes, or filtered sets on disk.

use std::sync::{Mutex, PoisonError};

use clove::train::{Mixture, Order};
use clove_data::fetch::Shown;
use clove_data::sets::{Filter, Filtered, ImageTextSet, IndexedSet};

use crate::config::{Data, Kind, SetSettings};
use crate::error::{Context as _, Result, bail};
use crate::event::{Control, Listener, working};
use crate::samples::open_set;
use crate::unreadable::check_missing;
use crate::words::count;

/// The training data.
#[expect(clippy::large_enum_variant, reason = "a run has one of it")]
#[derive(Debug)]
pub enum Source {
    /// Synthetic scenes: their number in an epoch, and whether every epoch has the same ones.
    #[expect(missing_docs, reason = "the variant's text covers its fields")]
    Scenes { scenes: u64, repeat: bool },
    /// Sets on disk.
    Pool(Pool),
}

/// The samples of one or several sets.
#[derive(Debug)]
pub struct Pool {
    /// The samples that pass the filter.
    pub set: IndexedSet,
    /// Statistics of the filter, if any.
    pub filtered: Option<Filtered>,
    /// The sets, in the order of their samples; at least one.
    pub parts: Vec<Part>,
}

/// A set of a [`Pool`].
#[derive(Debug)]
pub struct Part {
    /// Its settings.
    pub settings: SetSettings,
    /// Number of samples that pass the filter.
    pub samples: u64,
}

impl Pool {
    pub(crate) fn of(set: ImageTextSet, settings: SetSettings) -> Result<Self> {
        let set = IndexedSet::of(set)?;
        let samples = set.len();
        Ok(Self { set, filtered: None, parts: vec![Part { settings, samples }] })
    }

    fn open(data: &Data, listener: &mut Listener<'_>) -> Result<Self> {
        let settings = data.sets();
        let mut set = IndexedSet::default();
        for (number, settings) in (0..).zip(&settings) {
            let found = open_set(settings, data.copies(), listener);
            let found = found.and_then(|found| {
                let (kinds, skipped) = (found.skipped_by_kind(), found.skipped());
                check_missing(found.len(), &kinds, skipped, data.bearable(), "data.images")?;
                Ok(found)
            });
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
            let samples = set.len_of_part(number);
            if samples == 0 {
                bail!("data.filter: no sample of data.sets[{number}] passes; remove the set");
            }
            parts.push(Part { settings, samples });
        }
        Ok(Self { set, filtered, parts })
    }

    fn draws(&self, seed: u64) -> Result<Draws> {
        let weights: Option<Vec<(u64, f64)>> =
            self.parts.iter().map(|part| Some((part.samples, part.settings.weight?))).collect();
        let Some(weights) = weights else {
            return Ok(Draws::Even(Order::new(seed, self.set.len())));
        };
        let mixture = Mixture::new(seed, &weights).with_context(|| {
            let one = Mixture::BLOCK;
            format!("data.sets: each weight must be at least 1/{one} of the sum of the weights")
        })?;
        Ok(Draws::Mixed(mixture))
    }

    /// Lines of text, with skipped and filtered samples.
    fn summary(&self) -> Result<Vec<String>> {
        let mut lines = vec![format!("data: {}", self.set.summary()?)];
        let filtered = self.filtered.iter();
        lines.extend(filtered.map(|filtered| format!("filtered out: {}", filtered.summary())));
        let shares = match self.draws(0) {
            Ok(Draws::Mixed(mixture)) => mixture.shares().map(Some).collect(),
            _ => vec![None; self.parts.len()],
        };
        for (number, (part, share)) in (0..).zip(self.parts.iter().zip(shares)) {
            let settings = &part.settings;
            let captions = settings.captions.as_ref();
            let captions = captions.map(|captions| captions.summary(&self.set, number));
            if self.parts.len() == 1 {
                lines.extend(captions.map(|captions| format!("captions: {captions}")));
                continue;
            }
            let share = share.map(|share| format!(", {:.1} % of the draws", 100.0 * share));
            let captions = captions.map(|captions| format!("; captions: {captions}"));
            lines.push(format!(
                "data.sets[{number}]: {}: {} samples{}{}",
                Shown::path(&settings.path),
                count(part.samples),
                share.unwrap_or_default(),
                captions.unwrap_or_default()
            ));
        }
        Ok(lines)
    }
}

#[derive(Debug)]
pub(crate) enum Draws {
    /// Each sample once per epoch.
    Even(Order),
    /// By the weights of the sets.
    Mixed(Mixture),
}

impl Draws {
    /// The epoch of the sample's set and the index of the sample at a position.
    pub fn at(&self, position: u64) -> (u64, u64) {
        match self {
            Self::Even(order) => order.at(position),
            Self::Mixed(mixture) => mixture.at(position),
        }
    }
}

impl Source {
    /// Lists the data. Images are read later.
    ///
    /// # Errors
    /// If a set can't be read or no sample passes the filter.
    pub fn open(data: &Data, listener: &mut Listener<'_>) -> Result<Self> {
        Ok(match data.kind {
            Kind::Scenes => Self::Scenes { scenes: data.scenes.unwrap_or(1), repeat: data.repeat },
            _ => Self::Pool(Pool::open(data, listener)?),
        })
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Scenes { scenes, .. } => *scenes,
            Self::Pool(pool) => pool.set.len(),
        }
    }

    pub(crate) fn draws(&self, seed: u64) -> Result<Draws> {
        match self {
            Self::Scenes { scenes, .. } => Ok(Draws::Even(Order::new(seed, *scenes))),
            Self::Pool(pool) => pool.draws(seed),
        }
    }

    /// Lines of text, with skipped and filtered samples.
    pub(crate) fn summary(&self) -> Result<Vec<String>> {
        match self {
            Self::Scenes { scenes, repeat } => {
                let same = if *repeat { ", the same in every epoch" } else { "" };
                Ok(vec![format!("data: {} scenes per epoch{same}", count(*scenes))])
            }
            Self::Pool(pool) => pool.summary(),
        }
    }
}

fn apply(filter: &Filter, set: &mut IndexedSet, listener: &mut Listener<'_>) -> Result<Filtered> {
    let before = set.len();
    let all = before as usize * filter.passes();
    let told = Mutex::new((listener, 0));
    let filtered = set.filter(filter, &|| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.1 += 1;
        let done = told.1;
        working(told.0, "filtering images", done, all) == Control::Continue
    })?;
    let Some(filtered) = filtered else {
        bail!("stopped while filtering images; nothing was written");
    };
    if set.is_empty() {
        bail!(
            "data.filter: none of the {} samples passes; filtered out: {}",
            count(before),
            filtered.summary()
        );
    }
    Ok(filtered)
}
