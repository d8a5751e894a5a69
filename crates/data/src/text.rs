//! Reading text files: UTF-8 or an error that names the line.

use std::fs;
use std::path::Path;

use crate::DataError;

pub(crate) fn read(path: &Path) -> Result<String, DataError> {
    let bytes = fs::read(path).map_err(|source| io(path, source))?;
    decode(bytes, path)
}

pub(crate) fn io(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The text of `bytes` without a byte-order mark; `path` names it in errors.
pub(crate) fn decode(bytes: Vec<u8>, path: &Path) -> Result<String, DataError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let source = error.utf8_error();
        let before = &error.as_bytes()[..source.valid_up_to()];
        DataError::Utf8 {
            path: path.to_owned(),
            line: before.split(|byte| *byte == b'\n').count(),
            source,
        }
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}
