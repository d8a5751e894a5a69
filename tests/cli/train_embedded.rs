//! Guards a run without the program: an example that listens and ends training when it has had enough, and what the program prints
//! of the description that both read.

use std::fs;

use super::train::pictures;
use super::{Place, clove, fail, path, run_folder, succeed};

#[test]
fn a_program_of_forty_lines_trains_on_a_folder_ends_when_it_likes_and_patches() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let out = place.out("run");
    let arguments =
        |enough: &str| [path(&dir), &place.model, path(&out), enough].map(str::to_owned).to_vec();
    assert!(run_folder::run(&arguments("often")).is_err());
    assert!(!out.exists());
    // Any loss is low enough: it ends after one step as it would after all.
    run_folder::run(&arguments("1000")).unwrap();
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 1);
    assert!(out.join("checkpoints/step-1/manifest.json").exists());
    for name in ["model", "patched"] {
        assert!(out.join(name).join("model.safetensors").exists(), "{name}");
    }
    // What it wrote is a run of the program, which goes on with it.
    let config = place.file("train.toml", fs::read(out.join("run.toml")).unwrap().as_slice());
    let out = format!("out={}", path(&out));
    let steps = ["train", &config, "--device", "cpu", "--set", &out, "--resume"];
    succeed(&steps);
    let source = include_str!("../../crates/run/examples/folder.rs");
    assert!(source.lines().count() < 40);
}

#[test]
fn the_description_of_a_run_is_printed_and_can_be_trained_on() {
    let place = Place::new();
    let example = succeed(&["train", "--example", "scenes"]);
    let config = place.file("scenes.toml", example.as_bytes());
    let plan = succeed(&["train", &config, "--dry-run", "--device", "cpu"]);
    assert!(plan.contains("steps: 950 of 64 pairs each"), "{plan}");
    let told = succeed(&["train", "--explain", "train.batch"]);
    assert!(told.contains("Default: 64"), "{told}");
    let all = succeed(&["train", "--explain"]);
    assert!(all.contains("optimizer.learning_rate "), "{all}");
    let error = fail(&["train", "--explain", "train.bacth"]);
    assert!(error.contains("the nearest is train.batch"), "{error}");
    let error = fail(&["train", "--example", "tar"]);
    assert!(error.contains("webdataset"), "{error}");
    assert_eq!(clove(&["train"]).status.code(), Some(2));
}
