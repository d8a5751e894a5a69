//! What there is to learn from: scenes, or a set on disk with what its filter leaves of it.

use anyhow::{Result, bail};
use clove_data::sets::{Filter, Filtered, ImageTextSet};
use indicatif::HumanCount;

use super::config::{Config, Data, Kind};
use super::draft::Draft;
use super::samples::open_set;
use crate::copies::Copies;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// What there is to learn from.
#[derive(Debug)]
pub enum Source {
    /// New scenes in every epoch, so many of them.
    Scenes(u64),
    /// What is left of a set, and what was taken away, where there's a filter.
    Set(ImageTextSet, Option<Filtered>),
}

impl Source {
    /// Finds the data; images are read later.
    pub fn open(data: &Data, interrupt: &Interrupt) -> Result<Self> {
        let path = data.path.as_deref().unwrap_or_else(|| "".as_ref());
        Ok(match data.kind {
            Kind::Scenes => Self::Scenes(data.scenes.unwrap_or(1)),
            kind => {
                let copies = Copies::new(data.cache.as_deref(), interrupt);
                let images = data.images.as_deref();
                let mut set = open_set(kind, path, images, &data.splits, &copies)?;
                let filter = data.filter.as_ref();
                let filtered = filter.map(|filter| apply(filter, &mut set, interrupt));
                Self::Set(set, filtered.transpose()?)
            }
        })
    }

    /// Samples in an epoch.
    pub fn len(&self) -> u64 {
        match self {
            Self::Scenes(count) => *count,
            Self::Set(set, _) => set.samples.len() as u64,
        }
    }

    /// Fills a configuration in.
    pub fn resolve(&self, draft: Draft) -> Result<Config> {
        let digest = match self {
            Self::Scenes(_) => None,
            Self::Set(set, _) => Some(set.digest()),
        };
        draft.resolve(self.len(), digest)
    }

    /// In words, with what was skipped, and what the filter took away.
    pub fn summary(&self) -> Vec<String> {
        match self {
            Self::Scenes(count) => vec![format!("data: {} scenes an epoch", HumanCount(*count))],
            Self::Set(set, filtered) => {
                let mut lines = vec![format!("data: {}", set.summary())];
                lines.extend(filtered.iter().map(filtered_line));
                lines
            }
        }
    }
}

fn filtered_line(filtered: &Filtered) -> String {
    format!("filtered out: {}", filtered.summary())
}

/// Takes away what a filter doesn't let through.
fn apply(filter: &Filter, set: &mut ImageTextSet, interrupt: &Interrupt) -> Result<Filtered> {
    let (before, progress) = (set.samples.len(), Progress::new());
    progress.plan((before * filter.passes()) as u64);
    progress.say("filtering images");
    let filtered = set.filter(filter, &|| {
        progress.advance(1);
        !interrupt.asked()
    });
    progress.finish();
    let Some(filtered) = filtered else {
        bail!("stopped while filtering images; nothing was written");
    };
    if set.samples.is_empty() {
        bail!(
            "data.filter: none of the {} samples passes; filtered out: {}",
            HumanCount(before as u64),
            filtered.summary()
        );
    }
    Ok(filtered)
}
