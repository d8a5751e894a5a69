//! Reading files: bytes and lines up to a limit, and text: UTF-8, also packed with gzip, and UTF-16 with a byte-order mark.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::DataError;
use crate::fetch::Shown;

/// Most memory that reading one file takes, in bytes.
pub(crate) const BUDGET: u64 = 512 << 20;
/// Bytes of a text that is read whole: more than any list that is held in memory, and half of the budget.
const LARGEST: u64 = BUDGET / 2;
/// Bytes of a text in UTF-16, which is held in UTF-8 as well. Such files come from spreadsheets, which have a million rows at most.
const LARGEST_WIDE: u64 = BUDGET / 4;

pub(crate) fn read(path: &Path) -> Result<String, DataError> {
    read_up_to(path, LARGEST)
}

/// A file's text, if it has at most `largest` bytes when it's unpacked.
pub(crate) fn read_up_to(path: &Path, largest: u64) -> Result<String, DataError> {
    let mut bytes = read_bytes(path, largest)?;
    if bytes.starts_with(&GZIP) {
        let packed = std::mem::take(&mut bytes);
        let unpacked = up_to(MultiGzDecoder::new(&*packed), largest, &mut bytes);
        unpacked.map_err(|source| DataError::io(path, source))?;
    }
    decode(bytes, path)
}

/// The bytes of a file of at most `largest` bytes, so that an endless device is refused before memory runs out.
pub(crate) fn read_bytes(path: &Path, largest: u64) -> Result<Vec<u8>, DataError> {
    let read = || {
        let file = File::open(path)?;
        // A pipe has no length.
        let length = file.metadata()?.len().min(largest + 1);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        up_to(file, largest, &mut bytes).map(|()| bytes)
    };
    read().map_err(|source| DataError::io(path, source))
}

/// The text of any input, which `name` names in errors.
pub(crate) fn read_from(input: impl Read, name: &Path) -> Result<String, DataError> {
    let mut bytes = Vec::new();
    up_to(input, LARGEST, &mut bytes).map_err(|source| DataError::io(name, source))?;
    decode(bytes, name)
}

fn up_to(input: impl Read, largest: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    input.take(largest + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > largest {
        return Err(io::Error::other(format!("larger than {largest} bytes")));
    }
    Ok(())
}

/// The text of `bytes` without a byte-order mark and with LF as the line end; `path` names it in errors.
pub(crate) fn decode(mut bytes: Vec<u8>, path: &Path) -> Result<String, DataError> {
    if let Some(text) = utf16(&bytes) {
        bytes = text.map_err(|problem| DataError::format(path, problem))?.into_bytes();
    }
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    if bytes.contains(&b'\r') {
        end_in_lf(&mut bytes);
    }
    String::from_utf8(bytes).map_err(|error| {
        let source = error.utf8_error();
        let before = &error.as_bytes()[..source.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        DataError::Utf8 { path: path.to_owned(), line, source }
    })
}

/// Ends lines in LF, in place: the text is held once.
fn end_in_lf(bytes: &mut Vec<u8>) {
    let mut after_cr = false;
    bytes.retain_mut(|byte| {
        let is_second = after_cr && *byte == b'\n';
        after_cr = *byte == b'\r';
        if after_cr {
            *byte = b'\n';
        }
        !is_second
    });
}

/// The bytes that a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The text of bytes that begin with UTF-16's mark, as Excel's "Unicode text" does.
fn utf16(bytes: &[u8]) -> Option<Result<String, String>> {
    let (is_big, units) = match bytes {
        [0xff, 0xfe, units @ ..] => (false, units),
        [0xfe, 0xff, units @ ..] => (true, units),
        _ => return None,
    };
    let (pairs, rest) = units.as_chunks::<2>();
    let unit = |pair| if is_big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
    if units.len() as u64 > LARGEST_WIDE {
        let most = format!("larger than {LARGEST_WIDE} bytes in UTF-16; save the file as UTF-8");
        return Some(Err(most));
    }
    let text = char::decode_utf16(pairs.iter().copied().map(unit));
    let text = text.collect::<Result<String, _>>().ok().filter(|_| rest.is_empty());
    Some(text.ok_or_else(|| "not valid UTF-16; save the file as UTF-8".to_owned()))
}

/// A file's text, to read by lines.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    plain(File::open(path)?)
}

/// The text of any input, unpacked and as UTF-8.
pub(crate) fn plain<'a>(input: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let (mut start, mut input) = begin(Box::new(input))?;
    if start == GZIP {
        (start, input) = begin(Box::new(MultiGzDecoder::new(input)))?;
    }
    if utf16(&start).is_some() {
        let mut bytes = Vec::new();
        up_to(input, LARGEST_WIDE, &mut bytes)?;
        let text = utf16(&bytes).unwrap_or_else(|| Ok(String::new()));
        return Ok(Box::new(Cursor::new(text.map_err(io::Error::other)?)));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, input)))
}

/// The first two bytes of an input, and the whole.
fn begin<'a>(mut input: Box<dyn Read + 'a>) -> io::Result<(Vec<u8>, Box<dyn Read + 'a>)> {
    let mut start = Vec::new();
    input.by_ref().take(2).read_to_end(&mut start)?;
    Ok((start.clone(), Box::new(Cursor::new(start).chain(input))))
}

/// Gives each line of `input` to `each`, without its end and without a byte-order mark, with its number from 1. A line of more than
/// `most` bytes is cut, which the second argument says; the rest of it is skipped.
///
/// Returns what `each` stops with; `None` at the end of the input.
pub(crate) fn each_line<B>(
    input: &mut impl BufRead,
    most: usize,
    mut each: impl FnMut(&[u8], bool, u64) -> ControlFlow<B>,
) -> io::Result<Option<B>> {
    let mut lines = Lines::new(input, most);
    while lines.advance()? {
        if let ControlFlow::Break(found) = each(&lines.line, lines.is_cut, lines.number) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The lines of an input. They end in LF, CRLF or CR, as in Python's text mode.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    /// Most bytes of a line; a longer one is cut.
    most: usize,
    /// The line, without its end and without a byte-order mark.
    pub(crate) line: Vec<u8>,
    pub(crate) is_cut: bool,
    /// From 1.
    pub(crate) number: u64,
    /// Whether the last byte was CR, whose LF may follow.
    after_cr: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R, most: usize) -> Self {
        Self { input, most, line: Vec::new(), is_cut: false, number: 0, after_cr: false }
    }

    /// Goes to the next line and returns whether there is one.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        // Of a line that was cut the rest comes first.
        let mut is_rest = std::mem::take(&mut self.is_cut);
        let mut is_there = false;
        loop {
            let buffer = fill(&mut self.input)?;
            if buffer.is_empty() {
                break;
            }
            let start = usize::from(self.after_cr && buffer[0] == b'\n');
            self.after_cr = false;
            let rest = &buffer[start..];
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &rest[..end.unwrap_or(rest.len())];
            let room = self.most - self.line.len();
            if !is_rest {
                self.line.extend(&part[..part.len().min(room)]);
                is_there |= end.is_some() || !part.is_empty();
                if part.len() > room {
                    self.is_cut = true;
                    self.input.consume(start + room);
                    break;
                }
            }
            self.after_cr = end.is_some_and(|at| rest[at] == b'\r');
            let used = start + part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() && !std::mem::take(&mut is_rest) {
                break;
            }
        }
        self.number += u64::from(is_there);
        if self.number == 1 && self.line.starts_with("\u{feff}".as_bytes()) {
            self.line.drain(..3);
        }
        Ok(is_there)
    }
}

/// The buffered bytes; empty at the end.
fn fill(input: &mut impl BufRead) -> io::Result<&[u8]> {
    // Filled twice: a buffer returned from a loop would stay borrowed in it.
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    input.fill_buf()
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
    // A row's image may be a signed address.
    let mut reason = Shown(&format!("{kind}: {detail}")).to_string();
    if let Some((end, _)) = reason.char_indices().nth(LONGEST) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dir, gzip};

    fn lines(input: &[u8], most: usize) -> Vec<(String, bool)> {
        let mut lines = Vec::new();
        // A buffer of three bytes: line ends and cuts fall on its ends too.
        let end = each_line(&mut BufReader::with_capacity(3, input), most, |line, is_cut, _| {
            lines.push((String::from_utf8(line.to_vec()).unwrap(), is_cut));
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(end.unwrap(), None);
        lines
    }

    #[test]
    fn lines_are_cut_at_the_cap_and_the_next_one_is_whole() {
        let found = lines(b"one\r\n\nfour\nfives\n\r\nlasting", 4);
        let expected = ["one", "", "four", "five", "", "last"];
        let is_cut = |text| ["five", "last"].contains(&text);
        assert_eq!(found, expected.map(|text| (text.to_owned(), is_cut(text))));
    }

    /// Python's `open(path, newline=None).read().split("\n")` gives these lines.
    #[test]
    fn a_line_ends_in_lf_in_crlf_or_in_cr() {
        let expected = ["one", "two", "", "four"];
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("\u{feff}{}{end}", expected.join(end));
            let found = lines(text.as_bytes(), 100);
            assert_eq!(found, expected.map(|text| (text.to_owned(), false)));
            let whole = decode(text.into_bytes(), Path::new("a.txt")).unwrap();
            assert_eq!(whole.lines().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_packed_text_and_one_in_utf_16_are_read_as_any_other() {
        let text = "image\tcaption\na.jpg\tein großer 🐕\n";
        let wide = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(bytes);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        let little = wide([0xff, 0xfe], u16::to_le_bytes);
        let big = wide([0xfe, 0xff], u16::to_be_bytes);
        let packed = [gzip(text.as_bytes()), gzip(&little)];
        for bytes in [text.as_bytes().to_vec(), little.clone(), big].iter().chain(&packed) {
            let mut read = String::new();
            plain(&**bytes).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
            let dir = Dir::with(&[("a.txt", bytes)]);
            assert_eq!(super::read(&dir.path("a.txt")).unwrap(), text);
        }
        assert!(plain(&little[..little.len() - 1]).is_err());
        assert_eq!(plain(&b"a"[..]).unwrap().fill_buf().unwrap(), b"a");
    }

    /// A few bytes that unpack to many, and a device that never ends, are refused at the limit.
    #[test]
    fn a_text_is_read_up_to_its_limit_when_it_is_unpacked() {
        let dir = Dir::with(&[("a.gz", &gzip(&vec![b'a'; 1 << 16])), ("b", &[b'b'; 100])]);
        let read = |name: &str, most| read_up_to(&dir.path(name), most).map(|text| text.len());
        assert_eq!(read("a.gz", 1 << 16).unwrap(), 1 << 16);
        assert_eq!(read("b", 100).unwrap(), 100);
        for (name, most) in [("a.gz", (1 << 16) - 1), ("b", 99)] {
            let error = read(name, most).unwrap_err().to_string();
            assert!(error.ends_with(&format!("{name}: larger than {most} bytes")), "{error}");
        }
        #[cfg(unix)]
        assert!(read_bytes(Path::new("/dev/zero"), 1000).is_err());
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = reason("image not found", "é".repeat(100_000));
        assert!(long.starts_with("image not found: éé"), "{long}");
        assert_eq!(long.chars().count(), 241);
    }
}
