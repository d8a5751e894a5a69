//! Guards training: losses, gradients and the model after five steps equal PyTorch's, on the CPU and on a GPU.
//! The recorded run is that of the shared golden model.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use clove::loss::{Mask, contrastive};
use clove::model::TextBatch;
use clove::preprocess::{CropBox, RgbImage, crop_resize};
use clove::tokenizer::Encoding;
use clove::train::{Batch, Crop, Picture, Pixels, Schedule, TrainConfig, Trainer};
use clove::weights::parameters;
use clove_lab as lab;
use clove_tests::training::gradients;
use clove_tests::{
    cpu, devices, floats, golden, json, model, read, relative, shared, strings, wait,
};
use serde_json::Value;

/// f32 sums in another order than PyTorch's, relative: for scalars, and for tensors by norm of the difference over norm.
const RELATIVE: f64 = 1e-3;

struct Recorded {
    expected: Value,
    batch: Batch,
    /// The captions of the batch, and two more.
    captions: Vec<Encoding>,
}

fn recorded(folder: &Path) -> Recorded {
    let expected = json(&folder.join("expected.json"));
    let tokenizer = model(&folder.join("hf")).tokenizer().unwrap();
    let encode = |key: &str, count: usize| -> Vec<Encoding> {
        tokenizer.encode_batch(&strings(&expected[key])[..count])
    };
    let (pixels, _) = floats(&folder.join("expected.safetensors"), "pixel_values");
    let batch = Batch {
        pixels: pixels.into(),
        texts: encode("captions", 6),
        negatives: encode("negative_captions", 6).into_iter().map(|text| vec![text]).collect(),
        ..Batch::default()
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
    let Some(folder) = shared("golden/quickgelu-p16-64") else { return };
    let Recorded { batch, .. } = recorded(&folder);
    let file = folder.join("training.safetensors");
    let source = model(&folder.join("open_clip"));
    for (device_name, device) in devices() {
        let clip = source.load(&device).unwrap();
        let trainer = Trainer::new(clip, source.config().clone(), config(), &device);
        let (_, gradients) = gradients(&trainer, &batch);
        let mut worst = (0.0, String::new());
        for (parameter, shape) in parameters(source.config()) {
            let got = gradients.get(&parameter);
            let got = got.unwrap_or_else(|| panic!("no gradient for {parameter}"));
            // Too large to be recorded; the features after five steps depend on it.
            if parameter == "text.token_embedding" {
                continue;
            }
            let (name, transposed) = open_clip_name(&parameter);
            let (mut wanted, _) = floats(&file, &format!("grad.{name}"));
            if transposed {
                let (rows, columns) = (shape[0], shape[1]);
                wanted = (0..rows * columns)
                    .map(|place| wanted[place % columns * rows + place / columns])
                    .collect();
            }
            // The gradient of the keys' bias is rounding only, because the bias shifts all scores of a query alike.
            let difference = if name.ends_with("in_proj_bias") {
                let third = got.len() / 3;
                let keep = |values: &[f32]| [&values[..third], &values[2 * third..]].concat();
                relative(&keep(got), &keep(&wanted))
            } else {
                relative(got, &wanted)
            };
            assert!(difference <= RELATIVE, "{device_name}: {parameter} differs by {difference:e}");
            if difference > worst.0 {
                worst = (difference, parameter);
            }
        }
        println!("{device_name}: worst gradient {} by {:e}", worst.1, worst.0);
    }
}

#[test]
fn five_recorded_steps_are_repeated() {
    let Some(folder) = shared("golden/quickgelu-p16-64") else { return };
    let Recorded { expected, batch, captions } = recorded(&folder);
    let source = model(&folder.join("open_clip"));
    for (device_name, device) in devices() {
        let clip = source.load(&device).unwrap();
        let mut trainer = Trainer::new(clip, source.config().clone(), config(), &device);
        for recorded in expected["steps"].as_array().unwrap() {
            let report = wait(trainer.step(&batch));
            println!("{device_name}: {report:?}");
            for (key, got) in [
                ("loss", report.loss),
                ("grad_norm", report.grad_norm),
                ("logit_scale", report.logit_scale),
            ] {
                let wanted = recorded[key].as_f64().unwrap();
                assert!(
                    relative(&[got], &[wanted]) <= RELATIVE,
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
        let texts = TextBatch::new(&captions, &source.config().text, &device);
        for (what, found) in [("image", images), ("text", clip.embed_texts(texts))] {
            let wanted = floats(&file, &format!("{what}_features_after")).0;
            let moved = relative(&read(found), &wanted);
            println!("{device_name}: {what} features after five steps differ by {moved:e}");
            assert!(moved <= RELATIVE);
        }
    }
}

#[test]
fn texts_of_mixed_length_give_the_loss_of_one_batch() {
    let device = cpu();
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
        ..Batch::default()
    };
    let trainer = Trainer::new(clip.clone(), config.clone(), TrainConfig::new(1), &device);
    let (found, _) = gradients(&trainer, &batch);

    let all: Vec<Encoding> = [0, 1, 2, 3, 5, 4].map(|text| encodings[text].clone()).to_vec();
    let embedded = clip.embed_texts(TextBatch::new(&all, &config.text, &device));
    let images =
        clip.embed_images(Tensor::from_data(TensorData::new(pixels, [4, 3, side, side]), &device));
    let whole = contrastive(
        images,
        embedded.clone().narrow(0, 0, 4),
        Some(embedded.narrow(0, 4, 2)),
        &Mask::default(),
        clip.logit_scale.val(),
    );
    let whole = read(whole)[0];
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
        // Some are ready, and not only the last ones.
        1 | 3 => Picture::Ready(on_host(number)),
        _ => Picture::Crop(Crop::new(photo(number), part(number)).unwrap()),
    });
    let texts = ["a", "a red square", "two circles", "a star", "a cross"];
    let batch = |pixels: Pixels| Batch {
        pixels,
        texts: tokenizer.encode_batch(&texts),
        ..Batch::default()
    };
    let crops = batch(Pixels::Pictures(pictures.collect(), preprocess.clone()));
    let ready = batch((0..5).flat_map(on_host).collect::<Vec<f32>>().into());
    assert!(Crop::new(photo(0), CropBox::whole(91, 9)).is_err());
    for (device_name, device) in devices() {
        let clip = source.load(&device).unwrap();
        for micro_batch in [0, 2] {
            let settings = TrainConfig { micro_batch, ..TrainConfig::new(1) };
            let trainer = Trainer::new(clip.clone(), config.clone(), settings, &device);
            let [found, expected] = [&crops, &ready].map(|batch| gradients(&trainer, batch).0);
            println!("{device_name}, {micro_batch} at a time: {found} and {expected}");
            assert!((found - expected).abs() <= 1e-6 * expected);
        }
    }
}
