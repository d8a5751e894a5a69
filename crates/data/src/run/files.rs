//! Durable files: synced to the disk when a function returns.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::RunError;

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Io { path: path.to_owned(), source }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable. Windows has no such call: there the file system's journal orders them.
pub(super) fn sync_folder(path: &Path) -> Result<(), RunError> {
    if !cfg!(unix) {
        return Ok(());
    }
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.or_else(|error| match error.kind() {
        // The answer of some network file systems, which have no other call.
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Ok(()),
        _ => Err(failed(path)(error)),
    })
}

/// The names in a folder that are UTF-8.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, RunError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        names.extend(entry.map_err(failed(folder))?.file_name().into_string());
    }
    Ok(names)
}

/// Creates a folder and the missing ones above it.
pub(super) fn make_folder(path: &Path) -> Result<(), RunError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    if above != Path::new(".") {
        make_folder(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_folder(above),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Removes a file, a link, or a folder with its contents, if it exists.
pub(super) fn remove(path: &Path) -> Result<(), RunError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed(path)),
    }
}

/// Renames within one folder; durable after [`sync_folder`].
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), RunError> {
    fs::rename(from, to).map_err(failed(to))
}

/// Writes a file under its final name, for a folder that isn't in use yet.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(failed(path))
}

/// The name of an incomplete file.
pub(super) fn partial_name(name: &str) -> String {
    format!(".{name}.{}.partial", std::process::id())
}

/// Writes a file beside its place and renames it: at any instant the place holds the old bytes or the new ones.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(partial_name(&name));
    let written = write_synced(&partial, bytes)
        .and_then(|()| rename(&partial, path))
        .and_then(|()| sync_folder(parent(path)));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&partial);
    }
    written
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
    use crate::testing::fails;

    #[test]
    fn a_failed_atomic_write_names_the_file_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // A folder with something in it can't be renamed over.
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        fails(write_atomically(&path, b"x"), &["taken"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

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
