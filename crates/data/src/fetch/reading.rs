//! Progress of reading the lists of sets, and the folder of what is made of them.

use std::fs;
use std::path::PathBuf;

use super::{Cache, Local, Progress, Shown, cache_dir};
use crate::DataError;

/// Bytes between two reports.
const STRIDE: u64 = 4 << 20;

impl<'a> Cache<'a> {
    /// The folder for files of a kind other than copies, below the folder of copies if one is given. `None` where the system has none.
    pub(crate) fn folder_of(&self, kind: &str) -> Option<PathBuf> {
        self.copies.folder.map_or_else(|| cache_dir(kind).ok(), |folder| Some(folder.join(kind)))
    }

    /// Reports the reading of a list of `bytes` bytes. A short one isn't told.
    pub(crate) fn watch(&self, name: &str, bytes: u64) -> Watch<'_, 'a> {
        let name = Shown(name).to_string();
        Watch { cache: self, name, bytes, left: bytes, unsaid: 0, has_begun: false }
    }
}

impl Local {
    /// A file that is read where it is.
    pub(crate) fn of_file(name: &str) -> Self {
        Self { name: name.to_owned(), path: PathBuf::from(name), damage: None }
    }

    /// The file's bytes, for progress.
    pub(crate) fn size(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }
}

/// The reading of a list.
#[derive(Debug)]
pub(crate) struct Watch<'n, 'a> {
    cache: &'n Cache<'a>,
    name: String,
    bytes: u64,
    /// Those that weren't told. A packed list has more bytes than its file.
    left: u64,
    unsaid: u64,
    has_begun: bool,
}

impl Watch<'_, '_> {
    /// Counts bytes that were read.
    ///
    /// # Errors
    /// [`DataError::Stopped`] where the listener stops.
    pub(crate) fn read(&mut self, bytes: u64) -> Result<(), DataError> {
        self.unsaid += bytes;
        if self.unsaid < STRIDE {
            return Ok(());
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            (self.cache.listener)(Progress::Reads(&self.name, self.bytes));
        }
        let told = std::mem::take(&mut self.unsaid).min(self.left);
        self.left -= told;
        let goes_on = (self.cache.listener)(Progress::Bytes(told));
        if goes_on { Ok(()) } else { Err(DataError::Stopped(self.name.clone())) }
    }
}
