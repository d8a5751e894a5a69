//! The rows of a table: lines of fields between commas, tabs, semicolons or bars.
//!
//! A quote opens a field at its beginning alone, as for pandas and the csv crate. The csv crate's own reader would take what follows an
//! unclosed quote as one row; here it's an error that names the line.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::BufRead;
use std::mem;
use std::path::{Path, PathBuf};

use csv_core::{Reader, ReaderBuilder};

use super::fields::{
    CAPTION_KEYS, Captions, NEGATIVE_KEYS, SPLIT_KEY, find, given, image_keys, texts_in,
};
use super::{Options, reason};
use crate::text::{Lines, utf8};
use crate::{DataError, photos};

/// Bytes of a row, far more than one has.
const LONGEST: usize = 16 << 20;
/// The separators that are tried, in this order; for a name that ends in `.tsv` the tab comes first.
const SEPARATORS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// The columns of a sample's parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) image: Option<usize>,
    /// Those that are asked for, or the usual ones in order of preference.
    pub(crate) captions: Vec<usize>,
    pub(crate) negatives: Vec<usize>,
    pub(crate) split: Option<usize>,
    /// The number of columns.
    all: usize,
}

impl Columns {
    /// By the names in a header.
    fn of(header: &[String], needs_image: bool, options: &Options<'_>) -> Result<Self, String> {
        let names = || header.iter().map(String::as_str);
        let place = |key: &str| find(&[key], names());
        let all =
            |keys: &[&str]| -> Vec<usize> { keys.iter().filter_map(|key| place(key)).collect() };
        let missing = |what: &str, keys: &[&str]| {
            let keys = keys.join(" or ");
            format!("no column of {what} ({keys}); the first line names {}", listed(header))
        };
        if let Some(name) = options.captions.iter().find(|name| place(name).is_none()) {
            return Err(missing("captions", &[name]));
        }
        let captions = all(&given(options.captions, &CAPTION_KEYS));
        if captions.is_empty() {
            return Err(missing("captions", &CAPTION_KEYS));
        }
        let image_keys = image_keys(options);
        let image = find(&image_keys, names());
        if image.is_none() && needs_image {
            let address = place("url").map(|_| "; download the images of its addresses first");
            return Err(missing("images", &image_keys) + address.unwrap_or_default());
        }
        Ok(Self {
            image,
            captions,
            negatives: all(&given(options.negatives, &NEGATIVE_KEYS)),
            split: place(SPLIT_KEY),
            all: header.len(),
        })
    }

    /// Those of a list without a header: Flickr8k.token.txt has `name.jpg#0`, a tab and a caption.
    fn of_tokens(line: &[u8]) -> Option<Self> {
        let (name, caption) = std::str::from_utf8(line).ok()?.split_once('\t')?;
        let (image, number) = name.rsplit_once('#')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_one = is_number && photos::is_photo(Path::new(image)) && !caption.contains('\t');
        let columns = Self { image: Some(0), captions: vec![1], all: 2, ..Self::default() };
        is_one.then_some(columns)
    }
}

/// The names in a header, for a message.
fn listed(header: &[String]) -> String {
    const LISTED: usize = 12;
    const LONGEST: usize = 40;
    let names = header.iter().take(LISTED).map(|name| name.chars().take(LONGEST).collect());
    let names = names.map(|name: String| format!("{name:?}"));
    let more = if header.len() > LISTED { ", …" } else { "" };
    names.collect::<Vec<_>>().join(", ") + more
}

/// A table, standing at one of its rows.
pub(crate) struct Table<R> {
    lines: Lines<R>,
    /// Names the input in errors.
    name: PathBuf,
    /// Lines that are read again.
    ahead: VecDeque<Line>,
    separator: u8,
    /// Parsers with quotes and without.
    parsers: [Reader; 2],
    pub(crate) columns: Columns,
    /// Where the row begins, from 1.
    pub(crate) line: u64,
    /// The row's fields, one behind the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Why the row can't be used.
    problem: Option<String>,
}

struct Line {
    number: u64,
    bytes: Vec<u8>,
    is_cut: bool,
}

/// What the quotes of a row are like.
#[derive(PartialEq, Eq)]
enum Quotes {
    /// Each that opens a field closes it at its end.
    Closed,
    /// One closes before the end of its field.
    Loose,
    /// One doesn't close.
    Open,
}

impl<R: BufRead> Table<R> {
    /// Reads the header, finds its separator by the names of columns, and stands before the first row. `None` for an empty input.
    ///
    /// # Errors
    /// [`DataError::Format`] if no separator gives a column of captions and, if `needs_image` is true, one of images.
    pub(crate) fn open(
        input: R,
        name: &Path,
        needs_image: bool,
        options: &Options<'_>,
    ) -> Result<Option<Self>, DataError> {
        let mut table = Self {
            lines: Lines::new(input, LONGEST),
            name: name.to_owned(),
            ahead: VecDeque::new(),
            separator: b',',
            parsers: parsers(b','),
            columns: Columns::default(),
            line: 0,
            bytes: Vec::new(),
            ends: Vec::new(),
            problem: None,
        };
        let Some(header) = table.next_line()? else {
            return Ok(None);
        };
        let mut separators = SEPARATORS;
        if name.to_string_lossy().to_lowercase().contains(".tsv") {
            separators.swap(0, 1);
        }
        let mut nearest: Option<(usize, String)> = None;
        for separator in separators {
            (table.separator, table.parsers) = (separator, parsers(separator));
            table.split(&header.bytes, true);
            let names = (0..table.ends.len()).map(|at| String::from_utf8_lossy(table.field(at)));
            let names: Vec<String> = names.map(Cow::into_owned).collect();
            match Columns::of(&names, needs_image, options) {
                Ok(columns) => {
                    table.columns = columns;
                    return Ok(Some(table));
                }
                Err(problem) if nearest.as_ref().is_none_or(|(most, _)| names.len() > *most) => {
                    nearest = Some((names.len(), problem));
                }
                Err(_) => {}
            }
        }
        if let Some(columns) = Columns::of_tokens(&header.bytes) {
            (table.separator, table.parsers) = (b'\t', parsers(b'\t'));
            table.columns = columns;
            table.ahead.push_back(header);
            return Ok(Some(table));
        }
        Err(DataError::format(name, nearest.map_or_else(String::new, |(_, problem)| problem)))
    }

    /// The next line that isn't blank.
    fn next_line(&mut self) -> Result<Option<Line>, DataError> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        while self.lines.advance().map_err(|source| DataError::io(&self.name, source))? {
            let Lines { line, number, is_cut, .. } = &mut self.lines;
            if line.iter().any(|byte| *byte != b' ') {
                let bytes = mem::take(line);
                return Ok(Some(Line { number: *number, bytes, is_cut: *is_cut }));
            }
        }
        Ok(None)
    }

    /// Goes to the next row and returns whether there is one. In a table with tabs a quote that opens a field and doesn't close it is
    /// text.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Format`] for such a quote in another table.
    pub(crate) fn advance(&mut self) -> Result<bool, DataError> {
        let Some(Line { number, bytes: mut row, is_cut }) = self.next_line()? else {
            return Ok(false);
        };
        (self.line, self.problem) = (number, None);
        if is_cut {
            self.problem = Some(too_long());
            return Ok(true);
        }
        let is_tabbed = self.separator == b'\t';
        let mut quotes = self.quotes(&row, false);
        if quotes == Quotes::Open {
            self.split(&row, true);
            let (open, first) = (self.ends.len() - 1, row.len());
            let mut more = Vec::new();
            while quotes == Quotes::Open {
                let next = self.next_line()?;
                let end = next.as_ref().map(|line| line.number);
                let is_stray = next.as_ref().is_none_or(|Line { bytes, .. }| {
                    quotes = self.quotes(bytes, true);
                    row.push(b'\n');
                    row.extend(bytes);
                    // A line takes more memory than a short one's bytes.
                    let held = row.len() + size_of::<Line>() * more.len();
                    let is_whole = quotes != Quotes::Loose && held <= LONGEST;
                    !is_whole || self.is_swallowed(bytes, &quotes, open)
                });
                more.extend(next);
                if !is_stray {
                    continue;
                }
                if !is_tabbed {
                    return Err(self.unclosed(end));
                }
                row.truncate(first);
                more.drain(..).rev().for_each(|line| self.ahead.push_front(line));
                quotes = Quotes::Loose;
            }
        }
        self.split(&row, !is_tabbed || quotes == Quotes::Closed);
        if self.ends.len() != self.columns.all {
            let detail = format!("{} where the header has {}", self.ends.len(), self.columns.all);
            self.problem = Some(reason("wrong number of columns", detail));
        }
        Ok(true)
    }

    /// Whether a line within a quoted field is a row by itself, not the end of the field, which is the row's field number `open`.
    fn is_swallowed(&self, line: &[u8], quotes: &Quotes, open: usize) -> bool {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == self.separator).collect();
        let image = self.columns.image;
        let is_end = *quotes == Quotes::Closed && image.is_none_or(|image| image > open);
        let is_photo = |name: &&[u8]| {
            let name = String::from_utf8_lossy(name);
            photos::is_photo(Path::new(name.trim_matches([' ', '"'])))
        };
        let has_image = image.and_then(|image| fields.get(image)).is_some_and(is_photo);
        !is_end && fields.len() >= self.columns.all && (has_image || self.separator == b'\t')
    }

    fn unclosed(&self, end: Option<u64>) -> DataError {
        let end = end.map_or("the end of the file".to_owned(), |line| format!("line {line}"));
        let problem = format!(
            "line {}: a quote opens a field and doesn't close it before {end}; remove it, or write quotes within a field twice",
            self.line
        );
        DataError::format(&self.name, problem)
    }

    /// The quotes of a part of a row, which begins within a quoted field or at the beginning of a field.
    fn quotes(&self, part: &[u8], mut is_within: bool) -> Quotes {
        let mut found = Quotes::Closed;
        let mut rest = part;
        loop {
            if !is_within {
                if let [b'"', inner @ ..] = rest {
                    rest = inner;
                } else {
                    let Some(end) = rest.iter().position(|byte| *byte == self.separator) else {
                        return found;
                    };
                    rest = &rest[end + 1..];
                    continue;
                }
            }
            let Some(end) = rest.iter().position(|byte| *byte == b'"') else {
                return Quotes::Open;
            };
            rest = &rest[end + 1..];
            is_within = rest.first() == Some(&b'"');
            if is_within {
                // A quote in the field.
                rest = &rest[1..];
                continue;
            }
            let Some(end) = rest.iter().position(|byte| *byte == self.separator) else {
                return if rest.is_empty() { found } else { Quotes::Loose };
            };
            if end > 0 {
                found = Quotes::Loose;
            }
            rest = &rest[end + 1..];
        }
    }

    /// Splits a row into its fields.
    fn split(&mut self, row: &[u8], is_quoted: bool) {
        let most = row.split(|byte| *byte == self.separator).count();
        // Room for all of it: the parser stops at the row's end alone.
        self.bytes.resize(row.len() + 1, 0);
        self.ends.resize(most + 1, 0);
        let parser = &mut self.parsers[usize::from(!is_quoted)];
        parser.reset();
        let (_, _, written, ended) = parser.read_record(row, &mut self.bytes, &mut self.ends);
        // The end of the input is the row's.
        let (bytes, ends) = (&mut self.bytes[written..], &mut self.ends[ended..]);
        let (_, _, _, last) = parser.read_record(&[], bytes, ends);
        self.ends.truncate(ended + last);
    }

    /// A field of the row.
    pub(crate) fn field(&self, column: usize) -> &[u8] {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[column]]
    }

    /// The text of a field.
    pub(crate) fn text(&self, column: usize) -> Result<&str, String> {
        utf8(self.field(column))
    }

    /// The bytes of the row's fields, for progress.
    pub(crate) fn row_bytes(&self) -> u64 {
        (self.bytes.len() + self.ends.len()) as u64
    }

    /// The reason for skipping the row, if it can't be used.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.problem.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn captions(&self, options: &Options<'_>) -> Result<Captions, String> {
        let columns = self.columns.captions.iter();
        let columns = columns.map(|column| self.text(*column).map(texts_in));
        Captions::of_columns(options.captions, columns)
    }
}

fn parsers(separator: u8) -> [Reader; 2] {
    [true, false]
        .map(|is_quoted| ReaderBuilder::new().delimiter(separator).quoting(is_quoted).build())
}

fn too_long() -> String {
    reason("too long", format_args!("more than {LONGEST} bytes"))
}
