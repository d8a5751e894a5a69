//! Guards the readers of clove_data: benchmark files, caption lists and photo folders, and the errors for malformed ones.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use clove::evaluate::{Pair, Subset, TrainingCaption};
use clove_data::benchmarks::sugar_crepe;
use clove_data::{DataError, Photos, captions};
use clove_tests::{assert_contains, copy_folder, golden, held};

fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn crepe(json: &str) -> Result<Subset, DataError> {
    let (_folder, path) = write("swap_obj.json", json.as_bytes());
    sugar_crepe::read_subset("swap_obj", &path)
}

#[test]
fn sugar_crepe_rows_come_in_numeric_order() {
    let row = |image| {
        format!(r#"{{"filename": "{image}", "caption": "c", "negative_caption": "n", "new": 1}}"#)
    };
    let json = format!("\u{feff}{{\"10\": {}, \"9\": {}}}", row("x.jpg"), row("y.jpg"));
    let read = crepe(&json).unwrap();
    let expected = Pair {
        id: "9".to_owned(),
        image: "y.jpg".to_owned(),
        caption: "c".to_owned(),
        negative: "n".to_owned(),
    };
    assert_eq!(read.rows[0], expected);
    assert_eq!(read.rows[1].id, "10");
}

#[test]
fn malformed_sugar_crepe_files_are_named_with_key_and_field() {
    let row = r#"{"filename": "x.jpg", "caption": "c", "negative_caption": "n"}"#;
    for (json, parts) in [
        (
            r#"{"3": {"filename": "x.jpg", "caption": "c"}}"#,
            ["\"3\"", "negative_caption", "missing"],
        ),
        (
            r#"{"3": {"filename": 7, "caption": "c", "negative_caption": "n"}}"#,
            ["\"3\"", "filename", "a number"],
        ),
        (r#"{"3": ROW, "4": ROW, "3": ROW}"#, ["\"3\"", "twice", "line 1"]),
        (r#"{"3": {"caption": "a", "caption": "b"}}"#, ["\"3\"", "\"caption\"", "twice"]),
        (r#"{"3": ROW, "03": ROW}"#, ["\"3\"", "\"03\"", "same number"]),
        (r#"{"three": ROW}"#, ["\"three\"", "row number", "swap_obj"]),
        (r#"{"3": ["x.jpg"]}"#, ["\"3\"", "sequence", "object"]),
        ("[ROW]", ["sequence", "object", "swap_obj"]),
        (r#"{"3": ROW"#, ["EOF", "line 1", "swap_obj"]),
    ] {
        let message = crepe(&json.replace("ROW", row)).unwrap_err().to_string();
        assert!(message.contains("swap_obj.json"), "{message}");
        assert_contains(&message, &parts);
    }
}

#[test]
fn missing_sugar_crepe_files_are_all_listed() {
    let (folder, _) = write("add_att.json", b"{}");
    let message = sugar_crepe::read(folder.path()).unwrap_err().to_string();
    assert!(!message.contains("add_att.json"), "{message}");
    for name in &sugar_crepe::SUBSETS[1..] {
        assert!(message.contains(name), "{message}");
    }
    assert!(message.contains("RAIVNLab/sugar-crepe"), "{message}");
}

#[test]
fn lines_keep_blanks_and_drop_the_bom() {
    let (_folder, path) = write("texts.txt", "\u{feff}a\r\n\r\nb \n\n".as_bytes());
    assert_eq!(captions::read_lines(&path).unwrap(), ["a", "", "b ", ""]);
    let (_folder, path) = write("mac.txt", b"a\r\rb\r");
    assert_eq!(captions::read_lines(&path).unwrap(), ["a", "", "b"]);
    let (_folder, path) = write("latin.txt", b"fine\n\nna\xefve\n");
    let message = captions::read_lines(&path).unwrap_err().to_string();
    assert!(message.contains("latin.txt:3: not valid UTF-8"), "{message}");
    let error = captions::read_lines(Path::new("no/such/file.txt")).unwrap_err();
    assert!(error.to_string().contains("no/such/file.txt"), "{error}");
}

#[test]
fn training_captions_of_every_format() {
    let read = |name: &str, text: &str| {
        let (_folder, path) = write(name, text.as_bytes());
        captions::read_training_captions(&path)
    };
    let with = |image: Option<&str>| {
        let (text, image) = ("A \"b\", c".to_owned(), image.map(str::to_owned));
        vec![TrainingCaption { text, image }]
    };
    assert_eq!(read("x.txt", "A \"b\", c\n").unwrap(), with(None));
    let tsv = "\ttitle\tfilepath\n0\t\"A \"\"b\"\", c\"\tp/q.jpg\n";
    assert_eq!(read("x.tsv", tsv).unwrap(), with(Some("p/q.jpg")));
    assert_eq!(read("x.CSV", "caption\n\"A \"\"b\"\", c\"\n").unwrap(), with(None));
    let coco = r#"{"images": [{"id": 4, "file_name": "q.jpg"}], "annotations": [{"image_id": 4, "caption": "A \"b\", c"}]}"#;
    assert_eq!(read("x.json", coco).unwrap(), with(Some("q.jpg")));
    let lines = "{\"caption\": \"A \\\"b\\\", c\", \"image\": \"q.jpg\"}\n\n";
    assert_eq!(read("x.jsonl", lines).unwrap(), with(Some("q.jpg")));
    // As training sets have them: Flickr8k's two tables, BLIP's list, Karpathy's sentences, LAION's names.
    let flickr = "image,caption\nq.jpg,\"A \"\"b\"\", c\"\n";
    assert_eq!(read("captions.txt", flickr).unwrap(), with(Some("q.jpg")));
    assert_eq!(read("Flickr8k.token.txt", "q.jpg#0\tA \"b\", c\n").unwrap(), with(Some("q.jpg")));
    let blip = r#"[{"image": "q.jpg", "caption": ["A \"b\", c"], "x": NaN}]"#;
    assert_eq!(read("x.json", blip).unwrap(), with(Some("q.jpg")));
    let karpathy = r#"{"images": [{"filename": "q.jpg", "sentences": [{"raw": "A \"b\", c"}]}]}"#;
    assert_eq!(read("x.json", karpathy).unwrap(), with(Some("q.jpg")));
    assert_eq!(read("x.tsv", "TEXT\tURL\nA \"b\", c\tq\n").unwrap(), with(None));

    for (name, text, part) in [
        ("x.md", "a", ".jsonl"),
        ("x.csv", "words\na\n", "no column of captions"),
        ("x.csv", "caption,image\na\n", "line 2"),
        ("x.csv", "caption,image\na,b\n\"c,d\ne,f\n", "line 3: a quote opens a field"),
        ("x.json", &coco.replace("\"image_id\": 4", "\"image_id\": 5"), "annotation 0"),
        ("x.jsonl", "{\"caption\": \"a\"}\n{\"words\": \"b\"}\n", "line 2"),
        ("x.jsonl", "{\"caption\": 3}\n", "a number"),
    ] {
        assert_contains(&read(name, text).unwrap_err().to_string(), &[name, part]);
    }
}

#[test]
fn photos_are_found_flat_or_nested() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.jpg", "one/b.PNG", "one/c.jpg", "two/c.jpg", "note.txt"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }
    let photos = Photos::open(folder.path()).unwrap();
    assert_eq!(photos.len(), 4);
    let expected = HashMap::from([
        ("a.jpg", "a.jpg"),
        ("images/a.jpg", "a.jpg"),
        ("b.PNG", "one/b.PNG"),
        ("two/c.jpg", "two/c.jpg"),
    ]);
    for (name, path) in expected {
        let found = photos.find(name).unwrap().unwrap();
        assert_eq!(found, folder.path().join(path), "{name}");
    }
    assert_eq!(photos.find("z.jpg").unwrap(), None);
    assert_eq!(photos.find("note.txt").unwrap(), None);
    assert_contains(&photos.find("c.jpg").unwrap_err().to_string(), &["one", "two"]);
    assert!(Photos::open(&folder.path().join("none")).is_err());
}

#[test]
fn a_manifest_lists_the_files_of_a_folder() {
    // The browser's tests compare downloads with it.
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&golden("tiny-clip/hf"), folder.path());
    fs::create_dir(folder.path().join("sub")).unwrap();
    // Written twice, because the manifest doesn't list itself.
    clove_data::write_manifest(folder.path()).unwrap();
    clove_data::write_manifest(folder.path()).unwrap();
    let written = fs::read_to_string(folder.path().join("manifest.json")).unwrap();
    assert_eq!(written, held(&golden("tiny-clip/manifest.json"), || written.clone()));
    let error = clove_data::write_manifest(&folder.path().join("gone")).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}
