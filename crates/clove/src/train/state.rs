//! Saving and resuming a training run.

use std::collections::BTreeMap;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use super::{AdamW, Adapters, LossScale, TrainConfig, Trainer};
use crate::device::read_back;
use crate::model::{ClipConfig, Parameters};
use crate::score::ScoreError;
use crate::weights::{Snapshot, WeightsError, parameters};

/// Everything that the next step depends on, in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainerState {
    /// Steps taken.
    pub step: usize,
    /// The model's parameters.
    pub model: Snapshot,
    /// The running means of each gradient and of its square, flattened, by the names of [`TrainConfig::learning`].
    pub moments: BTreeMap<String, [Vec<f32>; 2]>,
    /// Low-rank factors, `[rank, in]` and `[out, rank]`, flattened, by their matrix's name; empty without [`super::Lora`].
    pub factors: BTreeMap<String, [Vec<f32>; 2]>,
    /// The factor on the loss, in f16.
    pub loss_scale: Option<LossScale>,
}

/// Why a run can't be resumed.
#[derive(Debug, Error)]
pub enum StateError {
    /// The optimiser's state doesn't fit the model and the settings: what is missing, unused or of another length.
    #[error("the optimiser's state doesn't fit the model: {}", .0.join(", "))]
    Moments(Vec<String>),
    /// The model's parameters don't fit.
    #[error(transparent)]
    Model(#[from] WeightsError),
    /// A number from which no training recovers, and its tensor.
    #[error("{0}; use an earlier checkpoint or another model")]
    NotFinite(String),
}

/// A model's parameters, if they're finite.
struct Finite(Snapshot);

impl Parameters for Finite {
    type Error = StateError;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, StateError> {
        let values = self.0.values(name, shape)?;
        check(|| name.to_owned(), &values)?;
        if name == "logit_scale"
            && let Some(value) = values.iter().find(|value| !value.exp().is_finite())
        {
            return Err(StateError::NotFinite(format!(
                "{name} is {value}, and e to that power isn't a finite scale (files store the logarithm: ln(100) = 4.6)"
            )));
        }
        Ok(values)
    }
}

/// Refuses values that aren't finite.
fn check(name: impl FnOnce() -> String, values: &[f32]) -> Result<(), StateError> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(StateError::NotFinite(format!("{} has the value {value}", name()))),
        None => Ok(()),
    }
}

/// Refuses pairs of values that aren't finite; `labels` precede their names.
fn check_pairs(
    labels: [&str; 2],
    pairs: &BTreeMap<String, [Vec<f32>; 2]>,
) -> Result<(), StateError> {
    for (name, pair) in pairs {
        for (label, values) in labels.iter().zip(pair) {
            check(|| format!("{label}{name}"), values)?;
        }
    }
    Ok(())
}

impl Trainer {
    /// Reads back everything that [`Trainer::resume`] needs.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn state(&self) -> Result<TrainerState, ScoreError> {
        let mut moments = BTreeMap::new();
        for (name, pair) in self.optimizer.moments() {
            moments.insert(name.to_owned(), read_pair(pair).await?);
        }
        let mut factors = BTreeMap::new();
        for (name, pair) in self.adapters.iter().flat_map(Adapters::values) {
            factors.insert(name.to_owned(), read_pair(pair).await?);
        }
        Ok(TrainerState {
            step: self.step,
            model: Snapshot::of(&self.model(), &self.model).await?,
            moments,
            factors,
            loss_scale: self.loss_scale,
        })
    }

    /// Resumes from a state, which must have every moment of every trained parameter, and nothing else.
    ///
    /// # Errors
    /// When the state doesn't fit the model and the configuration, or isn't finite.
    pub fn resume(
        state: TrainerState,
        model: ClipConfig,
        config: TrainConfig,
        device: &Device,
    ) -> Result<Self, StateError> {
        let TrainerState { step, model: snapshot, moments, factors, loss_scale } = state;
        // Before the first step there are no moments.
        let learning = if step > 0 { config.learning(&model) } else { Vec::new() };
        let wanted = learning.into_iter().map(|(name, elements)| (name, [elements; 2])).collect();
        let mut wrong = differences("", &wanted, &moments);
        // A new run has no factors yet and draws them.
        let is_new = step == 0 && factors.is_empty();
        if !is_new {
            let adapted = parameters(&model).into_iter().filter_map(|(name, shape)| {
                let lora = config.lora.filter(|lora| lora.adapts(&name))?;
                let lengths = lora.factors(&name, &shape).map(|(_, elements)| elements);
                Some((name, lengths))
            });
            wrong.extend(differences("the factor pair of ", &adapted.collect(), &factors));
        }
        if !wrong.is_empty() {
            return Err(StateError::Moments(wrong));
        }
        check_pairs(["the mean gradient of ", "the mean squared gradient of "], &moments)?;
        check_pairs(["the factor lora_down of ", "the factor lora_up of "], &factors)?;
        if let Some(LossScale { factor, .. }) = loss_scale.filter(|scale| !scale.is_valid()) {
            return Err(StateError::NotFinite(format!("the loss scale is {factor}")));
        }
        let put = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        let restored = moments.into_iter().map(|(name, pair)| (name, pair.map(put)));
        let clip = model.build(&mut Finite(snapshot), device)?;
        let adapters = config.lora.map(|lora| {
            if is_new {
                Adapters::new(lora, &model, device)
            } else {
                Adapters::restore(lora, &model, factors, device)
            }
        });
        // AdamW's correction is 1 long before the maximum.
        let steps = i32::try_from(step).unwrap_or(i32::MAX);
        Ok(Self {
            clip: clip.train(),
            model,
            optimizer: AdamW::restore(config.optimizer, steps, restored),
            adapters,
            // A run that was in another precision begins with the usual factor.
            loss_scale: LossScale::new(config.compute).map(|new| loss_scale.unwrap_or(new)),
            config,
            step,
            device: device.clone().autodiff(),
        })
    }
}

async fn read_pair(pair: [Tensor<1>; 2]) -> Result<[Vec<f32>; 2], ScoreError> {
    let [first, second] = pair;
    Ok([read_back(first).await?, read_back(second).await?])
}

/// The pairs of values that are missing, unused or of other lengths than `wanted`; `label` precedes their names.
fn differences(
    label: &str,
    wanted: &BTreeMap<String, [usize; 2]>,
    found: &BTreeMap<String, [Vec<f32>; 2]>,
) -> Vec<String> {
    let wrong = wanted.iter().filter_map(|(name, [one, other])| {
        let Some(pair) = found.get(name) else {
            return Some(format!("{label}{name} is missing"));
        };
        let [first, second] = pair.each_ref().map(Vec::len);
        ([first, second] != [*one, *other]).then(|| {
            format!("{label}{name} has {first} and {second} elements instead of {one} and {other}")
        })
    });
    let unused = found.keys().filter(|name| !wanted.contains_key(*name));
    wrong.chain(unused.map(|name| format!("{label}{name} isn't used"))).collect()
}
