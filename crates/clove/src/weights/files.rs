//! Where a model's files are: a directory, or memory (a browser has no directories).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor};
use std::path::PathBuf;
use std::sync::Arc;

use super::tensors::ReadSeek;

/// The files of one model, by name.
pub trait ModelFiles: std::fmt::Debug {
    /// The place as messages name it.
    fn place(&self) -> String;

    /// A file as messages name it.
    fn describe(&self, name: &str) -> String;

    /// Opens a file; `None` if there is none of this name.
    ///
    /// # Errors
    /// When it's there and can't be opened.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>>;

    /// The names of the files at the top of the place, sorted; empty where the place can't be listed.
    fn names(&self) -> Vec<String>;
}

/// A directory on disk.
#[derive(Debug, Clone)]
pub struct Directory(pub PathBuf);

impl ModelFiles for Directory {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn describe(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>> {
        let path = self.0.join(name);
        // A pipe would be waited for, and can't be read from an offset.
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("this isn't a regular file"));
        }
        match File::open(path) {
            // Buffered for the headers; tensors are read in pieces larger than the buffer, which go past it.
            Ok(file) => Ok(Some(Box::new(BufReader::new(file)))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

/// Files that are held in memory.
#[derive(Debug, Clone, Default)]
pub struct InMemory {
    /// What messages call the place.
    pub name: String,
    /// Each file's bytes, by name.
    pub files: BTreeMap<String, Arc<[u8]>>,
}

impl ModelFiles for InMemory {
    fn place(&self) -> String {
        self.name.clone()
    }

    fn describe(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>> {
        Ok(self
            .files
            .get(name)
            .map(|bytes| Box::new(Cursor::new(Arc::clone(bytes))) as Box<dyn ReadSeek>))
    }

    fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
}
