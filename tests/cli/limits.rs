//! Guards the program where the system has limits: no cache folder, a full disk, too little memory, no display server.

use std::fs;
use std::process::{Command, Output};

use clove_tests::{copy_folder, golden, json};
use serde_json::{Value, json};

use super::eval::file;
use super::{Place, assert_contains, clove, failed, line, path, program, succeeded, text};

const EVAL: &str = "eval --model _ --suite sugar-crepe --data _ --images _ --device cpu --json";

/// `eval` with this folder of caches.
fn eval(place: &Place, cache: &str) -> (Value, String) {
    let (data, images) = (file("sugar-crepe"), file("images"));
    let mut command = program(&line(EVAL, &[&place.model, &data, &images]));
    let (stdout, stderr) = succeeded(&command.env("CLOVE_CACHE", cache).output().unwrap());
    let mut report: Value = serde_json::from_str(&stdout).unwrap();
    report.as_object_mut().unwrap().remove("seconds").unwrap();
    (report, stderr)
}

#[test]
fn an_evaluation_goes_on_without_a_cache() {
    let place = Place::new();
    // A folder can't be made below a file; this holds for an administrator too.
    let occupied = place.file("occupied", b"");
    let (report, stderr) = eval(&place, &format!("{occupied}/cache"));
    assert_contains(&stderr, &["warning: no embeddings are cached: ", "occupied/cache"]);
    assert_eq!(stderr.matches("warning").count(), 1, "{stderr}");
    assert_eq!(report, eval(&place, path(&place.out("cache"))).0);
}

/// Runs the program under a limit of bash's `ulimit`.
#[cfg(unix)]
pub(super) fn limited(limit: &str, args: &[&str], cache: &str) -> Output {
    let command = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    let mut bash = Command::new("bash");
    bash.args(["-c", &command, env!("CARGO_BIN_EXE_clove")]).args(args).env("CLOVE_CACHE", cache);
    bash.output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_file_that_grows_beyond_a_limit_is_an_error() {
    let place = Place::new();
    let (data, images, cache) = (file("sugar-crepe"), file("images"), place.out("cache"));
    // The cache would have some ten KiB.
    let args = line(EVAL, &[&place.model, &data, &images]);
    let output = limited("-f 4", &args, path(&cache));
    let (stdout, stderr) = succeeded(&output);
    assert_contains(&stderr, &["warning: no embeddings are cached: ", "File too large"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["missing_image_count"], 0);
    // What was written whole is found again.
    let (again, _) = eval(&place, path(&cache));
    assert!(again["known"].as_u64() > Some(0), "{again}");
    assert_eq!(again["macro_mean"], report["macro_mean"]);

    let texts = place.file("texts.txt", "a cat\n".repeat(100).as_bytes());
    let out = place.out("ids.safetensors");
    let tokenize = ["tokenize", "--model", &place.model, "--texts", &texts, "--out", path(&out)];
    let error = failed(&limited("-f 4", &tokenize, path(&cache)));
    assert_contains(&error, &["clove: ", "ids.safetensors", "File too large"]);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!out.exists());
}

/// A model whose token embedding has 1.6 GB, which is a hole in the file.
#[cfg(unix)]
fn large_model(place: &Place) -> String {
    const TOKENS: usize = 1_000_000;
    const WIDTH: usize = 800;
    let dir = place.out("large");
    copy_folder(&golden("tiny-clip/hf"), &dir);
    let mut config = json(&dir.join("config.json"));
    config["text_config"]["vocab_size"] = json!(TOKENS);
    config["text_config"]["hidden_size"] = json!(WIDTH);
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors();
    let (texts, others): (Vec<_>, Vec<_>) =
        tensors.into_iter().partition(|(name, _)| name.starts_with("text_"));
    let (mut header, mut data, mut end) = (serde_json::Map::new(), Vec::new(), 0);
    for (name, tensor) in others.iter().chain(&texts) {
        let mut shape = tensor.shape().to_vec();
        if name.starts_with("text_") {
            let larger = |size: &usize| match *size {
                8 => WIDTH,
                49_408 => TOKENS,
                size => size,
            };
            shape = shape.iter().map(larger).collect();
        } else {
            data.extend_from_slice(tensor.data());
        }
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        let entry = json!({"dtype": "F16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    let weights = dir.join("model.safetensors");
    fs::write(&weights, file).unwrap();
    let whole = fs::OpenOptions::new().write(true).open(weights).unwrap();
    whole.set_len((8 + header.len() + end) as u64).unwrap();
    path(&dir).to_owned()
}

#[cfg(unix)]
#[test]
fn memory_that_runs_out_is_an_error() {
    let place = Place::new();
    let (model, out) = (large_model(&place), place.out("converted"));
    let args = line("convert --model _ --to hugging-face --out _", &[&model, path(&out)]);
    let error = failed(&limited("-v 900000", &args, path(&place.out("cache"))));
    assert_contains(&error, &["memory allocation of 1600000000 bytes failed"]);
    assert!(!out.exists());
}

#[test]
fn an_output_that_cannot_be_written_ends_before_the_work() {
    let place = Place::new();
    let (data, images, cache) = (file("sugar-crepe"), file("images"), place.out("cache"));
    let occupied = place.file("occupied", b"");
    for (option, name) in [
        ("--out", "report.json"),
        ("--rows", "rows.jsonl"),
        ("--html", "page.html"),
        ("--orders", "orders.json"),
    ] {
        let out = format!("{occupied}/below/{name}");
        let mut command = program(&line(EVAL, &[&place.model, &data, &images]));
        command.args([option, &out]).env("CLOVE_CACHE", &cache);
        let error = failed(&command.output().unwrap());
        assert_contains(&error, &[name]);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!cache.exists(), "{option}: something was embedded");
    }
}

/// The variable is absent in cron, in Docker and over ssh.
#[test]
fn the_graphics_driver_says_nothing() {
    let place = Place::new();
    let texts = place.file("texts.txt", b"a cat\n");
    let out = place.out("out.safetensors");
    let score = line("score --model _ --image _ --caption x", &[&place.model, &place.picture]);
    let embed = line("embed --model _ --texts _ --out _", &[&place.model, &texts, path(&out)]);
    let tokenize = line("tokenize --model _ --texts _", &[&place.model, &texts]);
    for args in [score, embed, tokenize, line("devices", &[])] {
        for value in [None, Some(""), Some("no/absolute/path")] {
            let mut command = program(&args);
            match value {
                None => command.env_remove("XDG_RUNTIME_DIR"),
                Some(value) => command.env("XDG_RUNTIME_DIR", value),
            };
            let (_, stderr) = succeeded(&command.output().unwrap());
            let own = |line: &&str| line.starts_with("device: ") || line.contains(path(&out));
            let noise: Vec<&str> = stderr.lines().filter(|line| !own(line)).collect();
            assert!(noise.is_empty(), "{args:?} {value:?}: {noise:?}");
        }
    }
}

#[test]
fn an_unreadable_picture_is_left_out_if_asked_and_the_rows_are_named() {
    let place = Place::new();
    let broken = place.file("broken picture.png", b"no photo");
    let (_, images) = place.inputs();
    let given = [&images[0], &broken, &images[1]].map(String::as_str);
    let out = place.out("features.safetensors");
    let whole = place.out("whole.safetensors");
    let run = |command: &str, out: &std::path::Path, images: &[&str], more: &[&str]| {
        let mut args = vec![command, "--model", &place.model, "--out", path(out)];
        if command == "embed" {
            args.extend(["--device", "cpu"]);
        }
        args.extend(more);
        args.push("--images");
        args.extend(images);
        clove(&args)
    };
    for (command, tensor) in [("embed", "image_features"), ("preprocess", "pixel_values")] {
        let refused = failed(&run(command, &out, &given, &[]));
        assert_contains(&refused, &["broken picture.png", "--skip-unreadable"]);
        assert!(!out.exists());
        let (_, stderr) = succeeded(&run(command, &out, &given, &["--skip-unreadable"]));
        assert_contains(&stderr, &["features.images.json", "1 of 3 photos left out", "2 images"]);
        succeeded(&run(command, &whole, &[given[0], given[2]], &[]));
        assert!(
            clove_tests::floats(&out, tensor) == clove_tests::floats(&whole, tensor),
            "{command}: the rows are those of the other photos"
        );
        let list = json(&place.out("features.images.json"));
        assert_eq!(list["images"], json!([given[0], given[2]]));
        let unreadable = list["unreadable"].as_array().unwrap();
        assert_eq!((unreadable.len(), &unreadable[0][0]), (1, &json!(broken)));
        let bytes = fs::read(&out).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().as_ref().unwrap();
        assert_eq!(metadata["images"], "features.images.json");
        assert_eq!(metadata["unreadable"], "1");
        let none = failed(&run(command, &out, &[&broken], &["--skip-unreadable"]));
        assert_contains(&none, &["no photo can be read", "broken picture.png"]);
        fs::remove_file(&out).unwrap();
    }
}

#[test]
fn texts_come_from_standard_input_and_counts_agree_with_their_nouns() {
    use std::io::Write as _;
    use std::process::Stdio;

    let place = Place::new();
    let texts = "a cat\n\n-5 degrees\n";
    let listed = place.file("texts.txt", texts.as_bytes());
    let out = place.out("out.safetensors");
    for command in ["tokenize", "embed"] {
        let given = |list: &str| {
            let mut args = vec![command, "--model", &place.model, "--texts", list];
            args.extend(["--out", path(&out)]);
            if command == "embed" {
                args.extend(["--device", "cpu"]);
            }
            let mut child = program(&args);
            child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = child.spawn().unwrap();
            // A program that reads the file leaves this unread.
            let _ = child.stdin.take().unwrap().write_all(texts.as_bytes());
            succeeded(&child.wait_with_output().unwrap());
            fs::read(&out).unwrap()
        };
        assert!(given("-") == given(&listed), "{command}");
    }
    let one = place.file("one.txt", b"a cat\n");
    let args = line(
        "embed --model _ --texts _ --out _ --device cpu --images _",
        &[&place.model, &one, path(&out), &place.picture],
    );
    assert_contains(&succeeded(&clove(&args)).1, &[": 1 image, 1 text, dimension 12"]);
    let args = line(
        "preprocess --model _ --out _ --images _",
        &[&place.model, path(&out), &place.picture],
    );
    assert_contains(&succeeded(&clove(&args)).1, &[": 1 image of 32 x 32"]);
}

#[test]
fn a_caption_may_begin_with_a_hyphen_and_columns_stand_below_one_another() {
    let place = Place::new();
    let args = ["score", "--model", &place.model, "--image", &place.picture, "--device", "cpu"];
    let captions = ["--caption", "-5 degrees", "一只猫坐在垫子上", "--caption", "🐈 🐕"];
    let output = clove(&[&args[..], &captions].concat());
    let table = succeeded(&output).0;
    assert_contains(&table, &["-5 degrees", "一只猫坐在垫子上", "🐈 🐕"]);
    // Where the first figure ends, in columns of a terminal: two for a letter of Chinese and for an emoji.
    let columns = |line: &str| {
        let end = line.find(" %").unwrap();
        line[..end].chars().map(|letter| if letter > '\u{2e7f}' { 2 } else { 1 }).sum::<usize>()
    };
    let ends: Vec<usize> = table.lines().filter(|line| line.contains(" %")).map(columns).collect();
    assert_eq!(ends.len(), 3, "{table}");
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}\n{table}");
    assert!(text(&output.stderr).lines().all(|line| line.starts_with("device: ")));
    let json = super::answer(&[&args[..], &captions[..2]].concat());
    assert_eq!(json["captions"][0]["text"], "-5 degrees");
}
