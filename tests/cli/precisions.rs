//! Guards every precision through a whole run: steps, checkpoints, a restart, validation and patching, and a run that diverges.

use clove_tests::{copy_folder, floats};

use super::train::{Job, folder, pictures, succeed_scoring};
use super::{Place, assert_contains, path};

/// f16 has eleven bits and bf16 eight, and a step's loss is a sum of some hundred roundings.
const NEAR: f64 = 5e-2;

/// A run from a pretrained model with validation.
fn body(place: &Place) -> String {
    let dir = pictures(place, 8, 0);
    let held_out = place.out("held-out");
    copy_folder(&dir, &held_out);
    let model = format!("[model]\ninit = {:?}\n", place.model);
    let validation = format!("[validation]\npath = {:?}\nevery = 2\n", path(&held_out));
    let optimizer = "[optimizer]\nlearning_rate = 1e-3\nwarmup = 0\n";
    let train = "[train]\nsteps = 4\nbatch = 4\ncheckpoint_every = 2\n";
    format!("{model}{}{validation}{optimizer}{train}", folder(&dir))
}

#[test]
fn each_precision_is_saved_goes_on_bit_for_bit_validates_and_patches() {
    let place = Place::new();
    let body = body(&place);
    let mut of_full = Vec::new();
    for precision in ["f32", "f16", "bf16"] {
        let body = format!("{body}precision = {precision:?}\n");
        let [whole, lost] =
            ["whole", "lost"].map(|name| Job::new(&place, &format!("{precision}-{name}"), &body));
        whole.train(&[]);
        assert_contains(&lost.train(&["--inject-fault", "lost@3"]), &["resuming after step 2"]);
        for file in ["checkpoints/step-4/optimizer.safetensors", "patched/model.safetensors"] {
            assert!(whole.bytes(file) == lost.bytes(file), "{precision}: {file}");
        }
        assert!(whole.weights() == lost.weights(), "{precision}");
        assert_eq!(whole.losses(), lost.losses(), "{precision}");
        lost.check(4);
        succeed_scoring(&lost.out.join("patched"));

        let steps = |job: &Job| -> Vec<u64> {
            job.lines("validation.jsonl")
                .iter()
                .map(|line| line["step"].as_u64().unwrap())
                .collect()
        };
        assert_eq!((steps(&whole), steps(&lost)), (vec![0, 2, 4], vec![0, 2, 4]), "{precision}");
        let optimizer = whole.out.join("checkpoints/step-4/optimizer.safetensors");
        if precision == "f16" {
            let (scale, _) = floats(&optimizer, "loss_scale");
            assert!(scale.len() == 2 && scale[0] > 0.0 && scale[1] <= 4.0, "{scale:?}");
        }
        if of_full.is_empty() {
            of_full = whole.losses();
        }
        for (found, full) in whole.losses().iter().zip(&of_full) {
            assert!((found - full).abs() <= NEAR * full, "{precision}: {found} {full}");
        }
    }
}

#[test]
fn a_run_that_diverges_ends_in_each_precision() {
    let place = Place::new();
    let body = body(&place);
    for precision in ["f32", "f16", "bf16"] {
        let body = format!("{body}recoveries = 1\nprecision = {precision:?}\n");
        let job = Job::new(&place, precision, &body);
        let (log, end) = job.end_badly(&["--set", "optimizer.learning_rate=1e30"]);
        assert!(end.contains("training diverged"), "{precision}: {log}");
        assert!(!job.out.join("model").exists(), "{precision}");
    }
}
