//! Guards loading and converting: differences from the configuration are named, and converting keeps every number.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clove::model::ConfigError;
use clove::tokenizer::EotRule;
use clove::weights::{
    Directory, Dtype, Layout, ModelSource, Precision, Problem, TensorWriter, WeightsError,
    parameters,
};
use clove_tests::{
    assert_contains, convert, copy_folder, cpu, golden, json, model, set, shared, weights_file,
};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// Every tensor of a file.
fn read(file: &Path) -> Tensors {
    let bytes = fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let entry = |view: &TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    tensors.tensors().iter().map(|(name, view)| (name.clone(), entry(view))).collect()
}

fn write(file: &Path, tensors: &Tensors) {
    let entries: Vec<_> = tensors
        .iter()
        .map(|(name, (dtype, shape, _))| (name.clone(), *dtype, shape.clone()))
        .collect();
    let mut writer = TensorWriter::new(Vec::new(), &entries, None).unwrap();
    for (_, _, data) in tensors.values() {
        writer.write(data).unwrap();
    }
    fs::write(file, writer.finish().unwrap()).unwrap();
}

/// A copy of the golden Hugging Face directory to damage.
fn copy() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    copy_folder(&golden("tiny-clip/hf"), dir.path());
    let file = dir.path().join("model.safetensors");
    (dir, file)
}

/// Writes the configuration of such a copy, and gives the error of opening it.
fn refused_config(dir: &Path, config: &str) -> WeightsError {
    fs::write(dir.join("config.json"), config).unwrap();
    let error = ModelSource::open(Box::new(Directory(dir.to_owned()))).unwrap_err();
    assert!(matches!(error.problem, Problem::Config(_)), "{error}");
    error
}

/// The error of loading damaged tensors.
fn refused(damage: impl FnOnce(&mut Tensors)) -> WeightsError {
    let (dir, file) = copy();
    let mut tensors = read(&file);
    damage(&mut tensors);
    write(&file, &tensors);
    model(dir.path()).load(&cpu()).unwrap_err()
}

#[test]
fn a_missing_an_unused_and_a_misshapen_tensor_are_named() {
    let missing = refused(|tensors| {
        tensors.remove("visual_projection.weight");
        tensors.remove("logit_scale");
    });
    assert!(matches!(&missing.problem, Problem::Missing(tensors)
        if *tensors == ["logit_scale", "visual_projection.weight"]));
    assert!(missing.to_string().contains("model.safetensors: 2 tensors missing: logit_scale"));

    let unused = refused(|tensors| {
        let bias = tensors["vision_model.pre_layrnorm.bias"].clone();
        tensors.insert("vision_model.surprise".into(), bias);
    });
    assert!(matches!(&unused.problem, Problem::Unused(tensors)
        if *tensors == ["vision_model.surprise"]));

    let misshapen = refused(|tensors| {
        let (_, shape, _) = tensors.get_mut("text_projection.weight").unwrap();
        shape.reverse();
    });
    assert!(
        misshapen.to_string().contains("text_projection.weight [8, 12] instead of [12, 8]"),
        "{misshapen}"
    );

    let dtype = refused(|tensors| {
        let (dtype, _, _) = tensors.get_mut("text_projection.weight").unwrap();
        *dtype = Dtype::I16;
    });
    assert!(
        matches!(&dtype.problem, Problem::Dtype(tensor, _) if tensor == "text_projection.weight")
    );
}

#[test]
fn position_numbers_that_old_files_hold_are_no_surprise() {
    let (dir, file) = copy();
    let mut tensors = read(&file);
    let ids: Vec<u8> = (0..77_i64).flat_map(i64::to_le_bytes).collect();
    tensors.insert("text_model.embeddings.position_ids".into(), (Dtype::I64, vec![1, 77], ids));
    write(&file, &tensors);
    assert!(model(dir.path()).load(&cpu()).is_ok());
}

#[test]
fn damaged_files_are_named_with_what_is_wrong() {
    let (dir, file) = copy();
    let whole = fs::read(&file).unwrap();
    let error = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let error = model(dir.path()).weights().unwrap_err();
        assert!(matches!(error.problem, Problem::Malformed(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("model.safetensors"), "{text}");
        text
    };
    assert!(error(b"").contains("0 bytes"));
    assert!(error(b"1234567").contains("7 bytes"));
    assert!(error(&u64::MAX.to_le_bytes()).contains("announce a header of 18446744073709551615"));
    assert!(error(&[9, 0, 0, 0, 0, 0, 0, 0, b'{']).contains("truncated"));
    assert!(error(&whole[..whole.len() - 1]).contains("truncated"));
    assert!(error(&whole[..whole.len() / 2]).contains("truncated"));
    let mut longer = whole.clone();
    longer.push(0);
    assert!(error(&longer).contains("1 bytes more"));
    let mut noise = whole.clone();
    noise[8..40].fill(b'#');
    assert!(error(&noise).contains("header is wrong"));
    // A tensor that claims more elements than fit in memory.
    let header = br#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}"#;
    let mut absurd = (header.len() as u64).to_le_bytes().to_vec();
    absurd.extend_from_slice(header);
    absurd.extend_from_slice(&[0; 4]);
    assert!(error(&absurd).contains("header is wrong"));
    let text = "this is a text, not weights, and long enough to have a header's length";
    assert!(error(text.as_bytes()).contains("safetensors"));
}

#[test]
fn shards_load_as_one_model_and_a_missing_one_is_named() {
    let (dir, file) = copy();
    let tensors = read(&file);
    fs::remove_file(&file).unwrap();
    let mut map = BTreeMap::new();
    let mut shards = [Tensors::new(), Tensors::new()];
    for (index, (name, tensor)) in tensors.into_iter().enumerate() {
        let shard = index % 2;
        map.insert(name.clone(), format!("model-{shard}.safetensors"));
        shards[shard].insert(name, tensor);
    }
    for (shard, tensors) in shards.iter().enumerate() {
        write(&dir.path().join(format!("model-{shard}.safetensors")), tensors);
    }
    let index = dir.path().join("model.safetensors.index.json");
    fs::write(&index, json!({ "metadata": {}, "weight_map": map }).to_string()).unwrap();
    let source = model(dir.path());
    let mut sharded = source.weights().unwrap();
    let mut whole = model(&golden("tiny-clip/hf")).weights().unwrap();
    for (name, shape) in parameters(source.config()) {
        assert_eq!(sharded.bytes(&name, &shape).unwrap(), whole.bytes(&name, &shape).unwrap());
    }
    let name = map.keys().next().unwrap().clone();
    let mut wrong = map.clone();
    wrong.insert(name.clone(), "model-1.safetensors".into());
    fs::write(&index, json!({ "weight_map": wrong }).to_string()).unwrap();
    let refused = |part: &str| {
        assert_contains(&source.weights().unwrap_err().to_string(), &[part]);
    };
    refused(&name);
    fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
    fs::remove_file(dir.path().join("model-1.safetensors")).unwrap();
    refused("model-1.safetensors");
    fs::write(&index, r#"{"weight_map": {"a": "../../../etc/passwd"}}"#).unwrap();
    refused("isn't a file name");
}

#[test]
fn configurations_that_cannot_be_computed_are_refused_by_key() {
    let (dir, _) = copy();
    let config = json(&dir.path().join("config.json"));
    let error = |pointer: &str, value: Value| {
        let mut config = config.clone();
        *config.pointer_mut(pointer).unwrap() = value;
        refused_config(dir.path(), &config.to_string()).to_string()
    };
    let swish = error("/vision_config/hidden_act", json!("swish"));
    assert!(swish.contains("config.json: vision_config.hidden_act is \"swish\""), "{swish}");
    assert!(error("/model_type", json!("siglip")).contains("siglip"));
    assert!(error("/text_config/hidden_size", json!(-3)).contains("text_config.hidden_size"));
    assert!(error("/text_config/num_hidden_layers", json!(16_777_216)).contains("1024"));
    assert!(error("/text_config/num_attention_heads", json!(3)).contains("multiple"));
    assert!(error("/vision_config/patch_size", json!(7)).contains("patch size"));
    assert!(error("/text_config/max_position_embeddings", json!(1)).contains("context length"));
    let error = refused_config(dir.path(), "{");
    assert!(matches!(error.problem, Problem::Config(ConfigError::Json(_))));
}

#[test]
fn a_tokenizer_that_the_configuration_does_not_mean_is_refused() {
    let (dir, _) = copy();
    let path = dir.path().join("config.json");
    let config = json(&path);
    for (key, value) in [("vocab_size", 49_409), ("vocab_size", 400), ("eos_token_id", 49_406)] {
        let mut config = config.clone();
        config["text_config"][key] = json!(value);
        fs::write(&path, config.to_string()).unwrap();
        let error = model(dir.path()).tokenizer().unwrap_err().to_string();
        assert!(error.contains(&format!("{key} {value}")), "{error}");
    }
    // What OpenAI's published files say: transformers takes the 2 as "the largest id" and doesn't read the 0.
    let mut published = config;
    published["text_config"]["bos_token_id"] = json!(0);
    published["text_config"]["eos_token_id"] = json!(2);
    fs::write(&path, published.to_string()).unwrap();
    assert_eq!(model(dir.path()).config().text.eot, EotRule::Argmax);
    assert!(model(dir.path()).tokenizer().is_ok());
}

#[test]
fn an_open_clip_tower_of_another_kind_is_refused_by_key() {
    let base = json!({ "embed_dim": 8, "vision_cfg": { "width": 64 }, "text_cfg": {} });
    for (key, value) in [
        ("/vision_cfg/timm_model_name", json!("convnext_base")),
        ("/vision_cfg/layers", json!([3, 4, 6, 3])),
        ("/text_cfg/hf_model_name", json!("xlm-roberta-base")),
        ("/vision_cfg/pool_type", json!("avg")),
        ("/custom_text", json!(true)),
    ] {
        let mut config = base.clone();
        let (parent, leaf) = key.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[leaf] = value;
        let error = clove::model::ClipConfig::from_open_clip(&config.to_string()).unwrap_err();
        assert!(error.to_string().contains(leaf), "{error}");
    }
}

#[test]
fn hugging_face_to_open_clip_and_back_keeps_every_bit() {
    let mut models = vec![golden("tiny-clip")];
    models.extend(shared("golden/quickgelu-p16-64"));
    for folder in models {
        for start in ["hf", "open_clip"] {
            let source = model(&folder.join(start));
            let (first, second) = match source.layout() {
                Layout::HuggingFace => (Layout::OpenClip, Layout::HuggingFace),
                Layout::OpenClip => (Layout::HuggingFace, Layout::OpenClip),
            };
            let dir = tempfile::tempdir().unwrap();
            let (there, back) = (dir.path().join("there"), dir.path().join("back"));
            convert(&source, first, Precision::Unchanged, &there).unwrap();
            convert(&model(&there), second, Precision::Unchanged, &back).unwrap();
            let name = match second {
                Layout::HuggingFace => "model.safetensors",
                Layout::OpenClip => "open_clip_model.safetensors",
            };
            let original = read(&folder.join(start).join(name));
            assert_eq!(original, read(&back.join(name)), "{}", folder.display());
            for written in [&there, &back] {
                let (found, wanted) = (model(written), source.config());
                assert_eq!(found.config().image, wanted.image);
                assert_eq!(found.config().text.transformer, wanted.text.transformer);
            }
            // Each layout has its library's crop.
            let [here, there] = [&source, &model(&there)].map(|model| model.preprocess().unwrap());
            assert_ne!(here.center_crop(), there.center_crop());
            assert_eq!(there.with_center_crop(here.center_crop()), here);
        }
    }
}

#[test]
fn precision_is_what_was_asked_for() {
    let source = model(&golden("tiny-clip/open_clip"));
    let dir = tempfile::tempdir().unwrap();
    for (precision, dtype) in [(Precision::F32, Dtype::F32), (Precision::F16, Dtype::F16)] {
        convert(&source, Layout::HuggingFace, precision, dir.path()).unwrap();
        let tensors = read(&dir.path().join("model.safetensors"));
        assert!(tensors.values().all(|(found, _, _)| *found == dtype));
    }
    // PyTorch wrote the golden layouts in f16 and bf16, from numbers that both hold exactly.
    let hf = read(&golden("tiny-clip/hf/model.safetensors"));
    assert_eq!(read(&dir.path().join("model.safetensors")), hf);
}

/// An f32 model in a layout, with one element replaced.
fn spoiled(layout: Layout, tensor: &str, element: usize, value: f32) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    convert(&model(&golden("tiny-clip/hf")), layout, Precision::F32, dir.path()).unwrap();
    set(&weights_file(dir.path()), tensor, element, value);
    dir
}

#[test]
fn an_element_that_is_not_finite_is_named_wherever_it_is_read() {
    let name = "vision_model.encoder.layers.0.self_attn.k_proj.weight";
    let joined = "visual.transformer.resblocks.0.attn.in_proj_weight";
    for (layout, tensor) in [(Layout::HuggingFace, name), (Layout::OpenClip, joined)] {
        for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
            let dir = spoiled(layout, tensor, 7, value);
            let out = dir.path().join("out");
            for error in [
                model(dir.path()).load(&cpu()).unwrap_err(),
                convert(&model(dir.path()), layout, Precision::Unchanged, &out).unwrap_err(),
                convert(&model(dir.path()), layout, Precision::F16, &out).unwrap_err(),
            ] {
                let text = error.to_string();
                assert!(matches!(error.problem, Problem::NotFinite(..)), "{text}");
                assert_contains(&text, &["model.safetensors", tensor, shown]);
            }
            assert!(!out.exists());
        }
    }
    // An element of f16 may be infinite in the file, too.
    let half = refused(|tensors| {
        let (_, _, data) = tensors.get_mut("text_projection.weight").unwrap();
        data[2..4].copy_from_slice(&0xFC00_u16.to_le_bytes());
    });
    assert_contains(&half.to_string(), &["text_projection.weight", "-inf"]);
}

#[test]
fn an_element_that_f16_cannot_hold_is_named() {
    let dir = spoiled(Layout::HuggingFace, "visual_projection.weight", 3, 1e6);
    let out = dir.path().join("out");
    for layout in [Layout::HuggingFace, Layout::OpenClip] {
        let error = convert(&model(dir.path()), layout, Precision::F16, &out).unwrap_err();
        assert!(matches!(error.problem, Problem::TooLarge(..)), "{error}");
        assert_contains(
            &error.to_string(),
            &["visual_projection.weight", "1000000", "F16", "--dtype f32"],
        );
        assert!(!out.exists());
    }
    convert(&model(dir.path()), Layout::HuggingFace, Precision::F32, &out).unwrap();
}

#[test]
fn a_logit_scale_that_is_stored_exponentiated_is_refused() {
    // 14.3 is what training begins with: 1 / 0.07.
    for value in [14.285_714, 100.0, 1000.0, -100.0] {
        let dir = spoiled(Layout::HuggingFace, "logit_scale", 0, value);
        let error = model(dir.path()).weights().unwrap_err();
        assert!(matches!(error.problem, Problem::LogitScale(found) if found == value), "{error}");
        assert_contains(
            &error.to_string(),
            &["model.safetensors", "exponentiated", "ln(100) = 4.6"],
        );
    }
    let dir = spoiled(Layout::OpenClip, "logit_scale", 0, f32::NAN);
    assert!(model(dir.path()).weights().unwrap_err().to_string().contains("`logit_scale`"));
}
