//! A training run's folder at work: what each step leaves behind, and how a run goes on.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clove::train::{StepReport, TrainerState};
use clove_data::run::{
    Companions, EventFile, Metrics, Position, RunFolder, read_state, write_state,
};
use serde::Serialize;

use crate::event::{Event, Listener};
use crate::{Result, validation};

/// How the model did on held-out data, in a run's folder.
const VALIDATION: &str = "validation.jsonl";

/// A run's folder, open for writing.
#[derive(Debug)]
pub struct Session {
    folder: RunFolder,
    metrics: Metrics,
    skipped: Option<Metrics>,
    validation: Option<Metrics>,
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
    /// Seconds before the step in which the device had nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_wait: Option<f64>,
}

/// A line of skipped.jsonl: a sample that couldn't be read.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The step that it was for.
    pub step: usize,
    /// In the order of training.
    pub position: u64,
    /// Its image.
    pub image: String,
    /// Why it can't be read.
    pub reason: String,
}

/// The folder of the run that `config` describes, whether it's there or has to be made.
///
/// # Errors
/// When the folder holds another run, or can't be written.
pub fn open_or_make(dir: &Path, config: &str) -> Result<RunFolder> {
    Ok(if dir.join("run.toml").exists() {
        RunFolder::resume(dir, config)?
    } else {
        RunFolder::create(dir, config)?
    })
}

impl Session {
    /// Goes to work in a run's folder, and gives its last whole checkpoint, if it has one.
    ///
    /// # Errors
    /// When a file of the folder can't be read or written.
    pub fn open(
        folder: RunFolder,
        companions: Companions,
        keep: usize,
        listener: &mut Listener<'_>,
    ) -> Result<(Self, Option<(TrainerState, Position)>)> {
        let latest = folder.latest_checkpoint()?;
        for (path, reason) in &latest.damaged {
            listener(&Event::Note(format!(
                "warning: {}: {reason}; going on from the checkpoint before it",
                path.display()
            )));
        }
        let found = latest.checkpoint.as_ref().map(read_state).transpose()?;
        let step = found.as_ref().map_or(0, |(state, _)| state.step);
        let skipped = folder.skipped_path();
        let validation = folder.path().join(VALIDATION);
        let session = Self {
            metrics: Metrics::open_at(&folder.metrics_path(), step)?,
            skipped: skipped.exists().then(|| Metrics::open_at(&skipped, step)).transpose()?,
            // It's validated again where it goes on.
            validation: validation
                .exists()
                .then(|| Metrics::open_at(&validation, step))
                .transpose()?,
            events: EventFile::create(folder.path(), now(), step)?,
            folder,
            companions,
            keep,
        };
        Ok((session, found))
    }

    /// Writes down what an event tells: steps, samples that were left out, validations.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Step(step) => {
                self.record(&step.report, step.step_pairs_per_second, Some(step.data_wait))
            }
            Event::Skipped { sample, .. } => self.skip(sample),
            Event::Validated { line, .. } => self.validated(line),
            _ => Ok(()),
        }
    }

    /// Writes a step's figures down; `data_wait` are the seconds that it waited for its batch, where batches are made beside it.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn record(
        &mut self,
        report: &StepReport,
        pairs_per_second: f64,
        data_wait: Option<f64>,
    ) -> Result<()> {
        self.metrics.append(&Line {
            step: report.step,
            loss: report.loss,
            grad_norm: report.grad_norm,
            logit_scale: report.logit_scale,
            learning_rate: report.learning_rate,
            pairs_per_second,
            data_wait,
        })?;
        let mut scalars = vec![
            ("train/loss", report.loss),
            ("train/grad_norm", report.grad_norm),
            ("train/logit_scale", report.logit_scale),
            ("train/learning_rate", report.learning_rate as f32),
            ("train/pairs_per_second", pairs_per_second as f32),
        ];
        scalars.extend(data_wait.map(|seconds| ("train/data_wait", seconds as f32)));
        Ok(self.events.scalars(now(), report.step, &scalars)?)
    }

    /// Names a sample that was left out.
    fn skip(&mut self, sample: &Skipped) -> Result<()> {
        let list = match &mut self.skipped {
            Some(list) => list,
            none => none.insert(Metrics::open_at(&self.folder.skipped_path(), sample.step)?),
        };
        Ok(list.append(sample)?)
    }

    /// Writes down how the model of a step did on held-out data.
    fn validated(&mut self, line: &validation::Line) -> Result<()> {
        let list = match &mut self.validation {
            Some(list) => list,
            none => none.insert(Metrics::open_at(&self.folder.path().join(VALIDATION), line.step)?),
        };
        list.append(line)?;
        let scalars = line.scalars();
        let scalars = scalars.iter().map(|(name, value)| (name.as_str(), *value));
        self.scalars(line.step, &scalars.collect::<Vec<_>>())
    }

    /// Writes further figures of a step, such as `validation/composition`.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn scalars(&mut self, step: usize, values: &[(&str, f32)]) -> Result<()> {
        Ok(self.events.scalars(now(), step, values)?)
    }

    /// Saves a checkpoint. When it returns, it's on the disk.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&mut self, state: &TrainerState, position: &Position) -> Result<()> {
        self.metrics.sync()?;
        for list in [&self.skipped, &self.validation].into_iter().flatten() {
            list.sync()?;
        }
        self.events.sync()?;
        let position =
            Position { config_hash: self.folder.config_hash().to_owned(), ..position.clone() };
        self.folder.save_checkpoint(state.step, self.keep, |dir| {
            write_state(dir, state, &position, &self.companions)
        })?;
        Ok(())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
