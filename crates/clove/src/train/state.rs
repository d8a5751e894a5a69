//! Saving and resuming a training run.

use std::collections::BTreeMap;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use super::{AdamW, Adapters, LossScale, TrainConfig, Trainer};
use crate::device::read_back;
use crate::model::ClipConfig;
use crate::score::ScoreError;
use crate::weights::{Snapshot, parameters};

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
    /// The factor on the loss.
    pub loss_scale: LossScale,
}

/// Why a run can't be resumed.
#[derive(Debug, Error)]
pub enum StateError {
    /// The optimiser's state doesn't fit the model and the settings: what is missing, unused or of another length.
    #[error("the optimiser's state doesn't fit the model: {}", .0.join(", "))]
    Moments(Vec<String>),
    /// The model's parameters don't fit.
    #[error(transparent)]
    Model(#[from] crate::weights::WeightsError),
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
    /// When the state doesn't fit the model and the configuration.
    pub fn resume(
        state: TrainerState,
        model: ClipConfig,
        config: TrainConfig,
        device: &Device,
    ) -> Result<Self, StateError> {
        let TrainerState { step, model: mut snapshot, moments, factors, loss_scale } = state;
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
        let put = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        let restored = moments.into_iter().map(|(name, pair)| (name, pair.map(put)));
        let clip = model.build(&mut snapshot, device)?;
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
            loss_scale: match step {
                0 => LossScale::new(config.compute),
                _ => loss_scale,
            },
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
