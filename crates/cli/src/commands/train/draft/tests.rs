use std::path::{Path, PathBuf};

use super::{Config, Document, Draft};

/// The configurations that explain every key of their kind.
const SAMPLES: [&str; 7] = [
    "scenes",
    "folder",
    "json-lines",
    "webdataset",
    "parquet",
    "coco",
    "mixture",
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

/// What is said of a configuration, of which `body` is the data.
fn refused(body: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.toml");
    let text = format!("[model]\nshape = \"scenes\"\n{body}");
    std::fs::write(&path, text).unwrap();
    let error = Draft::read(Document::read(&path, &[]).unwrap()).unwrap_err();
    let error = error.to_string();
    let named = error.strip_prefix(&format!("{}: ", path.display()));
    named.unwrap().to_owned()
}

#[test]
fn what_makes_no_sense_of_captions_and_of_several_sets_is_told_with_its_place() {
    let lines = "[data]\nkind = \"json-lines\"\npath = \"a\"\n[data.captions]\n";
    let one = "[[data.sets]]\nkind = \"folder\"\npath = \"a\"\n";
    for (body, starts) in [
        (
            format!("{lines}fields = [\"a\", \"b\", \"a\"]"),
            "data.captions.fields: names a field twice",
        ),
        (
            format!("{lines}fields = [\"a\"]\nweights = [1.0, 2.0]"),
            "data.captions.weights: must be as many as captions.fields, which are 1",
        ),
        (
            format!("{lines}fields = [\"a\"]\nweights = [0.0]"),
            "data.captions.weights: must be numbers above 0",
        ),
        (
            format!("{lines}fields = [\"a\"]\nweights = [1.0]\nchoice = \"first\""),
            "data.captions.weights: only the choice \"random\" has weights",
        ),
        (
            format!("{lines}choice = \"any\""),
            "data.captions.choice: unknown variant `any`",
        ),
        (
            "[data]\nkind = \"folder\"\npath = \"a\"\n[data.captions]\nfields = [\"a\"]".to_owned(),
            "data.captions.fields: only the kinds",
        ),
        (
            "[data]\nsets = []".to_owned(),
            "data.sets: must have at least one set",
        ),
        (
            format!("{one}weight = 1.0\n{one}"),
            "data.sets: either all of them have a weight or none",
        ),
        (
            format!("{one}weight = 1.0\n{one}weight = -1.0"),
            "data.sets[1].weight: must be a number above 0",
        ),
        (
            format!("{one}wieght = 1.0"),
            "data.sets[0].wieght: there is no such key; the nearest is data.sets[0].weight",
        ),
        (
            "[[data.sets]]\npath = \"a\"".to_owned(),
            "data.sets[0].kind: must be \"folder\"",
        ),
        (
            format!("[data]\npath = \"b\"\n{one}"),
            "data.path: each of data.sets has its own",
        ),
        (
            format!("[data]\nkind = \"folder\"\n{one}"),
            "data.sets: is for several sets",
        ),
        (
            format!("{one}[validation]\npath = \"v\""),
            "validation.kind: must be",
        ),
        (
            format!("{one}[negatives]\nstyle = \"file\""),
            "negatives.style: none of the sets brings negatives",
        ),
    ] {
        let error = refused(&body);
        assert!(error.starts_with(starts), "{error}");
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
