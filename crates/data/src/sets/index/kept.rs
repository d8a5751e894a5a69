//! Indexes that are kept in the cache: found again at the next opening of the same set, checked, and made anew where they aren't right.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::home::Home;
use super::record::{Names, Source};
use super::store::{Kept, Store};
use super::{IndexedSet, Segment, Totals};
use crate::DataError;
use crate::fetch::{Cache, Local};
use crate::sets::Options;
use crate::sets::fields::image_at;

/// The version of the records and of what readers make of files.
const VERSION: u32 = 1;
const MANIFEST: &str = "index.json";
const FILES: [&str; 3] = ["samples", "skipped", "missing"];

/// The opening of a set.
#[derive(Debug)]
pub(crate) struct Opening {
    home: Arc<Home>,
    files: Vec<Stamp>,
}

/// A file that a set is read from. Another size or time is another file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    name: String,
    bytes: u64,
    /// Nanoseconds since 1970.
    time: u64,
    damage: Option<String>,
}

impl Stamp {
    fn of(file: &Local) -> Option<Self> {
        let meta = fs::metadata(&file.path).ok()?;
        let time = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let time = u64::try_from(time.as_nanos()).ok()?;
        let (name, damage) = (file.identity().into_owned(), file.damage.clone());
        Some(Self { name, bytes: meta.len(), time, damage })
    }
}

/// What an index says of itself, beside its files of records.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    files: Vec<Stamp>,
    stores: [Kept; 3],
    beginnings: Vec<String>,
    totals: Totals,
    kinds: BTreeMap<String, usize>,
    notes: Vec<String>,
    of_other_splits: usize,
}

impl Opening {
    /// Of files that are read as `kind`.
    pub(crate) fn of(
        kind: &str,
        files: &[Local],
        options: &Options<'_>,
        cache: &Cache<'_>,
    ) -> Self {
        let folder = cache.folder_of("indexes");
        let scratch = |folder| Self { home: Arc::new(Home::scratch(folder)), files: Vec::new() };
        let stamps: Option<Vec<Stamp>> = files.iter().map(Stamp::of).collect();
        let (Some(folder), Some(stamps), true) = (folder.clone(), stamps, options.keep_index)
        else {
            return scratch(folder);
        };
        let mut name = blake3::Hasher::new();
        let here = std::env::current_dir().unwrap_or_default();
        for part in [kind, &format!("{options:?}"), &here.display().to_string()] {
            name.update(part.as_bytes()).update(&[0]);
        }
        for file in files {
            name.update(file.identity().as_bytes()).update(&[0]);
        }
        let name = name.finalize().to_hex()[..32].to_owned();
        Self { home: Arc::new(Home::kept(folder, name)), files: stamps }
    }

    /// For a set that isn't found again.
    pub(crate) fn scratch(cache: &Cache<'_>) -> Self {
        Self { home: Arc::new(Home::scratch(cache.folder_of("indexes"))), files: Vec::new() }
    }

    /// Where a set's files go.
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The set, if its index is there and right. `sources` are the files that images are in, as they were given to the
    /// [`Builder`](super::Builder).
    pub(crate) fn find(
        &self,
        sources: impl FnOnce() -> Result<Vec<Source>, DataError>,
    ) -> Result<Option<IndexedSet>, DataError> {
        let found = self.home.place().and_then(|place| {
            let manifest: Manifest =
                serde_json::from_slice(&fs::read(place.join(MANIFEST)).ok()?).ok()?;
            if manifest.version != VERSION || manifest.files != self.files {
                return None;
            }
            let stores = stores(&place, &manifest.stores, true)?;
            (!has_appeared(&stores[2])).then_some((manifest, stores))
        });
        let Some((manifest, [samples, skipped, missing])) = found else {
            return Ok(None);
        };
        let mut names = Names::new(manifest.beginnings);
        for source in sources()? {
            names.source(source);
        }
        Ok(Some(IndexedSet {
            segments: vec![Segment { part: 0, names, samples, totals: manifest.totals }],
            skipped: vec![skipped],
            missing,
            kinds: manifest.kinds,
            is_odd: false,
            folder: self.home.folder().cloned(),
            notes: manifest.notes,
            of_other_splits: manifest.of_other_splits,
        }))
    }

    /// Keeps the index of a set that memory doesn't hold.
    pub(crate) fn keep(self, mut set: IndexedSet) -> Result<IndexedSet, DataError> {
        let Self { home, files } = self;
        let is_kept = !set.is_odd && set.is_filed();
        let Some(partial) = home.written().filter(|_| is_kept) else {
            return Ok(set);
        };
        let (Some(segment), Some(skipped)) = (set.segments.pop(), set.skipped.pop()) else {
            return Ok(set);
        };
        let Segment { part, names, samples, totals } = segment;
        let [first, second, third] = FILES.map(|name| partial.join(name));
        let manifest = Manifest {
            version: VERSION,
            files,
            stores: [samples.keep(&first)?, skipped.keep(&second)?, set.missing.keep(&third)?],
            beginnings: names.beginnings().to_vec(),
            totals,
            kinds: set.kinds,
            notes: set.notes,
            of_other_splits: set.of_other_splits,
        };
        let path = partial.join(MANIFEST);
        let wrong = |source| Home::no_room(&path, source);
        let text = serde_json::to_vec(&manifest).map_err(|error| DataError::parse(&path, error))?;
        let mut file = File::create(&path).map_err(wrong)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(wrong)?;
        drop(file);
        let place = home.settle().map_err(wrong)?;
        let opened = place.and_then(|place| stores(&place, &manifest.stores, false));
        let [samples, skipped, missing] =
            opened.ok_or_else(|| wrong(ErrorKind::NotFound.into()))?;
        Ok(IndexedSet {
            segments: vec![Segment { part, names, samples, totals: manifest.totals }],
            skipped: vec![skipped],
            missing,
            kinds: manifest.kinds,
            is_odd: false,
            folder: set.folder,
            notes: manifest.notes,
            of_other_splits: manifest.of_other_splits,
        })
    }
}

/// The files of an index; `None` if one isn't what was written.
fn stores(place: &Path, kept: &[Kept; 3], is_checked: bool) -> Option<[Store; 3]> {
    let mut stores = FILES
        .iter()
        .zip(kept)
        .map(|(name, kept)| Store::open(&place.join(name), kept, is_checked).ok().flatten());
    Some([stores.next()??, stores.next()??, stores.next()??])
}

/// Whether an image that wasn't there is there now.
fn has_appeared(missing: &Store) -> bool {
    let is_there = |record: &[u8]| {
        let (folder, path): (&str, &str) = postcard::from_bytes(record).ok()?;
        Some(image_at(Path::new(folder), path).is_ok())
    };
    (0..missing.parts()).any(|part| {
        // A damaged list counts as a change.
        missing.part(part, is_there).map_or(true, |found| found.contains(&true))
    })
}
