//! Guards training in half precision: gradients near those of full precision, overflow without a lost batch, and what a run in each
//! precision goes through.

use std::convert::Infallible;

use burn::tensor::Device;
use clove::model::{Parameters, RandomInit};
use clove::train::{Compute, LossScale, TrainConfig, Trainer, TrainerState};
use clove::weights::{Snapshot, parameters};
use clove_lab::{SceneSuite, Sizes, figures, pretrained, scorer};
use clove_scenes::Split;
use clove_tests::training::{flat, scenes, shape, state, through_checkpoint, train};
use clove_tests::{cpu, devices_if_thorough, relative, training, wait};

/// Tolerances relative to the length of the whole gradient. Half a unit in the last place is 2^-11 in f16 and 2^-8 in bf16; a tower
/// rounds some hundred times, with errors of both signs.
const NEAR: [(Compute, f64); 2] = [(Compute::F16, 0.02), (Compute::Bf16, 0.15)];

fn settings(compute: Compute) -> TrainConfig {
    let mut config = TrainConfig::new(20);
    config.schedule.peak = 1e-4;
    config.compute = compute;
    config
}

fn trainer(settings: TrainConfig, device: &Device) -> Trainer {
    let clip = shape().build(&mut pretrained().unwrap(), device).unwrap();
    Trainer::new(clip, shape(), settings, device)
}

fn gradients(mut settings: TrainConfig, device: &Device) -> (f32, Vec<f32>) {
    // A step at a learning rate of 0 finds the loss scale.
    settings.schedule.peak = 0.0;
    let mut trainer = trainer(settings, device);
    let batch = scenes(8, 1);
    train(&mut trainer, &batch, 1);
    let (loss, gradients) = training::gradients(&trainer, &batch);
    (loss, flat(&gradients))
}

#[test]
fn gradients_in_half_precision_are_near_those_in_full() {
    for (name, device) in devices_if_thorough() {
        let (full_loss, full) = gradients(settings(Compute::F32), &device);
        for (compute, near) in NEAR {
            if !compute.runs_on(&device) {
                println!("{name} doesn't compute in {compute:?}");
                continue;
            }
            // The backward pass doesn't depend on the device, and takes a minute on a software GPU.
            for checkpointing in
                [false, true].into_iter().filter(|by_blocks| !by_blocks || name == "cpu")
            {
                let mut settings = settings(compute);
                settings.checkpointing = checkpointing;
                let (loss, half) = gradients(settings, &device);
                let apart = relative(&half, &full);
                println!(
                    "{name}, {compute:?}, by blocks {checkpointing}: {apart:e}, loss {loss} and {full_loss}"
                );
                assert!(apart > 0.0 && apart < near, "{name}, {compute:?}: {apart}");
                assert!((loss - full_loss).abs() < near as f32 * full_loss);
            }
        }
    }
}

#[test]
fn gradients_that_overflow_halve_the_factor_and_cost_no_batch() {
    let (device, batch) = (cpu(), scenes(8, 1));
    let mut usual = trainer(settings(Compute::F16), &device);
    let losses = train(&mut usual, &batch, 3);
    assert!(losses[2] < losses[0], "{losses:?}");

    // A loss scale at which the first gradients overflow f16.
    let mut begun = trainer(settings(Compute::F16), &device);
    train(&mut begun, &batch, 1);
    let reached = scaled(state(&begun), 16_777_216.0);
    let mut resumed = Trainer::resume(reached, shape(), settings(Compute::F16), &device).unwrap();
    let again = train(&mut resumed, &batch, 2);
    // Scaling by powers of two is exact.
    assert_eq!(again[0], losses[1]);
    assert!((again[1] - losses[2]).abs() < 1e-2 * losses[2]);
    let scale = state(&resumed).loss_scale.unwrap();
    println!("{scale:?}");
    assert!(scale.factor < 16_777_216.0 && scale.factor >= 1.0, "{scale:?}");
    assert!(scale.steps <= 2);
    assert!(state(&resumed).model.is_finite());
}

/// A state with another loss scale.
fn scaled(state: TrainerState, factor: f32) -> TrainerState {
    TrainerState { loss_scale: Some(LossScale { factor, steps: 5 }), ..state }
}

/// Random weights after a change by name.
struct Changed(RandomInit, fn(&str, &mut [f32]));

impl Parameters for Changed {
    type Error = Infallible;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Infallible> {
        let mut values = self.0.values(name, shape)?;
        (self.1)(name, &mut values);
        Ok(values)
    }
}

/// A trainer of random weights after a change.
fn changed(compute: Compute, change: fn(&str, &mut [f32])) -> Trainer {
    let Ok(clip) = shape().build(&mut Changed(RandomInit::new(&shape(), 3), change), &cpu());
    Trainer::new(clip, shape(), settings(compute), &cpu())
}

/// Embeddings so short that their gradients overflow f16 without any factor; torch.amp.GradScaler's falls below 1 then too.
#[test]
fn the_factor_falls_below_one_where_gradients_need_it() {
    let begun = changed(Compute::F16, |name, values| {
        let factor = match name {
            "image.post_norm.weight" => 1e-1,
            "image.projection" => 1e-3,
            _ => 1.0,
        };
        for value in &mut *values {
            *value *= factor;
        }
        if name == "logit_scale" {
            values[0] = 1e6_f32.ln();
        }
    });
    let begun = scaled(state(&begun), 2.0);
    let mut trainer = Trainer::resume(begun, shape(), settings(Compute::F16), &cpu()).unwrap();
    let report = wait(trainer.step(&scenes(4, 1)));
    let after = state(&trainer);
    println!("{report:?} {:?}", after.loss_scale);
    assert!(report.loss.is_finite() && report.grad_norm.is_finite(), "{report:?}");
    assert!(after.loss_scale.unwrap().factor < 1.0);
    assert!(after.model.is_finite());
}

/// No factor mends activations that overflow: one pass shows it, and the factor stays as it was.
#[test]
fn a_loss_that_is_not_finite_is_reported_at_once() {
    let mut trainer = changed(Compute::F16, |name, values| {
        if name == "text.blocks.0.mlp.up.weight" {
            values.fill(1e9);
        }
    });
    let report = wait(trainer.step(&scenes(2, 1)));
    assert!(!report.loss.is_finite(), "{report:?}");
    assert_eq!(state(&trainer).loss_scale, LossScale::new(Compute::F16));
}

/// Queries and keys whose products, 16 x 100 x 100, exceed f16's 65,504 before they're divided by the root of 16, and not after.
#[test]
fn attention_scales_before_it_multiplies() {
    let alike = |name: &str, values: &mut [f32]| {
        let both = 2 * values.len() / 3;
        if name.ends_with("attention.qkv.weight") {
            values[..both].fill(0.0);
        } else if name.ends_with("attention.qkv.bias") {
            values[..both].fill(100.0);
        }
    };
    let batch = scenes(3, 1);
    let full = wait(changed(Compute::F32, alike).step(&batch)).loss;
    for (compute, near) in NEAR {
        let report = wait(changed(compute, alike).step(&batch));
        let apart = (report.loss - full).abs();
        assert!(apart < near as f32 * full, "{compute:?}: {report:?} {full}");
        assert!(report.grad_norm.is_finite(), "{compute:?}: {report:?}");
    }
}

#[test]
fn another_precision_goes_on_with_its_own_factor() {
    let batch = scenes(4, 1);
    let mut half = trainer(settings(Compute::F16), &cpu());
    train(&mut half, &batch, 1);
    let reached = state(&half);
    let resume = |state: TrainerState, compute| {
        Trainer::resume(state, shape(), settings(compute), &cpu()).unwrap()
    };
    for compute in [Compute::F32, Compute::Bf16] {
        let without = TrainerState { loss_scale: None, ..reached.clone() };
        let [with, without] = [reached.clone(), without].map(|reached| resume(reached, compute));
        assert_eq!(state(&with).loss_scale, None);
        let [with, without] = [with, without].map(|one| training::gradients(&one, &batch));
        assert!(with == without, "{compute:?}");
    }
    let mut full = trainer(settings(Compute::F32), &cpu());
    train(&mut full, &batch, 1);
    let begun = resume(state(&full), Compute::F16);
    assert_eq!(state(&begun).loss_scale, LossScale::new(Compute::F16));
}

fn values(model: &Snapshot) -> Vec<f32> {
    let all = parameters(model.config()).into_iter();
    all.flat_map(|(name, shape)| model.clone().values(&name, &shape).unwrap()).collect()
}

#[test]
fn each_precision_steps_saves_resumes_evaluates_and_patches() {
    let (device, batch) = (cpu(), scenes(4, 1));
    let before = pretrained().unwrap();
    let suite =
        SceneSuite::new(Split::Validation, Sizes { twins_per_kind: 2, specimens: 10, common: 0 });
    for compute in [Compute::F32, Compute::F16, Compute::Bf16] {
        let mut whole = trainer(settings(compute), &device);
        let losses = train(&mut whole, &batch, 4);
        assert!(losses[3] < losses[0], "{compute:?}: {losses:?}");
        let mut first = trainer(settings(compute), &device);
        assert_eq!(train(&mut first, &batch, 2), losses[..2]);
        let saved = through_checkpoint(&state(&first), 2, 8);
        assert_eq!(saved.loss_scale.is_some(), compute == Compute::F16);
        let mut second = Trainer::resume(saved, shape(), settings(compute), &device).unwrap();
        assert_eq!(train(&mut second, &batch, 2), losses[2..], "{compute:?}");
        let after = state(&second);
        assert!(after == state(&whole), "{compute:?}");

        // The saved weights are f32 in every precision, and so are evaluation and patching.
        let scorer = wait(scorer(&after.model, &device));
        let (composition, recognition) = figures(&wait(suite.evaluate(&scorer, &mut |_| {})));
        assert!([composition, recognition].iter().all(|share| (0.0..=1.0).contains(share)));
        let (left, right) = (values(&before), values(&after.model));
        let patched = values(&before.patched(&after.model, 0.5));
        assert!(left != right && patched.iter().all(|value| value.is_finite()));
        let middle = left.iter().zip(&right).map(|(one, other)| (one + other) / 2.0);
        assert!(relative(&patched, &middle.collect::<Vec<f32>>()) < 1e-6, "{compute:?}");
    }
}
