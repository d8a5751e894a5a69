//! SugarCrepe: seven files of pairs over COCO val2017 (RAIVNLab/sugar-crepe, data/). Called by `clove eval --suite sugar-crepe`.
//!
//! A file is one object, `{id: {"filename", "caption", "negative_caption"}}`. Ids are numbers written as strings, and not
//! without gaps: swap_obj has no "108".

use std::path::Path;

use clove::evaluate::{Pair, Subset};
use serde_json::Value;

use crate::DataError;
use crate::json::{self, UniqueMap};

/// The subsets, each in a file `NAME.json`.
pub const SUBSETS: [&str; 7] =
    ["add_att", "add_obj", "replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj"];

const SOURCE: &str =
    "SugarCrepe's files stand in the folder data/ of https://github.com/RAIVNLab/sugar-crepe";

/// Reads the seven files of `dir` in the order of [`SUBSETS`], rows in the numeric order of their ids.
///
/// # Errors
/// [`DataError::MissingFiles`] lists every file that `dir` lacks; errors in a file name it, the row's key and the field.
pub fn read(dir: &Path) -> Result<Vec<Subset>, DataError> {
    super::missing(dir, &SUBSETS.map(|name| format!("{name}.json")), SOURCE)?;
    let read = |name: &&str| read_subset(name, &dir.join(format!("{name}.json")));
    SUBSETS.iter().map(read).collect()
}

/// Reads one file in SugarCrepe's format as the subset `name`.
///
/// # Errors
/// Those of [`read`] for one file.
pub fn read_subset(name: &str, path: &Path) -> Result<Subset, DataError> {
    let entries: UniqueMap<UniqueMap<Value>> = json::read(path)?;
    let mut rows = entries
        .0
        .into_iter()
        .map(|(key, fields)| {
            let number: u64 = key.parse().map_err(|_| DataError::Row {
                path: path.to_owned(),
                row: key.clone(),
                problem: "the key must be a row number".to_owned(),
            })?;
            let pair = Pair {
                image: fields.string("filename", &key, path)?.to_owned(),
                caption: fields.string("caption", &key, path)?.to_owned(),
                negative: fields.string("negative_caption", &key, path)?.to_owned(),
                id: key,
            };
            Ok((number, pair))
        })
        .collect::<Result<Vec<_>, DataError>>()?;
    rows.sort_by_key(|(number, _)| *number);
    // "1" and "01" are two keys and one row number.
    if let Some(twins) = rows.windows(2).find(|twins| twins[0].0 == twins[1].0) {
        return Err(DataError::Row {
            path: path.to_owned(),
            row: twins[1].1.id.clone(),
            problem: format!("row {:?} has the same number", twins[0].1.id),
        });
    }
    Ok(Subset { name: name.to_owned(), rows: rows.into_iter().map(|(_, pair)| pair).collect() })
}
