use std::fs;

use super::super::Sample;
use super::*;
use crate::testing::{Dir, captions, fails, kinds, strings};

/// A folder with files, each alone or before its content and `=`.
fn dir(files: &[&str]) -> Dir {
    let files = files.iter().map(|&file| file.split_once('=').unwrap_or((file, "")));
    Dir::with(&files.map(|(name, text)| (name, text.as_bytes())).collect::<Vec<_>>())
}

fn read(dir: &Dir) -> Result<ImageTextSet, DataError> {
    read_by(dir, &[])
}

fn read_by(dir: &Dir, splits: &[&str]) -> Result<ImageTextSet, DataError> {
    let splits = strings(splits);
    ImageTextSet::folder(dir.root(), &Options { splits: &splits, ..Options::default() })
}

fn below(dir: &Dir, path: &Path) -> String {
    path.strip_prefix(dir.root()).unwrap().display().to_string()
}

/// Paths of the images below the folder.
fn images(dir: &Dir, set: &ImageTextSet) -> Vec<String> {
    set.samples.iter().map(|sample| below(dir, sample.image.path().unwrap())).collect()
}

/// Skipped paths below the folder, with the reasons.
fn skipped(dir: &Dir, set: &ImageTextSet) -> Vec<String> {
    let skipped = set.skipped.iter();
    skipped.map(|(path, why)| format!("{}: {why}", below(dir, Path::new(path)))).collect()
}

#[test]
fn images_are_paired_with_texts_of_their_stem() {
    let dir = Dir::with(&[
        ("a.v2.jpg", b""),
        ("a.v2.txt", b"\xef\xbb\xbf a cat \r\n\r\n  \r\non a mat"),
        ("notes.md", b"not looked at"),
    ]);
    let set = read(&dir).unwrap();
    assert_eq!(
        set.samples,
        [Sample {
            image: dir.path("a.v2.jpg").into(),
            captions: vec!["a cat".to_owned(), "on a mat".to_owned()],
            fields: vec![],
            negatives: vec![],
            place: dir.path("a.v2.txt").display().to_string(),
            part: 0,
        }]
    );
    assert_eq!(set.skipped, []);
}

#[test]
fn every_image_format_counts_in_any_case() {
    let names = ["a.JPG", "b.jpeg", "c.Png", "d.webp", "e.gif", "f.bmp", "g.tif", "h.TIFF"];
    let dir = Dir::with(&names.map(|name| (name, &b""[..])));
    for name in names {
        let text = dir.path(name).with_extension("Txt");
        fs::write(text, "a cat").unwrap();
    }
    let set = read(&dir).unwrap();
    assert_eq!(images(&dir, &set), names);
}

#[test]
fn folders_are_read_in_the_order_of_paths() {
    let deep = ["z.jpg", "z.txt=z", "b/deep/er/y.jpg", "b/deep/er/y.txt=y"];
    let others = ["b/x.png", "b/x.jpg", "b/x.txt=x", "a/x.jpg", "a/x.txt=of a"];
    let dir = dir(&[&deep[..], &others].concat());
    let set = read(&dir).unwrap();
    let expected = ["a/x.jpg", "b/deep/er/y.jpg", "b/x.jpg", "b/x.png", "z.jpg"];
    assert_eq!(images(&dir, &set), expected);
    let captions = set.samples.iter().map(|sample| &*sample.captions[0]);
    assert_eq!(captions.collect::<Vec<_>>(), ["of a", "y", "x", "x", "z"]);
}

#[test]
fn what_lacks_its_other_half_is_skipped_with_the_reason() {
    let dir = Dir::with(&[
        ("good.jpg", b""),
        ("good.txt", b"a cat"),
        ("alone.jpg", b""),
        ("blank.jpg", b""),
        ("blank.txt", b" \n\n"),
        ("latin.jpg", b""),
        ("latin.txt", b"a cat\ncaf\xe9"),
        ("lost.txt", b"a dog"),
        // A text of another folder.
        ("sub/alone.txt", b"a bird"),
    ]);
    let set = read(&dir).unwrap();
    assert_eq!(images(&dir, &set), ["good.jpg"]);
    assert_eq!(
        skipped(&dir, &set),
        [
            "alone.jpg: without a text: alone.txt is not there",
            "blank.txt: without a caption: its text is empty (for blank.jpg)",
            "latin.txt: not UTF-8: line 2; save it as UTF-8 (for latin.jpg)",
            "lost.txt: without an image: no image of this name beside it",
            "sub/alone.txt: without an image: no image of this name beside it",
        ]
    );
    let summary = set.summary();
    let counts = "1 image with 1 caption, 0 negatives; 5 skipped: 2 without an image, 1 not UTF-8, 1 without a caption, \
                  1 without a text. The first: ";
    assert!(summary.starts_with(counts), "{summary}");
    assert!(summary.contains("alone.txt is not there"), "{summary}");
}

#[test]
fn a_text_beside_an_image_may_be_json_or_a_caption_file() {
    let dir = dir(&[
        "a.jpg",
        "a.caption=one\rtwo",
        "b.jpg",
        r#"b.json={"caption": "three", "negatives": ["four"]}"#,
        // img2dataset writes an empty text where it has no caption, and both files.
        "c.jpg",
        "c.txt=",
        r#"c.json={"caption": "five"}"#,
        "d.jpg",
        "d.txt=six",
        "d.json={damaged",
        "dataset_info.json={}",
    ]);
    let set = read(&dir).unwrap();
    assert_eq!(captions(&set), ["one|two", "three", "five", "six"]);
    assert_eq!(set.samples[1].negatives, ["four"]);
    assert!(set.skipped.is_empty(), "{:?}", set.skipped);
}

/// As huggingface/datasets reads an imagefolder: src/datasets/packaged_modules/folder_based_builder/folder_based_builder.py.
#[test]
fn a_list_of_a_folder_names_the_captions_of_its_images() {
    let lines = r#"{"file_name": "b.png", "text": "one"}
{"file_name": "sub/c.png", "text": "two", "width": NaN}
{"file_name": "gone.png", "text": "three"}"#;
    let list = format!("train/metadata.jsonl={lines}");
    let files = ["train/b.png", "train/b.txt=not read", "train/sub/c.png", "train/d.png", &list];
    let more = ["e/metadata.csv=file_name,caption\nf.png,four", "e/f.png"];
    let found = read(&dir(&[&files[..], &more].concat())).unwrap();
    assert_eq!(captions(&found), ["four", "one", "two"]);
    assert_eq!(kinds(&found), ["without a text", "image not found"]);
}

#[test]
fn folders_of_splits_side_by_side_are_told_apart() {
    let names = [
        "train/a.jpg",
        "train/a.txt=a",
        "test/b.jpg",
        "test/b.txt=b",
        "val2017/c.jpg",
        "val2017/c.txt=c",
    ];
    let of = |names: &[&str], splits: &[&str]| captions(&read_by(&dir(names), splits).unwrap());
    assert_eq!(of(&names, &[]), ["a"]);
    assert_eq!(of(&names, &["val"]), ["c"]);
    assert_eq!(of(&names, &["all"]), ["b", "a", "c"]);
    assert_eq!(of(&names[2..4], &[]), ["b"]);
    // Photos of trains, and of tests, are no splits.
    assert_eq!(of(&["train/a.jpg", "train/a.txt=a", "cat/b.jpg", "cat/b.txt=b"], &[]), ["b", "a"]);
    let note = &read(&dir(&names)).unwrap().notes[0];
    assert!(note.contains("reads the files of \"train\" (2), not of \"test\" (2)"), "{note}");
}

#[test]
fn what_systems_leave_is_no_photo_and_formats_that_are_not_read_are_named() {
    let dir = dir(&[
        "a.jpg",
        "a.txt=a",
        "._a.jpg",
        "._a.txt=x",
        ".DS_Store",
        "Thumbs.db",
        ".ipynb_checkpoints/a-checkpoint.jpg",
        "b.HEIC",
        "b.txt=b",
    ]);
    let set = read(&dir).unwrap();
    assert_eq!(images(&dir, &set), ["a.jpg"]);
    let expected =
        ["hidden file", "hidden file", "hidden file", "format not read", "without an image"];
    assert_eq!(kinds(&set), expected);
    let why = "b.HEIC: format not read: .HEIC; convert it to JPEG, PNG or WebP";
    assert_eq!(skipped(&dir, &set)[3], why);
}

#[test]
fn a_text_too_large_for_captions_is_skipped() {
    let large = vec![b'a'; (1 << 20) + 1];
    let dir = dir(&["a.jpg", "a.txt=a cat", "b.jpg", "c.jpg"]);
    fs::write(dir.path("b.txt"), &large).unwrap();
    fs::write(dir.path("c.txt"), &large[1..]).unwrap();
    let set = read(&dir).unwrap();
    assert_eq!(images(&dir, &set), ["a.jpg", "c.jpg"]);
    let why = "b.txt: unreadable: larger than 1048576 bytes (for b.jpg)";
    assert_eq!(skipped(&dir, &set), [why]);
}

#[test]
fn a_folder_with_nothing_usable_says_what_was_looked_for() {
    fails(read(&Dir::with(&[])), &["tiff", "a.txt", "0 images and 0 texts"]);
    let halves = read(&dir(&["a.jpg", "b.jpg", "c.txt=a cat"]));
    fails(halves, &["2 images and 1 text", "2 without a text", "a.txt is not there"]);
}

#[test]
fn a_folder_that_is_not_there_or_is_a_file_is_an_error() {
    let dir = Dir::with(&[("a.jpg", b"")]);
    for name in ["nowhere", "a.jpg"] {
        let error = ImageTextSet::folder(&dir.path(name), &Options::default()).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_each_folder_is_read_once() {
    use std::os::unix::fs::symlink;
    let outside = dir(&["o.jpg", "o.txt=outside"]);
    let dir = dir(&["real/a.jpg", "real/a.txt=a cat", "real/b.jpg", "real/b.txt=a dog"]);
    // Sorts before "real", which keeps its path all the same.
    symlink(dir.path("real"), dir.path("first")).unwrap();
    symlink(dir.root(), dir.path("real/up")).unwrap();
    symlink(outside.root(), dir.path("outside")).unwrap();
    symlink(outside.root(), dir.path("outside-again")).unwrap();
    symlink(dir.path("real/a.jpg"), dir.path("real/b.png")).unwrap();
    symlink(dir.path("gone.jpg"), dir.path("broken.jpg")).unwrap();
    symlink(dir.path("self.txt"), dir.path("self.txt")).unwrap();
    let set = read(&dir).unwrap();
    let expected = ["outside/o.jpg", "real/a.jpg", "real/b.jpg", "real/b.png"];
    assert_eq!(images(&dir, &set), expected);
    let skipped = skipped(&dir, &set);
    assert_eq!(skipped.len(), 2);
    for (place, found) in ["broken.jpg", "self.txt"].iter().zip(&skipped) {
        let start = format!("{place}: unreadable: a link that leads nowhere");
        assert!(found.starts_with(&start), "{found}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn of_two_texts_that_differ_in_case_one_is_read() {
    let dir = dir(&["a.jpg", "a.TXT=upper", "a.txt=lower"]);
    let set = read(&dir).unwrap();
    assert_eq!(set.samples[0].captions, ["upper"]);
    assert_eq!(skipped(&dir, &set), ["a.txt: second text: a.TXT is read"]);
}
