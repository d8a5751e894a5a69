//! Local copies of files that have no random access: files in S3, Google Cloud Storage or on a web server, and gzip or zstd files.
//!
//! Called by the readers of [`crate::sets`], for files as large as shards. A file is fetched once. A copy is identified by its source
//! and version (an ETag, or size and time), so a changed file is fetched again. An interrupted download resumes. No secret of an
//! address is shown ([`Shown`]) or names a copy.

mod address;
#[cfg(feature = "remote")]
mod identity;
mod reading;
#[cfg(feature = "remote")]
mod remote;
mod room;
mod unpack;

use std::borrow::Cow;
use std::env;
use std::fmt::{self, Debug, Formatter};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

pub use self::address::Shown;
pub(crate) use self::address::{file_name, is_remote};
pub(crate) use self::reading::Watch;
use self::room::Room;
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
    /// A list of samples is read: its name and the number of its bytes.
    Reads(&'a str, u64),
    /// More bytes of it.
    Bytes(u64),
    /// A remark, in a line.
    Note(&'a str),
}

/// Receives progress; returns false to stop.
pub type Listener<'a> = &'a (dyn Fn(Progress<'_>) -> bool + Sync);

/// Where copies are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copies<'a> {
    /// Their folder; by default the one that `CLOVE_CACHE` names, or else the system's cache. The first copy creates it.
    pub folder: Option<&'a Path>,
    /// Most bytes of all copies in it; by default as many as leave a GiB of the disk free. The least recently used ones are removed to
    /// make room, those in use never.
    pub most: Option<u64>,
}

/// A folder of local copies.
#[derive(Clone, Copy)]
pub struct Cache<'a> {
    copies: Copies<'a>,
    listener: Listener<'a>,
}

impl Debug for Cache<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").field("copies", &self.copies).finish_non_exhaustive()
    }
}

/// Where a file can be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Local {
    /// The file's path, or its address as it may be shown.
    pub name: String,
    /// The file itself, or its copy.
    pub path: PathBuf,
    /// Why the copy is incomplete, where the compressed file is damaged.
    pub damage: Option<String>,
}

impl Local {
    /// The name, and where something of it is hidden that of the copy too: other files may have the same name then.
    pub(crate) fn identity(&self) -> Cow<'_, str> {
        if !is_remote(&self.name) || !self.name.contains(address::HIDDEN) {
            return Cow::Borrowed(&self.name);
        }
        let copy = self.path.file_name().unwrap_or_default();
        Cow::Owned(format!("{} {}", self.name, copy.display()))
    }
}

impl<'a> Cache<'a> {
    /// Copies where `copies` says.
    pub fn new(copies: Copies<'a>, listener: Listener<'a>) -> Self {
        Self { copies, listener }
    }

    /// Copies in `folder`, or else in the usual one, without a listener.
    pub fn silent(folder: Option<&'a Path>) -> Self {
        Self::new(Copies { folder, most: None }, &|_| true)
    }

    /// A readable file for each of `names`, in their order: paths, or `s3://bucket/path`, `gs://bucket/path`, `http(s)://host/path`.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file, or a copy that can't be written; [`DataError::Format`] for a file that the server refuses,
    /// with its answer; [`DataError::Stopped`] where the listener stops. The first error in the order of names is returned.
    pub fn local(&self, names: &[String]) -> Result<Vec<Local>, DataError> {
        let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let remarks = Remarks::default();
        let found = Mutex::new(Vec::with_capacity(names.len()));
        thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(names.len()) {
                scope.spawn(|| {
                    while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed))
                        && let Some(name) = names.get(at)
                        && !is_over.load(Ordering::Relaxed)
                    {
                        let local = self.find(name, &remarks);
                        is_over.fetch_or(local.is_err(), Ordering::Relaxed);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.push((at, local));
                    }
                });
            }
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_unstable_by_key(|(at, _)| *at);
        remarks.tell(self.listener);
        found.into_iter().map(|(_, local)| local).collect()
    }

    pub(crate) fn one(&self, name: &str) -> Result<Local, DataError> {
        let remarks = Remarks::default();
        let local = self.find(name, &remarks);
        remarks.tell(self.listener);
        local
    }

    fn find(&self, name: &str, remarks: &Remarks) -> Result<Local, DataError> {
        if is_remote(name) {
            return self.remote(name, remarks);
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
        let make = |copy: &Path, room: Room<'_>| self.unpack(&path, copy, name, room);
        self.copy(name.to_owned(), &identity, true, make)
    }

    fn folder(&self) -> Result<PathBuf, DataError> {
        self.copies.folder.map_or_else(|| cache_dir("shards"), |dir| Ok(dir.to_owned()))
    }

    /// The copy of a file, which `make` makes unless it exists; one without a version is made anew. Its path has an extension for the
    /// downloaded part (`part`), the unpacked part (`unpacked`), the reason for a missing end (`damaged`), and the lock file (`lock`).
    fn copy(
        &self,
        name: String,
        identity: &str,
        is_versioned: bool,
        make: impl FnOnce(&Path, Room<'_>) -> Result<(), DataError>,
    ) -> Result<Local, DataError> {
        let folder = self.folder()?;
        fs::create_dir_all(&folder).map_err(|source| no_room(&folder, source))?;
        let key = key_of(identity);
        let path = folder.join(&key);
        let room = Room::new(&folder, self.copies.most);
        room.hold(&key);
        let is_there = || is_versioned && path.is_file();
        if !is_there() {
            let _lock = lock(&path.with_extension("lock"))?;
            if !is_there() {
                make(&path, room)?;
            }
        }
        Ok(used(name, path))
    }

    #[cfg(feature = "remote")]
    fn remote(&self, name: &str, remarks: &Remarks) -> Result<Local, DataError> {
        use self::remote::{Failed, Object};

        let wrong = |problem: String| DataError::format(name, problem);
        let address = identity::Address::of(name).map_err(wrong)?;
        let shown = Shown(name).to_string();
        let latest = self.folder()?.join(key_of(&address.identity())).with_extension("latest");
        let key = fs::read_to_string(&latest).ok().filter(|key| room::is_key(key));
        let known =
            key.as_ref().map(|key| latest.with_file_name(key)).filter(|copy| copy.is_file());
        let why = known.is_some().then(|| remarks.why(address.host())).flatten();
        let found = match why {
            Some(why) => Err(Failed::Unreachable(why)),
            None => Object::find(&address, known.is_some()),
        };
        let object = match (found, known) {
            (Ok(object), _) => object,
            (Err(Failed::Unreachable(why)), Some(copy)) => {
                Room::new(&self.folder()?, self.copies.most).hold(&key.unwrap_or_default());
                remarks.add_lost(address.host(), &shown, why);
                return Ok(used(shown, copy));
            }
            (Err(Failed::Unreachable(why) | Failed::Refused(why)), _) => return Err(wrong(why)),
        };
        let make = |copy: &Path, room: Room<'_>| {
            let part = copy.with_extension("part");
            object.fetch(&part, &shown, room, self.listener)?;
            let failed = |source| DataError::io(&part, source);
            if unpack::Packing::of(&part).map_err(failed)?.is_none() {
                return fs::rename(&part, copy).map_err(failed);
            }
            self.unpack(&part, copy, &shown, room)?;
            fs::remove_file(&part).map_err(failed)
        };
        let local = self.copy(shown.clone(), &object.identity, object.is_versioned, make)?;
        if !object.is_versioned {
            remarks.add_unversioned(&shown);
        }
        let now = local.path.file_name().and_then(|key| key.to_str()).map(str::to_owned);
        if now != key {
            // Without it the copy is found while the server answers.
            let _ = fs::write(&latest, now.unwrap_or_default());
        }
        Ok(local)
    }

    #[cfg(not(feature = "remote"))]
    #[expect(clippy::unused_self, reason = "with the feature it's used")]
    fn remote(&self, name: &str, _: &Remarks) -> Result<Local, DataError> {
        let problem = "this program was built without the feature \"remote\"; fetch the file first";
        Err(DataError::format(name, problem))
    }

    /// Unpacks a file into a copy.
    fn unpack(
        &self,
        packed: &Path,
        copy: &Path,
        name: &str,
        room: Room<'_>,
    ) -> Result<(), DataError> {
        let size = fs::metadata(packed).map_err(|source| DataError::io(packed, source))?.len();
        (self.listener)(Progress::Begins(name, size));
        let (unpacked, damaged) = (copy.with_extension("unpacked"), copy.with_extension("damaged"));
        let _ = fs::remove_file(&damaged);
        let report = |bytes| (self.listener)(Progress::Bytes(bytes));
        let done = unpack::unpack(packed, &unpacked, &|bytes| room.take(bytes), &report);
        if !matches!(done, Ok(()) | Err(unpack::Error::Damaged(_))) {
            let _ = fs::remove_file(&unpacked);
        }
        match done {
            Ok(()) => {}
            Err(unpack::Error::Stopped) => return Err(DataError::Stopped(name.to_owned())),
            Err(unpack::Error::Read(source)) => return Err(DataError::io(packed, source)),
            Err(unpack::Error::Write(source)) => return Err(no_room(&unpacked, source)),
            Err(unpack::Error::Refused(problem)) => return Err(DataError::format(name, problem)),
            // The intact beginning is used, as of a shard that isn't compressed.
            Err(unpack::Error::Damaged(why)) => {
                fs::write(&damaged, why).map_err(|source| no_room(&damaged, source))?;
            }
        }
        fs::rename(&unpacked, copy).map_err(|source| DataError::io(copy, source))
    }
}

/// A copy, marked as used now, by the time of its lock file. The copy's own is that of its making.
fn used(name: String, path: PathBuf) -> Local {
    // In a folder of another user it can't be marked.
    let mark = File::options().append(true).create(true).open(path.with_extension("lock"));
    let _ = mark.and_then(|mark| mark.set_modified(SystemTime::now()));
    let damage = fs::read_to_string(path.with_extension("damaged")).ok();
    Local { name, path, damage }
}

/// The name of a copy of what has this identity.
fn key_of(identity: &str) -> String {
    blake3::hash(identity.as_bytes()).to_hex()[..32].to_owned()
}

/// What is said in one line, of however many files.
#[derive(Default)]
struct Remarks {
    /// Hosts that can't be reached, the names of their files, and the reasons.
    lost: Mutex<Vec<(String, String, String)>>,
    /// Files without a version.
    unversioned: Mutex<Vec<String>>,
}

impl Remarks {
    /// Why a host can't be reached, if it's known.
    #[cfg(feature = "remote")]
    fn why(&self, host: &str) -> Option<String> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.iter().find(|(known, ..)| known == host).map(|(.., why)| why.clone())
    }

    #[cfg(feature = "remote")]
    fn add_lost(&self, host: &str, name: &str, why: String) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.push((host.to_owned(), name.to_owned(), why));
    }

    #[cfg(feature = "remote")]
    fn add_unversioned(&self, name: &str) {
        let mut unversioned = self.unversioned.lock().unwrap_or_else(PoisonError::into_inner);
        unversioned.push(name.to_owned());
    }

    fn tell(self, listener: Listener<'_>) {
        let lost = self.lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unversioned = self.unversioned.into_inner().unwrap_or_else(PoisonError::into_inner);
        let others = |all: usize| match all - 1 {
            0 => String::new(),
            more => format!(", and so are those of {more} more"),
        };
        if let Some((_, name, why)) = lost.first() {
            listener(Progress::Note(&format!(
                "note: {name} can't be reached ({why}); its copy in the cache is used{}",
                others(lost.len())
            )));
        }
        if let Some(name) = unversioned.first() {
            let more = if unversioned.len() > 1 { " and other files" } else { "" };
            listener(Progress::Note(&format!(
                "note: the server gives no version (ETag or Last-Modified) of {name}{more}: fetched anew at every start"
            )));
        }
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
