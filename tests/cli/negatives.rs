//! Guards `clove negatives`: a line for each caption whatever the input holds, the same lines each time, and no negative that's
//! true of the image.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
#[cfg(unix)]
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::thread;
#[cfg(unix)]
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Place, clove, fail, path, succeed, text};

/// Captions of which every style can make a negative, but for the blank one.
const CAPTIONS: [&str; 6] = [
    "a black dog is sitting next to a white cat",
    "",
    "a man in a red shirt, riding a \"brown\" horse 🐎",
    "two women and a small child walk along the empty beach",
    "a wooden table with a blue cup on top of a green plate",
    "a young girl holds a yellow umbrella under a grey sky",
];

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clove"));
    command.arg("negatives").args(args).env("XDG_RUNTIME_DIR", std::env::temp_dir());
    command
}

/// Runs with something on standard input.
fn pipe(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // On a thread of its own: both ends may wait for each other's pipes to empty.
    let writer = thread::spawn(move || {
        // It may end before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The lines that text on standard input gives, and the report.
fn made(args: &[&str], input: &[u8]) -> (Vec<Value>, String) {
    let output = pipe(&mut command(args), input);
    let report = text(&output.stderr);
    assert!(output.status.success(), "{args:?}: {report}");
    (lines(&text(&output.stdout)), report)
}

fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines = text.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn captions(lines: &[Value]) -> Vec<&str> {
    let captions = lines.iter().map(|line| line["caption"].as_str().unwrap());
    captions.collect()
}

fn negatives(line: &Value) -> Vec<&str> {
    let negatives = line["negatives"].as_array().unwrap().iter();
    negatives.map(|negative| negative["text"].as_str().unwrap()).collect()
}

fn shard(members: &[(String, String)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The captions in every format, by the file's name.
fn every_format() -> Vec<(&'static str, Vec<u8>)> {
    let quoted = |delimiter: &str| -> Vec<u8> {
        let rows = CAPTIONS.iter().enumerate().map(|(number, caption)| {
            let caption = caption.replace('"', "\"\"");
            format!("{number}{delimiter}\"{caption}\"\r\n")
        });
        let rows: String = rows.collect();
        format!("id{delimiter}caption\r\n{rows}").into_bytes()
    };
    let objects = CAPTIONS.map(|caption| json!({"caption": caption, "size": [3, 4]}).to_string());
    let members = objects.iter().enumerate().flat_map(|(number, object)| {
        [
            (format!("{number}.jpg"), "no image".to_owned()),
            (format!("{number}.json"), object.clone()),
        ]
    });
    vec![
        ("c.txt", (CAPTIONS.join("\n") + "\n").into_bytes()),
        ("c.CSV", quoted(",")),
        ("c.tsv", quoted("\t")),
        ("c.jsonl", objects.join("\n").into_bytes()),
        ("c.tar", shard(&members.collect::<Vec<_>>())),
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
    for (name, bytes) in every_format() {
        let file = place.file(name, &bytes);
        let given = ["negatives", "--per-caption", "2", "--input", &file];
        assert_eq!(lines(&succeed(&given)), expected, "{name}");
        // The same on standard input, where the format must be named.
        let format = match name {
            "c.txt" => "text",
            "c.CSV" => "csv",
            "c.tsv" => "tsv",
            "c.jsonl" => "json-lines",
            _ => "webdataset",
        };
        let args = ["--per-caption", "2", "--format", format, "--input", "-"];
        assert_eq!(made(&args, &bytes).0, expected, "{name}");
    }
}

#[test]
fn the_same_arguments_give_the_same_lines_on_any_number_of_threads() {
    // More than are worked on at a time.
    let expected: Vec<String> =
        (0..5_000).map(|number| format!("{} number {number}", CAPTIONS[number % 6])).collect();
    let input = expected.join("\n");
    let run = |threads: Option<&str>, more: &[&str]| {
        let mut command = command(&[&["--style", "mixed", "--per-caption", "2"], more].concat());
        if let Some(threads) = threads {
            command.env("RAYON_NUM_THREADS", threads);
        }
        let output = pipe(&mut command, input.as_bytes());
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let first = run(None, &[]);
    let found = lines(&first.0);
    assert_eq!(captions(&found), expected);
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
        let found: Vec<&str> = lines
            .iter()
            .flat_map(|line| line["negatives"].as_array().unwrap())
            .map(|negative| negative["kind"].as_str().unwrap())
            .collect();
        assert!(!found.is_empty(), "{style}");
        assert!(found.iter().all(|kind| kind.starts_with(kinds)), "{style}: {found:?}");
    }
    let (lines, _) = made(&["--style", "mixed", "--per-caption", "4"], input.as_bytes());
    let kinds: HashSet<&str> = lines
        .iter()
        .flat_map(|line| line["negatives"].as_array().unwrap())
        .filter_map(|negative| negative["kind"].as_str()?.split('_').next())
        .collect();
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
    // What is longer than any caption comes without its end.
    assert_eq!(captions[5], &long[..16_384]);
    for empty in [1, 2, 5, 6, 7] {
        assert!(negatives(&lines[empty]).is_empty(), "{}", lines[empty]);
    }
    for full in [0, 8] {
        assert!(!negatives(&lines[full]).is_empty(), "{}", lines[full]);
    }
    assert!(report.starts_with("7 captions, "), "{report}");
    for part in [
        "2 blank",
        "1 longer than 16,384 bytes",
        "2 unreadable rows: line 7: not UTF-8: at byte 3 of the caption",
        "line 8: not UTF-8: at byte 1",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn bad_rows_are_counted_and_named_and_keep_their_lines() {
    let place = Place::new();
    let dog = "a black dog runs";
    let table = format!("caption,url\n{dog},x\ntoo,many,fields\nfew\n{dog},y\n");
    let objects = format!(
        "{{\"caption\": \"{dog}\"}}\n{{\"caption\": 3}}\n\n{{broken\n[1]\n{{\"x\": 1}}\n{{\"caption\": \"{dog}\"}}\n"
    );
    let members = [
        ("a.json", format!("{{\"top_caption\": \"{dog}\"}}")),
        ("b.json", "{".to_owned()),
        ("c.json", format!("{{\"caption\": \"{dog}\"}}")),
    ];
    let members = members.map(|(name, content)| (name.to_owned(), content));
    for (name, bytes, bad, parts) in [
        (
            "bad.csv",
            table.into_bytes(),
            2,
            &["line 3: wrong number of columns: 3 where the header has 2", "line 4: "][..],
        ),
        (
            "bad.jsonl",
            objects.into_bytes(),
            4,
            &["line 2: wrong type", "line 4: not ", "line 5: not ", "; and 1 more"],
        ),
        ("bad.tar", shard(&members), 1, &["\"b.json\": not "]),
    ] {
        let file = place.file(name, &bytes);
        let output = clove(&["negatives", "--input", &file]);
        let report = text(&output.stderr);
        assert!(output.status.success(), "{report}");
        let lines = lines(&text(&output.stdout));
        assert_eq!(lines.len(), 2 + bad, "{name}");
        assert!(!negatives(&lines[0]).is_empty() && !negatives(&lines[1 + bad]).is_empty());
        for line in &lines[1..=bad] {
            assert_eq!(line, &json!({"caption": "", "negatives": []}), "{name}");
        }
        let count = format!("{bad} unreadable row");
        assert!(report.contains(&count), "{count}: {report}");
        for part in parts {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
    // A shard that ends early is read as far as it goes.
    let half = shard(&members)[..1_024 + 200].to_vec();
    let output = clove(&["negatives", "--input", &place.file("half.tar", &half)]);
    let report = text(&output.stderr);
    assert!(output.status.success(), "{report}");
    assert_eq!(captions(&lines(&text(&output.stdout))), [dog]);
    assert!(report.contains("in or after \"a.json\": damaged"), "{report}");
}

#[test]
fn what_cannot_work_ends_with_one_line_that_names_it() {
    let place = Place::new();
    let words = place.file("words.txt", b"a red car\n");
    let table = place.file("table.csv", b"id,alt\n1,a red car\n");
    let noise = place.file("noise.jsonl", b"no json\nat all\n");
    let strange = place.file("words.md", b"a red car\n");
    let shard = place.file("x.tar", &shard(&[("a.txt".to_owned(), "a".to_owned())]));
    let out = place.out("out.jsonl");
    let run = |args: &[&str]| fail(&[&["negatives", "--out", path(&out)], args].concat());
    for (args, parts) in [
        (&["--input", "no/such.txt"][..], &["no/such.txt: "][..]),
        (&["--input", &strange], &["words.md: ", "--format"]),
        (&["--input", &words, "--field", "alt"], &["--field: "]),
        (&["--input", &table], &["table.csv: no column caption or title", "\"alt\""]),
        (&["--input", &noise], &["noise.jsonl: nothing in it can be read", "line 1: not "]),
        (&["--input", &shard], &["x.tar: none of its 1 members"]),
        (&["--input", path(place.dir.path()), "--format", "text"], &[path(place.dir.path())]),
    ] {
        let error = run(args);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!out.exists(), "{args:?}");
    }
    let error = fail(&["negatives", "--input", &words, "--out", &words]);
    assert!(error.contains("words.txt: this is a file that is read"), "{error}");
    assert_eq!(fs::read(&words).unwrap(), b"a red car\n");
    // Nothing half-written is left.
    for file in fs::read_dir(place.dir.path()).unwrap() {
        let name = file.unwrap().file_name();
        assert!(!name.to_string_lossy().contains("partial"), "{name:?}");
    }
    for args in [
        &["--style", "frobnicate"][..],
        &["--per-caption", "0"],
        &["--per-caption", "65"],
        &["--seed", "-1"],
        &["--format", "xml"],
        &["words.txt"],
    ] {
        assert_eq!(command(args).output().unwrap().status.code(), Some(2), "{args:?}");
    }
    for option in [["--style", "swap"], ["--seed", "3"]] {
        let score = ["score", "--model", "m", "--image", "i", "--caption", "c"];
        let output = clove(&[&score[..], &option].concat());
        assert_eq!(output.status.code(), Some(2), "{option:?} without --negatives");
    }
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
    // Nearly all that a colour could give way to.
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
    // As captions of different images they are.
    let (apart, _) = made(&["--per-caption", "16"], captions.join("\n").as_bytes());
    let all: HashSet<&str> = apart.iter().flat_map(negatives).collect();
    assert!(!all.is_disjoint(&taken));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let many = place.file("many.txt", "a black dog and a white cat\n".repeat(20_000).as_bytes());
    let command = format!(
        "set -o pipefail; {} negatives --input {many} | head -n 1",
        env!("CARGO_BIN_EXE_clove")
    );
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());
    assert_eq!(lines(&text(&output.stdout)).len(), 1);
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_it_with_whole_lines_though_the_input_goes_on() {
    let place = Place::new();
    for out in [None, Some(place.out("out.jsonl"))] {
        let mut args = vec!["--style", "negclip"];
        args.extend(out.iter().flat_map(|out| ["--out", path(out)]));
        let mut child = command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Kept open: the program waits for more.
        let mut stdin = child.stdin.take().unwrap();
        let block = "a black dog and a white cat\n".repeat(5_000);
        stdin.write_all(block.as_bytes()).unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        if out.is_none() {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            assert_eq!(lines(&line).len(), 1);
        } else {
            // Until it listens; then it has made the file.
            while fs::read_dir(place.dir.path()).unwrap().count() == 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let rest = thread::spawn(move || std::io::read_to_string(stdout).unwrap());
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.unwrap().success());
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if began.elapsed() > Duration::from_mins(1) {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with("clove: stopped after "), "{stderr}");
        // Every line is whole, and there are as many as it says.
        lines(&rest.join().unwrap());
        assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0, "{stderr}");
    }
}
