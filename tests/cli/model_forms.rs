//! Guards every command on every form of a model: Hugging Face's directory, the same with its weights in shards, open_clip's directory,
//! and a single file.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use clove_tests::{floats, golden, worst};
use safetensors::{SafeTensors, serialize};
use serde_json::{Value, json};

use super::eval::{TRIALS, file};
use super::train::{Job, folder, pictures};
use super::{CPU, Place, answer, line, path, program, run, succeed, succeeded};

/// The small files beside the weights.
const SMALL: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// The same model in each form, and whether the form is Hugging Face's.
fn forms(place: &Place) -> [(String, bool); 4] {
    let hf = golden("tiny-clip/hf");
    let bytes = fs::read(hf.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();

    let shards = place.out("shards");
    fs::create_dir(&shards).unwrap();
    let mut places: HashMap<&str, &str> = HashMap::new();
    let (first, second) = tensors.split_at(tensors.len() / 2);
    for (name, part) in
        [("model-00001-of-00002.safetensors", first), ("model-00002-of-00002.safetensors", second)]
    {
        let views = part.iter().map(|(tensor, view)| (tensor, view));
        fs::write(shards.join(name), serialize(views, None).unwrap()).unwrap();
        places.extend(part.iter().map(|(tensor, _)| (tensor.as_str(), name)));
    }
    let index = json!({"metadata": {}, "weight_map": places}).to_string();
    fs::write(shards.join("model.safetensors.index.json"), index).unwrap();
    for name in SMALL {
        fs::copy(hf.join(name), shards.join(name)).unwrap();
    }

    let small = SMALL.map(|name| (name.to_owned(), fs::read_to_string(hf.join(name)).unwrap()));
    let views = tensors.iter().map(|(tensor, view)| (tensor, view));
    let single = serialize(views, Some(small.into())).unwrap();
    [
        (path(&hf).to_owned(), true),
        (path(&shards).to_owned(), true),
        (place.file("single.safetensors", &single), true),
        (path(&golden("tiny-clip/open_clip")).to_owned(), false),
    ]
}

/// The similarities that a model gives three captions.
fn score(place: &Place, model: &str) -> Vec<f32> {
    let words = "score --model _ --image _ --caption a --caption _ --caption _ --device cpu";
    let scores = answer(&line(words, &[model, &place.picture, "a red square", "a blue circle"]));
    let captions = scores["captions"].as_array().unwrap().iter();
    captions.map(|caption| caption["similarity"].as_f64().unwrap() as f32).collect()
}

/// A report without what differs between two evaluations.
fn eval(place: &Place, model: &str, args: &[&str]) -> Value {
    let mut command = program(&["eval", "--model", model, "--device", "cpu", "--json"]);
    command.args(args).env("CLOVE_CACHE", place.out("cache"));
    let mut report: Value = serde_json::from_str(&succeeded(&command.output().unwrap()).0).unwrap();
    for key in ["model", "embedded", "known", "seconds"] {
        report.as_object_mut().unwrap().remove(key).unwrap();
    }
    report
}

#[test]
fn every_command_that_reads_takes_every_form() {
    let place = Place::new();
    let (texts, images) = place.inputs();
    let mut wanted: Option<Vec<Value>> = None;
    for (form, is_hf) in forms(&place) {
        let [features, pixels] = ["features", "pixels"].map(|name| place.out(name));
        let with_images = |words: &str, values: &[&str]| {
            let images = images.iter().map(String::as_str);
            succeed(&line(words, values).into_iter().chain(images).collect::<Vec<_>>())
        };
        with_images(
            "embed --model _ --texts _ --out _ --device cpu --images",
            &[&form, &texts, path(&features)],
        );
        with_images("preprocess --model _ --out _ --images", &[&form, path(&pixels)]);
        let ids = run("tokenize --model _ --texts _ --json", &[&form, &texts]);
        let made = answer(&line(
            "score --model _ --image _ --caption _ --negatives 2 --device cpu",
            &[&form, &place.picture, "a blue circle to the left of a square"],
        ));
        let mut found = vec![json!(score(&place, &form)), json!(ids), made["captions"].clone()];
        for (file, tensor) in [
            (&features, "image_features"),
            (&features, "text_features"),
            (&features, "logit_scale"),
            (&pixels, "pixel_values"),
        ] {
            found.push(json!(floats(file, tensor).0));
        }
        // Scenes have no files; `scenes.rs` has them.
        let images = file("images");
        let trials = TRIALS.map(|(suite, data)| (suite, file(data)));
        let others = [("retrieval", file("karpathy.json")), ("zero-shot", file("classes"))];
        for (suite, data) in trials.into_iter().chain(others) {
            let mut args = vec!["--suite", suite, "--data", &data];
            if suite != "zero-shot" {
                args.extend(["--images", &images]);
            }
            if suite == "retrieval" {
                args.extend(["--split", "test"]);
            }
            found.push(eval(&place, &form, &args));
        }
        match &wanted {
            None => wanted = Some(found),
            Some(wanted) if is_hf => assert_eq!(&found, wanted, "{form}"),
            // Another library prepares the pixels, so only the rows are the same.
            Some(wanted) => {
                assert_eq!(found.len(), wanted.len());
                assert_eq!(found[1], wanted[1]);
            }
        }
    }
}

#[test]
fn every_command_that_writes_takes_every_form() {
    let place = Place::new();
    let pictures = pictures(&place, 4, 0);
    let (data, images) = (file("cola.json"), file("images"));
    let wanted = score(&place, &place.model);
    let same = |model: &Path| {
        let found = score(&place, path(model));
        assert!(worst(&found, &wanted).0 <= CPU, "{}: {found:?} {wanted:?}", model.display());
    };
    let mut losses = None;
    for (number, (form, is_hf)) in forms(&place).into_iter().enumerate() {
        let out = |name: &str| place.out(&format!("{name}-{number}"));
        for layout in ["hugging-face", "open-clip", "web"] {
            let out = out(layout);
            run("convert --model _ --to _ --out _", &[&form, layout, path(&out)]);
            same(&out);
        }
        let patched = out("patched");
        run(
            "patch --pretrained _ --finetuned _ --alpha 0.5 --out _",
            &[&form, &form, path(&patched)],
        );
        same(&patched);
        let swept = out("swept");
        run(
            "patch --pretrained _ --finetuned _ --sweep 0:1:1 --select cola --data _ --images _ --out _ --device cpu",
            &[&form, &form, &data, &images, path(&swept)],
        );
        same(&swept);
        let inspected = run(
            "data inspect --kind folder --path _ --model _ --out _ --json",
            &[path(&pictures), &form, path(&out("page.html"))],
        );
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        assert_eq!(inspected["captions"]["context"], 77);

        let body = format!(
            "[model]\ninit = {form:?}\n{}[negatives]\nstyle = \"none\"\n[train]\nsteps = 2\nbatch = 2\n",
            folder(&pictures)
        );
        let job = Job::new(&place, &format!("run-{number}"), &body);
        job.train(&[]);
        for model in ["model", "patched"] {
            score(&place, path(&job.out.join(model)));
        }
        // The same weights and pixels give the same run.
        let found = job.losses();
        assert!(found.iter().all(|loss| loss.is_finite()));
        match &losses {
            None => losses = Some(found),
            Some(losses) if is_hf => assert_eq!(&found, losses, "{form}"),
            Some(_) => {}
        }
    }
}
