//! A set whose samples are on disk: memory has less than a byte of each. Readers write them as they find them; training, filters and
//! digests read them back.

mod builder;
mod groups;
mod home;
mod kept;
mod record;
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use self::builder::Builder;
pub(super) use self::groups::{Bits, Groups};
pub(super) use self::home::Home;
pub(super) use self::kept::Opening;
pub(super) use self::record::Source;
use self::record::{Names, encoded};
use self::store::Store;
use super::{Digest, ImagePlace, ImageTextSet, QUOTED, Sample, words};
use crate::DataError;

/// The samples of a set and the skipped ones, in an index on disk.
///
/// Few samples stay in memory: less than a mebibyte. More are in files without names, which end with this value, or in the cache, where
/// the next opening finds them ([`Options::keep_index`](super::Options::keep_index)).
#[derive(Debug, Default)]
pub struct IndexedSet {
    segments: Vec<Segment>,
    skipped: Vec<Store>,
    /// Paths of images that aren't there.
    missing: Store,
    /// The number of skipped samples by kind of reason.
    kinds: BTreeMap<String, usize>,
    /// Whether another process couldn't read the index.
    is_odd: bool,
    /// Where further files of this set go.
    folder: Option<PathBuf>,
    /// What was chosen without being asked for: one line each.
    pub notes: Vec<String>,
    /// Rows of other splits than those that are read. They are neither samples nor skipped.
    pub of_other_splits: usize,
}

/// Samples of a part of a mixture.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) part: u16,
    names: Names,
    samples: Store,
    totals: Totals,
}

/// What is counted as samples are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    /// Different images.
    images: u64,
    captions: u64,
    negatives: u64,
    /// Captions by their fields.
    fields: Vec<u64>,
}

impl Segment {
    pub(super) fn len(&self) -> u64 {
        self.samples.len()
    }

    fn get(&self, index: u64) -> Result<Sample, DataError> {
        let read = |record: &[u8]| self.names.sample(record, self.part);
        self.samples.read(index, read).map(|(sample, _)| sample)
    }

    /// The samples, in chunks of some thousand.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Result<Vec<Sample>, DataError>> {
        (0..self.samples.parts()).map(move |chunk| {
            let read = |record: &[u8]| Some(self.names.sample(record, self.part)?.0);
            self.samples.part(chunk, read)
        })
    }
}

impl IndexedSet {
    /// A set in memory, written to an index in the same order.
    ///
    /// # Errors
    /// [`DataError::Io`] if it has to be written and can't be.
    pub fn of(set: ImageTextSet) -> Result<Self, DataError> {
        Self::of_memory(set, &Arc::new(Home::scratch(None)))
    }

    pub(super) fn of_memory(set: ImageTextSet, home: &Arc<Home>) -> Result<Self, DataError> {
        let mut found =
            Self { notes: set.notes, of_other_splits: set.of_other_splits, ..Self::default() };
        for samples in set.samples.chunk_by(|one, other| one.part == other.part) {
            let mut builder = Builder::new(home);
            for sample in samples {
                builder.add(sample, 0);
            }
            found.add(builder.finish()?, samples.first().map_or(0, |sample| sample.part));
        }
        let mut builder = Builder::new(home);
        set.skipped.iter().for_each(|(place, why)| builder.skip(place, why, 0));
        found.add(builder.finish()?, 0);
        Ok(found)
    }

    /// The set in memory.
    ///
    /// # Errors
    /// [`DataError::Io`] if the index can't be read.
    pub fn into_memory(self) -> Result<ImageTextSet, DataError> {
        let mut set = ImageTextSet::default();
        for samples in self.chunks() {
            set.samples.extend(samples?);
        }
        for skipped in self.skipped() {
            set.skipped.push(skipped?);
        }
        (set.notes, set.of_other_splits) = (self.notes, self.of_other_splits);
        Ok(set)
    }

    /// The number of samples.
    pub fn len(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of samples of a part of a mixture.
    pub fn len_of_part(&self, part: u16) -> u64 {
        self.segments.iter().filter(|segment| segment.part == part).map(Segment::len).sum()
    }

    /// The number of captions in each field of a part of a mixture, as far as there are any.
    pub fn captions_by_field(&self, part: u16) -> Vec<u64> {
        let mut counts = Vec::new();
        for segment in self.segments.iter().filter(|segment| segment.part == part) {
            for (field, count) in segment.totals.fields.iter().enumerate() {
                if counts.len() <= field {
                    counts.resize(field + 1, 0);
                }
                counts[field] += count;
            }
        }
        counts
    }

    /// The sample at an index, from the disk.
    ///
    /// # Errors
    /// [`DataError::Io`] if it can't be read; [`DataError::Format`] for a damaged index, and beyond the last sample.
    pub fn get(&self, mut index: u64) -> Result<Sample, DataError> {
        for segment in &self.segments {
            if index < segment.len() {
                return segment.get(index);
            }
            index -= segment.len();
        }
        Err(DataError::format("", "the index of the samples has no such sample"))
    }

    /// All samples in their order, in chunks of some thousand.
    pub fn chunks(&self) -> impl Iterator<Item = Result<Vec<Sample>, DataError>> {
        self.segments.iter().flat_map(Segment::chunks)
    }

    /// Places of skipped samples, each with the reason, as in [`ImageTextSet::skipped`].
    pub fn skipped(&self) -> impl Iterator<Item = Result<(String, String), DataError>> {
        self.skipped.iter().flat_map(|store| {
            let parts = (0..store.parts()).map(move |part| store.part(part, skip_of));
            parts.flat_map(|part| match part {
                Ok(skipped) => {
                    skipped.into_iter().map(|(place, why, _)| Ok((place, why))).collect()
                }
                Err(error) => vec![Err(error)],
            })
        })
    }

    /// The number of skipped samples.
    pub fn skipped_len(&self) -> usize {
        self.kinds.values().sum()
    }

    /// The number of skipped samples by kind of reason, the most frequent first.
    pub fn skipped_by_kind(&self) -> Vec<(&str, usize)> {
        let mut kinds: Vec<(&str, usize)> =
            self.kinds.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        kinds.sort_by_key(|(_, count)| usize::MAX - count);
        kinds
    }

    /// The counts, as those of [`ImageTextSet::summary`].
    ///
    /// # Errors
    /// [`DataError::Io`] if the index can't be read.
    pub fn summary(&self) -> Result<String, DataError> {
        let total = |of: fn(&Totals) -> u64| {
            self.segments.iter().map(|segment| of(&segment.totals)).sum::<u64>()
        };
        let images = match &self.segments[..] {
            [] => 0,
            [only] => only.totals.images,
            several => {
                let mut images = Groups::new(&self.home());
                for samples in several.iter().flat_map(Segment::chunks) {
                    for sample in samples? {
                        images.add(key(&sample.image), 0)?;
                    }
                }
                images.count()?
            }
        };
        let counts = [images, self.len(), total(|of| of.captions), total(|of| of.negatives)];
        Ok(words::summary(counts, &self.skipped_by_kind(), &self.first_skipped()?))
    }

    /// [`ImageTextSet::digest`] of these samples.
    ///
    /// # Errors
    /// [`DataError::Io`] if the index can't be read.
    pub fn digest(&self) -> Result<String, DataError> {
        let mut digest = Digest::default();
        for samples in self.chunks() {
            samples?.iter().for_each(|sample| digest.add(sample));
        }
        Ok(digest.finish())
    }

    /// Adds another set, as part `part` of a mixture.
    pub fn add(&mut self, mut other: Self, part: u16) {
        other.segments.iter_mut().for_each(|segment| segment.part = part);
        self.add_all(other);
    }

    /// The samples and what was skipped of the splits that `is_read` says.
    pub(super) fn only(
        self,
        is_read: impl Fn(u32) -> bool,
        home: &Arc<Home>,
    ) -> Result<Self, DataError> {
        let mut builder = Builder::second(home);
        for segment in &self.segments {
            segment.names.sources().iter().cloned().for_each(|source| builder.source(source));
            for part in 0..segment.samples.parts() {
                let read = |record: &[u8]| segment.names.sample(record, segment.part);
                for (sample, split) in segment.samples.part(part, read)? {
                    if is_read(split) {
                        builder.add(&sample, split);
                    }
                }
                builder.check()?;
            }
        }
        for store in &self.skipped {
            for part in 0..store.parts() {
                for (place, why, split) in store.part(part, skip_of)? {
                    if is_read(split) {
                        builder.skip(&place, &why, split);
                    }
                }
            }
        }
        let (missing, is_odd, notes) = (self.missing, self.is_odd, self.notes);
        Ok(Self { missing, is_odd, notes, ..builder.finish()? })
    }

    /// A set of the samples that `change` writes for each part; `None` where it returns false.
    pub(super) fn rewritten(
        &self,
        mut change: impl FnMut(&Segment, &mut Builder) -> Result<bool, DataError>,
    ) -> Result<Option<Self>, DataError> {
        let home = self.home();
        let mut changed = Self::default();
        for segment in &self.segments {
            let mut builder = Builder::new(&home);
            if !change(segment, &mut builder)? {
                return Ok(None);
            }
            changed.add(builder.finish()?, segment.part);
        }
        Ok(Some(changed))
    }

    /// Takes the samples of another set instead, and what it skipped as well.
    pub(super) fn take_over(&mut self, changed: Self) {
        self.segments.clear();
        self.add_all(changed);
    }

    fn add_all(&mut self, other: Self) {
        self.segments.extend(other.segments.into_iter().filter(|segment| segment.len() > 0));
        self.skipped.extend(other.skipped);
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self.notes.extend(other.notes);
        self.of_other_splits += other.of_other_splits;
        if self.folder.is_none() {
            self.folder = other.folder;
        }
    }

    /// Whether a file has the samples, and nothing of them is in memory alone.
    fn is_filed(&self) -> bool {
        let is_filed =
            |segment: &Segment| segment.samples.is_filed() && segment.names.are_all_kept();
        self.segments.len() == 1 && self.skipped.len() == 1 && self.segments.iter().all(is_filed)
    }

    /// Where further files of this set go.
    pub(super) fn home(&self) -> Arc<Home> {
        Arc::new(Home::scratch(self.folder.clone()))
    }

    /// The set, or an error with the reasons for skipping where it has no samples.
    pub(super) fn unless_empty(
        self,
        path: impl AsRef<Path>,
        problem: impl FnOnce() -> String,
    ) -> Result<Self, DataError> {
        if !self.is_empty() {
            return Ok(self);
        }
        let mut problem = problem();
        if self.skipped_len() > 0 {
            let why = words::why_skipped(&self.skipped_by_kind(), &self.first_skipped()?);
            problem = format!("{problem}; skipped: {why}");
        }
        Err(DataError::format(path, problem))
    }

    fn first_skipped(&self) -> Result<Vec<(String, String)>, DataError> {
        self.skipped().take(QUOTED).collect()
    }
}

/// The record of a skipped sample.
fn record_of_skip(place: &str, why: &str, split: u32) -> Vec<u8> {
    encoded(&(place, why, split))
}

fn skip_of(record: &[u8]) -> Option<(String, String, u32)> {
    postcard::from_bytes(record).ok()
}

/// A key that places of the same image have.
fn key(image: &ImagePlace) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&image.identity());
    if let ImagePlace::Member { offset, .. } = image {
        hasher.update(&offset.to_le_bytes());
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}

#[cfg(test)]
mod tests;
