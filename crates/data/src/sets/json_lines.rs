//! A file of JSON objects, one sample a line. Called by [`ImageTextSet::json_lines`].

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::names::{CAPTION_KEYS, CAPTION_LIST, Captions, IMAGE_KEYS, NEGATIVE_KEY, NEGATIVE_LIST};
use super::{ImageTextSet, Sample, not_blank, reason, thousands};
use crate::json::{self, UniqueMap};
use crate::{DataError, text};

/// Bytes of a line: far above a sample's, and a file without line ends is refused before memory does it.
const LONGEST_LINE: u64 = 16 << 20;

pub(super) fn read(
    file: &Path,
    images_dir: Option<&Path>,
    fields: &[String],
) -> Result<ImageTextSet, DataError> {
    let images_dir = match images_dir {
        Some(dir) => {
            // Else every line would be skipped, and the message would name the first images only.
            fs::read_dir(dir).map_err(|source| text::io(dir, source))?;
            dir
        }
        None => file.parent().unwrap_or(Path::new("")),
    };
    let wrong = |source| text::io(file, source);
    let mut reader = BufReader::with_capacity(1 << 16, File::open(file).map_err(wrong)?);
    let mut set = ImageTextSet::default();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let mut limited = reader.by_ref().take(LONGEST_LINE + 1);
        if limited.read_until(b'\n', &mut line).map_err(wrong)? == 0 {
            break;
        }
        if line.len() as u64 > LONGEST_LINE {
            return Err(DataError::Format {
                path: file.to_owned(),
                problem: format!(
                    "line {number} is longer than {LONGEST_LINE} bytes; write one JSON object a line, without a list around them"
                ),
            });
        }
        let byte_order_mark = if number == 1 { "\u{feff}" } else { "" };
        let bytes = line.strip_prefix(byte_order_mark.as_bytes()).unwrap_or(&line);
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let place = format!("{} line {number}", file.display());
        match read_line(bytes, images_dir, fields, place) {
            Ok(sample) => set.samples.push(sample),
            Err(skipped) => set.skipped.push(skipped),
        }
    }
    check(file, fields, &set)?;
    Ok(set)
}

/// Refuses a file of which little or nothing could be used: it is more likely another format, or its images lie elsewhere.
fn check(file: &Path, fields: &[String], set: &ImageTextSet) -> Result<(), DataError> {
    let (good, bad) = (set.samples.len(), set.skipped.len());
    if good >= bad && good > 0 {
        return Ok(());
    }
    let used = if good == 0 { "none".to_owned() } else { thousands(good) };
    let why = if bad == 0 { String::new() } else { format!(". Skipped: {}", set.why_skipped()) };
    let captions = if fields.is_empty() {
        format!("{} or a list {CAPTION_LIST}", CAPTION_KEYS.join(", "))
    } else {
        fields.join(", ")
    };
    let problem = format!(
        "{used} of its {} lines can be used; each should be a JSON object with the path of an image file under {}, and a caption \
         under {captions}{why}",
        thousands(good + bad),
        IMAGE_KEYS.join(", "),
    );
    Err(DataError::Format { path: file.to_owned(), problem })
}

/// The sample of a line; else its place and why it is skipped.
fn read_line(
    bytes: &[u8],
    images_dir: &Path,
    names: &[String],
    place: String,
) -> Result<Sample, (String, String)> {
    let read = || {
        let fields = Fields::new(json::object(bytes)?);
        let captions = if names.is_empty() {
            Captions::usual(fields.captions()?)
        } else {
            Captions::of(names, |name| fields.texts(name))?
        };
        let negatives = fields.negatives()?;
        Ok((fields.image(images_dir)?, captions, negatives))
    };
    match read() {
        Ok((image, captions, negatives)) => Ok(Sample {
            image: image.into(),
            captions: captions.texts,
            fields: captions.fields,
            negatives,
            place,
            part: 0,
        }),
        Err(reason) => Err((place, reason)),
    }
}

/// The object of a line. Its errors are reasons to skip it.
pub(super) struct Fields(UniqueMap<Value>);

impl Fields {
    pub(super) fn new(object: UniqueMap<Value>) -> Self {
        Self(object)
    }

    /// The value of `key`, unless it's null.
    fn get(&self, key: &str) -> Option<&Value> {
        let (_, value) = self.0.0.iter().find(|(name, _)| name == key)?;
        (!value.is_null()).then_some(value)
    }

    /// The string under `key`, unless it's blank.
    fn string(&self, key: &str) -> Result<Option<&str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok((!text.trim().is_empty()).then_some(text)),
            Some(other) => Err(wrong_type(key, "a string", other)),
        }
    }

    /// The strings of the list under `key`, blank ones left out; `item` takes the string from an item.
    fn list(
        &self,
        key: &str,
        items: &str,
        item: fn(&Value) -> Option<&str>,
    ) -> Result<Vec<String>, String> {
        let values = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(other) => return Err(wrong_type(key, &format!("a list of {items}"), other)),
        };
        let texts: Result<Vec<&str>, String> = (0..)
            .zip(values)
            .map(|(at, value)| {
                item(value).ok_or_else(|| {
                    let what = format!("one of a list of {items}");
                    wrong_type(&format!("{key}[{at}]"), &what, value)
                })
            })
            .collect();
        texts.map(not_blank)
    }

    /// The first of `keys` that holds text, and the text.
    fn first_of<'a>(&'a self, keys: &[&'a str]) -> Result<Option<&'a str>, String> {
        for key in keys {
            if let Some(text) = self.string(key)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    pub(super) fn captions(&self) -> Result<Vec<String>, String> {
        let captions = self.list(CAPTION_LIST, "strings", Value::as_str)?;
        if !captions.is_empty() {
            return Ok(captions);
        }
        let caption = self.first_of(&CAPTION_KEYS)?.ok_or_else(|| {
            let keys = CAPTION_KEYS.join(", ");
            let detail = format!("no text under {keys} or in a list {CAPTION_LIST}");
            reason("without a caption", detail)
        })?;
        Ok(not_blank([caption]))
    }

    /// The string under `key`, or those of the list.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        match self.get(key) {
            Some(Value::Array(_)) => self.list(key, "strings", Value::as_str),
            Some(Value::String(text)) => Ok(not_blank([text.as_str()])),
            None => Ok(Vec::new()),
            Some(other) => Err(wrong_type(key, "a string or a list of strings", other)),
        }
    }

    pub(super) fn negatives(&self) -> Result<Vec<String>, String> {
        let items = "strings or of objects with a string \"text\"";
        let mut negatives = self.list(NEGATIVE_LIST, items, negative)?;
        negatives.extend(not_blank(self.string(NEGATIVE_KEY)?));
        Ok(negatives)
    }

    /// The path of the image, which is a file.
    fn image(&self, images_dir: &Path) -> Result<PathBuf, String> {
        let path = self.first_of(&IMAGE_KEYS)?.ok_or_else(|| {
            let detail = format!("no path under {}", IMAGE_KEYS.join(", "));
            reason("without an image", detail)
        })?;
        file_at(&images_dir.join(path))
    }
}

/// A path, if a file is there.
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

fn negative(item: &Value) -> Option<&str> {
    item.as_str().or_else(|| item.get("text")?.as_str())
}

fn wrong_type(key: &str, expected: &str, value: &Value) -> String {
    let is = json::kind(value);
    reason("wrong type", format_args!("{key} must be {expected}, not {is}"))
}

#[cfg(test)]
mod tests {
    use super::super::ImagePlace;
    use super::*;

    struct Dir(tempfile::TempDir);

    impl Dir {
        /// A folder with `set.jsonl`, and the empty files `images/a.jpg` and `images/b.jpg`.
        fn with(lines: impl AsRef<[u8]>) -> Self {
            let dir = Self(tempfile::tempdir().unwrap());
            fs::create_dir(dir.path("images")).unwrap();
            fs::write(dir.path("images/a.jpg"), "").unwrap();
            fs::write(dir.path("images/b.jpg"), "").unwrap();
            fs::write(dir.path("set.jsonl"), lines).unwrap();
            dir
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// Reads the file with paths relative to `images`.
        fn read(&self) -> Result<ImageTextSet, DataError> {
            let images = self.path("images");
            ImageTextSet::json_lines(&self.path("set.jsonl"), Some(&images), &[])
        }

        fn place(&self, line: usize) -> String {
            format!("{} line {line}", self.path("set.jsonl").display())
        }
    }

    /// What is read from one object.
    fn sample(object: &str) -> Sample {
        let set = Dir::with(object).read().unwrap();
        <[Sample; 1]>::try_from(set.samples).unwrap()[0].clone()
    }

    /// Why an object is skipped.
    fn skipped(object: impl AsRef<[u8]>) -> String {
        let good = b"{\"image\":\"a.jpg\",\"text\":\"a\"}\n";
        let dir = Dir::with([good, object.as_ref()].concat());
        let set = dir.read().unwrap();
        assert_eq!(set.samples.len(), 1);
        let [(place, why)] = &set.skipped[..] else {
            panic!("{:?}", set.skipped);
        };
        assert_eq!(*place, dir.place(2));
        why.clone()
    }

    #[test]
    fn lines_are_read_in_their_order_with_their_numbers() {
        let dir = Dir::with(
            "\u{feff}{\"image\": \"b.jpg\", \"caption\": \" a dog \", \"id\": 3}\r\n\r\n  \n{\"image\": \"a.jpg\", \"caption\": \"a cat\"}",
        );
        let set = dir.read().unwrap();
        let expected = |image: &str, caption: &str, line| Sample {
            image: dir.path("images").join(image).into(),
            captions: vec![caption.to_owned()],
            fields: vec![],
            negatives: vec![],
            place: dir.place(line),
            part: 0,
        };
        let samples = [expected("b.jpg", "a dog", 1), expected("a.jpg", "a cat", 4)];
        assert_eq!(set.samples, samples);
        assert_eq!(set.skipped, []);
    }

    #[test]
    fn captions_stand_under_the_keys_that_are_asked_for() {
        let dir = Dir::with(
            r#"{"image": "a.jpg", "alt": "a", "made": ["b", " ", "c"], "text": "no"}
{"image": "b.jpg", "made": "d"}
{"image": "b.jpg", "text": "no"}
{"image": "b.jpg", "alt": 7}"#,
        );
        let fields = ["made", "alt"].map(str::to_owned);
        let file = dir.path("set.jsonl");
        let set = ImageTextSet::json_lines(&file, Some(&dir.path("images")), &fields).unwrap();
        let found = set.samples.iter().map(|s| (s.captions.join("|"), &s.fields));
        let found: Vec<_> = found.collect();
        let (first, second) = (vec![0, 0, 1], vec![0]);
        let expected = [("b|c|a".to_owned(), &first), ("d".to_owned(), &second)];
        assert_eq!(found, expected);
        let why: Vec<&str> = set.skipped.iter().map(|(_, why)| why.as_str()).collect();
        let expected = [
            "without a caption: no text under made, alt",
            "wrong type: alt must be a string or a list of strings, not a number",
        ];
        assert_eq!(why, expected);
        let error = ImageTextSet::json_lines(&file, None, &["none".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("a caption under none."), "{error}");
    }

    #[test]
    fn the_image_stands_under_any_of_its_keys_the_first_of_them_counts() {
        for key in ["image", "file_name", "filename", "filepath", "path"] {
            let read = sample(&format!(r#"{{"{key}": "a.jpg", "text": "a cat"}}"#));
            assert!(read.image.to_string().ends_with("images/a.jpg"), "{key}: {read:?}");
        }
        let both = sample(r#"{"path": "b.jpg", "file_name": "a.jpg", "image": null, "text": "a"}"#);
        assert!(both.image.to_string().ends_with("a.jpg"), "{both:?}");
    }

    #[test]
    fn captions_stand_in_a_list_or_under_one_of_their_keys() {
        for key in ["caption", "text", "title"] {
            let read = sample(&format!(r#"{{"image": "a.jpg", "{key}": "a cat"}}"#));
            assert_eq!(read.captions, ["a cat"], "{key}");
        }
        let read = |fields: &str| sample(&format!(r#"{{"image": "a.jpg", {fields}}}"#)).captions;
        assert_eq!(read(r#""title": "t", "caption": "c""#), ["c"]);
        assert_eq!(read(r#""title": "t", "caption": " ", "text": null"#), ["t"]);
        let list = r#""captions": ["one", "", " two "], "caption": "c""#;
        assert_eq!(read(list), ["one", "two"]);
        assert_eq!(read(r#""captions": [], "caption": "c""#), ["c"]);
    }

    #[test]
    fn negatives_are_strings_or_objects_with_text() {
        let read = |fields: &str| {
            sample(&format!(r#"{{"image": "a.jpg", "text": "a", {fields}}}"#)).negatives
        };
        assert_eq!(read(r#""negatives": ["b", " ", "c"]"#), ["b", "c"]);
        let objects = r#""negatives": [{"text": "b", "kind": "swap", "from": "x", "to": "y"}]"#;
        assert_eq!(read(objects), ["b"]);
        assert_eq!(read(r#""negative": "b""#), ["b"]);
        assert_eq!(read(r#""negatives": ["b"], "negative": "c""#), ["b", "c"]);
        assert!(read(r#""negatives": null, "negative": null"#).is_empty());
    }

    #[test]
    fn paths_are_relative_to_the_file_absolute_or_lead_out() {
        let dir = Dir::with("");
        fs::create_dir(dir.path("lists")).unwrap();
        let file = dir.path("lists/set.jsonl");
        let absolute = dir.path("images/b.jpg");
        let line = |path: &str| format!("{}\n", serde_json::json!({"image": path, "text": "a"}));
        let absolute_line = line(absolute.to_str().unwrap());
        fs::write(&file, line("../images/a.jpg") + &absolute_line).unwrap();
        let set = ImageTextSet::json_lines(&file, None, &[]).unwrap();
        let images: Vec<&ImagePlace> = set.samples.iter().map(|s| &s.image).collect();
        let expected = [dir.path("lists/../images/a.jpg"), absolute].map(ImagePlace::from);
        assert_eq!(images, [&expected[0], &expected[1]]);
        let elsewhere = ImageTextSet::json_lines(&file, Some(&dir.path("images")), &[]).unwrap();
        assert_eq!(elsewhere.samples[0].image, dir.path("images/../images/a.jpg").into());
    }

    #[test]
    fn a_line_that_is_no_plain_object_is_skipped() {
        let syntax = skipped("{\"image\": \"a.jpg\", }");
        assert_eq!(syntax, "not JSON: trailing comma, at column 20");
        let list = skipped("[1]");
        assert!(list.starts_with("not a plain JSON object: "), "{list}");
        assert!(list.contains("sequence"), "{list}");
        let twice = skipped(r#"{"image": "a.jpg", "text": "a", "text": "b"}"#);
        assert!(twice.contains("\"text\" stands twice"), "{twice}");
        let latin = skipped(b"{\"image\": \"a.jpg\", \"text\": \"caf\xe9\"}");
        assert_eq!(latin, "not UTF-8: at byte 32; save the file as UTF-8");
        assert!(skipped("[".repeat(100_000)).starts_with("not "));
    }

    #[test]
    fn a_line_without_image_or_caption_is_skipped() {
        let without_image = skipped(r#"{"text": "a", "image": ""}"#);
        assert!(without_image.starts_with("without an image: "));
        assert!(without_image.ends_with("image, file_name, filename, filepath, path"));
        for captions in ["", r#", "caption": null"#, r#", "captions": [" "]"#] {
            let why = skipped(format!(r#"{{"image": "a.jpg"{captions}}}"#));
            assert!(why.starts_with("without a caption: "), "{captions}: {why}");
        }
    }

    #[test]
    fn a_wrong_type_is_skipped_and_named() {
        let why = |fields: &str| {
            let why = skipped(format!("{{{fields}}}"));
            why.strip_prefix("wrong type: ").unwrap().to_owned()
        };
        let image = why(r#""image": 7, "path": "a.jpg", "text": "a""#);
        assert_eq!(image, "image must be a string, not a number");
        let caption = why(r#""image": "a.jpg", "caption": ["a"]"#);
        assert_eq!(caption, "caption must be a string, not an array");
        let captions = why(r#""image": "a.jpg", "captions": "a""#);
        assert_eq!(captions, "captions must be a list of strings, not a string");
        let item = why(r#""image": "a.jpg", "captions": ["a", null]"#);
        assert_eq!(item, "captions[1] must be one of a list of strings, not null");
        let negatives = why(r#""image": "a.jpg", "text": "a", "negatives": [{"txt": "b"}]"#);
        assert!(negatives.starts_with("negatives[0] must"), "{negatives}");
        let negative = why(r#""image": "a.jpg", "text": "a", "negative": ["b"]"#);
        assert!(negative.starts_with("negative must be a string"), "{negative}");
    }

    #[test]
    fn a_missing_image_is_skipped_with_its_path() {
        let missing = skipped(r#"{"image": "gone.jpg", "text": "a"}"#);
        assert!(missing.starts_with("image not found: "), "{missing}");
        assert!(missing.ends_with("gone.jpg\", no such file"), "{missing}");
        let folder = skipped(r#"{"image": ".", "text": "a"}"#);
        assert!(folder.ends_with("it is not a file"), "{folder}");
        let long = "x".repeat(100_000);
        let long = skipped(format!(r#"{{"image": "{long}", "text": "a"}}"#));
        assert!(long.len() < 1000, "{}", long.len());
        let escape = skipped("{\"image\": \"\\u001b[2J\\u0000\", \"text\": \"a\"}");
        assert!(!escape.contains(char::is_control), "{escape:?}");
    }

    #[test]
    fn half_of_the_lines_may_be_bad_and_no_more() {
        let good = r#"{"image": "a.jpg", "text": "a"}"#;
        let gone = r#"{"image": "gone.jpg", "text": "a"}"#;
        let half = Dir::with([good, gone, gone, good].join("\n"));
        let set = half.read().unwrap();
        assert_eq!((set.samples.len(), set.skipped.len()), (2, 2));
        let summary = set.summary();
        let counts = "1 image in 2 samples with 2 captions, 0 negatives; 2 skipped: 2 image not found. The first: ";
        assert!(summary.starts_with(counts), "{summary}");
        assert!(summary.contains("set.jsonl line 2: "), "{summary}");

        let more = Dir::with([good, gone, "{", gone, good].join("\n"));
        let message = more.read().unwrap_err().to_string();
        for part in [
            "set.jsonl: 2 of its 5 lines can be used",
            "2 image not found, 1 not JSON",
            "set.jsonl line 3: not JSON: EOF",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn a_file_without_a_good_line_says_what_was_looked_for() {
        let list = "[\n  {\n    \"image\": \"a.jpg\"\n  }\n]\n";
        for (lines, count) in [("", "none of its 0 lines"), (list, "none of its 5 lines")] {
            let message = Dir::with(lines).read().unwrap_err().to_string();
            for part in [count, "file_name", "title", "captions"] {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let longest = usize::try_from(LONGEST_LINE).unwrap();
        let object = br#"{"image": "a.jpg", "text": "a"}"#;
        let mut line = object.to_vec();
        line.resize(longest, b' ');
        assert_eq!(Dir::with(&line).read().unwrap().samples.len(), 1);
        line.push(b' ');
        let message = Dir::with(&line).read().unwrap_err().to_string();
        assert!(message.contains("line 1 is longer than 16777216"), "{message}");
    }

    #[test]
    fn a_file_or_folder_that_is_not_there_is_named() {
        let dir = Dir::with(r#"{"image": "a.jpg", "text": "a"}"#);
        let error = ImageTextSet::json_lines(&dir.path("gone.jsonl"), None, &[]).unwrap_err();
        assert!(error.to_string().contains("gone.jsonl"), "{error}");
        let nowhere = dir.path("nowhere");
        let error =
            ImageTextSet::json_lines(&dir.path("set.jsonl"), Some(&nowhere), &[]).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }), "{error}");
        assert!(error.to_string().contains("nowhere"), "{error}");
        let error = ImageTextSet::json_lines(&dir.path("images"), None, &[]).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }), "{error}");
    }
}
