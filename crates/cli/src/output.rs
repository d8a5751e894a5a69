//! Prints results on stdout and everything else on stderr.

use std::io::{self, Write as _};

use anyhow::{Context as _, Error, Result};
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

/// Writes a line to stderr. Ignores errors.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
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

/// Formats a table: the first column aligned left, the others right.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut widths = vec![0; rows.iter().map(Vec::len).max().unwrap_or(0)];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
