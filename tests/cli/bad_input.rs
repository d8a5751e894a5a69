//! Guards how the program meets what's wrong: one clear line, the right exit code, and nothing lost.

use std::fs;
use std::process::Command;

use clove_tests::golden;

use super::{Place, clove, fail, path, succeed, text};

#[test]
fn arguments_that_do_not_parse_end_with_2() {
    for args in [
        &["score", "--no-such-flag"][..],
        &["frobnicate"],
        &["score", "--model", "m"],
        &["patch", "--pretrained", "a", "--finetuned", "b", "--alpha", "1.5", "--out", "c"],
        &["score", "--model", "m", "--image", "i", "--caption", "c", "--device", "tpu"],
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
        fail(&["score", "--model", model, "--image", image, "--caption", "x", "--device", "cpu"])
    };
    // Directories that hold no model.
    assert!(score("no/such/dir", &place.picture).contains("no/such/dir: no such directory"));
    let empty = tempfile::tempdir().unwrap();
    assert!(score(path(empty.path()), &place.picture).contains("neither config.json"));
    assert!(score(&place.picture, &place.picture).contains("safetensors file?"));
    fs::copy(golden("tiny-clip/hf/config.json"), empty.path().join("config.json")).unwrap();
    fs::write(empty.path().join("pytorch_model.bin"), "x").unwrap();
    assert!(score(path(empty.path()), &place.picture).contains("pytorch_model.bin is a pickle"));
    fs::write(empty.path().join("model.safetensors"), "").unwrap();
    let error = score(path(empty.path()), &place.picture);
    assert!(error.contains("model.safetensors: it has 0 bytes"), "{error}");

    // Files that hold no image.
    let words = place.file("words.jpg", b"these are words");
    assert!(score(&place.model, &words).contains("words.jpg"));
    assert!(score(&place.model, "no-such.jpg").contains("no-such.jpg"));
    let huge = place.file("huge.png", &huge_png());
    let error = score(&place.model, &huge);
    assert!(error.contains("huge.png") && error.contains("60000"), "{error}");

    // Texts that aren't UTF-8.
    let texts = place.file("texts.txt", b"fine\n\xff\xfe broken\n");
    let error = fail(&["tokenize", "--model", &place.model, "--texts", &texts]);
    assert!(error.contains("texts.txt") && error.contains('2'), "{error}");

    // A place that can't be written to.
    let occupied = place.file("occupied", b"");
    let out = format!("{occupied}/below/features.safetensors");
    let ok = place.file("ok.txt", b"x\n");
    let error =
        fail(&["embed", "--model", &place.model, "--texts", &ok, "--out", &out, "--device", "cpu"]);
    assert!(error.contains("features.safetensors"), "{error}");
}

#[test]
fn no_output_replaces_what_is_read() {
    let place = Place::new();
    let copy = place.out("model");
    fs::create_dir(&copy).unwrap();
    for name in ["config.json", "model.safetensors", "preprocessor_config.json"] {
        fs::copy(golden("tiny-clip/hf").join(name), copy.join(name)).unwrap();
    }
    let weights = fs::read(copy.join("model.safetensors")).unwrap();
    let texts = place.file("texts.txt", b"a caption\n");
    let model = path(&copy);
    let inside = format!("{model}/model.safetensors");
    fail(&["tokenize", "--model", model, "--texts", &texts, "--out", &texts]);
    fail(&["embed", "--model", model, "--texts", &texts, "--out", &inside]);
    fail(&["convert", "--model", model, "--to", "hugging-face", "--dtype", "f16", "--out", model]);
    fail(&["convert", "--model", model, "--to", "open-clip", "--out", model]);
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
    succeed(&["tokenize", "--model", &place.model, "--texts", &texts, "--out", path(&link)]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&real).unwrap().len() > 3);

    // Writing to a device goes to the device: this one is always full.
    let error =
        fail(&["tokenize", "--model", &place.model, "--texts", &texts, "--out", "/dev/full"]);
    assert!(error.contains("/dev/full") && error.contains("space"), "{error}");

    let copy = place.out("model");
    fs::create_dir(&copy).unwrap();
    fs::copy(golden("tiny-clip/hf/config.json"), copy.join("config.json")).unwrap();
    let pipe = copy.join("model.safetensors");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
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
    let lines = place.file("many.txt", "a caption of some words\n".repeat(50_000).as_bytes());
    let command = format!(
        "set -o pipefail; {} tokenize --model {} --texts {lines} --json | head -n 1",
        env!("CARGO_BIN_EXE_clove"),
        place.model
    );
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
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
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend_from_slice(&chunk);
    png.extend_from_slice(&(!crc).to_be_bytes());
    png
}
