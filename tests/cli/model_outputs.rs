//! Guards the models that `convert`, `patch` and `train` write: whole, finite, with their own files, and never over anything else.

use std::fs;
use std::path::{Path, PathBuf};

use clove::tokenizer::Tokenizer;
use clove::weights::{Layout, Precision, SMALL_FILES, Snapshot};
use clove_tests::{
    assert_contains, convert, copy_folder, cut_context, floats, golden, json, model, set,
    weights_file,
};
use serde_json::json;

use super::eval::file;
use super::train::{Job, folder, pictures};
use super::{Place, path, refuse, run};

const CONVERT: &str = "convert --model _ --to _ --out _";
const PATCH: &str = "patch --pretrained _ --finetuned _ --alpha 0.5 --out _";

/// An f32 copy of the golden model.
fn copy(place: &Place, name: &str) -> PathBuf {
    let dir = place.out(name);
    convert(&model(&golden("tiny-clip/hf")), Layout::HuggingFace, Precision::F32, &dir).unwrap();
    dir
}

#[test]
fn a_folder_with_another_model_is_refused_and_replaced_with_force() {
    let place = Place::new();
    let old = copy(&place, "old");
    fs::write(old.join("tokenizer.json"), "{}").unwrap();
    let out = path(&old);
    for error in [
        refuse(CONVERT, &[&place.model, "open-clip", out]),
        refuse(PATCH, &[&place.model, &place.model, out]),
    ] {
        assert_contains(&error, &["old: this folder isn't empty", "--force"]);
    }
    assert!(old.join("tokenizer.json").exists());
    run(&format!("{PATCH} --force"), &[&place.model, &place.model, out]);
    // With the old tokenizer.json the ids couldn't be read.
    let texts = place.file("texts.txt", b"a caption\n");
    run("tokenize --model _ --texts _", &[out, &texts]);
    // No file of the other layout stays, which would be read instead.
    run(&format!("{CONVERT} --force"), &[&place.model, "open-clip", out]);
    assert_eq!(model(&old).layout(), Layout::OpenClip);
    assert!(!old.join("config.json").exists() && !old.join("model.safetensors").exists());

    let notes = old.join("notes.txt");
    fs::write(&notes, "mine").unwrap();
    let error = refuse(&format!("{CONVERT} --force"), &[&place.model, "open-clip", out]);
    assert_contains(&error, &["notes.txt", "choose another"]);
    assert_eq!(fs::read(&notes).unwrap(), b"mine");
}

#[test]
fn no_model_is_written_over_what_the_command_reads() {
    let place = Place::new();
    let data = place.out("data");
    copy_folder(&golden("evaluate/images"), &data);
    fs::copy(golden("evaluate/cola.json"), data.join("cola.json")).unwrap();
    let cola = data.join("cola.json");
    let sweep = "patch --pretrained _ --finetuned _ --sweep 0:1:1 --select cola --data _ --images _ --out _ --device cpu --force";
    for out in [path(&data), path(&cola)] {
        let error = refuse(sweep, &[&place.model, &place.model, path(&cola), path(&data), out]);
        assert!(error.contains("is an input"), "{error}");
    }
    assert!(cola.is_file());
    // A model in one file lies in the folder.
    let models = copy(&place, "models");
    let single = models.join("single.safetensors");
    let source = model(&models);
    let mut weights = source.weights().unwrap();
    let snapshot = Snapshot::from_parameters(source.config(), &mut weights).unwrap();
    let preprocess = source.preprocess().unwrap();
    let bytes = snapshot.write_single_file(Vec::new(), Precision::F32, &preprocess, None);
    fs::write(&single, bytes.unwrap()).unwrap();
    for force in ["", " --force"] {
        let words = format!("{CONVERT}{force}");
        let error = refuse(&words, &[path(&single), "hugging-face", path(&models)]);
        assert!(error.contains("single.safetensors is an input"), "{error}");
    }
}

#[test]
fn numbers_that_are_not_finite_end_every_command() {
    let place = Place::new();
    let score = "score --model _ --image _ --caption x --device cpu";
    for (value, part) in [(100.0, "ln(100) = 4.6"), (1000.0, "exponentiated"), (f32::NAN, "NaN")] {
        let scaled = copy(&place, "scaled");
        set(&weights_file(&scaled), "logit_scale", 0, value);
        let (scaled, out) = (path(&scaled), place.out("out"));
        for error in [
            refuse(score, &[scaled, &place.picture]),
            refuse(CONVERT, &[scaled, "hugging-face", path(&out)]),
            refuse(PATCH, &[&place.model, scaled, path(&out)]),
        ] {
            assert_contains(&error, &["model.safetensors", "logit_scale", part]);
        }
        assert!(!out.exists());
    }
    let large = copy(&place, "large");
    let tensor = "text_projection.weight";
    set(&weights_file(&large), tensor, 0, 1e6);
    let out = place.out("out");
    for words in [CONVERT, "convert --model _ --to _ --dtype f16 --out _"] {
        let to = if words == CONVERT { "web" } else { "open-clip" };
        let error = refuse(words, &[path(&large), to, path(&out)]);
        assert_contains(&error, &[tensor, "1000000", "--dtype f32"]);
        assert!(!out.exists());
    }
    set(&weights_file(&large), tensor, 0, f32::NAN);
    for error in [
        refuse(PATCH, &[&place.model, path(&large), path(&out)]),
        refuse(score, &[path(&large), &place.picture]),
    ] {
        assert_contains(&error, &["large", tensor, "NaN"]);
    }
    assert!(!out.exists());
}

#[test]
fn a_model_with_a_cut_context_is_patched_into_its_base() {
    let place = Place::new();
    let tuned = copy(&place, "tuned");
    cut_context(&tuned, 24);
    let (data, images) = (file("cola.json"), file("images"));
    let patched = place.out("patched");
    run(PATCH, &[&place.model, path(&tuned), path(&patched)]);
    let swept = place.out("swept");
    run(
        "patch --pretrained _ --finetuned _ --sweep 0:1:0.5 --select cola --data _ --images _ --out _ --device cpu",
        &[&place.model, path(&tuned), &data, &images, path(&swept)],
    );
    for dir in [&patched, &swept] {
        assert_eq!(model(dir).config().text.context_length, 77);
    }
    assert_eq!(json(&swept.join("sweep.json"))["points"].as_array().unwrap().len(), 3);
}

/// transformers 5's `CLIPProcessor.save_pretrained` writes processor_config.json alone, its tokenizer vocab.json and merges.txt before.
#[test]
fn preprocessing_and_tokenizer_of_every_form_reach_every_model_that_is_written() {
    let place = Place::new();
    let start = copy(&place, "start");
    let old = start.join("preprocessor_config.json");
    let mut settings = json(&old);
    (settings["image_mean"], settings["image_std"]) =
        (json!([0.5, 0.5, 0.5]), json!([0.5, 0.5, 0.5]));
    let nested = json!({"image_processor": settings, "processor_class": "CLIPProcessor"});
    fs::write(start.join("processor_config.json"), nested.to_string()).unwrap();
    fs::remove_file(&old).unwrap();
    let vocabulary = json!({
        "a": 0, "b": 1, "a</w>": 3, "b</w>": 4, "ab": 8, "ab</w>": 9, "<|startoftext|>": 49406, "<|endoftext|>": 49407,
    });
    fs::write(start.join("vocab.json"), vocabulary.to_string()).unwrap();
    fs::write(start.join("merges.txt"), "#version: 0.2\na b\na b</w>\n").unwrap();

    let pixels = |model: &Path| {
        let out = place.out("pixels.safetensors");
        run("preprocess --model _ --images _ --out _", &[path(model), &place.picture, path(&out)]);
        floats(&out, "pixel_values").0
    };
    let wanted = pixels(&start);
    // 0 becomes -1 and 255 becomes 1.
    assert!(wanted.iter().all(|value| (-1.0..=1.0).contains(value)));
    let texts = place.file("texts.txt", b"ab a\n");
    let pictures = pictures(&place, 2, 0);
    let body = format!(
        "[model]\ninit = {:?}\n{}[negatives]\nstyle = \"none\"\n[train]\nsteps = 1\nbatch = 2\n",
        path(&start),
        folder(&pictures)
    );
    let job = Job::new(&place, "run", &body);
    job.train(&[]);
    let [patched, converted, web] = ["patched", "converted", "web"].map(|name| place.out(name));
    run(PATCH, &[path(&start), path(&start), path(&patched)]);
    run(CONVERT, &[path(&start), "open-clip", path(&converted)]);
    run(CONVERT, &[path(&start), "web", path(&web)]);
    let trained = ["model", "patched"].map(|name| job.out.join(name));
    for dir in trained.iter().chain([&patched, &converted, &web]) {
        assert_eq!(pixels(dir), wanted, "{}", dir.display());
        let ids = run("tokenize --model _ --texts _ --json", &[path(dir), &texts]);
        assert!(ids.contains("[49406,9,3,49407]"), "{}: {ids}", dir.display());
    }
    assert_ne!(Tokenizer::clip(77).encode("ab a").ids[..4], [49_406, 9, 3, 49_407]);
}

#[test]
fn a_folder_above_a_model_names_it() {
    let place = Place::new();
    copy_folder(&golden("tiny-clip/hf"), &place.out("saved/0_CLIPModel"));
    let error = refuse(
        "score --model _ --image _ --caption x --device cpu",
        &[path(&place.out("saved")), &place.picture],
    );
    assert_contains(&error, &["saved: no model", "saved/0_CLIPModel"]);
}

#[test]
fn the_page_asks_for_every_file_that_a_model_may_have() {
    let asked = clove_web::hub::candidates();
    for name in SMALL_FILES {
        assert!(asked.contains(&name), "{name}");
    }
}
