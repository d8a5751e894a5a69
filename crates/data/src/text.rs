//! Reading files: bytes up to a cap, and text that is UTF-8 or an error that names the line.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::DataError;

pub(crate) fn read(path: &Path) -> Result<String, DataError> {
    /// Above any list that is held in memory.
    const LARGEST: u64 = 4 << 30;
    decode(read_bytes(path, LARGEST)?, path)
}

/// The bytes of a file of at most `largest` bytes: a device that never ends is refused before memory does.
pub(crate) fn read_bytes(path: &Path, largest: u64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|source| io(path, source))?;
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| io(path, source))?;
    if bytes.len() as u64 > largest {
        let source = std::io::Error::other(format!("larger than {largest} bytes"));
        return Err(io(path, source));
    }
    Ok(bytes)
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
