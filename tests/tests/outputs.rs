//! Guards what is written over: an output is never an input, and a folder gets a whole model or keeps what it has.

use std::fs;
use std::path::{Path, PathBuf};

use clove::weights::{OutputDir, WeightsError, refuse_inputs};
use clove_tests::{assert_contains, copy_folder, golden};
use tempfile::TempDir;

/// A folder with a model in `model`.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    copy_folder(&golden("tiny-clip/hf"), &model);
    (dir, model)
}

/// The names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Writes a folder of one file.
fn write(path: &Path, force: bool, inputs: &[&Path]) -> Result<(), WeightsError> {
    let out = OutputDir::claim(path, force, inputs)?;
    fs::write(out.path().join("config.json"), "new").unwrap();
    out.commit()
}

#[track_caller]
fn refused(result: Result<(), WeightsError>, parts: &[&str]) {
    assert_contains(&result.unwrap_err().to_string(), parts);
}

#[test]
fn a_new_and_an_empty_folder_are_filled() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("a/b/new");
    write(&new, false, &[]).unwrap();
    assert_eq!(names(&new), ["config.json"]);
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    write(&empty, false, &[]).unwrap();
    assert_eq!(names(&empty), ["config.json"]);
    assert_eq!(names(dir.path()), ["a", "empty"]);
}

#[test]
fn without_commit_everything_stays() {
    let (dir, model) = place();
    let before = names(&model);
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for path in [&model, &empty, &dir.path().join("new")] {
        let out = OutputDir::claim(path, true, &[]).unwrap();
        fs::write(out.path().join("config.json"), "new").unwrap();
        drop(out);
    }
    assert_eq!(names(&model), before);
    assert_eq!(names(&empty), [""; 0]);
    assert_eq!(names(dir.path()), ["empty", "model"]);
}

#[test]
fn another_model_is_replaced_as_a_whole_and_only_on_request() {
    let (dir, model) = place();
    for stale in
        ["tokenizer.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"]
    {
        fs::write(model.join(stale), "{}").unwrap();
    }
    let before = names(&model);
    refused(write(&model, false, &[]), &["isn't empty", "another", "--force"]);
    assert_eq!(names(&model), before);
    write(&model, true, &[]).unwrap();
    assert_eq!(names(&model), ["config.json"]);
    assert_eq!(names(dir.path()), ["model"]);
}

#[test]
fn nothing_but_a_model_is_replaced() {
    let (_dir, model) = place();
    for foreign in ["notes.txt", "features.safetensors", "captions.json"] {
        fs::write(model.join(foreign), "mine").unwrap();
        refused(write(&model, true, &[]), &[foreign, "choose another"]);
        fs::remove_file(model.join(foreign)).unwrap();
    }
    fs::create_dir(model.join("onnx")).unwrap();
    refused(write(&model, true, &[]), &["onnx", "choose another"]);
    fs::remove_dir(model.join("onnx")).unwrap();
    fs::remove_file(model.join("config.json")).unwrap();
    refused(write(&model, true, &[]), &["has none", "choose another"]);
    let file = model.join("model.safetensors");
    refused(write(&file, true, &[]), &["is a file"]);
    assert_eq!(names(&model), ["model.safetensors", "preprocessor_config.json"]);
}

#[test]
fn a_folder_that_is_has_or_lies_in_an_input_is_refused() {
    let (dir, model) = place();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let captions = data.join("captions.txt");
    fs::write(&captions, "a caption").unwrap();
    let inputs = [model.as_path(), &captions];
    for path in [model.clone(), model.join("../model"), dir.path().to_owned(), data.clone()] {
        refused(write(&path, true, &inputs), &["is an input", "choose another"]);
    }
    refused(write(&model.join("converted"), false, &inputs), &["belongs to the model"]);
    // A folder of data may have the result.
    write(&data.join("patched"), false, &[&model, &data]).unwrap();
    assert_eq!(fs::read(&captions).unwrap(), b"a caption");
}

#[test]
fn a_file_that_is_an_input_or_belongs_to_a_model_is_refused() {
    let (dir, model) = place();
    let texts = dir.path().join("texts.txt");
    fs::write(&texts, "a caption").unwrap();
    let inputs = [model.as_path(), &texts];
    let error = refuse_inputs(&texts, &inputs).unwrap_err().to_string();
    assert_eq!(error, format!("{}: this is an input; choose another output", texts.display()));
    let spelled = dir.path().join("model/../texts.txt");
    refused(refuse_inputs(&spelled, &inputs), &["model/../texts.txt: ", "/texts.txt is an input"]);
    refused(refuse_inputs(&model.join("features.safetensors"), &inputs), &["belongs to the model"]);
    refuse_inputs(&dir.path().join("features.safetensors"), &inputs).unwrap();
    // What isn't there yet can't be an input; the command reports it.
    refuse_inputs(&dir.path().join("a/b"), &[&dir.path().join("a/b")]).unwrap();
}

#[cfg(unix)]
#[test]
fn links_lead_to_what_they_are_links_to() {
    use std::os::unix::fs::symlink;
    let (dir, model) = place();
    let at = |name: &str| dir.path().join(name);
    let weights = model.join("model.safetensors");
    let inputs = [model.as_path()];
    fs::hard_link(&weights, at("hard")).unwrap();
    symlink(&weights, at("soft")).unwrap();
    symlink(&model, at("folder")).unwrap();
    refused(refuse_inputs(&at("hard"), &inputs), &["belongs to the model"]);
    refused(refuse_inputs(&at("soft"), &inputs), &["belongs to the model"]);
    refused(refuse_inputs(&at("hard"), &[&weights]), &["is an input"]);
    refused(write(&at("folder"), true, &inputs), &["is an input"]);

    // A model whose weights are a link to an input, as a hub's cache has them, is replaced, not written through.
    let bytes = fs::read(&weights).unwrap();
    let cached = at("cached");
    fs::create_dir(&cached).unwrap();
    fs::write(cached.join("config.json"), "{}").unwrap();
    symlink(&weights, cached.join("model.safetensors")).unwrap();
    write(&cached, true, &inputs).unwrap();
    assert_eq!(names(&cached), ["config.json"]);
    assert!(fs::read(&weights).unwrap() == bytes);
    // An input whose weights lie in the output is in danger.
    let linking = at("linking");
    fs::create_dir(&linking).unwrap();
    fs::write(linking.join("config.json"), "{}").unwrap();
    symlink(&weights, linking.join("model.safetensors")).unwrap();
    refused(write(&model, true, &[&linking]), &["belongs to the model", "linking"]);

    // A link to a folder, there or not yet, stays one.
    for (link, target) in [("to-old", "old"), ("to-new", "new")] {
        symlink(at(target), at(link)).unwrap();
    }
    fs::create_dir(at("old")).unwrap();
    fs::write(at("old").join("config.json"), "old").unwrap();
    for (link, target) in [("to-old", "old"), ("to-new", "new")] {
        write(&at(link), true, &[]).unwrap();
        assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink());
        assert_eq!(fs::read(at(target).join("config.json")).unwrap(), b"new");
    }
}
