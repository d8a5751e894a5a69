//! The browser's storage (its origin private file system): a folder of `models` for each place, with a record of what belongs
//! there and what of it is whole.

use js_sys::{AsyncIterator, Reflect};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemRemoveOptions,
    FileSystemSyncAccessHandle, StorageEstimate, StorageManager,
};

use crate::engine::{Failure, worker};
use crate::hub::{Remote, folder, unfolder};
use crate::protocol::{Kept, KeptModel};

/// The folder of all models.
const MODELS: &str = "models";
/// A place's record.
const RECORD: &str = "record.json";

/// What belongs to a place.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub place: String,
    /// The model's files.
    pub files: Vec<Remote>,
    /// Names of those that are whole.
    pub whole: Vec<String>,
    /// The server's tag of a file that is not whole, so that its rest isn't another version's.
    pub tag: Option<(String, String)>,
}

impl Record {
    /// Whether everything is there.
    pub fn is_complete(&self) -> bool {
        let mut names = self.files.iter().map(|file| &file.name);
        !self.files.is_empty() && names.all(|name| self.whole.contains(name))
    }
}

/// What the browser says went wrong.
pub fn words(error: &JsValue) -> Failure {
    let part = |name: &str| Reflect::get(error, &name.into()).ok()?.as_string();
    let name = part("name").unwrap_or_default();
    match name.as_str() {
        "QuotaExceededError" => FULL.to_owned(),
        "NoModificationAllowedError" => {
            "it's being fetched already, perhaps in another tab".to_owned()
        }
        _ => part("message").unwrap_or_else(|| format!("{error:?}")),
    }
}

/// What a full storage is told as.
pub const FULL: &str = "the browser's storage is full; remove a model that is kept";

async fn got<T: JsCast>(promise: js_sys::Promise) -> Result<T, JsValue> {
    Ok(JsFuture::from(promise).await?.unchecked_into())
}

fn storage() -> Result<StorageManager, JsValue> {
    let storage = worker::scope().navigator().storage();
    // Absent where the page isn't served safely.
    if storage.is_undefined() {
        return Err(js_sys::Error::new(
            "this browser keeps no files here: the page must come by HTTPS",
        )
        .into());
    }
    Ok(storage)
}

/// Bytes in use, and bytes that may be.
pub async fn estimate() -> Result<(f64, f64), Failure> {
    let estimate = async {
        let estimate: StorageEstimate = got(storage()?.estimate()?).await?;
        Ok((estimate.get_usage().unwrap_or(0.0), estimate.get_quota().unwrap_or(f64::INFINITY)))
    };
    estimate.await.map_err(|error: JsValue| words(&error))
}

async fn models() -> Result<FileSystemDirectoryHandle, JsValue> {
    let root: FileSystemDirectoryHandle = got(storage()?.get_directory()).await?;
    sub_folder(&root, MODELS, true).await
}

async fn sub_folder(
    of: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<FileSystemDirectoryHandle, JsValue> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(create);
    got(of.get_directory_handle_with_options(name, &options)).await
}

/// A place's folder.
#[derive(Debug)]
pub struct Shelf(FileSystemDirectoryHandle);

impl Shelf {
    /// Opens a place's folder; makes it where asked to.
    pub async fn open(place: &str, create: bool) -> Result<Self, Failure> {
        let opened = async { sub_folder(&models().await?, &folder(place), create).await };
        opened.await.map(Self).map_err(|error| words(&error))
    }

    async fn handle(&self, name: &str, create: bool) -> Result<FileSystemFileHandle, JsValue> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        got(self.0.get_file_handle_with_options(name, &options)).await
    }

    /// The record; an empty one where there's none.
    pub async fn record(&self) -> Record {
        let text = async {
            let file: File = got(self.handle(RECORD, false).await?.get_file()).await?;
            let text: js_sys::JsString = got(file.text()).await?;
            Ok::<_, JsValue>(String::from(text))
        };
        let text = text.await.unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes the record.
    pub async fn keep_record(&self, record: &Record) -> Result<(), Failure> {
        let text = serde_json::to_string(record).map_err(|error| error.to_string())?;
        let file = self.write(RECORD).await?;
        file.truncate(0)?;
        file.append(0, text.as_bytes())?;
        file.flush()
    }

    /// Opens a file to be written.
    pub async fn write(&self, name: &str) -> Result<Writing, Failure> {
        let opened =
            async { got(self.handle(name, true).await?.create_sync_access_handle()).await };
        opened.await.map(Writing).map_err(|error| words(&error))
    }

    /// The model's files, to be read.
    pub async fn files(&self, record: &Record) -> Result<Vec<(String, File)>, Failure> {
        let mut files = Vec::with_capacity(record.files.len());
        for Remote { name, .. } in &record.files {
            let file = async { got(self.handle(name, false).await?.get_file()).await };
            let file = file.await.map_err(|error| format!("{name}: {}", words(&error)))?;
            files.push((name.clone(), file));
        }
        Ok(files)
    }
}

/// A file that is being written, by nobody else meanwhile; closed when it's dropped.
#[derive(Debug)]
pub struct Writing(FileSystemSyncAccessHandle);

impl Writing {
    /// How long it is.
    pub fn size(&self) -> Result<u64, Failure> {
        let size = self.0.get_size().map_err(|error| words(&error))?;
        Ok(size as u64)
    }

    /// Cuts it.
    pub fn truncate(&self, size: u64) -> Result<(), Failure> {
        self.0.truncate_with_f64(size as f64).map_err(|error| words(&error))
    }

    /// Writes at a place.
    pub fn append(&self, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        let options = FileSystemReadWriteOptions::new();
        options.set_at_f64(at as f64);
        let written = self
            .0
            .write_with_u8_array_and_options(bytes, &options)
            .map_err(|error| words(&error))?;
        // Chromium drops what exceeds the quota, and says that it was written.
        if (written as usize) < bytes.len() || self.size()? < at + bytes.len() as u64 {
            return Err(FULL.to_owned());
        }
        Ok(())
    }

    /// Reads from a place; gives how much.
    pub fn read(&self, at: u64, bytes: &mut [u8]) -> Result<usize, Failure> {
        let options = FileSystemReadWriteOptions::new();
        options.set_at_f64(at as f64);
        let read = self
            .0
            .read_with_u8_array_and_options(bytes, &options)
            .map_err(|error| words(&error))?;
        Ok(read as usize)
    }

    /// Sees to it that it's on the disk.
    pub fn flush(&self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| words(&error))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Everything that is kept.
pub async fn kept() -> Result<Kept, Failure> {
    let (usage, quota) = estimate().await?;
    let mut kept = Vec::new();
    for name in names().await.map_err(|error| words(&error))? {
        let shelf = async { sub_folder(&models().await?, &name, false).await };
        let Ok(shelf) = shelf.await.map(Shelf) else {
            continue;
        };
        let mut record = shelf.record().await;
        if record.place.is_empty() {
            // There was no room for its record.
            record.place = unfolder(&name);
        }
        let mut bytes = 0;
        for Remote { name, .. } in &record.files {
            let file = async { got::<File>(shelf.handle(name, false).await?.get_file()).await };
            bytes += file.await.map_or(0, |file| file.size() as u64);
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

async fn names() -> Result<Vec<String>, JsValue> {
    let all: AsyncIterator = models().await?.keys();
    let mut names = Vec::new();
    loop {
        let next: js_sys::IteratorNext = got(all.next()?).await?;
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
    let removed = async {
        let models = models().await?;
        JsFuture::from(models.remove_entry_with_options(&folder(place), &options)).await
    };
    removed.await.map(drop).map_err(|error| words(&error))
}
