//! Names under which images, captions and negatives stand: keys of JSON objects, columns of tables.

/// Those of an image's path, in order of preference.
pub(super) const IMAGE_KEYS: [&str; 5] = ["image", "file_name", "filename", "filepath", "path"];
/// Those of an image's bytes, in order of preference.
pub(super) const BYTES_KEYS: [&str; 8] = [
    "image",
    "img",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "picture",
    "image_bytes",
];
/// That of a list of captions.
pub(super) const CAPTION_LIST: &str = "captions";
/// Those of one caption, in order of preference.
pub(super) const CAPTION_KEYS: [&str; 3] = ["caption", "text", "title"];
/// That of a list of negatives.
pub(super) const NEGATIVE_LIST: &str = "negatives";
/// That of one negative.
pub(super) const NEGATIVE_KEY: &str = "negative";
