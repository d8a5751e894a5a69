//! Reading files: bytes and lines up to a limit, and UTF-8 text.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

use crate::DataError;

pub(crate) fn read(path: &Path) -> Result<String, DataError> {
    /// More than any list that is held in memory.
    const LARGEST: u64 = 4 << 30;
    decode(read_bytes(path, LARGEST)?, path)
}

/// The bytes of a file of at most `largest` bytes, so that an endless device is refused before memory runs out.
pub(crate) fn read_bytes(path: &Path, largest: u64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        file.take(largest + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > largest {
            return Err(io::Error::other(format!("larger than {largest} bytes")));
        }
        Ok(())
    });
    read.map(|()| bytes).map_err(|source| DataError::io(path, source))
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

/// Gives each line of `input` to `each`, without its end (LF or CRLF) and without a byte-order mark, with its number from 1. A line
/// of more than `most` bytes is cut, which the second argument says; the rest of it is skipped.
///
/// Returns what `each` stops with; `None` at the end of the input.
pub(crate) fn each_line<B>(
    input: &mut impl BufRead,
    most: usize,
    mut each: impl FnMut(&[u8], bool, u64) -> ControlFlow<B>,
) -> io::Result<Option<B>> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if input.by_ref().take(most as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let mut is_cut = false;
        if line.pop_if(|byte| *byte == b'\n').is_some() {
            line.pop_if(|byte| *byte == b'\r');
        } else if line.len() > most {
            is_cut = true;
            line.truncate(most);
        }
        let mark = if number == 1 { "\u{feff}" } else { "" };
        let bytes = line.strip_prefix(mark.as_bytes()).unwrap_or(&line);
        if let ControlFlow::Break(found) = each(bytes, is_cut, number) {
            return Ok(Some(found));
        }
        if is_cut {
            input.skip_until(b'\n')?;
        }
    }
    Ok(None)
}

/// UTF-8 text, or the reason for skipping it.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|error| reason("not UTF-8", error))
}

/// The error of a damaged tar file, without the headers that the `tar` crate quotes.
pub(crate) fn tar_error(error: &io::Error) -> String {
    let error = error.to_string();
    error.split(" when ").next().unwrap_or_default().to_owned()
}

/// A reason for skipping something: its kind, a colon and the details, cut because a set may have millions of them.
pub(crate) fn reason(kind: &str, detail: impl Display) -> String {
    const LONGEST: usize = 240;
    let mut reason = format!("{kind}: {detail}");
    if let Some((end, _)) = reason.char_indices().nth(LONGEST) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_cap_and_the_next_one_is_whole() {
        let mut input = &b"one\r\n\nfour\nfives\n\r\nlast\r"[..];
        let mut lines = Vec::new();
        let end = each_line(&mut input, 4, |line, is_cut, _| {
            lines.push((String::from_utf8(line.to_vec()).unwrap(), is_cut));
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(end.unwrap(), None);
        let expected = ["one", "", "four", "five", "", "last"];
        assert_eq!(lines, expected.map(|text| (text.to_owned(), ["five", "last"].contains(&text))));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = reason("image not found", "é".repeat(100_000));
        assert!(long.starts_with("image not found: éé"), "{long}");
        assert_eq!(long.chars().count(), 241);
    }
}
