//! SugarCrepe: seven files of pairs over COCO val2017 (RAIVNLab/sugar-crepe, data/). Called by `clove eval --suite sugar-crepe`.
//!
//! A file is one object, `{id: {"filename", "caption", "negative_caption"}}`. Ids are numbers written as strings, with gaps.

use std::path::Path;

use clove::evaluate::{Pair, Subset};
use serde_json::Value;

use super::{files, some};
use crate::DataError;
use crate::json::{self, Row, UniqueMap};

/// The subsets, each in a file `NAME.json`.
pub const SUBSETS: [&str; 7] =
    ["add_att", "add_obj", "replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj"];

const SOURCE: &str =
    "get SugarCrepe's files from the folder data/ of https://github.com/RAIVNLab/sugar-crepe";

/// Reads the seven files of `dir` in the order of [`SUBSETS`], rows in the numeric order of their ids.
///
/// # Errors
/// [`DataError::Format`] lists every file that `dir` lacks; errors in a file name it, the row's key and the field.
pub fn read(dir: &Path) -> Result<Vec<Subset>, DataError> {
    let files = files(dir, &SUBSETS, SOURCE)?;
    files.iter().map(|(name, path)| read_subset(name, path)).collect()
}

/// Reads one file in SugarCrepe's format as the subset `name`.
///
/// # Errors
/// Those of [`read`] for one file, and [`DataError::Format`] if it has no rows.
pub fn read_subset(name: &str, path: &Path) -> Result<Subset, DataError> {
    let entries: UniqueMap<UniqueMap<Value>> = json::read(path)?;
    let rows = entries.0.into_iter().map(|(name, fields)| {
        let row = Row { path, name, fields };
        let number: Result<u64, _> = row.name.parse();
        let pair = Pair {
            image: row.string("filename")?,
            caption: row.string("caption")?,
            negative: row.string("negative_caption")?,
            id: row.name,
        };
        match number {
            Ok(number) => Ok((number, pair)),
            Err(_) => Err(DataError::row(path, pair.id, "the key must be a row number")),
        }
    });
    let mut rows = some(path, rows.collect::<Result<Vec<_>, DataError>>()?)?;
    rows.sort_by_key(|(number, _)| *number);
    // "1" and "01" are two keys and one row number.
    if let Some(twins) = rows.windows(2).find(|twins| twins[0].0 == twins[1].0) {
        let problem = format!("row {:?} has the same number", twins[0].1.id);
        return Err(DataError::row(path, &twins[1].1.id, problem));
    }
    Ok(Subset { name: name.to_owned(), rows: rows.into_iter().map(|(_, pair)| pair).collect() })
}
