//! Writes the samples of a set as a reader finds them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::fields::Captions;
use super::super::{Found, Sample};
use super::groups::Groups;
use super::home::Home;
use super::record::{Names, Source, encoded};
use super::store::Writer;
use super::{IndexedSet, Segment, Totals, key, record_of_skip};
use crate::DataError;

/// A set that is being read. A failed write is told by [`check`](Self::check) and at the end.
#[derive(Debug)]
pub(crate) struct Builder {
    home: Arc<Home>,
    names: Names,
    samples: Writer,
    skipped: Writer,
    missing: Writer,
    images: Groups,
    totals: Totals,
    kinds: BTreeMap<String, usize>,
    /// Whether a missing image's folder can't be written down, so that the index can't be kept.
    has_odd_folder: bool,
    failed: Option<DataError>,
}

impl Builder {
    pub(crate) fn new(home: &Arc<Home>) -> Self {
        Self::with(home, ["samples", "skipped", "missing"])
    }

    /// For what is read of a set that was written before.
    pub(super) fn second(home: &Arc<Home>) -> Self {
        Self::with(home, ["samples.read", "skipped.read", "missing.read"])
    }

    fn with(home: &Arc<Home>, [samples, skipped, missing]: [&'static str; 3]) -> Self {
        Self {
            home: Arc::clone(home),
            names: Names::new(Vec::new()),
            samples: Writer::new(home, samples),
            skipped: Writer::new(home, skipped),
            missing: Writer::new(home, missing),
            images: Groups::new(home),
            totals: Totals::default(),
            kinds: BTreeMap::new(),
            has_odd_folder: false,
            failed: None,
        }
    }

    /// Adds a file that images are in, so that its number is its place among these.
    pub(crate) fn source(&mut self, source: Source) {
        self.names.source(source);
    }

    /// Adds what was found at a place in a row of a split.
    pub(crate) fn push(&mut self, place: String, found: Found, split: u32) {
        match found {
            Ok((image, Captions { texts: captions, fields }, negatives)) => {
                let sample = Sample { image, captions, fields, negatives, place, part: 0 };
                self.add(&sample, split);
            }
            Err(why) => self.skip(&place, &why, split),
        }
    }

    pub(crate) fn add(&mut self, sample: &Sample, split: u32) {
        let totals = &mut self.totals;
        totals.captions += sample.captions.len() as u64;
        totals.negatives += sample.negatives.len() as u64;
        for field in &sample.fields {
            let field = usize::from(*field);
            if totals.fields.len() <= field {
                totals.fields.resize(field + 1, 0);
            }
            totals.fields[field] += 1;
        }
        let record = self.names.record(sample, split);
        let written = self.samples.push(&record);
        let written = written.and_then(|()| self.images.add(key(&sample.image), 0));
        self.note(written);
    }

    pub(crate) fn skip(&mut self, place: &str, why: &str, split: u32) {
        let kind = why.split_once(": ").map_or(why, |(kind, _)| kind);
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        } else {
            self.kinds.insert(kind.to_owned(), 1);
        }
        let written = self.skipped.push(&record_of_skip(place, why, split));
        self.note(written);
    }

    /// Notes an image that isn't there: where it is at the next opening, the set is read anew.
    pub(crate) fn miss(&mut self, folder: &Path, path: &str) {
        match folder.to_str() {
            Some(folder) => {
                let written = self.missing.push(&encoded(&(folder, path)));
                self.note(written);
            }
            None => self.has_odd_folder = true,
        }
    }

    fn note(&mut self, written: Result<(), DataError>) {
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    /// Tells a failed write.
    pub(crate) fn check(&mut self) -> Result<(), DataError> {
        self.failed.take().map_or(Ok(()), Err)
    }

    pub(crate) fn finish(mut self) -> Result<IndexedSet, DataError> {
        self.check()?;
        let totals = Totals { images: self.images.count()?, ..self.totals };
        let samples = self.samples.finish()?;
        Ok(IndexedSet {
            segments: vec![Segment { part: 0, names: self.names, samples, totals }],
            skipped: vec![self.skipped.finish()?],
            missing: self.missing.finish()?,
            kinds: self.kinds,
            is_odd: self.has_odd_folder,
            folder: self.home.folder().cloned(),
            ..IndexedSet::default()
        })
    }
}
