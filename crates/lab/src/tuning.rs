//! A training run on scenes, step by step.

use std::collections::BTreeMap;

use crate::error::LabError;
use crate::model;
use crate::recipe::Plan;
use clove::device::Device;
use clove::preprocess::Preprocess;
use clove::score::ScoreError;
use clove::tokenizer::Tokenizer;
use clove::train::{StepReport, Trainer, TrainerState};
use clove::weights::Snapshot;

/// A scene model in training. Each step's batch depends on the seed and the step only.
#[derive(Debug)]
pub struct Tuning {
    trainer: Trainer,
    plan: Plan,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
}

impl Tuning {
    /// Starts from `model`.
    ///
    /// # Errors
    /// If the parts of the model don't match.
    pub fn new(model: &Snapshot, plan: Plan, device: &Device) -> Result<Self, LabError> {
        let state = TrainerState {
            step: 0,
            model: model.clone(),
            moments: BTreeMap::new(),
            factors: BTreeMap::new(),
            loss_scale: None,
        };
        Self::resume(state, plan, device)
    }

    /// Resumes from [`Self::state`] of a run with the same settings.
    ///
    /// # Errors
    /// If the state is of another run.
    pub fn resume(state: TrainerState, plan: Plan, device: &Device) -> Result<Self, LabError> {
        let config = state.model.config().clone();
        Ok(Self {
            trainer: Trainer::resume(state, config, plan.recipe.train_config(), device)?,
            plan,
            tokenizer: model::tokenizer()?,
            preprocess: model::preprocess()?,
        })
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.trainer.steps()
    }

    /// Whether the run is complete.
    pub fn is_done(&self) -> bool {
        self.steps() >= self.plan.recipe.steps
    }

    /// Takes a step.
    ///
    /// # Errors
    /// If the device fails, or the loss isn't finite.
    pub async fn step(&mut self) -> Result<StepReport, LabError> {
        let Plan { texts, scenes, recipe, seed } = self.plan;
        let first = (self.trainer.steps() * recipe.batch) as u64;
        let positions = first..first + recipe.batch as u64;
        let numbers = positions.map(|position| scenes.at(seed, position));
        let batch = texts.batch(seed, numbers, &self.tokenizer, &self.preprocess);
        let report = self.trainer.step(&batch).await?;
        if report.loss.is_finite() {
            Ok(report)
        } else {
            Err(LabError::Diverged { step: report.step, loss: report.loss })
        }
    }

    /// The model's current parameters.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn snapshot(&self) -> Result<Snapshot, LabError> {
        let snapshot = Snapshot::of(&self.trainer.model(), self.trainer.config()).await;
        Ok(snapshot.map_err(ScoreError::from)?)
    }

    /// The state of the run, for [`Self::resume`].
    ///
    /// # Errors
    /// If the device fails.
    pub async fn state(&self) -> Result<TrainerState, LabError> {
        Ok(self.trainer.state().await?)
    }
}
