//! The folder of indexes, and one that is being written in it.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::DataError;

/// Where a set's records go that are too many for memory.
#[derive(Debug)]
pub(crate) struct Home {
    /// The folder of indexes. Without one, files are in the system's folder of temporary files.
    folder: Option<PathBuf>,
    /// The name of an index that is kept.
    name: Option<String>,
    /// The index that is kept, while it's written: its folder, and the lock on it. `None` where it can't be.
    partial: OnceLock<Option<(PathBuf, File)>>,
}

impl Home {
    /// For records that nobody finds again.
    pub(crate) fn scratch(folder: Option<PathBuf>) -> Self {
        Self { folder, name: None, partial: OnceLock::new() }
    }

    /// For records that are found again by a name.
    pub(crate) fn kept(folder: PathBuf, name: String) -> Self {
        Self { folder: Some(folder), name: Some(name), partial: OnceLock::new() }
    }

    /// The folder that files are made in.
    pub(crate) fn folder(&self) -> Option<&PathBuf> {
        self.folder.as_ref()
    }

    /// The folder of the index that was kept, if there is one.
    pub(crate) fn place(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(self.name.as_ref()?))
    }

    /// The folder of the index that is written, once it has a file.
    pub(crate) fn written(&self) -> Option<&Path> {
        self.partial.get()?.as_ref().map(|(path, _)| path.as_path())
    }

    /// The folder for an index that will be kept. Another process that writes the same index keeps its own.
    fn partial(&self) -> Option<&Path> {
        let begin = || {
            let (folder, name) = (self.folder.as_ref()?, self.name.as_ref()?);
            fs::create_dir_all(folder).ok()?;
            let lock = File::create(folder.join(format!("{name}.lock"))).ok()?;
            lock.try_lock().ok()?;
            let partial = folder.join(format!("{name}.partial"));
            // Of a process that was killed.
            match fs::remove_dir_all(&partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return None,
                _ => {}
            }
            fs::create_dir(&partial).ok()?;
            Some((partial, lock))
        };
        self.partial.get_or_init(begin).as_ref().map(|(path, _)| path.as_path())
    }

    /// A new file to write and read, and its path, for messages.
    pub(crate) fn file(&self, name: &str) -> Result<(File, PathBuf), DataError> {
        if let Some(partial) = self.partial() {
            let path = partial.join(name);
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(true).open(&path);
            return file
                .map(|file| (file, path.clone()))
                .map_err(|source| Self::no_room(&path, source));
        }
        self.nameless()
    }

    /// A file that the system deletes when it's closed.
    pub(crate) fn nameless(&self) -> Result<(File, PathBuf), DataError> {
        // The system's folder of temporary files often is memory.
        let made = self.folder.as_ref().and_then(|folder| {
            fs::create_dir_all(folder).ok()?;
            tempfile::tempfile_in(folder).ok().map(|file| (file, folder.clone()))
        });
        if let Some(made) = made {
            return Ok(made);
        }
        let folder = env::temp_dir();
        match tempfile::tempfile() {
            Ok(file) => Ok((file, folder)),
            Err(source) => Err(DataError::io(folder, source)),
        }
    }

    /// A failed write, with advice for a full disk.
    pub(crate) fn no_room(path: &Path, source: io::Error) -> DataError {
        let kind = source.kind();
        if !matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return DataError::io(path, source);
        }
        let advice = "the samples are listed here; name a folder with more space in CLOVE_CACHE";
        DataError::io(path, io::Error::new(kind, format!("{source}; {advice}")))
    }

    /// Gives the index that was written its name, in place of an older one.
    pub(crate) fn settle(&self) -> io::Result<Option<PathBuf>> {
        let (Some(from), Some(to)) = (self.written(), self.place()) else {
            return Ok(None);
        };
        match fs::remove_dir_all(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(from, &to)?;
        Ok(Some(to))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What was begun and not kept. Where it was renamed nothing is there.
        if let Some(partial) = self.written() {
            let _ = fs::remove_dir_all(partial);
        }
    }
}
