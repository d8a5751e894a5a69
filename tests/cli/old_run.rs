//! Guards runs of earlier versions: a folder of version 0.1.0 resumes with the losses of an uninterrupted run.

use std::fs;

use clove_tests::{copy_folder, golden, json_lines};

use super::{Place, assert_contains, clove, failed, path, program, succeeded};

/// All bits agree on the machine that recorded the run; other processors may sum in another order.
const RELATIVE: f64 = 1e-5;

#[test]
fn a_run_of_the_first_version_goes_on() {
    let place = Place::new();
    for name in ["tiny-clip", "old-run"] {
        copy_folder(&golden(name), &place.out(name));
    }
    let dir = place.out("old-run");
    let output = program(&["train", "train.toml", "--resume", "--device", "cpu", "--plain"])
        .current_dir(&dir)
        .output()
        .unwrap();
    let (_, log) = succeeded(&output);
    assert!(log.contains("step 2") && !log.contains("of the rules"), "{log}");
    // What it read is noted from now on.
    assert!(log.contains("the run is of an earlier version"), "{log}");
    let resolved = fs::read_to_string(dir.join("run/run.toml")).unwrap();
    assert_contains(&resolved, &["[inputs]", "weights = ", "samples = 3"]);
    let [got, wanted] =
        ["run/metrics.jsonl", "expected.jsonl"].map(|name| json_lines(&dir.join(name)));
    assert_eq!((got.len(), wanted.len()), (4, 4));
    for (got, wanted) in got.iter().zip(&wanted) {
        assert_eq!(got["step"], wanted["step"]);
        for key in ["loss", "grad_norm", "logit_scale", "learning_rate"] {
            let (got, wanted) = (got[key].as_f64().unwrap(), wanted[key].as_f64().unwrap());
            assert!((got - wanted).abs() <= RELATIVE * wanted.abs(), "{key}: {got} {wanted}");
        }
    }
    assert!(dir.join("run/patched/model.safetensors").exists());
    let run = dir.join("run");
    let (_, log) = succeeded(&clove(&["train", "--resume", path(&run), "--device", "cpu"]));
    assert!(!log.contains("earlier version") && !log.contains("in the run, "), "{log}");
}

/// Negatives of an earlier version can't be made anew.
#[test]
fn a_run_of_the_first_version_says_that_its_negatives_change() {
    let place = Place::new();
    for name in ["tiny-clip", "old-run"] {
        copy_folder(&golden(name), &place.out(name));
    }
    let dir = place.out("old-run");
    for name in ["train.toml", "run/run.toml"] {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        fs::write(dir.join(name), text.replace("\"none\"", "\"replace\"")).unwrap();
    }
    let resume = || {
        program(&["train", "train.toml", "--resume", "--device", "cpu", "--plain"])
            .current_dir(&dir)
            .output()
            .unwrap()
    };
    let (_, log) = succeeded(&resume());
    let version = clove_negatives::RULES;
    let note =
        format!("negatives were made by version 1 of the rules, and are made by version {version}");
    assert_contains(&log, &[&note, "resuming after step 2"]);
    let resolved = fs::read_to_string(dir.join("run/run.toml")).unwrap();
    assert_contains(&resolved, &[&format!("negatives = {version}")]);
    // Once it is noted, it isn't told again.
    let (_, log) = succeeded(&resume());
    assert!(!log.contains("of the rules"), "{log}");
}

/// The digest of an earlier version is of the photos' paths.
#[test]
fn a_run_of_the_first_version_notices_other_photos() {
    let place = Place::new();
    for name in ["tiny-clip", "old-run"] {
        copy_folder(&golden(name), &place.out(name));
    }
    let dir = place.out("old-run");
    fs::write(dir.join("pictures/circle-square.txt"), "another caption\n").unwrap();
    let args = ["train", "train.toml", "--resume", "--device", "cpu", "--plain"];
    let error = failed(&program(&args).current_dir(&dir).output().unwrap());
    assert_contains(&error, &["the training samples of pictures", "undo the change"]);
}
