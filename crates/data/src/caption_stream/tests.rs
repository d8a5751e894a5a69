use super::*;
use crate::testing::{Dir, gzip, tar, zstd};

/// The rows of an input, as the text of an error if there's one.
pub(super) fn rows(input: &[u8], format: Format, field: Option<&str>) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    read(input, Path::new("input"), format, field, &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })
    .map_err(|error| error.to_string())?;
    Ok(rows)
}

/// Rows in short: captions, or the place and the reason of what can't be read.
pub(super) fn short(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|row| match row {
            Row::Captions(captions) => captions.join("|"),
            Row::Unreadable(row) => format!("! {}: {}", row.place, row.reason),
        })
        .collect()
}

#[test]
fn every_line_of_a_text_is_a_caption() {
    let input = b"\xef\xbb\xbfa cat\r\n\n \t\nsnow \xff\xfe\n\xf0\x9f\x90\x95\n\0\x1b[31m";
    let found = rows(input, Format::Text, None).unwrap();
    assert_eq!(
        short(&found),
        [
            "a cat",
            "",
            " \t",
            "! line 4: not UTF-8: at byte 6 of the caption; save the file as UTF-8",
            "🐕",
            "\0\u{1b}[31m",
        ]
    );
    let Row::Unreadable(bad) = &found[3] else {
        panic!("{found:?}");
    };
    assert_eq!(bad.shown.as_deref(), Some("snow \u{fffd}\u{fffd}"));
    assert!(rows(b"", Format::Text, None).unwrap().is_empty());
}

#[test]
fn a_caption_that_is_too_long_stays_so_when_it_is_cut() {
    for letter in ["a", "é", "🐕"] {
        let line = letter.repeat(1 << 20) + "\nshort\n";
        let found = rows(line.as_bytes(), Format::Text, None).unwrap();
        let [Row::Captions(long), Row::Captions(next)] = &found[..] else {
            panic!("{letter}: {} rows", found.len());
        };
        assert!((LONGEST_CAPTION + 1..=KEPT).contains(&long[0].len()));
        assert!((LONGEST_CAPTION - 3..=LONGEST_CAPTION).contains(&shown(&long[0]).len()));
        assert_eq!(next, &["short"]);
        let whole = letter.repeat(LONGEST_CAPTION / letter.len());
        let found = rows(whole.as_bytes(), Format::Text, None).unwrap();
        assert_eq!(found, [Row::Captions(vec![whole.clone()])]);
        assert_eq!(shown(&whole), whole);
    }
}

#[test]
fn json_lines_give_the_captions_that_training_reads() {
    let input = br#"{"caption": "a cat", "x": [1, {}]}

{"caption": null, "text": "a dog"}
{"captions": ["one", "", null, "two"], "caption": "three"}
{"Caption": ["four", "five"], "similarity": NaN}
{"caption": 5}
{"captions": ["six", 7]}
{"captions": []}
{"title": "eight", "title": "nine"}
["ten"]
{"caption": "eleven"
"#;
    let told = short(&rows(input, Format::JsonLines, None).unwrap());
    assert_eq!(told[..4], ["a cat", "a dog", "one|two", "four|five"]);
    let bad = [
        "! line 6: wrong type: caption must be a string or a list of strings, not a number",
        "! line 7: wrong type: captions[1] must be ",
        "! line 8: without a caption: ",
        "! line 9: not a plain JSON object: key \"title\" occurs twice",
        "! line 10: not a plain JSON object: ",
        "! line 11: not JSON: ",
    ];
    assert_eq!(told.len(), 4 + bad.len());
    for (found, expected) in told[4..].iter().zip(bad) {
        assert!(found.starts_with(expected), "{found}");
    }
    let named = rows(b"{\"alt\": \"a\"}\n{\"caption\": \"b\"}\n", Format::JsonLines, Some("alt"));
    assert_eq!(short(&named.unwrap()), ["a", "! line 2: without a caption: no text under alt"]);
}

#[test]
fn rows_without_end_are_passed_over() {
    let mut long = b"{\"caption\": \"".to_vec();
    long.resize(LONGEST_ROW + 100, b'a');
    long.extend(b"\"}\n{\"caption\": \"b\"}");
    let told = short(&rows(&long, Format::JsonLines, None).unwrap());
    assert!(told[0].starts_with("! line 1: too long: more than 16777216 bytes"), "{told:?}");
    assert_eq!(told[1..], ["b"]);
    let many = format!("{{\"captions\": [{}\"x\"]}}", "\"x\",".repeat(MOST_CAPTIONS));
    let told = short(&rows(many.as_bytes(), Format::JsonLines, None).unwrap());
    assert!(told[0].starts_with("! line 1: too many captions: 1001"), "{told:?}");
}

#[test]
fn a_table_gives_its_captions_and_names_the_lines_of_bad_rows() {
    let input = b"\xef\xbb\xbfid;Caption;url\r\n\r\n1;a cat;x\r\n2;\"a \"\"big\"\";\ndog\";y\r\n3;too few\r\n4;;z\r\n5;bad \xff;z\r\n6;last;z";
    let found = rows(input, Format::Table, None).unwrap();
    assert_eq!(
        short(&found),
        [
            "a cat",
            "a \"big\";\ndog",
            "! line 6: wrong number of columns: 2 where the header has 3",
            "! line 7: without a caption: it is null or blank",
            "! line 8: not UTF-8: invalid utf-8 sequence of 1 bytes from index 4",
            "last",
        ]
    );
    let Row::Unreadable(bad) = &found[4] else {
        panic!("{found:?}");
    };
    assert_eq!(bad.shown.as_deref(), Some("bad \u{fffd}"));
    assert_eq!(short(&rows(b"x\talt\nb\tc\n", Format::Table, Some("alt")).unwrap()), ["c"]);
    let error = rows(b"id\talt\n", Format::Table, None).unwrap_err();
    assert!(error.contains("no column of captions") && error.contains("\"alt\""), "{error}");
    assert!(rows(b"", Format::Table, None).unwrap().is_empty());
    assert!(rows(b"caption\n", Format::Table, None).unwrap().is_empty());
}

/// What [`read_files`] gives of files in a folder, by a pattern.
fn of_files(files: &[(&str, &[u8])], pattern: &str) -> Vec<String> {
    let dir = Dir::with(files);
    let path = dir.path(pattern);
    let copies = dir.path("copies");
    let format = Format::of(&path).unwrap();
    let mut rows = Vec::new();
    let take = &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    };
    let open = |file: File| -> Box<dyn Read> { Box::new(file) };
    let cache = Cache::silent(Some(&copies));
    read_files(&path, format, None, &cache, &open, take).unwrap();
    let root = dir.root().to_string_lossy().into_owned() + "/";
    short(&rows).into_iter().map(|row| row.replace(&root, "")).collect()
}

#[test]
fn files_are_read_as_training_reads_them() {
    let shard = |number: u8| {
        let number = number.to_string();
        let (image, text) = (format!("{number}.jpg"), format!("{number}.txt"));
        tar(&[(&image, b""), (&text, number.as_bytes())])
    };
    let [one, two, packed] = [shard(1), shard(2), zstd(&shard(3))];
    let shards = [("s/1.tar", &one[..]), ("s/2.tar", &two), ("s/3.tar.zst", &packed)];
    assert_eq!(of_files(&shards, "s"), ["1", "2", "3"]);
    assert_eq!(of_files(&shards, "s/{1..2}.tar"), ["1", "2"]);
    // Flickr8k's captions.txt, whose images needn't be there.
    let table: [(&str, &[u8]); 2] = [
        ("captions.txt", b"image,caption\n10.jpg,\"a cat , asleep\"\n10.jpg,a cat\n"),
        ("texts.txt", b"a cat, asleep\n\n"),
    ];
    assert_eq!(of_files(&table, "captions.txt"), ["a cat , asleep", "a cat"]);
    assert_eq!(of_files(&table, "texts.txt"), ["a cat, asleep", ""]);
    let golden = std::env!("CARGO_MANIFEST_DIR").to_owned() + "/../../tests/golden/parquet/";
    let parquet = std::fs::read(golden + "lists.parquet").unwrap();
    let expected =
        ["! row 0: without a caption: it is null or blank", "one|two of 1", "one|two of 2"];
    assert_eq!(of_files(&[("data/test-0.parquet", &parquet)], ""), expected);
    let both = [("a-0.parquet", &parquet[..]), ("a-1.parquet", &parquet)];
    assert!(of_files(&both, "a-*.parquet")[3].starts_with("! a-1.parquet: row 0: "));
    let gz = gzip(b"{\"text\": \"a\"}\n");
    assert_eq!(of_files(&[("a.jsonl.gz", &gz)], "a.jsonl.gz"), ["a"]);
    let folder: [(&str, &[u8]); 3] = [("b/1.jpg", b""), ("b/1.txt", b"x\ny"), ("b/2.jpg", b"")];
    assert_eq!(of_files(&folder, "b"), ["x|y", "! b/2.jpg: without a text: 2.txt is not there"]);
    let karpathy = br#"{"images": [
            {"filename": "gone.jpg", "split": "train", "sentences": [{"raw": "one"}, {"raw": "two"}]},
            {"filename": "gone too.jpg", "split": "test", "sentences": [{"raw": "three"}]}]}"#;
    assert_eq!(of_files(&[("c.json", karpathy)], "c.json"), ["one|two", "three"]);
    let list = br#"[{"image": "gone.jpg", "caption": "one"}, {"caption": "two"}]"#;
    assert_eq!(of_files(&[("c.json", list)], "c.json"), ["one", "two"]);
}

#[test]
fn reading_stops_where_the_taker_does() {
    for (format, input) in [
        (Format::Text, "a\nb\nc\n"),
        (Format::Table, "caption\na\nb\nc\n"),
        (Format::JsonLines, "{}\n{}\n{}\n"),
    ] {
        let mut seen = 0;
        read(input.as_bytes(), Path::new("x"), format, None, &mut |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert_eq!(seen, 2, "{format:?}");
    }
}
