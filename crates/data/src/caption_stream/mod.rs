//! A stream of captions from inputs of any length: lines of text, tables, JSON lines, shards of a web dataset, Parquet files.
//! Documents and folders are read whole.
//!
//! Called by `clove negatives`. Memory use doesn't depend on a stream's length. Rows that can't be used are returned with the reason.
//! The captions are those that [`ImageTextSet`] reads for training; images needn't be there.

mod shard;

use std::fs::File;
use std::io::{BufRead, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clove_negatives::LONGEST_CAPTION;

use crate::DataError;
use crate::fetch::{Cache, Shown, file_name, is_remote};
use crate::photos::files_below;
use crate::sets::fields::Fields;
use crate::sets::files::{files, kind_of_folder};
use crate::sets::rows::Table;
use crate::sets::{ImageTextSet, Options, parquet};
use crate::text::{self, reason};

/// Bytes of a row of a structured format. A longer row is skipped.
const LONGEST_ROW: usize = 16 << 20;
/// Bytes of a caption that are kept: enough to show that it's longer than [`LONGEST_CAPTION`], wherever a character ends.
const KEPT: usize = LONGEST_CAPTION + 8;
/// Most captions of one image. Each is compared with all the others, which for a million would never end.
const MOST_CAPTIONS: usize = 1_000;

/// Negatives are made of all splits.
const ALL: &str = "all";

/// The format of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A caption a line; a blank line counts as one.
    Text,
    /// A table with a header, as [`ImageTextSet::table`] reads it; blank lines are ignored.
    Table,
    /// A JSON object a line; blank lines are ignored.
    JsonLines,
    /// Tar files with a `.json` or `.txt` for each image.
    Webdataset,
    /// Parquet files.
    Parquet,
    /// A document of COCO or Karpathy, or a list of objects.
    Coco,
    /// A folder of images with their texts.
    Folder,
}

impl Format {
    /// The format of a file or folder, or of those that a pattern names, by the end of the name; a `.txt` with columns of images and
    /// captions is a table.
    pub fn of(path: &Path) -> Option<Self> {
        let name = kind_of_folder(path).map_or_else(|| path.to_string_lossy(), Into::into);
        let name = file_name(&name).to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        Some(match name.rsplit_once('.').map(|(_, end)| end) {
            Some("txt") if is_table(path) => Self::Table,
            Some("txt") => Self::Text,
            Some("csv" | "tsv") => Self::Table,
            Some("jsonl" | "ndjson") => Self::JsonLines,
            Some("tar" | "tgz") => Self::Webdataset,
            Some("zst") if name.ends_with(".tar.zst") => Self::Webdataset,
            Some("parquet") => Self::Parquet,
            Some("json") => Self::Coco,
            _ if path.is_dir() => Self::Folder,
            _ => return None,
        })
    }

    /// Whether its rows come from a stream of bytes.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Text | Self::Table | Self::JsonLines | Self::Webdataset)
    }

    /// Ends of the names of its files in a folder.
    fn ends(self) -> &'static [&'static str] {
        match self {
            Self::Text => &[".txt"],
            Self::Table => &[".csv", ".tsv", ".csv.gz", ".tsv.gz"],
            Self::JsonLines => &[".jsonl", ".ndjson", ".jsonl.gz"],
            Self::Webdataset => &crate::sets::shards::ENDS,
            Self::Parquet => &parquet::ENDS,
            Self::Coco | Self::Folder => &[],
        }
    }
}

/// Whether a file is a table of images and captions, such as Flickr8k's captions.txt.
fn is_table(path: &Path) -> bool {
    let table = text::open(path).map(|input| Table::open(input, path, true, &Options::default()));
    matches!(table, Ok(Ok(Some(_))))
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
        let captions = captions.and_then(|captions| match captions.len() {
            ..=MOST_CAPTIONS => Ok(captions.iter().map(|caption| kept(caption)).collect()),
            many => {
                let detail = format_args!("{many} of one image, of {MOST_CAPTIONS} at most");
                Err(reason("too many captions", detail))
            }
        });
        match captions {
            Ok(captions) => Self::Captions(captions),
            Err(reason) => {
                Self::Unreadable(Unreadable { place: place(), reason, shown: Some(String::new()) })
            }
        }
    }

    /// What isn't a row and can't be read.
    fn left_out(place: String, reason: String) -> Self {
        Self::Unreadable(Unreadable { place, reason, shown: None })
    }

    /// The row with the name of its file in its place.
    fn within(self, file: &str) -> Self {
        match self {
            Self::Unreadable(row) => {
                Self::Unreadable(Unreadable { place: format!("{file}: {}", row.place), ..row })
            }
            row @ Self::Captions(_) => row,
        }
    }
}

/// A caption for display, cut at [`LONGEST_CAPTION`].
pub fn shown(caption: &str) -> &str {
    &caption[..caption.floor_char_boundary(LONGEST_CAPTION)]
}

/// Reads the rows of the files that `path` names, by braces, stars or their folder, and gives each to `take` until it stops. `field`
/// is the field of the captions, where it isn't one of the usual ones. `open` gets each file that is read as a stream.
///
/// # Errors
/// Those of [`read`] and of [`ImageTextSet`]'s readers.
pub fn read_files(
    path: &Path,
    format: Format,
    field: Option<&str>,
    cache: &Cache<'_>,
    open: &dyn Fn(File) -> Box<dyn Read>,
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let captions: Vec<String> = field.map(str::to_owned).into_iter().collect();
    let splits = [ALL.to_owned()];
    let options =
        Options { captions: &captions, splits: &splits, captions_only: true, ..Options::default() };
    if let Format::Coco | Format::Folder = format {
        let set = match format {
            Format::Coco => ImageTextSet::coco(path, &options)?,
            _ => ImageTextSet::folder(path, &options)?,
        };
        let rows =
            set.samples.into_iter().map(|sample| Row::new(Ok(sample.captions), || sample.place));
        let skipped = set.skipped.into_iter();
        let skipped = skipped.map(|(place, reason)| Row::left_out(place, reason));
        let _ = rows.chain(skipped).try_for_each(take);
        return Ok(());
    }
    let names = files(&path.to_string_lossy(), format.ends(), &options)?.names;
    let mut is_over = false;
    for name in &names {
        let mut take = |row: Row| {
            let row = if names.len() > 1 { row.within(&Shown(name).to_string()) } else { row };
            let next = take(row);
            is_over = next.is_break();
            next
        };
        if format == Format::Parquet {
            let local = cache.one(name)?;
            parquet::captions(&local, &options, &mut |row, captions| {
                take(Row::new(captions, || format!("row {row}")))
            })?;
        } else {
            // gzip is unpacked while it's read.
            let needs_copy = is_remote(name) || name.to_lowercase().ends_with(".zst");
            let copy = needs_copy.then(|| cache.one(name)).transpose()?;
            let file = copy.as_ref().map_or(Path::new(name), |copy| &copy.path);
            let input = File::open(file).map_err(|source| DataError::io(file, source))?;
            read_by(open(input), Path::new(name), format, &options, &mut take)?;
        }
        if is_over {
            break;
        }
    }
    Ok(())
}

/// The files that [`read_files`] reads.
///
/// # Errors
/// [`DataError::Io`] for a folder that can't be listed; [`DataError::Format`] for an invalid pattern, and one that names no file.
pub fn inputs(path: &Path, format: Format) -> Result<Vec<PathBuf>, DataError> {
    if format == Format::Folder {
        return Ok(files_below(path)?.into_iter().map(|file| file.path).collect());
    }
    let splits = [ALL.to_owned()];
    let options = Options { splits: &splits, ..Options::default() };
    let names = files(&path.to_string_lossy(), format.ends(), &options)?.names;
    Ok(names.into_iter().map(PathBuf::from).collect())
}

/// Reads the rows of `input`, gives each to `take`, and stops where `take` does. `field` is the column or field of the captions, where
/// it isn't one of the usual ones; `name` stands for the input in errors. An input may be packed with gzip, or a text in UTF-16.
///
/// # Errors
/// [`DataError::Io`] if the input can't be read, and [`DataError::Format`] if a table lacks the column, a shard has no texts, and for
/// a format that isn't a stream.
pub fn read(
    input: impl Read,
    name: &Path,
    format: Format,
    field: Option<&str>,
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let captions: Vec<String> = field.map(str::to_owned).into_iter().collect();
    let options = Options { captions: &captions, captions_only: true, ..Options::default() };
    read_by(input, name, format, &options, take)
}

fn read_by(
    input: impl Read,
    name: &Path,
    format: Format,
    options: &Options<'_>,
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let mut input = text::plain(input).map_err(|source| DataError::io(name, source))?;
    match format {
        Format::Text => {
            let row = |line: &[u8], is_cut, number| Some(text_row(line, is_cut, number));
            read_lines(&mut input, name, KEPT, row, take)
        }
        Format::JsonLines => {
            let row = |line: &[u8], is_cut, number| json_row(line, is_cut, number, options);
            read_lines(&mut input, name, LONGEST_ROW, row, take)
        }
        Format::Table => read_table(input, name, options, take),
        Format::Webdataset => shard::read(input, name, options, take),
        Format::Parquet | Format::Coco | Format::Folder => {
            Err(DataError::format(name, "this format is read from files alone"))
        }
    }
}

fn read_table(
    input: impl BufRead,
    name: &Path,
    options: &Options<'_>,
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let Some(mut table) = Table::open(input, name, false, options)? else {
        return Ok(());
    };
    while table.advance()? {
        let captions = table.check().and_then(|()| table.captions(options));
        let captions = captions.map(|captions| captions.texts);
        let mut row = Row::new(captions, || format!("line {}", table.line));
        if let Row::Unreadable(row) = &mut row
            && table.check().is_ok()
            && let Some(column) = table.columns.captions.first()
        {
            row.shown = Some(lossy(table.field(*column)));
        }
        if take(row).is_break() {
            break;
        }
    }
    Ok(())
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

fn json_row(line: &[u8], is_cut: bool, number: u64, options: &Options<'_>) -> Option<Row> {
    if line.trim_ascii().is_empty() {
        return None;
    }
    let captions = if is_cut {
        let detail = format_args!("more than {LONGEST_ROW} bytes; write one JSON object a line");
        Err(reason("too long", detail))
    } else {
        let captions = Fields::parse(line).and_then(|fields| fields.captions(options));
        captions.map(|captions| captions.texts)
    };
    Some(Row::new(captions, || format!("line {number}")))
}

#[cfg(test)]
mod tests;
