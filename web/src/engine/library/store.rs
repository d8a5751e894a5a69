//! The browser's storage (origin private file system): a folder per model in `models`, each with a record of its files.

use js_sys::AsyncIterator;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemRemoveOptions,
    FileSystemSyncAccessHandle, StorageEstimate, StorageManager,
};

use crate::engine::{FULL, Failure, checked, worker};
use crate::hub::{Remote, folder};
use crate::percent::decode;
use crate::protocol::{Kept, KeptModel};

/// The folder of all models.
const MODELS: &str = "models";
/// A model's record.
const RECORD: &str = "record.json";

/// The files of a model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Record {
    /// The place's name.
    pub place: String,
    /// The model's files.
    pub files: Vec<Remote>,
    /// Names of the complete files.
    pub whole: Vec<String>,
    /// The incomplete file and its server's tag, to resume with the same version.
    pub tag: Option<(String, String)>,
}

impl Record {
    /// Whether all files are complete.
    pub fn is_complete(&self) -> bool {
        let mut names = self.files.iter().map(|file| &file.name);
        !self.files.is_empty() && names.all(|name| self.whole.contains(name))
    }
}

async fn got<T: JsCast>(promise: js_sys::Promise) -> Result<T, Failure> {
    Ok(checked(JsFuture::from(promise).await)?.unchecked_into())
}

fn storage() -> Result<StorageManager, Failure> {
    let storage = worker::scope().navigator().storage();
    // Absent on insecure origins.
    if storage.is_undefined() {
        return Err("this browser can't store files here: the page needs HTTPS".into());
    }
    Ok(storage)
}

/// Bytes in use, and the quota.
pub async fn estimate() -> Result<(f64, f64), Failure> {
    let estimate: StorageEstimate = got(checked(storage()?.estimate())?).await?;
    Ok((estimate.get_usage().unwrap_or(0.0), estimate.get_quota().unwrap_or(f64::INFINITY)))
}

async fn models() -> Result<FileSystemDirectoryHandle, Failure> {
    let root: FileSystemDirectoryHandle = got(storage()?.get_directory()).await?;
    sub_folder(&root, MODELS, true).await
}

async fn sub_folder(
    of: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<FileSystemDirectoryHandle, Failure> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(create);
    got(of.get_directory_handle_with_options(name, &options)).await
}

/// A model's folder.
#[derive(Debug)]
pub struct Shelf(FileSystemDirectoryHandle);

impl Shelf {
    /// Opens a place's folder; with `create`, makes it if necessary.
    pub async fn open(place: &str, create: bool) -> Result<Self, Failure> {
        sub_folder(&models().await?, &folder(place), create).await.map(Self)
    }

    async fn handle(&self, name: &str, create: bool) -> Result<FileSystemFileHandle, Failure> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        got(self.0.get_file_handle_with_options(name, &options)).await
    }

    async fn file(&self, name: &str) -> Result<File, Failure> {
        got(self.handle(name, false).await?.get_file()).await
    }

    /// The record; empty if missing or unreadable.
    pub async fn record(&self) -> Record {
        let text = async {
            let text: js_sys::JsString = got(self.file(RECORD).await?.text()).await?;
            Ok::<_, Failure>(String::from(text))
        };
        let text = text.await.unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub async fn keep_record(&self, record: &Record) -> Result<(), Failure> {
        let text = serde_json::to_string(record)?;
        let file = self.write(RECORD).await?;
        file.truncate(0)?;
        file.append(0, text.as_bytes())?;
        file.flush()
    }

    /// Opens a file for writing.
    pub async fn write(&self, name: &str) -> Result<Writing, Failure> {
        got(self.handle(name, true).await?.create_sync_access_handle()).await.map(Writing)
    }

    /// The model's files, for reading.
    pub async fn files(&self, record: &Record) -> Result<Vec<(String, File)>, Failure> {
        let mut files = Vec::with_capacity(record.files.len());
        for Remote { name, .. } in &record.files {
            let file = self.file(name).await.map_err(|why| format!("{name}: {}", why.0))?;
            files.push((name.clone(), file));
        }
        Ok(files)
    }
}

/// A file open for writing, exclusively; dropping closes it.
#[derive(Debug)]
pub struct Writing(FileSystemSyncAccessHandle);

impl Writing {
    pub fn size(&self) -> Result<u64, Failure> {
        Ok(checked(self.0.get_size())? as u64)
    }

    /// Truncates it.
    pub fn truncate(&self, size: u64) -> Result<(), Failure> {
        checked(self.0.truncate_with_f64(size as f64))
    }

    /// Writes at an offset.
    pub fn append(&self, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        let options = FileSystemReadWriteOptions::new();
        options.set_at_f64(at as f64);
        let written = checked(self.0.write_with_u8_array_and_options(bytes, &options))?;
        // Chromium reports bytes beyond the quota as written.
        if (written as usize) < bytes.len() || self.size()? < at + bytes.len() as u64 {
            return Err(FULL.into());
        }
        Ok(())
    }

    /// Reads from an offset; returns the number of bytes.
    pub fn read(&self, at: u64, bytes: &mut [u8]) -> Result<usize, Failure> {
        let options = FileSystemReadWriteOptions::new();
        options.set_at_f64(at as f64);
        Ok(checked(self.0.read_with_u8_array_and_options(bytes, &options))? as usize)
    }

    /// Flushes it to disk.
    pub fn flush(&self) -> Result<(), Failure> {
        checked(self.0.flush())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// All stored models.
pub async fn kept() -> Result<Kept, Failure> {
    let (usage, quota) = estimate().await?;
    let mut kept = Vec::new();
    for name in names().await? {
        let Ok(shelf) = sub_folder(&models().await?, &name, false).await.map(Shelf) else {
            continue;
        };
        let mut record = shelf.record().await;
        if record.place.is_empty() {
            // There was no room for its record.
            record.place = decode(&name);
        }
        let mut bytes = 0;
        for Remote { name, .. } in &record.files {
            bytes += shelf.file(name).await.map_or(0, |file| file.size() as u64);
        }
        kept.push(KeptModel {
            complete: record.is_complete(),
            total: match record.files.as_slice() {
                [] => None,
                files => files.iter().map(|file| file.size).sum(),
            },
            place: record.place,
            bytes,
        });
    }
    kept.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(Kept { models: kept, usage, quota: quota.is_finite().then_some(quota) })
}

async fn names() -> Result<Vec<String>, Failure> {
    let all: AsyncIterator = models().await?.keys();
    let mut names = Vec::new();
    loop {
        let next: js_sys::IteratorNext = got(checked(all.next())?).await?;
        if next.done() {
            return Ok(names);
        }
        names.extend(next.value().as_string());
    }
}

/// Removes a place's folder.
pub async fn forget(place: &str) -> Result<(), Failure> {
    let options = FileSystemRemoveOptions::new();
    options.set_recursive(true);
    let removed = models().await?.remove_entry_with_options(&folder(place), &options);
    checked(JsFuture::from(removed).await).map(drop)
}
