//! Checkpoints: written completely or not at all, and verified before use. Called by [`super::RunFolder`].
//!
//! Names that begin with a dot are no checkpoints: `.step-N.PID.partial` is being written, `.step-N.replaced` replaced, `.deleted` deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use clove::weights::durable;
use serde::{Deserialize, Serialize};

use super::RunError;
use super::files::{self, failed, names};

/// The file that lists the others.
pub(crate) const MANIFEST: &str = "manifest.json";

/// A verified checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Steps taken when it was saved.
    pub step: usize,
    /// Its folder.
    pub dir: PathBuf,
}

/// The newest intact checkpoint.
#[derive(Debug, Default)]
pub struct Latest {
    /// `None` where no checkpoint is intact.
    pub checkpoint: Option<Checkpoint>,
    /// The folders of newer, damaged ones, each with the file at fault and the damage; the newest first.
    pub damaged: Vec<(PathBuf, String)>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    step: usize,
    /// By path within the checkpoint, with `/` between folders.
    files: BTreeMap<String, Entry>,
}

/// A file in a manifest.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    bytes: u64,
    blake3: String,
}

impl Manifest {
    fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("numbers and strings are always JSON");
        text + "\n"
    }
}

impl Checkpoint {
    /// Opens the folder `step-N` and compares the length and the BLAKE3 hash of every file in its manifest. Other files are ignored.
    ///
    /// # Errors
    /// [`RunError::Damaged`] with the file and the damage; [`RunError::Io`] when a file can't be read.
    pub fn open(dir: &Path) -> Result<Self, RunError> {
        Self::check(dir, true)
    }

    /// [`Self::open`], or without `hashes` the same for the lengths alone.
    fn check(dir: &Path, hashes: bool) -> Result<Self, RunError> {
        let path = dir.join(MANIFEST);
        let bytes = read_or_damaged(&path, || fs::read(&path))?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| damaged(&path, format!("not a manifest of a checkpoint ({error})")))?;
        // Reading alone would let a repeated or an unknown key pass.
        if manifest.to_text().as_bytes() != bytes {
            return Err(damaged(&path, "changed after it was written"));
        }
        let absolute = std::path::absolute(dir).map_err(failed(dir))?;
        let found = absolute.file_name().unwrap_or_default().to_string_lossy();
        if name_of_replaced(&found).unwrap_or(&found) != folder_name(manifest.step) {
            let (step, name) = (manifest.step, folder_name(manifest.step));
            return Err(damaged(
                &path,
                format!("is of step {step}; its folder must be named {name}"),
            ));
        }
        if manifest.files.is_empty() {
            return Err(damaged(&path, "lists no files"));
        }
        for (name, entry) in &manifest.files {
            if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(damaged(&path, format!("lists {name:?}, which is outside the folder")));
            }
            let file = dir.join(name);
            let bytes = read_or_damaged(&file, || length(&File::open(&file)?))?;
            if bytes != entry.bytes {
                let reason = format!("has {bytes} bytes, {} were written", entry.bytes);
                return Err(damaged(&file, reason));
            }
            if !hashes {
                continue;
            }
            let found = read_or_damaged(&file, || Entry::of(File::open(&file)?))?;
            if found.blake3 != entry.blake3 {
                let (found, written) = (found.blake3, &entry.blake3);
                let reason = format!("its bytes changed (BLAKE3 {found}, in {MANIFEST} {written})");
                return Err(damaged(&file, reason));
            }
        }
        Ok(Self { step: manifest.step, dir: dir.to_owned() })
    }
}

impl Entry {
    pub(crate) fn of(file: File) -> io::Result<Self> {
        length(&file)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        Ok(Self { bytes: hasher.count(), blake3: hasher.finalize().to_hex().to_string() })
    }
}

/// The length of a file, which must be one.
fn length(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err(io::ErrorKind::IsADirectory.into()) }
}

pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> RunError {
    RunError::Damaged { path: path.to_owned(), reason: reason.into() }
}

/// A missing file is damage. A file that can't be read (permissions, a failing disk) is no reason to go back to an older checkpoint.
fn read_or_damaged<T>(path: &Path, read: impl FnOnce() -> io::Result<T>) -> Result<T, RunError> {
    read().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => damaged(path, "is missing"),
        io::ErrorKind::IsADirectory => damaged(path, "is not a file"),
        _ => failed(path)(error),
    })
}

fn folder_name(step: usize) -> String {
    format!("step-{step}")
}

/// The name of the checkpoint that a process was replacing.
fn name_of_replaced(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".replaced").filter(|rest| rest.starts_with("step-"))
}

/// The step of a folder with exactly the name of a checkpoint.
fn step_of(name: &str) -> Option<usize> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}

/// Steps of the checkpoints in `root`, the latest first.
fn steps(root: &Path) -> Result<Vec<usize>, RunError> {
    let mut steps: Vec<_> = names(root)?.iter().filter_map(|name| step_of(name)).collect();
    steps.sort_unstable_by(|a, b| b.cmp(a));
    Ok(steps)
}

pub(super) fn latest(root: &Path) -> Result<Latest, RunError> {
    let mut damaged = Vec::new();
    for step in steps(root)? {
        let dir = root.join(folder_name(step));
        match Checkpoint::open(&dir) {
            Ok(checkpoint) => return Ok(Latest { checkpoint: Some(checkpoint), damaged }),
            Err(RunError::Damaged { path, reason }) => {
                damaged.push((dir, format!("{}: {reason}", path.display())));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Latest { checkpoint: None, damaged })
}

/// [`latest`] before [`recover`], which puts a checkpoint back whose replacement was killed.
pub(super) fn look(root: &Path) -> Result<Latest, RunError> {
    let found = latest(root)?;
    if found.checkpoint.is_none() {
        for name in names(root)?.iter().filter(|name| name_of_replaced(name).is_some()) {
            if let Ok(checkpoint) = Checkpoint::open(&root.join(name)) {
                return Ok(Latest { checkpoint: Some(checkpoint), ..Latest::default() });
            }
        }
    }
    Ok(found)
}

/// `whole` has the steps of the checkpoints whose hashes this process has compared or written.
pub(super) fn save<E: Into<Box<dyn Error + Send + Sync>>>(
    root: &Path,
    step: usize,
    keep: usize,
    whole: &mut BTreeSet<usize>,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<Checkpoint, RunError> {
    let partial = root.join(files::partial_name(&folder_name(step)));
    let dir = root.join(folder_name(step));
    durable::remove(&partial)?;
    let saved = fill(&partial, step, write)
        .and_then(|()| durable::publish(&partial, &dir).map_err(RunError::from));
    if saved.is_err() {
        // The first error is the one to report.
        let _ = durable::remove(&partial);
    }
    saved?;
    whole.insert(step);
    prune(root, step, keep, whole)?;
    Ok(Checkpoint { step, dir })
}

/// Lets the caller write its files, and lists them.
fn fill<E: Into<Box<dyn Error + Send + Sync>>>(
    partial: &Path,
    step: usize,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), RunError> {
    fs::create_dir(partial).map_err(failed(partial))?;
    write(partial).map_err(|source| RunError::NotSaved { step, source: source.into() })?;
    let mut manifest = Manifest { step, files: BTreeMap::new() };
    list(partial, "", &mut manifest.files)?;
    if manifest.files.is_empty() {
        let problem = "no file was written; a checkpoint holds at least one";
        return Err(RunError::refused(partial, problem));
    }
    let path = partial.join(MANIFEST);
    fs::write(&path, manifest.to_text()).map_err(failed(&path))
}

/// Lists the files of a folder and its subfolders.
fn list(folder: &Path, prefix: &str, listed: &mut BTreeMap<String, Entry>) -> Result<(), RunError> {
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        let refused = |problem: &str| Err(RunError::refused(&path, problem));
        let Ok(name) = entry.file_name().into_string() else {
            return refused("names in a checkpoint must be UTF-8");
        };
        let name = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_dir() {
            list(&path, &format!("{name}/"), listed)?;
        } else if !kind.is_file() {
            // The target of a link can change after it was listed.
            return refused("a checkpoint holds files and folders only, no links");
        } else if name == MANIFEST {
            return refused("this name is reserved for the list of files");
        } else {
            let entry = File::open(&path).and_then(Entry::of).map_err(failed(&path))?;
            listed.insert(name, entry);
        }
    }
    Ok(())
}

/// Removes a folder so that a kill halfway leaves nothing that looks like a checkpoint.
fn discard(root: &Path, path: &Path) -> Result<(), RunError> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let deleted = root.join(format!(".{}.deleted", name.trim_start_matches('.')));
    durable::remove(&deleted)?;
    files::rename(path, &deleted)?;
    durable::sync_folder(root)?;
    Ok(durable::remove(&deleted)?)
}

/// Keeps the checkpoint of `step`, which was just saved, and the whole ones before it, `keep` in all. Damaged ones don't count.
///
/// Later ones stay: a resumed run went back because they're damaged, and replaces them when it gets there.
fn prune(
    root: &Path,
    step: usize,
    keep: usize,
    whole: &mut BTreeSet<usize>,
) -> Result<(), RunError> {
    let mut kept = 1;
    for old in steps(root)?.into_iter().filter(|found| *found < step) {
        let dir = root.join(folder_name(old));
        if kept >= keep {
            discard(root, &dir)?;
            continue;
        }
        // Comparing all hashes at each save would take longer than the save.
        match Checkpoint::check(&dir, !whole.contains(&old)) {
            Ok(_) => {
                whole.insert(old);
                kept += 1;
            }
            Err(RunError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Clears up after a process that was killed. Called under the run's lock.
pub(super) fn recover(root: &Path) -> Result<(), RunError> {
    for name in names(root)? {
        let path = root.join(&name);
        if name.starts_with(".step-") && (name.ends_with(".partial") || name.ends_with(".deleted"))
        {
            durable::remove(&path)?;
        } else if let Some(target) = name_of_replaced(&name) {
            let target = root.join(target);
            match Checkpoint::open(&target) {
                Ok(_) => discard(root, &path)?,
                Err(RunError::Damaged { .. }) => {
                    discard(root, &target)?;
                    files::rename(&path, &target)?;
                    durable::sync_folder(root)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
