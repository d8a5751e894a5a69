//! The files of a run's folder.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clove::weights::durable::sync_folder;

use super::RunError;

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Io { path: path.to_owned(), source }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// The names in a folder that are UTF-8.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, RunError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        names.extend(entry.map_err(failed(folder))?.file_name().into_string());
    }
    Ok(names)
}

/// Renames within one folder; durable after [`sync_folder`].
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), RunError> {
    fs::rename(from, to).map_err(failed(to))
}

/// The name of an incomplete file.
pub(super) fn partial_name(name: &str) -> String {
    format!(".{name}.{}.partial", std::process::id())
}

/// A file that grows by complete records.
#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Appender {
    pub(super) fn open(path: &Path) -> Result<Self, RunError> {
        Self::open_with(path, File::options().write(true).create(true))
    }

    /// Creates a file that must not exist.
    pub(super) fn create_new(path: &Path) -> Result<Self, RunError> {
        Self::open_with(path, File::options().write(true).create_new(true))
    }

    // Not opened for appending: Windows would then refuse to take a half-written record back.
    fn open_with(path: &Path, options: &fs::OpenOptions) -> Result<Self, RunError> {
        let mut file = options.open(path).map_err(failed(path))?;
        let length = file.seek(SeekFrom::End(0)).map_err(failed(path))?;
        sync_folder(parent(path))?;
        Ok(Self { path: path.to_owned(), file, length })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Passes a record to the system in one piece, so that it survives a kill of the process.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<(), RunError> {
        if let Err(source) = self.file.write_all(record) {
            // On a full disk a part may be written, which would corrupt the records that follow.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(failed(&self.path)(source));
        }
        self.length += record.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), RunError> {
        self.file.sync_data().map_err(failed(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let mut file = Appender::open(Path::new("/dev/full")).unwrap();
        let error = file.append(b"record").unwrap_err();
        assert!(error.to_string().starts_with("/dev/full: "), "{error}");
        let RunError::Io { source, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }
}
