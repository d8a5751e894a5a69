//! `clove train`: a model, a set of images with captions, and hard negatives. What a step does stands in `clove::train`; here are
//! the configuration, the data, the run's folder and the interruptions.

mod captions;
pub mod config;
mod dashboard;
pub mod document;
pub mod draft;
mod loader;
mod lost;
mod memory;
mod patching;
mod precision;
mod run;
pub mod samples;
pub mod source;
pub mod start;
mod validation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clove::device::OpenDevice;
use clove::preprocess::{CropBox, RgbImage};
use clove::weights::{self, Snapshot};
use clove_data::run::{RunFolder, write_model_dir};
use indicatif::HumanCount;

use self::config::{Config, Crops, Precision, Start, Style};
use self::dashboard::Dashboard;
use self::document::Document;
use self::draft::Draft;
pub use self::lost::Fault;
use self::run::{Outcome, Run, Stand};
use self::samples::Samples;
use self::source::Source;
use self::start::Parts;
use self::validation::Validation;
use crate::args::Train;
use crate::interrupt::Interrupt;
use crate::{model, output};

/// Captions that `--dry-run` shows.
const SHOWN: u64 = 5;

pub fn run(args: &Train) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let draft = Draft::read(Document::read(&args.config, &args.settings)?)?;
    let parts = Parts::open(&draft.config.model, draft.config.seed)?;
    let source = Source::open(&draft.config.data, &interrupt)
        .with_context(|| format!("the data of {}", args.config.display()))?;
    let mut config = source.resolve(draft)?;
    let mut validation = config
        .validation
        .as_ref()
        .map(|settings| Validation::open(settings, &config, &parts, &interrupt))
        .transpose()?;
    let mut plan = plan(&config, &parts, &source);
    plan.extend(
        validation
            .iter()
            .map(|validation| format!("validation: {}", validation.summary())),
    );
    let samples = Samples::new(
        source,
        &config,
        parts.tokenizer.clone(),
        parts.preprocess.clone(),
    )?;
    // Before the folder is made: without its device no run begins.
    let device = if args.dry_run {
        clove::device::open(args.device.device)?
    } else {
        model::open_device(args.device.device)?
    };
    check(&config, &parts, &device)?;
    plan.extend(choose(args, &mut config, &parts, &samples, &device)?);
    if args.dry_run {
        plan.insert(0, format!("device: {}", device.description));
        let plan = plan.into_iter().chain(cut(&samples, &parts));
        return dry_run(&config, plan, &samples);
    }
    let resolved = config.to_toml()?;
    let folder = if args.resume {
        RunFolder::resume(&config.out, &resolved)?
    } else {
        RunFolder::create(&config.out, &resolved)?
    };
    for line in plan.into_iter().chain(cut(&samples, &parts)) {
        output::note(&line);
    }
    if let Some(source) = parts.directory() {
        model::note_defaults(source);
    }
    let samples = Arc::new(samples);
    let mut fault = args
        .inject_fault
        .map(|fault| fault.of_life(lost::restarts()));
    let mut stand = Stand {
        folder,
        step_back: None,
    };
    loop {
        let mut run = Run::begin(&config, &parts, &samples, stand, &device)?;
        run.validation = validation.take();
        run.fault = fault.take();
        run.remember()?;
        if !args.plain {
            run.dashboard = Some(Dashboard::open(
                &config,
                samples.len(),
                run.trainer.steps(),
            )?);
        }
        let outcome = if device.is_gpu || run.fault.is_some() {
            match lost::guard(|| run.train(&interrupt)) {
                Ok(outcome) => outcome?,
                Err(why) => return lost::restart(run, &why, config.train.recoveries),
            }
        } else {
            run.train(&interrupt)?
        };
        match outcome {
            Outcome::Finished => return finish(&config, &parts, &run),
            Outcome::StepBack(past) => {
                (validation, fault) = (run.validation.take(), run.fault.take());
                // Its lock goes with it.
                drop(run);
                stand = Stand {
                    folder: RunFolder::resume(&config.out, &resolved)?,
                    step_back: Some(past),
                };
            }
        }
    }
}

/// Refuses what a device doesn't compute.
fn check(config: &Config, parts: &Parts, device: &OpenDevice) -> Result<()> {
    if !config.train_config().compute.runs_on(&device.device) {
        bail!(
            "train.precision: {} doesn't compute in {}; use \"f32\"",
            device.description,
            config.train.precision.name()
        );
    }
    if config.data.crops == Some(Crops::Gpu) && !crops_on(device, parts) {
        bail!(
            "data.crops: {} doesn't run the kernels that crop photos; use \"cpu\"",
            device.description
        );
    }
    Ok(())
}

/// Makes the choices that are left to the program, and says why.
fn choose(
    args: &Train,
    config: &mut Config,
    parts: &Parts,
    samples: &Samples,
    device: &OpenDevice,
) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    if args.resume {
        // As the run began, whatever there is now.
        memory::chosen_before(config)?;
    }
    if config.train.precision == Precision::Auto {
        lines.push(if args.dry_run {
            "precision: that is measured when training begins; what follows is for f32".to_owned()
        } else {
            let (precision, why) = precision::choose(config, parts, samples, device)?;
            config.train.precision = precision;
            why
        });
    }
    lines.extend(memory::fit(config, parts, samples, device));
    Ok(lines)
}

/// Whether a device crops photos.
fn crops_on(device: &OpenDevice, parts: &Parts) -> bool {
    let image = RgbImage::new(2, 2);
    let whole = CropBox::whole(2, 2);
    let cropped = parts
        .preprocess
        .crops_on_device(&[(&image, whole)], &device.device);
    device.is_gpu && cropped.is_some()
}

/// What is about to be done, a line each.
fn plan(config: &Config, parts: &Parts, source: &Source) -> Vec<String> {
    let (steps, batch) = (config.train.steps, config.train.batch);
    let epochs = (steps * batch) as f64 / source.len() as f64;
    let mut lines = vec![format!("model: {}", parts.summary(&config.train_config()))];
    lines.extend(source.summary());
    lines.push(format!(
        "steps: {} of {} pairs each, which are {epochs:.2} epochs",
        HumanCount(steps as u64),
        HumanCount(batch as u64)
    ));
    if batch as u64 > source.len() {
        lines.push(format!(
            "warning: train.batch: a batch of {batch} has some of the {} samples twice, and each is then wrong for the other",
            source.len()
        ));
    }
    lines
}

/// A warning where texts don't fit the model.
fn cut(samples: &Samples, parts: &Parts) -> Option<String> {
    let (cut, all) = samples.count_cut();
    (cut > 0).then(|| {
        format!(
            "warning: {} of {} texts are longer than the context of {} tokens; they're cut",
            HumanCount(cut as u64),
            HumanCount(all as u64),
            parts.tokenizer.context_length()
        )
    })
}

fn dry_run(config: &Config, plan: impl Iterator<Item = String>, samples: &Samples) -> Result<()> {
    let remark = if config.out.join("run.toml").exists() {
        ", which holds a run: only --resume goes on there"
    } else {
        ""
    };
    let mut lines = vec![
        config.to_toml()?,
        format!("out: {}{remark}", config.out.display()),
    ];
    lines.extend(plan);
    if let Some(estimate) = samples.estimate() {
        lines.push(format!("negatives of the first: {}", estimate.summary()));
        lines.push(estimate.kinds().trim_end().to_owned());
        lines.extend(estimate.why_none().map(|why| format!("  {why}")));
    }
    lines.push("the first captions, with their negatives:".to_owned());
    for position in 0..SHOWN.min(config.train.batch as u64) {
        let words = samples.words_at(position);
        lines.push(format!("  {}: {:?}", words.place, words.caption));
        let negatives = words.negatives.iter();
        lines.extend(negatives.map(|negative| format!("    not {negative:?}")));
    }
    output::print(&lines.join("\n"))
}

/// Writes the model's directory and says what can be done with it.
fn finish(config: &Config, parts: &Parts, run: &Run<'_>) -> Result<()> {
    let model = pollster::block_on(run.trainer.state())?.model;
    let dir = write_model(config, parts, &model, "model")?;
    output::note(&format!(
        "{}: trained for {} steps; {:.1} pairs/s in this sitting of {:.1} s, in which training waited {:.1} s for data and data {:.1} s for training",
        dir.display(),
        HumanCount(run.trainer.steps() as u64),
        run.speed(),
        run.began.elapsed().as_secs_f64(),
        run.loader.waited().as_secs_f64(),
        run.loader.idle().as_secs_f64()
    ));
    if run.is_exhausted() && run.trainer.steps() < config.train.steps {
        output::note(&format!(
            "ended early, of {} steps: the held-out pairs were retrieved no better for some time; {} has the model that did best",
            HumanCount(config.train.steps as u64),
            config.out.join("best").display()
        ));
    }
    if run.without > 0 && config.negatives.style != Style::None {
        output::note(&format!(
            "{} of the {} captions of this sitting had no negative",
            HumanCount(run.without as u64),
            HumanCount(run.pairs as u64)
        ));
    }
    if run.position.skipped > 0 {
        output::note(&format!(
            "{} samples couldn't be read; {} names them",
            HumanCount(run.position.skipped),
            config.out.join("skipped.jsonl").display()
        ));
    }
    match patching::patch(config, parts, &model, run)? {
        Some(line) => output::note(&line),
        None => output::note(&next(config, &dir)),
    }
    Ok(())
}

/// Writes a model's directory into the run's folder: whole or not at all, so that a kill leaves none that lacks half of its files.
fn write_model(config: &Config, parts: &Parts, model: &Snapshot, name: &str) -> Result<PathBuf> {
    let dir = config.out.join(name);
    let partial = config.out.join(format!(".{name}.partial"));
    remove_folder(&partial)?;
    write_model_dir(
        &partial,
        model,
        &parts.companions(),
        weights::Precision::F32,
    )?;
    remove_folder(&dir)?;
    fs::rename(&partial, &dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// What to do with a model that has nothing to be patched with.
fn next(config: &Config, dir: &Path) -> String {
    match config.model.start() {
        Start::Blank => format!("next: clove eval --model {} --suite scenes", dir.display()),
        Start::Directory(_) | Start::Pretrained | Start::Described(_) => format!(
            "next: clove score --model {} --image photo.jpg --caption \"a dog\" --caption \"a cat\"",
            dir.display()
        ),
    }
}

fn remove_folder(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| dir.display().to_string())
        }
        _ => Ok(()),
    }
}
