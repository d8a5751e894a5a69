//! Guards models in one file, and the runs of the lab's page without a browser.

use std::fs;
use std::path::Path;

use clove::model::ClipConfig;
use clove::weights::{Precision, Snapshot};
use clove_data::run::{Companions, write_model_dir};
use clove_lab as lab;
use clove_tests::{assert_contains, companions, floats, random_open_clip};
use clove_web::lab::settings::{Loss, Negatives, Settings, Texts, limits};

use super::{Place, answer, clove, fail, line, path, refuse, run, succeed, succeeded};

/// A scene model as one file and as a directory.
fn written(dir: &Path, name: &str, model: &Snapshot) -> [String; 2] {
    let file = dir.join(format!("{name}.safetensors"));
    let Companions { preprocess, tokenizer } = companions();
    let bytes = model
        .write_single_file(Vec::new(), Precision::F32, &preprocess, tokenizer.clone())
        .unwrap();
    fs::write(&file, bytes).unwrap();
    let folder = dir.join(name);
    let companions = Companions { preprocess, tokenizer };
    write_model_dir(&folder, model, &companions, Precision::F32).unwrap();
    [path(&file).to_owned(), path(&folder).to_owned()]
}

#[test]
fn a_model_in_one_file_is_taken_for_its_directory() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let [before, before_dir] = written(dir, "before", &lab::pretrained().unwrap());
    let [after, after_dir] = written(dir, "after", &lab::finetuned().unwrap());
    let picture = dir.join("picture.png");
    let scene = &clove_scenes::suite::twins(
        clove_scenes::Kind::SwapAttribute,
        clove_scenes::Split::Test,
        0,
        0,
    );
    let drawn = clove_scenes::draw(&scene.scenes[0], 48, &mut scene.drawing[0].clone());
    image::save_buffer(&picture, &drawn.rgb, 48, 48, image::ColorType::Rgb8).unwrap();
    let [caption, wrong] = &scene.captions;
    let score = |model: &str| -> Vec<f64> {
        let json = answer(&line(
            "score --model _ --image _ --caption _ --caption _ --device cpu",
            &[model, path(&picture), caption, wrong],
        ));
        let scores = json["captions"].as_array().unwrap();
        let each = scores.iter().map(|one| one["similarity"].as_f64().unwrap());
        each.collect()
    };
    assert_eq!(score(&before), score(&before_dir));
    assert_ne!(score(&before), score(&after));
    let patch = |pretrained: &str, finetuned: &str, out: &str| {
        let out = path(&dir.join(out)).to_owned();
        run(
            "patch --pretrained _ --finetuned _ --alpha 0.5 --out _ --device cpu",
            &[pretrained, finetuned, &out],
        );
        out
    };
    let patched = patch(&before, &after, "patched");
    let patched_dir = patch(&before_dir, &after_dir, "patched-dir");
    assert_eq!(score(&patched), score(&patched_dir));
    // Both forms can be combined.
    assert_eq!(score(&patch(&before_dir, &after, "mixed")), score(&patched));
    let (weights, texts) = (dir.join("before/model.safetensors"), dir.join("texts"));
    fs::write(&texts, "a red circle\n").unwrap();
    let alone = fail(&["tokenize", "--model", path(&weights), "--texts", path(&texts)]);
    assert!(alone.contains("weights alone"), "{alone}");
}

#[test]
fn open_clips_weights_alone_are_a_model_and_what_was_assumed_is_said() {
    let place = Place::new();
    let config = r#"{"embed_dim": 8, "quick_gelu": true,
        "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 64, "layers": 1},
        "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}}"#;
    let dir = place.out("model");
    let weights = random_open_clip(&dir, &ClipConfig::from_open_clip(config).unwrap());
    let [named, unnamed] = ["mine-quickgelu.safetensors", "mine.safetensors"].map(|n| place.out(n));
    for file in [&named, &unnamed] {
        fs::copy(&weights, file).unwrap();
    }
    let features = |model: &Path| {
        let out = place.out("features.safetensors");
        let words = "embed --model _ --out _ --device cpu --images _";
        let args = line(words, &[path(model), path(&out), &place.picture]);
        let (_, stderr) = succeeded(&clove(&args));
        (floats(&out, "image_features"), stderr)
    };
    let (alone, said) = features(&named);
    let (whole, silent) = features(&dir);
    assert!(alone == whole);
    let assumed = said.lines().filter(|line| line.contains("mine-quickgelu.safetensors has no"));
    let assumed: Vec<&str> = assumed.collect();
    assert_eq!(assumed.len(), 1, "{said}");
    assert_contains(assumed[0], &["16 pixels", "1 and 1 heads", "quick_gelu"]);
    assert!(!silent.contains("assumed"), "{silent}");
    let words = "preprocess --model _ --out _ --images _";
    let error = refuse(words, &[path(&unnamed), path(&place.out("pixels")), &place.picture]);
    assert_contains(
        &error,
        &["mine.safetensors: ", "add -gelu or -quickgelu", "open_clip_config.json"],
    );
}

#[test]
fn every_run_of_the_labs_page_is_one_of_clove_train() {
    let temporary = tempfile::tempdir().unwrap();
    let usual = Settings {
        learning_rate: 0.002,
        image_rate: *limits::IMAGE_RATE.start(),
        scenes: 12,
        steps: 3,
        batch: 4,
        seed: *limits::SEED.end(),
        ..Settings::default()
    };
    for (texts, text_name) in [(Texts::Captions, "captions"), (Texts::Alt, "alt-common")] {
        for (negatives, style) in [
            (Negatives::None, "none"),
            (Negatives::Swap, "negclip"),
            (Negatives::Replace, "replace"),
            (Negatives::Mixed, "mixed"),
        ] {
            for (loss, loss_name) in
                [(Loss::Clip, "clip"), (Loss::Clove, "clove"), (Loss::Fsc, "fsc")]
            {
                let settings = Settings { texts, negatives, loss, ..usual };
                let settings = settings.sound();
                let file = temporary.path().join("lab.toml");
                fs::write(&file, settings.to_toml()).unwrap();
                let said = succeed(&["train", path(&file), "--dry-run", "--device", "cpu"]);
                let none = texts == Texts::Alt || loss == Loss::Clip;
                let style = if none { "none" } else { style };
                for part in [
                    "12 scenes per epoch, the same in every epoch".to_owned(),
                    format!("texts = \"{text_name}\""),
                    format!("style = \"{style}\""),
                    format!("kind = \"{loss_name}\""),
                    "learning_rate = 0.002".to_owned(),
                    "image_rate = 0.001".to_owned(),
                    "seed = 9223372036854775807".to_owned(),
                    "steps = 3".to_owned(),
                    "batch = 4".to_owned(),
                ] {
                    assert!(said.contains(&part), "{part} is missing: {said}");
                }
            }
        }
    }
}
