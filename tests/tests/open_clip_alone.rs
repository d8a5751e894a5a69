//! Guards open_clip's weights in a file alone: what their shapes and their name tell is the configuration, and nothing else is guessed.

use std::fs;
use std::path::Path;

use clove::model::{Activation, ClipConfig};
use clove::weights::{Layout, ModelSource, Precision, Problem, SingleFile, WeightsError};
use clove_tests::{assert_contains, convert, copy_folder, golden, model, random_open_clip};
use serde_json::{Value, json};

/// A model of each ratio and depth: heads of 64, but for the width.
fn config(vision: &Value, text: &Value, quick_gelu: bool) -> ClipConfig {
    let model =
        json!({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text, "quick_gelu": quick_gelu});
    ClipConfig::from_open_clip(&model.to_string()).unwrap()
}

fn open(file: &Path) -> Result<ModelSource, WeightsError> {
    let file = SingleFile::open(file.to_str().unwrap(), file.to_owned())?;
    ModelSource::open(Box::new(file))
}

#[test]
fn the_configuration_of_weights_alone_is_the_one_that_they_had() {
    let place = tempfile::tempdir().unwrap();
    let vision = json!({"image_size": 12, "patch_size": 4, "width": 64, "layers": 2});
    let other =
        json!({"image_size": 6, "patch_size": 3, "width": 128, "layers": 1, "mlp_ratio": 1.5});
    // ViT-H's width has heads of 80.
    let wide = json!({"image_size": 2, "patch_size": 2, "width": 1280, "head_width": 80, "layers": 1, "mlp_ratio": 0.1});
    let text = json!({"context_length": 9, "vocab_size": 40, "width": 64, "heads": 1, "layers": 3});
    let deep = json!({"context_length": 5, "vocab_size": 10, "width": 192, "heads": 3, "layers": 1, "mlp_ratio": 2.0});
    for (number, (vision, text)) in
        [(&vision, &text), (&other, &deep), (&wide, &text)].into_iter().enumerate()
    {
        for (name, quick_gelu) in [("mine-quickgelu", true), ("CLIP-laion2B-b79K", false)] {
            let config = config(vision, text, quick_gelu);
            let dir = place.path().join(format!("{name}-{number}"));
            let weights = random_open_clip(&dir, &config);
            let file = place.path().join(format!("{name}.safetensors"));
            fs::rename(&weights, &file).unwrap();
            let source = open(&file).unwrap();
            assert_eq!(source.config(), &config, "{name}");
            source.weights().unwrap();
            let assumed = source.assumed().unwrap();
            let heads = [config.image.transformer.heads, config.text.transformer.heads];
            let heads = format!("{} and {} heads", heads[0], heads[1]);
            let activation = config.image.transformer.activation.name();
            assert_contains(&assumed, &[file.to_str().unwrap(), &heads, activation]);
            // What is written from it has a configuration.
            let out = place.path().join("out");
            convert(&source, Layout::OpenClip, Precision::Unchanged, &out).unwrap();
            assert_eq!(model(&out).config(), &config);
            assert_eq!(model(&out).assumed(), None);
            fs::remove_dir_all(out).unwrap();
        }
    }
}

#[test]
fn a_configuration_beside_the_weights_is_read() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("model");
    copy_folder(&golden("tiny-clip/open_clip"), &dir);
    let from_folder = model(&dir);
    let source = open(&dir.join("open_clip_model.safetensors")).unwrap();
    assert_eq!(source.config(), from_folder.config());
    assert_eq!(source.assumed(), None);
    // It decides, whatever the name says.
    let named = dir.join("renamed-quickgelu.safetensors");
    fs::rename(dir.join("open_clip_model.safetensors"), &named).unwrap();
    let read = open(&named).unwrap();
    assert_eq!(read.config().image.transformer.activation, Activation::Gelu);
    read.weights().unwrap();
    assert!(read.preprocess().unwrap() == from_folder.preprocess().unwrap());
}

#[test]
fn what_is_not_in_the_weights_is_refused_with_the_remedy() {
    let place = tempfile::tempdir().unwrap();
    let vision = json!({"image_size": 4, "patch_size": 2, "width": 64, "layers": 1});
    let odd = json!({"image_size": 4, "patch_size": 2, "width": 48, "head_width": 16, "layers": 1});
    let text = json!({"context_length": 9, "vocab_size": 40, "width": 64, "heads": 1, "layers": 1});
    let narrow =
        json!({"context_length": 9, "vocab_size": 40, "width": 32, "heads": 4, "layers": 1});
    for (number, (vision, text, name, problem)) in [
        (&vision, &text, "mine", "GELU or QuickGELU"),
        (&odd, &text, "mine-gelu", "the image tower's width, 48"),
        (&vision, &narrow, "mine-gelu", "the text tower's width, 32"),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = place.path().join(number.to_string());
        let weights = random_open_clip(&dir, &config(vision, text, true));
        let file = place.path().join(format!("{name}.safetensors"));
        fs::rename(&weights, &file).unwrap();
        let error = open(&file).unwrap_err();
        assert!(matches!(error.problem, Problem::NotAModel(_)));
        let parts = [file.to_str().unwrap(), problem, "open_clip_config.json beside the file"];
        assert_contains(&error.to_string(), &parts);
        // With its configuration it's a model.
        fs::rename(dir.join("open_clip_config.json"), place.path().join("open_clip_config.json"))
            .unwrap();
        open(&file).unwrap().weights().unwrap();
        fs::remove_file(place.path().join("open_clip_config.json")).unwrap();
    }
    // Weights in Hugging Face's layout have a folder.
    let error = open(&golden("tiny-clip/hf/model.safetensors")).unwrap_err().to_string();
    assert_contains(&error, &["weights alone", "use the model's directory"]);
}
