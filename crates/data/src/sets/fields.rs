//! The fields of a sample: keys of JSON objects, columns of tables and of Parquet files, and the values that they have.
//!
//! Every reader and every command finds captions, negatives and images by these.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Options, not_blank, reason};
use crate::json::{self, UniqueMap, wrong_type};
use crate::text::utf8;

/// Fields of an image's path, in order of preference.
pub(crate) const IMAGE_KEYS: [&str; 10] = [
    "image",
    "file_name",
    "filename",
    "filepath",
    "path",
    "image_path",
    "img_path",
    "image_name",
    "img",
    "images",
];
/// Fields of an image's bytes, in order of preference.
pub(crate) const BYTES_KEYS: [&str; 8] =
    ["image", "img", "jpg", "jpeg", "png", "webp", "picture", "image_bytes"];
/// Fields of captions, in order of preference: the first that has a text counts.
pub(crate) const CAPTION_KEYS: [&str; 9] =
    ["captions", "caption", "text", "txt", "title", "sentences", "raw", "comment", "top_caption"];
/// Fields of negatives. All of them count.
pub(crate) const NEGATIVE_KEYS: [&str; 7] = [
    "negatives",
    "negative",
    "neg_captions",
    "neg_caption",
    "negative_captions",
    "negative_caption",
    "hard_negatives",
];
/// The field of a row's split.
pub(crate) const SPLIT_KEY: &str = "split";

/// The place of the first of `wanted` among `names`. Case and white space count where two names differ in them alone.
#[expect(clippy::needless_pass_by_value, reason = "an iterator is cloned for each pass")]
pub(crate) fn find<'a>(
    wanted: &[&str],
    names: impl Iterator<Item = &'a str> + Clone,
) -> Option<usize> {
    wanted.iter().find_map(|wanted| {
        let exact = names.clone().position(|name| name == *wanted);
        exact.or_else(|| names.clone().position(|name| same(name, wanted)))
    })
}

fn same(name: &str, wanted: &str) -> bool {
    name.trim().eq_ignore_ascii_case(wanted)
}

/// A sample's captions with their fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Captions {
    pub(crate) texts: Vec<String>,
    /// For each text the index of its field among the given ones; empty for the usual fields.
    pub(super) fields: Vec<u16>,
}

impl Captions {
    /// Texts of the usual fields.
    pub(super) fn usual(texts: Vec<String>) -> Self {
        Self { texts, fields: Vec::new() }
    }

    /// Texts of a row's columns of captions: of all that are asked for, or of the first usual one that has a text.
    pub(super) fn of_columns(
        asked: &[String],
        mut columns: impl Iterator<Item = Result<Vec<String>, String>>,
    ) -> Result<Self, String> {
        if !asked.is_empty() {
            return Self::of(asked, |_| columns.next().unwrap_or(Ok(Vec::new())));
        }
        for texts in columns {
            let texts = texts?;
            if !texts.is_empty() {
                return Ok(Self::usual(texts));
            }
        }
        Err(reason("without a caption", "it is null or blank"))
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

/// The texts in a text: those of a list, if it is one as JSON or Python write it (`["a", "b"]`, `['a', "b"]`), else itself.
pub(crate) fn texts_in(text: &str) -> Vec<String> {
    let bare = text.trim();
    let is_list = bare.starts_with('[') && bare.ends_with(']');
    let list = is_list.then(|| json_list(bare).or_else(|| python_list(bare))).flatten();
    match &list {
        Some(texts) => not_blank(texts.iter().map(String::as_str)),
        None => not_blank([bare]),
    }
}

fn json_list(text: &str) -> Option<Vec<String>> {
    let texts: Vec<Option<String>> = json::parse(text).ok()?;
    Some(texts.into_iter().flatten().collect())
}

/// The strings of a list that Python wrote. NegCLIP's tables have such: vinid/neg_clip: src/training/data.py (`literal_eval`).
fn python_list(text: &str) -> Option<Vec<String>> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let missing = ["None", "nan"].iter().find_map(|word| rest.strip_prefix(word));
        rest = if let Some(after) = missing {
            after
        } else {
            let (text, after) = python_string(rest)?;
            texts.push(text);
            after
        };
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => {}
            None => return None,
        }
    }
    Some(texts)
}

/// The string that a text begins with, and what follows it.
fn python_string(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|letter| matches!(letter, '\'' | '"'))?;
    let mut string = String::new();
    let mut letters = text.char_indices().skip(1);
    loop {
        match letters.next()? {
            (at, letter) if letter == quote => return Some((string, &text[at + 1..])),
            (_, '\\') => match letters.next()?.1 {
                'n' => string.push('\n'),
                't' => string.push('\t'),
                letter @ ('\\' | '\'' | '"') => string.push(letter),
                letter => string.extend(['\\', letter]),
            },
            (_, letter) => string.push(letter),
        }
    }
}

/// The texts of a value: a string, possibly a list itself, an object with `text`, `raw` or `caption`, or a list of these. Null is none.
pub(crate) fn texts_of(key: &str, value: &Value) -> Result<Vec<String>, String> {
    const ITEM: &str = "one of a list of strings or of objects with a string \"text\" or \"raw\"";
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(texts_in(text)),
        Value::Array(items) => {
            let texts = items.iter().enumerate().filter(|(_, item)| !item.is_null());
            let texts = texts.map(|(at, item)| {
                text_of(item).ok_or_else(|| wrong_type(&format!("{key}[{at}]"), ITEM, item))
            });
            texts.collect::<Result<Vec<&str>, String>>().map(not_blank)
        }
        Value::Object(_) => match text_of(value) {
            Some(text) => Ok(not_blank([text])),
            None => Err(wrong_type(key, "a string or a list of strings", value)),
        },
        other => Err(wrong_type(key, "a string or a list of strings", other)),
    }
}

fn text_of(item: &Value) -> Option<&str> {
    let within = || ["text", "raw", "caption"].iter().find_map(|key| item.get(key)?.as_str());
    item.as_str().or_else(within)
}

/// An object with the fields of a sample. Its errors are reasons to skip it.
#[derive(Debug)]
pub(crate) struct Fields(pub(crate) UniqueMap<Value>);

impl Fields {
    /// The object in `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        json::object(bytes).map(Self)
    }

    /// The value of a field that isn't null.
    fn get(&self, key: &str) -> Option<&Value> {
        let place = find(&[key], self.0.0.iter().map(|(name, _)| name.as_str()))?;
        self.0.0.get(place).map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// The texts of a field.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        self.get(key).map_or(Ok(Vec::new()), |value| texts_of(key, value))
    }

    /// The captions of the usual fields.
    pub(crate) fn usual_captions(&self) -> Result<Vec<String>, String> {
        for key in CAPTION_KEYS {
            let texts = self.texts(key)?;
            if !texts.is_empty() {
                return Ok(texts);
            }
        }
        let detail = format!("no text under {}", CAPTION_KEYS.join(", "));
        Err(reason("without a caption", detail))
    }

    pub(crate) fn captions(&self, options: &Options<'_>) -> Result<Captions, String> {
        if options.captions.is_empty() {
            return self.usual_captions().map(Captions::usual);
        }
        Captions::of(options.captions, |name| self.texts(name))
    }

    pub(super) fn negatives(&self, options: &Options<'_>) -> Result<Vec<String>, String> {
        let keys = given(options.negatives, &NEGATIVE_KEYS);
        let texts = keys.iter().map(|key| self.texts(key));
        texts.collect::<Result<Vec<_>, _>>().map(|texts| texts.concat())
    }

    /// The paths of the images: a string, an object with `path`, as `datasets` writes them, or a list of these.
    pub(super) fn images(&self, options: &Options<'_>) -> Result<Vec<String>, String> {
        let path = |item: &Value| {
            let path = item.as_str().or_else(|| item.get("path")?.as_str());
            path.map(str::to_owned)
        };
        for key in image_keys(options) {
            let Some(value) = self.get(key) else { continue };
            let paths = match value {
                Value::String(text) => Some(paths_in(text)),
                Value::Array(items) => items.iter().map(path).collect(),
                other => path(other).map(|path| vec![path]),
            };
            let paths = paths.ok_or_else(|| wrong_type(key, "a path or a list of paths", value))?;
            if paths.iter().any(|path| !path.trim().is_empty()) {
                return Ok(paths);
            }
        }
        if options.captions_only {
            return Ok(vec![String::new()]);
        }
        Err(without_an_image(options, self.get("url").is_some()))
    }

    /// The split of the row.
    pub(super) fn split(&self) -> Option<&str> {
        self.get(SPLIT_KEY)?.as_str()
    }
}

/// The fields of an image's path.
pub(super) fn image_keys<'a>(options: &Options<'a>) -> Vec<&'a str> {
    options.image.map_or_else(|| IMAGE_KEYS.to_vec(), |name| vec![name])
}

/// The names that are given, or else the usual ones.
pub(super) fn given<'a>(names: &'a [String], usual: &'a [&'a str]) -> Vec<&'a str> {
    if names.is_empty() { usual.to_vec() } else { names.iter().map(String::as_str).collect() }
}

/// The paths in a cell of a table: those of a list, or itself.
pub(super) fn paths_in(text: &str) -> Vec<String> {
    if text.trim_start().starts_with('[') && text.trim_end().ends_with(']') {
        return texts_in(text);
    }
    vec![text.to_owned()]
}

/// The reason for skipping a row that names no image.
pub(super) fn without_an_image(options: &Options<'_>, has_address: bool) -> String {
    let keys = image_keys(options).join(", ");
    let address = if has_address { "; download the images of its addresses first" } else { "" };
    reason("without an image", format_args!("no path under {keys}{address}"))
}

/// The captions and negatives beside an image: those of a text file, a caption a line, and of a JSON file's object.
///
/// The field `txt` is the text file. What isn't needed isn't looked at: a damaged file is an error where no other has a caption.
pub(super) fn beside(
    text: Option<&[u8]>,
    json: Option<&[u8]>,
    options: &Options<'_>,
) -> Result<(Captions, Vec<String>), String> {
    let lines = |text: &[u8]| {
        let lines = not_blank(universal(utf8(text)?).lines());
        if lines.is_empty() {
            Err(reason("without a caption", "its text is empty"))
        } else {
            Ok(lines)
        }
    };
    let text = text.map(lines);
    let json = json.map(Fields::parse);
    let negatives = match &json {
        Some(Ok(fields)) => fields.negatives(options)?,
        _ => Vec::new(),
    };
    let unread = || reason("without a caption", "it has no text beside it");
    let captions = if options.captions.is_empty() {
        let of_json = json.map(|json| json.and_then(|fields| fields.usual_captions()));
        let captions = match (of_json, text) {
            (Some(Ok(captions)), _) | (_, Some(Ok(captions))) => Ok(captions),
            (Some(Err(why)), _) | (None, Some(Err(why))) => Err(why),
            (None, None) => Err(unread()),
        };
        Captions::usual(captions?)
    } else {
        let mut why = None;
        let captions = Captions::of(options.captions, |name| {
            let texts = match (&text, &json) {
                (Some(text), _) if same(name, "txt") => text.clone(),
                (_, Some(Ok(fields))) => fields.texts(name),
                (_, Some(Err(damage))) => Err(damage.clone()),
                (_, None) => Ok(Vec::new()),
            };
            // Another field may have a text.
            Ok(texts.unwrap_or_else(|problem| {
                why = Some(problem);
                Vec::new()
            }))
        });
        captions.map_err(|without| why.unwrap_or(without))?
    };
    Ok((captions, negatives))
}

/// The text with LF for each CRLF and CR.
fn universal(text: &str) -> String {
    text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n")
}

/// The file of a path as sets have them: also percent-encoded, after `file://`, with Windows' separators, or with the number of a caption
/// behind it (`a.jpg#0`, as Flickr8k has it). Where a file has the very path, it counts.
pub(super) fn image_at(dir: &Path, path: &str) -> Result<PathBuf, String> {
    let why = match file_at(&dir.join(path)) {
        Err(why) => why,
        found => return found,
    };
    if path.starts_with("http://") || path.starts_with("https://") {
        let detail = format_args!("{path:?} is an address; download the images first");
        return Err(reason("image not found", detail));
    }
    let bare = path.trim();
    let bare = bare.strip_prefix("file://").unwrap_or(bare);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = match bare.rsplit_once('#') {
        Some((before, number)) if is_number(number) => before,
        _ => bare,
    };
    let decoded = percent_decode_str(bare).decode_utf8().unwrap_or_default().into_owned();
    let tried = [bare.to_owned(), decoded, bare.replace('\\', "/")];
    let others = tried.iter().filter(|other| *other != path && !other.is_empty());
    others.map(|other| dir.join(other)).find(|other| other.is_file()).ok_or(why)
}

/// A path, if it is a file.
pub(super) fn file_at(path: &Path) -> Result<PathBuf, String> {
    let why = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(path.to_owned()),
        Ok(_) => "it is not a file".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "no such file".to_owned(),
        Err(error) => error.to_string(),
    };
    // Escaped: a path out of a file may hold what a terminal would obey.
    let path = path.display().to_string();
    Err(reason("image not found", format_args!("{path:?}, {why}")))
}
