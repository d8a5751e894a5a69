//! Guards `clove train` where the machine differs: on a GPU a run that lost it has the losses of one that didn't, and with another
//! number of threads the same samples come in the same order.

use std::process::Command;

use clove_tests::devices;

use super::Place;
use super::text;
use super::train::{BLANK, Job, SCENES, folder, pictures};

/// A GPU's reductions may differ from run to run, and so may the kernels that autotune chooses.
const GPU: f64 = 1e-3;

/// Sums of f32 in another order.
const THREADS: f64 = 1e-5;

fn losses(job: &Job) -> Vec<f64> {
    let lines = job.lines("metrics.jsonl");
    lines
        .iter()
        .map(|line| line["loss"].as_f64().unwrap())
        .collect()
}

fn assert_near(one: &[f64], other: &[f64], share: f64) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert!((one - other).abs() <= share * one, "{one} {other}");
    }
}

#[test]
fn on_a_gpu_a_run_that_lost_it_has_the_losses_of_one_that_did_not() {
    if devices().len() < 2 {
        return;
    }
    let place = Place::new();
    // The epoch is longer than the part before the checkpoint: it goes on in its middle.
    let tail = "[train]\nsteps = 6\nbatch = 4\ncheckpoint_every = 3\n";
    let [whole, lost] =
        ["whole", "lost"].map(|name| Job::new(&place, name, &format!("{BLANK}{SCENES}{tail}")));
    whole.train_on(&["--device", "gpu"]);
    let log = lost.train_on(&["--device", "gpu", "--inject-fault", "lost@4"]);
    assert!(
        log.contains("beginning anew from the last checkpoint"),
        "{log}"
    );
    assert!(log.contains("going on after step 3"), "{log}");
    assert_near(&losses(&whole), &losses(&lost), GPU);
}

#[test]
fn photos_cropped_on_a_gpu_train_as_those_cropped_on_the_cpu() {
    let place = Place::new();
    let dir = pictures(&place, 10, 1);
    let body = format!("{BLANK}{}[train]\nsteps = 2\nbatch = 4\n", folder(&dir));
    let job = Job::new(&place, "cpu", &body);
    let error = job.fail(&["--set", "data.crops=\"gpu\""]);
    assert!(error.contains("data.crops: "), "{error}");
    job.train(&[]);
    if devices().len() < 2 {
        return;
    }
    let cropped = Job::new(&place, "gpu", &body);
    cropped.train_on(&["--device", "gpu", "--set", "data.crops=\"gpu\""]);
    assert_near(&losses(&job), &losses(&cropped), GPU);
}

#[test]
fn a_precision_is_chosen_by_timing_and_kept() {
    let place = Place::new();
    let tail = "[train]\nsteps = 2\nbatch = 4\nprecision = \"auto\"\n";
    for device in if devices().len() < 2 {
        &["cpu"][..]
    } else {
        &["cpu", "gpu"]
    } {
        let job = Job::new(&place, device, &format!("{BLANK}{SCENES}{tail}"));
        let log = job.train_on(&["--device", device]);
        let line = log.lines().find(|line| line.starts_with("precision: "));
        let line = line.unwrap();
        assert!(
            line.starts_with("precision: f32, for a CPU") || line.contains(" ms in f32"),
            "{line}"
        );
        let run = std::fs::read_to_string(job.out.join("run.toml")).unwrap();
        let chosen = line["precision: ".len()..]
            .split([',', ';'])
            .next()
            .unwrap();
        assert!(run.contains(&format!("precision = \"{chosen}\"")), "{run}");
        // Its kernels are compiled by now on the CPU alone.
        if *device == "gpu" {
            continue;
        }
        let log = job.train_on(&["--device", device, "--resume"]);
        assert!(!log.contains("precision: "), "{log}");
    }
}

#[test]
fn another_number_of_threads_sees_the_same_samples() {
    let threads = std::thread::available_parallelism().unwrap().get();
    let taskset = Command::new("taskset").arg("--version").output();
    if threads < 2 || taskset.is_err() {
        println!("not tested: it takes two processors, and taskset");
        return;
    }
    let place = Place::new();
    let dir = pictures(&place, 24, 3);
    let tail = "unreadable = 0.5\n[train]\nsteps = 8\nbatch = 4\n";
    let body = format!("{BLANK}{}{tail}", folder(&dir));
    let [many, one] = ["many", "one"].map(|name| Job::new(&place, name, &body));
    many.train(&[]);
    let output = Command::new("taskset")
        .args(["-c", "0", env!("CARGO_BIN_EXE_clove")])
        .args(one.args(&[]))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(many.bytes("skipped.jsonl"), one.bytes("skipped.jsonl"));
    assert!(!many.bytes("skipped.jsonl").is_empty());
    assert_near(&losses(&many), &losses(&one), THREADS);
}
