//! Guards `clove train` where the machine differs: a GPU's losses are the CPU's, also after the GPU was lost; each precision resumes;
//! another number of threads sees the same samples in the same order.

use std::process::Command;

use clove_tests::{devices, thorough};

use super::Place;
use super::text;
use super::train::{BLANK, Job, SCENES, folder, pictures};

/// A GPU's reductions may differ from run to run, and so may the kernels that autotune chooses.
const GPU: f64 = 1e-3;

/// f16 has eleven bits, and a step's loss is a sum of some hundred roundings.
const HALF: f64 = 2e-2;

/// Sums of f32 in another order.
const THREADS: f64 = 1e-5;

fn losses(job: &Job) -> Vec<f64> {
    let lines = job.lines("metrics.jsonl");
    lines.iter().map(|line| line["loss"].as_f64().unwrap()).collect()
}

fn assert_near(one: &[f64], other: &[f64], share: f64) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert!((one - other).abs() <= share * one, "{one} {other}");
    }
}

/// Two processes of one run: on a software GPU most of a process's time goes into compiling its kernels.
#[test]
fn a_gpu_crops_and_can_be_lost_and_if_thorough_it_chooses_a_precision() {
    let place = Place::new();
    let dir = pictures(&place, 10, 1);
    let tail = "[train]\nsteps = 3\nbatch = 4\ncheckpoint_every = 1\n";
    let body = format!("{BLANK}{}{tail}", folder(&dir));
    let cpu = Job::new(&place, "cpu", &body);
    let error = cpu.fail(&["--set", "data.crops=\"gpu\""]);
    assert!(error.contains("data.crops: "), "{error}");
    cpu.train(&[]);
    if devices().len() < 2 {
        return;
    }
    let gpu = Job::new(&place, "gpu", &body);
    let mut args = vec!["--device", "gpu", "--inject-fault", "lost@1"];
    args.extend(["--set", "data.crops=\"gpu\""]);
    if thorough() {
        args.extend(["--set", "train.precision=\"auto\""]);
    }
    let log = gpu.train_on(&args);
    assert!(log.contains("beginning anew from the last checkpoint"), "{log}");
    assert!(log.contains("going on after step 1"), "{log}");
    if !thorough() {
        assert_near(&losses(&cpu), &losses(&gpu), GPU);
        return;
    }
    // Chosen once: the process that goes on keeps it.
    let chosen: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("precision: ")).collect();
    let [line] = chosen[..] else { panic!("{log}") };
    assert!(line.contains(" ms in f32"), "{line}");
    let name = line.split([',', ';']).next().unwrap();
    assert!(kept(&gpu, name));
    let near = if name == "f32" { GPU } else { HALF };
    assert_near(&losses(&cpu), &losses(&gpu), near);
}

fn kept(job: &Job, precision: &str) -> bool {
    let run = std::fs::read_to_string(job.out.join("run.toml")).unwrap();
    run.contains(&format!("precision = \"{precision}\""))
}

#[test]
fn a_cpu_chooses_full_precision_without_trying() {
    let place = Place::new();
    let tail = "[train]\nsteps = 2\nbatch = 4\nprecision = \"auto\"\n";
    let job = Job::new(&place, "auto", &format!("{BLANK}{SCENES}{tail}"));
    let log = job.train(&[]);
    assert!(log.contains("precision: f32, for a CPU"), "{log}");
    assert!(kept(&job, "f32"));
    let log = job.train(&["--resume"]);
    assert!(!log.contains("precision: "), "{log}");
}

#[test]
fn each_precision_is_saved_and_goes_on_bit_for_bit() {
    let place = Place::new();
    for precision in ["f32", "f16", "bf16"] {
        let tail = format!(
            "[train]\nsteps = 4\nbatch = 4\ncheckpoint_every = 2\nprecision = {precision:?}\n"
        );
        let body = format!("{BLANK}{SCENES}{tail}");
        let [whole, lost] =
            ["whole", "lost"].map(|name| Job::new(&place, &format!("{precision}-{name}"), &body));
        whole.train(&[]);
        let log = lost.train(&["--inject-fault", "lost@3"]);
        assert!(log.contains("going on after step 2"), "{log}");
        let model = "model/model.safetensors";
        assert!(whole.bytes(model) == lost.bytes(model), "{precision}");
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
