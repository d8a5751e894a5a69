//! Guards low-rank adaptation: the factors' gradients are those that the chain rule gives, matrices move by the factors' product and
//! nothing else moves, and a run goes on from a checkpoint bit for bit.

use std::collections::BTreeMap;

use burn::tensor::Device;
use clove::device::read_back;
use clove::model::{ClipConfig, Parameters as _};
use clove::train::{Batch, Locked, Lora, TrainConfig, Trainer, TrainerState};
use clove::weights::{Snapshot, parameters};
use clove_data::run::{Companions, Position, RunFolder, read_state, write_state};
use clove_lab::{Texts, config, preprocess, tokenizer, tokenizer_json};
use clove_scenes::Style;
use clove_tests::{devices, devices_if_thorough};

const RANK: usize = 3;
const LORA: Lora = Lora { rank: RANK, alpha: 2.0, image: true, text: true, seed: 7 };
const SCALE: f64 = 2.0 / 3.0;

/// Of the longest gradient's length: f32 products of up to 384 terms.
const RELATIVE: f64 = 1e-5;

/// Of a matrix that moved: it's a sum that was rounded at every step.
const ROUNDING: f64 = 1e-6;

fn model() -> ClipConfig {
    config(&tokenizer().unwrap())
}

fn batch() -> Batch {
    let texts = Texts::Captions { style: Some(Style::Mixed), negatives: 2 };
    texts.batch(5, 0..6, &tokenizer().unwrap(), &preprocess().unwrap())
}

fn settings(lora: Option<Lora>) -> TrainConfig {
    let mut config = TrainConfig::new(10);
    config.schedule.peak = 1e-2;
    config.lora = lora;
    config
}

fn trainer(settings: TrainConfig, device: &Device) -> Trainer {
    Trainer::new(model().init(3, device), model(), settings, device)
}

fn state(trainer: &Trainer) -> TrainerState {
    pollster::block_on(trainer.state()).unwrap()
}

fn train(trainer: &mut Trainer, steps: usize) -> Vec<f32> {
    let batch = batch();
    (0..steps).map(|_| pollster::block_on(trainer.step(&batch)).unwrap().loss).collect()
}

fn gradients(trainer: &Trainer) -> BTreeMap<String, Vec<f64>> {
    let (_, gradients) = pollster::block_on(trainer.gradients(&batch())).unwrap();
    let values =
        |name: &str| wide(&pollster::block_on(read_back(gradients.get(name).unwrap())).unwrap());
    let names = gradients.names();
    names.map(|name| (name.to_owned(), values(name))).collect()
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
    assert_eq!(found.len(), wanted.len(), "{what}");
    let length = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let apart: Vec<f64> = found.iter().zip(wanted).map(|(a, b)| a - b).collect();
    let (apart, whole) = (length(&apart), length(wanted));
    assert!(whole > 0.0 && apart <= share * whole, "{what}: {}", apart / whole);
}

#[test]
fn the_factors_gradients_are_those_of_the_chain_rule() {
    for (name, device) in devices_if_thorough() {
        let mut adapted = trainer(settings(Some(LORA)), &device);
        // At first `up` is zero, and with it the gradient of `down`.
        train(&mut adapted, 2);
        let reached = state(&adapted);
        // The merged model itself, without factors.
        let full = Trainer::new(
            model().build(&mut reached.model.clone(), &device).unwrap(),
            model(),
            settings(None),
            &device,
        );
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
    let (_, device) = devices().swap_remove(0);
    let start = state(&trainer(settings(None), &device)).model;
    for checkpointing in [false, true] {
        for text_only in [false, true] {
            let lora = Lora { image: !text_only, ..LORA };
            let mut settings = settings(Some(lora));
            settings.checkpointing = checkpointing;
            settings.locked = Locked { image: text_only, text: false };
            let learning = settings.learning(&model());
            let mut trainer = trainer(settings, &device);
            let losses = train(&mut trainer, 6);
            assert!(losses[5] < losses[0], "{losses:?}");
            let end = state(&trainer);
            assert_eq!(end.moments.keys().cloned().collect::<Vec<_>>(), {
                let mut names: Vec<_> = learning.into_iter().map(|(name, _)| name).collect();
                names.sort();
                names
            });
            for (name, shape) in parameters(&model()) {
                let [before, after] = [&start, &end.model].map(|m| values(m, &name, &shape));
                if lora.adapts(&name) {
                    let [down, up] = end.factors[&name].each_ref().map(|values| wide(values));
                    let moved = product(&up, &down, RANK);
                    let wanted: Vec<f64> = before
                        .iter()
                        .zip(moved)
                        .map(|(before, moved)| before + SCALE * moved)
                        .collect();
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
    let (_, device) = devices().swap_remove(0);
    let mut whole = trainer(settings(Some(LORA)), &device);
    let losses = train(&mut whole, 5);
    let mut first = trainer(settings(Some(LORA)), &device);
    assert_eq!(train(&mut first, 2), losses[..2]);

    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run"), "seed = 5\n").unwrap();
    let companions =
        Companions { preprocess: preprocess().unwrap(), tokenizer: Some(tokenizer_json()) };
    let position = Position {
        step: 2,
        samples: 12,
        skipped: 0,
        recoveries: 0,
        seed: 5,
        config_hash: folder.config_hash().to_owned(),
    };
    let reached = state(&first);
    let saved = folder
        .save_checkpoint(2, 1, |to| write_state(to, &reached, &position, &companions))
        .unwrap();
    let (read, _) = read_state(&saved).unwrap();
    assert_eq!(read, reached);
    let resume = |state, lora| Trainer::resume(state, model(), settings(lora), &device);
    let mut second = resume(read, Some(LORA)).unwrap();
    assert_eq!(train(&mut second, 3), losses[2..]);
    assert_eq!(state(&second), state(&whole));

    let refused = |state, lora| resume(state, lora).unwrap_err().to_string();
    assert!(refused(reached.clone(), None).contains("factors aren't used"));
    let mut missing = reached.clone();
    missing.factors.remove("text.blocks.0.mlp.up.weight");
    assert!(
        refused(missing, Some(LORA)).contains("text.blocks.0.mlp.up.weight's factors are missing")
    );
    let wider = Lora { rank: 4, ..LORA };
    assert!(refused(reached, Some(wider)).contains("elements instead of"));
}
