//! Guards the program's output, files and exit codes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests panic")]

mod bad_input;
mod bombs;
mod completions;
mod data;
mod data_splits;
mod eval;
mod eval_rows;
mod eval_rules;
mod eval_several;
#[cfg(unix)]
mod full_disk;
mod limits;
mod made_negatives;
mod model_forms;
mod model_outputs;
mod negatives;
mod old_run;
mod precisions;
mod remote;
mod repeats;
#[path = "../../crates/run/examples/folder.rs"]
#[expect(dead_code, reason = "the test calls what its main calls")]
mod run_folder;
mod scenes;
mod secrets;
mod server;
mod shards;
mod single_file;
mod train;
mod train_data;
mod train_devices;
mod train_embedded;
mod train_faults;
mod train_memory;
mod train_resume;
mod train_stops;
mod train_validation;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clove_tests::{assert_contains, floats, golden, json, shared, strings, worst};
use safetensors::SafeTensors;
use serde_json::Value;

/// f32 sums in another order than PyTorch's.
const CPU: f32 = 1e-5;

/// The program, with a cache of its own.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clove"));
    command
        .args(args)
        // Absent in cron and in Docker.
        .env_remove("XDG_RUNTIME_DIR")
        .env("CLOVE_CACHE", std::env::temp_dir().join("clove-tests"));
    command
}

fn clove(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

/// The words of a command line; each `_` stands for the next value.
fn line<'a>(words: &'a str, values: &[&'a str]) -> Vec<&'a str> {
    let mut values = values.iter().copied();
    words.split(' ').map(|word| if word == "_" { values.next().unwrap() } else { word }).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Expects success, gives stdout and stderr.
#[track_caller]
fn succeeded(output: &Output) -> (String, String) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    (stdout, stderr)
}

/// Expects exit code 1 and no panic, gives stderr.
#[track_caller]
fn failed(output: &Output) -> String {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

/// Runs, expects success, gives stdout.
#[track_caller]
fn succeed(args: &[&str]) -> String {
    succeeded(&clove(args)).0
}

/// Expects that arguments don't parse: exit code 2 and a message.
#[track_caller]
fn unparsed(args: &[&str]) {
    let output = clove(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stderr));
    assert!(!output.stderr.is_empty());
}

/// [`succeed`] with a command [`line`].
#[track_caller]
fn run(words: &str, values: &[&str]) -> String {
    succeed(&line(words, values))
}

/// [`fail`] with a command [`line`].
#[track_caller]
fn refuse(words: &str, values: &[&str]) -> String {
    fail(&line(words, values))
}

/// Runs with `--json`, expects success, gives what it prints.
fn answer(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(&[args, &["--json"]].concat())).unwrap()
}

/// Runs, expects exit code 1 and one line on stderr apart from the device's, gives that line.
#[track_caller]
fn fail(args: &[&str]) -> String {
    let output = clove(args);
    let stderr = failed(&output);
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("device: ")).collect();
    assert_eq!(lines.len(), 1, "{args:?}: {stderr}");
    assert!(lines[0].starts_with("clove: "), "{stderr}");
    assert!(output.stdout.is_empty());
    lines[0].to_owned()
}

/// Checks that a folder contains no partial file.
#[track_caller]
fn no_partial_file(dir: &Path) {
    for file in fs::read_dir(dir).unwrap() {
        let name = file.unwrap().file_name();
        assert!(!name.to_string_lossy().contains("partial"), "{}", name.display());
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The files in a folder and in those below.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

struct Place {
    dir: tempfile::TempDir,
    model: String,
    picture: String,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            model: path(&golden("tiny-clip/hf")).to_owned(),
            picture: path(&golden("tiny-clip/images/square-circle.png")).to_owned(),
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let file = self.dir.path().join(name);
        fs::write(&file, bytes).unwrap();
        path(&file).to_owned()
    }

    /// The inputs of the goldens: a file of captions, and images.
    fn inputs(&self) -> (String, Vec<String>) {
        let list = json(&golden("tiny-clip/expected.json"));
        let texts = strings(&list["captions"]).join("\n") + "\n";
        let image = |name: &String| path(&golden("tiny-clip/images").join(name)).to_owned();
        let images = strings(&list["images"]).iter().map(image).collect();
        (self.file("texts.txt", texts.as_bytes()), images)
    }

    /// A file of JSON lines.
    fn json_lines(&self, name: &str, lines: impl Iterator<Item = Value>) -> String {
        let lines: Vec<String> = lines.map(|line| line.to_string()).collect();
        self.file(name, lines.join("\n").as_bytes())
    }

    fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[test]
fn score_ranks_captions_and_gives_json() {
    let place = Place::new();
    let args = ["score", "--model", &place.model, "--image", &place.picture, "--device", "cpu"];
    let captions = ["--caption", "a red square", "--caption", "a blue circle"];
    assert_contains(&succeed(&[&args[..], &captions].concat()), &["similarity", "a red square"]);
    let json = answer(&[&args[..], &captions].concat());
    let rows = json["captions"].as_array().unwrap();
    assert_eq!(rows[0]["text"], "a red square");
    let sum: f64 = rows.iter().map(|row| row["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    let best = usize::try_from(json["best"].as_u64().unwrap()).unwrap();
    assert!(rows[best]["similarity"].as_f64() >= rows[1 - best]["similarity"].as_f64());
}

#[test]
fn embed_writes_pytorchs_features() {
    let place = Place::new();
    let folder = golden("tiny-clip");
    let expected = folder.join("expected.safetensors");
    let (texts, images) = place.inputs();
    let out = place.out("features.safetensors");
    for model in ["hf", "open_clip"] {
        let model = folder.join(model);
        let mut args = vec!["embed", "--model", path(&model), "--texts", &texts, "--device", "cpu"];
        args.extend(["--out", path(&out), "--images"]);
        args.extend(images.iter().map(String::as_str));
        succeed(&args);
        for tensor in ["image_features", "text_features"] {
            let (got, shape) = floats(&out, tensor);
            let (wanted, wanted_shape) = floats(&expected, tensor);
            assert_eq!(shape, wanted_shape);
            assert!(worst(&got, &wanted).0 <= CPU, "{tensor}");
        }
        assert_eq!(floats(&out, "logit_scale").1, [1]);
    }
    // Texts without images.
    run("embed --model _ --texts _ --out _ --device cpu", &[&place.model, &texts, path(&out)]);
    let bytes = fs::read(&out).unwrap();
    assert_eq!(SafeTensors::deserialize(&bytes).unwrap().len(), 2);
}

#[test]
fn tokenize_and_preprocess_write_what_pytorch_was_given() {
    let place = Place::new();
    let expected = golden("tiny-clip/expected.safetensors");
    let bytes = fs::read(&expected).unwrap();
    let wanted = SafeTensors::deserialize(&bytes).unwrap();
    let (texts, images) = place.inputs();
    let out = place.out("ids.safetensors");
    succeed(&["tokenize", "--model", &place.model, "--texts", &texts, "--out", path(&out)]);
    let bytes = fs::read(&out).unwrap();
    let got = SafeTensors::deserialize(&bytes).unwrap();
    let (got, ids) = (got.tensor("input_ids").unwrap(), wanted.tensor("input_ids").unwrap());
    assert_eq!((got.shape(), got.dtype(), got.data()), (ids.shape(), ids.dtype(), ids.data()));
    assert!(
        succeed(&["tokenize", "--model", &place.model, "--texts", &texts]).contains("square</w>")
    );

    let out = place.out("pixels.safetensors");
    let mut args = vec!["preprocess", "--model", &place.model, "--out", path(&out), "--images"];
    args.extend(images.iter().map(String::as_str));
    succeed(&args);
    let (got, shape) = floats(&out, "pixel_values");
    let (wanted, wanted_shape) = floats(&expected, "pixel_values");
    assert_eq!(shape, wanted_shape);
    assert!(worst(&got, &wanted).0 < 1e-6);
}

#[test]
fn a_model_for_the_web_is_f16_and_lists_its_hashes() {
    let place = Place::new();
    let out = place.out("web");
    succeed(&["convert", "--model", &place.model, "--to", "web", "--out", path(&out)]);
    let manifest = json(&out.join("manifest.json"));
    let files = manifest["files"].as_object().unwrap();
    assert!(files.contains_key("config.json"), "{files:?}");
    for (name, entry) in files {
        let bytes = fs::read(out.join(name)).unwrap();
        assert_eq!(entry["bytes"], bytes.len());
        assert_eq!(entry["blake3"], blake3::hash(&bytes).to_hex().to_string());
    }
    let weights = fs::read(out.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&weights).unwrap();
    let all = tensors.tensors();
    assert!(all.iter().all(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F16));
}

#[test]
fn convert_and_patch_make_models_that_load_again() {
    let place = Place::new();
    let (converted, patched) = (place.out("converted"), place.out("patched"));
    run("convert --model _ --to open-clip --dtype f32 --out _", &[&place.model, path(&converted)]);
    run("score --model _ --image _ --caption x --device cpu", &[path(&converted), &place.picture]);
    run(
        "patch --pretrained _ --finetuned _ --alpha 0 --out _",
        &[&place.model, &place.model, path(&patched)],
    );
    for file in ["model.safetensors", "config.json", "preprocessor_config.json"] {
        let [patched, golden] =
            [&patched, &golden("tiny-clip/hf")].map(|dir| fs::read(dir.join(file)));
        assert!(patched.unwrap() == golden.unwrap(), "{file}");
    }
    no_partial_file(&patched);
}

#[test]
fn eval_counts_every_row_of_sugar_crepe() {
    let (Some(data), Some(photos), Some(model)) = (
        shared("benchmarks/sugar-crepe"),
        shared("photos/coco-val2017/images"),
        shared("golden/quickgelu-p16-64/hf"),
    ) else {
        return;
    };
    let place = Place::new();
    let out = place.out("report.json");
    let table = run(
        "eval --model _ --suite sugar-crepe --data _ --images _ --out _ --device cpu",
        &[path(&model), path(&data), path(&photos), path(&out)],
    );
    assert!(table.contains("replace_rel") && table.contains("mean of rows"), "{table}");
    let report = json(&out);
    assert_eq!(report["suite"], "sugar-crepe");
    let subsets = report["subsets"].as_array().unwrap();
    let sum = |key: &str| subsets.iter().map(|subset| subset[key].as_u64().unwrap()).sum::<u64>();
    // 201 of the 7,511 rows have one of the 123 photos.
    assert_eq!((sum("rows"), sum("missing")), (201, 7310));
    assert!(subsets.iter().all(|subset| {
        let accuracy = subset["accuracy"].as_f64().unwrap();
        (0.0..=1.0).contains(&accuracy)
    }));
    assert_eq!(report["blind"][0]["baseline"], "chance");
}

#[test]
fn devices_are_listed_and_an_absent_one_is_an_error() {
    let json = answer(&["devices"]);
    assert!(json["gpus"].is_array() && json["auto"].is_string());
    let place = Place::new();
    let error = refuse(
        "score --model _ --image _ --caption x --device gpu:99",
        &[&place.model, &place.picture],
    );
    assert!(error.contains("gpu:99"), "{error}");
}

#[test]
fn devices_check_says_what_is_right_and_fails_where_anything_is_wrong() {
    let check = ["devices", "--check", "--device", "cpu", "--json"];
    let out = succeed(&check);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["right"], true);
    let items = report["items"].as_array().unwrap();
    // The kernels need a GPU.
    let (skipped, items): (Vec<&Value>, Vec<&Value>) =
        items.iter().partition(|item| item["verdict"] == "not checked");
    let skipped: Vec<&str> = skipped.iter().map(|item| item["item"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["patch", "preprocess", "contrastive", "own-negatives"]);
    assert!(items.iter().all(|item| item["verdict"] == "right"), "{out}");
    for item in items {
        let name = item["item"].as_str().unwrap();
        let wronged = clove(&[&check[..], &["--item", name, "--inject-fault", name]].concat());
        assert_contains(&failed(&wronged), &["computes wrong numbers", name]);
        let report: Value = serde_json::from_slice(&wronged.stdout).unwrap();
        assert_eq!(report["items"][0]["verdict"], "wrong");
    }
    let unknown = fail(&["devices", "--check", "--device", "cpu", "--item", "sums"]);
    assert!(unknown.contains("matmul-1024"), "{unknown}");
}
