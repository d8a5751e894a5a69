//! Prints results on stdout and everything else on stderr; checks output files.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, ensure};
use clove::weights::{AtomicFile, refuse_inputs};
use clove_data::fetch::Shown;
use console::{Alignment, measure_text_width, pad_str};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end_matches('\n')).context("writing to stdout")
}

/// Writes a value to stdout as indented JSON.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Writes a line to stderr, without the secrets of addresses. Ignores errors.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", Shown(text));
}

pub fn error(error: &Error) {
    note(&format!("clove: {}", one_line(error)));
}

/// An error and its causes on one line.
pub fn one_line(error: &Error) -> String {
    clove_run::one_line(error.as_ref())
}

/// Whether the reader of stdout has closed it.
pub fn is_broken_pipe(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

pub fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style.progress_chars("=> "))
}

pub fn byte_progress(what: &'static str) -> ProgressBar {
    bar("{msg:>10} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left").with_message(what)
}

/// Fills a text up to a width on the terminal, where letters of some scripts and emoji take two columns.
pub fn padded(text: &str, width: usize, to: Alignment) -> String {
    pad_str(text, width, to, None).into_owned()
}

/// Formats a table: the first column aligned left, the others right.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut widths = vec![0; rows.iter().map(Vec::len).max().unwrap_or(0)];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = measure_text_width(cell).max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let to = if column == 0 { Alignment::Left } else { Alignment::Right };
            padded(cell, width, to)
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A path as a word of a shell's command, in quotes if it has a space or another special character.
pub fn word(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%=".contains(letter);
    if !path.is_empty() && path.chars().all(is_plain) {
        return path;
    }
    if cfg!(windows) { format!("\"{path}\"") } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Checks output files before the work whose results they get: none is an input or lies in a model's directory, no two are the same,
/// and each can be written. Creates their folders.
pub fn check(outputs: &[&Path], inputs: &[&Path]) -> Result<()> {
    let mut places: Vec<PathBuf> = Vec::new();
    for output in outputs {
        refuse_inputs(output, inputs)?;
        let found = fs::metadata(output);
        // A pipe ends when it's closed, and a device has room for several outputs.
        if found.is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            continue;
        }
        // Nothing is written, and the temporary file is removed.
        drop(AtomicFile::create(output)?);
        let place = resolved(output);
        ensure!(
            !places.contains(&place),
            "{}: two outputs have this name; choose another for one of them",
            output.display()
        );
        places.push(place);
    }
    Ok(())
}

/// The place of a file whose folder exists.
fn resolved(file: &Path) -> PathBuf {
    let in_folder = || {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(file.file_name()?))
    };
    file.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of a terminal by Unicode's East Asian Width, and two for an emoji (Unicode TR 11 and TR 51).
    #[test]
    fn columns_are_aligned_whatever_the_script() {
        let cells = ["a cat", "一只猫", "고양이", "🐈‍⬛🐈", "café", "cafe\u{301}"];
        let columns = [5, 6, 6, 4, 4, 4];
        let rows: Vec<Vec<String>> = cells.map(|cell| vec![cell.to_owned(), "1".to_owned()]).into();
        for ((line, cell), columns) in table(&rows).lines().zip(cells).zip(columns) {
            assert_eq!(line, format!("{cell}{}1", " ".repeat(6 - columns + 2)));
        }
    }

    #[test]
    fn a_path_with_a_space_is_one_word() {
        let words =
            ["runs/a.b-1/model", "my runs/model", "it's", ""].map(|path| word(Path::new(path)));
        if cfg!(unix) {
            assert_eq!(words, ["runs/a.b-1/model", "'my runs/model'", "'it'\\''s'", "''"]);
        }
    }
}
