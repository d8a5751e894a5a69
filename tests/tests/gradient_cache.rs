//! Guards gradient caching and activation checkpointing: a batch that goes through the towers in parts, or back through them block
//! by block, has the gradients of one that goes through at once.

use std::collections::BTreeMap;

use burn::tensor::Device;
use clove::loss::{Loss, OwnNegatives};
use clove::model::ClipConfig;
use clove::train::{Batch, Locked, TrainConfig, Trainer};
use clove_random::Random;
use clove_tests::training::{flat, noise};
use clove_tests::{devices, devices_if_thorough, relative, training};

const PAIRS: usize = 32;

/// Relative to the length of the whole gradient: f32 sums in another order.
const RELATIVE: f64 = 1e-5;

const MODEL: &str = r#"{"model_cfg": {
    "embed_dim": 20,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 48, "head_width": 24, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 90, "width": 36, "heads": 3, "layers": 2}
}}"#;

fn model() -> ClipConfig {
    ClipConfig::from_open_clip(MODEL).unwrap()
}

/// Pairs of noise; captions have no, one or several negatives of mixed length. Some images, captions and negatives are the same.
fn batch(with_negatives: bool) -> Batch {
    let mut random = Random::new(&[1]);
    let pixels: Vec<f32> = (0..PAIRS * 3 * 32 * 32).map(|_| random.between(-2.0, 2.0)).collect();
    let mut text = || noise(&mut random, 1, 12, 90);
    let mut texts: Vec<_> = (0..PAIRS).map(|_| text()).collect();
    texts[21] = texts[4].clone();
    let mut negatives: Vec<Vec<_>> = (0..PAIRS)
        .map(|pair| (0..[1, 0, 3, 0, 0, 1][pair % 6]).map(|_| text()).collect())
        .collect();
    negatives[2][1] = texts[30].clone();
    Batch {
        pixels: pixels.into(),
        texts,
        negatives: if with_negatives { negatives } else { Vec::new() },
        // Of two crops each.
        images: (0..PAIRS as u64).map(|pair| pair % 16).collect(),
    }
}

type Gradients = (f32, BTreeMap<String, Vec<f32>>);

fn gradients(config: TrainConfig, batch: &Batch, device: &Device) -> Gradients {
    let trainer = Trainer::new(model().init(3, device), model(), config, device);
    training::gradients(&trainer, batch)
}

fn assert_equal(what: &str, whole: &Gradients, parts: &Gradients) {
    let loss = f64::from((whole.0 - parts.0).abs() / whole.0);
    assert!(loss <= RELATIVE, "{what}: loss {} {}", whole.0, parts.0);
    assert!(whole.1.keys().eq(parts.1.keys()), "{what}");
    let apart = relative(&flat(&parts.1), &flat(&whole.1));
    println!("{what}: {apart:e}");
    assert!(apart <= RELATIVE, "{what}: {apart:e}");
}

#[test]
fn the_gradients_of_a_batch_in_parts_are_the_whole_batchs() {
    for (name, device) in devices_if_thorough() {
        for (loss, with_negatives) in
            [(Loss::Clove, false), (Loss::Clove, true), (Loss::Fsc(OwnNegatives::default()), true)]
        {
            let batch = batch(with_negatives);
            let config = |parts: usize, fused_loss: bool| TrainConfig {
                loss,
                micro_batch: PAIRS.div_ceil(parts),
                fused_loss,
                ..TrainConfig::new(1)
            };
            if name != "cpu" && !(loss == Loss::Clove && with_negatives) {
                continue;
            }
            let whole = gradients(config(1, false), &batch, &device);
            let different = Batch { images: Vec::new(), ..batch.clone() };
            let different = gradients(config(1, false), &different, &device);
            assert!(relative(&flat(&different.1), &flat(&whole.1)) > 100.0 * RELATIVE);
            let divisions: &[usize] = if name == "cpu" { &[2, 7, 32] } else { &[7] };
            for &parts in divisions {
                let what = format!("{name}, {loss:?}, {with_negatives}, in {parts}");
                assert_equal(&what, &whole, &gradients(config(parts, false), &batch, &device));
            }
            let fused = gradients(config(2, true), &batch, &device);
            assert_equal(&format!("{name}, {loss:?}, fused, in 2"), &whole, &fused);
            // One loss is enough, because it doesn't affect the towers.
            if loss == Loss::Clove && with_negatives && name == "cpu" {
                for parts in [1, 7] {
                    let by_blocks = TrainConfig { checkpointing: true, ..config(parts, false) };
                    let by_blocks = gradients(by_blocks, &batch, &device);
                    assert_equal(&format!("{loss:?}, in {parts}, by blocks"), &whole, &by_blocks);
                }
            }
        }
    }
}

#[test]
fn where_a_tower_is_locked_only_the_other_has_gradients() {
    let (name, device) = devices().swap_remove(0);
    let batch = batch(true);
    let of = |locked: Locked, parts: usize, checkpointing: bool| {
        let config = TrainConfig {
            locked,
            checkpointing,
            micro_batch: PAIRS.div_ceil(parts),
            ..TrainConfig::new(1)
        };
        gradients(config, &batch, &device)
    };
    let all = of(Locked::default(), 1, false);
    for (image, text) in [(true, false), (false, true), (true, true)] {
        let locked = Locked { image, text };
        let mut free = all.clone();
        free.1.retain(|name, _| !locked.holds(name));
        for (parts, checkpointing) in [(1, false), (3, false), (1, true), (3, true)] {
            let what = format!("{name}, {locked:?}, in {parts}, by blocks: {checkpointing}");
            assert_equal(&what, &free, &of(locked, parts, checkpointing));
        }
    }
}
