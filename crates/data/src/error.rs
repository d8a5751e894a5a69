//! Errors of reading files.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use crate::fetch::Shown;

/// Why a file or folder can't be used. Addresses are as they may be shown ([`Shown`]).
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Bytes that are not UTF-8.
    #[error("{}:{line}: not valid UTF-8; save the file as UTF-8", path.display())]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first bad byte, from 1.
        line: usize,
        /// The decoder's error.
        source: std::str::Utf8Error,
    },
    /// A file, row or folder that doesn't follow its format.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file or folder.
        path: PathBuf,
        /// The problem, with the row and the field where one is at fault.
        problem: String,
    },
    /// A [`Listener`](crate::fetch::Listener) stopped the download or the unpacking of a file. A download resumes later.
    #[error("{0}: stopped before it was fetched, unpacked and read")]
    Stopped(String),
}

impl DataError {
    pub(crate) fn io(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { path: shown(path), source }
    }

    /// A file that its parser refuses; the parser's error has the line or record.
    pub(crate) fn parse(path: &Path, error: impl Display) -> Self {
        Self::format(path, error.to_string())
    }

    pub(crate) fn format(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Format { path: shown(path), problem: Shown(&problem.into()).to_string() }
    }

    pub(crate) fn row(path: &Path, row: impl Display, problem: impl Display) -> Self {
        Self::format(path, format!("row {:?}: {problem}", row.to_string()))
    }

    pub(crate) fn field(path: &Path, row: impl Display, field: &str, problem: &str) -> Self {
        Self::row(path, row, format!("field {field:?} {problem}"))
    }
}

/// The path; of an address what may be shown.
fn shown(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    path.to_str().map_or_else(|| path.to_owned(), |text| Shown(text).to_string().into())
}
