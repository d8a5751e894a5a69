//! Guards training against numbers that aren't finite: a state with one doesn't resume, and the error names the tensor.

use std::collections::BTreeMap;

use clove::model::Parameters;
use clove::score::ScoreError;
use clove::train::{Compute, Lora, LossScale, TrainConfig, Trainer, TrainerState};
use clove::weights::{Snapshot, WeightsError};
use clove_tests::cpu;
use clove_tests::training::{scenes, shape, state, train};

const LORA: Lora = Lora { rank: 2, alpha: 2.0, image: true, text: true, seed: 7 };

fn config(lora: Option<Lora>) -> TrainConfig {
    let mut config = TrainConfig::new(4);
    (config.schedule.peak, config.lora) = (1e-3, lora);
    config
}

/// A state after a step.
fn reached(lora: Option<Lora>) -> TrainerState {
    let mut trainer = Trainer::new(shape().init(3, &cpu()), shape(), config(lora), &cpu());
    train(&mut trainer, &scenes(3, 1), 1);
    state(&trainer)
}

fn resume(state: TrainerState, lora: Option<Lora>) -> Result<Trainer, String> {
    let resumed = Trainer::resume(state, shape(), config(lora), &cpu());
    resumed.map_err(|error| error.to_string())
}

/// A model with another value in the middle of a parameter.
struct Spoiled<'a>(Snapshot, &'a str, f32);

impl Parameters for Spoiled<'_> {
    type Error = WeightsError;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let mut values = self.0.values(name, shape)?;
        if name == self.1 {
            let place = values.len() / 2;
            values[place] = self.2;
        }
        Ok(values)
    }
}

fn spoiled(model: &Snapshot, name: &str, value: f32) -> Snapshot {
    Snapshot::from_parameters(model.config(), &mut Spoiled(model.clone(), name, value)).unwrap()
}

#[test]
fn a_parameter_that_is_not_finite_is_named_at_the_start_and_on_resume() {
    let reached = reached(None);
    let begun = TrainerState { step: 0, moments: BTreeMap::new(), ..reached.clone() };
    for state in [begun, reached] {
        for (name, value, said) in [
            (
                "text.blocks.1.mlp.up.weight",
                f32::NAN,
                "text.blocks.1.mlp.up.weight has the value NaN",
            ),
            ("image.class_embedding", f32::INFINITY, "image.class_embedding has the value inf"),
            ("logit_scale", f32::NEG_INFINITY, "logit_scale has the value -inf"),
            // Finite, but the factor on similarities, e^100, isn't.
            ("logit_scale", 100.0, "logit_scale is 100, and e to that power isn't"),
        ] {
            let model = spoiled(&state.model, name, value);
            let error = resume(TrainerState { model, ..state.clone() }, None).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        assert!(resume(state, None).is_ok());
    }
}

#[test]
fn a_model_whose_scale_overflows_ends_the_first_step() {
    let model = spoiled(&reached(None).model, "logit_scale", 100.0);
    let clip = shape().build(&mut model.clone(), &cpu()).unwrap();
    let mut trainer = Trainer::new(clip, shape(), config(None), &cpu());
    let step = pollster::block_on(trainer.step(&scenes(2, 1)));
    assert!(matches!(step, Err(ScoreError::LogitScale(100.0))), "{step:?}");
}

#[test]
fn moments_factors_and_a_loss_scale_that_are_not_finite_are_named() {
    let adapted = reached(Some(LORA));
    let error = |state| resume(state, Some(LORA)).unwrap_err();
    let matrix = "image.blocks.0.attention.qkv.weight";
    for (which, said) in [(0, "the mean gradient of"), (1, "the mean squared gradient of")] {
        let name = format!("{matrix}.lora_up");
        let mut state = adapted.clone();
        state.moments.get_mut(&name).unwrap()[which][3] = f32::NAN;
        assert!(error(state).starts_with(&format!("{said} {name} has the value NaN")));
    }
    for (which, said) in [(0, "lora_down"), (1, "lora_up")] {
        let mut state = adapted.clone();
        state.factors.get_mut(matrix).unwrap()[which][1] = f32::INFINITY;
        assert!(
            error(state).starts_with(&format!("the factor {said} of {matrix} has the value inf"))
        );
    }
    for factor in [f32::NAN, f32::INFINITY, 0.0, -2.0] {
        let scale = Some(LossScale { factor, steps: 0 });
        let error = error(TrainerState { loss_scale: scale, ..adapted.clone() });
        assert!(error.starts_with("the loss scale is "), "{error}");
    }
    assert!(LossScale::new(Compute::F32).is_none());
    assert!(resume(adapted, Some(LORA)).is_ok());
}
