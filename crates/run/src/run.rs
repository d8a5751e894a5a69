//! A run, from its configuration to the patched model.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clove::device::OpenDevice;
use clove::preprocess::{CropBox, RgbImage};
use clove::weights::{self, Snapshot};
use clove_data::run::{RunFolder, write_model_dir};

use crate::config::{Config, Precision};
use crate::error::{Context as _, Error, Result, bail};
use crate::event::{Event, Finished, Listener};
use crate::lost::{self, Fault};
use crate::model::lacks_preprocessing;
use crate::negatives::Yield;
use crate::samples::{Samples, Words};
use crate::sitting::{Outcome, Sitting};
use crate::source::Source;
use crate::start::Parts;
use crate::validation::Validation;
use crate::words::count;
use crate::{memory, patching, precision};

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// As a new run, in a folder without one.
    New,
    /// From the last complete checkpoint of the run in the folder, which must have the same configuration.
    Resume,
}

/// A training run with its model, data and held-out pairs open.
#[derive(Debug)]
pub struct Run {
    config: Config,
    parts: Parts,
    samples: Arc<Samples>,
    validation: Option<Validation>,
    plan: Vec<String>,
}

impl Run {
    /// Opens the model and the data, and resolves the keys that depend on them.
    ///
    /// # Errors
    /// If the model, the data or the held-out pairs can't be opened or don't fit the configuration.
    pub fn open(mut config: Config, listener: &mut Listener<'_>) -> Result<Self> {
        let parts = Parts::open(&config.model, config.seed)?;
        let source = Source::open(&config.data, listener)?;
        config.resolve(source.len(), source.digest())?;
        let validation = match &config.validation {
            Some(settings) => Some(Validation::open(settings, &config, &parts, listener)?),
            None => None,
        };
        let mut plan = plan(&config, &parts, &source);
        let summary = validation.as_ref().map(Validation::summary);
        plan.extend(summary.map(|summary| format!("validation: {summary}")));
        let samples = Samples::new(source, &config, &parts)?;
        Ok(Self { config, parts, samples: Arc::new(samples), validation, plan })
    }

    /// The resolved configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The caption and negatives of the sample at a position in the order of training.
    pub fn words_at(&self, position: u64) -> Words {
        self.samples.words_at(position)
    }

    /// The yield of negatives from the first captions, if negatives are generated.
    pub fn estimate(&self) -> Option<Yield> {
        self.samples.estimate()
    }

    /// Resolves the keys that depend on the device. Returns the plan of the run in lines. `timed` allows timing of precisions.
    ///
    /// # Errors
    /// If the device doesn't support the configuration.
    pub fn prepare(
        &mut self,
        device: &OpenDevice,
        begin: Begin,
        timed: bool,
        listener: &mut Listener<'_>,
    ) -> Result<Vec<String>> {
        let Self { config, parts, samples, .. } = self;
        check(config, parts, device)?;
        let mut lines = self.plan.clone();
        if begin == Begin::Resume {
            // Keep the choices that the run began with.
            memory::chosen_before(config)?;
        }
        if config.train.precision == Precision::Auto {
            lines.push(if timed {
                let (precision, why) = precision::choose(config, parts, samples, device, listener)?;
                config.train.precision = precision;
                why
            } else {
                "precision: timed when training begins; the rest of the plan is for f32".to_owned()
            });
        }
        lines.extend(memory::fit(config, parts, samples, device));
        let (cut, all) = samples.count_cut();
        if cut > 0 {
            lines.push(format!(
                "warning: {} of {} texts are longer than the context of {} tokens and are truncated",
                count(cut as u64),
                count(all as u64),
                parts.tokenizer.context_length()
            ));
        }
        Ok(lines)
    }

    /// Trains, writes the model, and patches it if training began with a pretrained one. Tests inject a `fault`.
    ///
    /// # Errors
    /// If the folder holds another run or none to resume, too many samples are unreadable, training diverges, a listener asks to
    /// stop ([`Error::Stopped`]), or the device is lost ([`Error::DeviceLost`]). The checkpoints stay complete in every case.
    pub fn train(
        &mut self,
        device: &OpenDevice,
        begin: Begin,
        mut fault: Option<Fault>,
        listener: &mut Listener<'_>,
    ) -> Result<Finished> {
        let lines = self.prepare(device, begin, true, listener)?;
        let Self { config, parts, samples, validation, .. } = self;
        let (config, parts) = (&*config, &*parts);
        let resolved = config.to_toml()?;
        let folder = match begin {
            Begin::Resume => RunFolder::resume(&config.out, &resolved)?,
            Begin::New => RunFolder::create(&config.out, &resolved)?,
        };
        let remark = parts.directory().and_then(lacks_preprocessing);
        for line in lines.into_iter().chain(remark) {
            listener(&Event::Note(line));
        }
        let has_fault = fault.is_some();
        let mut stand = (folder, None);
        loop {
            let mut sitting = Sitting::begin(
                (config, parts),
                samples,
                (&mut *validation, &mut fault),
                stand,
                &device.device,
                listener,
            )?;
            listener(&Event::Began { config, step: sitting.trainer.steps(), epoch: samples.len() });
            let is_guarded = device.is_gpu || has_fault;
            let outcome = match lost::guard(is_guarded, || sitting.train(listener)) {
                Ok(outcome) => outcome?,
                Err(why) => {
                    let step = sitting.trainer.steps();
                    // Unlock the folder for the next process. Don't touch the device again.
                    sitting.let_go();
                    return Err(Error::DeviceLost { step, why });
                }
            };
            match outcome {
                Outcome::Finished => {
                    let model = pollster::block_on(sitting.trainer.state())?.model;
                    let dir = write_model(config, parts, &model, "model")?;
                    let finished = sitting.finished(&dir);
                    drop(sitting);
                    listener(&Event::Finished(finished.clone()));
                    let held_out = validation.as_ref();
                    patching::patch(
                        (config, parts),
                        &model,
                        finished.step,
                        held_out,
                        &device.device,
                        listener,
                    )?;
                    return Ok(finished);
                }
                Outcome::StepBack(past) => {
                    // Unlocks the folder.
                    drop(sitting);
                    stand = (RunFolder::resume(&config.out, &resolved)?, Some(past));
                }
            }
        }
    }
}

/// Refuses a device that doesn't support the configuration.
fn check(config: &Config, parts: &Parts, device: &OpenDevice) -> Result<()> {
    if !config.train_config().compute.runs_on(&device.device) {
        bail!(
            "train.precision: {} doesn't support {}; use \"f32\"",
            device.description,
            config.train.precision.name()
        );
    }
    if config.crops_on_device() && !crops_on(device, parts) {
        bail!("data.crops: {} can't crop photos; use \"cpu\"", device.description);
    }
    Ok(())
}

fn crops_on(device: &OpenDevice, parts: &Parts) -> bool {
    let image = RgbImage::new(2, 2);
    let whole = CropBox::whole(2, 2);
    let cropped = parts.preprocess.crops_on_device(&[(&image, whole)], &device.device);
    device.is_gpu && cropped.is_some()
}

/// The plan of a run, in lines.
fn plan(config: &Config, parts: &Parts, source: &Source) -> Vec<String> {
    let (steps, batch) = (config.train.steps, config.train.batch);
    let epochs = (steps * batch) as f64 / source.len() as f64;
    let mut lines = vec![format!("model: {}", parts.summary(&config.train_config()))];
    lines.extend(source.summary());
    lines.push(format!(
        "steps: {} of {} pairs each, {epochs:.2} epochs",
        count(steps as u64),
        count(batch as u64)
    ));
    if batch as u64 > source.len() {
        lines.push(format!(
            "warning: train.batch: a batch of {batch} repeats some of the {} samples, which count as wrong for each other",
            source.len()
        ));
    }
    lines
}

/// Writes a model directory into the run's folder. A kill never leaves an incomplete one.
pub fn write_model(
    config: &Config,
    parts: &Parts,
    model: &Snapshot,
    name: &str,
) -> Result<PathBuf> {
    let dir = config.out.join(name);
    let partial = config.out.join(format!(".{name}.partial"));
    let remove = |dir: &PathBuf| match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    remove(&partial).with_context(|| partial.display())?;
    let precision = weights::Precision::F32;
    write_model_dir(&partial, model, &parts.companions(), precision)?;
    remove(&dir).and_then(|()| fs::rename(&partial, &dir)).with_context(|| dir.display())?;
    Ok(dir)
}
