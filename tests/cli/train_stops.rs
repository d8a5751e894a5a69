//! Guards training runs that are killed or stopped: a resumed run ends like an uninterrupted one.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::{Child, Command, Output, Stdio};
#[cfg(unix)]
use std::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clove_scenes::Random;

use super::train::{BLANK, Job, SCENES, folder, pictures};
use super::{Place, assert_contains, text};

/// A run of many quick steps, so that kills hit every part of the work.
fn long(place: &Place, name: &str, dir: &Path) -> Job {
    let train = "[train]\nsteps = 60\nbatch = 4\ncheckpoint_every = 3\nkeep = 2\n";
    Job::new(place, name, &format!("{BLANK}{}{train}", folder(dir)))
}

/// Checks that two runs left the same files, except for times.
pub fn same(whole: &Job, killed: &Job) {
    for file in [
        "checkpoints/step-60/model.safetensors",
        "checkpoints/step-60/optimizer.safetensors",
        "checkpoints/step-60/state.json",
        "model/model.safetensors",
        "skipped.jsonl",
    ] {
        assert!(whole.bytes(file) == killed.bytes(file), "{file}");
    }
    killed.check(60);
    // A kill leaves no other files.
    let names = |job: &Job| {
        let mut names: Vec<String> = fs::read_dir(&job.out)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("events.out"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(whole), names(killed));
}

#[test]
fn runs_that_are_killed_twenty_times_end_as_one_that_is_not() {
    let place = Place::new();
    let dir = pictures(&place, 30, 1);
    let whole = long(&place, "whole", &dir);
    let began = Instant::now();
    whole.train(&[]);
    let took = began.elapsed();
    // The broken picture, once for all epochs.
    assert_eq!(whole.lines("skipped.jsonl").len(), 1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut random = Random::new(&[now.as_nanos() as u64]);
    let go_on = |job: &Job| -> &[&str] {
        if job.out.join("run.toml").exists() { &["--resume"] } else { &[] }
    };
    let (mut kills, mut runs) = (0, 1);
    let mut killed = long(&place, "killed-1", &dir);
    while kills < 20 {
        // From before the folder exists to some checkpoints later.
        let delay = took.mul_f32(random.between(0.0, 0.4));
        let mut child = killed.start(go_on(&killed));
        std::thread::sleep(delay);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        println!("run {runs} after {delay:?}: {}", output.status);
        // The run is killed or finishes, but never fails.
        assert_ne!(output.status.code(), Some(1), "{}", text(&output.stderr));
        if output.status.success() {
            same(&whole, &killed);
            runs += 1;
            killed = long(&place, &format!("killed-{runs}"), &dir);
        } else {
            kills += 1;
        }
    }
    killed.train(go_on(&killed));
    same(&whole, &killed);
    // A finished run can be resumed.
    assert_contains(&killed.train(&["--resume"]), &["resuming after step 60"]);
    same(&whole, &killed);
}

/// Waits until a condition holds.
#[cfg(unix)]
pub fn within_a_minute(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
pub fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// Starts a run and signals it after some steps.
#[cfg(unix)]
pub fn interrupt(job: &Job, more: &[&str], signal: &str, steps: usize) -> Output {
    stop(job.start(more), job, signal, steps)
}

/// Signals a run after some steps.
#[cfg(unix)]
fn stop(mut child: Child, job: &Job, signal: &str, steps: usize) -> Output {
    within_a_minute(|| {
        assert!(child.try_wait().unwrap().is_none());
        let metrics = fs::read_to_string(job.out.join("metrics.jsonl"));
        metrics.map_or(0, |text| text.lines().count()) >= steps
    });
    self::signal(&child, signal);
    child.wait_with_output().unwrap()
}

/// Expects that a signal ended the program: exit code 130 as in a shell, and no panic. Gives stderr.
#[cfg(unix)]
#[track_caller]
pub fn interrupted(output: &Output) -> String {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_saved_and_goes_on() {
    let place = Place::new();
    let body = format!("{BLANK}{SCENES}[train]\nsteps = 100000\nbatch = 2\n");
    let job = Job::new(&place, "run", &body);
    let mut last = 0;
    for (signal, more) in [("-INT", &[][..]), ("-TERM", &["--resume"]), ("-HUP", &["--resume"])] {
        let child = if signal != "-HUP" {
            job.start(more)
        } else if resets_signals() {
            // What ignores SIGHUP starts programs that do: nohup, and some services that run tests.
            let mut env = Command::new("env");
            env.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_clove")]).args(job.args(more));
            env.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        } else {
            println!("not tested: a closed terminal takes an `env` that resets signals");
            return;
        };
        let stderr = interrupted(&stop(child, &job, signal, last + 3));
        assert!(stderr.contains("--resume"), "{stderr}");
        let end = stderr.lines().last().unwrap();
        assert!(end.starts_with("clove: stopped after step "), "{stderr}");
        last = job.lines("metrics.jsonl").len();
        assert!(end.contains(&format!("step {last} of 100000")), "{stderr}");
        assert!(job.out.join(format!("checkpoints/step-{last}/state.json")).exists());
    }
}

/// Whether this system's `env` can start a program without the signals that this one ignores.
#[cfg(unix)]
fn resets_signals() -> bool {
    let env = Command::new("env").args(["--default-signal=HUP", "true"]).output();
    env.is_ok_and(|output| output.status.success())
}

/// A photo that blocks its reader, as on a server that doesn't answer.
#[cfg(unix)]
#[test]
fn a_run_that_waits_for_photos_can_be_interrupted() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let body = format!("{BLANK}{}[train]\nsteps = 100000\nbatch = 6\n", folder(&dir));
    let job = Job::new(&place, "run", &body);
    let mut child = job.start(&[]);
    let steps = || {
        let metrics = fs::read_to_string(job.out.join("metrics.jsonl"));
        metrics.map_or(0, |text| text.lines().count())
    };
    within_a_minute(|| {
        assert!(child.try_wait().unwrap().is_none());
        steps() >= 2
    });
    let pipe = place.out("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::rename(&pipe, dir.join("00.png")).unwrap();
    // The batches that are loaded already are trained on.
    let mut last = (steps(), Instant::now());
    within_a_minute(|| {
        let now = steps();
        if now > last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_secs(1)
    });
    signal(&child, "-INT");
    within_a_minute(|| child.try_wait().unwrap().is_some());
    let stderr = interrupted(&child.wait_with_output().unwrap());
    let done = steps();
    assert!(stderr.contains(&format!("stopped after step {done} of 100000")), "{stderr}");
    assert!(job.out.join(format!("checkpoints/step-{done}")).exists());
}

#[cfg(unix)]
#[test]
fn the_final_patching_can_be_interrupted_and_is_done_by_the_resumed_run() {
    let place = Place::new();
    let dir = pictures(&place, 300, 0);
    let model = format!("[model]\ninit = {:?}\n", place.model);
    let validation = format!("[validation]\npath = {dir:?}\n");
    let body = format!("{model}{}{validation}[train]\nsteps = 1\nbatch = 2\n", folder(&dir));
    let job = Job::new(&place, "run", &body);
    let mut child = job.start(&[]);
    within_a_minute(|| {
        assert!(child.try_wait().unwrap().is_none());
        job.out.join("model").exists()
    });
    signal(&child, "-TERM");
    let stderr = interrupted(&child.wait_with_output().unwrap());
    assert!(stderr.contains("stopped after step 1 of 1; the run is saved in "), "{stderr}");
    assert!(!job.out.join("patched").exists());
    assert_contains(&job.train(&["--resume"]), &["patched: alpha "]);
}
