//! A training run that is put aside and taken up again.

use std::collections::BTreeMap;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use super::{AdamW, Adapters, Lora, LossScale, TrainConfig, Trainer};
use crate::device::read_back;
use crate::model::ClipConfig;
use crate::score::ScoreError;
use crate::weights::{Snapshot, parameters};

/// Everything that the next step depends on, in the host's memory.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainerState {
    /// Steps taken.
    pub step: usize,
    /// The model's parameters.
    pub model: Snapshot,
    /// The running mean of each gradient, and that of its square, flattened, by the name of what learns
    /// ([`TrainConfig::learning`]).
    pub moments: BTreeMap<String, [Vec<f32>; 2]>,
    /// Low-rank factors, `[rank, in]` and `[out, rank]`, flattened, by their matrix's name; none without [`super::Lora`].
    pub factors: BTreeMap<String, [Vec<f32>; 2]>,
    /// Of the loss.
    pub loss_scale: LossScale,
}

/// Why a run can't be taken up again.
#[derive(Debug, Error)]
pub enum StateError {
    /// The optimiser's state isn't that of this model and these settings.
    #[error("the optimiser's state doesn't fit the model: {}", differences.join(", "))]
    Moments {
        /// What is missing, unused or of another length.
        differences: Vec<String>,
    },
    /// The model's parameters can't be had.
    #[error(transparent)]
    Model(#[from] crate::weights::WeightsError),
}

impl Trainer {
    /// Reads everything back that a later [`Trainer::resume`] needs.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn state(&self) -> Result<TrainerState, ScoreError> {
        let mut moments = BTreeMap::new();
        for (name, [mean, square]) in self.optimizer.moments() {
            let pair = [read_back(mean).await?, read_back(square).await?];
            moments.insert(name.to_owned(), pair);
        }
        let mut factors = BTreeMap::new();
        for (name, [down, up]) in self.adapters.iter().flat_map(Adapters::values) {
            let pair = [read_back(down).await?, read_back(up).await?];
            factors.insert(name.to_owned(), pair);
        }
        Ok(TrainerState {
            step: self.step,
            model: Snapshot::of(&self.model(), &self.model).await?,
            moments,
            factors,
            loss_scale: self.loss_scale,
        })
    }

    /// Goes on from a state, strictly: every moment of every parameter that learns, and nothing else.
    ///
    /// # Errors
    /// When the state isn't one of this model with this configuration.
    pub fn resume(
        state: TrainerState,
        model: ClipConfig,
        config: TrainConfig,
        device: &Device,
    ) -> Result<Self, StateError> {
        let TrainerState { step, model: mut snapshot, mut moments, factors, loss_scale } = state;
        let mut differences = Vec::new();
        let mut restored = Vec::new();
        // Before the first step there are none.
        let learning = if step > 0 { config.learning(&model) } else { Vec::new() };
        for (name, elements) in learning {
            match moments.remove(&name) {
                None => differences.push(format!("{name} is missing")),
                Some(pair) if pair.iter().any(|values| values.len() != elements) => {
                    differences.push(format!(
                        "{name} has {} and {} elements instead of {elements}",
                        pair[0].len(),
                        pair[1].len()
                    ));
                }
                Some(pair) => {
                    let tensors = pair.map(|values| {
                        Tensor::from_data(TensorData::new(values, [elements]), device)
                    });
                    restored.push((name, tensors));
                }
            }
        }
        differences.extend(moments.into_keys().map(|name| format!("{name} isn't used")));
        // A run begins without factors, and draws its own.
        let is_new = step == 0 && factors.is_empty();
        if !is_new {
            differences.extend(differences_of_factors(config.lora, &model, &factors));
        }
        if !differences.is_empty() {
            return Err(StateError::Moments { differences });
        }
        let clip = model.build(&mut snapshot, device)?;
        let adapters = config.lora.map(|lora| {
            if is_new {
                Adapters::new(lora, &model, device)
            } else {
                Adapters::restore(lora, &model, factors, device)
            }
        });
        // AdamW's correction is 1 long before this many steps.
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

/// What of the low-rank factors is missing, unused or of another length.
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
    let unused = unused.map(|name| format!("{name}'s factors aren't used"));
    let wrong = wanted.iter().filter_map(|(name, lengths)| {
        let Some(pair) = factors.get(name) else {
            return Some(format!("{name}'s factors are missing"));
        };
        let found = pair.each_ref().map(Vec::len);
        (found != *lengths).then(|| {
            format!(
                "{name}'s factors have {} and {} elements instead of {} and {}",
                found[0], found[1], lengths[0], lengths[1]
            )
        })
    });
    unused.chain(wrong).collect()
}
