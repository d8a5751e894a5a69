//! Guards low-rank adaptation: the factors' gradients follow from the chain rule, matrices change by the factors' product and nothing
//! else changes, and a run resumes from a checkpoint bit for bit.

use std::collections::BTreeMap;

use burn::tensor::Device;
use clove::model::Parameters as _;
use clove::train::{Locked, Lora, TrainConfig, Trainer};
use clove::weights::{Snapshot, parameters};
use clove_tests::training::{scenes, shape, state, through_checkpoint};
use clove_tests::{cpu, devices_if_thorough, relative, training};

const RANK: usize = 3;
const LORA: Lora = Lora { rank: RANK, alpha: 2.0, image: true, text: true, seed: 7 };
const SCALE: f64 = 2.0 / 3.0;

/// Relative to the length of a gradient: f32 products of up to 384 terms.
const RELATIVE: f64 = 1e-5;

/// Relative to the length of a matrix, which is rounded at every step.
const ROUNDING: f64 = 1e-6;

fn settings(lora: Option<Lora>) -> TrainConfig {
    let mut config = TrainConfig::new(10);
    config.schedule.peak = 1e-2;
    config.lora = lora;
    config
}

fn trainer(settings: TrainConfig, device: &Device) -> Trainer {
    Trainer::new(shape().init(3, device), shape(), settings, device)
}

fn train(trainer: &mut Trainer, steps: usize) -> Vec<f32> {
    training::train(trainer, &scenes(6, 2), steps)
}

fn gradients(trainer: &Trainer) -> BTreeMap<String, Vec<f64>> {
    let (_, gradients) = training::gradients(trainer, &scenes(6, 2));
    gradients.into_iter().map(|(name, values)| (name, wide(&values))).collect()
}

fn values(model: &Snapshot, name: &str, shape: &[usize]) -> Vec<f64> {
    let found = model.clone().values(name, shape).unwrap();
    found.into_iter().map(f64::from).collect()
}

/// `[rows, inner]` times `[inner, columns]`.
fn product(left: &[f64], right: &[f64], inner: usize) -> Vec<f64> {
    let columns = right.len() / inner;
    left.chunks_exact(inner)
        .flat_map(|row| {
            (0..columns).map(move |column| {
                let terms = row.iter().enumerate();
                terms.map(|(place, value)| value * right[place * columns + column]).sum()
            })
        })
        .collect()
}

fn transposed(matrix: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns).copied()).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn assert_near(what: &str, found: &[f64], wanted: &[f64], share: f64) {
    let apart = relative(found, wanted);
    assert!(apart <= share, "{what}: {apart}");
}

#[test]
fn the_factors_gradients_are_those_of_the_chain_rule() {
    for (name, device) in devices_if_thorough() {
        let mut adapted = trainer(settings(Some(LORA)), &device);
        // At first `up` is zero, and with it the gradient of `down`.
        train(&mut adapted, 2);
        let reached = state(&adapted);
        // The merged model itself, without factors.
        let merged = shape().build(&mut reached.model.clone(), &device).unwrap();
        let full = Trainer::new(merged, shape(), settings(None), &device);
        let (full, found) = (gradients(&full), gradients(&adapted));
        for matrix in [
            "image.blocks.0.attention.qkv.weight",
            "image.blocks.1.mlp.down.weight",
            "text.blocks.0.attention.out.weight",
            "text.blocks.1.mlp.up.weight",
        ] {
            let whole = &full[matrix];
            let [down, up] = reached.factors[matrix].each_ref().map(|values| wide(values));
            let inputs = down.len() / RANK;
            let scaled =
                |values: Vec<f64>| values.into_iter().map(|v| v * SCALE).collect::<Vec<_>>();
            let by_down = scaled(product(&transposed(&up, RANK), whole, up.len() / RANK));
            let by_up = scaled(product(whole, &transposed(&down, inputs), inputs));
            for (end, wanted) in [("lora_down", by_down), ("lora_up", by_up)] {
                let factor = format!("{matrix}.{end}");
                assert_near(&format!("{name}, {factor}"), &found[&factor], &wanted, RELATIVE);
            }
            assert!(!found.contains_key(matrix));
        }
        assert!(!found.contains_key("text.token_embedding"));
    }
}

#[test]
fn matrices_move_by_the_factors_product_and_nothing_else_moves() {
    let device = cpu();
    let start = state(&trainer(settings(None), &device)).model;
    for checkpointing in [false, true] {
        for text_only in [false, true] {
            let lora = Lora { image: !text_only, ..LORA };
            let mut settings = settings(Some(lora));
            settings.checkpointing = checkpointing;
            settings.locked = Locked { image: text_only, text: false };
            let learning = settings.learning(&shape());
            let mut trainer = trainer(settings, &device);
            let losses = train(&mut trainer, 6);
            assert!(losses[5] < losses[0], "{losses:?}");
            let end = state(&trainer);
            assert_eq!(end.moments.keys().cloned().collect::<Vec<_>>(), {
                let mut names: Vec<_> = learning.into_iter().map(|(name, _)| name).collect();
                names.sort();
                names
            });
            for (name, shape) in parameters(&shape()) {
                let [before, after] = [&start, &end.model].map(|m| values(m, &name, &shape));
                if lora.adapts(&name) {
                    let [down, up] = end.factors[&name].each_ref().map(|values| wide(values));
                    let moved = product(&up, &down, RANK);
                    let both = before.iter().zip(moved);
                    let wanted: Vec<f64> = both.map(|(old, step)| old + SCALE * step).collect();
                    assert_near(&name, &after, &wanted, ROUNDING);
                    assert_ne!(before, after, "{name}");
                } else if name == "logit_scale" {
                    assert_ne!(before, after);
                } else {
                    assert_eq!(before, after, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_run_with_factors_goes_on_bit_for_bit_and_only_with_its_own() {
    let device = cpu();
    let mut whole = trainer(settings(Some(LORA)), &device);
    let losses = train(&mut whole, 5);
    let mut first = trainer(settings(Some(LORA)), &device);
    assert_eq!(train(&mut first, 2), losses[..2]);

    let reached = state(&first);
    let resume = |state, lora| Trainer::resume(state, shape(), settings(lora), &device);
    let mut second = resume(through_checkpoint(&reached, 2, 12), Some(LORA)).unwrap();
    assert_eq!(train(&mut second, 3), losses[2..]);
    assert_eq!(state(&second), state(&whole));

    let refused = |state, lora| resume(state, lora).unwrap_err().to_string();
    assert!(refused(reached.clone(), None).contains("isn't used"));
    let mut missing = reached.clone();
    missing.factors.remove("text.blocks.0.mlp.up.weight");
    assert!(
        refused(missing, Some(LORA))
            .contains("the factor pair of text.blocks.0.mlp.up.weight is missing")
    );
    let wider = Lora { rank: 4, ..LORA };
    assert!(refused(reached, Some(wider)).contains("elements instead of"));
}
