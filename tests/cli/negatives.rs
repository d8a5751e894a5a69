//! Guards `clove negatives`: one line per caption for any input, reproducible lines, and no negative that is true of the image.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
#[cfg(unix)]
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use clove_tests::tar;
use serde_json::{Value, json};

#[cfg(unix)]
use super::train_stops::{interrupted, signal, within_a_minute};
use super::{
    Place, assert_contains, clove, fail, no_partial_file, path, program, succeed, succeeded,
};

/// Captions for which every style has a negative, except for the blank one.
const CAPTIONS: [&str; 6] = [
    "a black dog is sitting next to a white cat",
    "",
    "a man in a red shirt, riding a \"brown\" horse 🐎",
    "two women and a small child walk along the empty beach",
    "a wooden table with a blue cup on top of a green plate",
    "a young girl holds a yellow umbrella under a grey sky",
];

fn command(args: &[&str]) -> Command {
    program(&[&["negatives"], args].concat())
}

/// Starts with pipes for all three streams.
fn start(command: &mut Command) -> Child {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    pipes.spawn().unwrap()
}

/// Runs with this standard input.
fn pipe(command: &mut Command, input: &[u8]) -> Output {
    let mut child = start(command);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Written by a thread, because both processes may wait for their pipes to empty.
    let writer = thread::spawn(move || {
        // The program may end before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The lines for a text on standard input, and the report.
fn made(args: &[&str], input: &[u8]) -> (Vec<Value>, String) {
    let (printed, report) = succeeded(&pipe(&mut command(args), input));
    (lines(&printed), report)
}

fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn captions(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["caption"].as_str().unwrap()).collect()
}

/// The kinds of all negatives.
fn kinds(lines: &[Value]) -> Vec<&str> {
    let negatives = lines.iter().flat_map(|line| line["negatives"].as_array().unwrap());
    negatives.map(|negative| negative["kind"].as_str().unwrap()).collect()
}

fn negatives(line: &Value) -> Vec<&str> {
    let negatives = line["negatives"].as_array().unwrap().iter();
    negatives.map(|negative| negative["text"].as_str().unwrap()).collect()
}

/// The captions in every format, with a file's name and the format's.
fn every_format() -> [(&'static str, &'static str, Vec<u8>); 5] {
    let quoted = |delimiter: &str| -> Vec<u8> {
        let rows = CAPTIONS.map(|caption| {
            let caption = caption.replace('"', "\"\"");
            format!("7{delimiter}\"{caption}\"\r\n")
        });
        format!("id{delimiter}caption\r\n{}", rows.concat()).into_bytes()
    };
    let objects = CAPTIONS.map(|caption| json!({"caption": caption, "size": [3, 4]}).to_string());
    let members = objects.iter().enumerate().flat_map(|(number, object)| {
        [(format!("{number}.jpg"), "no image"), (format!("{number}.json"), object.as_str())]
    });
    [
        ("c.txt", "text", (CAPTIONS.join("\n") + "\n").into_bytes()),
        ("c.CSV", "csv", quoted(",")),
        ("c.tsv", "tsv", quoted("\t")),
        ("c.jsonl", "json-lines", objects.join("\n").into_bytes()),
        ("c.tar", "webdataset", tar(members)),
    ]
}

#[test]
fn every_format_gives_the_same_lines_in_order() {
    let place = Place::new();
    let (expected, report) = made(&["--per-caption", "2"], CAPTIONS.join("\n").as_bytes());
    assert_eq!(captions(&expected), CAPTIONS);
    assert!(
        report.starts_with("6 captions, 5 with a negative (83.3 %), 10 negatives\n"),
        "{report}"
    );
    assert!(report.contains("\nwithout one: 1 blank"), "{report}");
    assert!(!report.contains("unreadable"), "{report}");
    for line in &expected {
        let object = line.as_object().unwrap();
        assert_eq!(object.len(), 2, "{line}");
        let caption = line["caption"].as_str().unwrap();
        assert_eq!(negatives(line).len(), if caption.is_empty() { 0 } else { 2 });
        for negative in line["negatives"].as_array().unwrap() {
            let keys: Vec<&String> = negative.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["from", "kind", "text", "to"]);
            assert!(negative["kind"].as_str().unwrap().starts_with("replace_"));
            assert_ne!(negative["text"], caption);
        }
    }
    for (name, format, bytes) in every_format() {
        let file = place.file(name, &bytes);
        let given = ["negatives", "--per-caption", "2", "--input", &file];
        assert_eq!(lines(&succeed(&given)), expected, "{name}");
        // Standard input needs `--format`.
        let args = ["--per-caption", "2", "--format", format, "--input", "-"];
        assert_eq!(made(&args, &bytes).0, expected, "{name}");
    }
}

#[test]
fn every_kind_of_set_gives_the_lines_of_its_captions() {
    let place = Place::new();
    let captions = CAPTIONS.map(str::trim).into_iter().filter(|caption| !caption.is_empty());
    let captions: Vec<&str> = captions.collect();
    let (expected, _) = made(&["--style", "mixed"], captions.join("\n").as_bytes());
    let name = |number: usize| format!("{number}.jpg");
    let folder = place.out("folder");
    fs::create_dir(&folder).unwrap();
    for (number, caption) in captions.iter().enumerate() {
        fs::write(folder.join(name(number)), "no image").unwrap();
        fs::write(folder.join(format!("{number}.txt")), caption).unwrap();
    }
    let texts = captions.iter().enumerate();
    let shard = tar(texts.clone().flat_map(|(number, caption)| {
        [(name(number), (*caption).to_owned()), (format!("{number}.txt"), (*caption).to_owned())]
    }));
    let rows = texts.clone().map(|(number, caption)| {
        format!("{},\"{}\"\n", name(number), caption.replace('"', "\"\""))
    });
    let rows: String = rows.collect();
    let images = texts.clone().map(|(number, _)| json!({"id": number, "file_name": name(number)}));
    let annotations =
        texts.clone().map(|(number, caption)| json!({"image_id": number, "caption": caption}));
    let coco = json!({
        "images": images.collect::<Vec<Value>>(), "annotations": annotations.collect::<Vec<Value>>()
    });
    let list: Value =
        texts.map(|(number, caption)| json!({"image": name(number), "TEXT": [caption]})).collect();
    let shards = place.out("shards");
    fs::create_dir(&shards).unwrap();
    fs::write(shards.join("0.tar"), &shard).unwrap();
    for input in [
        path(&folder).to_owned(),
        path(&shards).to_owned(),
        path(&shards.join("*.tar")).to_owned(),
        place.file("captions.txt", format!("image,caption\n{rows}").as_bytes()),
        place.file("coco.json", coco.to_string().as_bytes()),
        place.file("list.json", list.to_string().as_bytes()),
    ] {
        let printed = succeed(&["negatives", "--style", "mixed", "--input", &input]);
        assert_eq!(lines(&printed), expected, "{input}");
    }
}

#[test]
fn the_same_arguments_give_the_same_lines_on_any_number_of_threads() {
    // More than one batch of work.
    let expected: Vec<String> =
        (0..5_000).map(|number| format!("{} number {number}", CAPTIONS[number % 6])).collect();
    let input = expected.join("\n");
    let run = |threads: Option<&str>, more: &[&str]| {
        let mut command = command(&[&["--style", "mixed", "--per-caption", "2"], more].concat());
        if let Some(threads) = threads {
            command.env("RAYON_NUM_THREADS", threads);
        }
        succeeded(&pipe(&mut command, input.as_bytes()))
    };
    let first = run(None, &[]);
    assert_eq!(captions(&lines(&first.0)), expected);
    assert!(first == run(None, &[]) && first == run(Some("1"), &[]));
    for args in [["--seed", "1"], ["--epoch", "1"]] {
        let (other, _) = run(None, &args);
        assert!(first.0 != other, "{args:?}");
        assert_eq!(captions(&lines(&other)), expected);
    }
}

#[test]
fn every_style_makes_its_own_kinds() {
    let input = CAPTIONS.join("\n");
    for (style, kinds) in
        [("replace", "replace_"), ("negclip", "swap_"), ("swap", "swap_"), ("shuffle", "shuffle_")]
    {
        let (lines, _) = made(&["--style", style, "--per-caption", "3"], input.as_bytes());
        let found = self::kinds(&lines);
        assert!(!found.is_empty(), "{style}");
        assert!(found.iter().all(|kind| kind.starts_with(kinds)), "{style}: {found:?}");
    }
    let (lines, _) = made(&["--style", "mixed", "--per-caption", "4"], input.as_bytes());
    let kinds: HashSet<&str> =
        kinds(&lines).into_iter().filter_map(|kind| kind.split('_').next()).collect();
    assert_eq!(kinds, HashSet::from(["replace", "swap", "shuffle"]));
}

#[test]
fn no_line_of_text_moves_another() {
    let long = "a red house ".repeat(90_000);
    let input: Vec<&[u8]> = vec![
        b"\xef\xbb\xbfa red car\r",
        b"",
        b"  \t ",
        "🦀🦀 🐕‍🦺".as_bytes(),
        b"\x00\x1b[31m a red\x07 car",
        long.as_bytes(),
        b"a \xff\xfe car",
        b"\xe2\x82",
        b"a red car",
    ];
    let (lines, report) = made(&["--style", "mixed"], &input.join(&b'\n'));
    assert_eq!(lines.len(), 9);
    let captions = captions(&lines);
    assert_eq!(captions[..2], ["a red car", ""]);
    assert_eq!(captions[3..5], ["🦀🦀 🐕‍🦺", "\0\u{1b}[31m a red\u{7} car"]);
    assert_eq!(captions[6..], ["a \u{fffd}\u{fffd} car", "\u{fffd}", "a red car"]);
    // A caption that is too long is cut.
    assert_eq!(captions[5], &long[..16_384]);
    for empty in [1, 2, 5, 6, 7] {
        assert!(negatives(&lines[empty]).is_empty(), "{}", lines[empty]);
    }
    for full in [0, 8] {
        assert!(!negatives(&lines[full]).is_empty(), "{}", lines[full]);
    }
    assert!(report.starts_with("7 captions, "), "{report}");
    assert_contains(
        &report,
        &[
            "2 blank",
            "1 longer than 16,384 bytes",
            "2 unreadable rows: line 7: not UTF-8: at byte 3 of the caption",
            "line 8: not UTF-8: at byte 1",
        ],
    );
}

#[test]
fn bad_rows_are_counted_and_named_and_keep_their_lines() {
    let place = Place::new();
    let dog = "a black dog runs";
    let table = format!("caption,url\n{dog},x\ntoo,many,fields\nfew\n{dog},y\n");
    let object = json!({ "caption": dog }).to_string();
    let objects =
        format!("{object}\n{{\"caption\": 3}}\n\n{{broken\n[1]\n{{\"x\": 1}}\n{object}\n");
    let top = json!({ "top_caption": dog }).to_string();
    let members = [("a.json", top.as_str()), ("b.json", "{"), ("c.json", object.as_str())];
    let columns = "line 3: wrong number of columns: 3 where the header has 2";
    let kind = "line 2: wrong type";
    for (name, bytes, bad, parts) in [
        ("bad.csv", table.into_bytes(), 2, &[columns, "line 4: "][..]),
        (
            "bad.jsonl",
            objects.into_bytes(),
            4,
            &[kind, "line 4: not ", "line 5: not ", "; and 1 more"],
        ),
        ("bad.tar", tar(members), 1, &["\"b\": not "]),
    ] {
        let file = place.file(name, &bytes);
        let (printed, report) = succeeded(&clove(&["negatives", "--input", &file]));
        let lines = lines(&printed);
        assert_eq!(lines.len(), 2 + bad, "{name}");
        assert!(!negatives(&lines[0]).is_empty() && !negatives(&lines[1 + bad]).is_empty());
        for line in &lines[1..=bad] {
            assert_eq!(line, &json!({"caption": "", "negatives": []}), "{name}");
        }
        assert_contains(&report, &[&format!("{bad} unreadable row")]);
        assert_contains(&report, parts);
    }
    // A truncated shard is read up to the damage.
    let half = tar(members)[..1_024 + 200].to_vec();
    let half = place.file("half.tar", &half);
    let (printed, report) = succeeded(&clove(&["negatives", "--input", &half]));
    assert_eq!(captions(&lines(&printed)), [dog]);
    assert!(report.contains("in or after \"a.json\": damaged"), "{report}");
}

#[test]
fn what_cannot_work_ends_with_one_line_that_names_it() {
    let place = Place::new();
    let words = place.file("words.txt", b"a red car\n");
    let table = place.file("table.csv", b"id,alt\n1,a red car\n");
    let noise = place.file("noise.jsonl", b"no json\nat all\n");
    let strange = place.file("words.md", b"a red car\n");
    let shard = place.file("x.tar", &tar([("a.jpg", "a")]));
    let empty = place.out("empty");
    fs::create_dir(&empty).unwrap();
    let out = place.out("out.jsonl");
    let run = |args: &[&str]| fail(&[&["negatives", "--out", path(&out)], args].concat());
    for (args, parts) in [
        (&["--input", "no/such.txt"][..], &["no/such.txt: "][..]),
        (&["--input", &strange], &["words.md: ", "--format"]),
        (&["--input", &words, "--field", "alt"], &["--field: "]),
        (&["--input", &table], &["table.csv: no column of captions", "\"alt\""]),
        (&["--input", &noise], &["noise.jsonl: no row can be read", "line 1: not "]),
        (&["--input", &shard], &["x.tar: none of its 1 members"]),
        (&["--input", path(&empty), "--format", "text"], &[path(&empty), "ends in .txt"]),
        (&["--input", path(&empty)], &[path(&empty), "no image with a caption"]),
        (&["--format", "parquet"], &["--format parquet: standard input"]),
    ] {
        assert_contains(&run(args), parts);
        assert!(!out.exists(), "{args:?}");
    }
    for input in [words.clone(), path(&place.out("*.txt")).to_owned()] {
        let error = fail(&["negatives", "--format", "text", "--input", &input, "--out", &words]);
        assert!(error.contains("words.txt: this is an input"), "{error}");
    }
    assert_eq!(fs::read(&words).unwrap(), b"a red car\n");
    no_partial_file(place.dir.path());
}

#[test]
fn an_empty_input_gives_an_empty_output_and_out_is_written_whole() {
    let place = Place::new();
    for format in ["text", "csv", "tsv", "json-lines", "webdataset"] {
        let (lines, report) = made(&["--format", format], b"");
        assert!(lines.is_empty());
        assert_eq!(report.trim_end(), "0 captions, 0 with a negative (0.0 %), 0 negatives");
    }
    let table = place.file("t.csv", b"id,alt\n1,a red car\n2,a blue house\n");
    let out = place.out("new/out.jsonl");
    let args = ["negatives", "--input", &table, "--field", "alt"];
    let printed = succeed(&args);
    assert_eq!(captions(&lines(&printed)), ["a red car", "a blue house"]);
    let nothing = succeed(&[&args[..], &["--out", path(&out)]].concat());
    assert!(nothing.is_empty());
    assert_eq!(fs::read_to_string(&out).unwrap(), printed);
    assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn captions_of_one_image_are_no_negatives_of_each_other() {
    // Nearly all colours that could replace another.
    let colours = [
        "red", "blue", "green", "yellow", "black", "white", "brown", "pink", "purple", "orange",
        "grey", "gray",
    ];
    let captions: Vec<String> = colours.map(|colour| format!("a {colour} square")).to_vec();
    let object = json!({ "captions": captions }).to_string();
    let taken: HashSet<&str> = captions.iter().map(String::as_str).collect();
    let (together, _) = made(&["--format", "json-lines", "--per-caption", "16"], object.as_bytes());
    assert_eq!(self::captions(&together), captions);
    assert!(together.iter().any(|line| !negatives(line).is_empty()));
    for line in &together {
        let found = negatives(line);
        assert!(found.iter().all(|text| !taken.contains(text)), "{line}");
    }
    // Captions of different images can be.
    let (apart, _) = made(&["--per-caption", "16"], captions.join("\n").as_bytes());
    let all: HashSet<&str> = apart.iter().flat_map(negatives).collect();
    assert!(!all.is_disjoint(&taken));
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_it_with_whole_lines_though_the_input_goes_on() {
    let place = Place::new();
    for out in [None, Some(place.out("out.jsonl"))] {
        let mut args = vec!["--style", "negclip"];
        args.extend(out.iter().flat_map(|out| ["--out", path(out)]));
        let mut child = start(&mut command(&args));
        // Stays open, so the program waits for more.
        let mut stdin = child.stdin.take().unwrap();
        let block = "a black dog and a white cat\n".repeat(5_000);
        stdin.write_all(block.as_bytes()).unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        if out.is_none() {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            assert_eq!(lines(&line).len(), 1);
        } else {
            // The program listens for signals once it has created the file.
            within_a_minute(|| fs::read_dir(place.dir.path()).unwrap().count() > 0);
        }
        let rest = thread::spawn(move || std::io::read_to_string(stdout).unwrap());
        signal(&child, "-INT");
        within_a_minute(|| child.try_wait().unwrap().is_some());
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let stderr = interrupted(&output);
        assert!(stderr.starts_with("clove: stopped after "), "{stderr}");
        // Every line is whole.
        lines(&rest.join().unwrap());
        assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0, "{stderr}");
    }
}
