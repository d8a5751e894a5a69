//! Guards resumed runs: from anywhere, extended, with harmless changes; other inputs and lost checkpoints are refused.

use std::fs;
use std::path::{Path, PathBuf};

use clove_tests::{copy_folder, golden};
use serde_json::json;

use super::train::{BLANK, Job, SCENES, folder, json_lines_of, pictures};
use super::{Place, assert_contains, failed, path, program, succeed, succeeded, unparsed};

const FOUR_STEPS: &str = "[train]\nsteps = 4\nbatch = 4\ncheckpoint_every = 2\n";

/// Turns a finished run of four steps into one that was killed after its second step.
fn forget_the_end(job: &Job) {
    fs::remove_dir_all(job.out.join("checkpoints/step-4")).unwrap();
    fs::remove_dir_all(job.out.join("model")).unwrap();
}

fn run_toml(job: &Job) -> String {
    fs::read_to_string(job.out.join("run.toml")).unwrap()
}

#[test]
fn a_run_is_extended_and_its_learning_rate_follows_the_new_schedule() {
    let place = Place::new();
    let body = |steps: usize| {
        format!("{BLANK}{SCENES}[optimizer]\nwarmup = 1\n[train]\nsteps = {steps}\nbatch = 4\n")
    };
    let [short, long] = [4, 8].map(|steps| Job::new(&place, &format!("run-{steps}"), &body(steps)));
    short.train(&[]);
    long.train(&[]);
    let whole = short.bytes("metrics.jsonl");
    // Unchanged, it's finished.
    short.train(&["--resume"]);
    assert!(short.bytes("metrics.jsonl") == whole);
    let log = short.train(&["--resume", "--set", "train.steps=8"]);
    let note = "train.steps: 4 in the run, 8 now: from step 4 on, the learning rate follows the schedule of 8 steps";
    assert_contains(&log, &[note, "resuming after step 4"]);
    short.check(8);
    let rates = |job: &Job| -> Vec<f64> {
        job.lines("metrics.jsonl")
            .iter()
            .map(|line| line["learning_rate"].as_f64().unwrap())
            .collect()
    };
    assert_eq!(rates(&short)[4..], rates(&long)[4..]);
    assert!(short.bytes("metrics.jsonl").starts_with(&whole));
    // run.toml has the new number, so that nothing changes when it's resumed again.
    let log = short.train(&["--resume", "--set", "train.steps=8"]);
    assert!(!log.contains("in the run, "), "{log}");
    // 20 scenes are five steps.
    assert_contains(
        &short.train(&["--resume", "--set", "train.epochs=1.8"]),
        &["8 in the run, 9 now"],
    );
    let error = short.fail(&["--resume", "--set", "train.steps=5"]);
    assert_contains(&error, &["9 in the run, 5 now, but the run has taken 9"]);

    // A tenth of the steps is the warm-up, which a run that is extended has had.
    let body = format!("{BLANK}{SCENES}[train]\nsteps = 10\nbatch = 2\n");
    let job = Job::new(&place, "usual", &body);
    job.train(&[]);
    let plan = succeed(&job.args(&["--resume", "--dry-run", "--set", "train.steps=20"]));
    assert_contains(&plan, &["steps = 20", "warmup = 1\n", "train.steps: 10 in the run, 20 now"]);
    assert!(!plan.contains("optimizer.warmup"), "{plan}");
}

#[test]
fn harmless_keys_and_moved_photos_change_nothing_and_are_told() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let lines = (0..6).map(|number| json!({"image": format!("{number:02}.png"), "caption": format!("square {number}")}));
    let list = place.json_lines("set.jsonl", lines);
    let body = format!("{BLANK}{}{FOUR_STEPS}", json_lines_of(&list, &dir));
    let job = Job::new(&place, "run", &body);
    job.train(&[]);
    let whole = job.weights();
    forget_the_end(&job);
    let moved = place.out("moved");
    fs::rename(&dir, &moved).unwrap();
    let images = format!("data.images={}", path(&moved));
    let mut settings =
        vec!["--resume", "--set", "train.keep=7", "--set", "train.checkpoint_every=1"];
    settings.extend(["--set", "data.unreadable=0.5", "--set", &images]);
    let log = job.train(&settings);
    assert_contains(
        &log,
        &[
            "train.keep: 2 in the run, 7 now",
            "train.checkpoint_every: 2 in the run, 1 now",
            "data.unreadable: 0.1 in the run, 0.5 now",
            &format!("data.images: {:?} in the run, {:?} now", path(&dir), path(&moved)),
            "resuming after step 2",
        ],
    );
    assert!(job.weights() == whole, "bit for bit");
    assert!(job.out.join("checkpoints/step-3").exists());
    // Less memory: the advice after a device was lost.
    forget_the_end(&job);
    let few = ["--resume", "--set", "train.micro_batch=2", "--set", &images];
    assert_contains(
        &job.train(&few),
        &["train.micro_batch: 4 in the run, 2 now: numbers are rounded"],
    );
    // All changes that aren't harmless are told at once.
    let mut settings = vec!["--resume", "--set", &images, "--set", "seed=3"];
    settings.extend(["--set", "loss.kind=\"fsc\""]);
    let error = job.fail(&settings);
    let changes = ["loss.kind: \"clove\" in the run, \"fsc\" now", "seed: 0 in the run, 3 now"];
    assert_contains(&error, &changes);
    assert!(!error.contains("train.keep") && !error.contains("digest"), "{error}");
}

#[test]
fn the_folder_of_a_run_is_enough_to_resume_it_from_anywhere() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    copy_folder(&golden("tiny-clip/hf"), &place.out("clip"));
    let name = dir.file_name().unwrap().to_str().unwrap();
    let text = format!(
        "out = \"my runs/a\"\n[model]\ninit = \"clip\"\n[data]\nkind = \"folder\"\npath = {name:?}\n{FOUR_STEPS}"
    );
    place.file("train.toml", text.as_bytes());
    let run = |args: &[&str], from: &Path| {
        program(&[args, &["--device", "cpu"]].concat()).current_dir(from).output().unwrap()
    };
    let here = place.dir.path();
    let (_, log) = succeeded(&run(&["train", "train.toml"], here));
    // A path with a space is one word of the commands.
    assert_contains(
        &log,
        &["clove score --model 'my runs/a/patched'", "--finetuned 'my runs/a/model'"],
    );
    let job = Job { config: String::new(), out: place.out("my runs/a") };
    let whole = job.weights();
    let elsewhere = tempfile::tempdir().unwrap();
    let out = path(&job.out).to_owned();
    let file = format!("{out}/run.toml");
    for args in [
        vec!["train", "--resume", &out],
        vec!["train", &file, "--resume"],
        vec!["train", "--resume", &file],
        vec!["train", "--resume", &out, "--set", "train.keep=3"],
    ] {
        forget_the_end(&job);
        let (_, log) = succeeded(&run(&args, elsewhere.path()));
        assert_contains(&log, &["resuming after step 2"]);
        assert!(job.weights() == whole, "{args:?}");
    }
    // Where it was started, with its configuration.
    forget_the_end(&job);
    succeeded(&run(&["train", "train.toml", "--resume"], here));
    assert!(job.weights() == whole);
    // The folder may be moved, too.
    let moved = place.out("moved");
    fs::rename(&job.out, &moved).unwrap();
    let job = Job { config: String::new(), out: moved };
    forget_the_end(&job);
    succeeded(&run(&["train", "--resume", path(&job.out)], elsewhere.path()));
    assert!(job.weights() == whole);

    unparsed(&["train", "--resume"]);
    unparsed(&["train", path(&place.out("train.toml")), "--resume", path(&job.out)]);
    let nothing = failed(&run(&["train", "--resume", path(here)], elsewhere.path()));
    assert_contains(&nothing, &["holds no run to resume"]);
    // A configuration may have the name of a run's.
    fs::rename(place.out("train.toml"), place.out("run.toml")).unwrap();
    let other = failed(&run(&["train", "--resume", path(here)], elsewhere.path()));
    assert_contains(&other, &["run.toml: out: ", "this is a configuration"]);
}

/// A run of a copied model with held-out photos, and the folder of the model.
fn tuned(place: &Place) -> (Job, PathBuf, PathBuf) {
    let dir = pictures(place, 6, 0);
    let clip = place.out("clip");
    copy_folder(&golden("tiny-clip/hf"), &clip);
    let lines = (0..6).map(|number| json!({"image": dir.join(format!("{number:02}.png")), "caption": format!("square {number}")}));
    let held_out = place.json_lines("held-out.jsonl", lines);
    let model = format!("[model]\ninit = {:?}\n", path(&clip));
    let validation = format!("[validation]\nkind = \"json-lines\"\npath = {held_out:?}\n");
    let body = format!("{model}{}{validation}{FOUR_STEPS}", folder(&dir));
    (Job::new(place, "run", &body), clip, dir)
}

#[test]
fn a_resumed_run_notices_every_input_that_changed() {
    let place = Place::new();
    let (job, clip, dir) = tuned(&place);
    job.train(&[]);
    assert_contains(
        &run_toml(&job),
        &["[inputs]", "weights = ", "held_out = 6", "held_out_photos = "],
    );
    let patched = job.bytes("patched/model.safetensors");
    let held_out = place.out("held-out.jsonl");
    let list = fs::read_to_string(&held_out).unwrap();
    let three: Vec<&str> = list.lines().take(3).collect();
    let weights = clip.join("model.safetensors");
    let mut other = fs::read(&weights).unwrap();
    let last = other.len() - 4;
    other[last..].copy_from_slice(&0.5_f32.to_le_bytes());
    let photo = dir.join("00.png");
    let mut longer = fs::read(&photo).unwrap();
    longer.push(0);
    let config = clip.join("config.json");
    let eps = fs::read_to_string(&config).unwrap().replace("1e-05", "1e-03");
    for (file, bytes, words) in [
        (&weights, other, "the weights of "),
        (
            &held_out,
            three.join("\n").into_bytes(),
            "(validation.path: 6 samples before, 3 samples now)",
        ),
        (&photo, longer, "the training samples of "),
        (
            &config,
            eps.into_bytes(),
            "its configuration has changed since the run began (model.init)",
        ),
    ] {
        let before = fs::read(file).unwrap();
        assert!(before != bytes, "{words}");
        fs::write(file, bytes).unwrap();
        for more in [&["--resume"][..], &["--resume", "--dry-run"]] {
            assert_contains(&job.fail(more), &[words, "undo the change"]);
        }
        fs::write(file, before).unwrap();
    }
    // A photo of the same size: only held-out photos are compared by their bytes.
    flip(&photo);
    assert_contains(&job.fail(&["--resume"]), &["the held-out photos of "]);
    flip(&photo);
    // The digests of a run.toml hold for a new run, too.
    let copy = place.file("copy.toml", run_toml(&job).as_bytes());
    fs::write(&held_out, three.join("\n")).unwrap();
    let out = format!("out={}", path(&place.out("new")));
    let copy = Job { config: copy, out: place.out("new") };
    assert_contains(
        &copy.fail(&["--set", &out]),
        &["the configuration gives digests", "6 samples before"],
    );
    fs::write(&held_out, list).unwrap();
    copy.train(&["--set", &out]);
    assert!(copy.bytes("patched/model.safetensors") == patched);
}

/// Flips a bit in the middle of a file.
fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn preprocessing_is_the_checkpoints_whatever_the_model_says_now() {
    let place = Place::new();
    let (job, clip, _) = tuned(&place);
    job.train(&[]);
    let (whole, patched) = (job.weights(), job.bytes("patched/model.safetensors"));
    let preprocessor = job.bytes("model/preprocessor_config.json");
    forget_the_end(&job);
    let file = clip.join("preprocessor_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["image_mean"] = json!([0.5, 0.5, 0.5]);
    fs::write(&file, config.to_string()).unwrap();
    let log = job.train(&["--resume"]);
    assert_contains(&log, &["the preprocessing of ", "the run keeps its own"]);
    assert!(job.weights() == whole && job.bytes("patched/model.safetensors") == patched);
    assert!(job.bytes("model/preprocessor_config.json") == preprocessor);
}

#[test]
fn a_run_whose_checkpoints_are_lost_is_begun_anew_only_on_purpose() {
    let place = Place::new();
    let job = Job::new(&place, "run", &format!("{BLANK}{SCENES}{FOUR_STEPS}"));
    job.train(&[]);
    let whole = job.weights();
    let checkpoints = job.out.join("checkpoints");
    for step in [2, 4] {
        fs::write(checkpoints.join(format!("step-{step}/state.json")), "{}").unwrap();
    }
    for more in [&["--resume"][..], &["--resume", "--dry-run"]] {
        let error = job.fail(more);
        let parts = [
            "every checkpoint is damaged: ",
            "step-4",
            "step-2",
            "state.json",
            "delete the run's folder",
        ];
        assert_contains(&error, &parts);
    }
    fs::remove_dir_all(&checkpoints).unwrap();
    let error = job.fail(&["--resume"]);
    assert_contains(&error, &["the checkpoint of step 4 and all others are gone", "omit --resume"]);
    // A run of an earlier version noted steps, but not what it saved.
    fs::write(job.out.join("run.lock"), "").unwrap();
    assert_contains(
        &job.fail(&["--resume"]),
        &["metrics.jsonl has 4 steps, but there is no checkpoint"],
    );
    // One that was killed before its first checkpoint begins again.
    let metrics = fs::read_to_string(job.out.join("metrics.jsonl")).unwrap();
    let two: Vec<&str> = metrics.lines().take(2).collect();
    fs::write(job.out.join("metrics.jsonl"), two.join("\n") + "\n").unwrap();
    job.train(&["--resume"]);
    job.check(4);
    assert!(job.weights() == whole);
    fs::remove_dir_all(&job.out).unwrap();
    job.train(&[]);
    assert!(job.weights() == whole);
}
