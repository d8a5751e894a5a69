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

/// Whether a run is begun or gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The folder must not hold a run.
    New,
    /// The folder must hold this run.
    Resume,
    /// Whichever it is.
    Either,
}

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
    /// Opens the folder `dir` of the run that `config` describes, and gives its last whole checkpoint, if it has one.
    pub fn open(
        dir: &Path,
        config: &str,
        start: Start,
        companions: Companions,
        keep: usize,
    ) -> Result<(Self, Option<(TrainerState, Position)>)> {
        let resume = match start {
            Start::New => false,
            Start::Resume => true,
            Start::Either => dir.join("run.toml").exists(),
        };
        let folder = if resume {
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
    pub fn save(&mut self, state: &TrainerState, position: Position) -> Result<()> {
        self.metrics.sync()?;
        self.events.sync()?;
        let position = Position {
            config_hash: self.folder.config_hash().to_owned(),
            ..position
        };
        self.folder.save_checkpoint(state.step, self.keep, |dir| {
            write_state(dir, state, &position, &self.companions)
        })?;
        Ok(())
    }

    /// The run's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
