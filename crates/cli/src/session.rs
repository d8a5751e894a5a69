//! A training run's folder at work: what each step leaves behind, and how a run goes on.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clove::train::{StepReport, TrainerState};
use clove_data::run::{
    Companions, EventFile, Metrics, Position, RunFolder, read_state, write_state,
};
use serde::Serialize;

use crate::output;

/// A run's folder, open for writing.
#[derive(Debug)]
pub struct Session {
    folder: RunFolder,
    metrics: Metrics,
    events: EventFile,
    companions: Companions,
    keep: usize,
}

/// A line of metrics.jsonl.
#[derive(Serialize)]
struct Line {
    step: usize,
    loss: f32,
    grad_norm: f32,
    logit_scale: f32,
    learning_rate: f64,
    pairs_per_second: f64,
}

impl Session {
    /// Opens the folder `dir` of the run that `config` describes, or makes it, and gives its last whole checkpoint, if it has one.
    pub fn open(
        dir: &Path,
        config: &str,
        companions: Companions,
        keep: usize,
    ) -> Result<(Self, Option<(TrainerState, Position)>)> {
        let folder = if dir.join("run.toml").exists() {
            RunFolder::resume(dir, config)?
        } else {
            RunFolder::create(dir, config)?
        };
        let latest = folder.latest_checkpoint()?;
        for (path, reason) in &latest.damaged {
            output::note(&format!(
                "warning: {}: {reason}; going on from the checkpoint before it",
                path.display()
            ));
        }
        let found = latest.checkpoint.as_ref().map(read_state).transpose()?;
        let step = found.as_ref().map_or(0, |(state, _)| state.step);
        let session = Self {
            metrics: Metrics::open_at(&folder.metrics_path(), step)?,
            events: EventFile::create(dir, now(), step)?,
            folder,
            companions,
            keep,
        };
        Ok((session, found))
    }

    /// Writes a step's figures down.
    pub fn record(&mut self, report: &StepReport, pairs_per_second: f64) -> Result<()> {
        self.metrics.append(&Line {
            step: report.step,
            loss: report.loss,
            grad_norm: report.grad_norm,
            logit_scale: report.logit_scale,
            learning_rate: report.learning_rate,
            pairs_per_second,
        })?;
        self.events.scalars(
            now(),
            report.step,
            &[
                ("train/loss", report.loss),
                ("train/grad_norm", report.grad_norm),
                ("train/logit_scale", report.logit_scale),
                ("train/learning_rate", report.learning_rate as f32),
                ("train/pairs_per_second", pairs_per_second as f32),
            ],
        )?;
        Ok(())
    }

    /// Writes further figures of a step, such as `validation/composition`.
    pub fn scalars(&mut self, step: usize, values: &[(&str, f32)]) -> Result<()> {
        Ok(self.events.scalars(now(), step, values)?)
    }

    /// Saves a checkpoint. When it returns, it's on the disk.
    pub fn save(&mut self, state: &TrainerState, position: &Position) -> Result<()> {
        self.metrics.sync()?;
        self.events.sync()?;
        let position = Position {
            config_hash: self.folder.config_hash().to_owned(),
            ..position.clone()
        };
        self.folder.save_checkpoint(state.step, self.keep, |dir| {
            write_state(dir, state, &position, &self.companions)
        })?;
        Ok(())
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
