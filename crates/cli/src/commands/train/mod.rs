//! `clove train`: a model, a set of images with captions, and hard negatives. What a step does stands in `clove::train`; here are
//! the configuration, the data, the run's folder and the interruptions.

mod config;
mod dashboard;
mod document;
mod draft;
mod loader;
mod memory;
mod patching;
mod samples;
mod start;
mod validation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clove::device::Device;
use clove::train::{StepReport, Trainer, TrainerState};
use clove::weights::{Precision, Snapshot};
use clove_data::run::{Position, RunFolder, write_model_dir};
use indicatif::HumanCount;

use self::config::{Config, Start, Style};
use self::dashboard::{Dashboard, Now};
use self::document::Document;
use self::draft::Draft;
use self::loader::{Loaded, Loader};
use self::samples::{Samples, Source};
use self::start::Parts;
use self::validation::Validation;
use crate::args::Train;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::session::{Session, Skipped};
use crate::{model, output};

/// Captions that `--dry-run` shows.
const SHOWN: u64 = 5;

pub fn run(args: &Train) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let draft = Draft::read(Document::read(&args.config, &args.settings)?)?;
    let parts = Parts::open(&draft.config.model, draft.config.seed)?;
    let source = Source::open(&draft.config.data)
        .with_context(|| format!("the data of {}", args.config.display()))?;
    let mut config = source.resolve(draft)?;
    let validation = config
        .validation
        .as_ref()
        .map(Validation::open)
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
    if !config.train_config().compute.runs_on(&device.device) {
        bail!(
            "train.precision: {} doesn't compute in {:?}; use \"f32\"",
            device.description,
            config.train.precision
        );
    }
    if args.resume && config.train.micro_batch == 0 {
        // As the run began, whatever memory there is now.
        config.train.micro_batch = memory::chosen_before(&config.out.join("run.toml"))?;
    }
    plan.extend(memory::fit(&mut config, &parts, &samples, &device));
    if args.dry_run {
        plan.insert(0, format!("device: {}", device.description));
        let plan = plan.into_iter().chain(cut(&samples, &parts));
        return dry_run(&config, plan, &samples);
    }
    let device = device.device;
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
    let epoch = samples.len();
    let (session, found) = Session::open(folder, parts.companions(), config.train.keep)?;
    let mut run = Run::new(&config, &parts, samples, session, found, &device)?;
    run.validation = validation;
    run.remember()?;
    if !args.plain {
        run.dashboard = Some(Dashboard::open(&config, epoch, run.trainer.steps())?);
    }
    run.train(&interrupt)?;
    finish(&config, &parts, &run)
}

/// What is about to be done, a line each.
fn plan(config: &Config, parts: &Parts, source: &Source) -> Vec<String> {
    let (steps, batch) = (config.train.steps, config.train.batch);
    let epochs = (steps * batch) as f64 / source.len() as f64;
    let mut lines = vec![
        format!("model: {}", parts.summary(&config.train_config())),
        format!("data: {}", source.summary()),
        format!(
            "steps: {} of {} pairs each, which are {epochs:.2} epochs",
            HumanCount(steps as u64),
            HumanCount(batch as u64)
        ),
    ];
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

/// Training at work.
struct Run<'a> {
    config: &'a Config,
    trainer: Trainer,
    session: Session,
    loader: Loader,
    position: Position,
    parts: &'a Parts,
    device: &'a Device,
    validation: Option<Validation>,
    dashboard: Option<Dashboard>,
    /// The step of the last checkpoint.
    saved: Option<usize>,
    /// Pairs learned from in this sitting, and since when.
    pairs: usize,
    began: Instant,
    /// Those of the pairs whose caption had no negative.
    without: usize,
}

impl<'a> Run<'a> {
    fn new(
        config: &'a Config,
        parts: &'a Parts,
        samples: Samples,
        session: Session,
        found: Option<(TrainerState, Position)>,
        device: &'a Device,
    ) -> Result<Self> {
        let start = Position {
            step: 0,
            samples: 0,
            skipped: 0,
            seed: config.seed,
            config_hash: String::new(),
        };
        let (shape, settings) = (parts.config.clone(), config.train_config());
        let (trainer, position, saved) = if let Some((state, position)) = found {
            output::note(&format!("going on after step {}", state.step));
            let step = state.step;
            let trainer = Trainer::resume(state, shape, settings, device)
                .with_context(|| config.out.display().to_string())?;
            (trainer, position, Some(step))
        } else {
            let trainer = Trainer::new(parts.load(device)?, shape, settings, device);
            (trainer, start, None)
        };
        let loader = Loader::start(
            Arc::new(samples),
            config.train.batch,
            position.samples,
            position.skipped,
            config.data.unreadable.unwrap_or_default(),
            config.train.steps.saturating_sub(trainer.steps()),
        )?;
        Ok(Self {
            config,
            trainer,
            session,
            loader,
            position,
            parts,
            device,
            validation: None,
            dashboard: None,
            saved,
            pairs: 0,
            began: Instant::now(),
            without: 0,
        })
    }

    /// Trains to the end, or until the user wants it to stop.
    fn train(&mut self, interrupt: &Interrupt) -> Result<()> {
        let steps = self.config.train.steps;
        let progress = Progress::new();
        progress.plan(steps as u64);
        progress.skip(self.trainer.steps() as u64);
        let result = self.steps(interrupt, &progress);
        progress.finish();
        result
    }

    fn steps(&mut self, interrupt: &Interrupt, progress: &Progress) -> Result<()> {
        let steps = self.config.train.steps;
        self.validate(progress)?;
        while self.trainer.steps() < steps && !self.is_exhausted() {
            let began = Instant::now();
            let loaded = self.loader.next()?;
            self.skip(&loaded, progress)?;
            let report = pollster::block_on(self.trainer.step(&loaded.batch))
                .with_context(|| format!("in step {}", self.trainer.steps()))?;
            // The weights are spoilt by now, and aren't saved.
            if !(report.loss.is_finite() && report.grad_norm.is_finite()) {
                return self.diverged(&report);
            }
            self.position = Position {
                step: self.trainer.steps(),
                samples: loaded.position,
                skipped: loaded.broken,
                ..self.position.clone()
            };
            let pairs = loaded.batch.texts.len();
            self.pairs += pairs;
            let negatives = loaded.batch.negatives.iter();
            self.without += negatives.filter(|negatives| negatives.is_empty()).count();
            self.session
                .record(&report, pairs as f64 / began.elapsed().as_secs_f64())?;
            progress.advance(1);
            self.show(&report, progress);
            let done = self.trainer.steps();
            let stop = interrupt.asked() && done < steps;
            if stop || done == steps || done.is_multiple_of(self.config.train.checkpoint_every) {
                self.save(&report)?;
            }
            if !stop {
                self.validate(progress)?;
            }
            if self.is_exhausted() && self.saved != Some(done) {
                self.save(&report)?;
            }
            if stop {
                bail!(
                    "stopped after step {done} of {steps}; everything is kept in {}: the same command with --resume goes on",
                    self.config.out.display()
                );
            }
        }
        Ok(())
    }

    /// Tries the model on held-out pairs, where that's due.
    fn validate(&mut self, progress: &Progress) -> Result<()> {
        let (step, steps) = (self.trainer.steps(), self.config.train.steps);
        let Some(validation) = &mut self.validation else {
            return Ok(());
        };
        if !validation.is_due(step, steps) {
            return Ok(());
        }
        let clip = self.trainer.model();
        let line = validation.run(clip, step, self.parts, self.device, progress)?;
        let is_best = validation.is_best(&line);
        let best = if is_best { "; the best so far" } else { "" };
        progress.note(&format!("step {step}: {}{best}", line.summary()));
        if let Some(dashboard) = &mut self.dashboard {
            dashboard.validated(step, line.worth());
        }
        if is_best && step > 0 {
            let model = pollster::block_on(self.trainer.state())?.model;
            write_model(self.config, self.parts, &model, "best")?;
        }
        self.session.validated(step, &line, &line.scalars())
    }

    /// What the validation of a run that goes on knows of it.
    fn remember(&mut self) -> Result<()> {
        let file = self.config.out.join("validation.jsonl");
        match &mut self.validation {
            Some(validation) => validation.remember(&file, self.trainer.steps()),
            None => Ok(()),
        }
    }

    /// Whether training ends early.
    fn is_exhausted(&self) -> bool {
        let validation = self.validation.as_ref();
        validation.is_some_and(Validation::is_exhausted)
    }

    /// Shows how far training is.
    fn show(&mut self, report: &StepReport, progress: &Progress) {
        let now = Now {
            report: *report,
            pairs_per_second: self.speed(),
            waiting: self.loader.waited().as_secs_f64() / self.began.elapsed().as_secs_f64(),
            times: progress.times(),
        };
        let room = progress.room();
        match (&mut self.dashboard, room) {
            (Some(dashboard), Some(room)) if Dashboard::fits(room) => {
                if let Some(board) = dashboard.step(&now, room) {
                    progress.draw(&board);
                }
            }
            _ => progress.say(&format!(
                "step {}, loss {:.3}, {:.1} pairs/s",
                self.trainer.steps(),
                report.loss,
                now.pairs_per_second
            )),
        }
    }

    /// Pairs a second in this sitting.
    fn speed(&self) -> f64 {
        self.pairs as f64 / self.began.elapsed().as_secs_f64()
    }

    /// Names what couldn't be read, and stops where it's too much.
    fn skip(&mut self, loaded: &Loaded, progress: &Progress) -> Result<()> {
        for broken in &loaded.skipped {
            self.session.skip(&Skipped {
                step: self.trainer.steps(),
                position: broken.position,
                image: broken.image.clone(),
                reason: broken.reason.clone(),
            })?;
        }
        let list = self.config.out.join("skipped.jsonl");
        let Some(last) = loaded.skipped.last() else {
            return Ok(());
        };
        if loaded.is_hopeless() {
            bail!(
                "{} of the {} samples tried can't be read, more than a share of {} (data.unreadable); {} names them, the last is {}",
                loaded.broken,
                loaded.position,
                self.config.data.unreadable.unwrap_or_default(),
                list.display(),
                last.reason
            );
        }
        if self.position.skipped == 0 {
            progress.note(&format!(
                "warning: {}; left out, as others that can't be read will be: {} names them",
                last.reason,
                list.display()
            ));
        }
        Ok(())
    }

    fn save(&mut self, report: &StepReport) -> Result<()> {
        let state = pollster::block_on(self.trainer.state())?;
        if !state.model.is_finite() {
            return self.diverged(report);
        }
        self.session.save(&state, &self.position)?;
        self.saved = Some(state.step);
        Ok(())
    }

    fn diverged(&self, report: &StepReport) -> Result<()> {
        let kept = match self.saved {
            Some(step) => format!("the checkpoint of step {step} stands"),
            None => "there is no checkpoint yet".to_owned(),
        };
        bail!(
            "step {}: training diverged (loss {}, gradient {}, learning rate {:e}); {kept}; train anew with a lower \
             optimizer.learning_rate, a longer warmup or a lower clip_norm, in another `out`",
            report.step,
            report.loss,
            report.grad_norm,
            report.learning_rate
        )
    }
}

/// Writes the model's directory and says what can be done with it.
fn finish(config: &Config, parts: &Parts, run: &Run<'_>) -> Result<()> {
    let model = pollster::block_on(run.trainer.state())?.model;
    let dir = write_model(config, parts, &model, "model")?;
    output::note(&format!(
        "{}: trained for {} steps; {:.1} pairs/s in this sitting, {:.1} s of its {:.1} s were spent waiting for data",
        dir.display(),
        HumanCount(run.trainer.steps() as u64),
        run.speed(),
        run.loader.waited().as_secs_f64(),
        run.began.elapsed().as_secs_f64()
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
    write_model_dir(&partial, model, &parts.companions(), Precision::F32)?;
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
