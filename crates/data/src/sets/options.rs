//! What of a set is read.

use std::fs;
use std::path::Path;

use crate::DataError;

/// What a set is read for. It chooses the splits where none are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Training: all but the splits that are held out, `validation` and `test`.
    #[default]
    Training,
    /// Validation: `validation`, or else `test`.
    Validation,
    /// Evaluation: `test`, or else `validation`.
    Evaluation,
}

/// What of a set is read, and where its images are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// The folder that images' paths are relative to; otherwise the folder of the file that names them.
    pub images: Option<&'a Path>,
    /// Fields of captions instead of the usual ones; a sample has the captions of all of them.
    pub captions: &'a [String],
    /// The field of the image instead of the usual ones.
    pub image: Option<&'a str>,
    /// Fields of negatives instead of the usual ones.
    pub negatives: &'a [String],
    /// Splits to read; `all` is all of them. Without any, [`purpose`](Self::purpose) chooses.
    pub splits: &'a [String],
    /// What the set is for.
    pub purpose: Purpose,
    /// Whether only captions are needed: rows without an image, or whose image isn't there, are read too.
    pub captions_only: bool,
    /// Whether the cache keeps the index of a set that memory doesn't hold, so that the next opening finds it. It's made anew where the
    /// set's files have another size or time, where it's damaged, and where an image is there that wasn't.
    pub keep_index: bool,
}

impl<'a> Options<'a> {
    /// The folder that the paths in `file` are relative to. A given folder must exist.
    pub(super) fn images_dir<'f>(&self, file: &'f Path) -> Result<&'f Path, DataError>
    where
        'a: 'f,
    {
        match self.images {
            // Otherwise every sample would be skipped, and the message would name the first images only.
            Some(dir) => {
                fs::read_dir(dir).map(|_| dir).map_err(|source| DataError::io(dir, source))
            }
            None => Ok(file.parent().unwrap_or(Path::new(""))),
        }
    }
}
