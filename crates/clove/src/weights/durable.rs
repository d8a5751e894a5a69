//! Writes that survive a kill and a power cut: at any instant a place has its old content or the new one, whole.
//!
//! The order is always the same: write under another name, sync the files, sync their folder, rename, sync the folder above. Otherwise a
//! power cut can keep a rename and lose the bytes from before it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Problem, WeightsError};

fn failed(path: &Path) -> impl FnOnce(io::Error) -> WeightsError {
    move |source| AtomicFile::failed(path, source)
}

/// The same error of another file or folder: the one that the user has named.
pub(super) fn naming(path: &Path) -> impl FnOnce(WeightsError) -> WeightsError + use<> {
    let file = path.display().to_string();
    move |error| WeightsError { file, ..error }
}

/// The folder of a file, `.` for a bare name.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Tells tests of an operation before it happens, with the paths before and after a rename.
#[cfg(not(test))]
fn record(_operation: &'static str, _paths: [&Path; 2]) {}
#[cfg(test)]
use tests::record;

/// Devices and some network file systems answer that they have no such call.
fn synced(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Ok(()),
        _ => Err(error),
    })
}

fn sync_file(path: &Path, file: &File) -> io::Result<()> {
    record("sync", [path; 2]);
    synced(file.sync_all())
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    record("rename", [from, to]);
    fs::rename(from, to)
}

/// Makes the names in a folder durable. Windows has no such call: there the file system's journal orders them.
///
/// # Errors
/// When the folder can't be opened or synced.
pub fn sync_folder(folder: &Path) -> Result<(), WeightsError> {
    record("sync folder", [folder; 2]);
    if !cfg!(unix) {
        return Ok(());
    }
    synced(File::open(folder).and_then(|folder| folder.sync_all())).map_err(failed(folder))
}

/// Syncs the files in a folder and its subfolders, and these themselves.
fn sync_tree(folder: &Path) -> Result<(), WeightsError> {
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            // Windows syncs files that are open for writing only.
            let file = File::options().read(true).write(cfg!(windows)).open(&path);
            file.and_then(|file| sync_file(&path, &file)).map_err(failed(&path))?;
        }
    }
    sync_folder(folder)
}

/// Creates a folder and the missing ones above it.
///
/// # Errors
/// When one can't be created, or something else has its name.
pub fn create_folder(path: &Path) -> Result<(), WeightsError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    if above != Path::new(".") {
        create_folder(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_folder(above),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Removes a file, a link, or a folder with its contents, if it exists.
///
/// # Errors
/// When it can't be removed.
pub fn remove(path: &Path) -> Result<(), WeightsError> {
    record("remove", [path; 2]);
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

/// Gives the folder `filled` the name `place` beside it, in place of what is there, which is removed. All files are synced before.
///
/// Where the file system can't exchange two names (NFS, Windows), a kill can leave nothing at `place` and what was there beside it, under
/// the name [`replaced`].
///
/// # Errors
/// When something can't be synced, renamed or removed.
pub fn publish(filled: &Path, place: &Path) -> Result<(), WeightsError> {
    sync_tree(filled)?;
    let above = parent(place);
    if fs::symlink_metadata(place).is_err() {
        rename(filled, place).map_err(failed(place))?;
        return sync_folder(above);
    }
    if exchange(filled, place).is_ok() {
        sync_folder(above)?;
        // It has what was at the place.
        return remove(filled);
    }
    let old = replaced(place);
    remove(&old)?;
    rename(place, &old).map_err(failed(place))?;
    if let Err(error) =
        sync_folder(above).and_then(|()| rename(filled, place).map_err(failed(place)))
    {
        // The first error is the one to report.
        let _ = fs::rename(&old, place);
        return Err(error);
    }
    sync_folder(above)?;
    remove(&old)
}

/// The name of what [`publish`] is replacing.
pub fn replaced(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}.replaced"))
}

/// Puts back what a killed [`publish`] has left under the name [`replaced`].
pub(super) fn restore(place: &Path) -> Result<(), WeightsError> {
    let old = replaced(place);
    if fs::symlink_metadata(place).is_ok() || fs::symlink_metadata(&old).is_err() {
        return Ok(());
    }
    rename(&old, place).map_err(failed(place))
}

/// Exchanges two names in one step, where the system and the file system can.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    #[cfg(test)]
    if tests::exchanges_nothing() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    record("exchange", [one, other]);
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Moves the files of a folder to its parent, which is empty. Those that `is_last` chooses, without which the others are nothing, come
/// when the others are on the disk.
pub(super) fn move_up(from: &Path, is_last: impl Fn(&str) -> bool) -> Result<(), WeightsError> {
    let to = parent(from);
    sync_tree(from)?;
    let entries = fs::read_dir(from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let names = entries.map_err(failed(from))?.into_iter().map(|entry| entry.file_name());
    let (last, first): (Vec<_>, Vec<_>) =
        names.partition(|name| name.to_str().is_some_and(&is_last));
    for names in [first, last] {
        for name in names {
            let place = to.join(&name);
            rename(&from.join(&name), &place).map_err(failed(&place))?;
        }
        sync_folder(to)?;
    }
    Ok(())
}

/// A file that gets its name when it's complete and on the disk: written to a temporary file beside it, synced, then renamed.
///
/// Links are followed. Devices and pipes are written to directly, because renaming would replace them.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    temporary: Option<Temporary>,
    file: BufWriter<File>,
}

/// A file that is removed unless it's renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // A failure can't be reported here. After the rename there is nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

impl AtomicFile {
    /// Starts the file `path`, and creates its directory.
    ///
    /// # Errors
    /// When the directory or the file can't be created.
    pub fn create(path: &Path) -> Result<Self, WeightsError> {
        let failed = |source| Self::failed(path, source);
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let (temporary, file) = match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            Ok(found) if !found.is_file() => {
                let file = File::options().write(true).open(path).map_err(failed)?;
                (None, file)
            }
            _ => {
                create_folder(parent(path)).map_err(naming(path))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let temporary =
                    path.with_file_name(format!(".{name}.{}.partial", std::process::id()));
                let file = File::create(&temporary).map_err(failed)?;
                (Some(Temporary(temporary)), file)
            }
        };
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(Self { path: path.clone(), temporary, file })
    }

    /// The error of a failed write to `path`.
    pub fn failed(path: &Path, source: io::Error) -> WeightsError {
        Problem::Write(source).of(path.display().to_string())
    }

    /// Gives the file its name. On return it's on the disk.
    ///
    /// # Errors
    /// When the last bytes can't be written, or the file can't be synced or renamed.
    pub fn commit(self) -> Result<(), WeightsError> {
        let Self { path, temporary, file } = self;
        let failed = |error| Self::failed(&path, error);
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        let Some(Temporary(written)) = &temporary else {
            return Ok(());
        };
        {
            // Closed before the rename: Windows renames no open file.
            let complete = file;
            sync_file(written, &complete).map_err(failed)?;
        }
        rename(written, &path).map_err(failed)?;
        sync_folder(parent(&path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let place = self.temporary.as_ref().map_or(&self.path, |Temporary(written)| written);
        record("write", [place; 2]);
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file as an [`AtomicFile`].
///
/// # Errors
/// When it can't be written.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), WeightsError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(content.as_ref()).map_err(|source| AtomicFile::failed(path, source))?;
    file.commit()
}

#[cfg(test)]
mod tests;
