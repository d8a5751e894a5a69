//! Parquet files of images and captions, as Hugging Face has them.
//!
//! Texts are read at once and images on demand, with the page that they share with others. A cache holds the pages read last.

mod cursor;
mod encoding;
mod file;
mod footer;
mod images;
mod pages;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

pub use self::images::ImageColumn;

use self::cursor::{Cursor, Texts};
use self::file::{Leaf, Table};
use super::fields::{
    BYTES_KEYS, CAPTION_KEYS, Captions, NEGATIVE_KEYS, SPLIT_KEY, find, given, image_at,
    image_keys, texts_in,
};
use super::files::files;
use super::index::{Opening, Source};
use super::place::ImagePlace;
use super::splits::Rows;
use super::{Found, ImageTextSet, IndexedSet, Options, not_blank, reason};
use crate::DataError;
use crate::fetch::{Cache, Local};
use crate::text::utf8;

/// Most columns in a message.
const LISTED: usize = 24;

/// Ends of the names of files.
pub(crate) const ENDS: [&str; 1] = [".parquet"];

impl ImageTextSet {
    /// [`IndexedSet::parquet`] in memory.
    ///
    /// # Errors
    /// Those of [`IndexedSet::parquet`].
    pub fn parquet(
        pattern: &str,
        options: &Options<'_>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        IndexedSet::parquet(pattern, options, cache)?.into_memory()
    }
}

impl IndexedSet {
    /// The rows of Parquet files, in their order, as Hugging Face's image-text sets have them.
    ///
    /// `pattern` names one file, several by braces (`train-{00000..00041}-of-00042.parquet`) or stars (`train-*.parquet`), or a
    /// folder, whose files ending in `.parquet` are read in the order of their names, or else those below it (`data/`). Of files or
    /// rows with splits those of `options` are read.
    ///
    /// An image's bytes are in a binary column `image`, `img`, `jpg`, `jpeg`, `png`, `webp`, `picture` or `image_bytes`, or in
    /// `bytes` within it, as `datasets` writes them; the first of these counts. Without bytes the image is a file; its path is in
    /// `path` within that column or in a text column named as in [`Self::json_lines`]. Captions and negatives are texts, lists of
    /// texts or of structures with a text, or the values of a map, in columns named as in [`Self::json_lines`]; a text within a
    /// structure is `caption.en`. Rows count from 0; one without an image or a caption, and one that isn't UTF-8, is skipped. Pages
    /// may be compressed with snappy, gzip or zstd. Remote files are copied to `cache` first.
    ///
    /// Images stay in the file. Reading one means reading and decompressing its page with all images in it, which is the cost of each
    /// image in a random order. The pages read last stay in memory: 512 MiB for all sets together, with what
    /// reading them takes, or a single larger page. From web dataset shards an image is read alone.
    ///
    /// # Errors
    /// [`DataError::Io`] for a file or folder that can't be read; [`DataError::Format`] for a damaged file, missing columns, another
    /// compression, an invalid pattern, an unknown split, and if no row can be used; for remote files as [`Self::shards`].
    pub fn parquet(
        pattern: &str,
        options: &Options<'_>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        // A given folder must be there before files are copied.
        options.images_dir(Path::new(pattern))?;
        let files = files(pattern, &ENDS, options)?;
        let local = cache.local(&files.names)?;
        let opening = Opening::of("parquet", &local, options, cache);
        let mut set = if let Some(set) = opening.find(|| columns_of(&local, options))? {
            set
        } else {
            let (mut rows, mut have_splits) = (Rows::new(opening.home()), !files.have_splits);
            let mut watch = cache.watch(pattern, local.iter().map(Local::size).sum());
            for file in &local {
                let images_dir = options.images_dir(Path::new(&file.name))?;
                have_splits |= read_file(file, images_dir, options, &mut rows)
                    .map_err(|problem| DataError::format(&file.name, problem))?;
                rows.check()?;
                watch.read(file.size())?;
            }
            // Splits that are asked for by the names of files needn't be those of rows.
            let splits = if have_splits { options.splits } else { &[] };
            opening.keep(rows.finish(Path::new(pattern), &Options { splits, ..*options })?)?
        };
        set.notes.extend(files.note);
        set.unless_empty(pattern, || "no usable row".to_owned())
    }
}

/// Adds a file's rows and returns whether they have splits.
fn read_file(
    file: &Local,
    images_dir: &Path,
    options: &Options<'_>,
    rows: &mut Rows,
) -> Result<bool, String> {
    let mut table = Table::open(&file.path)?;
    let groups = table.filled_groups()?;
    // A file without rows needn't have the columns: their types aren't known.
    if groups.is_empty() {
        return Ok(false);
    }
    let columns = Columns::of(&table.leaves, true, options)?;
    let column = Arc::new(columns.images(file, &mut table, &groups)?);
    rows.source(Source::Column(Arc::clone(&column)));
    let mut number = 0;
    for group in groups {
        let mut group = columns.group(&mut table, group)?;
        while let Some(row) = group.next(&mut table)? {
            let place = format!("{} row {number}", file.name);
            let split = row.split.as_ref().map(|split| String::from_utf8_lossy(split).into_owned());
            let mut missing = None;
            let found = row.sample(&column, number, images_dir, options, &mut missing);
            if let Some(path) = missing {
                rows.miss(images_dir, &path);
            }
            rows.push(place, split.as_deref(), found);
            number += 1;
        }
    }
    Ok(columns.split.is_some())
}

/// The columns of images of the files that have rows.
fn columns_of(files: &[Local], options: &Options<'_>) -> Result<Vec<Source>, DataError> {
    let mut columns = Vec::new();
    for file in files {
        let mut read = || -> Result<(), String> {
            let mut table = Table::open(&file.path)?;
            let groups = table.filled_groups()?;
            if !groups.is_empty() {
                let column = Columns::of(&table.leaves, true, options)?;
                let column = Arc::new(column.images(file, &mut table, &groups)?);
                columns.push(Source::Column(column));
            }
            Ok(())
        };
        read().map_err(|problem| DataError::format(&file.name, problem))?;
    }
    Ok(columns)
}

/// Gives the captions of each row of a file to `take`, with its number, until it stops; images aren't looked at.
pub(crate) fn captions(
    file: &Local,
    options: &Options<'_>,
    take: &mut dyn FnMut(usize, Result<Vec<String>, String>) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let wrong = |problem| DataError::format(&file.name, problem);
    let mut table = Table::open(&file.path).map_err(wrong)?;
    let groups = table.filled_groups().map_err(wrong)?;
    if groups.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(&table.leaves, false, options).map_err(wrong)?;
    let columns =
        Columns { bytes: None, path: None, negatives: Vec::new(), split: None, ..columns };
    let mut number = 0;
    for group in groups {
        let mut group = columns.group(&mut table, group).map_err(wrong)?;
        while let Some(row) = group.next(&mut table).map_err(wrong)? {
            let captions = row.captions(options).map(|captions| captions.texts);
            if take(number, captions).is_break() {
                return Ok(());
            }
            number += 1;
        }
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
    split: Option<Leaf>,
}

impl Columns {
    fn of(leaves: &[Leaf], needs_image: bool, options: &Options<'_>) -> Result<Self, String> {
        // The column named `key` among those that `is_it` holds for.
        let named = |key: &str, is_it: &dyn Fn(&Leaf) -> bool| {
            let those: Vec<&Leaf> = leaves.iter().filter(|leaf| is_it(leaf)).collect();
            let place = find(&[key], those.iter().map(|leaf| leaf.path[0].as_str()))?;
            those.get(place).map(|leaf| (*leaf).clone())
        };
        let text = |key: &str| {
            named(key, &Leaf::holds_texts).or_else(|| {
                let is_within = |leaf: &&Leaf| leaf.is_bytes && leaf.path.join(".") == key;
                leaves.iter().find(is_within).cloned()
            })
        };
        let within = |key: &str, name: &str| {
            let is_it = |leaf: &Leaf| {
                leaf.is_bytes
                    && leaf.max_repetition == 0
                    && leaf.path.len() == 2
                    && leaf.path[1] == name
            };
            named(key, &is_it)
        };
        let given_image = options.image.as_slice();
        let bytes_keys = if given_image.is_empty() { &BYTES_KEYS[..] } else { given_image };
        let bytes = bytes_keys.iter().find_map(|key| {
            let is_binary = |leaf: &Leaf| leaf.is_scalar() && leaf.is_bytes && !leaf.is_text;
            within(key, "bytes").or_else(|| named(key, &is_binary))
        });
        let path_keys = image_keys(options);
        let path = match &bytes {
            // What `datasets` writes beside the bytes.
            Some(bytes) if bytes.path.len() == 2 => within(&bytes.path[0], "path"),
            Some(_) => None,
            None => path_keys
                .iter()
                .find_map(|key| named(key, &|leaf| leaf.is_scalar() && leaf.is_text)),
        };
        let missing = |what: String| {
            let mut names: Vec<&str> = leaves.iter().map(|leaf| leaf.path[0].as_str()).collect();
            names.dedup();
            let more = if names.len() > LISTED { ", …" } else { "" };
            names.truncate(LISTED);
            format!("it has no column of {what}; its columns are {names:?}{more}")
        };
        if needs_image && bytes.is_none() && path.is_none() {
            let address = named("url", &|_| true);
            let address = address.map(|_| "; download the images of its addresses first");
            let problem = missing(format!(
                "images: their bytes, alone or with a path beside them, under {}, or their paths under {}",
                bytes_keys.join(", "),
                path_keys.join(", ")
            ));
            return Err(problem + address.unwrap_or_default());
        }
        let keys = given(options.captions, &CAPTION_KEYS);
        let captions: Vec<Leaf> = keys.iter().filter_map(|key| text(key)).collect();
        if captions.is_empty() || captions.len() < options.captions.len() {
            let lacking = keys.iter().find(|key| text(key).is_none());
            let lacking = lacking.filter(|_| !options.captions.is_empty());
            let names = lacking.map_or_else(|| keys.join(", "), |key| (*key).to_owned());
            let problem = missing(format!("captions: texts or lists of texts under {names}"));
            // A structure of texts, for example by language.
            let is_there = |leaf: &Leaf| leaf.is_bytes && leaf.path.len() > 1;
            let structure = keys.iter().find_map(|key| named(key, &is_there));
            let structure = structure.map(|leaf| {
                format!(
                    "; the texts in its column {:?} are named like {:?}",
                    leaf.path[0],
                    leaf.path.join(".")
                )
            });
            return Err(problem + &structure.unwrap_or_default());
        }
        let negatives = given(options.negatives, &NEGATIVE_KEYS);
        Ok(Self {
            bytes,
            path,
            captions,
            negatives: negatives.iter().filter_map(|key| text(key)).collect(),
            split: named(SPLIT_KEY, &|leaf| leaf.is_scalar() && leaf.is_text),
        })
    }

    /// The column of images of groups of rows.
    fn images(
        &self,
        file: &Local,
        table: &mut Table,
        groups: &[usize],
    ) -> Result<ImageColumn, String> {
        let mut images = ImageColumn::new(file, table.bytes);
        let mut first = 0;
        if let Some(leaf) = &self.bytes {
            for &group in groups {
                let (chunk, rows) = (table.chunk(group, leaf)?, table.rows(group)?);
                if chunk.entries() != rows {
                    return Err("its column of images isn't as long as the others".to_owned());
                }
                images.add(first, chunk, leaf.max_definition);
                first += rows as u64;
            }
        }
        Ok(images)
    }

    /// A group of rows, to read one by one, but for the images.
    fn group(&self, table: &mut Table, group: usize) -> Result<Group, String> {
        let mut cursors = |leaves: &[Leaf]| -> Result<Vec<(Cursor, bool)>, String> {
            let cursor = |leaf: &Leaf| -> Result<(Cursor, bool), String> {
                Ok((table.cursor(group, leaf)?, !leaf.is_scalar()))
            };
            leaves.iter().map(cursor).collect()
        };
        let (captions, negatives) = (cursors(&self.captions)?, cursors(&self.negatives)?);
        let split = self.split.as_ref().map(|leaf| table.cursor(group, leaf)).transpose()?;
        // Where no value is null, the pages needn't be read.
        let nullable = self.bytes.as_ref().filter(|leaf| !table.has_no_null(group, leaf));
        let images = nullable.map(|leaf| table.cursor(group, leaf)).transpose()?;
        Ok(Group {
            number: group,
            rows: table.rows(group)?,
            at: 0,
            captions,
            negatives,
            split,
            has_images: self.bytes.is_some(),
            images,
            paths: self.path.clone(),
            path: None,
        })
    }
}

/// A group of rows, standing at one of them.
struct Group {
    number: usize,
    /// As many as the footer says, which may be any number.
    rows: usize,
    at: usize,
    captions: Vec<(Cursor, bool)>,
    negatives: Vec<(Cursor, bool)>,
    split: Option<Cursor>,
    has_images: bool,
    /// If some may be null.
    images: Option<Cursor>,
    paths: Option<Leaf>,
    /// Read where a row has no bytes.
    path: Option<Cursor>,
}

impl Group {
    /// The next row; `None` after the last.
    fn next(&mut self, table: &mut Table) -> Result<Option<Row>, String> {
        let (at, file) = (self.at, &mut table.file);
        if at == self.rows {
            let lists = self.captions.iter_mut().chain(&mut self.negatives);
            let lists = lists.map(|(cursor, _)| cursor);
            // The column of paths stands where it was needed last.
            let others = self.split.iter_mut().chain(&mut self.images);
            lists.chain(others).try_for_each(|cursor| cursor.end(file))?;
            return Ok(None);
        }
        self.at += 1;
        let mut cells = |cursors: &mut [(Cursor, bool)]| -> Result<Vec<Cell>, String> {
            let cell = |(cursor, is_list): &mut (Cursor, bool)| -> Result<Cell, String> {
                Ok(Cell { texts: cursor.texts(at, file)?, is_list: *is_list })
            };
            cursors.iter_mut().map(cell).collect()
        };
        let mut row = Row {
            captions: cells(&mut self.captions)?,
            negatives: cells(&mut self.negatives)?,
            has_bytes: self.has_images,
            ..Row::default()
        };
        if let Some(split) = &mut self.split {
            row.split = first(split.texts(at, file)?);
        }
        if let Some(images) = &mut self.images {
            row.has_bytes = images.is_there(at, file)?;
        }
        if let Some(leaf) = self.paths.as_ref().filter(|_| !row.has_bytes) {
            let path = match &mut self.path {
                Some(path) => path,
                none => none.insert(table.cursor(self.number, leaf)?),
            };
            row.path = first(path.texts(at, &mut table.file)?);
        }
        table.count(row.bytes())?;
        Ok(Some(row))
    }
}

fn first(texts: Texts) -> Option<Vec<u8>> {
    texts.ok()?.into_iter().next()
}

/// The texts of a row in a column.
struct Cell {
    texts: Texts,
    is_list: bool,
}

impl Cell {
    /// Its texts. A text that isn't one of a list may be a list itself, as JSON and Python write it.
    fn texts(&self) -> Result<Vec<String>, String> {
        let texts = self.texts.as_ref().map_err(Clone::clone)?;
        let texts = texts.iter().map(|bytes| utf8(bytes));
        let texts = texts.collect::<Result<Vec<&str>, String>>()?;
        Ok(if self.is_list {
            not_blank(texts)
        } else {
            texts.into_iter().flat_map(texts_in).collect()
        })
    }
}

/// The columns of a row.
#[derive(Default)]
struct Row {
    has_bytes: bool,
    path: Option<Vec<u8>>,
    split: Option<Vec<u8>>,
    /// Of each column.
    captions: Vec<Cell>,
    negatives: Vec<Cell>,
}

impl Row {
    /// Bytes of its texts.
    fn bytes(&self) -> usize {
        let cells = self.captions.iter().chain(&self.negatives);
        let texts = cells.filter_map(|cell| cell.texts.as_ref().ok()).flatten();
        texts.chain(&self.path).map(Vec::len).sum()
    }

    fn captions(&self, options: &Options<'_>) -> Result<Captions, String> {
        Captions::of_columns(options.captions, self.captions.iter().map(Cell::texts))
    }

    /// The sample; `missing` gets the path of an image that isn't there.
    fn sample(
        self,
        column: &Arc<ImageColumn>,
        row: u64,
        images_dir: &Path,
        options: &Options<'_>,
        missing: &mut Option<String>,
    ) -> Found {
        let captions = self.captions(options)?;
        let image = if self.has_bytes {
            ImagePlace::Row { column: Arc::clone(column), row }
        } else {
            let path = self.path.unwrap_or_default();
            let path = utf8(&path)?;
            if path.trim().is_empty() {
                return Err(reason("without an image", "it is null or blank"));
            }
            match image_at(images_dir, path) {
                Ok(image) => image.into(),
                Err(why) => {
                    *missing = Some(path.to_owned());
                    return Err(why);
                }
            }
        };
        let negatives = self.negatives.iter().map(Cell::texts);
        let negatives = negatives.collect::<Result<Vec<_>, String>>()?;
        Ok((image, captions, negatives.concat()))
    }
}

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod tests;
