//! A stream of captions from an input of any length: lines of text, tables, JSON lines, shards of a web dataset.
//!
//! Called by `clove negatives`. Memory use doesn't depend on the input. Rows that can't be used are returned with the reason.

mod shard;
pub(crate) mod table;

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use clove_negatives::LONGEST_CAPTION;
use serde_json::Value;

use crate::DataError;
use crate::json;
use crate::text::{self, reason};

/// Bytes of a row of a structured format. A longer row is skipped.
const LONGEST_ROW: usize = 16 << 20;
/// Bytes of a caption that are kept: enough to show that it's longer than [`LONGEST_CAPTION`], wherever a character ends.
const KEPT: usize = LONGEST_CAPTION + 8;
/// Most captions of one image. Each is compared with all the others, which for a million would never end.
const MOST_CAPTIONS: usize = 1_000;

/// The format of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A caption a line; a blank line counts as one.
    Text,
    /// A comma-separated table with a header; blank lines are ignored.
    Csv,
    /// A tab-separated table with a header.
    Tsv,
    /// A JSON object a line; blank lines are ignored.
    JsonLines,
    /// A tar file with a `.json` file for each image.
    Webdataset,
}

impl Format {
    /// The format of a file by its extension: `.txt`, `.csv`, `.tsv`, `.jsonl` or `.tar`.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match &*extension {
            "txt" => Self::Text,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "jsonl" => Self::JsonLines,
            "tar" => Self::Webdataset,
            _ => return None,
        })
    }

    /// Columns or fields that hold captions, in order of preference.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Text => &[],
            Self::Csv | Self::Tsv => &["caption", "title"],
            Self::JsonLines => &["captions", "caption", "text", "title"],
            Self::Webdataset => &["top_caption", "caption", "captions"],
        }
    }
}

/// A row of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// Captions of one image, at least one. A caption longer than [`LONGEST_CAPTION`] is cut, but not below that limit.
    Captions(Vec<String>),
    /// A row that can't be used.
    Unreadable(Unreadable),
}

/// A row that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its place: `line 12`.
    pub place: String,
    /// The reason: a kind, a colon, and the details.
    pub reason: String,
    /// The readable part of its caption, possibly empty; `None` for the end of a damaged input, which is no row.
    pub shown: Option<String>,
}

impl Row {
    /// The row at `place` with its captions, or with the reason why it can't be used.
    fn new(captions: Result<Vec<String>, String>, place: impl FnOnce() -> String) -> Self {
        match captions {
            Ok(captions) => Self::Captions(captions),
            Err(reason) => {
                Self::Unreadable(Unreadable { place: place(), reason, shown: Some(String::new()) })
            }
        }
    }
}

/// A caption for display, cut at [`LONGEST_CAPTION`].
pub fn shown(caption: &str) -> &str {
    &caption[..caption.floor_char_boundary(LONGEST_CAPTION)]
}

/// Reads the rows of `input`, gives each to `take`, and stops where `take` does. `field` is the column or field of the captions, where
/// it isn't one of the usual ones; `name` stands for the input in errors.
///
/// # Errors
/// [`DataError::Io`] if the input can't be read, and [`DataError::Format`] if a table lacks the column, or a shard has no `.json`.
pub fn read(
    input: impl Read,
    name: &Path,
    format: Format,
    field: Option<&str>,
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let given = field.map(|field| [field]);
    let fields = given.as_ref().map_or(format.fields(), |given| &given[..]);
    let mut input = BufReader::with_capacity(1 << 16, input);
    match format {
        Format::Text => {
            let row = |line: &[u8], is_cut, number| Some(text_row(line, is_cut, number));
            read_lines(&mut input, name, KEPT, row, take)
        }
        Format::JsonLines => {
            let row = |line: &[u8], is_cut, number| json_row(line, is_cut, number, fields);
            read_lines(&mut input, name, LONGEST_ROW, row, take)
        }
        Format::Csv => table::read(&mut input, name, b',', fields, take),
        Format::Tsv => table::read(&mut input, name, b'\t', fields, take),
        Format::Webdataset => shard::read(&mut input, name, fields, take),
    }
}

/// Makes a row of each line, cut at `most` bytes. `row` gets the line, whether it was cut, and its number.
fn read_lines(
    input: &mut impl BufRead,
    name: &Path,
    most: usize,
    row: impl Fn(&[u8], bool, u64) -> Option<Row>,
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let read = text::each_line(input, most, |line, is_cut, number| {
        row(line, is_cut, number).map_or(ControlFlow::Continue(()), &mut *take)
    });
    read.map(drop).map_err(|source| DataError::io(name, source))
}

fn text_row(line: &[u8], is_cut: bool, number: u64) -> Row {
    match text(line, is_cut) {
        Ok(caption) => Row::Captions(vec![caption]),
        Err(reason) => {
            let (place, shown) = (format!("line {number}"), Some(lossy(line)));
            Row::Unreadable(Unreadable { place, reason, shown })
        }
    }
}

/// The text of bytes; if they're cut, the last ones may be part of a character.
fn text(bytes: &[u8], is_cut: bool) -> Result<String, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(kept(text)),
        Err(error) if is_cut && error.error_len().is_none() => {
            Ok(lossy(&bytes[..error.valid_up_to()]))
        }
        Err(error) => Err(not_utf8(error)),
    }
}

fn not_utf8(error: std::str::Utf8Error) -> String {
    let at = error.valid_up_to() + 1;
    reason("not UTF-8", format_args!("at byte {at} of the caption; save the file as UTF-8"))
}

/// The readable part of bytes that aren't UTF-8.
fn lossy(bytes: &[u8]) -> String {
    kept(&String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT)]))
}

/// A caption, cut at [`KEPT`] bytes.
fn kept(caption: &str) -> String {
    caption[..caption.floor_char_boundary(KEPT)].to_owned()
}

fn json_row(line: &[u8], is_cut: bool, number: u64, fields: &[&str]) -> Option<Row> {
    if line.trim_ascii().is_empty() {
        return None;
    }
    let captions = if is_cut {
        Err(too_long("write one JSON object a line, without a list around them"))
    } else {
        captions(line, fields)
    };
    Some(Row::new(captions, || format!("line {number}")))
}

fn too_long(remedy: &str) -> String {
    reason("too long", format_args!("more than {LONGEST_ROW} bytes; {remedy}"))
}

/// The captions in a JSON object: the first of `fields` that it has is a string or a list of strings.
fn captions(object: &[u8], fields: &[&str]) -> Result<Vec<String>, String> {
    let object = json::object(object)?;
    let without = |detail: String| Err(reason("without a caption", detail));
    let found = fields.iter().find_map(|key| Some((*key, object.not_null(key)?)));
    let Some((key, value)) = found else {
        return without(format!("it has no {}", fields.join(", ")));
    };
    let wrong = |value| json::wrong_type(key, "a string or a list of strings", value);
    match value {
        Value::String(caption) => Ok(vec![kept(caption)]),
        Value::Array(list) if list.is_empty() => without(format!("{key} is an empty list")),
        Value::Array(list) if list.len() > MOST_CAPTIONS => Err(reason(
            "too many captions",
            format_args!("{} of one image, of {MOST_CAPTIONS} at most", list.len()),
        )),
        Value::Array(list) => {
            let captions = list.iter().map(|item| match item {
                Value::String(caption) => Ok(kept(caption)),
                other => Err(format!("{} in it", wrong(other))),
            });
            captions.collect()
        }
        other => Err(wrong(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of an input, as the text of an error if there's one.
    pub(super) fn rows(
        input: &[u8],
        format: Format,
        field: Option<&str>,
    ) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        read(input, Path::new("input"), format, field, &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })
        .map_err(|error| error.to_string())?;
        Ok(rows)
    }

    /// Rows in short: captions, or the place and the reason of what can't be read.
    pub(super) fn short(rows: &[Row]) -> Vec<String> {
        rows.iter()
            .map(|row| match row {
                Row::Captions(captions) => captions.join("|"),
                Row::Unreadable(row) => format!("! {}: {}", row.place, row.reason),
            })
            .collect()
    }

    #[test]
    fn every_line_of_a_text_is_a_caption() {
        let input = b"\xef\xbb\xbfa cat\r\n\n \t\nsnow \xff\xfe\n\xf0\x9f\x90\x95\n\0\x1b[31m";
        let found = rows(input, Format::Text, None).unwrap();
        assert_eq!(
            short(&found),
            [
                "a cat",
                "",
                " \t",
                "! line 4: not UTF-8: at byte 6 of the caption; save the file as UTF-8",
                "🐕",
                "\0\u{1b}[31m",
            ]
        );
        let Row::Unreadable(bad) = &found[3] else {
            panic!("{found:?}");
        };
        assert_eq!(bad.shown.as_deref(), Some("snow \u{fffd}\u{fffd}"));
        assert!(rows(b"", Format::Text, None).unwrap().is_empty());
    }

    #[test]
    fn a_caption_that_is_too_long_stays_so_when_it_is_cut() {
        for letter in ["a", "é", "🐕"] {
            let line = letter.repeat(1 << 20) + "\nshort\n";
            let found = rows(line.as_bytes(), Format::Text, None).unwrap();
            let [Row::Captions(long), Row::Captions(next)] = &found[..] else {
                panic!("{letter}: {} rows", found.len());
            };
            assert!((LONGEST_CAPTION + 1..=KEPT).contains(&long[0].len()));
            assert!((LONGEST_CAPTION - 3..=LONGEST_CAPTION).contains(&shown(&long[0]).len()));
            assert_eq!(next, &["short"]);
            let whole = letter.repeat(LONGEST_CAPTION / letter.len());
            let found = rows(whole.as_bytes(), Format::Text, None).unwrap();
            assert_eq!(found, [Row::Captions(vec![whole.clone()])]);
            assert_eq!(shown(&whole), whole);
        }
    }

    #[test]
    fn json_lines_give_the_first_field_that_they_have() {
        let input = br#"{"caption": "a cat", "x": [1, {}]}

{"caption": null, "text": "a dog"}
{"captions": ["one", "", "two"], "caption": "three"}
{"caption": ["four", "five"]}
{"caption": 5}
{"captions": ["six", 7]}
{"captions": []}
{"title": "eight", "title": "nine"}
["ten"]
{"caption": "eleven"
"#;
        let told = short(&rows(input, Format::JsonLines, None).unwrap());
        assert_eq!(told[..4], ["a cat", "a dog", "one||two", "four|five"]);
        let bad = [
            "! line 6: wrong type: caption must be a string or a list of strings, not a number",
            "! line 7: wrong type: captions must be a string or a list of strings, not a number in it",
            "! line 8: without a caption: captions is an empty list",
            "! line 9: not a plain JSON object: key \"title\" occurs twice",
            "! line 10: not a plain JSON object: ",
            "! line 11: not JSON: ",
        ];
        assert_eq!(told.len(), 4 + bad.len());
        for (found, expected) in told[4..].iter().zip(bad) {
            assert!(found.starts_with(expected), "{found}");
        }
        let named =
            rows(b"{\"alt\": \"a\"}\n{\"caption\": \"b\"}\n", Format::JsonLines, Some("alt"));
        assert_eq!(short(&named.unwrap()), ["a", "! line 2: without a caption: it has no alt"]);
    }

    #[test]
    fn rows_without_end_are_passed_over() {
        let mut long = b"{\"caption\": \"".to_vec();
        long.resize(LONGEST_ROW + 100, b'a');
        long.extend(b"\"}\n{\"caption\": \"b\"}");
        let told = short(&rows(&long, Format::JsonLines, None).unwrap());
        assert!(told[0].starts_with("! line 1: too long: more than 16777216 bytes"), "{told:?}");
        assert_eq!(told[1..], ["b"]);
        let many = format!("{{\"captions\": [{}\"\"]}}", "\"\",".repeat(MOST_CAPTIONS));
        let told = short(&rows(many.as_bytes(), Format::JsonLines, None).unwrap());
        assert!(told[0].starts_with("! line 1: too many captions: 1001"));
    }

    #[test]
    fn reading_stops_where_the_taker_does() {
        for (format, input) in [
            (Format::Text, "a\nb\nc\n"),
            (Format::Csv, "caption\na\nb\nc\n"),
            (Format::JsonLines, "{}\n{}\n{}\n"),
        ] {
            let mut seen = 0;
            read(input.as_bytes(), Path::new("x"), format, None, &mut |_| {
                seen += 1;
                if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
            assert_eq!(seen, 2, "{format:?}");
        }
    }
}
