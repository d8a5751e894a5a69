//! Guards the program against bad input: one clear line, the right exit code, and no lost files.

use std::fs;
use std::process::Command;

use clove_tests::{copy_folder, golden, png_header};
use serde_json::Value;

use super::{
    Place, assert_contains, clove, fail, line, path, refuse, run, succeed, succeeded, unparsed,
};

#[test]
fn arguments_that_do_not_parse_end_with_2() {
    for args in [
        "score --no-such-flag",
        "frobnicate",
        "score --model m",
        "patch --pretrained a --finetuned b --alpha 1.5 --out c",
        "patch --pretrained a --finetuned b --sweep 0:2:0.5 --select scenes --out c",
        "patch --pretrained a --finetuned b --sweep 1:0:0.5 --select scenes --out c",
        "patch --pretrained a --finetuned b --sweep 0:1:0 --select scenes --out c",
        "patch --pretrained a --finetuned b --sweep 0:1 --select scenes --out c",
        "patch --pretrained a --finetuned b --sweep 0:1:0.5 --select weather --out c",
        "patch --pretrained a --finetuned b --sweep 0:1:0.5 --out c",
        // A benchmark of photos needs --data and --images.
        "patch --pretrained a --finetuned b --sweep 0:1:0.5 --select sugar-crepe --out c",
        "score --model m --image i --caption c --device tpu",
        "score --model m --image i --caption c --style swap",
        "score --model m --image i --caption c --seed 3",
        "embed --model m --out o",
        "negatives --style frobnicate",
        "negatives --per-caption 0",
        "negatives --per-caption 65",
        "negatives --seed -1",
        "negatives --format xml",
        "negatives words.txt",
        "data inspect",
        "data inspect --kind folder",
        "data inspect --path x",
        "data inspect --kind scenes --path x",
        "data inspect x.toml --kind folder --path x",
        "data inspect x.toml --all --sample 3",
        "completions tcsh",
        "train",
        "train x.toml --set seed",
        "train x.toml --set =3",
        "train x.toml --no-such-flag",
    ] {
        unparsed(&line(args, &[]));
    }
    for args in ["--help", "score --help", "--version"] {
        run(args, &[]);
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
    assert!(error.contains("model.safetensors: the file has 0 bytes"), "{error}");

    // Files that hold no image.
    let words = place.file("words.jpg", b"these are words");
    assert!(score(&place.model, &words).contains("words.jpg"));
    assert!(score(&place.model, "no-such.jpg").contains("no-such.jpg"));
    let huge = place.file("huge.png", &png_header(60_000, 60_000));
    assert_contains(&score(&place.model, &huge), &["huge.png", "60000"]);

    // Texts that aren't UTF-8.
    let texts = place.file("texts.txt", b"fine\n\xff\xfe broken\n");
    let error = fail(&["tokenize", "--model", &place.model, "--texts", &texts]);
    assert!(error.contains("texts.txt") && error.contains('2'), "{error}");

    // An output that can't be written.
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
    refuse("patch --pretrained _ --finetuned _ --alpha 0.5 --out _", &[model, &place.model, model]);
    assert_eq!(fs::read(&texts).unwrap(), b"a caption\n");
    assert!(fs::read(&inside).unwrap() == weights);
}

#[test]
fn no_report_replaces_what_an_evaluation_reads() {
    let place = Place::new();
    let bench = place.out("bench");
    copy_folder(&golden("evaluate"), &bench);
    let file = |name: &str| path(&bench.join(name)).to_owned();
    let model = place.out("model");
    copy_folder(&golden("tiny-clip/hf"), &model);
    let captions = place.file("captions.txt", b"a caption\n");
    let linked = place.out("linked.json");
    fs::hard_link(bench.join("cola.json"), &linked).unwrap();
    let (linked, model, images) = (path(&linked), path(&model), file("images"));
    let classes = place.file("classes.txt", b"a\nb\nc\nd\n");
    let weights = format!("{model}/model.safetensors");
    let refused = |suite: &str, data: &str, outputs: &[&str]| {
        let eval = "eval --model _ --suite _ --data _ --images _ --captions _ --class-names _ --templates _";
        let templates = file("templates.txt");
        let values = [model, suite, data, &images, &captions, &classes, &templates];
        let read = || -> Vec<Option<Vec<u8>>> {
            outputs.iter().skip(1).step_by(2).map(|out| fs::read(out).ok()).collect()
        };
        let before = read();
        let error = fail(&[&line(eval, &values)[..], outputs].concat());
        assert!(before == read(), "{outputs:?}");
        error
    };
    for option in ["--out", "--rows", "--html"] {
        for out in [file("cola.json").as_str(), linked, &captions, &classes, &weights] {
            let error = refused("cola", &file("cola.json"), &[option, out]);
            assert!(
                error.contains("is an input") || error.contains("belongs to the model"),
                "{error}"
            );
        }
    }
    // In a folder, what the suite reads from it.
    for (suite, data, read) in [
        ("sugar-crepe", "sugar-crepe", "sugar-crepe/add_att.json"),
        ("sugar-crepe-pp", "sugar-crepe-pp", "sugar-crepe-pp/swap_obj.json"),
        ("cola", "cola.json", "images/000000000003.png"),
        ("zero-shot", "classes", "classes/bar/000000000000.png"),
    ] {
        let error = refused(suite, &file(data), &["--out", &file(read)]);
        assert_contains(&error, &[read, "is an input"]);
    }
    // Two outputs of one name, in any spelling.
    let (one, other) = (file("same.txt"), format!("{}/images/../same.txt", path(&bench)));
    let error = refused("cola", &file("cola.json"), &["--rows", &one, "--html", &other]);
    assert_contains(&error, &["same.txt", "two outputs"]);
    // A report beside the data, written again, is no input.
    let out = path(&bench.join("images/report.json")).to_owned();
    for _ in 0..2 {
        run(
            "eval --model _ --suite cola --data _ --images _ --out _ --device cpu",
            &[model, &file("cola.json"), &images, &out],
        );
    }
    // A lab doesn't write into models that it hasn't made.
    let mine = place.out("mine");
    fs::create_dir_all(mine.join("models")).unwrap();
    let error = refuse("lab --out _", &[path(&mine)]);
    assert_contains(&error, &["mine", "models", "choose another folder"]);
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

    // A device file is written to directly; this one is always full.
    let error =
        fail(&["tokenize", "--model", &place.model, "--texts", &texts, "--out", "/dev/full"]);
    assert!(error.contains("/dev/full") && error.contains("space"), "{error}");

    let copy = place.out("model");
    fs::create_dir(&copy).unwrap();
    fs::copy(golden("tiny-clip/hf/config.json"), copy.join("config.json")).unwrap();
    let pipe = copy.join("model.safetensors");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = refuse(
        "score --model _ --image _ --caption x --device cpu",
        &[path(&copy), &place.picture],
    );
    assert!(error.contains("isn't a regular file"), "{error}");
}

#[test]
fn a_caption_of_ten_thousand_words_is_cut_aloud() {
    let place = Place::new();
    let long = "word ".repeat(10_000);
    let score = "score --model _ --image _ --caption _ --device cpu";
    let output = clove(&line(score, &[&place.model, &place.picture, &long]));
    assert!(succeeded(&output).1.contains("longer than the context of 77 tokens"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let lines = place.file("many.txt", "a black dog and a white cat\n".repeat(50_000).as_bytes());
    for command in [
        format!("tokenize --model {} --texts {lines} --json", place.model),
        format!("negatives --input {lines}"),
    ] {
        let clove = env!("CARGO_BIN_EXE_clove");
        let command = format!("set -o pipefail; {clove} {command} | head -n 1");
        let output = Command::new("bash").args(["-c", &command]).output().unwrap();
        let (stdout, stderr) = succeeded(&output);
        assert_eq!(stderr, "");
        let line: Value = serde_json::from_str(&stdout).unwrap();
        assert!(line.is_object(), "{line}");
    }
}
