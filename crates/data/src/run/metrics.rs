//! `metrics.jsonl`: one JSON object a line, in the order of the steps. Called by the training loop.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use clove::weights::write_file;
use serde::{Deserialize, Serialize};

use super::RunError;
use super::files::{self, Appender};

#[derive(Deserialize)]
struct Step {
    step: usize,
}

/// A file of metrics that grows a line at a time.
///
/// A line survives a kill of the process once [`append`](Self::append) returns, a failing machine only after [`sync`](Self::sync).
#[derive(Debug)]
pub struct Metrics {
    file: Appender,
}

impl Metrics {
    /// Opens or creates `path` for a run before step `step`. Lines of that step and later ones, and a last one that was cut, are dropped.
    ///
    /// # Errors
    /// When the file can't be read or written, or a damaged line precedes lines that are kept.
    pub fn open_at(path: &Path, step: usize) -> Result<Self, RunError> {
        // What was skipped of a large set may be larger than memory.
        if are_all_before(path, step) {
            return Ok(Self { file: Appender::open(path)? });
        }
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(files::failed(path))?,
        };
        let kept = lines_before(&bytes, step).map_err(|line| {
            let wrong = "is no JSON object with a whole number `step`; correct or delete it";
            RunError::refused(path, format!("line {line} {wrong}"))
        })?;
        if kept.len() < bytes.len() {
            write_file(path, &kept)?;
        }
        Ok(Self { file: Appender::open(path)? })
    }

    /// Appends a record, a struct or map with a whole number `step`. NaN and infinities become `null`.
    ///
    /// # Errors
    /// When the record has no such `step` or can't be written; the file is then unchanged.
    pub fn append(&mut self, record: &impl Serialize) -> Result<(), RunError> {
        let line = serde_json::to_string(record)
            // A line that can't be read back would prevent resuming.
            .and_then(|line| serde_json::from_str::<Step>(&line).map(|_| line + "\n"))
            .map_err(|error| {
                let needed = "a record must be an object with a whole number `step`";
                RunError::refused(self.file.path(), format!("{needed}: {error}"))
            })?;
        self.file.append(line.as_bytes())
    }

    /// Syncs all lines to the disk.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn sync(&self) -> Result<(), RunError> {
        self.file.sync()
    }
}

/// The intact lines of steps before `step`, or the number, from 1, of a damaged line before one of them.
///
/// Damage after all of them is the trace of a kill or a failing machine.
fn lines_before(bytes: &[u8], step: usize) -> Result<Vec<u8>, usize> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut damaged = None;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match (step_of(line), damaged) {
            (None, _) => damaged = damaged.or(Some(index + 1)),
            (Some(found), None) if found.step < step => kept.extend_from_slice(line),
            (Some(found), Some(damaged)) if found.step < step => return Err(damaged),
            (Some(_), _) => {}
        }
    }
    Ok(kept)
}

/// The step of an intact line.
fn step_of(line: &[u8]) -> Option<Step> {
    line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok())
}

/// Whether a file has intact lines of steps before `step` alone.
fn are_all_before(path: &Path, step: usize) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let (mut lines, mut line) = (BufReader::new(file), Vec::new());
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => return true,
            Ok(_) if step_of(&line).is_some_and(|found| found.step < step) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::testing::{Dir, fails};

    #[derive(Serialize)]
    struct Diverged {
        step: usize,
        loss: f32,
    }

    /// A file in a folder with three lines of steps 0, 5 and 9, and its text.
    fn written() -> (Dir, PathBuf, String) {
        let folder = Dir::with(&[]);
        let path = folder.path("metrics.jsonl");
        let mut metrics = Metrics::open_at(&path, 0).unwrap();
        for step in [0, 5, 9] {
            metrics.append(&json!({"step": step, "loss": 0.5, "note": "a\nb"})).unwrap();
        }
        metrics.sync().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        (folder, path, text)
    }

    #[test]
    fn a_resumed_run_keeps_the_lines_before_its_step_and_goes_on() {
        let (folder, path, text) = written();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);

        for (step, kept) in [(10, 3), (9, 2), (6, 2), (5, 1), (1, 1), (0, 0)] {
            fs::write(&path, &text).unwrap();
            let mut metrics = Metrics::open_at(&path, step).unwrap();
            metrics.append(&json!({"step": step})).unwrap();
            let now = fs::read_to_string(&path).unwrap();
            let mut expected: Vec<_> = lines[..kept].to_vec();
            let last = format!("{{\"step\":{step}}}");
            expected.push(&last);
            assert_eq!(now.lines().collect::<Vec<_>>(), expected, "step {step}");
            assert!(now.ends_with('\n'));
        }
        assert_eq!(fs::read_dir(folder.root()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_cut_anywhere_keeps_its_whole_lines() {
        let (_folder, path, text) = written();
        for cut in 0..=text.len() {
            fs::write(&path, &text[..cut]).unwrap();
            Metrics::open_at(&path, 100).unwrap();
            let whole = text[..cut].rfind('\n').map_or(0, |end| end + 1);
            assert_eq!(fs::read_to_string(&path).unwrap(), text[..whole], "{cut}");
        }
    }

    #[test]
    fn what_a_failing_machine_left_at_the_end_is_dropped() {
        let (_folder, path, text) = written();
        for tail in [&b"\0\0\0\0"[..], b"{\"step\":\0\0\n\0\0\n", b"{\"st\n{\"step\":10}\n", b"\n"]
        {
            fs::write(&path, [text.as_bytes(), tail].concat()).unwrap();
            Metrics::open_at(&path, 10).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{tail:?}");
        }
    }

    #[test]
    fn damage_between_lines_that_are_kept_is_named_and_nothing_is_lost() {
        let (_folder, path, text) = written();
        let damaged = text.replacen("\"step\":5", "\"stop\":5", 1);
        fs::write(&path, &damaged).unwrap();
        fails(Metrics::open_at(&path, 100), &["metrics.jsonl: line 2 "]);
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }

    #[test]
    fn a_record_that_could_not_be_read_back_is_refused() {
        let (_folder, path, text) = written();
        let mut metrics = Metrics::open_at(&path, 100).unwrap();
        for record in [json!({"loss": 1.0}), json!({"step": -1}), json!({"step": 1.5}), json!(3)] {
            fails(metrics.append(&record), &["metrics.jsonl: a record must"]);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        metrics.append(&Diverged { step: 10, loss: f32::NAN }).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text + "{\"step\":10,\"loss\":null}\n");
    }
}
