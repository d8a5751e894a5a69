//! Guards gradient caching and activation checkpointing: a batch that goes through the towers in parts, or back through them block
//! by block, has the gradients of one that goes at once.

use burn::tensor::Device;
use clove::device::read_back;
use clove::loss::{Loss, OwnNegatives};
use clove::model::ClipConfig;
use clove::tokenizer::Encoding;
use clove::train::{Batch, Locked, TrainConfig, Trainer};
use clove_random::Random;
use clove_tests::{devices, devices_if_thorough};

const PAIRS: usize = 32;

/// Of the whole gradient's length: f32 sums in another order.
const RELATIVE: f64 = 1e-5;

const MODEL: &str = r#"{"model_cfg": {
    "embed_dim": 20,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 48, "head_width": 24, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 90, "width": 36, "heads": 3, "layers": 2}
}}"#;

fn model() -> ClipConfig {
    ClipConfig::from_open_clip(MODEL).unwrap()
}

/// Pairs of noise; of the captions some have no negative, some several, of mixed length.
fn batch(with_negatives: bool) -> Batch {
    let mut random = Random::new(&[1]);
    let pixels: Vec<f32> = (0..PAIRS * 3 * 32 * 32).map(|_| random.between(-2.0, 2.0)).collect();
    let mut text = || {
        let length = 1 + random.below(9);
        let mut ids = vec![88];
        ids.extend((0..length).map(|_| random.below(88) as u32));
        ids.push(89);
        ids.resize(12, 0);
        Encoding { ids, end: length + 1, dropped: 0 }
    };
    let texts = (0..PAIRS).map(|_| text()).collect();
    let negatives = (0..PAIRS)
        .map(|pair| (0..[1, 0, 3, 0, 0, 1][pair % 6]).map(|_| text()).collect())
        .collect();
    Batch {
        pixels: pixels.into(),
        texts,
        negatives: if with_negatives { negatives } else { Vec::new() },
    }
}

/// The loss, and the gradients in one row, with where each parameter's begin.
fn gradients(
    config: TrainConfig,
    batch: &Batch,
    device: &Device,
) -> (f32, Vec<(String, Vec<f32>)>) {
    let clip = model().init(3, device);
    let trainer = Trainer::new(clip, model(), config, device);
    let (loss, gradients) = pollster::block_on(trainer.gradients(batch)).unwrap();
    let mut all: Vec<(String, Vec<f32>)> = gradients
        .names()
        .map(|name| {
            let gradient = gradients.get(name).unwrap();
            (name.to_owned(), pollster::block_on(read_back(gradient)).unwrap())
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    (loss, all)
}

fn length(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn assert_equal(
    what: &str,
    whole: &(f32, Vec<(String, Vec<f32>)>),
    parts: &(f32, Vec<(String, Vec<f32>)>),
) {
    let loss = f64::from((whole.0 - parts.0).abs() / whole.0);
    assert!(loss <= RELATIVE, "{what}: loss {} {}", whole.0, parts.0);
    assert_eq!(whole.1.len(), parts.1.len(), "{what}");
    let (mut apart, mut all) = (0.0, 0.0);
    for ((name, whole), (other, parts)) in whole.1.iter().zip(&parts.1) {
        assert_eq!((name, whole.len()), (other, parts.len()), "{what}");
        apart += length(whole.iter().zip(parts).map(|(one, other)| one - other)).powi(2);
        all += length(whole.iter().copied()).powi(2);
    }
    let relative = (apart / all).sqrt();
    println!("{what}: {relative:e}");
    assert!(relative <= RELATIVE && all > 0.0, "{what}: {relative:e}");
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
            let divisions: &[usize] = if name == "cpu" { &[2, 7, 32] } else { &[7] };
            for &parts in divisions {
                let what = format!("{name}, {loss:?}, {with_negatives}, in {parts}");
                assert_equal(&what, &whole, &gradients(config(parts, false), &batch, &device));
            }
            let fused = gradients(config(2, true), &batch, &device);
            assert_equal(&format!("{name}, {loss:?}, fused, in 2"), &whole, &fused);
            // Of the losses one is enough: it stands above the towers.
            for parts in [1, 7]
                .into_iter()
                .filter(|_| loss == Loss::Clove && with_negatives && name == "cpu")
            {
                let by_blocks = TrainConfig { checkpointing: true, ..config(parts, false) };
                let by_blocks = gradients(by_blocks, &batch, &device);
                let what = format!("{name}, {loss:?}, {with_negatives}, in {parts}, by blocks");
                assert_equal(&what, &whole, &by_blocks);
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
        let free: Vec<_> = all.1.iter().filter(|(name, _)| !locked.holds(name)).cloned().collect();
        for (parts, checkpointing) in [(1, false), (3, false), (1, true), (3, true)] {
            let found = of(locked, parts, checkpointing);
            assert_equal(
                &format!("{name}, {locked:?}, in {parts}, by blocks: {checkpointing}"),
                &(all.0, free.clone()),
                &found,
            );
        }
    }
}
