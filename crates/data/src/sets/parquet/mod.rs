//! Parquet files of images and captions, as Hugging Face has them.
//!
//! Texts are read at once and images on demand, with the page that they share with others. A cache holds the pages read last.

mod encoding;
mod file;
mod images;
mod pages;

use std::fs;
use std::path::Path;
use std::sync::Arc;

pub use self::images::ImageColumn;

use self::file::{Leaf, Table};
use super::braces::expand;
use super::json_lines::file_at;
use super::names::{
    BYTES_KEYS, CAPTION_KEYS, CAPTION_LIST, Captions, IMAGE_KEYS, NEGATIVE_KEY, NEGATIVE_LIST,
};
use super::place::ImagePlace;
use super::{Found, ImageTextSet, images_dir, not_blank, reason};
use crate::DataError;
use crate::fetch::{Cache, Local};
use crate::text::utf8;

/// Most columns in a message.
const LISTED: usize = 24;

impl ImageTextSet {
    /// The rows of Parquet files, in their order, as Hugging Face's image-text sets have them.
    ///
    /// `pattern` names one file, several by braces (`train-{00000..00041}-of-00042.parquet`), or a folder, whose files ending in
    /// `.parquet` are read in the order of their names. An image's bytes are in a binary column `image`, `img`, `jpg`, `jpeg`, `png`,
    /// `webp`, `picture` or `image_bytes`, or in `bytes` within it, as `datasets` writes them; the first of these counts. Without
    /// bytes the image is a file; its path is in `path` within that column or in a text column named as in [`Self::json_lines`],
    /// relative to `images_dir` or else to the file's folder. Captions and negatives are texts or lists of texts, in columns named as in
    /// [`Self::json_lines`]. Rows count from 0; one without an image or a caption, and one that isn't UTF-8, is skipped. `fields`
    /// replaces the columns of captions. Pages may be compressed with snappy, gzip or zstd. Remote files are copied to `cache` first.
    ///
    /// Images stay in the file. Reading one means reading and decompressing its page with all images in it, which is the cost of each
    /// image in a random order. The pages read last stay in memory: about 512 MiB for all sets together, counted as twice the
    /// compressed size, or a single larger page. From web dataset shards an image is read alone.
    ///
    /// # Errors
    /// [`DataError::Io`] for a file or folder that can't be read; [`DataError::Format`] for a damaged file, missing columns, another
    /// compression, an invalid pattern, and if no row can be used; for remote files as [`Self::shards`].
    pub fn parquet(
        pattern: &str,
        images_dir: Option<&Path>,
        fields: &[String],
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        let mut set = Self::default();
        if let Some(dir) = images_dir {
            self::images_dir(dir, images_dir)?;
        }
        for file in cache.local(&files(pattern)?)? {
            let images_dir = self::images_dir(Path::new(&file.name), images_dir)?;
            read_file(&file, images_dir, fields, &mut set)
                .map_err(|problem| DataError::format(&file.name, problem))?;
        }
        set.unless_empty(pattern, || "no usable row".to_owned())
    }
}

/// The files that a pattern names, or those of a folder.
fn files(pattern: &str) -> Result<Vec<String>, DataError> {
    let dir = Path::new(pattern);
    if !dir.is_dir() {
        return expand(pattern).map_err(|problem| DataError::format(dir, problem));
    }
    let wrong = |source| DataError::io(dir, source);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet")) {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    if files.is_empty() {
        return Err(DataError::format(dir, "no file in it ends in .parquet"));
    }
    files.sort_unstable();
    Ok(files)
}

fn read_file(
    file: &Local,
    images_dir: &Path,
    fields: &[String],
    set: &mut ImageTextSet,
) -> Result<(), String> {
    let mut table = Table::open(&file.path)?;
    let columns = Columns::of(&table.leaves, fields)?;
    let mut column = ImageColumn::new(file, table.bytes);
    let mut rows = Vec::new();
    for group in 0..table.groups.len() {
        let first = rows.len() as u64;
        rows.extend(columns.group(&mut table, group, first, &mut column)?);
    }
    let column = Arc::new(column);
    for (number, row) in (0..).zip(rows) {
        let place = format!("{} row {number}", file.name);
        set.push(place, row.sample(&column, number, images_dir, fields));
    }
    Ok(())
}

/// The columns of a sample's parts.
struct Columns {
    /// The column of images' bytes.
    bytes: Option<Leaf>,
    /// The column of images' paths, for rows without bytes.
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
        let single = |path: &[&str], is_it: fn(&Leaf) -> bool| {
            let is_single = |leaf: &&Leaf| leaf.path == path && leaf.is_bytes && is_it(leaf);
            leaves.iter().find(is_single).filter(|leaf| leaf.max_repetition == 0)
        };
        let bytes = BYTES_KEYS.iter().find_map(|key| {
            let within = single(&[*key, "bytes"], |_| true);
            within.or_else(|| single(&[*key], |leaf| !leaf.is_text))
        });
        let path = match bytes {
            // What `datasets` writes beside the bytes.
            Some(bytes) if bytes.path.len() == 2 => single(&[&bytes.path[0], "path"], |_| true),
            Some(_) => None,
            None => IMAGE_KEYS.iter().find_map(|key| single(&[*key], |leaf| leaf.is_text)),
        };
        let usual = [CAPTION_LIST].into_iter().chain(CAPTION_KEYS);
        let usual: Vec<Leaf> = usual.filter_map(|key| text(&key)).collect();
        let missing = |what: String| {
            let mut names: Vec<&str> = leaves.iter().map(|leaf| leaf.path[0].as_str()).collect();
            names.dedup();
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

/// The columns of a row.
#[derive(Default)]
struct Row {
    has_bytes: bool,
    path: Option<Vec<u8>>,
    /// Of each column.
    captions: Vec<Vec<Vec<u8>>>,
    negatives: Vec<Vec<u8>>,
}

impl Row {
    fn sample(
        self,
        column: &Arc<ImageColumn>,
        row: u64,
        images_dir: &Path,
        fields: &[String],
    ) -> Found {
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
            ImagePlace::Row { column: Arc::clone(column), row }
        } else {
            let path = self.path.unwrap_or_default();
            let path = utf8(&path)?;
            if path.trim().is_empty() {
                return Err(reason("without an image", "it is null or blank"));
            }
            file_at(&images_dir.join(path))?.into()
        };
        Ok((image, captions, texts(&self.negatives)?))
    }
}

fn texts(bytes: &[Vec<u8>]) -> Result<Vec<String>, String> {
    bytes.iter().map(|bytes| utf8(bytes)).collect::<Result<Vec<_>, _>>().map(not_blank)
}

#[cfg(test)]
mod tests;
