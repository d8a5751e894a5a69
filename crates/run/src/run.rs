//! A run, from its configuration to the patched model.

use std::path::PathBuf;
use std::sync::Arc;

use clove::device::OpenDevice;
use clove::preprocess::{CropBox, RgbImage};
use clove::weights::{self, ModelSource, Snapshot, durable};
use clove_data::run::{RunFolder, write_model_dir};
use clove_data::sets::IndexedSet;

use crate::config::{Config, Inputs, Precision};
use crate::error::{Context as _, Error, Result, bail};
use crate::event::{Event, Finished, Listener};
use crate::lost::{self, Failure, Fault};
use crate::model::lacks_preprocessing;
use crate::negatives::Yield;
use crate::resume::{self, Recorded};
use crate::samples::{Samples, Words};
use crate::sitting::{Outcome, Sitting};
use crate::source::Source;
use crate::start::Parts;
use crate::validation::Validation;
use crate::words::count;
use crate::{inputs, memory, patching, places, plan, precision};

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
    /// Digests that the configuration gives: the training set's, and others.
    given: (Option<String>, Option<Inputs>),
    /// The run.toml of the run that is resumed.
    recorded: Option<String>,
}

impl Run {
    /// Opens the model and the data, and resolves the keys that depend on them.
    ///
    /// # Errors
    /// If the model, the data or the held-out pairs can't be opened or don't fit the configuration.
    pub fn open(mut config: Config, listener: &mut Listener<'_>) -> Result<Self> {
        let parts = Parts::open(&config.model, config.seed)?;
        config.keep_splits_of_run();
        let source = Source::open(&config.data, listener)?;
        config.resolve(source.len())?;
        let validation = match &config.validation {
            Some(settings) => Some(Validation::open(settings, &config, &parts, listener)?),
            None => None,
        };
        let mut plan = plan::of(&config, &parts, &source)?;
        let samples = Samples::new(source, &config, &parts)?;
        let set = samples.set();
        if let Some(validation) = &validation {
            plan.extend(plan::of_validation(validation, set)?);
        }
        let found =
            Inputs::of(&parts, set, samples.makes_negatives(), validation.as_ref(), listener)?;
        let given = (config.data.digest.take(), config.inputs.take());
        config.data.digest = set.map(|set| inputs::of_set(set, listener)).transpose()?;
        config.inputs = Some(found).filter(|found| *found != Inputs::default());
        let samples = Arc::new(samples);
        Ok(Self { config, parts, samples, validation, plan, given, recorded: None })
    }

    /// The resolved configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The caption and negatives of the sample at a position in the order of training.
    ///
    /// # Errors
    /// If the sample can't be read from the index of the set.
    pub fn words_at(&self, position: u64) -> Result<Words> {
        self.samples.words_at(position)
    }

    /// The yield of negatives from the first captions, if negatives are generated.
    pub fn estimate(&self) -> Option<Yield> {
        self.samples.estimate()
    }

    /// Resolves the keys that depend on the device and, where it is resumed, on the run in its folder. Returns the plan of the run in
    /// lines. `timed` allows timing of precisions.
    ///
    /// # Errors
    /// If the device doesn't support the configuration, the folder can't have the run, or the run in it can't be resumed with the
    /// configuration.
    pub fn prepare(
        &mut self,
        device: &OpenDevice,
        begin: Begin,
        timed: bool,
        listener: &mut Listener<'_>,
    ) -> Result<Vec<String>> {
        check(&self.config, &self.parts, device)?;
        let mut lines = self.plan.clone();
        match begin {
            Begin::New => self.begin_anew()?,
            Begin::Resume => lines.extend(self.take_up()?),
        }
        let Self { config, parts, samples, .. } = self;
        memory::check_loss(config, parts, samples, device)?;
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
        let (cut, all) = samples.count_cut()?;
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

    /// Checks the folder and the inputs of a new run.
    fn begin_anew(&self) -> Result<()> {
        let Self { config, samples, given: (digest, inputs), .. } = self;
        places::check_new(config)?;
        let now = config.inputs.clone().unwrap_or_default();
        let before = inputs.clone().unwrap_or_default();
        let mut changes = now.changes(&before, config);
        // Earlier versions had another digest.
        let is_old =
            || Ok::<_, Error>(samples.set().map(IndexedSet::digest).transpose()? == *digest);
        if digest.is_some() && config.data.digest != *digest && !is_old()? {
            changes.push(now.change_of_set(&before, config));
        }
        if changes.is_empty() {
            return Ok(());
        }
        bail!(
            "the configuration gives digests (data.digest, inputs), and these inputs have others: {}; remove the digests to use them",
            changes.join("; ")
        )
    }

    /// Compares the configuration with the run in the folder and takes over what that has chosen. Returns what changed, in lines.
    fn take_up(&mut self) -> Result<Vec<String>> {
        let Self { config, parts, samples, .. } = self;
        let recorded = Recorded::read(&config.out)?;
        places::check_resumed(config)?;
        recorded.adopt(config);
        let checkpoint = recorded.checkpoint(&config.out)?;
        let step = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.step);
        let mut lines = recorded.compare(config, step, samples)?;
        if let Some(checkpoint) = &checkpoint
            && let Some((preprocess, line)) = resume::preprocess(checkpoint, parts)?
        {
            parts.preprocess = preprocess.clone();
            if let Some(read) = &mut config.inputs {
                read.preprocessing = Some(inputs::of_preprocess(&preprocess));
            }
            // The loader of an earlier training may still end.
            let samples = Arc::get_mut(samples);
            let samples = samples.context("training has just ended; open the run again")?;
            samples.set_preprocess(preprocess);
            lines.push(line);
        }
        self.recorded = Some(recorded.text);
        Ok(lines)
    }

    /// Trains, writes the model, and patches it if training began with a pretrained one. Tests inject a `fault`.
    ///
    /// # Errors
    /// If the folder holds another run or none to resume, too many samples are unreadable, training diverges, a listener asks to
    /// stop ([`Error::Stopped`]), the device is lost ([`Error::DeviceLost`]), or the program fails ([`Error::Panicked`]). The
    /// checkpoints stay complete in every case.
    pub fn train(
        &mut self,
        device: &OpenDevice,
        begin: Begin,
        mut fault: Option<Fault>,
        listener: &mut Listener<'_>,
    ) -> Result<Finished> {
        let lines = self.prepare(device, begin, true, listener)?;
        let resolved = self.config.absolute().to_toml()?;
        let folder = match &self.recorded {
            Some(recorded) => RunFolder::resume_as(&self.config.out, recorded, &resolved)?,
            None => RunFolder::create(&self.config.out, &resolved)?,
        };
        let Self { config, parts, samples, validation, .. } = self;
        let (config, parts) = (&*config, &*parts);
        for name in places::MODELS {
            // Of a process that was killed.
            durable::remove(&config.out.join(format!(".{name}.partial")))?;
        }
        let source = parts.directory();
        let remarks = [source.and_then(ModelSource::assumed), source.and_then(lacks_preprocessing)];
        for line in lines.into_iter().chain(remarks.into_iter().flatten()) {
            listener(&Event::Note(line));
        }
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
            let outcome = match lost::guard(device.is_gpu, || sitting.train(listener)) {
                Ok(outcome) => outcome?,
                Err(failure) => {
                    let step = sitting.trainer.steps();
                    // Unlock the folder for the next process. Don't touch the device again.
                    sitting.let_go();
                    return Err(failed(step, failure));
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
                    let patched = lost::guard(device.is_gpu, || {
                        patching::patch(
                            (config, parts),
                            &model,
                            finished.step,
                            held_out,
                            &device.device,
                            listener,
                        )
                    });
                    return match patched {
                        Ok(Ok(())) => Ok(finished),
                        // The trained model is written, and a resumed run goes on here.
                        Ok(Err(error)) if error.is_asked() => Err(Error::Stopped {
                            step: finished.step,
                            steps: config.train.steps,
                            out: config.out.clone(),
                        }),
                        Ok(Err(error)) => Err(error),
                        Err(failure) => Err(failed(finished.step, failure)),
                    };
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

fn failed(step: usize, failure: Failure) -> Error {
    match failure {
        Failure::Device(why) => Error::DeviceLost { step, why },
        Failure::Panic(why) => Error::Panicked { step, why },
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

/// Writes a model directory into the run's folder. A kill never leaves an incomplete one.
pub fn write_model(
    config: &Config,
    parts: &Parts,
    model: &Snapshot,
    name: &str,
) -> Result<PathBuf> {
    let dir = config.out.join(name);
    places::check_model(&dir)?;
    write_model_dir(&dir, model, &parts.companions(), weights::Precision::F32)?;
    Ok(dir)
}
