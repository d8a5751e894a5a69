//! Rows with the same image are one sample: tables have a row for each caption of an image, and a photo's other captions aren't
//! wrong.

use clove_data::sets::{Duplicates, Filter, ImageTextSet};

use crate::Result;
use crate::words::counted;

/// Which rows of retrieval have the same image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameImage {
    /// Those of the same file.
    #[default]
    Path,
    /// Those of the same bytes.
    Bytes,
}

impl SameImage {
    /// All values.
    pub const ALL: &[Self] = &[Self::Path, Self::Bytes];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Bytes => "bytes",
        }
    }

    /// What it compares.
    pub fn about(self) -> &'static str {
        match self {
            Self::Path => "the same file, links resolved",
            Self::Bytes => "the same bytes, copies of a file too",
        }
    }

    /// Joins rows with the same image. Returns a remark if there are any.
    pub(super) fn join(self, set: &mut ImageTextSet) -> Result<Option<String>> {
        let mut joined = set.merge_same_images();
        if self == Self::Bytes {
            let filter = Filter { duplicates: Some(Duplicates::Images), ..Filter::default() };
            joined += set.filter(&filter, &|| true)?.map_or(0, |filtered| filtered.joined);
        }
        let images = set.samples.len();
        Ok((joined > 0).then(|| {
            let rows = counted((images + joined) as u64, "row");
            let images = counted(images as u64, "image");
            format!(
                "rows with the same image are one sample (by {}): {rows}, {images}",
                self.name()
            )
        }))
    }
}
