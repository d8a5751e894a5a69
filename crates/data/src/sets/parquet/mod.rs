//! Parquet files of images and captions, as Hugging Face has them. Called by [`ImageTextSet::parquet`].
//!
//! Texts are read at once and images on demand. A file has no place for an image of its own: it stands in a page, with others
//! before it, and the page is read and unpacked for it. Pages that were read lately are kept.

mod encoding;
mod file;
mod images;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::images::ImageColumn;

use self::file::{Leaf, Table};
use super::braces::expand;
use super::json_lines::file_at;
use super::names::{
    BYTES_KEYS, CAPTION_KEYS, CAPTION_LIST, Captions, IMAGE_KEYS, NEGATIVE_KEY, NEGATIVE_LIST,
};
use super::place::ImagePlace;
use super::{ImageTextSet, Sample, not_blank, reason};
use crate::fetch::{Cache, Local};
use crate::{DataError, text};

/// Columns that a message lists.
const LISTED: usize = 24;

pub(super) fn read(
    pattern: &str,
    images_dir: Option<&Path>,
    fields: &[String],
    cache: &Cache<'_>,
) -> Result<ImageTextSet, DataError> {
    let mut set = ImageTextSet::default();
    if let Some(dir) = images_dir {
        // Else every row would be skipped, and the message would name the first images only.
        fs::read_dir(dir).map_err(|source| text::io(dir, source))?;
    }
    for file in cache.local(&files(pattern)?)? {
        read_file(&file, images_dir, fields, &mut set)
            .map_err(|problem| DataError::Format { path: PathBuf::from(&file.name), problem })?;
    }
    if set.samples.is_empty() {
        let why =
            if set.skipped.is_empty() { "there are none".to_owned() } else { set.why_skipped() };
        return Err(DataError::Format {
            path: PathBuf::from(pattern),
            problem: format!("none of its rows can be used: {why}"),
        });
    }
    Ok(set)
}

/// The files that a pattern names, or those of a folder.
fn files(pattern: &str) -> Result<Vec<String>, DataError> {
    let format = |problem| DataError::Format { path: PathBuf::from(pattern), problem };
    let dir = Path::new(pattern);
    if !dir.is_dir() {
        return expand(pattern).map_err(format);
    }
    let wrong = |source| text::io(dir, source);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let end = path.extension();
        if end.is_some_and(|end| end.eq_ignore_ascii_case("parquet")) {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    if files.is_empty() {
        return Err(format("no file in it ends in .parquet".to_owned()));
    }
    files.sort_unstable();
    Ok(files)
}

fn read_file(
    file: &Local,
    images_dir: Option<&Path>,
    fields: &[String],
    set: &mut ImageTextSet,
) -> Result<(), String> {
    let mut table = Table::open(&file.path)?;
    let columns = Columns::of(&table.leaves, fields)?;
    let beside = Path::new(&file.name).parent();
    let images_dir = images_dir.or(beside).unwrap_or(Path::new(""));
    let mut column = ImageColumn::new(file, table.bytes);
    let mut rows = Vec::new();
    for group in 0..table.groups.len() {
        let first = rows.len() as u64;
        rows.extend(columns.group(&mut table, group, first, &mut column)?);
    }
    let column = Arc::new(column);
    for (number, row) in (0..).zip(rows) {
        let place = format!("{} row {number}", file.name);
        match row.sample(&column, number, images_dir, fields, &place) {
            Ok(sample) => set.samples.push(sample),
            Err(why) => set.skipped.push((place, why)),
        }
    }
    Ok(())
}

/// Where a sample's parts stand.
struct Columns {
    /// The column of images' bytes.
    bytes: Option<Leaf>,
    /// The column of images' paths, which counts where there are no bytes.
    path: Option<Leaf>,
    captions: Vec<Leaf>,
    negatives: Vec<Leaf>,
}

impl Columns {
    fn of(leaves: &[Leaf], fields: &[String]) -> Result<Self, String> {
        let text = |key: &&str| {
            let mut leaves = leaves.iter();
            leaves.find(|leaf| leaf.path[0] == **key && leaf.holds_texts()).cloned()
        };
        let within = |key: &str, name: &str| {
            let is_it = |leaf: &&Leaf| leaf.path == [key, name] && leaf.is_bytes;
            leaves.iter().find(|leaf| is_it(leaf) && leaf.max_repetition == 0)
        };
        let is_alone = |leaf: &&Leaf, key: &str| leaf.path == [key] && leaf.is_bytes;
        let bytes = BYTES_KEYS.iter().find_map(|key| {
            let alone = leaves.iter().find(|leaf| is_alone(leaf, key) && !leaf.is_text);
            within(key, "bytes").or(alone.filter(|leaf| leaf.max_repetition == 0))
        });
        let path = match bytes {
            // What `datasets` writes beside the bytes.
            Some(bytes) if bytes.path.len() == 2 => within(&bytes.path[0], "path"),
            Some(_) => None,
            None => IMAGE_KEYS.iter().find_map(|key| {
                let alone = leaves.iter().find(|leaf| is_alone(leaf, key) && leaf.is_text);
                alone.filter(|leaf| leaf.max_repetition == 0)
            }),
        };
        let usual = [CAPTION_LIST].into_iter().chain(CAPTION_KEYS);
        let usual: Vec<Leaf> = usual.filter_map(|key| text(&key)).collect();
        let missing = |what: String| {
            let mut names: Vec<String> = Vec::new();
            for leaf in leaves {
                if names.last().is_none_or(|last| *last != leaf.path[0]) {
                    names.push(leaf.path[0].clone());
                }
            }
            let more = if names.len() > LISTED { ", …" } else { "" };
            names.truncate(LISTED);
            format!("it has no column of {what}; its columns are {names:?}{more}")
        };
        if bytes.is_none() && path.is_none() {
            return Err(missing(format!(
                "images: their bytes, alone or with a path beside them, under {}, or their paths under {}",
                BYTES_KEYS.join(", "),
                IMAGE_KEYS.join(", ")
            )));
        }
        let lacks =
            |names: &str| missing(format!("captions: texts or lists of texts under {names}"));
        let captions = if fields.is_empty() {
            usual
        } else {
            let field = |field: &String| text(&field.as_str()).ok_or_else(|| lacks(field));
            fields.iter().map(field).collect::<Result<_, _>>()?
        };
        if captions.is_empty() {
            let names = format!("{CAPTION_LIST}, {}", CAPTION_KEYS.join(", "));
            return Err(lacks(&names));
        }
        Ok(Self {
            bytes: bytes.cloned(),
            path: path.cloned(),
            captions,
            negatives: [NEGATIVE_LIST, NEGATIVE_KEY].iter().filter_map(text).collect(),
        })
    }

    /// Reads a group of rows, but for the images, which it adds to their column.
    fn group(
        &self,
        table: &mut Table,
        group: usize,
        first: u64,
        images: &mut ImageColumn,
    ) -> Result<Vec<Row>, String> {
        let count = table.rows(group)?;
        let mut has_bytes = vec![false; count];
        if let Some(leaf) = &self.bytes {
            let chunk = table.chunk(group, leaf)?;
            has_bytes = if table.has_no_null(group, leaf) {
                vec![true; chunk.pages.iter().map(|page| page.entries).sum()]
            } else {
                chunk.not_null(&mut table.file)?
            };
            if has_bytes.len() != count {
                return Err("its column of images isn't as long as the others".to_owned());
            }
            images.add(first, chunk, leaf.max_definition);
        }
        let mut rows: Vec<Row> =
            has_bytes.into_iter().map(|has_bytes| Row { has_bytes, ..Row::default() }).collect();
        let is_needed = rows.iter().any(|row| !row.has_bytes);
        if let Some(leaf) = self.path.as_ref().filter(|_| is_needed) {
            for (row, path) in rows.iter_mut().zip(table.texts(group, leaf)?) {
                row.path = path.into_iter().next();
            }
        }
        for leaf in &self.captions {
            for (row, texts) in rows.iter_mut().zip(table.texts(group, leaf)?) {
                row.captions.push(texts);
            }
        }
        for leaf in &self.negatives {
            for (row, texts) in rows.iter_mut().zip(table.texts(group, leaf)?) {
                row.negatives.extend(texts);
            }
        }
        Ok(rows)
    }
}

/// A row, before it's known to be of use.
#[derive(Default)]
struct Row {
    has_bytes: bool,
    path: Option<Vec<u8>>,
    /// Of each column.
    captions: Vec<Vec<Vec<u8>>>,
    negatives: Vec<Vec<u8>>,
}

impl Row {
    /// The sample, or why there's none.
    fn sample(
        self,
        column: &Arc<ImageColumn>,
        row: u64,
        images_dir: &Path,
        fields: &[String],
        place: &str,
    ) -> Result<Sample, String> {
        let captions = if fields.is_empty() {
            // The first column with a text counts.
            let mut captions = Vec::new();
            for column in self.captions {
                captions = texts(&column)?;
                if !captions.is_empty() {
                    break;
                }
            }
            if captions.is_empty() {
                return Err(reason("without a caption", "it is null or blank"));
            }
            Captions::usual(captions)
        } else {
            let mut columns = self.captions.iter();
            Captions::of(fields, |_| columns.next().map_or(Ok(Vec::new()), |column| texts(column)))?
        };
        let image = if self.has_bytes {
            let column = Arc::clone(column);
            ImagePlace::Row { column, row }
        } else {
            let path = self.path.unwrap_or_default();
            let path = str::from_utf8(&path).map_err(|error| reason("not UTF-8", error))?;
            if path.trim().is_empty() {
                return Err(reason("without an image", "it is null or blank"));
            }
            file_at(&images_dir.join(path))?.into()
        };
        Ok(Sample {
            image,
            captions: captions.texts,
            fields: captions.fields,
            negatives: texts(&self.negatives)?,
            place: place.to_owned(),
            part: 0,
        })
    }
}

fn texts(bytes: &[Vec<u8>]) -> Result<Vec<String>, String> {
    let texts: Result<Vec<&str>, _> = bytes.iter().map(|bytes| str::from_utf8(bytes)).collect();
    Ok(not_blank(texts.map_err(|error| reason("not UTF-8", error))?))
}

#[cfg(test)]
mod tests;
