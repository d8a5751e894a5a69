//! Tables with a header, a row at a time.
//!
//! The csv crate's reader holds rows of any length, such as the rest of a file after an unclosed quote. This limits its parser.

use std::io::{self, BufRead};
use std::ops::ControlFlow;
use std::path::Path;

use csv_core::ReadRecordResult;

use super::{LONGEST_ROW, Row, Unreadable, kept, lossy, not_utf8, too_long};
use crate::DataError;
use crate::text::reason;

/// More than a table has columns.
const MOST_COLUMNS: usize = 1 << 16;

pub(super) fn read(
    input: &mut impl BufRead,
    name: &Path,
    delimiter: u8,
    fields: &[&str],
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let failed = |source| DataError::io(name, source);
    let mut table = Table::new(delimiter);
    if !table.advance(input).map_err(failed)? {
        return Ok(());
    }
    let caption = table.find(fields).filter(|_| table.is_whole).ok_or_else(|| {
        let fields = fields.join(" or ");
        DataError::format(name, format!("no column {fields}; it has {}", table.names()))
    })?;
    let columns = table.columns;
    while table.advance(input).map_err(failed)? {
        let captions = table.check(columns).map(|()| table.field(caption));
        let row = match captions.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            Ok((_, Ok(text))) => Row::Captions(vec![kept(text)]),
            Ok((bytes, Err(error))) => table.unreadable(not_utf8(error), lossy(bytes)),
            Err(reason) => table.unreadable(reason, String::new()),
        };
        if take(row).is_break() {
            break;
        }
    }
    Ok(())
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
    /// False for a row that is too long.
    is_whole: bool,
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

    /// The column of the first of `names` that the header, the current row, has.
    pub(crate) fn find(&self, names: &[&str]) -> Option<usize> {
        let place = |name: &&str| (0..self.columns).find(|at| self.field(*at) == name.as_bytes());
        names.iter().find_map(place)
    }

    /// The names in the header, the current row, for a message.
    pub(crate) fn names(&self) -> String {
        const LISTED: usize = 12;
        const LONGEST: usize = 40;
        let quoted = |column| {
            let name = String::from_utf8_lossy(self.field(column));
            format!("{:?}", name.chars().take(LONGEST).collect::<String>())
        };
        let mut names: Vec<String> = (0..self.columns.min(LISTED)).map(quoted).collect();
        if self.columns > LISTED {
            names.push("…".to_owned());
        }
        names.join(", ")
    }

    /// The reason why the current row can't be used in a table of `columns` columns.
    pub(crate) fn check(&self, columns: usize) -> Result<(), String> {
        if !self.is_whole {
            return Err(too_long("a quote may be unclosed"));
        }
        if self.columns != columns {
            let detail = format!("{} where the header has {columns}", self.columns);
            return Err(reason("wrong number of columns", detail));
        }
        Ok(())
    }

    fn unreadable(&self, reason: String, shown: String) -> Row {
        let place = format!("line {}", self.line);
        Row::Unreadable(Unreadable { place, reason, shown: Some(shown) })
    }

    /// Goes to the next row and returns whether there is one. A row that is too long is dropped.
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

    /// Skips blank lines, which the parser would count as lines of the row before.
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
        assert_eq!(short(&rows(input, Format::Tsv, Some("alt")).unwrap()), ["c"]);
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
        let told = short(&rows(&input, Format::Csv, None).unwrap());
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
