//! Guards training: losses, gradients and the model after five steps equal PyTorch's, on the CPU and on a GPU.
//! The recorded run is that of the shared golden model.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use clove::device::DeviceChoice;
use clove::device::read_back;
use clove::loss::contrastive;
use clove::model::TextBatch;
use clove::preprocess::{CropBox, RgbImage, crop_resize};
use clove::tokenizer::Encoding;
use clove::train::{Batch, Crop, Picture, Pixels, Schedule, TrainConfig, Trainer};
use clove::weights::parameters;
use clove_lab as lab;
use clove_tests::{devices, floats, golden, model, shared};
use serde_json::Value;

/// f32 sums in another order than PyTorch's, relative: for scalars, and for tensors by norm of the difference over norm.
const RELATIVE: f32 = 1e-3;

struct Recorded {
    expected: Value,
    batch: Batch,
    /// Those of the batch, and two more.
    captions: Vec<Encoding>,
}

fn recorded(folder: &Path) -> Recorded {
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let tokenizer = model(&folder.join("hf")).tokenizer().unwrap();
    let encode = |key: &str, count: usize| -> Vec<Encoding> {
        let texts = expected[key].as_array().unwrap();
        let texts: Vec<&str> = texts.iter().map(|text| text.as_str().unwrap()).collect();
        tokenizer.encode_batch(&texts[..count])
    };
    let (pixels, _) = floats(&folder.join("expected.safetensors"), "pixel_values");
    let batch = Batch {
        pixels: pixels.clone().into(),
        texts: encode("captions", 6),
        negatives: encode("negative_captions", 6).into_iter().map(|text| vec![text]).collect(),
    };
    Recorded { captions: encode("captions", 8), expected, batch }
}

fn config() -> TrainConfig {
    // The recorded learning rates rise from 2e-4 to 1e-3 in five steps.
    TrainConfig {
        schedule: Schedule { peak: 1e-3, warmup: 5, steps: 100 },
        ..TrainConfig::new(100)
    }
}

fn relative(got: f32, wanted: f64) -> f64 {
    (f64::from(got) - wanted).abs() / wanted.abs()
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn difference(got: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(got.len(), wanted.len());
    norm(got.iter().zip(wanted).map(|(a, b)| a - b)) / norm(wanted.iter().copied())
}

/// open_clip's name of one of our parameters, and whether it's stored the other way round.
fn open_clip_name(parameter: &str) -> (String, bool) {
    let name = parameter
        .replace("attention.qkv.", "attn.in_proj_")
        .replace("attention.out.", "attn.out_proj.")
        .replace("mlp.up.", "mlp.c_fc.")
        .replace("mlp.down.", "mlp.c_proj.")
        .replace(".norm_", ".ln_")
        .replace("blocks.", "transformer.resblocks.")
        .replace("patch_embedding", "conv1.weight")
        .replace("position_embedding", "positional_embedding")
        .replace("pre_norm", "ln_pre")
        .replace("post_norm", "ln_post")
        .replace("final_norm", "ln_final")
        .replace("image.projection", "image.proj")
        .replace("text.projection", "text.text_projection")
        .replace("image.", "visual.");
    let name = name.strip_prefix("text.").unwrap_or(&name).to_owned();
    (name, parameter.ends_with("projection"))
}

#[test]
fn the_first_gradients_equal_pytorchs() {
    let Some(folder) = shared("golden/quickgelu-p16-64") else {
        return;
    };
    let Recorded { batch, .. } = recorded(&folder);
    let file = folder.join("training.safetensors");
    let source = model(&folder.join("open_clip"));
    for (device_name, device) in devices() {
        let clip = source.load(&device).unwrap();
        let trainer = Trainer::new(clip, source.config().clone(), config(), &device);
        let (_, gradients) = pollster::block_on(trainer.gradients(&batch)).unwrap();
        let mut worst = (0.0, String::new());
        for (parameter, shape) in parameters(source.config()) {
            let gradient = gradients.get(&parameter);
            let gradient = gradient.unwrap_or_else(|| panic!("no gradient for {parameter}"));
            // Too large to be recorded; its effect is in the features after five steps.
            if parameter == "text.token_embedding" {
                continue;
            }
            let got = pollster::block_on(read_back(gradient)).unwrap();
            let (name, transposed) = open_clip_name(&parameter);
            let (mut wanted, _) = floats(&file, &format!("grad.{name}"));
            if transposed {
                let (rows, columns) = (shape[0], shape[1]);
                wanted = (0..rows * columns)
                    .map(|place| wanted[place % columns * rows + place / columns])
                    .collect();
            }
            // The bias of the keys has no gradient but rounding: it shifts all scores of a query alike.
            let (got, wanted) = if name.ends_with("in_proj_bias") {
                let third = got.len() / 3;
                let keep = |values: &[f32]| [&values[..third], &values[2 * third..]].concat();
                (keep(&got), keep(&wanted))
            } else {
                (got, wanted)
            };
            let difference = difference(&got, &wanted);
            assert!(
                difference <= f64::from(RELATIVE),
                "{device_name}: {parameter} differs by {difference:e}"
            );
            if difference > worst.0 {
                worst = (difference, parameter);
            }
        }
        println!("{device_name}: worst gradient {} by {:e}", worst.1, worst.0);
    }
}

#[test]
fn five_recorded_steps_are_repeated() {
    let Some(folder) = shared("golden/quickgelu-p16-64") else {
        return;
    };
    let Recorded { expected, batch, captions } = recorded(&folder);
    let source = model(&folder.join("open_clip"));
    for (device_name, device) in devices() {
        let clip = source.load(&device).unwrap();
        let mut trainer = Trainer::new(clip, source.config().clone(), config(), &device);
        for recorded in expected["steps"].as_array().unwrap() {
            let report = pollster::block_on(trainer.step(&batch)).unwrap();
            println!("{device_name}: {report:?}");
            for (key, got) in [
                ("loss", report.loss),
                ("grad_norm", report.grad_norm),
                ("logit_scale", report.logit_scale),
            ] {
                let wanted = recorded[key].as_f64().unwrap();
                assert!(
                    relative(got, wanted) <= f64::from(RELATIVE),
                    "{device_name}, step {}: {key} is {got} instead of {wanted}",
                    report.step
                );
            }
            let rate = recorded["lr"].as_f64().unwrap();
            assert!((report.learning_rate - rate).abs() < 1e-12);
        }
        let clip = trainer.model();
        let file = folder.join("training.safetensors");
        let Pixels::Ready(pixels) = &batch.pixels else {
            panic!("the batch has pixels");
        };
        let data = TensorData::new(pixels.clone(), [6, 3, 64, 64]);
        let images = clip.embed_images(Tensor::from_data(data, &device));
        let images = pollster::block_on(read_back(images)).unwrap();
        let moved = difference(&images, &floats(&file, "image_features_after").0);
        println!("{device_name}: image features after five steps differ by {moved:e}");
        assert!(moved <= f64::from(RELATIVE));
        let texts = TextBatch::new(&captions, &source.config().text, &device);
        let texts = pollster::block_on(read_back(clip.embed_texts(texts))).unwrap();
        let moved = difference(&texts, &floats(&file, "text_features_after").0);
        println!("{device_name}: text features after five steps differ by {moved:e}");
        assert!(moved <= f64::from(RELATIVE));
    }
}

#[test]
fn without_negatives_the_loss_is_clips_and_by_hand_it_is_the_formula() {
    let (_, device) = devices().remove(0);
    let tensor = |rows: [[f32; 2]; 2]| Tensor::<2>::from_data(rows, &device);
    let images = tensor([[1.0, 0.0], [0.0, 1.0]]);
    let texts = tensor([[0.6, 0.8], [0.0, 1.0]]);
    let negatives = tensor([[0.8, 0.6], [1.0, 0.0]]);
    let scale = Tensor::<1>::from_data([2.0_f32.ln()], &device);
    let value = |loss| pollster::block_on(read_back(loss)).unwrap()[0];
    let cross_entropy = |logits: &[f32], label: usize| {
        let sum: f32 = logits.iter().map(|logit| (2.0 * logit).exp()).sum();
        sum.ln() - 2.0 * logits[label]
    };
    let to_images = (cross_entropy(&[0.6, 0.8], 0) + cross_entropy(&[0.0, 1.0], 1)) / 2.0;
    let plain = (cross_entropy(&[0.6, 0.0], 0) + cross_entropy(&[0.8, 1.0], 1)) / 2.0;
    let wide =
        (cross_entropy(&[0.6, 0.0, 0.8, 1.0], 0) + cross_entropy(&[0.8, 1.0, 0.6, 0.0], 1)) / 2.0;
    let got = value(contrastive(images.clone(), texts.clone(), None, scale.clone()));
    assert!((got - (plain + to_images) / 2.0).abs() < 1e-6, "{got}");
    let got = value(contrastive(images, texts, Some(negatives), scale));
    assert!((got - (wide + to_images) / 2.0).abs() < 1e-6, "{got}");
}

#[test]
fn texts_of_mixed_length_give_the_loss_of_one_batch() {
    let device = clove::device::open(DeviceChoice::Cpu).unwrap().device;
    let tokenizer = lab::tokenizer().unwrap();
    let config = lab::config(&tokenizer);
    let clip = config.init(1, &device);
    let short = ["circle", "square", "star", "a blue ring", "cross"];
    let long = "a large striped red circle is to the left of a small dotted green square, which is above a plain blue \
                star, and there is a yellow ring inside a large purple cross at the bottom of the picture";
    let texts: Vec<&str> = short.iter().copied().chain([long]).collect();
    let encodings = tokenizer.encode_batch(&texts);
    assert!(
        TextBatch::tokens(&encodings[5], &config.text)
            >= 2 * TextBatch::tokens(&encodings[0], &config.text),
        "the batch is worth splitting"
    );
    let side = config.image.image_size;
    let pixels: Vec<f32> =
        (0..4 * 3 * side * side).map(|place| (place % 251) as f32 / 125.0 - 1.0).collect();
    let batch = Batch {
        pixels: pixels.clone().into(),
        texts: encodings[..4].to_vec(),
        negatives: vec![vec![encodings[5].clone()], vec![], vec![encodings[4].clone()], vec![]],
    };
    let trainer = Trainer::new(clip.clone(), config.clone(), TrainConfig::new(1), &device);
    let (found, _) = pollster::block_on(trainer.gradients(&batch)).unwrap();

    let all: Vec<Encoding> = [0, 1, 2, 3, 5, 4].map(|text| encodings[text].clone()).to_vec();
    let embedded = clip.embed_texts(TextBatch::new(&all, &config.text, &device));
    let images =
        clip.embed_images(Tensor::from_data(TensorData::new(pixels, [4, 3, side, side]), &device));
    let whole = contrastive(
        images,
        embedded.clone().narrow(0, 0, 4),
        Some(embedded.narrow(0, 4, 2)),
        clip.logit_scale.val(),
    );
    let whole = pollster::block_on(read_back(whole)).unwrap()[0];
    assert!((found - whole).abs() < 1e-5, "{found} {whole}");
}

#[test]
fn photos_that_the_device_crops_teach_what_their_pixels_do() {
    let source = model(&golden("tiny-clip/hf"));
    let config = source.config().clone();
    let tokenizer = source.tokenizer().unwrap();
    let preprocess = source.preprocess().unwrap();
    let size = preprocess.size();
    let photo = |number: u32| {
        let bytes = |x: u32, y: u32| [x * 7 + number, y * 5, x * y + 3 * number].map(|v| v as u8);
        RgbImage::from_fn(90 + 9 * number, 120 - 7 * number, |x, y| bytes(x, y).into())
    };
    let part = |number: u32| CropBox { x: 3 + number, y: 2, width: 70 + number, height: 60 };
    let on_host = |number: u32| {
        let cropped = crop_resize(&photo(number), part(number), size).unwrap();
        preprocess.normalise(&cropped)
    };
    let pictures = (0..5).map(|number| match number {
        // Some are ready already, not the last ones alone.
        1 | 3 => Picture::Ready(on_host(number)),
        _ => Picture::Crop(Crop::new(photo(number), part(number)).unwrap()),
    });
    let texts = ["a", "a red square", "two circles", "a star", "a cross"];
    let batch = |pixels: Pixels| Batch {
        pixels,
        texts: tokenizer.encode_batch(&texts),
        negatives: Vec::new(),
    };
    let crops = batch(Pixels::Pictures(pictures.collect(), preprocess.clone()));
    let ready = batch((0..5).flat_map(on_host).collect::<Vec<f32>>().into());
    assert!(Crop::new(photo(0), CropBox::whole(91, 9)).is_err());
    for (device_name, device) in devices() {
        let clip = source.load(&device).unwrap();
        for micro_batch in [0, 2] {
            let settings = TrainConfig { micro_batch, ..TrainConfig::new(1) };
            let trainer = Trainer::new(clip.clone(), config.clone(), settings, &device);
            let loss = |batch: &Batch| pollster::block_on(trainer.gradients(batch)).unwrap().0;
            let (found, expected) = (loss(&crops), loss(&ready));
            println!("{device_name}, {micro_batch} at a time: {found} and {expected}");
            assert!((found - expected).abs() <= 1e-6 * expected);
        }
    }
}
