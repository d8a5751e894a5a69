//! Tables with a header, a row at a time.
//!
//! csv's own reader holds a row however long it is, and a quote without its partner makes a row of the rest of the file. So its
//! parser is used, with a cap.

use std::io::{self, BufRead};
use std::ops::ControlFlow;
use std::path::Path;

use csv_core::ReadRecordResult;

use super::{LONGEST_ROW, Row, Unreadable, kept, lossy, not_utf8, too_long};
use crate::DataError;
use crate::text::{self, reason};

/// Columns that a message lists.
const LISTED: usize = 12;
/// More than a table has columns.
const MOST_COLUMNS: usize = 1 << 16;

pub(super) fn read(
    input: &mut impl BufRead,
    name: &Path,
    delimiter: u8,
    fields: &[&str],
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let failed = |source| text::io(name, source);
    let mut table = Table::new(delimiter);
    if !table.advance(input).map_err(failed)? {
        return Ok(());
    }
    let caption = column(&table, fields)
        .map_err(|problem| DataError::Format { path: name.to_owned(), problem })?;
    let columns = table.columns;
    while table.advance(input).map_err(failed)? {
        if take(row(&table, caption, columns)).is_break() {
            break;
        }
    }
    Ok(())
}

/// The column of the captions by the header, which the table stands at.
fn column(header: &Table, fields: &[&str]) -> Result<usize, String> {
    let is_named = |field: &&str, column: &usize| header.field(*column) == field.as_bytes();
    let found =
        fields.iter().find_map(|field| (0..header.columns).find(|column| is_named(field, column)));
    found.filter(|_| header.is_whole).ok_or_else(|| {
        let mut listed: Vec<String> =
            (0..header.columns.min(LISTED)).map(|column| quoted(header.field(column))).collect();
        if header.columns > LISTED {
            listed.push("…".to_owned());
        }
        format!("no column {}; it has {}", fields.join(" or "), listed.join(", "))
    })
}

/// A column's name as a message quotes it.
pub(crate) fn quoted(name: &[u8]) -> String {
    const LONGEST: usize = 40;
    let name: String = String::from_utf8_lossy(name).chars().take(LONGEST).collect();
    format!("{name:?}")
}

fn row(table: &Table, caption: usize, columns: usize) -> Row {
    let place = || format!("line {}", table.line);
    if !table.is_whole {
        let why = too_long("a quote may lack its partner");
        return Row::new(Err(why), place);
    }
    if table.columns != columns {
        let detail = format!("{} where the header has {columns}", table.columns);
        return Row::new(Err(reason("wrong number of columns", detail)), place);
    }
    let bytes = table.field(caption);
    match std::str::from_utf8(bytes) {
        Ok(text) => Row::Captions(vec![kept(text)]),
        Err(error) => Row::Unreadable(Unreadable {
            place: place(),
            reason: not_utf8(error),
            shown: Some(lossy(bytes)),
        }),
    }
}

/// A table, standing at one of its rows.
pub(crate) struct Table {
    parser: csv_core::Reader,
    /// The row's fields, one behind the other.
    bytes: Vec<u8>,
    /// How much of it is filled.
    length: usize,
    /// Where in `bytes` each field ends.
    ends: Vec<usize>,
    pub(crate) columns: usize,
    /// Whether the row is all there.
    pub(crate) is_whole: bool,
    /// Where the row begins, from 1.
    pub(crate) line: u64,
    /// Line ends that the parser didn't see.
    skipped: u64,
}

impl Table {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            bytes: vec![0; 1 << 12],
            length: 0,
            ends: vec![0; 64],
            columns: 0,
            is_whole: true,
            line: 0,
            skipped: 0,
        }
    }

    pub(crate) fn field(&self, column: usize) -> &[u8] {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[column]]
    }

    /// Goes to the next row; whether there is one. Of a row that is too long nothing is kept.
    pub(crate) fn advance(&mut self, input: &mut impl BufRead) -> io::Result<bool> {
        self.skip_line_ends(input)?;
        self.line = self.parser.line() + self.skipped;
        (self.length, self.columns, self.is_whole) = (0, 0, true);
        loop {
            let buffer = fill(input)?;
            let (result, read, written, ended) = self.parser.read_record(
                buffer,
                &mut self.bytes[self.length..],
                &mut self.ends[self.columns..],
            );
            input.consume(read);
            self.length += written;
            self.columns += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::OutputFull if self.bytes.len() < LONGEST_ROW => {
                    self.bytes.resize(self.bytes.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < MOST_COLUMNS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (self.length, self.columns, self.is_whole) = (0, 0, false);
                }
            }
        }
    }

    /// Blank lines are no rows. The parser passes over them too, but counts them for the row before.
    fn skip_line_ends(&mut self, input: &mut impl BufRead) -> io::Result<()> {
        loop {
            let buffer = fill(input)?;
            let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
            let ends = buffer.iter().take_while(is_end).count();
            let lines = buffer[..ends].iter().filter(|byte| **byte == b'\n');
            self.skipped += lines.count() as u64;
            let is_last = ends < buffer.len() || buffer.is_empty();
            input.consume(ends);
            if is_last {
                return Ok(());
            }
        }
    }
}

/// The bytes that are read and not used yet; none at the end.
fn fill(input: &mut impl BufRead) -> io::Result<&[u8]> {
    // Asked for twice: a buffer that is returned in a loop is borrowed for all of it.
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    input.fill_buf()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, short};
    use super::super::{Format, LONGEST_ROW, Row};

    #[test]
    fn a_table_gives_its_captions_and_names_the_lines_of_bad_rows() {
        let input = b"\xef\xbb\xbfid,caption,url\r\n\r\n1,a cat,x\r\n2,\"a \"\"big\"\",\ndog\",y\r\n3,too few\r\n4,,z\r\n5,bad \xff,z\r\n6,last,z";
        let found = rows(input, Format::Csv, None).unwrap();
        assert_eq!(
            short(&found),
            [
                "a cat",
                "a \"big\",\ndog",
                "! line 6: wrong number of columns: 2 where the header has 3",
                "",
                "! line 8: not UTF-8: at byte 5 of the caption; save the file as UTF-8",
                "last",
            ]
        );
        let Row::Unreadable(bad) = &found[4] else {
            panic!("{found:?}");
        };
        assert_eq!(bad.shown.as_deref(), Some("bad \u{fffd}"));
    }

    #[test]
    fn the_column_is_caption_or_title_or_the_one_that_is_named() {
        let input = b"title\talt\ta\nb\tc\td\n";
        assert_eq!(short(&rows(input, Format::Tsv, None).unwrap()), ["b"]);
        let named = rows(input, Format::Tsv, Some("alt"));
        assert_eq!(short(&named.unwrap()), ["c"]);
        let error = rows(input, Format::Tsv, Some("text")).unwrap_err();
        assert_eq!(error, "input: no column text; it has \"title\", \"alt\", \"a\"");
        let error = rows(b"a,b\n", Format::Csv, None).unwrap_err();
        assert!(error.contains("no column caption or title"), "{error}");
        assert!(rows(b"", Format::Csv, None).unwrap().is_empty());
        assert!(rows(b"caption\n", Format::Csv, None).unwrap().is_empty());
    }

    #[test]
    fn a_quote_without_its_partner_is_held_up_to_the_cap() {
        let mut input = b"caption\na cat\n\"a dog\n".to_vec();
        input.resize(LONGEST_ROW * 2, b'x');
        let found = rows(&input, Format::Csv, None).unwrap();
        let told = short(&found);
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], "a cat");
        assert!(told[1].starts_with("! line 3: too long: "), "{told:?}");
    }

    #[test]
    fn long_rows_and_many_columns_are_read_whole() {
        let header = format!("caption{}\n", ",x".repeat(500));
        let row = format!("{}{}\n", "a ".repeat(5_000), ",y".repeat(500));
        let found = rows(format!("{header}{row}{row}").as_bytes(), Format::Csv, None).unwrap();
        assert_eq!(short(&found), ["a ".repeat(5_000), "a ".repeat(5_000)]);
    }
}
