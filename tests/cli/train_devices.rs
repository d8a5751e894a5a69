//! Guards `clove train` on different machines: a GPU has the CPU's losses, also after it was lost, and the samples don't depend on
//! the number of threads.

use std::process::Command;

use clove_tests::{devices, thorough};

use super::train::{BLANK, Job, SCENES, folder, pictures};
use super::{Place, assert_contains, succeeded};

/// A GPU's reductions may differ from run to run, and so may the kernels that autotune chooses.
const GPU: f64 = 1e-3;

/// f16 has eleven bits, and a step's loss is a sum of some hundred roundings.
const HALF: f64 = 2e-2;

/// Sums of f32 in another order.
const THREADS: f64 = 1e-5;

fn assert_near(one: &[f64], other: &[f64], share: f64) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert!((one - other).abs() <= share * one, "{one} {other}");
    }
}

/// Only two processes, because a software GPU spends most of its time on compiling kernels.
#[test]
fn a_gpu_crops_and_can_be_lost_and_if_thorough_it_chooses_a_precision() {
    let place = Place::new();
    let dir = pictures(&place, 10, 1);
    let tail = "[train]\nsteps = 3\nbatch = 4\ncheckpoint_every = 1\n";
    let body = format!("{BLANK}{}{tail}", folder(&dir));
    let cpu = Job::new(&place, "cpu", &body);
    assert_contains(&cpu.fail(&["--set", "data.crops=\"gpu\""]), &["data.crops: "]);
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
    assert_contains(&log, &["restarting from the last checkpoint", "resuming after step 1"]);
    if !thorough() {
        assert_near(&cpu.losses(), &gpu.losses(), GPU);
        return;
    }
    // Chosen once: the resumed process keeps it.
    let chosen: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("precision: ")).collect();
    let [line] = chosen[..] else { panic!("{log}") };
    assert!(line.contains(" ms in f32"), "{line}");
    let name = line.split([',', ';']).next().unwrap();
    assert!(kept(&gpu, name));
    let near = if name == "f32" { GPU } else { HALF };
    assert_near(&cpu.losses(), &gpu.losses(), near);
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
    assert_contains(&job.train(&[]), &["precision: f32; a CPU"]);
    assert!(kept(&job, "f32"));
    let log = job.train(&["--resume"]);
    assert!(!log.contains("precision: "), "{log}");
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
    succeeded(&output);
    assert_eq!(many.bytes("skipped.jsonl"), one.bytes("skipped.jsonl"));
    assert!(!many.bytes("skipped.jsonl").is_empty());
    assert_near(&many.losses(), &one.losses(), THREADS);
}
