//! Files of JSON objects, one sample each: one a line, or in a list.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::fields::Fields;
use super::files::by_rows;
use super::splits::Rows;
use super::{ImageTextSet, Options, reason};
use crate::json::{self, UniqueMap};
use crate::{DataError, text};

/// Bytes of a line, far more than a sample has: a file without line ends is refused before memory runs out.
const LONGEST_LINE: usize = 16 << 20;

impl ImageTextSet {
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
    /// unknown split, and if no row can be used.
    pub fn json_lines(path: &Path, options: &Options<'_>) -> Result<Self, DataError> {
        const ENDS: [&str; 4] = [".jsonl", ".ndjson", ".jsonl.gz", ".json"];
        let problem = "no usable row; each should be a JSON object with the path of an image file under image or file_name, and a \
                       caption under caption, captions, text or title";
        by_rows(path, &ENDS, options, problem, |file, images, rows| {
            if json::is_list(file)? {
                return list(file, images, options, rows);
            }
            let wrong = |source| DataError::io(file, source);
            let mut input = text::open(file).map_err(wrong)?;
            let too_long = text::each_line(&mut input, LONGEST_LINE, |line, is_cut, number| {
                if is_cut {
                    return ControlFlow::Break(number);
                }
                if !line.trim_ascii().is_empty() {
                    let place = format!("{} line {number}", file.display());
                    add(Fields::parse(line), &place, images, options, rows);
                }
                ControlFlow::Continue(())
            });
            let Some(number) = too_long.map_err(wrong)? else {
                return Ok(());
            };
            let problem = format!(
                "line {number} is longer than {LONGEST_LINE} bytes; write one JSON object a line"
            );
            Err(DataError::format(file, problem))
        })
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
    let items: Vec<Item> = json::read(file)?;
    for (number, item) in items.into_iter().enumerate() {
        let fields = match item {
            Item::Object(fields) => Ok(Fields(fields)),
            Item::Other(Value::Object(_)) => Err("a key occurs twice"),
            Item::Other(other) => Err(json::kind(&other)),
        };
        let fields = fields.map_err(|why| reason("not a plain JSON object", why));
        add(fields, &format!("{} item {number}", file.display()), images, options, rows);
    }
    Ok(())
}

/// Adds an object's samples.
fn add(
    fields: Result<Fields, String>,
    place: &str,
    images: &Path,
    options: &Options<'_>,
    rows: &mut Rows,
) {
    match fields {
        Err(why) => rows.skip(place.to_owned(), why),
        Ok(fields) => {
            let row = fields.captions(options).and_then(|captions| {
                let negatives = fields.negatives(options)?;
                Ok((fields.images(options)?, captions, negatives))
            });
            rows.push_row(place, fields.split(), images, row);
        }
    }
}

#[cfg(test)]
mod tests;
