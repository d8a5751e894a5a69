//! A Parquet file's schema and columns.
//!
//! Source: apache/parquet-format: README.md, LogicalTypes.md (lists, maps).

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{
    ConvertedType, FieldRepetitionType, FileMetaData, LogicalType, RowGroup, SchemaElement, Type,
};

use super::cursor::Cursor;
use super::footer;
use super::pages::Chunk;

const LONGEST_FOOTER: u64 = 64 << 20;
/// Most levels of nested columns.
const DEEPEST: usize = 64;
/// Most bytes of the names of columns, each with those around it.
const LONGEST_NAMES: usize = 16 << 20;
/// Bytes of texts that any file may unpack to, and how many times its size a larger one may: a page of a few bytes can have millions of
/// rows.
const ANY_TEXTS: u64 = 128 << 20;
const MOST_TIMES: u64 = 100;
/// Bytes that a row counts beside its texts.
const ROW: u64 = 64;

/// A column with values.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// Its names, the outermost first.
    pub(super) path: Vec<String>,
    /// Its number among the columns with values.
    pub(super) number: usize,
    pub(super) is_bytes: bool,
    /// Bytes marked as text.
    pub(super) is_text: bool,
    /// Keys of a map, such as languages of captions.
    is_map_key: bool,
    pub(super) max_definition: u32,
    pub(super) max_repetition: u32,
}

/// Names of the text in a list of structures, as for JSON's objects.
const TEXTS: [&str; 3] = ["text", "raw", "caption"];

impl Leaf {
    /// Whether a row has a text here or a list of texts: a list's, a map's, or those of a list of structures.
    pub(super) fn holds_texts(&self) -> bool {
        let is_text = |at: usize| TEXTS.contains(&self.path[at].as_str());
        let is_list = match self.path.len() {
            1..=3 => true,
            4 => is_text(1) || is_text(3),
            _ => false,
        };
        let is_list = is_list && self.max_repetition == 1 && !self.is_map_key;
        self.is_bytes && (self.is_scalar() || is_list)
    }

    /// Whether it's a column by itself.
    pub(super) fn is_scalar(&self) -> bool {
        self.path.len() == 1 && self.max_repetition == 0
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) file: BufReader<File>,
    pub(super) bytes: u64,
    pub(super) leaves: Vec<Leaf>,
    pub(super) groups: Vec<RowGroup>,
    /// Bytes of the rows so far.
    unpacked: u64,
}

impl Table {
    /// Reads the footer. Errors are messages.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let words = |error: std::io::Error| error.to_string();
        let mut file = BufReader::new(File::open(path).map_err(words)?);
        let bytes = file.get_ref().metadata().map_err(words)?.len();
        let mut end = [0; 8];
        if bytes >= 12 {
            file.seek(SeekFrom::Start(bytes - 8)).map_err(words)?;
            file.read_exact(&mut end).map_err(words)?;
        }
        let [a, b, c, d, magic @ ..] = end;
        match &magic {
            b"PAR1" => {}
            b"PARE" => return Err("it is encrypted".to_owned()),
            _ => {
                return Err(
                    "it doesn't end like a Parquet file; it is incomplete, or another format"
                        .to_owned(),
                );
            }
        }
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        if length > bytes - 12 {
            return Err("its footer is damaged: it is longer than the file".to_owned());
        }
        if length > LONGEST_FOOTER {
            return Err(format!(
                "its footer has {length} bytes; at most {LONGEST_FOOTER} are read; write it with larger groups of rows"
            ));
        }
        file.seek(SeekFrom::Start(bytes - 8 - length)).map_err(words)?;
        let mut footer = Vec::new();
        file.by_ref().take(length).read_to_end(&mut footer).map_err(words)?;
        footer::check(&footer)?;
        // Structures are larger in memory than in the file.
        let most = footer.len().saturating_mul(64).saturating_add(1 << 20);
        let mut protocol = TCompactInputProtocol::new(footer.as_slice(), most);
        let meta = FileMetaData::read_from_in_protocol(&mut protocol)
            .map_err(|error| format!("its footer is damaged: {error}"))?;
        Ok(Self {
            file,
            bytes,
            leaves: leaves(&meta.schema).ok_or("its footer is damaged: invalid schema")?,
            groups: meta.row_groups,
            unpacked: 0,
        })
    }

    /// The values of a column in a group of rows.
    pub(super) fn chunk(&mut self, group: usize, leaf: &Leaf) -> Result<Chunk, String> {
        let column = self.groups[group].columns.get(leaf.number);
        let meta = column.ok_or("a group of rows lacks a column")?;
        let meta = meta.meta_data.as_ref().ok_or("a column is encrypted")?;
        Chunk::find(&mut self.file, self.bytes, meta, leaf)
    }

    /// The groups that have rows. In one without rows the places of its columns mean nothing.
    pub(super) fn filled_groups(&self) -> Result<Vec<usize>, String> {
        let mut filled = Vec::new();
        for group in 0..self.groups.len() {
            if self.rows(group)? > 0 {
                filled.push(group);
            }
        }
        Ok(filled)
    }

    pub(super) fn rows(&self, group: usize) -> Result<usize, String> {
        let rows = usize::try_from(self.groups[group].num_rows);
        rows.map_err(|_| "its footer is damaged: a negative number of rows".to_owned())
    }

    /// Whether the footer says that a column has no null.
    pub(super) fn has_no_null(&self, group: usize, leaf: &Leaf) -> bool {
        let column = self.groups[group].columns.get(leaf.number);
        let meta = column.and_then(|column| column.meta_data.as_ref());
        let statistics = meta.and_then(|meta| meta.statistics.as_ref());
        let nulls = statistics.and_then(|statistics| statistics.null_count);
        leaf.max_definition == 0 || nulls == Some(0)
    }

    /// The texts of a column in a group of rows.
    pub(super) fn cursor(&mut self, group: usize, leaf: &Leaf) -> Result<Cursor, String> {
        Cursor::new(self.chunk(group, leaf)?, leaf, &mut self.file)
    }

    /// Counts a row with texts of so many bytes.
    pub(super) fn count(&mut self, texts: usize) -> Result<(), String> {
        self.unpacked += ROW + texts as u64;
        if self.unpacked > ANY_TEXTS.max(MOST_TIMES.saturating_mul(self.bytes)) {
            return Err(format!(
                "its rows unpack to more than {MOST_TIMES} times its size, and {ANY_TEXTS} bytes"
            ));
        }
        Ok(())
    }
}

/// An open group of the tree of columns.
struct Open<'a> {
    children: i32,
    /// Children that haven't come yet.
    left: i32,
    definition: u32,
    repetition: u32,
    name: Option<&'a str>,
    is_map: bool,
}

/// The columns with values, from the flattened tree of all columns.
fn leaves(schema: &[SchemaElement]) -> Option<Vec<Leaf>> {
    let (mut leaves, mut names) = (Vec::new(), 0);
    let mut elements = schema.iter();
    let children = elements.next()?.num_children?;
    let root =
        Open { children, left: children, definition: 0, repetition: 0, name: None, is_map: false };
    let mut open = vec![root];
    for element in elements {
        while open.last().is_some_and(|group| group.left <= 0) {
            open.pop();
        }
        let is_in_map = open.iter().rev().nth(1).is_some_and(|group| group.is_map);
        let group = open.last_mut()?;
        let is_first = group.left == group.children;
        group.left -= 1;
        let (mut definition, mut repetition) = (group.definition, group.repetition);
        match element.repetition_type {
            Some(FieldRepetitionType::OPTIONAL) => definition += 1,
            Some(FieldRepetitionType::REPEATED) => {
                definition += 1;
                repetition += 1;
            }
            _ => {}
        }
        if let Some(children) = element.num_children.filter(|_| element.type_.is_none()) {
            if open.len() > DEEPEST {
                return None;
            }
            let is_map = matches!(element.logical_type, Some(LogicalType::MAP(_)))
                || matches!(
                    element.converted_type,
                    Some(ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE)
                );
            let (name, left) = (Some(&*element.name), children);
            open.push(Open { children, left, definition, repetition, name, is_map });
            continue;
        }
        let mut path: Vec<String> =
            open.iter().filter_map(|group| group.name.map(str::to_owned)).collect();
        path.push(element.name.clone());
        names += path.iter().map(String::len).sum::<usize>();
        if names > LONGEST_NAMES {
            return None;
        }
        let is_text = matches!(element.logical_type, Some(LogicalType::STRING(_)))
            || element.converted_type == Some(ConvertedType::UTF8);
        leaves.push(Leaf {
            path,
            number: leaves.len(),
            is_bytes: element.type_ == Some(Type::BYTE_ARRAY),
            is_text,
            // The first of the pairs in a map, whatever its name (LogicalTypes.md, "Maps").
            is_map_key: is_in_map && is_first,
            max_definition: definition,
            max_repetition: repetition,
        });
    }
    Some(leaves)
}
