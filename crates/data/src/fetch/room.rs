//! The room that copies take. They stay until room is needed; then the least recently used ones go first.
//!
//! A process lists the copies that it uses beside a file that it keeps locked until it ends, so that no other process removes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Bytes of the disk that stay free where no size is given.
const FREE: u64 = 1 << 30;

/// Extensions of a copy's files.
const PARTS: [&str; 4] = ["", "part", "unpacked", "damaged"];
/// The extension of the file whose time says when a copy was last used.
const MARK: &str = "lock";
/// Extensions of a process's files: the locked one, and the list.
const LOCKED: &str = "using";
const LIST: &str = "uses";

/// The copies that this process uses, by folder.
static HELD: Mutex<BTreeMap<PathBuf, Held>> = Mutex::new(BTreeMap::new());

#[derive(Default)]
struct Held {
    keys: BTreeSet<String>,
    /// The list, and the file that is locked while this process runs.
    list: Option<(File, File)>,
    /// Bytes of all copies when they were last counted, with those that this process has added since.
    taken: Option<u64>,
}

/// The room of a folder of copies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room<'a> {
    folder: &'a Path,
    most: Option<u64>,
}

impl<'a> Room<'a> {
    /// `most` bytes, or else as many as leave a GiB of the disk free.
    pub(super) fn new(folder: &'a Path, most: Option<u64>) -> Self {
        Self { folder, most }
    }

    /// Keeps a copy from being removed until this process ends.
    pub(super) fn hold(&self, key: &str) {
        let mut all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(self.folder.to_owned()).or_default();
        if !held.keys.insert(key.to_owned()) {
            return;
        }
        let _door = self.door();
        // From a folder that can't be written, nothing is removed either.
        if held.list.is_none() {
            held.list = self.list().ok();
        }
        if let Some((list, _)) = &mut held.list {
            let _ = writeln!(list, "{key}");
        }
    }

    /// Makes room for this number of bytes more.
    pub(super) fn take(&self, bytes: u64) -> Result<(), String> {
        let mut all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(self.folder.to_owned()).or_default();
        let wrong = |error: io::Error| format!("{}: {error}", self.folder.display());
        if held.taken.is_none() {
            held.taken = Some(sum(&copies(self.folder).map_err(wrong)?));
        }
        let mut lacks = self.lacks(held.taken.unwrap_or(0), bytes);
        if lacks > 0 {
            let _door = self.door();
            let used = self.used(held).map_err(wrong)?;
            let found = copies(self.folder).map_err(wrong)?;
            let mut taken = sum(&found);
            lacks = self.lacks(taken, bytes);
            let mut idle: Vec<_> = found.iter().filter(|(key, _)| !used.contains(*key)).collect();
            idle.sort_by_key(|(_, copy)| copy.last);
            for (key, copy) in idle {
                if lacks == 0 {
                    break;
                }
                remove(self.folder, key).map_err(wrong)?;
                taken = taken.saturating_sub(copy.bytes);
                lacks = lacks.saturating_sub(copy.bytes);
            }
            held.taken = Some(taken);
            if lacks > 0 {
                return Err(self.full(taken));
            }
        }
        held.taken = held.taken.map(|taken| taken.saturating_add(bytes));
        Ok(())
    }

    /// Bytes that must go before others come.
    fn lacks(&self, taken: u64, bytes: u64) -> u64 {
        match self.most {
            Some(most) => taken.saturating_add(bytes).saturating_sub(most),
            // What this process has asked for and not yet written isn't counted: disks fill while files are fetched anyway.
            None => {
                free(self.folder).map_or(0, |free| bytes.saturating_add(FREE).saturating_sub(free))
            }
        }
    }

    fn full(&self, taken: u64) -> String {
        let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
        let (all, folder) = (gib(taken), self.folder.display());
        match self.most {
            Some(most) => format!(
                "no room for its copy: the copies in {folder} that are in use or needed take {all} of {} (data.cache_size); allow more",
                gib(most)
            ),
            None => format!(
                "no room for its copy: the disk of {folder} would have less than 1 GiB free; set data.cache to a folder with more space"
            ),
        }
    }

    /// The copies that are used, by this process or by another.
    fn used(&self, held: &Held) -> io::Result<BTreeSet<String>> {
        let mut used = held.keys.clone();
        for entry in fs::read_dir(self.folder)? {
            let locked = entry?.path();
            if locked.extension().is_none_or(|end| end != LOCKED) {
                continue;
            }
            let list = locked.with_extension(LIST);
            if File::open(&locked).is_ok_and(|file| file.try_lock().is_ok()) {
                // Its process has ended.
                let _ = fs::remove_file(&list);
                let _ = fs::remove_file(&locked);
            } else {
                let keys = fs::read_to_string(&list).unwrap_or_default();
                used.extend(keys.lines().map(str::to_owned));
            }
        }
        Ok(used)
    }

    /// This process's list, and the file that it locks.
    fn list(&self) -> io::Result<(File, File)> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{}", std::process::id(), now.as_nanos());
        let path = self.folder.join(name).with_extension(LOCKED);
        let locked = File::create(&path)?;
        locked.lock()?;
        Ok((File::create(path.with_extension(LIST))?, locked))
    }

    /// Keeps other processes from looking for copies to remove. On a file system without locks it does nothing.
    fn door(&self) -> Option<File> {
        let path = self.folder.join("room.lock");
        let file = File::create(&path).or_else(|_| File::open(&path)).ok()?;
        file.lock().ok()?;
        Some(file)
    }
}

struct Kept {
    bytes: u64,
    last: SystemTime,
}

/// Whether a name is one of a copy, not of another file in the folder.
pub(super) fn is_key(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The copies in a folder, whole or not, by their keys.
fn copies(folder: &Path) -> io::Result<BTreeMap<String, Kept>> {
    let mut found: BTreeMap<String, Kept> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = PathBuf::from(entry.file_name());
        let key = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_key(stem));
        let end = path.extension().map_or(Some(""), |end| end.to_str());
        // Another process may remove it now.
        let (Some(key), Some(end), Ok(meta)) = (key, end, entry.metadata()) else {
            continue;
        };
        if PARTS.contains(&end) || end == MARK {
            let last = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let copy = found.entry(key.to_owned()).or_insert(Kept { bytes: 0, last });
            copy.bytes += meta.len();
            copy.last = copy.last.max(last);
        }
    }
    Ok(found)
}

fn sum(copies: &BTreeMap<String, Kept>) -> u64 {
    copies.values().map(|copy| copy.bytes).sum()
}

fn remove(folder: &Path, key: &str) -> io::Result<()> {
    for part in PARTS {
        match fs::remove_file(folder.join(key).with_extension(part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Bytes of the disk that are free for this user, where the system says so.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(number: u8) -> String {
        format!("{number:032x}")
    }

    /// Copies of 100 bytes each in a folder, the first used the longest ago.
    fn folder(count: u8) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..count {
            let file = File::create(folder.path().join(key(number))).unwrap();
            file.set_len(100).unwrap();
            let ago = Duration::from_secs(3_600 * u64::from(count - number));
            file.set_modified(SystemTime::now() - ago).unwrap();
        }
        fs::write(folder.path().join("mine.tar"), [0; 1_000]).unwrap();
        folder
    }

    fn left(folder: &Path) -> Vec<u8> {
        (0..10).filter(|number| folder.join(key(*number)).exists()).collect()
    }

    #[test]
    fn the_least_recently_used_copies_go_first_and_those_in_use_stay() {
        let folder = folder(4);
        let room = Room::new(folder.path(), Some(450));
        room.hold(&key(1));
        room.take(50).unwrap();
        assert_eq!(left(folder.path()), [0, 1, 2, 3]);
        room.take(60).unwrap();
        assert_eq!(left(folder.path()), [1, 2, 3]);
        // What was taken is written elsewhere, and counted anew.
        room.take(250).unwrap();
        assert_eq!(left(folder.path()), [1, 3]);
        let error = room.take(351).unwrap_err();
        assert!(error.contains("data.cache_size"), "{error}");
        assert_eq!(left(folder.path()), [1]);
        assert!(folder.path().join("mine.tar").exists());
    }

    #[test]
    fn another_process_keeps_its_copies_until_it_ends() {
        let folder = folder(2);
        // As the other process has them.
        let other = Room::new(folder.path(), None);
        let (mut list, locked) = other.list().unwrap();
        writeln!(list, "{}", key(0)).unwrap();
        let room = Room::new(folder.path(), Some(200));
        room.take(100).unwrap();
        assert_eq!(left(folder.path()), [0]);
        assert!(room.take(200).is_err());
        drop((list, locked));
        room.take(200).unwrap();
        assert!(left(folder.path()).is_empty());
        let names = fs::read_dir(folder.path()).unwrap();
        let ends =
            |name: &PathBuf| name.extension().is_some_and(|end| end == LOCKED || end == LIST);
        assert!(!names.map(|file| file.unwrap().path()).any(|name| ends(&name)));
    }

    #[test]
    fn a_gib_of_the_disk_stays_free() {
        let folder = folder(1);
        let room = Room::new(folder.path(), None);
        room.take(1).unwrap();
        assert_eq!(left(folder.path()), [0]);
        if free(folder.path()).is_some() {
            let error = room.take(u64::MAX >> 1).unwrap_err();
            assert!(error.contains("data.cache"), "{error}");
        }
    }
}
