//! Files of JSON objects, one sample each: one a line, or in a list.

use std::mem;
use std::ops::ControlFlow;
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::fields::Fields;
use super::files::Reader;
use super::splits::{Row, Rows};
use super::{ImageTextSet, IndexedSet, Options, reason};
use crate::fetch::{Cache, Watch};
use crate::json::{self, UniqueMap};
use crate::{DataError, text};

/// Bytes of a line, far more than a sample has: a file without line ends is refused before memory runs out.
const LONGEST_LINE: usize = 16 << 20;
/// Bytes of lines that are looked at together.
const BATCH: usize = 1 << 18;

impl ImageTextSet {
    /// [`IndexedSet::json_lines`] in memory.
    ///
    /// # Errors
    /// Those of [`IndexedSet::json_lines`].
    pub fn json_lines(path: &Path, options: &Options<'_>) -> Result<Self, DataError> {
        IndexedSet::json_lines(path, options, &Cache::silent(None))?.into_memory()
    }
}

impl IndexedSet {
    /// The objects of JSON files in their order: one a line, or those of a list.
    ///
    /// `path` is a file, several by braces and stars, or a folder. The image's path is under `image`, `file_name`, `filename`, `filepath`,
    /// `path` or the like, relative to `options.images` or else to the file's folder; it may be absolute or lead out of there. Of a list
    /// of images each is a sample. Captions are under `captions`, `caption`, `text`, `txt`, `title`, `sentences`, `raw` or `comment`, each a
    /// string or a list of strings or of objects with `raw` or `text`; the first of these keys that has a text counts. Negatives are
    /// likewise under `negatives`, `negative`, `neg_caption` and the like (also as `clove negatives` writes them); all of them count. Names
    /// of keys match in any case. Null, NaN, an empty list and a blank string count as absent. Other keys are ignored.
    ///
    /// Blank lines are ignored. A line that is no such object, or whose image is missing, is skipped. Of rows with a `split` those are
    /// read that `options` asks for.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file or folder of images; [`DataError::Format`] for a line above 16 MiB, a list that isn't JSON, an
    /// unknown split, and if no row can be used; [`DataError::Stopped`] where the cache's listener stops.
    pub fn json_lines(
        path: &Path,
        options: &Options<'_>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        let reader = Reader {
            kind: "json-lines",
            ends: &[".jsonl", ".ndjson", ".jsonl.gz", ".json"],
            problem: "no usable row; each should be a JSON object with the path of an image file under image or file_name, and a \
                      caption under caption, captions, text or title",
        };
        reader.rows(path, options, cache, |file, images, rows, watch| {
            if json::is_list(file)? {
                return list(file, images, options, rows);
            }
            let wrong = |source| DataError::io(file, source);
            let mut input = text::open(file).map_err(wrong)?;
            let mut batch = Batch { file, images, options, lines: Vec::new(), bytes: 0 };
            let ended = text::each_line(&mut input, LONGEST_LINE, |line, is_cut, number| {
                if is_cut {
                    let problem = format!(
                        "line {number} is longer than {LONGEST_LINE} bytes; write one JSON object a line"
                    );
                    return ControlFlow::Break(DataError::format(file, problem));
                }
                batch.bytes += line.len() + 1;
                if !line.trim_ascii().is_empty() {
                    batch.lines.push((number, line.to_vec()));
                }
                let added = if batch.bytes < BATCH { Ok(()) } else { batch.add_to(rows, watch) };
                added.map_or_else(ControlFlow::Break, ControlFlow::Continue)
            });
            match ended.map_err(wrong)? {
                Some(error) => Err(error),
                None => batch.add_to(rows, watch),
            }
        })
    }
}

/// Lines of a file.
struct Batch<'a> {
    file: &'a Path,
    images: &'a Path,
    options: &'a Options<'a>,
    /// With their numbers.
    lines: Vec<(u64, Vec<u8>)>,
    bytes: usize,
}

impl Batch<'_> {
    /// Adds the samples of the lines, which are looked at on all cores.
    fn add_to(&mut self, rows: &mut Rows, watch: &mut Watch<'_, '_>) -> Result<(), DataError> {
        let look =
            |(_, line): &(u64, Vec<u8>)| look(Fields::parse(line), self.images, self.options);
        let found: Vec<Result<Row, String>> = self.lines.par_iter().map(look).collect();
        for ((number, _), row) in self.lines.drain(..).zip(found) {
            let place = format!("{} line {number}", self.file.display());
            add(row, &place, self.images, rows);
        }
        watch.read(mem::take(&mut self.bytes) as u64)?;
        rows.check()
    }
}

/// An item of a list. What is no object, or has a key twice, sinks only itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Object(UniqueMap<Value>),
    Other(Value),
}

/// Adds the objects of a list, such as BLIP's `coco_karpathy_train.json`.
pub(super) fn list(
    file: &Path,
    images: &Path,
    options: &Options<'_>,
    rows: &mut Rows,
) -> Result<(), DataError> {
    let mut number = 0;
    json::each_item(file, |item: Item| {
        let fields = match item {
            Item::Object(fields) => Ok(Fields(fields)),
            Item::Other(Value::Object(_)) => Err("a key occurs twice"),
            Item::Other(other) => Err(json::kind(&other)),
        };
        let fields = fields.map_err(|why| reason("not a plain JSON object", why));
        let row = look(fields, images, options);
        add(row, &format!("{} item {number}", file.display()), images, rows);
        number += 1;
    })
}

/// An object's samples, or why there is no object.
fn look(
    fields: Result<Fields, String>,
    images: &Path,
    options: &Options<'_>,
) -> Result<Row, String> {
    let fields = fields?;
    let row = fields.captions(options).and_then(|captions| {
        let negatives = fields.negatives(options)?;
        Ok((fields.images(options)?, captions, negatives))
    });
    Ok(Row::of(fields.split(), images, row, options))
}

fn add(row: Result<Row, String>, place: &str, images: &Path, rows: &mut Rows) {
    match row {
        Err(why) => rows.skip(place, &why),
        Ok(row) => rows.push_row(place, images, row),
    }
}

#[cfg(test)]
mod tests;
