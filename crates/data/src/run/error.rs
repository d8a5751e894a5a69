//! Errors of a run's folder.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use clove::weights::{Problem, WeightsError};

/// Most lines of each configuration in an error message; [`RunError::OtherConfiguration`] holds all of them.
const LINES_SHOWN: usize = 12;

/// Why a run's folder can't be used, read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The run was started with another configuration.
    #[error("{}: {}", path.display(), describe_difference(recorded, given))]
    OtherConfiguration {
        /// The run's `run.toml`.
        path: PathBuf,
        /// Lines of `run.toml` alone, each with its table's header.
        recorded: Vec<String>,
        /// Lines of the given configuration alone, each with its table's header.
        given: Vec<String>,
    },
    /// A damaged checkpoint.
    #[error("{}: {reason}; this checkpoint is damaged; resume from an earlier one", path.display())]
    Damaged {
        /// The file at fault.
        path: PathBuf,
        /// The damage.
        reason: String,
    },
    /// The caller could not write the files of a checkpoint.
    #[error("the checkpoint of step {step} was not saved: {source}; earlier ones are kept")]
    NotSaved {
        /// The step.
        step: usize,
        /// The caller's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A folder, file or record that can't be used.
    #[error("{}: {problem}", path.display())]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// The problem, and the fix.
        problem: String,
    },
}

impl From<WeightsError> for RunError {
    fn from(error: WeightsError) -> Self {
        let path = PathBuf::from(error.file);
        match error.problem {
            Problem::Write(source) => Self::Io { path, source },
            other => Self::Refused { path, problem: other.to_string() },
        }
    }
}

impl RunError {
    pub(super) fn refused(path: &Path, problem: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), problem: problem.into() }
    }
}

/// On one line, because the program ends with one line on stderr.
fn describe_difference(recorded: &[String], given: &[String]) -> String {
    let mut parts =
        vec!["a resumed run must have the configuration it was started with".to_owned()];
    if recorded.is_empty() && given.is_empty() {
        parts.push("the one given has the same lines in another order or spacing".to_owned());
    }
    for (place, lines) in [("run.toml", recorded), ("the configuration given", given)] {
        if lines.is_empty() {
            continue;
        }
        let shown: Vec<_> =
            lines.iter().take(LINES_SHOWN).map(|line| format!("`{line}`")).collect();
        let more = match lines.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        parts.push(format!("only in {place}: {}{more}", shown.join(", ")));
    }
    parts.push("undo the change, or start another run in another folder".to_owned());
    parts.join("; ")
}
