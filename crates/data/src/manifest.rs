//! A list of a folder's files with their lengths and BLAKE3 hashes, so that whoever copies them knows whether they came whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use clove::weights::AtomicFile;
use serde::Serialize;

use crate::DataError;

/// The list's name, and what stands under `files` in it, are those of a training run's checkpoints.
const NAME: &str = "manifest.json";

#[derive(Debug, Serialize)]
struct Manifest {
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    bytes: u64,
    blake3: String,
}

/// Writes `manifest.json` into `folder`: `{"files": {name: {"bytes", "blake3"}}}` of the files there, without those of folders.
///
/// # Errors
/// When a file can't be read, has a name that isn't UTF-8, or the list can't be written.
pub fn write_manifest(folder: &Path) -> Result<(), DataError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DataError::Io { path, source }
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| failed(&path)(io::Error::other("its name isn't UTF-8")))?;
        if !path.is_file() || name == NAME {
            continue;
        }
        let mut hasher = blake3::Hasher::new();
        let file = File::open(&path).map_err(failed(&path))?;
        hasher.update_reader(file).map_err(failed(&path))?;
        let entry = Entry { bytes: hasher.count(), blake3: hasher.finalize().to_hex().to_string() };
        files.insert(name.to_owned(), entry);
    }
    let path = folder.join(NAME);
    let text = serde_json::to_string_pretty(&Manifest { files })
        .map_err(|source| DataError::Json { path: path.clone(), source })?;
    let write = || {
        let mut file = AtomicFile::create(&path).map_err(io::Error::other)?;
        writeln!(file, "{text}")?;
        file.commit().map_err(io::Error::other)
    };
    write().map_err(failed(&path))
}
