//! Training at work: step by step, with what is kept of it on the way.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clove::device::{Device, OpenDevice};
use clove::train::{StepReport, Trainer};
use clove_data::run::{Position, RunFolder};

use super::config::Config;
use super::dashboard::{Dashboard, Now};
use super::loader::{Loaded, Loader};
use super::lost::Fault;
use super::samples::Samples;
use super::start::Parts;
use super::validation::Validation;
use super::write_model;
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::Progress;
use crate::session::{Session, Skipped};

/// Where a run begins.
#[derive(Debug)]
pub struct Stand {
    pub folder: RunFolder,
    /// After a batch that spoilt the weights: the position behind it, to which the order of training jumps.
    pub step_back: Option<u64>,
}

/// How training ended.
#[derive(Debug)]
pub enum Outcome {
    Finished,
    /// The weights are spoilt; the batch that did it ends at this position.
    StepBack(u64),
}

/// Training at work.
pub struct Run<'a> {
    config: &'a Config,
    pub trainer: Trainer,
    session: Session,
    pub loader: Loader,
    pub position: Position,
    parts: &'a Parts,
    pub device: &'a Device,
    pub validation: Option<Validation>,
    pub dashboard: Option<Dashboard>,
    /// What a test does to the run.
    pub fault: Option<Fault>,
    /// The step of the last checkpoint.
    saved: Option<usize>,
    /// Pairs learned from in this sitting, and since when.
    pub pairs: usize,
    pub began: Instant,
    /// Those of the pairs whose caption had no negative.
    pub without: usize,
}

impl<'a> Run<'a> {
    /// Begins where a run's folder stands, or goes back from there past a batch that spoilt the weights.
    pub fn begin(
        config: &'a Config,
        parts: &'a Parts,
        samples: &Arc<Samples>,
        stand: Stand,
        device: &'a OpenDevice,
    ) -> Result<Self> {
        let device = &device.device;
        let (shape, settings) = (parts.config.clone(), config.train_config());
        let (mut session, found) =
            Session::open(stand.folder, parts.companions(), config.train.keep)?;
        let (trainer, mut position, mut saved) = if let Some((state, position)) = found {
            output::note(&format!("going on after step {}", state.step));
            let step = state.step;
            let trainer = Trainer::resume(state, shape, settings, device)
                .with_context(|| config.out.display().to_string())?;
            (trainer, position, Some(step))
        } else {
            let start = Position {
                step: 0,
                samples: 0,
                skipped: 0,
                recoveries: 0,
                seed: config.seed,
                config_hash: String::new(),
            };
            let trainer = Trainer::new(parts.load(device)?, shape, settings, device);
            (trainer, start, None)
        };
        if let Some(past) = stand.step_back {
            position.samples = past;
            position.recoveries += 1;
            // A kill must not bring the batch back.
            session.save(&pollster::block_on(trainer.state())?, &position)?;
            saved = Some(trainer.steps());
        }
        let loader = Loader::start(
            Arc::clone(samples),
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
            fault: None,
            saved,
            pairs: 0,
            began: Instant::now(),
            without: 0,
        })
    }

    /// Trains to the end, or until the user wants it to stop.
    pub fn train(&mut self, interrupt: &Interrupt) -> Result<Outcome> {
        let steps = self.config.train.steps;
        let progress = Progress::new();
        progress.plan(steps as u64);
        progress.skip(self.trainer.steps() as u64);
        let result = self.steps(interrupt, &progress);
        progress.finish();
        result
    }

    fn steps(&mut self, interrupt: &Interrupt, progress: &Progress) -> Result<Outcome> {
        let steps = self.config.train.steps;
        self.validate(progress)?;
        while self.trainer.steps() < steps && !self.is_exhausted() {
            let began = Instant::now();
            let loaded = self.loader.next()?;
            let waited = began.elapsed().as_secs_f64();
            self.skip(&loaded, progress)?;
            let mut report = pollster::block_on(self.trainer.step(&loaded.batch))
                .with_context(|| format!("in step {}", self.trainer.steps()))?;
            if let Some(fault) = &mut self.fault {
                let samples = self.position.samples..loaded.position;
                fault.strike(&mut report, samples);
            }
            // The weights are spoilt by now, and aren't saved.
            if !(report.loss.is_finite() && report.grad_norm.is_finite()) {
                return self.step_back(&report, loaded.position, progress);
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
            let speed = pairs as f64 / began.elapsed().as_secs_f64();
            self.session.record(&report, speed, Some(waited))?;
            self.show(&report, progress);
            let done = self.trainer.steps();
            let stop = interrupt.asked() && done < steps;
            let every = self.config.train.checkpoint_every;
            let is_due = stop || done == steps || done.is_multiple_of(every);
            if is_due && !self.save()? {
                return self.step_back(&report, loaded.position, progress);
            }
            if !stop {
                self.validate(progress)?;
            }
            if self.is_exhausted() && self.saved != Some(done) && !self.save()? {
                return self.step_back(&report, loaded.position, progress);
            }
            if stop {
                bail!(
                    "stopped after step {done} of {steps}; everything is kept in {}: the same command with --resume goes on",
                    self.config.out.display()
                );
            }
        }
        Ok(Outcome::Finished)
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
    pub fn remember(&mut self) -> Result<()> {
        let file = self.config.out.join("validation.jsonl");
        match &mut self.validation {
            Some(validation) => validation.remember(&file, self.trainer.steps()),
            None => Ok(()),
        }
    }

    /// Whether training ends early.
    pub fn is_exhausted(&self) -> bool {
        let validation = self.validation.as_ref();
        validation.is_some_and(Validation::is_exhausted)
    }

    /// Shows how far training is, after a step.
    fn show(&mut self, report: &StepReport, progress: &Progress) {
        let pairs_per_second = self.speed();
        match (&mut self.dashboard, progress.room()) {
            (Some(dashboard), Some(room)) if Dashboard::fits(room) => {
                // The time that's left is told of the step too.
                progress.advance(1);
                let now = Now {
                    report: *report,
                    pairs_per_second,
                    waiting: self.loader.waited().as_secs_f64()
                        / self.began.elapsed().as_secs_f64(),
                    times: progress.times(),
                };
                if let Some(board) = dashboard.step(&now, room) {
                    progress.draw(&board);
                }
            }
            _ => {
                // What is said is printed as the step is counted, where there's no terminal.
                progress.say(&format!(
                    "step {}, loss {:.3}, {pairs_per_second:.1} pairs/s",
                    self.trainer.steps(),
                    report.loss,
                ));
                progress.advance(1);
            }
        }
    }

    /// Pairs a second in this sitting.
    pub fn speed(&self) -> f64 {
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

    /// Saves a checkpoint; `false`, without one, where the weights are spoilt.
    fn save(&mut self) -> Result<bool> {
        let state = pollster::block_on(self.trainer.state())?;
        if !state.model.is_finite() {
            return Ok(false);
        }
        self.session.save(&state, &self.position)?;
        self.saved = Some(state.step);
        Ok(true)
    }

    /// After a step that spoilt the weights: back to the last checkpoint, and past the batch that did it, while that's allowed.
    fn step_back(&self, report: &StepReport, past: u64, progress: &Progress) -> Result<Outcome> {
        if self.position.recoveries >= self.config.train.recoveries {
            return self.diverged(report);
        }
        let to = match self.saved {
            Some(step) => format!("the checkpoint of step {step}"),
            None => "the beginning".to_owned(),
        };
        progress.note(&format!(
            "warning: step {}: loss {}, gradient {}; going back to {to}, and past this batch ({} of {} times, train.recoveries)",
            report.step,
            report.loss,
            report.grad_norm,
            self.position.recoveries + 1,
            self.config.train.recoveries
        ));
        Ok(Outcome::StepBack(past))
    }

    fn diverged(&self, report: &StepReport) -> Result<Outcome> {
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

    /// Lets the run's folder go, and leaves what lies on a lost device where it is.
    pub fn let_go(self) {
        let Self {
            session, trainer, ..
        } = self;
        drop(session);
        mem::forget(trainer);
    }
}
