//! Errors of reading files.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file or folder can't be used.
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
    /// A JSON, CSV or TSV file that can't be parsed.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's error, with the line or record.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A row that doesn't follow the format.
    #[error("{}: row {row:?}: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row's key or number.
        row: String,
        /// The problem, with the field where one is at fault.
        problem: String,
    },
    /// A file that doesn't follow the format.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The problem, and what the file should hold.
        problem: String,
    },
    /// Files of a benchmark that are not in the folder.
    #[error("{} lacks {}: {source_of_files}", folder.display(), names.join(", "))]
    MissingFiles {
        /// The folder.
        folder: PathBuf,
        /// The missing files.
        names: Vec<String>,
        /// Where to get them.
        source_of_files: &'static str,
    },
    /// Two photos of one name in different folders.
    #[error("photo {name}: both {} and {} have that name; keep one of them", first.display(), second.display())]
    AmbiguousPhoto {
        /// The name.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A [`Listener`](crate::fetch::Listener) stopped the download or the unpacking of a file. A download resumes later.
    #[error("{0}: stopped before it was fetched and unpacked")]
    Stopped(String),
}

impl DataError {
    pub(crate) fn io(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }

    pub(crate) fn parse(path: &Path, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Parse { path: path.to_owned(), source: Box::new(source) }
    }

    pub(crate) fn format(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    pub(crate) fn row(path: &Path, row: impl Display, problem: impl Into<String>) -> Self {
        Self::Row { path: path.to_owned(), row: row.to_string(), problem: problem.into() }
    }

    pub(crate) fn field(path: &Path, row: impl Display, field: &str, problem: &str) -> Self {
        Self::row(path, row, format!("field {field:?} {problem}"))
    }
}
