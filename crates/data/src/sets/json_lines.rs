//! A file of JSON objects, one sample a line.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::names::{CAPTION_KEYS, CAPTION_LIST, Captions, IMAGE_KEYS, NEGATIVE_KEY, NEGATIVE_LIST};
use super::{Found, ImageTextSet, images_dir, not_blank, reason, thousands};
use crate::json::{self, UniqueMap, wrong_type};
use crate::{DataError, text};

/// Bytes of a line, far more than a sample has: a file without line ends is refused before memory runs out.
const LONGEST_LINE: usize = 16 << 20;

impl ImageTextSet {
    /// The lines of a file of JSON objects, one a line, in their order.
    ///
    /// The image's path is under `image`, `file_name`, `filename`, `filepath` or `path`, relative to `images_dir` or else to the file's
    /// folder; it may be absolute or lead out of there. Captions are in a list `captions` or under `caption`, `text` or `title`; the
    /// first of these keys counts. Negatives are in a list `negatives` of strings or of objects with `text` (as `clove negatives`
    /// writes them), under `negative`, or both. Null, an empty list and a blank string count as absent. Other keys are ignored.
    ///
    /// `fields` replaces the keys of captions: a sample has the captions of all of them, each a string or a list of strings.
    ///
    /// Blank lines are ignored. A line that is no such object, or whose image is missing, is skipped.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file or `images_dir`; [`DataError::Format`] for a line above 16 MiB, and if over half are skipped.
    pub fn json_lines(
        file: &Path,
        images_dir: Option<&Path>,
        fields: &[String],
    ) -> Result<Self, DataError> {
        let images_dir = self::images_dir(file, images_dir)?;
        let wrong = |source| DataError::io(file, source);
        let mut reader = BufReader::with_capacity(1 << 16, File::open(file).map_err(wrong)?);
        let mut set = Self::default();
        let too_long = text::each_line(&mut reader, LONGEST_LINE, |line, is_cut, number| {
            if is_cut {
                return ControlFlow::Break(number);
            }
            if !line.trim_ascii().is_empty() {
                let place = format!("{} line {number}", file.display());
                set.push(place, read_line(line, images_dir, fields));
            }
            ControlFlow::Continue(())
        });
        if let Some(number) = too_long.map_err(wrong)? {
            let problem = format!(
                "line {number} is longer than {LONGEST_LINE} bytes; write one JSON object a line, without a list around them"
            );
            return Err(DataError::format(file, problem));
        }
        set.check(file, fields)
    }

    /// Refuses a file with more bad lines than good ones: it is likely another format, or its images are elsewhere.
    fn check(self, file: &Path, fields: &[String]) -> Result<Self, DataError> {
        let (good, bad) = (self.samples.len(), self.skipped.len());
        if good >= bad && good > 0 {
            return Ok(self);
        }
        let used = if good == 0 { "none".to_owned() } else { thousands(good) };
        let captions = if fields.is_empty() {
            format!("{} or a list {CAPTION_LIST}", CAPTION_KEYS.join(", "))
        } else {
            fields.join(", ")
        };
        let problem = format!(
            "{used} of its {} lines can be used; each should be a JSON object with the path of an image file under {}, and a caption \
             under {captions}",
            thousands(good + bad),
            IMAGE_KEYS.join(", "),
        );
        Err(self.unusable(file, problem))
    }
}

fn read_line(bytes: &[u8], images_dir: &Path, names: &[String]) -> Found {
    let fields = Fields(json::object(bytes)?);
    let captions = if names.is_empty() {
        Captions::usual(fields.captions()?)
    } else {
        Captions::of(names, |name| fields.texts(name))?
    };
    let negatives = fields.negatives()?;
    Ok((fields.image(images_dir)?.into(), captions, negatives))
}

/// The object of a line. Its errors are reasons to skip it.
pub(super) struct Fields(pub(super) UniqueMap<Value>);

impl Fields {
    /// The string under `key`, unless it's blank.
    fn string(&self, key: &str) -> Result<Option<&str>, String> {
        match self.0.not_null(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok((!text.trim().is_empty()).then_some(text)),
            Some(other) => Err(wrong_type(key, "a string", other)),
        }
    }

    /// The strings of the list under `key` that aren't blank; `item` returns the string of an item.
    fn list(
        &self,
        key: &str,
        items: &str,
        item: fn(&Value) -> Option<&str>,
    ) -> Result<Vec<String>, String> {
        let values = match self.0.not_null(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(other) => return Err(wrong_type(key, &format!("a list of {items}"), other)),
        };
        let texts = values.iter().enumerate().map(|(at, value)| {
            item(value).ok_or_else(|| {
                let what = format!("one of a list of {items}");
                wrong_type(&format!("{key}[{at}]"), &what, value)
            })
        });
        texts.collect::<Result<Vec<&str>, String>>().map(not_blank)
    }

    /// The text of the first of `keys` that has one.
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

    /// The string or the list of strings under `key`.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        match self.0.not_null(key) {
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

    /// The path of the image, which must be a file.
    fn image(&self, images_dir: &Path) -> Result<PathBuf, String> {
        let path = self.first_of(&IMAGE_KEYS)?.ok_or_else(|| {
            let detail = format!("no path under {}", IMAGE_KEYS.join(", "));
            reason("without an image", detail)
        })?;
        file_at(&images_dir.join(path))
    }
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

fn negative(item: &Value) -> Option<&str> {
    item.as_str().or_else(|| item.get("text")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::{ImagePlace, Sample};
    use super::*;
    use crate::testing::{self, Dir, fails};

    /// A folder with `set.jsonl`, and the empty files `images/a.jpg` and `images/b.jpg`.
    fn with(lines: impl AsRef<[u8]>) -> Dir {
        Dir::with(&[
            ("images/a.jpg", &b""[..]),
            ("images/b.jpg", b""),
            ("set.jsonl", lines.as_ref()),
        ])
    }

    /// Reads the file of a folder with paths relative to `images`.
    fn read(dir: &Dir) -> Result<ImageTextSet, DataError> {
        ImageTextSet::json_lines(&dir.path("set.jsonl"), Some(&dir.path("images")), &[])
    }

    fn place(dir: &Dir, line: usize) -> String {
        format!("{} line {line}", dir.path("set.jsonl").display())
    }

    /// What is read from one object.
    fn sample(object: &str) -> Sample {
        let set = read(&with(object)).unwrap();
        <[Sample; 1]>::try_from(set.samples).unwrap()[0].clone()
    }

    /// Why an object is skipped.
    fn skipped(object: impl AsRef<[u8]>) -> String {
        let good = b"{\"image\":\"a.jpg\",\"text\":\"a\"}\n";
        let dir = with([good, object.as_ref()].concat());
        let set = read(&dir).unwrap();
        assert_eq!(set.samples.len(), 1);
        let [(found, why)] = &set.skipped[..] else {
            panic!("{:?}", set.skipped);
        };
        assert_eq!(*found, place(&dir, 2));
        why.clone()
    }

    #[test]
    fn lines_are_read_in_their_order_with_their_numbers() {
        let dir = with(
            "\u{feff}{\"image\": \"b.jpg\", \"caption\": \" a dog \", \"id\": 3}\r\n\r\n  \n{\"image\": \"a.jpg\", \"caption\": \"a cat\"}",
        );
        let set = read(&dir).unwrap();
        let expected = |image: &str, caption: &str, line| Sample {
            image: dir.path("images").join(image).into(),
            captions: vec![caption.to_owned()],
            fields: vec![],
            negatives: vec![],
            place: place(&dir, line),
            part: 0,
        };
        let samples = [expected("b.jpg", "a dog", 1), expected("a.jpg", "a cat", 4)];
        assert_eq!(set.samples, samples);
        assert_eq!(set.skipped, []);
    }

    #[test]
    fn captions_stand_under_the_keys_that_are_asked_for() {
        let dir = with(
            r#"{"image": "a.jpg", "alt": "a", "made": ["b", " ", "c"], "text": "no"}
{"image": "b.jpg", "made": "d"}
{"image": "b.jpg", "text": "no"}
{"image": "b.jpg", "alt": 7}"#,
        );
        let names = testing::strings(&["made", "alt"]);
        let file = dir.path("set.jsonl");
        let set = ImageTextSet::json_lines(&file, Some(&dir.path("images")), &names).unwrap();
        assert_eq!(testing::captions(&set), ["b|c|a", "d"]);
        assert_eq!(testing::fields(&set), [&[0, 0, 1][..], &[0]]);
        let why: Vec<&str> = set.skipped.iter().map(|(_, why)| why.as_str()).collect();
        let expected = [
            "without a caption: no text under made, alt",
            "wrong type: alt must be a string or a list of strings, not a number",
        ];
        assert_eq!(why, expected);
        fails(
            ImageTextSet::json_lines(&file, None, &["none".to_owned()]),
            &["a caption under none;"],
        );
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
        let dir = with("");
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
    fn a_line_that_is_no_sample_is_skipped_with_the_reason() {
        for (object, start, part) in [
            (r#"{"image": "a.jpg", }"#, "not JSON: trailing comma, at column 20", ""),
            ("[1]", "not a plain JSON object: invalid type: sequence", ""),
            (r#"{"image": "a.jpg", "text": "a", "text": "b"}"#, "not ", "\"text\" occurs twice"),
            (&"[".repeat(100_000), "not ", ""),
            (
                r#"{"text": "a", "image": ""}"#,
                "without an image: ",
                "image, file_name, filename, filepath, path",
            ),
            (r#"{"image": "a.jpg"}"#, "without a caption: ", ""),
            (r#"{"image": "a.jpg", "caption": null}"#, "without a caption: ", ""),
            (r#"{"image": "a.jpg", "captions": [" "]}"#, "without a caption: ", ""),
            (
                r#"{"image": "gone.jpg", "text": "a"}"#,
                "image not found: ",
                "gone.jpg\", no such file",
            ),
            (r#"{"image": ".", "text": "a"}"#, "image not found: ", "it is not a file"),
        ] {
            let why = skipped(object);
            assert!(why.starts_with(start) && why.contains(part), "{why}");
        }
        let latin = skipped(b"{\"image\": \"a.jpg\", \"text\": \"caf\xe9\"}");
        assert_eq!(latin, "not UTF-8: at byte 32; save the file as UTF-8");
        let long = "x".repeat(100_000);
        let long = skipped(format!(r#"{{"image": "{long}", "text": "a"}}"#));
        assert!(long.len() < 1000, "{}", long.len());
        let escape = skipped("{\"image\": \"\\u001b[2J\\u0000\", \"text\": \"a\"}");
        assert!(!escape.contains(char::is_control), "{escape:?}");
    }

    #[test]
    fn a_wrong_type_is_skipped_and_named() {
        for (fields, expected) in [
            (r#""image": 7, "path": "a.jpg", "text": "a""#, "image must be a string, not a number"),
            (r#""image": "a.jpg", "caption": ["a"]"#, "caption must be a string, not an array"),
            (
                r#""image": "a.jpg", "captions": "a""#,
                "captions must be a list of strings, not a string",
            ),
            (
                r#""image": "a.jpg", "captions": ["a", null]"#,
                "captions[1] must be one of a list of strings, not null",
            ),
            (r#""image": "a.jpg", "text": "a", "negatives": [{"txt": "b"}]"#, "negatives[0] must"),
            (r#""image": "a.jpg", "text": "a", "negative": ["b"]"#, "negative must be a string"),
        ] {
            let why = skipped(format!("{{{fields}}}"));
            assert!(why.starts_with(&format!("wrong type: {expected}")), "{why}");
        }
    }

    #[test]
    fn half_of_the_lines_may_be_bad_and_no_more() {
        let good = r#"{"image": "a.jpg", "text": "a"}"#;
        let gone = r#"{"image": "gone.jpg", "text": "a"}"#;
        let half = with([good, gone, gone, good].join("\n"));
        let set = read(&half).unwrap();
        assert_eq!((set.samples.len(), set.skipped.len()), (2, 2));
        let summary = set.summary();
        let counts = "1 image in 2 samples with 2 captions, 0 negatives; 2 skipped: 2 image not found. The first: ";
        assert!(summary.starts_with(counts), "{summary}");
        assert!(summary.contains("set.jsonl line 2: "), "{summary}");

        let more = with([good, gone, "{", gone, good].join("\n"));
        let counts = ["set.jsonl: 2 of its 5 lines can be used", "2 image not found, 1 not JSON"];
        fails(read(&more), &[counts[0], counts[1], "set.jsonl line 3: not JSON: EOF"]);
    }

    #[test]
    fn a_file_without_a_good_line_says_what_was_looked_for() {
        let list = "[\n  {\n    \"image\": \"a.jpg\"\n  }\n]\n";
        for (lines, count) in [("", "none of its 0 lines"), (list, "none of its 5 lines")] {
            fails(read(&with(lines)), &[count, "file_name", "title", "captions"]);
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let object = br#"{"image": "a.jpg", "text": "a"}"#;
        let mut line = object.to_vec();
        line.resize(LONGEST_LINE, b' ');
        assert_eq!(read(&with(&line)).unwrap().samples.len(), 1);
        line.push(b' ');
        fails(read(&with(&line)), &["line 1 is longer than 16777216"]);
    }

    #[test]
    fn a_file_or_folder_that_is_not_there_is_named() {
        let dir = with(r#"{"image": "a.jpg", "text": "a"}"#);
        fails(ImageTextSet::json_lines(&dir.path("gone.jsonl"), None, &[]), &["gone.jsonl"]);
        let nowhere = dir.path("nowhere");
        let error =
            ImageTextSet::json_lines(&dir.path("set.jsonl"), Some(&nowhere), &[]).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }), "{error}");
        assert!(error.to_string().contains("nowhere"), "{error}");
        let error = ImageTextSet::json_lines(&dir.path("images"), None, &[]).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }), "{error}");
    }
}
