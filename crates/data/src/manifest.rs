//! A list of a folder's files with their lengths and BLAKE3 hashes, by which a copy can be verified.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use clove::weights::write_file;

use crate::DataError;
use crate::run::{Entry, MANIFEST};

/// Writes `manifest.json` into `folder`: its files without subfolders, in the format of a training run's checkpoints.
///
/// # Errors
/// When a file can't be read or has a name that isn't UTF-8, and when the list can't be written.
pub fn write_manifest(folder: &Path) -> Result<(), DataError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DataError::io(path, source)
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| failed(&path)(io::Error::other("its name isn't UTF-8")))?;
        if path.is_file() && name != MANIFEST {
            let entry = File::open(&path).and_then(Entry::of).map_err(failed(&path))?;
            files.insert(name.to_owned(), entry);
        }
    }
    let path = folder.join(MANIFEST);
    let text = serde_json::to_string_pretty(&BTreeMap::from([("files", files)]))
        .map_err(|error| DataError::parse(&path, error))?;
    write_file(&path, text + "\n").map_err(|error| failed(&path)(io::Error::other(error.problem)))
}
