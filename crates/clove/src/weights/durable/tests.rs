//! The order of operations, and what a kill before each of them leaves. Another process is killed: this program with [`WRITER`].

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::{self, Command};
use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use crate::model::{ClipConfig, RandomInit};
use crate::patch::patch_to;
use crate::weights::{InMemory, Layout, ModelSource, OutputDir, Precision, Snapshot, write_model};

/// Set for the process that writes: the case, the number of changes to the disk before the kill, and the folder.
const WRITER: &str = "CLOVE_TEST_WRITER";
/// The exit code of a killed process. Ending at once runs no destructors and flushes no buffers, as a kill.
const KILLED: i32 = 9;

type Operation = (&'static str, [PathBuf; 2]);

struct Log {
    operations: Vec<Operation>,
    /// Changes left until the kill.
    left: usize,
    exchanges: bool,
}

static LOG: Mutex<Option<Log>> = Mutex::new(None);

pub(super) fn record(operation: &'static str, paths: [&Path; 2]) {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(log) = log.as_mut() else {
        return;
    };
    let operation = (operation, paths.map(Path::to_owned));
    // A file is written in many pieces.
    if log.operations.last() == Some(&operation) {
        return;
    }
    // A sync doesn't change what another process sees.
    if !operation.0.starts_with("sync") {
        if log.left == 0 {
            process::exit(KILLED);
        }
        log.left -= 1;
    }
    log.operations.push(operation);
}

pub(super) fn exchanges_nothing() -> bool {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    log.as_ref().is_some_and(|log| !log.exchanges)
}

/// Every byte and name is on the disk before the rename that shows it, and at the end.
fn assert_durable(operations: &[Operation]) {
    let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for (operation, [path, to]) in operations {
        match *operation {
            "write" => {
                files.insert(path.as_path());
                folders.insert(parent(path));
            }
            "sync" => {
                files.remove(path.as_path());
            }
            "sync folder" => {
                folders.remove(path.as_path());
            }
            "remove" => {
                files.retain(|file| !file.starts_with(path));
                folders.retain(|folder| !folder.starts_with(path));
            }
            _ => {
                let lost = files.iter().chain(&folders).find(|lost| lost.starts_with(path));
                assert_eq!(lost, None, "{operation} {path:?}: {operations:#?}");
                folders.insert(parent(to));
            }
        }
    }
    assert!(files.is_empty() && folders.is_empty(), "{files:?} {folders:?}: {operations:#?}");
}

/// Files by name.
type Files = BTreeMap<String, Arc<[u8]>>;

/// A model of some hundred parameters, with small files.
fn new_model() -> Files {
    let config = r#"{"model_cfg": {"embed_dim": 2,
        "vision_cfg": {"image_size": 2, "layers": 1, "width": 2, "head_width": 1, "patch_size": 1},
        "text_cfg": {"context_length": 4, "vocab_size": 9, "width": 2, "heads": 1, "layers": 1}}}"#;
    let config = ClipConfig::from_open_clip(config).unwrap();
    let Ok(model) = Snapshot::from_parameters(&config, &mut RandomInit::new(&config, 0));
    let weights = model.write_hugging_face(Vec::new(), Precision::F32).unwrap();
    let config = format!("{:#}\n", config.to_hugging_face()).into_bytes();
    let files = [
        ("config.json", config),
        ("tokenizer.json", b"{}".to_vec()),
        ("model.safetensors", weights),
    ];
    files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.into())).collect()
}

fn old_model() -> Files {
    let names = ["config.json", "merges.txt", "model.safetensors"].into_iter();
    names.map(|name| (name.to_owned(), name.as_bytes().into())).collect()
}

/// The files in a folder, without hidden ones; `None` if there is no folder.
fn read(folder: &Path) -> Option<Files> {
    let entries = fs::read_dir(folder).ok()?.map(Result::unwrap);
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let names = entries.map(name).filter(|name| !name.starts_with('.'));
    Some(names.map(|name| (name.clone(), fs::read(folder.join(name)).unwrap().into())).collect())
}

/// What is there before a case writes.
fn prepare(case: &str, folder: &Path) {
    let model = folder.join("model");
    match case {
        "new" => {}
        "file" => fs::write(folder.join("report.json"), "old").unwrap(),
        "empty" => fs::create_dir(model).unwrap(),
        _ => {
            fs::create_dir(&model).unwrap();
            for (name, bytes) in old_model() {
                fs::write(model.join(name), bytes).unwrap();
            }
        }
    }
}

fn write(case: &str, folder: &Path) {
    if case == "file" {
        return write_file(&folder.join("report.json"), "new").unwrap();
    }
    let source = || {
        let files = InMemory { name: "new".to_owned(), files: new_model() };
        ModelSource::open(Box::new(files)).unwrap()
    };
    let out = OutputDir::claim(&folder.join("model"), true, &[]).unwrap();
    if case == "patched" {
        patch_to(&source(), &source(), 0.5, &out, &mut |_, _| ()).unwrap();
    } else {
        write_model(&source(), Layout::HuggingFace, Precision::Unchanged, &out).unwrap();
    }
    out.commit().unwrap();
}

/// Checks what a kill has left, or what a case has written.
fn check(case: &str, folder: &Path, is_finished: bool) {
    let found = read(&folder.join("model"));
    if case == "file" {
        let text = fs::read_to_string(folder.join("report.json")).unwrap();
        assert!(text == "new" || (text == "old" && !is_finished), "{text:?}");
        return;
    }
    if found.as_ref() == Some(&new_model()) {
        return;
    }
    let is_old = match case {
        "new" => found.is_none(),
        // Without a configuration there is no model.
        "empty" => !found.as_ref().unwrap().contains_key("config.json"),
        "not exchanged" if found.is_none() => {
            read(&replaced(&folder.join("model"))) == Some(old_model())
        }
        _ => found.as_ref() == Some(&old_model()),
    };
    let names: Vec<String> = found.into_iter().flatten().map(|(name, _)| name).collect();
    assert!(is_old && !is_finished, "{case}: neither the old model nor the new one: {names:?}");
}

/// Writes in another process, which is killed after some changes; whether it finished before.
fn write_in_a_process(case: &str, changes: usize, folder: &Path) -> bool {
    let module = module_path!().split_once("::").map_or("", |(_, rest)| rest);
    let test = format!("{module}::a_kill_at_any_instant_leaves_the_old_or_the_new");
    let output = Command::new(env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture"])
        .env(WRITER, format!("{case}/{changes}/{}", folder.display()))
        .output()
        .unwrap();
    let code = output.status.code();
    assert!(code == Some(0) || code == Some(KILLED), "{}", String::from_utf8_lossy(&output.stderr));
    code == Some(0)
}

#[test]
fn a_kill_at_any_instant_leaves_the_old_or_the_new() {
    if let Ok(told) = env::var(WRITER) {
        let mut parts = told.splitn(3, '/');
        let (case, changes) = (parts.next().unwrap(), parts.next().unwrap());
        let (left, exchanges) = (changes.parse().unwrap(), case != "not exchanged");
        let log = Log { operations: Vec::new(), left, exchanges };
        *LOG.lock().unwrap() = Some(log);
        write(case, Path::new(parts.next().unwrap()));
        let log = LOG.lock().unwrap().take().unwrap();
        return assert_durable(&log.operations);
    }
    for case in ["file", "new", "empty", "replaced", "not exchanged", "patched"] {
        let mut changes = 0;
        loop {
            let folder = tempfile::tempdir().unwrap();
            prepare(case, folder.path());
            let is_finished = write_in_a_process(case, changes, folder.path());
            check(case, folder.path(), is_finished);
            if is_finished {
                break;
            }
            changes += 1;
        }
        // A write and a rename at least.
        assert!(changes >= 2, "{case}: {changes} changes");
    }
}

#[test]
fn a_killed_exchange_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("model");
    prepare("not exchanged", folder.path());
    fs::rename(&place, replaced(&place)).unwrap();
    let error = OutputDir::claim(&place, false, &[]).unwrap_err().to_string();
    assert!(error.contains("isn't empty"), "{error}");
    assert_eq!(read(&place), Some(old_model()));
}

#[test]
fn a_failed_write_names_the_file_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::create_dir_all(path.join("inside")).unwrap();
    let error = write_file(&path, "x").unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot write: ", path.display())), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // What lies above a file can't be made.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("a/b.json");
    let error = write_file(&below, "x").unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot write: ", below.display())), "{error}");
}
