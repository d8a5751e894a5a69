//! Saving and resuming a training run.

use std::collections::BTreeMap;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use super::{AdamW, Adapters, Lora, LossScale, TrainConfig, Trainer};
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
        let TrainerState { step, model: mut snapshot, mut moments, factors, loss_scale } = state;
        let mut differences = Vec::new();
        let mut restored = Vec::new();
        // Before the first step there are no moments.
        let learning = if step > 0 { config.learning(&model) } else { Vec::new() };
        for (name, elements) in learning {
            let pair = moments.remove(&name);
            if let Some(difference) = difference(&name, pair.as_ref(), [elements; 2]) {
                differences.push(difference);
            } else if let Some(pair) = pair {
                let put = |values| Tensor::from_data(TensorData::new(values, [elements]), device);
                restored.push((name, pair.map(put)));
            }
        }
        differences.extend(moments.into_keys().map(|name| format!("{name} isn't used")));
        // A new run has no factors yet and draws them.
        let is_new = step == 0 && factors.is_empty();
        if !is_new {
            differences.extend(differences_of_factors(config.lora, &model, &factors));
        }
        if !differences.is_empty() {
            return Err(StateError::Moments(differences));
        }
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

/// What is wrong with the values of `name`, which must have these lengths.
fn difference(name: &str, found: Option<&[Vec<f32>; 2]>, lengths: [usize; 2]) -> Option<String> {
    let Some(found) = found else {
        return Some(format!("{name} is missing"));
    };
    let found = found.each_ref().map(Vec::len);
    (found != lengths).then(|| {
        format!(
            "{name} has {} and {} elements instead of {} and {}",
            found[0], found[1], lengths[0], lengths[1]
        )
    })
}

/// The low-rank factors that are missing, unused or of another length.
fn differences_of_factors(
    lora: Option<Lora>,
    model: &ClipConfig,
    factors: &BTreeMap<String, [Vec<f32>; 2]>,
) -> Vec<String> {
    let wanted: BTreeMap<String, [usize; 2]> = lora
        .into_iter()
        .flat_map(|lora| {
            let adapted = parameters(model).into_iter();
            let adapted = adapted.filter(move |(name, _)| lora.adapts(name));
            adapted.map(move |(name, shape)| {
                let lengths = lora.factors(&name, &shape).map(|(_, elements)| elements);
                (name, lengths)
            })
        })
        .collect();
    let unused = factors.keys().filter(|name| !wanted.contains_key(*name));
    let unused = unused.map(|name| format!("the factors of {name} aren't used"));
    let wrong = wanted.iter().filter_map(|(name, lengths)| {
        difference(&format!("the factor pair of {name}"), factors.get(name), *lengths)
    });
    unused.chain(wrong).collect()
}
