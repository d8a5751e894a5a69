//! Everything that can be wrong with files on disk.

use std::path::PathBuf;

/// Why a file or folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Bytes that are not UTF-8.
    #[error("{}:{line}: not valid UTF-8; save the file as UTF-8", path.display())]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first bad byte, from 1.
        line: usize,
        /// Where the bytes go wrong.
        source: std::str::Utf8Error,
    },
    /// A JSON file that doesn't parse, or repeats a key.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A CSV or TSV file that doesn't parse.
    #[error("{}: {source}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the record.
        source: csv::Error,
    },
    /// A row that is not what the format says.
    #[error("{}: row {row:?}: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row's key or number.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A field of a row that is not what the format says.
    #[error("{}: row {row:?}: field {field:?} {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The row's key or number.
        row: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that lacks a part the format asks for.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it lacks, and what it should hold.
        problem: String,
    },
    /// Files of a benchmark that are not in the folder.
    #[error("{} lacks {}: {source_of_files}", folder.display(), names.join(", "))]
    MissingFiles {
        /// The folder.
        folder: PathBuf,
        /// Files it lacks.
        names: Vec<String>,
        /// Where they come from.
        source_of_files: &'static str,
    },
    /// Two photos of one name in different folders.
    #[error("photo {name}: both {} and {} have that name; keep one of them", first.display(), second.display())]
    AmbiguousPhoto {
        /// The name asked for.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Whoever listened to the fetching or unpacking of a file ended it. What was fetched is kept, and gone on from.
    #[error("{0}: stopped before it was fetched and unpacked")]
    Stopped(String),
}
