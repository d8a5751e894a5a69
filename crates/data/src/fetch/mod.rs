//! Local copies of files that can't be read where they are: those in S3, in Google Cloud Storage or on a web server, and those
//! packed by gzip or zstd, in which nothing has a place of its own.
//!
//! Called by the readers of [`crate::sets`], for files as large as shards. A file is fetched once; a copy is known by where it came
//! from and by what its owner says of its state (an ETag, or size and time), so a file that has changed is fetched anew. What
//! breaks off goes on where it stopped.

#[cfg(feature = "remote")]
mod remote;
mod unpack;

use std::env;
use std::fmt::{self, Debug, Formatter};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::UNIX_EPOCH;

use crate::{DataError, text};

/// Files fetched or unpacked at once.
const AT_ONCE: usize = 4;
/// Names the folder of copies, where the caller names none.
const FOLDER: &str = "CLOVE_CACHE";

/// What a cache reports. Whoever listens answers whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A file is begun: its name, and how many bytes are to come.
    Begins(&'a str, u64),
    /// So many bytes more.
    Bytes(u64),
}

/// Whoever is told of progress.
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Local {
    /// The file as it was named.
    pub name: String,
    /// The file itself, or its copy.
    pub path: PathBuf,
    /// Why the copy lacks its end, where the packed file is damaged.
    pub damage: Option<String>,
}

impl<'a> Cache<'a> {
    /// Copies in `folder`, or else in that of the environment's `CLOVE_CACHE`, or else where the system keeps caches. It's made when
    /// the first copy is.
    #[must_use]
    pub fn new(folder: Option<&'a Path>, listener: Listener<'a>) -> Self {
        Self { folder, listener }
    }

    /// Without anyone listening.
    #[must_use]
    pub fn silent(folder: Option<&'a Path>) -> Self {
        Self::new(folder, &|_| true)
    }

    /// Where each of `names` can be read, in their order: paths, or `s3://bucket/path`, `gs://bucket/path`, `http(s)://host/path`.
    ///
    /// # Errors
    /// [`DataError::Io`] for a file that isn't there, or a copy that can't be written; [`DataError::Format`] for what a server
    /// doesn't give, with its answer; [`DataError::Stopped`] where the listener says so. The first in the order of names counts.
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

    fn one(&self, name: &str) -> Result<Local, DataError> {
        if is_remote(name) {
            return self.remote(name);
        }
        let path = PathBuf::from(name);
        let local = |path, damage| Local { name: name.to_owned(), path, damage };
        let wrong = |source| text::io(&path, source);
        let mut file = File::open(&path).map_err(wrong)?;
        let packing = unpack::Packing::of(&mut file).map_err(wrong)?;
        if packing.is_none() {
            return Ok(local(path, None));
        }
        let meta = file.metadata().map_err(wrong)?;
        let time = meta.modified().ok();
        let time = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let real = fs::canonicalize(&path).map_err(wrong)?;
        let identity = format!("{} {} {time:?}", real.display(), meta.len());
        let copy = Copy::of(&self.folder()?, &identity)?;
        if !copy.is_there() {
            let _lock = copy.lock()?;
            if !copy.is_there() {
                (self.listener)(Progress::Begins(name, meta.len()));
                self.unpack(&path, &copy, name)?;
            }
        }
        Ok(local(copy.path.clone(), copy.damage()))
    }

    #[cfg(feature = "remote")]
    fn remote(&self, name: &str) -> Result<Local, DataError> {
        let object = remote::Object::find(name)?;
        let copy = Copy::of(&self.folder()?, &object.identity)?;
        if !copy.is_there() {
            let _lock = copy.lock()?;
            if !copy.is_there() {
                object.fetch(&copy.part, self.listener)?;
                let wrong = |source| text::io(&copy.part, source);
                let mut file = File::open(&copy.part).map_err(wrong)?;
                if unpack::Packing::of(&mut file).map_err(wrong)?.is_some() {
                    let size = file.metadata().map_err(wrong)?.len();
                    (self.listener)(Progress::Begins(name, size));
                    self.unpack(&copy.part, &copy, name)?;
                    fs::remove_file(&copy.part).map_err(wrong)?;
                } else {
                    fs::rename(&copy.part, &copy.path).map_err(wrong)?;
                }
            }
        }
        Ok(Local { name: name.to_owned(), path: copy.path.clone(), damage: copy.damage() })
    }

    #[cfg(not(feature = "remote"))]
    #[expect(clippy::unused_self, reason = "with the feature it's used")]
    fn remote(&self, name: &str) -> Result<Local, DataError> {
        Err(DataError::Format {
            path: PathBuf::from(name),
            problem: "this program was built without the feature \"remote\"; fetch the file first"
                .to_owned(),
        })
    }

    /// Unpacks a file into a copy.
    fn unpack(&self, packed: &Path, copy: &Copy, name: &str) -> Result<(), DataError> {
        let whole = unpack::unpack(packed, &copy.unpacked, &|bytes| {
            (self.listener)(Progress::Bytes(bytes))
        });
        match whole {
            Ok(()) => {}
            Err(unpack::Error::Stopped) => {
                let _ = fs::remove_file(&copy.unpacked);
                return Err(DataError::Stopped(name.to_owned()));
            }
            Err(unpack::Error::Read(source)) => return Err(text::io(packed, source)),
            Err(unpack::Error::Write(source)) => {
                let _ = fs::remove_file(&copy.unpacked);
                return Err(no_room(&copy.unpacked, source));
            }
            // What was whole is used, as of a shard that isn't packed.
            Err(unpack::Error::Damaged(why)) => {
                fs::write(&copy.damaged, why).map_err(|source| no_room(&copy.damaged, source))?;
            }
        }
        fs::rename(&copy.unpacked, &copy.path).map_err(|source| text::io(&copy.path, source))
    }

    fn folder(&self) -> Result<PathBuf, DataError> {
        match self.folder {
            Some(folder) => Ok(folder.to_owned()),
            None => cache_dir("shards"),
        }
    }
}

/// Where copies of a kind are kept: below the folder that `CLOVE_CACHE` names, or else below `clove` where the system keeps caches.
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
    let above = above.ok_or_else(|| DataError::Format {
        path: PathBuf::new(),
        problem: format!("no folder for {kind} is known on this system; name one in {FOLDER}"),
    })?;
    Ok(above.join("clove").join(kind))
}

/// A failed write, with what to do about a full disk.
fn no_room(path: &Path, source: io::Error) -> DataError {
    let advice = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; name a roomier folder for copies of shards in data.cache"
        }
        _ => return text::io(path, source),
    };
    let source = io::Error::new(source.kind(), format!("{source}{advice}"));
    text::io(path, source)
}

/// Whether a name is an address.
pub(crate) fn is_remote(name: &str) -> bool {
    ["s3://", "gs://", "http://", "https://"].iter().any(|scheme| name.starts_with(scheme))
}

/// The files of one copy.
struct Copy {
    /// The copy, whole.
    path: PathBuf,
    /// What of it was fetched so far.
    #[cfg(feature = "remote")]
    part: PathBuf,
    /// What of it was unpacked so far.
    unpacked: PathBuf,
    /// Why its end is missing.
    damaged: PathBuf,
    /// Held by whoever makes it.
    lock: PathBuf,
}

impl Copy {
    fn of(folder: &Path, identity: &str) -> Result<Self, DataError> {
        fs::create_dir_all(folder).map_err(|source| no_room(folder, source))?;
        let key = &blake3::hash(identity.as_bytes()).to_hex()[..32];
        let file = |end: &str| folder.join(format!("{key}{end}"));
        Ok(Self {
            path: file(""),
            #[cfg(feature = "remote")]
            part: file(".part"),
            unpacked: file(".unpacked"),
            damaged: file(".damaged"),
            lock: file(".lock"),
        })
    }

    fn is_there(&self) -> bool {
        self.path.is_file()
    }

    fn damage(&self) -> Option<String> {
        fs::read_to_string(&self.damaged).ok()
    }

    /// Waits until no other program makes this copy.
    fn lock(&self) -> Result<File, DataError> {
        let file = File::create(&self.lock).map_err(|source| no_room(&self.lock, source))?;
        match file.lock() {
            // A file system that knows no locks is used by one program at a time.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                Err(text::io(&self.lock, error))
            }
            _ => Ok(file),
        }
    }
}

/// The first four bytes of a file, or those that it has.
fn magic(file: &mut File) -> io::Result<Vec<u8>> {
    let mut magic = Vec::new();
    file.take(4).read_to_end(&mut magic)?;
    Ok(magic)
}

#[cfg(test)]
mod tests;
