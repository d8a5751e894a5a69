//! Guards runs without the program: an example that listens and stops training, and the descriptions of runs that the program
//! prints.

use std::fs;

use super::train::pictures;
use super::{Place, assert_contains, fail, path, run_folder, succeed};

#[test]
fn a_program_of_forty_lines_trains_on_a_folder_ends_when_it_likes_and_patches() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let out = place.out("run");
    let arguments =
        |enough: &str| [path(&dir), &place.model, path(&out), enough].map(str::to_owned).to_vec();
    assert!(run_folder::run(&arguments("often")).is_err());
    assert!(!out.exists());
    // Every loss is low enough, so the run stops after one step.
    run_folder::run(&arguments("1000")).unwrap();
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 1);
    assert!(out.join("checkpoints/step-1/manifest.json").exists());
    for name in ["model", "patched"] {
        assert!(out.join(name).join("model.safetensors").exists(), "{name}");
    }
    // The program can resume the run.
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
    assert_contains(&succeed(&["train", "--explain", "train.batch"]), &["Default: 64"]);
    assert_contains(&succeed(&["train", "--explain"]), &["optimizer.learning_rate "]);
    assert_contains(&fail(&["train", "--explain", "train.bacth"]), &["the nearest is train.batch"]);
    assert_contains(&fail(&["train", "--example", "tar"]), &["webdataset"]);
}
