//! Guards the program as its users meet it: what it prints, what it writes, how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test a panic is how failure is reported"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clove_tests::{floats, golden, shared, worst};
use safetensors::SafeTensors;
use serde_json::Value;

/// f32 sums in another order than PyTorch's.
const CPU: f32 = 1e-5;

fn clove(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_clove"))
        .args(args)
        // Without it Mesa's drivers complain on stderr, which is none of the program's.
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs, expects success, gives stdout.
fn succeed(args: &[&str]) -> String {
    let output = clove(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs, expects exit code 1 and one line on stderr beside the device's, gives that line.
fn fail(args: &[&str]) -> String {
    let output = clove(args);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("device: "))
        .collect();
    assert_eq!(lines.len(), 1, "{args:?}: {stderr}");
    assert!(lines[0].starts_with("clove: "), "{stderr}");
    assert!(output.stdout.is_empty());
    lines[0].to_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
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

    fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[test]
fn score_ranks_captions_and_gives_json() {
    let place = Place::new();
    let args = [
        "score",
        "--model",
        &place.model,
        "--image",
        &place.picture,
        "--device",
        "cpu",
    ];
    let captions = ["--caption", "a red square", "--caption", "a blue circle"];
    let table = succeed(&[&args[..], &captions].concat());
    assert!(
        table.contains("similarity") && table.contains("a red square"),
        "{table}"
    );
    let json: Value =
        serde_json::from_str(&succeed(&[&args[..], &captions, &["--json"]].concat())).unwrap();
    let rows = json["captions"].as_array().unwrap();
    assert_eq!(rows[0]["text"], "a red square");
    let sum: f64 = rows
        .iter()
        .map(|row| row["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-6);
    let best = usize::try_from(json["best"].as_u64().unwrap()).unwrap();
    assert!(rows[best]["similarity"].as_f64() >= rows[1 - best]["similarity"].as_f64());
}

#[test]
fn embed_writes_pytorchs_features() {
    let place = Place::new();
    let folder = golden("tiny-clip");
    let expected = folder.join("expected.safetensors");
    let list: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let strings = |key: &str| -> Vec<String> {
        let values = list[key].as_array().unwrap();
        values
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect()
    };
    let texts = place.file("texts.txt", strings("captions").join("\n").as_bytes());
    let images: Vec<String> = strings("images")
        .iter()
        .map(|name| path(&folder.join("images").join(name)).to_owned())
        .collect();
    let out = place.out("features.safetensors");
    for model in ["hf", "open_clip"] {
        let model = folder.join(model);
        let mut args = vec![
            "embed",
            "--model",
            path(&model),
            "--texts",
            &texts,
            "--device",
            "cpu",
        ];
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
    // Either list alone.
    succeed(&[
        "embed",
        "--model",
        &place.model,
        "--texts",
        &texts,
        "--out",
        path(&out),
        "--device",
        "cpu",
    ]);
    let bytes = fs::read(&out).unwrap();
    assert_eq!(SafeTensors::deserialize(&bytes).unwrap().len(), 2);
}

#[test]
fn tokenize_and_preprocess_write_what_pytorch_was_given() {
    let place = Place::new();
    let expected = golden("tiny-clip/expected.safetensors");
    let bytes = fs::read(&expected).unwrap();
    let wanted = SafeTensors::deserialize(&bytes).unwrap();
    let texts = place.file(
        "texts.txt",
        "a red square to the left of a blue circle\na blue square to the left of a red circle\nA green triangle, above two YELLOW bars!\n\nthe horse is riding the man & the man isn't\n".as_bytes(),
    );
    let out = place.out("ids.safetensors");
    succeed(&[
        "tokenize",
        "--model",
        &place.model,
        "--texts",
        &texts,
        "--out",
        path(&out),
    ]);
    let bytes = fs::read(&out).unwrap();
    let got = SafeTensors::deserialize(&bytes).unwrap();
    let (got, ids) = (
        got.tensor("input_ids").unwrap(),
        wanted.tensor("input_ids").unwrap(),
    );
    assert_eq!(
        (got.shape(), got.dtype(), got.data()),
        (ids.shape(), ids.dtype(), ids.data())
    );
    assert!(
        succeed(&["tokenize", "--model", &place.model, "--texts", &texts]).contains("square</w>")
    );

    let out = place.out("pixels.safetensors");
    let picture = |name: &str| path(&golden("tiny-clip/images").join(name)).to_owned();
    let pictures = [
        "square-circle.png",
        "circle-square.png",
        "triangle-bars.png",
    ]
    .map(picture);
    let mut args = vec![
        "preprocess",
        "--model",
        &place.model,
        "--out",
        path(&out),
        "--images",
    ];
    args.extend(pictures.iter().map(String::as_str));
    succeed(&args);
    let (got, shape) = floats(&out, "pixel_values");
    let (wanted, wanted_shape) = floats(&expected, "pixel_values");
    assert_eq!(shape, wanted_shape);
    assert!(worst(&got, &wanted).0 < 1e-6);
}

#[test]
fn convert_and_patch_make_models_that_load_again() {
    let place = Place::new();
    let (converted, patched) = (place.out("converted"), place.out("patched"));
    succeed(&[
        "convert",
        "--model",
        &place.model,
        "--to",
        "open-clip",
        "--dtype",
        "f32",
        "--out",
        path(&converted),
    ]);
    succeed(&[
        "score",
        "--model",
        path(&converted),
        "--image",
        &place.picture,
        "--caption",
        "x",
        "--device",
        "cpu",
    ]);
    succeed(&[
        "patch",
        "--pretrained",
        &place.model,
        "--finetuned",
        &place.model,
        "--alpha",
        "0",
        "--out",
        path(&patched),
    ]);
    for file in [
        "model.safetensors",
        "config.json",
        "preprocessor_config.json",
    ] {
        assert!(
            fs::read(patched.join(file)).unwrap()
                == fs::read(golden("tiny-clip/hf").join(file)).unwrap()
        );
    }
    // Nothing half-written is left beside what is finished.
    assert!(fs::read_dir(&patched).unwrap().all(|file| {
        !file
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("partial")
    }));
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
    let table = succeed(&[
        "eval",
        "--model",
        path(&model),
        "--suite",
        "sugar-crepe",
        "--data",
        path(&data),
        "--images",
        path(&photos),
        "--out",
        path(&out),
        "--device",
        "cpu",
    ]);
    assert!(
        table.contains("replace_rel") && table.contains("mean of rows"),
        "{table}"
    );
    let report: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(report["suite"], "sugar-crepe");
    let subsets = report["subsets"].as_array().unwrap();
    let sum = |key: &str| {
        subsets
            .iter()
            .map(|subset| subset[key].as_u64().unwrap())
            .sum::<u64>()
    };
    // The data's own account of itself: 7,511 rows, of which 201 fall on the 123 photos.
    assert_eq!((sum("rows"), sum("missing")), (201, 7310));
    assert!(subsets.iter().all(|subset| {
        let accuracy = subset["accuracy"].as_f64().unwrap();
        (0.0..=1.0).contains(&accuracy)
    }));
    assert_eq!(report["blind"][0]["baseline"], "chance");
}

#[test]
fn devices_are_listed_and_an_absent_one_is_an_error() {
    let json: Value = serde_json::from_str(&succeed(&["devices", "--json"])).unwrap();
    assert!(json["gpus"].is_array() && json["auto"].is_string());
    let place = Place::new();
    let error = fail(&[
        "score",
        "--model",
        &place.model,
        "--image",
        &place.picture,
        "--caption",
        "x",
        "--device",
        "gpu:99",
    ]);
    assert!(error.contains("gpu:99"), "{error}");
}

#[test]
fn arguments_that_do_not_parse_end_with_2() {
    for args in [
        &["score", "--no-such-flag"][..],
        &["frobnicate"],
        &["score", "--model", "m"],
        &[
            "patch",
            "--pretrained",
            "a",
            "--finetuned",
            "b",
            "--alpha",
            "1.5",
            "--out",
            "c",
        ],
        &[
            "score",
            "--model",
            "m",
            "--image",
            "i",
            "--caption",
            "c",
            "--device",
            "tpu",
        ],
        &["embed", "--model", "m", "--out", "o"],
    ] {
        let output = clove(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty());
    }
    for args in [&["--help"][..], &["score", "--help"], &["--version"]] {
        assert_eq!(clove(args).status.code(), Some(0));
    }
}

#[test]
fn bad_input_is_one_clear_line_that_names_it() {
    let place = Place::new();
    let score = |model: &str, image: &str| {
        fail(&[
            "score",
            "--model",
            model,
            "--image",
            image,
            "--caption",
            "x",
            "--device",
            "cpu",
        ])
    };
    // Directories that hold no model.
    assert!(score("no/such/dir", &place.picture).contains("no/such/dir: no such directory"));
    let empty = tempfile::tempdir().unwrap();
    assert!(score(path(empty.path()), &place.picture).contains("neither config.json"));
    assert!(score(&place.picture, &place.picture).contains("this is a file"));
    fs::copy(
        golden("tiny-clip/hf/config.json"),
        empty.path().join("config.json"),
    )
    .unwrap();
    fs::write(empty.path().join("pytorch_model.bin"), "x").unwrap();
    assert!(score(path(empty.path()), &place.picture).contains("pytorch_model.bin is a pickle"));
    fs::write(empty.path().join("model.safetensors"), "").unwrap();
    let error = score(path(empty.path()), &place.picture);
    assert!(
        error.contains("model.safetensors: it has 0 bytes"),
        "{error}"
    );

    // Files that hold no image.
    let words = place.file("words.jpg", b"these are words");
    assert!(score(&place.model, &words).contains("words.jpg"));
    assert!(score(&place.model, "no-such.jpg").contains("no-such.jpg"));
    let huge = place.file("huge.png", &huge_png());
    let error = score(&place.model, &huge);
    assert!(
        error.contains("huge.png") && error.contains("60000"),
        "{error}"
    );

    // Texts that aren't UTF-8.
    let texts = place.file("texts.txt", b"fine\n\xff\xfe broken\n");
    let error = fail(&["tokenize", "--model", &place.model, "--texts", &texts]);
    assert!(
        error.contains("texts.txt") && error.contains('2'),
        "{error}"
    );

    // A place that can't be written to.
    let occupied = place.file("occupied", b"");
    let out = format!("{occupied}/below/features.safetensors");
    let ok = place.file("ok.txt", b"x\n");
    let error = fail(&[
        "embed",
        "--model",
        &place.model,
        "--texts",
        &ok,
        "--out",
        &out,
        "--device",
        "cpu",
    ]);
    assert!(error.contains("features.safetensors"), "{error}");
}

#[test]
fn no_output_replaces_what_is_read() {
    let place = Place::new();
    let copy = place.out("model");
    fs::create_dir(&copy).unwrap();
    for name in [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ] {
        fs::copy(golden("tiny-clip/hf").join(name), copy.join(name)).unwrap();
    }
    let weights = fs::read(copy.join("model.safetensors")).unwrap();
    let texts = place.file("texts.txt", b"a caption\n");
    let model = path(&copy);
    let inside = format!("{model}/model.safetensors");
    fail(&[
        "tokenize", "--model", model, "--texts", &texts, "--out", &texts,
    ]);
    fail(&[
        "embed", "--model", model, "--texts", &texts, "--out", &inside,
    ]);
    fail(&[
        "convert",
        "--model",
        model,
        "--to",
        "hugging-face",
        "--dtype",
        "f16",
        "--out",
        model,
    ]);
    fail(&[
        "convert",
        "--model",
        model,
        "--to",
        "open-clip",
        "--out",
        model,
    ]);
    fail(&[
        "patch",
        "--pretrained",
        model,
        "--finetuned",
        &place.model,
        "--alpha",
        "0.5",
        "--out",
        model,
    ]);
    assert_eq!(fs::read(&texts).unwrap(), b"a caption\n");
    assert!(fs::read(&inside).unwrap() == weights);
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_a_pipe_is_no_model() {
    let place = Place::new();
    let texts = place.file("texts.txt", b"a caption\n");
    let real = place.file("real.safetensors", b"old");
    let link = place.out("link.safetensors");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    succeed(&[
        "tokenize",
        "--model",
        &place.model,
        "--texts",
        &texts,
        "--out",
        path(&link),
    ]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&real).unwrap().len() > 3);

    // Writing to a device goes to the device: this one is always full.
    let error = fail(&[
        "tokenize",
        "--model",
        &place.model,
        "--texts",
        &texts,
        "--out",
        "/dev/full",
    ]);
    assert!(
        error.contains("/dev/full") && error.contains("space"),
        "{error}"
    );

    let copy = place.out("model");
    fs::create_dir(&copy).unwrap();
    fs::copy(golden("tiny-clip/hf/config.json"), copy.join("config.json")).unwrap();
    let pipe = copy.join("model.safetensors");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let error = fail(&[
        "score",
        "--model",
        path(&copy),
        "--image",
        &place.picture,
        "--caption",
        "x",
        "--device",
        "cpu",
    ]);
    assert!(error.contains("isn't a regular file"), "{error}");
}

#[test]
fn a_caption_of_ten_thousand_words_is_cut_aloud() {
    let place = Place::new();
    let long = "word ".repeat(10_000);
    let output = clove(&[
        "score",
        "--model",
        &place.model,
        "--image",
        &place.picture,
        "--caption",
        &long,
        "--device",
        "cpu",
    ]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("longer than the context of 77 tokens"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let lines = place.file(
        "many.txt",
        "a caption of some words\n".repeat(50_000).as_bytes(),
    );
    let command = format!(
        "set -o pipefail; {} tokenize --model {} --texts {lines} --json | head -n 1",
        env!("CARGO_BIN_EXE_clove"),
        place.model
    );
    let output = Command::new("bash")
        .args(["-c", &command])
        .output()
        .unwrap();
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());
}

/// A PNG whose header announces 60,000 x 60,000 pixels.
fn huge_png() -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend_from_slice(&60_000_u32.to_be_bytes());
    chunk.extend_from_slice(&60_000_u32.to_be_bytes());
    chunk.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut crc = !0_u32;
    for byte in &chunk {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend_from_slice(&chunk);
    png.extend_from_slice(&(!crc).to_be_bytes());
    png
}
