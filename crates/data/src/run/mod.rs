//! A training run's folder: configuration, metrics and checkpoints. A kill loses only the work after the last checkpoint.
//!
//! ```text
//! run.toml                    the resolved configuration
//! run.lock                    locked while a process works on the run; the step of the last checkpoint
//! metrics.jsonl               Metrics
//! skipped.jsonl               Metrics: samples that can't be used, if any
//! events.out.tfevents.*       EventFile
//! checkpoints/step-N/         the caller's files, and manifest.json: {"step", "files": {name: {"bytes", "blake3"}}}
//! ```
//!
//! To resume, read [`RunFolder::latest_checkpoint`], then open [`Metrics`] and an [`EventFile`] at its step. To save, sync both, then
//! call [`RunFolder::save_checkpoint`], so that no checkpoint is without the metrics of its steps.

mod checkpoint;
mod error;
mod files;
mod metrics;
mod state;
mod tensorboard;

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clove::weights::{durable, write_file};

pub use checkpoint::{Checkpoint, Latest};
pub(crate) use checkpoint::{Entry, MANIFEST};
pub use error::RunError;
pub use metrics::Metrics;
pub use state::{Companions, Position, read_state, write_model_dir, write_state};
pub use tensorboard::EventFile;

const CONFIG: &str = "run.toml";
const LOCK: &str = "run.lock";
const METRICS: &str = "metrics.jsonl";
const SKIPPED: &str = "skipped.jsonl";
const CHECKPOINTS: &str = "checkpoints";

/// A run's folder, locked against other processes for as long as this value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    config_hash: String,
    /// The system unlocks it when the process ends, however it ends.
    lock: File,
    /// Steps of the checkpoints whose hashes this process has compared or written.
    whole: Mutex<BTreeSet<usize>>,
}

impl RunFolder {
    /// Creates the folder `dir`, and those above it, for a new run. Other files in it stay.
    ///
    /// `resolved_config_toml` is the configuration with every default filled in, with which a resumed run is compared.
    ///
    /// # Errors
    /// When `dir` holds a run or is locked, or something can't be written.
    pub fn create(dir: &Path, resolved_config_toml: &str) -> Result<Self, RunError> {
        durable::create_folder(dir)?;
        let lock = lock(dir)?;
        Self::vacant(dir)?;
        write_file(&dir.join(CONFIG), resolved_config_toml)?;
        Self::open(dir, resolved_config_toml, lock)
    }

    /// Refuses a folder that holds a run.
    ///
    /// # Errors
    /// When it does.
    pub fn vacant(dir: &Path) -> Result<(), RunError> {
        // The last two without the first are a run that lost its configuration, not a place for another.
        for found in [CONFIG, METRICS, CHECKPOINTS] {
            if fs::symlink_metadata(dir.join(found)).is_ok() {
                let problem = format!(
                    "already holds a run ({found}); resume it with --resume, or choose another folder"
                );
                return Err(RunError::refused(dir, problem));
            }
        }
        Ok(())
    }

    /// The `run.toml` of a run.
    ///
    /// # Errors
    /// When `dir` holds no run, or the file can't be read.
    pub fn recorded(dir: &Path) -> Result<String, RunError> {
        let path = dir.join(CONFIG);
        if !path.is_file() {
            let problem = "holds no run to resume (no run.toml); omit --resume to start a run, or correct the folder";
            return Err(RunError::refused(dir, problem));
        }
        fs::read_to_string(&path).map_err(files::failed(&path))
    }

    /// The newest intact checkpoint of the run in `dir`, and the newer damaged ones. Changes nothing, not even under another process.
    ///
    /// # Errors
    /// When a file exists and can't be read.
    pub fn look(dir: &Path) -> Result<Latest, RunError> {
        let checkpoints = dir.join(CHECKPOINTS);
        if checkpoints.is_dir() { checkpoint::look(&checkpoints) } else { Ok(Latest::default()) }
    }

    /// The step of the last checkpoint that the run in `dir` has saved, whether it's still there or not. Earlier versions don't say.
    pub fn last_saved(dir: &Path) -> Option<usize> {
        fs::read_to_string(dir.join(LOCK)).ok()?.trim().parse().ok()
    }

    /// Opens the folder of a run that was started with this configuration, and removes the leftovers of a killed process.
    ///
    /// # Errors
    /// When `dir` holds no run, is locked, or has another configuration (the error lists the lines), or a file can't be read or written.
    pub fn resume(dir: &Path, resolved_config_toml: &str) -> Result<Self, RunError> {
        let recorded = Self::recorded(dir)?;
        let lock = lock(dir)?;
        if recorded != resolved_config_toml {
            return Err(RunError::OtherConfiguration {
                path: dir.join(CONFIG),
                recorded: lines_missing_from(resolved_config_toml, &recorded),
                given: lines_missing_from(&recorded, resolved_config_toml),
            });
        }
        Self::open(dir, resolved_config_toml, lock)
    }

    /// [`Self::resume`] with another configuration than the `recorded` one, which it replaces. The caller has compared both.
    ///
    /// # Errors
    /// When `run.toml` isn't `recorded`, or as in [`Self::resume`].
    pub fn resume_as(
        dir: &Path,
        recorded: &str,
        resolved_config_toml: &str,
    ) -> Result<Self, RunError> {
        Self::recorded(dir)?;
        let lock = lock(dir)?;
        let path = dir.join(CONFIG);
        if Self::recorded(dir)? != recorded {
            let problem = "another process changed it just now; run the command again";
            return Err(RunError::refused(&path, problem));
        }
        if recorded != resolved_config_toml {
            write_file(&path, resolved_config_toml)?;
        }
        Self::open(dir, resolved_config_toml, lock)
    }

    fn open(dir: &Path, config: &str, lock: File) -> Result<Self, RunError> {
        let checkpoints = dir.join(CHECKPOINTS);
        durable::create_folder(&checkpoints)?;
        remove_partial_files(dir)?;
        checkpoint::recover(&checkpoints)?;
        let config_hash = hash(config.as_bytes());
        Ok(Self { path: dir.to_owned(), config_hash, lock, whole: Mutex::default() })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of `run.toml`, as 64 hexadecimal digits.
    pub fn config_hash(&self) -> &str {
        &self.config_hash
    }

    /// The file of [`Metrics`].
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// The list of samples that can't be used.
    pub fn skipped_path(&self) -> PathBuf {
        self.path.join(SKIPPED)
    }

    /// Saves a checkpoint of `step` steps: `write` puts its files and folders into an empty folder.
    ///
    /// On return the checkpoint is on the disk under its name, and the last `keep - 1` whole ones of earlier steps are left (0 counts as
    /// 1). One of the same step is replaced. A kill before that leaves the checkpoints as they were.
    ///
    /// # Errors
    /// When `write` fails or breaks a rule (no file, a link, a file `manifest.json`), or the system refuses; the checkpoints of other
    /// steps are kept. An error in removing an old checkpoint comes after the new one is in place.
    pub fn save_checkpoint<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        step: usize,
        keep: usize,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Checkpoint, RunError> {
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = checkpoint::save(&self.path.join(CHECKPOINTS), step, keep, &mut whole, write)?;
        self.note_saved(step).map_err(files::failed(&self.path.join(LOCK)))?;
        Ok(saved)
    }

    fn note_saved(&self, step: usize) -> io::Result<()> {
        let text = format!("{step}\n");
        let mut lock = &self.lock;
        lock.seek(SeekFrom::Start(0))?;
        lock.write_all(text.as_bytes())?;
        lock.set_len(text.len() as u64)
    }

    /// The newest intact checkpoint, and the newer damaged ones.
    ///
    /// # Errors
    /// When a file exists and can't be read, which is no reason to go back to an older checkpoint.
    pub fn latest_checkpoint(&self) -> Result<Latest, RunError> {
        let latest = checkpoint::latest(&self.path.join(CHECKPOINTS))?;
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        whole.extend(latest.checkpoint.as_ref().map(|checkpoint| checkpoint.step));
        Ok(latest)
    }
}

/// BLAKE3 as 64 hexadecimal digits, which identifies a model.
pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn lock(dir: &Path) -> Result<File, RunError> {
    let path = dir.join(LOCK);
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(files::failed(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let problem = "another process is working on this run; wait for it, stop it, or choose another folder";
            Err(RunError::refused(dir, problem))
        }
        Err(TryLockError::Error(error)) => {
            let fix = "choose a folder on a file system that has file locks";
            Err(RunError::refused(&path, format!("can't be locked: {error}; {fix}")))
        }
    }
}

/// Removes the partial files of a killed process.
fn remove_partial_files(dir: &Path) -> Result<(), RunError> {
    for name in files::names(dir)? {
        let is_of = |file: &&str| name.starts_with(&format!(".{file}."));
        if name.ends_with(".partial") && [CONFIG, METRICS, SKIPPED].iter().any(is_of) {
            durable::remove(&dir.join(name))?;
        }
    }
    Ok(())
}

/// Lines of `text` that `other` lacks or has fewer times, each after its table's header: several tables can have `lr = 1`.
fn lines_missing_from(other: &str, text: &str) -> Vec<String> {
    let mut counts = HashMap::new();
    for line in lines_with_tables(other) {
        *counts.entry(line).or_insert(0) += 1;
    }
    let mut missing = lines_with_tables(text);
    missing.retain(|line| match counts.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    missing
}

fn lines_with_tables(text: &str) -> Vec<String> {
    let mut table = "";
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            if line.starts_with('[') && line.ends_with(']') {
                table = line;
                line.to_owned()
            } else {
                format!("{table} {line}").trim_start().to_owned()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
