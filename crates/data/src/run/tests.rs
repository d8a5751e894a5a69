use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use serde_json::json;

use super::*;
use crate::testing::fails;

const CONFIG_TEXT: &str = "seed = 1\n\n[train]\nlr = 0.1\nsteps = 10\n\n[eval]\nlr = 0.1\n";

fn save_state(run: &RunFolder, step: usize, keep: usize) -> Checkpoint {
    run.save_checkpoint(step, keep, |dir| fs::write(dir.join("state.json"), step.to_string()))
        .unwrap()
}

#[test]
fn a_run_is_created_saved_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("runs/first");
    let run = RunFolder::create(&dir, CONFIG_TEXT).unwrap();
    assert_eq!(run.path(), dir);
    assert_eq!(fs::read_to_string(dir.join("run.toml")).unwrap(), CONFIG_TEXT);
    let hash = blake3::hash(CONFIG_TEXT.as_bytes()).to_string();
    assert_eq!(run.config_hash(), hash);
    assert!(run.latest_checkpoint().unwrap().checkpoint.is_none());

    let mut metrics = Metrics::open_at(&run.metrics_path(), 0).unwrap();
    metrics.append(&json!({"step": 0})).unwrap();
    EventFile::create(run.path(), 1.0, 0).unwrap();
    let saved = save_state(&run, 4, 2);
    assert_eq!(saved.dir, dir.join("checkpoints/step-4"));
    drop(run);

    let run = RunFolder::resume(&dir, CONFIG_TEXT).unwrap();
    assert_eq!(run.config_hash(), hash);
    assert_eq!(run.latest_checkpoint().unwrap().checkpoint, Some(saved));
}

#[test]
fn the_last_checkpoint_saved_is_known_when_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), CONFIG_TEXT).unwrap();
    assert_eq!(RunFolder::last_saved(folder.path()), None);
    for step in [100, 7] {
        save_state(&run, step, 1);
        assert_eq!(RunFolder::last_saved(folder.path()), Some(step));
    }
    drop(run);
    fs::remove_dir_all(folder.path().join("checkpoints")).unwrap();
    assert!(RunFolder::look(folder.path()).unwrap().checkpoint.is_none());
    // The lock of the next process changes nothing.
    drop(RunFolder::resume(folder.path(), CONFIG_TEXT).unwrap());
    assert_eq!(RunFolder::last_saved(folder.path()), Some(7));
}

#[test]
fn a_compared_configuration_replaces_the_recorded_one() {
    let folder = tempfile::tempdir().unwrap();
    let other = CONFIG_TEXT.replace("steps = 10", "steps = 20");
    fails(RunFolder::resume_as(folder.path(), CONFIG_TEXT, &other), &["holds no run to resume"]);
    drop(RunFolder::create(folder.path(), CONFIG_TEXT).unwrap());
    let run = RunFolder::resume_as(folder.path(), CONFIG_TEXT, &other).unwrap();
    assert_eq!(RunFolder::recorded(folder.path()).unwrap(), other);
    assert_eq!(run.config_hash(), hash(other.as_bytes()));
    drop(run);
    fails(RunFolder::resume_as(folder.path(), CONFIG_TEXT, &other), &["changed it just now"]);
}

#[test]
fn a_folder_with_a_run_in_it_takes_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    drop(RunFolder::create(dir, CONFIG_TEXT).unwrap());
    fails(RunFolder::create(dir, CONFIG_TEXT), &["run.toml", "--resume"]);

    // A run that lost its configuration is still one.
    fs::remove_file(dir.join("run.toml")).unwrap();
    fails(RunFolder::create(dir, CONFIG_TEXT), &["already holds a run (checkpoints)"]);
    assert!(dir.join("notes.txt").is_file());
}

#[test]
fn a_creation_killed_before_its_configuration_was_written_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.lock"), "").unwrap();
    fs::write(folder.path().join(".run.toml.77.partial"), "seed").unwrap();
    fs::write(folder.path().join(".mine.partial"), "").unwrap();
    RunFolder::create(folder.path(), CONFIG_TEXT).unwrap();
    assert!(!folder.path().join(".run.toml.77.partial").exists());
    assert!(folder.path().join(".mine.partial").exists());
}

#[test]
fn there_must_be_a_run_to_resume() {
    let folder = tempfile::tempdir().unwrap();
    for dir in [folder.path(), &folder.path().join("absent")] {
        fails(RunFolder::resume(dir, CONFIG_TEXT), &["holds no run to resume"]);
    }
    // Looking leaves no trace.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::write(&path, "x").unwrap();
    fails(RunFolder::create(&path, CONFIG_TEXT), &["taken"]);
    assert_eq!(fs::read(&path).unwrap(), b"x");
}

#[test]
fn another_configuration_is_refused_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunFolder::create(folder.path(), CONFIG_TEXT).unwrap());
    let differences = |given: &str| match RunFolder::resume(folder.path(), given) {
        Err(error @ RunError::OtherConfiguration { .. }) => {
            let message = error.to_string();
            assert!(!message.contains('\n') && message.contains("run.toml"), "{message}");
            let RunError::OtherConfiguration { recorded, given, .. } = error else {
                unreachable!("matched above")
            };
            (recorded, given, message)
        }
        other => panic!("{other:?}"),
    };
    // Of two equal lines, the one in the other table.
    let (recorded, given, message) =
        differences("seed = 1\n\n[train]\nlr = 0.1\nsteps = 10\n\n[eval]\nlr = 0.2\nnew = 1\n");
    assert_eq!(recorded, ["[eval] lr = 0.1"]);
    assert_eq!(given, ["[eval] lr = 0.2", "[eval] new = 1"]);
    assert!(message.contains("only in run.toml: `[eval] lr = 0.1`"), "{message}");
    assert!(message.contains("only in the configuration given: `[eval] lr = 0.2`"), "{message}");

    let (recorded, given, _) = differences(&CONFIG_TEXT.replace("seed = 1\n", ""));
    assert_eq!((recorded, given), (vec!["seed = 1".to_owned()], vec![]));
    let (recorded, given, message) = differences(&format!("{CONFIG_TEXT}\n"));
    assert!(recorded.is_empty() && given.is_empty() && message.contains("spacing"), "{message}");
    let many: Vec<_> = (0..30).map(|line| format!("k{line} = 0")).collect();
    let (_, given, message) = differences(&many.join("\n"));
    assert_eq!(given.len(), 30);
    assert!(message.contains("`k11 = 0` and 18 more"), "{message}");

    RunFolder::resume(folder.path(), CONFIG_TEXT).unwrap();
}

#[test]
fn a_run_is_locked_while_it_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), CONFIG_TEXT).unwrap();
    let in_use = |result: Result<RunFolder, RunError>| {
        fails(result, &["another process is working on this run"]);
    };
    in_use(RunFolder::resume(folder.path(), CONFIG_TEXT));
    in_use(RunFolder::create(folder.path(), CONFIG_TEXT));
    drop(run);
    let run = RunFolder::resume(folder.path(), CONFIG_TEXT).unwrap();
    in_use(RunFolder::resume(folder.path(), CONFIG_TEXT));
    drop(run);
}

#[test]
fn resuming_clears_up_after_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), CONFIG_TEXT).unwrap();
    save_state(&run, 3, 1);
    drop(run);
    let checkpoints = folder.path().join("checkpoints");
    fs::create_dir(checkpoints.join(".step-4.77.partial")).unwrap();
    fs::write(checkpoints.join(".step-4.77.partial/model.safetensors"), "half").unwrap();
    fs::write(folder.path().join(".metrics.jsonl.77.partial"), "half").unwrap();

    let run = RunFolder::resume(folder.path(), CONFIG_TEXT).unwrap();
    assert_eq!(fs::read_dir(&checkpoints).unwrap().count(), 1);
    assert!(!folder.path().join(".metrics.jsonl.77.partial").exists());
    assert_eq!(run.latest_checkpoint().unwrap().checkpoint.unwrap().step, 3);
}

/// Kills of the process that trains.
const KILLS: usize = 30;
/// Checkpoints it's let save before it's killed, at most, and the milliseconds after that: 7 is prime to 4, so that every
/// number of checkpoints meets every delay. A save takes a few milliseconds, so that kills fall all over it.
const SAVES: usize = 4;
const DELAYS_MS: usize = 7;
/// Set for the process that is killed: the run's folder.
const VICTIM: &str = "CLOVE_TEST_RUN_TO_KILL";

/// Saves every step twice, so that checkpoints are replaced too, and tells on stdout each that is saved.
fn train_until_killed(dir: &Path) {
    let run = RunFolder::resume(dir, CONFIG_TEXT).unwrap();
    let latest = run.latest_checkpoint().unwrap();
    let mut step = latest.checkpoint.map_or(0, |checkpoint| checkpoint.step);
    let mut metrics = Metrics::open_at(&run.metrics_path(), step).unwrap();
    loop {
        for half in ["first", "second"] {
            let saved = run.save_checkpoint(step, 2, |dir| {
                fs::write(dir.join("model.safetensors"), step.to_string().repeat(20_000))?;
                fs::write(dir.join("state.json"), format!("{step} {half}"))
            });
            saved.unwrap();
            // Not print!, which the test harness keeps.
            writeln!(io::stdout(), "\nsaved {step}").unwrap();
        }
        metrics.append(&json!({"step": step})).unwrap();
        step += 1;
    }
}

/// The step in a line that says that it was saved.
fn told(line: &str) -> Option<usize> {
    line.strip_prefix("saved ")?.trim_end().parse().ok()
}

/// `module::tests::NAME` as the test harness knows it.
fn harness_name(test: &str) -> String {
    let module = module_path!().split_once("::").map_or("", |(_, rest)| rest);
    format!("{module}::{test}")
}

#[test]
fn a_process_killed_at_any_instant_leaves_its_last_checkpoint_whole() {
    if let Some(dir) = env::var_os(VICTIM) {
        return train_until_killed(Path::new(&dir));
    }
    let folder = tempfile::tempdir().unwrap();
    drop(RunFolder::create(folder.path(), CONFIG_TEXT).unwrap());
    let name = harness_name("a_process_killed_at_any_instant_leaves_its_last_checkpoint_whole");
    let mut last = None;
    for kill in 0..KILLS {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args([&name, "--exact", "--nocapture"])
            .env(VICTIM, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(victim.stdout.take().unwrap());
        let mut line = String::new();
        for _ in 0..kill % SAVES {
            let mut has_saved = false;
            while !has_saved {
                line.clear();
                let read = said.read_line(&mut line).unwrap();
                assert!(read > 0, "it ended before it was killed: {:?}", victim.wait());
                last = told(&line).or(last);
                has_saved = told(&line).is_some();
            }
        }
        thread::sleep(Duration::from_millis((kill % DELAYS_MS) as u64));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        // Whole lines alone: the last may be cut.
        let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
        last = whole.lines().filter_map(told).next_back().or(last);

        // The dead process holds no lock.
        let run = RunFolder::resume(folder.path(), CONFIG_TEXT).unwrap();
        let latest = run.latest_checkpoint().unwrap();
        assert!(latest.damaged.is_empty(), "kill {kill}: {:?}", latest.damaged);
        let found = latest.checkpoint;
        assert!(found.as_ref().map(|found| found.step) >= last, "kill {kill}: {found:?} {last:?}");
        if let Some(found) = found {
            let state = fs::read_to_string(found.dir.join("state.json")).unwrap();
            assert_eq!(state.split(' ').next().unwrap(), found.step.to_string());
            Metrics::open_at(&run.metrics_path(), found.step).unwrap();
            let lines = fs::read_to_string(run.metrics_path()).unwrap();
            assert_eq!(lines.lines().count(), found.step, "kill {kill}");
        }
        for entry in fs::read_dir(folder.path().join("checkpoints")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.starts_with("step-"), "kill {kill}: {name} was left");
        }
    }
    assert!(last > Some(1), "no victim got far enough to be a test: {last:?}");
}
