//! Writes a run's folder during training: metrics, validation results, checkpoints; resumes from it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clove::train::{StepReport, TrainerState};
use clove_data::DataError;
use clove_data::run::{
    Companions, EventFile, Metrics, Position, RunFolder, read_state, write_state,
};
use serde::{Deserialize, Serialize};

use crate::event::{Event, Listener};
use crate::{Result, validation};

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

#[derive(Serialize)]
struct Line {
    step: usize,
    loss: f32,
    grad_norm: f32,
    logit_scale: f32,
    learning_rate: f64,
    pairs_per_second: f64,
    /// Pairs of an image and a text left out of the loss: the batch had the image or the text more than once.
    masked: usize,
    /// Seconds that the step waited for its batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_wait: Option<f64>,
}

/// A line of skipped.jsonl: a sample that can't be used.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The step; 0 for what was skipped while the set was read.
    pub step: usize,
    /// Position in the order of training; `None` for what was skipped while the set was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The set; `None` for the training set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<&'static str>,
    /// The image, or the place in the set.
    pub image: String,
    /// The reason.
    pub reason: String,
}

impl Skipped {
    /// A sample of the training set, skipped while the set was read.
    pub(crate) fn new(place: &str, reason: &str) -> Self {
        Self {
            step: 0,
            position: None,
            set: None,
            image: place.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// The position in a line of skipped.jsonl.
#[derive(Deserialize)]
struct Place {
    position: Option<u64>,
}

/// Opens the folder of the run with this configuration, or creates it.
///
/// # Errors
/// If the folder holds another run or can't be written.
pub fn open_or_make(dir: &Path, config: &str) -> Result<RunFolder> {
    Ok(if dir.join("run.toml").exists() {
        RunFolder::resume(dir, config)?
    } else {
        RunFolder::create(dir, config)?
    })
}

impl Session {
    /// Opens a run's folder for training. Returns its last complete checkpoint, if any.
    ///
    /// # Errors
    /// If a file of the folder can't be read or written.
    pub fn open(
        folder: RunFolder,
        companions: Companions,
        keep: usize,
        listener: &mut Listener<'_>,
    ) -> Result<(Self, Option<(TrainerState, Position)>)> {
        let latest = folder.latest_checkpoint()?;
        let then = match latest.checkpoint {
            Some(_) => "resuming from the one before it",
            None => "beginning anew",
        };
        for (_, damage) in &latest.damaged {
            let note = format!("warning: {damage}; the checkpoint is damaged; {then}");
            listener(&Event::Note(note));
        }
        let found = latest.checkpoint.as_ref().map(read_state).transpose()?;
        let step = found.as_ref().map_or(0, |(state, _)| state.step);
        let skipped = folder.skipped_path();
        let validation = folder.path().join(VALIDATION);
        let session = Self {
            metrics: Metrics::open_at(&folder.metrics_path(), step)?,
            skipped: skipped.exists().then(|| Metrics::open_at(&skipped, step)).transpose()?,
            // The run validates again where it resumes.
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

    /// Records steps, skipped samples and validations.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Step(step) => {
                self.record(&step.report, step.step_pairs_per_second, Some(step.data_wait))
            }
            Event::Skipped { sample, .. } => {
                append(&mut self.skipped, &self.folder.skipped_path(), sample.step, sample)
            }
            Event::Validated { line, .. } => self.validated(line),
            _ => Ok(()),
        }
    }

    /// Lists what was skipped while a set was read.
    ///
    /// # Errors
    /// If the file can't be written, or what was skipped can't be read.
    pub fn list(
        &mut self,
        skipped: impl Iterator<Item = Result<(String, String), DataError>>,
        set: Option<&'static str>,
    ) -> Result<()> {
        for found in skipped {
            let (place, reason) = found?;
            let line = Skipped { set, ..Skipped::new(&place, &reason) };
            append(&mut self.skipped, &self.folder.skipped_path(), 0, &line)?;
        }
        Ok(())
    }

    /// Positions of the unreadable samples so far, in the order of training.
    ///
    /// # Errors
    /// If the list can't be read.
    pub fn unreadable(&self) -> Result<Vec<u64>> {
        let lines: Vec<Place> = validation::read_lines(&self.folder.skipped_path())?;
        Ok(lines.into_iter().filter_map(|line| line.position).collect())
    }

    /// Records a step. `data_wait` is the time in seconds that it waited for its batch.
    ///
    /// # Errors
    /// If a file can't be written.
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
            masked: report.masked,
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

    fn validated(&mut self, line: &validation::Line) -> Result<()> {
        append(&mut self.validation, &self.folder.path().join(VALIDATION), line.step, line)?;
        let scalars = line.scalars();
        let scalars = scalars.iter().map(|(name, value)| (name.as_str(), *value));
        self.scalars(line.step, &scalars.collect::<Vec<_>>())
    }

    /// Records more figures of a step for TensorBoard, such as `validation/composition`.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn scalars(&mut self, step: usize, values: &[(&str, f32)]) -> Result<()> {
        Ok(self.events.scalars(now(), step, values)?)
    }

    /// Saves a checkpoint and syncs it to disk.
    ///
    /// # Errors
    /// If it can't be written.
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

/// Appends a line to a file, which is created with its first line.
fn append(
    list: &mut Option<Metrics>,
    path: &Path,
    step: usize,
    line: &impl Serialize,
) -> Result<()> {
    let list = match list {
        Some(list) => list,
        none => none.insert(Metrics::open_at(path, step)?),
    };
    Ok(list.append(line)?)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
