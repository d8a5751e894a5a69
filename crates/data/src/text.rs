//! Reading files: bytes up to a cap, lines up to a cap, and text that is UTF-8 or an error that names the line.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, Read as _};
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
    file.take(largest + 1).read_to_end(&mut bytes).map_err(|source| io(path, source))?;
    if bytes.len() as u64 > largest {
        let source = io::Error::other(format!("larger than {largest} bytes"));
        return Err(io(path, source));
    }
    Ok(bytes)
}

pub(crate) fn io(path: &Path, source: io::Error) -> DataError {
    DataError::Io { path: path.to_owned(), source }
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

/// Reads the next line into `line`, without its end (LF or CRLF): all of it or, where it has more than `most` bytes, its first
/// ones. The rest is passed over, not held.
///
/// Gives whether it was cut; `None` where no line is left.
pub(crate) fn read_line(
    input: &mut impl BufRead,
    most: usize,
    line: &mut Vec<u8>,
) -> io::Result<Option<bool>> {
    line.clear();
    let mut limited = input.by_ref().take(most as u64 + 1);
    if limited.read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.pop_if(|byte| *byte == b'\n').is_some() {
        line.pop_if(|byte| *byte == b'\r');
        return Ok(Some(false));
    }
    let is_cut = line.len() > most;
    if is_cut {
        line.truncate(most);
        input.skip_until(b'\n')?;
    }
    Ok(Some(is_cut))
}

/// A reason why something is left out: its kind, a colon, and the rest. Reasons are kept by the million, and what they quote can
/// be of any length.
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
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while let Some(is_cut) = read_line(&mut input, 4, &mut line).unwrap() {
            lines.push((String::from_utf8(line.clone()).unwrap(), is_cut));
        }
        let expected = [
            ("one", false),
            ("", false),
            ("four", false),
            ("five", true),
            ("", false),
            ("last", true),
        ];
        assert_eq!(lines, expected.map(|(text, cut)| (text.to_owned(), cut)));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = reason("image not found", "é".repeat(100_000));
        assert!(long.starts_with("image not found: éé"), "{long}");
        assert_eq!(long.chars().count(), 241);
    }
}
