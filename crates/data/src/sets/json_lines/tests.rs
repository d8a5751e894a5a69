use std::fs;

use super::super::{ImagePlace, Sample};
use super::*;
use crate::testing::{self, Dir, fails, gzip};

/// A folder with `set.jsonl`, and the empty files `images/a.jpg` and `images/b.jpg`.
fn with(lines: impl AsRef<[u8]>) -> Dir {
    Dir::with(&[("images/a.jpg", &b""[..]), ("images/b.jpg", b""), ("set.jsonl", lines.as_ref())])
}

/// Reads the file of a folder with paths relative to `images`.
fn read(dir: &Dir) -> Result<ImageTextSet, DataError> {
    read_by(dir, &[], &[])
}

fn read_by(dir: &Dir, captions: &[&str], splits: &[&str]) -> Result<ImageTextSet, DataError> {
    let (captions, splits) = (testing::strings(captions), testing::strings(splits));
    let images = dir.path("images");
    let options = Options {
        images: Some(&images),
        captions: &captions,
        splits: &splits,
        ..Options::default()
    };
    ImageTextSet::json_lines(&dir.path("set.jsonl"), &options)
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
    let set = read_by(&dir, &["made", "alt"], &[]).unwrap();
    assert_eq!(testing::captions(&set), ["b|c|a", "d"]);
    assert_eq!(testing::fields(&set), [&[0, 0, 1][..], &[0]]);
    let why: Vec<&str> = set.skipped.iter().map(|(_, why)| why.as_str()).collect();
    let expected = [
        "without a caption: no text under made, alt",
        "wrong type: alt must be a string or a list of strings, not a number",
    ];
    assert_eq!(why, expected);
    fails(read_by(&dir, &["none"], &[]), &["4 without a caption", "no text under none"]);
}

#[test]
fn the_image_stands_under_any_of_its_keys_the_first_of_them_counts() {
    for key in ["image", "file_name", "filename", "filepath", "path", "image_path", "Image"] {
        let read = sample(&format!(r#"{{"{key}": "a.jpg", "text": "a cat"}}"#));
        assert!(read.image.to_string().ends_with("images/a.jpg"), "{key}: {read:?}");
    }
    for image in [
        r#""image": null"#,
        r#""image": ["a.jpg"]"#,
        r#""image": {"bytes": null, "path": "a.jpg"}"#,
    ] {
        let text = r#""path": "b.jpg", "file_name": "a.jpg", "text": "a""#;
        let both = sample(&format!("{{{image}, {text}}}"));
        assert!(both.image.to_string().ends_with("a.jpg"), "{both:?}");
    }
}

#[test]
fn each_image_of_a_row_is_a_sample_and_the_configuration_can_name_fields() {
    let dir = with(
        r#"{"images": ["a.jpg", "b.jpg", "c.jpg"], "text": "both"}
{"image": "b.jpg", "photo": "a.jpg", "text": "x", "wrong": ["y"], "negative": "z"}"#,
    );
    let set = read(&dir).unwrap();
    assert_eq!(testing::captions(&set), ["both", "both", "x"]);
    assert_eq!(testing::kinds(&set), ["image not found"]);
    assert_eq!(set.samples[0].place, set.skipped[0].0);
    let wrong = testing::strings(&["wrong"]);
    let images = dir.path("images");
    let options = Options {
        images: Some(&images),
        image: Some("photo"),
        negatives: &wrong,
        ..Options::default()
    };
    let set = ImageTextSet::json_lines(&dir.path("set.jsonl"), &options).unwrap();
    assert!(set.samples[0].image.to_string().ends_with("a.jpg"));
    assert_eq!(set.samples[0].negatives, ["y"]);
    assert_eq!(set.skipped[0].1, "without an image: no path under photo");
}

/// BLIP's `coco_karpathy_train.json` and `coco_karpathy_test.json`: a list of objects, with a caption or a list of them.
#[test]
fn the_objects_of_a_list_are_read_and_an_odd_one_sinks_itself() {
    let list = r#"
        [{"caption": "one", "image": "a.jpg", "image_id": "coco_1"},
         {"caption": ["two", null, "three"], "image": "b.jpg", "x": NaN}, 7,
         {"caption": "four", "image": "a.jpg", "image": "b.jpg"}, {"image": "a.jpg"}]"#;
    let dir = with(list);
    let set = read(&dir).unwrap();
    assert_eq!(testing::captions(&set), ["one", "two|three"]);
    assert!(set.samples[1].place.ends_with("set.jsonl item 1"));
    let why: Vec<&str> = set.skipped.iter().map(|(_, why)| why.as_str()).collect();
    let plain = "not a plain JSON object: ";
    assert_eq!(why[..2], [format!("{plain}a number"), format!("{plain}a key occurs twice")]);
    assert!(why[2].starts_with("without a caption"), "{why:?}");
    fails(read(&with(&list[..40])), &["set.jsonl: EOF"]);
    let packed = with(gzip(list.as_bytes()));
    assert_eq!(testing::captions(&read(&packed).unwrap()), ["one", "two|three"]);
}

#[test]
fn rows_of_a_split_are_chosen_and_what_is_held_out_is_not_trained_on() {
    let line = |split: &str| {
        format!("{{\"image\": \"a.jpg\", \"text\": \"{split}\", \"split\": \"{split}\"}}\n")
    };
    let dir = with(["train", "val", "train", "test"].map(line).concat());
    let set = read(&dir).unwrap();
    assert_eq!(testing::captions(&set), ["train", "train"]);
    assert_eq!((set.of_other_splits, set.notes.len()), (2, 1));
    assert!(set.notes[0].ends_with(
        "set.jsonl: reads the rows of \"train\" (2), not of \"test\" (1), \"val\" (1); `splits` names others"
    ));
    let asked = read_by(&dir, &[], &["validation"]).unwrap();
    assert_eq!((testing::captions(&asked), asked.notes.len()), (vec!["val".to_owned()], 0));
    fails(read_by(&dir, &[], &["dev", "extra"]), &["no split \"extra\"; there are \"test\" (1)"]);
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
    // As BLIP, LAION, pixparse, Karpathy and Flickr30k on Hugging Face have them.
    assert_eq!(read(r#""caption": ["c", null, "d"]"#), ["c", "d"]);
    assert_eq!(read(r#""TEXT": "c""#), ["c"]);
    assert_eq!(read(r#""txt": "c""#), ["c"]);
    assert_eq!(read(r#""sentences": [{"raw": "c", "tokens": ["c"]}, {"raw": "d"}]"#), ["c", "d"]);
    assert_eq!(read(r#""raw": "[\"c\", \"it's d\"]""#), ["c", "it's d"]);
    assert_eq!(read(r#""text": "['c', \"it's d\", None, 'a \\'e\\'']""#), ["c", "it's d", "a 'e'"]);
    assert_eq!(read(r#""text": "[a cat]""#), ["[a cat]"]);
    assert_eq!(read(r#""caption": NaN, "text": "c""#), ["c"]);
}

#[test]
fn negatives_are_strings_or_objects_with_text() {
    let read =
        |fields: &str| sample(&format!(r#"{{"image": "a.jpg", "text": "a", {fields}}}"#)).negatives;
    assert_eq!(read(r#""negatives": ["b", " ", "c"]"#), ["b", "c"]);
    let objects = r#""negatives": [{"text": "b", "kind": "swap", "from": "x", "to": "y"}]"#;
    assert_eq!(read(objects), ["b"]);
    assert_eq!(read(r#""negative": "b""#), ["b"]);
    assert_eq!(read(r#""negatives": ["b"], "negative": "c""#), ["b", "c"]);
    assert_eq!(read(r#""neg_caption": ["b"], "Negative_Caption": "c""#), ["b", "c"]);
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
    let set = ImageTextSet::json_lines(&file, &Options::default()).unwrap();
    let images: Vec<&ImagePlace> = set.samples.iter().map(|s| &s.image).collect();
    let expected = [dir.path("lists/../images/a.jpg"), absolute].map(ImagePlace::from);
    assert_eq!(images, [&expected[0], &expected[1]]);
    let images = dir.path("images");
    let options = Options { images: Some(&images), ..Options::default() };
    let elsewhere = ImageTextSet::json_lines(&file, &options).unwrap();
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
        (r#"{"image": "gone.jpg", "text": "a"}"#, "image not found: ", "gone.jpg\", no such file"),
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
        (
            r#""image": 7, "path": "a.jpg", "text": "a""#,
            "image must be a path or a list of paths, not a number",
        ),
        (
            r#""image": "a.jpg", "caption": true"#,
            "caption must be a string or a list of strings, not a boolean",
        ),
        (r#""image": "a.jpg", "captions": ["a", 7]"#, "captions[1] must be one of a list of"),
        (r#""image": "a.jpg", "caption": {"en": "a"}"#, "caption must be a string or a list"),
        (r#""image": "a.jpg", "text": "a", "negatives": [{"txt": "b"}]"#, "negatives[0] must"),
        (r#""image": "a.jpg", "text": "a", "negative": 7"#, "negative must be a string"),
    ] {
        let why = skipped(format!("{{{fields}}}"));
        assert!(why.starts_with(&format!("wrong type: {expected}")), "{why}");
    }
}

#[test]
fn a_file_without_a_good_line_says_what_was_looked_for() {
    let gone = r#"{"image": "gone.jpg", "text": "a"}"#;
    let lines = [gone, "{", gone].join("\n");
    let counts = "skipped: 2 image not found, 1 not JSON";
    for (lines, part) in
        [("", "no usable row"), (&*lines, counts), ("[7]", "1 not a plain JSON object")]
    {
        fails(read(&with(lines)), &["set.jsonl: no usable row", part, "file_name", "title"]);
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
    let read = |name: &str, images: Option<&Path>| {
        let options = Options { images, ..Options::default() };
        ImageTextSet::json_lines(&dir.path(name), &options).unwrap_err()
    };
    assert!(read("gone.jsonl", None).to_string().contains("gone.jsonl"));
    let error = read("set.jsonl", Some(&dir.path("nowhere")));
    assert!(matches!(error, DataError::Io { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
    let error = read("images", None).to_string();
    assert!(error.contains("no file in it ends in .jsonl"), "{error}");
}
