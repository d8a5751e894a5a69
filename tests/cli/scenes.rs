//! Guards the use of drawn scenes: `eval --suite scenes`, and the sweep of `patch`.

use std::fs;
use std::path::PathBuf;

use clove::weights::{Precision, Snapshot};
use clove_data::run::write_model_dir;
use clove_lab as lab;
use clove_tests::{companions, json};
use serde_json::Value;

use super::{Place, assert_contains, path, run, succeed};

/// The directory of one of the scene models that come with the program.
fn model(place: &Place, name: &str, model: &Snapshot) -> PathBuf {
    let out = place.out(name);
    write_model_dir(&out, model, &companions(), Precision::F32).unwrap();
    out
}

#[test]
fn eval_on_scenes_needs_no_data_and_tests_recognition_too() {
    let place = Place::new();
    let model = model(&place, "model", &lab::pretrained().unwrap());
    let out = place.out("report.json");
    let table =
        run("eval --model _ --suite scenes --out _ --device cpu", &[path(&model), path(&out)]);
    assert!(table.contains("replace_rel") && table.contains("recognition: "), "{table}");
    let report = json(&out);
    assert_eq!(report["suite"], "scenes");
    let subsets = report["subsets"].as_array().unwrap();
    assert_eq!(subsets.len(), 7);
    for subset in subsets {
        assert_eq!((&subset["rows"], &subset["missing"]), (&500.into(), &0.into()));
    }
    assert_eq!(report["recognition"]["rows"], 5000);
    // Chance is a tenth; a pretrained model is far better.
    assert!(report["recognition"]["top1"].as_f64().unwrap() > 0.5);
    for blind in report["blind"].as_array().unwrap() {
        let mean = blind["macro_mean"].as_f64().unwrap();
        assert!((mean - 0.5).abs() < 1e-9, "{blind}");
    }
}

#[test]
fn a_sweep_patches_at_the_alpha_that_its_rule_chooses() {
    let place = Place::new();
    let before = model(&place, "before", &lab::pretrained().unwrap());
    let after = model(&place, "after", &lab::finetuned().unwrap());
    let out = place.out("swept");
    let models = ["--pretrained", path(&before), "--finetuned", path(&after)];
    let args = [
        &["patch"][..],
        &models,
        &["--sweep", "0:1:0.5", "--select", "scenes"],
        &["--out", path(&out), "--device", "cpu"],
    ]
    .concat();
    assert_contains(&succeed(&args), &["chosen"]);
    let sweep = json(&out.join("sweep.json"));
    let points = sweep["points"].as_array().unwrap();
    let figure = |point: &Value, name: &str| point[name].as_f64().unwrap();
    let alphas: Vec<f64> = points.iter().map(|point| figure(point, "alpha")).collect();
    assert_eq!(alphas, [0.0, 0.5, 1.0]);
    // The rule, computed again.
    let known = figure(&points[0], "recognition") - 0.01;
    let allowed = points.iter().filter(|point| figure(point, "recognition") >= known);
    let best = allowed
        .max_by(|a, b| figure(a, "composition").total_cmp(&figure(b, "composition")))
        .unwrap();
    assert_eq!(figure(best, "alpha"), figure(&sweep, "chosen"));

    // The written model is the one at that alpha.
    let (plain, alpha) = (place.out("plain"), sweep["chosen"].to_string());
    succeed(&[&["patch"][..], &models, &["--alpha", &alpha, "--out", path(&plain)]].concat());
    let weights = |dir: &std::path::Path| fs::read(dir.join("model.safetensors")).unwrap();
    assert!(weights(&out) == weights(&plain));
}
