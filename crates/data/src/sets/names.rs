//! Names of the fields of images, captions and negatives: keys of JSON objects, columns of tables.

use super::reason;

/// Fields of an image's path, in order of preference.
pub(super) const IMAGE_KEYS: [&str; 5] = ["image", "file_name", "filename", "filepath", "path"];
/// Fields of an image's bytes, in order of preference.
pub(super) const BYTES_KEYS: [&str; 8] =
    ["image", "img", "jpg", "jpeg", "png", "webp", "picture", "image_bytes"];
pub(super) const CAPTION_LIST: &str = "captions";
/// Fields of a single caption, in order of preference.
pub(super) const CAPTION_KEYS: [&str; 3] = ["caption", "text", "title"];
pub(super) const NEGATIVE_LIST: &str = "negatives";
pub(super) const NEGATIVE_KEY: &str = "negative";

/// A sample's captions with their fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Captions {
    pub(super) texts: Vec<String>,
    /// For each text the index of its field among the given ones; empty for the usual fields.
    pub(super) fields: Vec<u16>,
}

impl Captions {
    /// Texts of the usual fields.
    pub(super) fn usual(texts: Vec<String>) -> Self {
        Self { texts, fields: Vec::new() }
    }

    /// Texts of `fields`, as returned by `read` for each.
    pub(super) fn of<'a>(
        fields: &'a [String],
        mut read: impl FnMut(&'a str) -> Result<Vec<String>, String>,
    ) -> Result<Self, String> {
        let mut captions = Self::default();
        for (number, field) in (0_u16..).zip(fields) {
            let texts = read(field)?;
            captions.fields.extend(texts.iter().map(|_| number));
            captions.texts.extend(texts);
        }
        if captions.texts.is_empty() {
            let detail = format!("no text under {}", fields.join(", "));
            return Err(reason("without a caption", detail));
        }
        Ok(captions)
    }
}
