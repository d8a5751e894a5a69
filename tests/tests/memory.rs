//! Guards the estimate of a step's memory: a step takes as much as estimated.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests panic")]

use clove::model::{ClipConfig, TextBatch};
use clove::train::{Batch, Compute, Estimate, Lora, TrainConfig, Trainer};
use clove_random::Random;
use clove_tests::cpu;
use clove_tests::training::{noise, train};
use peak_alloc::PeakAlloc;

/// Every allocation of this program is counted: the CPU back end's tensors are in its own memory.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// How far an estimate may be from what is measured.
const SHARE: f64 = 0.15;

const LORA: Lora = Lora { rank: 4, alpha: 4.0, image: true, text: true, seed: 0 };

/// Tokens of a text at most.
const CONTEXT: usize = 40;

fn model(image: [usize; 5], text: [usize; 3], is_quick: bool) -> ClipConfig {
    let [size, layers, width, heads, ratio] = image;
    let [text_layers, text_width, text_heads] = text;
    ClipConfig::from_open_clip(&format!(
        r#"{{"model_cfg": {{"embed_dim": 64, "quick_gelu": {is_quick},
            "vision_cfg": {{"image_size": {size}, "layers": {layers}, "width": {width}, "head_width": {},
                "patch_size": 16, "mlp_ratio": {ratio}.0}},
            "text_cfg": {{"context_length": {CONTEXT}, "vocab_size": 1000, "width": {text_width}, "heads": {text_heads},
                "layers": {text_layers}}}
        }}}}"#,
        width / heads
    ))
    .unwrap()
}

/// Pairs of noise, two negatives each.
fn batch(pairs: usize, size: usize) -> Batch {
    let mut random = Random::new(&[2]);
    let mut text = || noise(&mut random, 4, CONTEXT, 1000);
    Batch {
        texts: (0..pairs).map(|_| text()).collect(),
        negatives: (0..pairs).map(|_| vec![text(), text()]).collect(),
        pixels: vec![0.5; pairs * 3 * size * size].into(),
        ..Batch::default()
    }
}

#[test]
fn a_step_takes_what_was_estimated() {
    let device = cpu();
    let wide = model([96, 4, 256, 4, 4], [3, 192, 4], true);
    let long = model([224, 3, 192, 6, 3], [2, 128, 2], false);
    let deep = model([64, 10, 128, 4, 4], [8, 128, 8], true);
    let with = |change: fn(&mut TrainConfig)| {
        let mut config = TrainConfig::new(4);
        change(&mut config);
        config
    };
    let cases = [
        ("wide", &wide, 16, with(|_| {})),
        ("long", &long, 12, with(|_| {})),
        ("deep", &deep, 48, with(|_| {})),
        ("few pairs of wide", &wide, 2, with(|_| {})),
        ("long in parts", &long, 24, with(|c| c.micro_batch = 6)),
        ("wide in half", &wide, 16, with(|c| c.compute = Compute::F16)),
        ("deep by blocks", &deep, 64, with(|c| c.checkpointing = true)),
        (
            "deep in parts by blocks",
            &deep,
            128,
            with(|c| (c.checkpointing, c.micro_batch) = (true, 32)),
        ),
        ("wide with its image tower locked", &wide, 32, with(|c| c.locked.image = true)),
        ("wide with low-rank factors", &wide, 8, with(|c| c.lora = Some(LORA))),
        (
            "deep by blocks with low-rank factors",
            &deep,
            64,
            with(|c| (c.checkpointing, c.lora) = (true, Some(LORA))),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, model, pairs, config) in cases {
        let batch = batch(pairs, model.image.image_size);
        let lengths: Vec<Vec<usize>> = batch
            .texts
            .iter()
            .zip(&batch.negatives)
            .map(|(text, negatives)| {
                std::iter::once(text)
                    .chain(negatives)
                    .map(|text| TextBatch::tokens(text, &model.text))
                    .collect()
            })
            .collect();
        let estimate = Estimate::new(model, &config, &lengths);
        let before = MEMORY.current_usage();
        let clip = model.init(1, &device);
        let mut trainer = Trainer::new(clip, model.clone(), config, &device);
        // From the second step on the optimiser has its moments.
        train(&mut trainer, &batch, 1);
        MEMORY.reset_peak_usage();
        train(&mut trainer, &batch, 1);
        let measured = (MEMORY.peak_usage() - before) as f64;
        let ratio = estimate.total as f64 / measured;
        println!(
            "{name}: {:.1} MB estimated, {:.1} MB measured: {ratio:.3} ({estimate:?})",
            estimate.total as f64 / 1e6,
            measured / 1e6
        );
        if (ratio - 1.0).abs() > SHARE {
            wrong.push(format!("{name}: {ratio:.3}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
