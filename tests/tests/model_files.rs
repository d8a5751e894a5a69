//! Guards the small files of a model, in every form that libraries write them, and what is said where they can't be read.

use std::fs;
use std::path::{Path, PathBuf};

use clove::model::ClipConfig;
use clove::preprocess::OPENAI_MEAN;
use clove::tokenizer::Tokenizer;
use clove::weights::{Directory, Layout, ModelSource, Precision};
use clove_tests::{assert_contains, convert, copy_folder, cpu, golden, json, model};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A copy of the golden Hugging Face directory.
fn copy() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("model");
    copy_folder(&golden("tiny-clip/hf"), &copy);
    (dir, copy)
}

fn edit(file: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = json(file);
    edit(&mut value);
    fs::write(file, value.to_string()).unwrap();
}

fn refused(dir: &Path) -> String {
    let found = ModelSource::open(Box::new(Directory(dir.to_owned())));
    found.expect_err("no model to open").to_string()
}

/// transformers reads the settings in processor_config.json first (src/transformers/image_processing_base.py,
/// `get_image_processor_dict`: "Priority goes as (nested config if found -> image processor config)").
#[test]
fn preprocessing_is_read_in_transformers_order_and_goes_along() {
    let (dir, place) = copy();
    let (old, new) = (place.join("preprocessor_config.json"), place.join("processor_config.json"));
    let mut settings = json(&old);
    let mean = |dir: &Path| model(dir).preprocess().unwrap().mean();
    assert_eq!(mean(&place), OPENAI_MEAN);
    // Before version 5 processor_config.json had no settings.
    fs::write(&new, r#"{"processor_class": "CLIPProcessor"}"#).unwrap();
    assert_eq!(mean(&place), OPENAI_MEAN);
    settings["image_mean"] = json!([0.5, 0.5, 0.5]);
    settings["image_std"] = json!([0.5, 0.5, 0.5]);
    let nested = json!({"image_processor": settings, "processor_class": "CLIPProcessor"});
    fs::write(&new, nested.to_string()).unwrap();
    assert_eq!(mean(&place), [0.5; 3]);
    fs::remove_file(&old).unwrap();
    assert_eq!(mean(&place), [0.5; 3]);
    assert!(model(&place).has_preprocess().unwrap());
    for layout in [Layout::HuggingFace, Layout::OpenClip] {
        let out = dir.path().join(layout.to_string());
        convert(&model(&place), layout, Precision::Unchanged, &out).unwrap();
        assert_eq!(mean(&out), [0.5; 3], "{layout}");
        assert_eq!(out.join("processor_config.json").exists(), layout == Layout::HuggingFace);
    }
    fs::remove_file(&new).unwrap();
    assert!(!model(&place).has_preprocess().unwrap());
    assert_eq!(mean(&place), OPENAI_MEAN);
}

/// A vocabulary of few letters, with CLIP's ids of start and end of text.
const VOCABULARY: &str = r#"{"a": 0, "b": 1, "c": 2, "a</w>": 3, "b</w>": 4, "c</w>": 5, "ab": 8, "ab</w>": 9,
    "<|startoftext|>": 49406, "<|endoftext|>": 49407}"#;
const MERGES: &str = "#version: 0.2\na b\na b</w>\n";

#[test]
fn a_tokenizer_in_several_files_is_used_and_goes_along() {
    let (dir, place) = copy();
    let ids = |dir: &Path, text: &str| {
        let encoding = model(dir).tokenizer().unwrap().encode(text);
        encoding.ids[..=encoding.end].to_vec()
    };
    fs::write(place.join("vocab.json"), VOCABULARY).unwrap();
    let missing = model(&place).tokenizer().unwrap_err().to_string();
    assert_contains(&missing, &["vocab.json", "no merges.txt"]);
    fs::write(place.join("merges.txt"), MERGES).unwrap();
    assert_eq!(ids(&place, "AB cab"), [49_406, 9, 2, 9, 49_407]);

    fs::write(place.join("added_tokens.json"), r#"{"<Cat-Toy>": 49408}"#).unwrap();
    let too_many = model(&place).tokenizer().unwrap_err().to_string();
    assert_contains(&too_many, &["vocab.json: 49409 entries", "vocab_size 49408"]);
    edit(&place.join("config.json"), |config| config["text_config"]["vocab_size"] = json!(49_409));
    // tokenizers cleans such a token like the text (`normalized`).
    assert_eq!(ids(&place, "a <CAT-TOY>b"), [49_406, 3, 49_408, 4, 49_407]);
    let text = model(&place).tokenizer_json().unwrap().unwrap();
    let as_one = Tokenizer::from_json(text.as_bytes(), 77).unwrap();
    assert_eq!(
        as_one.encode("cab <cat-toy>"),
        model(&place).tokenizer().unwrap().encode("cab <cat-toy>")
    );

    fs::remove_file(place.join("added_tokens.json")).unwrap();
    edit(&place.join("config.json"), |config| config["text_config"]["vocab_size"] = json!(49_408));
    let out = dir.path().join("open_clip");
    convert(&model(&place), Layout::OpenClip, Precision::Unchanged, &out).unwrap();
    assert_eq!(ids(&out, "AB cab"), [49_406, 9, 2, 9, 49_407]);
}

#[test]
fn only_the_models_own_files_go_along() {
    let (dir, place) = copy();
    for name in ["README.md", "LICENSE", "special_tokens_map.json"] {
        fs::write(place.join(name), "{}").unwrap();
    }
    // Of other weights, of another layout, and of the user.
    for name in ["manifest.json", "sweep.json", "open_clip_config.json", "notes.txt"] {
        fs::write(place.join(name), "{}").unwrap();
    }
    let out = dir.path().join("out");
    convert(&model(&place), Layout::HuggingFace, Precision::F32, &out).unwrap();
    let mut found: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "LICENSE",
            "README.md",
            "config.json",
            "model.safetensors",
            "preprocessor_config.json",
            "special_tokens_map.json"
        ]
    );
}

#[test]
fn a_git_lfs_pointer_says_how_to_get_the_file() {
    let (_dir, place) = copy();
    let pointer =
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 605247071\n";
    fs::write(place.join("tokenizer.json"), pointer).unwrap();
    let error = model(&place).tokenizer().unwrap_err().to_string();
    assert_contains(&error, &["tokenizer.json", "git lfs pull"]);
    fs::write(place.join("model.safetensors"), pointer).unwrap();
    let error = model(&place).weights().unwrap_err().to_string();
    assert_contains(&error, &["model.safetensors", "git lfs pull"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let (_dir, place) = copy();
    let plain = model(&place);
    for name in ["config.json", "preprocessor_config.json"] {
        let text = fs::read_to_string(place.join(name)).unwrap();
        fs::write(place.join(name), format!("\u{FEFF}{text}")).unwrap();
    }
    let marked = model(&place);
    assert_eq!(marked.config(), plain.config());
    assert_eq!(marked.preprocess().unwrap().mean(), OPENAI_MEAN);
    fs::write(place.join("vocab.json"), format!("\u{FEFF}{VOCABULARY}")).unwrap();
    fs::write(place.join("merges.txt"), format!("\u{FEFF}{MERGES}")).unwrap();
    assert_eq!(model(&place).tokenizer().unwrap().encode("ab").ids[1], 9);
}

#[test]
fn a_folder_above_a_model_names_the_models_folder() {
    let dir = tempfile::tempdir().unwrap();
    let model = golden("tiny-clip/hf");
    // A hub's cache, and what sentence-transformers writes.
    let snapshot = dir.path().join("hub/models--openai--clip/snapshots/3d74acf");
    let part = dir.path().join("sentence/0_CLIPModel");
    copy_folder(&model, &snapshot);
    copy_folder(&model, &part);
    fs::write(dir.path().join("sentence/modules.json"), "[]").unwrap();
    for (place, below) in
        [("hub", &snapshot), ("hub/models--openai--clip", &snapshot), ("sentence", &part)]
    {
        let error = refused(&dir.path().join(place));
        assert_contains(&error, &["neither config.json", below.to_str().unwrap()]);
    }
    let empty = refused(&dir.path().join("hub/models--openai--clip/snapshots/3d74acf/none"));
    assert!(!empty.contains("below"), "{empty}");
}

/// huggingface/transformers: src/transformers/models/clip/modeling_clip.py, `CLIPModel.__init__`, reads the outer value alone.
#[test]
fn the_towers_own_projection_width_is_not_read() {
    let (_dir, place) = copy();
    edit(&place.join("config.json"), |config| {
        config["text_config"]["projection_dim"] = json!(640);
        config["vision_config"]["projection_dim"] = json!(99);
    });
    assert!(model(&place).load(&cpu()).is_ok());
}

/// mlfoundations/open_clip: src/open_clip/model.py, `CLIPVisionCfg` and `CLIPTextCfg`.
#[test]
fn an_open_clip_configuration_may_state_its_defaults() {
    let read = |config: &Value| ClipConfig::from_open_clip(&config.to_string());
    let plain = json!({
        "embed_dim": 64,
        "vision_cfg": {"image_size": 32, "width": 64, "patch_size": 16},
        "text_cfg": {"width": 64},
    });
    let wanted = read(&plain).unwrap();
    let mut stated = plain.clone();
    stated["vision_cfg"] = json!({
        "image_size": [32, 32], "width": 64, "patch_size": [16, 16], "pool_type": "tok", "pos_embed_type": "learnable",
        "attn_pooler_queries": 256, "attn_pooler_heads": 8, "timm_pool": "avg", "timm_proj": "linear", "timm_drop": 0.0,
        "ls_init_value": null, "no_ln_pre": false, "act_kwargs": {}, "norm_kwargs": null,
    });
    stated["text_cfg"] = json!({
        "width": 64, "pool_type": "argmax", "proj_type": "linear", "pad_id": 0, "no_causal_mask": false,
        "hf_model_pretrained": true, "hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler", "tokenizer_kwargs": {},
    });
    assert_eq!(read(&stated).unwrap(), wanted);
    for (section, key, value) in [
        ("vision_cfg", "pool_type", json!("avg")),
        ("vision_cfg", "pos_embed_type", json!("sin_cos_2d")),
        ("vision_cfg", "patch_size", json!([16, 14])),
        ("vision_cfg", "norm_kwargs", json!({"eps": 1e-6})),
        ("text_cfg", "pool_type", json!("last")),
        ("text_cfg", "proj_type", json!("none")),
        ("text_cfg", "pad_id", json!(1)),
        ("text_cfg", "tokenizer_kwargs", json!({"clean": "canonicalize"})),
    ] {
        let mut other = stated.clone();
        other[section][key] = value;
        let error = read(&other).unwrap_err().to_string();
        assert!(error.contains(&format!("{section}.{key} is ")), "{error}");
    }
    // RN50x4 (src/open_clip/model_configs/RN50x4.json).
    let resnet = json!({
        "embed_dim": 640,
        "vision_cfg": {"image_size": 288, "layers": [4, 6, 10, 6], "width": 80, "patch_size": null},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 640, "heads": 10, "layers": 12},
    });
    assert_contains(&read(&resnet).unwrap_err().to_string(), &["vision_cfg.layers", "ResNet"]);
}

#[test]
fn preprocessing_that_cannot_be_read_names_its_file_and_key() {
    let (_dir, place) = copy();
    let name = "processor_config.json";
    fs::write(place.join(name), r#"{"image_processor": {"do_pad": true}}"#).unwrap();
    let error = model(&place).preprocess().unwrap_err().to_string();
    assert_contains(&error, &[name, "image_processor.do_pad is true"]);
    fs::write(place.join(name), r#"{"image_processor": {"size": 48, "crop_size": 48}}"#).unwrap();
    let error = model(&place).preprocess().unwrap_err().to_string();
    assert_contains(&error, &[name, "48 pixels", "image size 32"]);
}
