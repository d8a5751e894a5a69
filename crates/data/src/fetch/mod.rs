//! Local copies of files that have no random access: files in S3, Google Cloud Storage or on a web server, and gzip or zstd files.
//!
//! Called by the readers of [`crate::sets`], for files as large as shards. A file is fetched once. A copy is identified by its source
//! and version (an ETag, or size and time), so a changed file is fetched again. An interrupted download resumes.

#[cfg(feature = "remote")]
mod remote;
mod unpack;

use std::env;
use std::fmt::{self, Debug, Formatter};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::UNIX_EPOCH;

use crate::DataError;

/// Files fetched or unpacked at once.
const AT_ONCE: usize = 4;
/// The environment variable for the folder of copies.
const FOLDER: &str = "CLOVE_CACHE";

/// Progress of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A file begins: its name and the number of its bytes.
    Begins(&'a str, u64),
    /// More bytes of it.
    Bytes(u64),
}

/// Receives progress; returns false to stop.
pub type Listener<'a> = &'a (dyn Fn(Progress<'_>) -> bool + Sync);

/// A folder of local copies.
#[derive(Clone, Copy)]
pub struct Cache<'a> {
    folder: Option<&'a Path>,
    listener: Listener<'a>,
}

impl Debug for Cache<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Where a file can be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Local {
    /// The file's path or address.
    pub name: String,
    /// The file itself, or its copy.
    pub path: PathBuf,
    /// Why the copy is incomplete, where the compressed file is damaged.
    pub damage: Option<String>,
}

impl<'a> Cache<'a> {
    /// Copies in `folder`, or else in the folder that `CLOVE_CACHE` names, or else in the system's cache. The first copy creates it.
    pub fn new(folder: Option<&'a Path>, listener: Listener<'a>) -> Self {
        Self { folder, listener }
    }

    /// Without a listener.
    pub fn silent(folder: Option<&'a Path>) -> Self {
        Self::new(folder, &|_| true)
    }

    /// A readable file for each of `names`, in their order: paths, or `s3://bucket/path`, `gs://bucket/path`, `http(s)://host/path`.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file, or a copy that can't be written; [`DataError::Format`] for a file that the server refuses,
    /// with its answer; [`DataError::Stopped`] where the listener stops. The first error in the order of names is returned.
    pub fn local(&self, names: &[String]) -> Result<Vec<Local>, DataError> {
        let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let found = Mutex::new(Vec::with_capacity(names.len()));
        thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(names.len()) {
                scope.spawn(|| {
                    while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed))
                        && let Some(name) = names.get(at)
                        && !is_over.load(Ordering::Relaxed)
                    {
                        let local = self.one(name);
                        is_over.fetch_or(local.is_err(), Ordering::Relaxed);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.push((at, local));
                    }
                });
            }
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_unstable_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, local)| local).collect()
    }

    pub(crate) fn one(&self, name: &str) -> Result<Local, DataError> {
        if is_remote(name) {
            return self.remote(name);
        }
        let path = PathBuf::from(name);
        let wrong = |source| DataError::io(&path, source);
        if unpack::Packing::of(&path).map_err(wrong)?.is_none() {
            return Ok(Local { name: name.to_owned(), path, damage: None });
        }
        let meta = fs::metadata(&path).map_err(wrong)?;
        let time = meta.modified().ok();
        let time = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let real = fs::canonicalize(&path).map_err(wrong)?;
        let identity = format!("{} {} {time:?}", real.display(), meta.len());
        self.copy(name, &identity, |copy| self.unpack(&path, copy, name))
    }

    /// The copy of a file, which `make` makes unless it exists. Its path has an extension for the downloaded part (`part`), the unpacked
    /// part (`unpacked`), the reason for a missing end (`damaged`), and the lock file (`lock`).
    fn copy(
        &self,
        name: &str,
        identity: &str,
        make: impl FnOnce(&Path) -> Result<(), DataError>,
    ) -> Result<Local, DataError> {
        let folder = self.folder.map_or_else(|| cache_dir("shards"), |dir| Ok(dir.to_owned()))?;
        fs::create_dir_all(&folder).map_err(|source| no_room(&folder, source))?;
        let path = folder.join(&blake3::hash(identity.as_bytes()).to_hex()[..32]);
        if !path.is_file() {
            let _lock = lock(&path.with_extension("lock"))?;
            if !path.is_file() {
                make(&path)?;
            }
        }
        let damage = fs::read_to_string(path.with_extension("damaged")).ok();
        Ok(Local { name: name.to_owned(), path, damage })
    }

    #[cfg(feature = "remote")]
    fn remote(&self, name: &str) -> Result<Local, DataError> {
        let object = remote::Object::find(name)?;
        self.copy(name, &object.identity, |copy| {
            let part = copy.with_extension("part");
            object.fetch(&part, self.listener)?;
            let wrong = |source| DataError::io(&part, source);
            if unpack::Packing::of(&part).map_err(wrong)?.is_none() {
                return fs::rename(&part, copy).map_err(wrong);
            }
            self.unpack(&part, copy, name)?;
            fs::remove_file(&part).map_err(wrong)
        })
    }

    #[cfg(not(feature = "remote"))]
    #[expect(clippy::unused_self, reason = "with the feature it's used")]
    fn remote(&self, name: &str) -> Result<Local, DataError> {
        let problem = "this program was built without the feature \"remote\"; fetch the file first";
        Err(DataError::format(name, problem))
    }

    /// Unpacks a file into a copy.
    fn unpack(&self, packed: &Path, copy: &Path, name: &str) -> Result<(), DataError> {
        let size = fs::metadata(packed).map_err(|source| DataError::io(packed, source))?.len();
        (self.listener)(Progress::Begins(name, size));
        let unpacked = copy.with_extension("unpacked");
        let report = |bytes| (self.listener)(Progress::Bytes(bytes));
        match unpack::unpack(packed, &unpacked, &report) {
            Ok(()) => {}
            Err(unpack::Error::Stopped) => {
                let _ = fs::remove_file(&unpacked);
                return Err(DataError::Stopped(name.to_owned()));
            }
            Err(unpack::Error::Read(source)) => return Err(DataError::io(packed, source)),
            Err(unpack::Error::Write(source)) => {
                let _ = fs::remove_file(&unpacked);
                return Err(no_room(&unpacked, source));
            }
            // The intact beginning is used, as of a shard that isn't compressed.
            Err(unpack::Error::Damaged(why)) => {
                let damaged = copy.with_extension("damaged");
                fs::write(&damaged, why).map_err(|source| no_room(&damaged, source))?;
            }
        }
        fs::rename(&unpacked, copy).map_err(|source| DataError::io(copy, source))
    }
}

/// The folder for copies of a kind: below the folder that `CLOVE_CACHE` names, or else below `clove` where the system keeps caches.
///
/// # Errors
/// [`DataError::Format`] on a system whose folders aren't known.
pub fn cache_dir(kind: &str) -> Result<PathBuf, DataError> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set(FOLDER) {
        return Ok(PathBuf::from(folder).join(kind));
    }
    let above = if cfg!(windows) {
        set("LOCALAPPDATA").map(PathBuf::from)
    } else if cfg!(target_os = "macos") {
        env::home_dir().map(|home| home.join("Library/Caches"))
    } else {
        let home = || env::home_dir().map(|home| home.join(".cache"));
        set("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)
    };
    let above = above.ok_or_else(|| {
        let problem = format!("no folder for {kind} is known on this system; name one in {FOLDER}");
        DataError::format("", problem)
    })?;
    Ok(above.join("clove").join(kind))
}

/// A failed write, with advice for a full disk.
fn no_room(path: &Path, source: io::Error) -> DataError {
    let kind = source.kind();
    if !matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return DataError::io(path, source);
    }
    let advice = "set data.cache to a folder with more space for copies of shards";
    DataError::io(path, io::Error::new(kind, format!("{source}; {advice}")))
}

/// Whether a name is an address.
pub(crate) fn is_remote(name: &str) -> bool {
    ["s3://", "gs://", "http://", "https://"].iter().any(|scheme| name.starts_with(scheme))
}

/// Waits until no other program makes a copy.
fn lock(path: &Path) -> Result<File, DataError> {
    let file = File::create(path).map_err(|source| no_room(path, source))?;
    match file.lock() {
        // Without locks, only one program at a time should use the cache.
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(DataError::io(path, error)),
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests;
