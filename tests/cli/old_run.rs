//! Guards runs of earlier versions: a folder that version 0.1.0 wrote resumes, and gets the losses that it would have got.

use std::fs;
use std::path::Path;
use std::process::Command;

use clove_tests::golden;
use serde_json::Value;

use super::Place;

/// On the machine that the run was recorded on, all bits agree; another processor's products may be added up in another order.
const RELATIVE: f64 = 1e-5;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

fn metrics(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_of_the_first_version_goes_on() {
    let place = Place::new();
    for name in ["tiny-clip", "old-run"] {
        copy(&golden(name), &place.out(name));
    }
    let dir = place.out("old-run");
    let output = Command::new(env!("CARGO_BIN_EXE_clove"))
        .args(["train", "train.toml", "--resume", "--device", "cpu", "--plain"])
        .current_dir(&dir)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("step 2"), "{log}");
    let (got, wanted) =
        (metrics(&dir.join("run/metrics.jsonl")), metrics(&dir.join("expected.jsonl")));
    assert_eq!((got.len(), wanted.len()), (4, 4));
    for (got, wanted) in got.iter().zip(&wanted) {
        assert_eq!(got["step"], wanted["step"]);
        for key in ["loss", "grad_norm", "logit_scale", "learning_rate"] {
            let (got, wanted) = (got[key].as_f64().unwrap(), wanted[key].as_f64().unwrap());
            assert!((got - wanted).abs() <= RELATIVE * wanted.abs(), "{key}: {got} {wanted}");
        }
    }
    assert!(dir.join("run/patched/model.safetensors").exists());
}
