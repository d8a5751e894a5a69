use std::path::{Path, PathBuf};

use super::{Config, Document, Draft};

/// The configurations that explain every key of their kind.
const SAMPLES: [&str; 6] = [
    "scenes",
    "folder",
    "json-lines",
    "webdataset",
    "parquet",
    "coco",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

fn read(path: &Path) -> anyhow::Result<Config> {
    Draft::read(Document::read(path, &[])?)?.resolve(100, None)
}

/// The keys of a TOML text, those behind `#` included where they look like one: `# key = value`.
fn keys(text: &str) -> Vec<String> {
    let mut table = String::new();
    let mut keys = Vec::new();
    for line in text.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            keys.push(format!("{table}{key}"));
        }
    }
    keys
}

#[test]
fn every_sample_is_read_and_names_every_key_of_its_resolved_form() {
    for name in SAMPLES {
        let path = folder().join(name).with_extension("toml");
        let config = read(&path).unwrap();
        let sample = keys(&std::fs::read_to_string(&path).unwrap());
        for key in keys(&config.to_toml().unwrap()) {
            assert!(sample.contains(&key), "{name}: {key} isn't explained");
        }
    }
}

#[test]
fn the_recorded_run_can_be_repeated() {
    let config = read(&folder().join("from-scratch.toml")).unwrap();
    let shape = config.model.shape.unwrap();
    let shape = folder().join(shape.file_name().unwrap());
    let text = std::fs::read_to_string(shape).unwrap();
    assert!(clove::model::ClipConfig::from_open_clip(&text).is_ok());
}

#[test]
fn every_recipe_is_read_and_names_its_source() {
    let mut count = 0;
    for recipe in std::fs::read_dir(folder().join("recipes")).unwrap() {
        let path = recipe.unwrap().path();
        read(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("arXiv "), "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn a_resolved_configuration_can_be_given_again() {
    let dir = tempfile::tempdir().unwrap();
    for name in SAMPLES {
        let first = read(&folder().join(name).with_extension("toml")).unwrap();
        let path = dir.path().join(name);
        let text = first.to_toml().unwrap();
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read(&path).unwrap().to_toml().unwrap(), text);
    }
}

#[test]
fn epochs_become_steps_and_the_last_batch_runs_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.toml");
    for (epochs, samples, steps) in [("1", 100, 4), ("2", 100, 7), ("0.5", 64, 1), ("3", 1, 1)] {
        let text = format!(
            "[model]\nshape = \"scenes\"\n[data]\nkind = \"scenes\"\n[train]\nepochs = {epochs}\nbatch = 32\n"
        );
        std::fs::write(&path, text).unwrap();
        let draft = Draft::read(Document::read(&path, &[]).unwrap()).unwrap();
        assert_eq!(draft.resolve(samples, None).unwrap().train.steps, steps);
    }
}
