//! Errors of a run's folder.

use std::error::Error;
use std::io;
use std::path::PathBuf;

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
    /// The folder is locked.
    #[error("{}: another process is working on this run; wait for it, stop it, or choose another folder", dir.display())]
    InUse {
        /// The run's folder.
        dir: PathBuf,
    },
    /// The file system has no locks, or refuses this one.
    #[error("{}: can't be locked: {source}; choose a folder on a file system that has file locks", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A new run was started in the folder of another.
    #[error("{} already holds a run ({found}); resume it with --resume, or choose another folder", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
        /// The file or folder of a run that was found.
        found: &'static str,
    },
    /// There is nothing to resume.
    #[error("{} holds no run to resume (no run.toml); omit --resume to start a run, or correct the folder", dir.display())]
    NoRun {
        /// The folder.
        dir: PathBuf,
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
    /// The caller wrote something that a checkpoint can't hold.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// The rule that it breaks.
        problem: &'static str,
    },
    /// An invalid record of metrics.
    #[error("{}: a record must be an object with a whole number `step`: {source}", path.display())]
    Record {
        /// The metrics file.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A damaged line of metrics before intact ones.
    #[error("{}:{line}: not a JSON object with a whole number `step`; correct or delete the line", path.display())]
    Line {
        /// The metrics file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
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
