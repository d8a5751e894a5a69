//! Guards training in half precision: gradients near those of full precision, and overflow without a lost batch.

use burn::tensor::Device;
use clove::train::{Compute, LossScale, TrainConfig, Trainer, TrainerState};
use clove_lab::pretrained;
use clove_tests::training::{flat, scenes, shape, state, train};
use clove_tests::{cpu, devices_if_thorough, relative, training};

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
    let reached =
        TrainerState { loss_scale: LossScale { factor: 16_777_216.0, steps: 5 }, ..state(&begun) };
    let mut resumed = Trainer::resume(reached, shape(), settings(Compute::F16), &device).unwrap();
    let again = train(&mut resumed, &batch, 2);
    // Scaling by powers of two is exact.
    assert_eq!(again[0], losses[1]);
    assert!((again[1] - losses[2]).abs() < 1e-2 * losses[2]);
    let scale = state(&resumed).loss_scale;
    println!("{scale:?}");
    assert!(scale.factor < 16_777_216.0 && scale.factor >= 1.0, "{scale:?}");
    assert!(scale.steps <= 2);
    assert!(state(&resumed).model.is_finite());
}
