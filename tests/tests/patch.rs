//! Guards patching: alphas 0 and 1 give the models themselves, alphas between follow the formula, and mismatched models are refused.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use clove::model::{Clip, Parameters};
use clove::patch::{Delta, Pair, PatchError, patch_to};
use clove::weights::{Layout, OutputDir, Precision, Snapshot, parameters};
use clove_tests::{
    assert_contains, convert, cpu, cut_context, devices, floats, golden, json, model, set, wait,
    weights_file,
};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use tempfile::TempDir;

/// Two models of f32 that differ in every number, in one layout.
fn pair(layout: Layout) -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (left, right) = (dir.path().join("pretrained"), dir.path().join("finetuned"));
    for place in [&left, &right] {
        convert(&model(&golden("tiny-clip/hf")), layout, Precision::F32, place).unwrap();
    }
    let file = weights_file(&right);
    let mut bytes = fs::read(&file).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    for (index, word) in bytes[header..].as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let noise = ((index * 2_654_435_761) % 1000) as f32 / 1000.0 + 0.001;
        *word = (f32::from_le_bytes(*word) * 1.25 + noise).to_le_bytes();
    }
    fs::write(&file, bytes).unwrap();
    (dir, left, right)
}

fn patch(left: &Path, right: &Path, alpha: f64, out: &Path) -> Result<(), PatchError> {
    let out = OutputDir::claim(out, true, &[left, right])?;
    patch_to(&model(left), &model(right), alpha, &out, &mut |_, _| ())?;
    Ok(out.commit()?)
}

#[test]
fn the_ends_are_the_models_bit_for_bit() {
    for layout in [Layout::HuggingFace, Layout::OpenClip] {
        let (dir, left, right) = pair(layout);
        let out = dir.path().join("patched");
        patch(&left, &right, 0.0, &out).unwrap();
        assert!(fs::read(weights_file(&out)).unwrap() == fs::read(weights_file(&left)).unwrap());
        patch(&left, &right, 1.0, &out).unwrap();
        assert!(fs::read(weights_file(&out)).unwrap() == fs::read(weights_file(&right)).unwrap());
        assert_eq!(model(&out).preprocess().unwrap(), model(&left).preprocess().unwrap());
    }
}

#[test]
fn between_them_stands_the_formula_in_f32() {
    let (dir, left, right) = pair(Layout::HuggingFace);
    let out = dir.path().join("patched");
    patch(&left, &right, 0.6, &out).unwrap();
    for tensor in
        ["text_model.embeddings.token_embedding.weight", "logit_scale", "visual_projection.weight"]
    {
        let [pretrained, finetuned, patched] =
            [&left, &right, &out].map(|dir| floats(&weights_file(dir), tensor).0);
        for ((p, f), patched) in pretrained.iter().zip(&finetuned).zip(&patched) {
            let expected = 0.4_f32 * p + 0.6_f32 * f;
            assert!(p != f && *patched == expected, "{tensor}: {patched} instead of {expected}");
        }
    }
}

#[test]
fn models_of_different_precision_meet_in_f32() {
    let (dir, _, right) = pair(Layout::HuggingFace);
    let out = dir.path().join("patched");
    patch(&golden("tiny-clip/hf"), &right, 1.0, &out).unwrap();
    let name = "text_projection.weight";
    assert_eq!(floats(&weights_file(&out), name), floats(&weights_file(&right), name));
}

#[test]
fn a_model_and_a_packed_difference_make_every_model_between() {
    /// Rounding of a difference in f16, and of a sum in f32.
    const HALF: f32 = 1.0 / 2048.0;
    const ROUNDED: f32 = 1e-6;
    let (_dir, left, right) = pair(Layout::HuggingFace);
    let config = model(&left).config().clone();
    for (name, device) in devices() {
        let pretrained = model(&left).load(&device).unwrap();
        let snapshot = |clip: &Clip| wait(Snapshot::of(clip, &config));
        let read = |dir: &Path| model(dir).weights().unwrap();
        let delta = Delta::between([&config; 2], read(&left), read(&right), &device).unwrap();
        let sizes =
            parameters(&config).into_iter().map(|(_, shape)| shape.iter().product::<usize>());
        let words: usize = sizes.map(|size| size.div_ceil(2)).sum();
        assert_eq!(delta.bytes(), 4 * words, "half a model");
        let mut before = snapshot(&pretrained);
        let mut after = Snapshot::from_parameters(&config, &mut read(&right)).unwrap();
        assert!(snapshot(&delta.apply(&pretrained, 0.0)) == before, "alpha 0");
        for alpha in [0.3, 1.0] {
            let mut patched = snapshot(&delta.apply(&pretrained, alpha));
            let mut expected = before.patched(&after, alpha);
            for (parameter, shape) in parameters(&config) {
                let [got, wanted, base, tuned] =
                    [&mut patched, &mut expected, &mut before, &mut after]
                        .map(|model| model.values(&parameter, &shape).unwrap());
                let mut moved = 0.0_f32;
                for at in 0..got.len() {
                    let difference = (tuned[at] - base[at]).abs();
                    moved = moved.max(difference);
                    let allowed = HALF * difference + ROUNDED * wanted[at].abs() + 6e-8;
                    assert!(
                        (got[at] - wanted[at]).abs() <= allowed,
                        "{name}, alpha {alpha}, {parameter} {at}: {} {}",
                        got[at],
                        wanted[at]
                    );
                }
                assert!(moved > 0.0, "{parameter} differs between the models");
            }
        }
    }
}

#[test]
fn models_that_are_too_far_apart_for_f16_are_refused_by_tensor() {
    struct Constant(f32);
    impl Parameters for Constant {
        type Error = Infallible;
        fn values(&mut self, _name: &str, shape: &[usize]) -> Result<Vec<f32>, Infallible> {
            Ok(vec![self.0; shape.iter().product()])
        }
    }
    let source = model(&golden("tiny-clip/hf"));
    let error = Delta::between([source.config(); 2], Constant(0.0), Constant(1e5), &cpu());
    let error = error.unwrap_err();
    assert_contains(&error.to_string(), &["100000", "`image."]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (dir, left, right) = pair(Layout::HuggingFace);
    let out = dir.path().join("patched");
    for alpha in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(patch(&left, &right, alpha, &out), Err(PatchError::Alpha(_))));
    }
    let error = patch(&left, &right, 0.5, &right).unwrap_err().to_string();
    assert_contains(&error, &["finetuned: this is an input", "choose another"]);
    let open_clip = dir.path().join("open_clip");
    convert(&model(&right), Layout::OpenClip, Precision::Unchanged, &open_clip).unwrap();
    assert!(matches!(patch(&left, &open_clip, 0.5, &out), Err(PatchError::Layouts { .. })));

    // A common error: weights trained with one activation, loaded with the other.
    let file = right.join("config.json");
    let mut config = json(&file);
    config["vision_config"]["hidden_act"] = json!("quick_gelu");
    fs::write(&file, config.to_string()).unwrap();
    let error = patch(&left, &right, 0.5, &out).unwrap_err();
    assert!(error.to_string().contains("image activation: gelu, quick_gelu"), "{error}");
    assert!(!out.exists());
}

#[test]
fn of_different_contexts_the_common_positions_are_interpolated() {
    const TENSOR: &str = "text_model.embeddings.position_embedding.weight";
    for (cut_left, cut_right) in [(77, 24), (24, 77)] {
        let (dir, left, right) = pair(Layout::HuggingFace);
        cut_context(&left, cut_left);
        cut_context(&right, cut_right);
        let out = dir.path().join("patched");
        for alpha in [0.0, 0.6, 1.0] {
            patch(&left, &right, alpha, &out).unwrap();
            assert_eq!(model(&out).config(), model(&left).config());
            let [(base, shape), (tuned, _), (patched, _)] =
                [&left, &right, &out].map(|dir| floats(&weights_file(dir), TENSOR));
            let common = 24 * shape[1];
            let expected = base.iter().enumerate().map(|(at, base)| {
                if at >= common || alpha == 0.0 {
                    *base
                } else if alpha == 1.0 {
                    tuned[at]
                } else {
                    0.4_f32 * base + 0.6_f32 * tuned[at]
                }
            });
            assert_eq!(patched, expected.collect::<Vec<_>>(), "{cut_left} {cut_right} {alpha}");
            // The sweep's weights are those of the file.
            let (pretrained, finetuned) = (model(&left), model(&right));
            let mut both = Pair::open(&pretrained, &finetuned).unwrap();
            let mut swept = both.at(alpha).unwrap();
            let swept = Snapshot::from_parameters(pretrained.config(), &mut swept).unwrap();
            let source = model(&out);
            let written =
                Snapshot::from_parameters(source.config(), &mut source.weights().unwrap());
            assert!(swept == written.unwrap());
        }
        // The page's slider over alpha.
        let (pretrained, finetuned, cpu) = (model(&left), model(&right), cpu());
        let configs = [pretrained.config(), finetuned.config()];
        let weights = [&pretrained, &finetuned].map(|source| source.weights().unwrap());
        let [before, after] = weights;
        let delta = Delta::between(configs, before, after, &cpu).unwrap();
        let clip = delta.apply(&pretrained.load(&cpu).unwrap(), 1.0);
        let mut slid = wait(Snapshot::of(&clip, configs[0]));
        let (base, shape) = floats(&weights_file(&left), TENSOR);
        let (tuned, _) = floats(&weights_file(&right), TENSOR);
        let slid = slid.values("text.position_embedding", &shape).unwrap();
        for (at, value) in slid.iter().enumerate() {
            let expected = if at < 24 * shape[1] { tuned[at] } else { base[at] };
            // Rounding of a difference in f16; none of the others.
            let allowed = (expected - base[at]).abs() / 2048.0;
            assert!((value - expected).abs() <= allowed + 1e-6 * expected.abs(), "{at}: {value}");
        }
    }
}

#[test]
fn an_element_that_is_not_finite_is_named_with_its_model() {
    for (spoils_left, alpha) in [(true, 0.5), (false, 0.5), (true, 1.0), (false, 0.0)] {
        let (dir, left, right) = pair(Layout::HuggingFace);
        let (spoiled, name) =
            if spoils_left { (&left, "pretrained") } else { (&right, "finetuned") };
        set(&weights_file(spoiled), "text_projection.weight", 5, f32::NAN);
        let out = dir.path().join("patched");
        let error = patch(&left, &right, alpha, &out).unwrap_err().to_string();
        assert_contains(&error, &[name, "text_projection.weight", "NaN"]);
        assert!(!out.exists());
    }
}

/// transformers before 4.31 saved this constant beside the weights, and OpenAI's files on the hub still have it.
#[test]
fn a_constant_that_one_model_has_is_no_difference() {
    let (dir, left, right) = pair(Layout::HuggingFace);
    let name = "text_model.embeddings.position_ids";
    let bytes = fs::read(weights_file(&left)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let ids: Vec<u8> = (0..77_i64).flat_map(i64::to_le_bytes).collect();
    let view = TensorView::new(Dtype::I64, vec![1, 77], &ids).unwrap();
    let all = tensors.tensors().into_iter().chain([(name.to_owned(), view)]);
    fs::write(weights_file(&left), safetensors::serialize(all, None).unwrap()).unwrap();
    let out = dir.path().join("patched");
    for (one, other, has_it) in [(&left, &right, true), (&right, &left, false)] {
        patch(one, other, 0.5, &out).unwrap();
        let bytes = fs::read(weights_file(&out)).unwrap();
        let found =
            SafeTensors::deserialize(&bytes).unwrap().tensor(name).map(|ids| ids.data().to_vec());
        assert_eq!(found.ok(), has_it.then(|| ids.clone()));
    }
}
