//! The training loop of one process: steps, validations and checkpoints.

use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use clove::device::Device;
use clove::train::{StepReport, Trainer};
use clove_data::run::{Position, RunFolder};

use crate::chance::Chance;
use crate::config::Config;
use crate::error::{Context as _, Error, Result, bail};
use crate::event::{Control, Event, Finished, Listener, Step, ask};
use crate::loader::{Loaded, Loader};
use crate::lost::Fault;
use crate::run::write_model;
use crate::samples::Samples;
use crate::session::Session;
use crate::start::Parts;
use crate::validation::{Standing, Validation};

#[derive(Debug)]
pub enum Outcome {
    Finished,
    /// Training diverged on the batch that ends at this position.
    StepBack(u64),
}

/// The training of one process.
pub struct Sitting<'a> {
    config: &'a Config,
    pub trainer: Trainer,
    session: Session,
    loader: Loader,
    position: Position,
    parts: &'a Parts,
    device: &'a Device,
    validation: &'a mut Option<Validation>,
    fault: &'a mut Option<Fault>,
    saved: Option<usize>,
    /// Whether a listener asked to finish.
    is_last: bool,
    /// Pairs trained on in this process.
    pairs: usize,
    began: Instant,
    without: usize,
    masked: usize,
    chance: Chance,
}

impl<'a> Sitting<'a> {
    /// Begins or resumes the run in a folder. After a diverged batch, continues at the position `past` it.
    pub fn begin(
        (config, parts): (&'a Config, &'a Parts),
        samples: &Arc<Samples>,
        (validation, fault): (&'a mut Option<Validation>, &'a mut Option<Fault>),
        (folder, past): (RunFolder, Option<u64>),
        device: &'a Device,
        listener: &mut Listener<'_>,
    ) -> Result<Self> {
        let (shape, settings) = (parts.config.clone(), config.train_config());
        let (mut session, found) =
            Session::open(folder, parts.companions(), config.train.keep, listener)?;
        let (trainer, mut position, mut saved) = if let Some((state, position)) = found {
            let step = state.step;
            listener(&Event::Note(format!("resuming after step {step}")));
            let trainer = Trainer::resume(state, shape, settings, device)
                .with_context(|| config.out.display())?;
            (trainer, position, Some(step))
        } else {
            let start = Position { seed: config.seed, ..Position::default() };
            let trainer = Trainer::new(parts.load(device)?, shape, settings, device);
            (trainer, start, None)
        };
        if trainer.steps() == 0 {
            if let Some(set) = samples.set() {
                session.list(set.skipped(), None)?;
            }
            if let Some(validation) = validation {
                let skipped = validation.set().skipped.iter().cloned().map(Ok);
                session.list(skipped, Some("validation"))?;
            }
        }
        if let Some(past) = past {
            position.samples = past;
            position.recoveries += 1;
            // Saved now, so that a kill doesn't bring the batch back.
            session.save(&pollster::block_on(trainer.state())?, &position)?;
            saved = Some(trainer.steps());
        }
        let bearable = config.data.bearable();
        let loader = Loader::start(
            Arc::clone(samples),
            config.train.batch,
            position.samples,
            samples.tally(position.samples, &session.unreadable()?, bearable),
            config.train.steps.saturating_sub(trainer.steps()),
        )?;
        if let Some(validation) = validation {
            let file = config.out.join("validation.jsonl");
            validation.remember(&file, trainer.steps())?;
        }
        Ok(Self {
            config,
            trainer,
            session,
            loader,
            position,
            parts,
            device,
            validation,
            fault,
            saved,
            is_last: false,
            pairs: 0,
            began: Instant::now(),
            without: 0,
            masked: 0,
            chance: Chance::new(config),
        })
    }

    /// Trains until the end or until a listener asks to stop.
    pub fn train(&mut self, listener: &mut Listener<'_>) -> Result<Outcome> {
        match self.take_steps(listener) {
            Err(error) if error.is_asked() => Err(self.stop(listener)?),
            other => other,
        }
    }

    fn take_steps(&mut self, listener: &mut Listener<'_>) -> Result<Outcome> {
        let steps = self.config.train.steps;
        self.validate(listener)?;
        while self.trainer.steps() < steps && !self.is_over() {
            let began = Instant::now();
            let mut loaded = self.next_batch(listener)?;
            let waited = began.elapsed().as_secs_f64();
            self.skip(&mut loaded, listener)?;
            let mut report = pollster::block_on(self.trainer.step(&loaded.batch))
                .with_context(|| format!("in step {}", self.trainer.steps()))?;
            if let Some(fault) = &mut self.fault {
                let samples = self.position.samples..loaded.position;
                fault.strike(&mut report, samples);
            }
            // The weights have diverged and are not saved.
            if !(report.loss.is_finite() && report.grad_norm.is_finite()) {
                return self.step_back(report, loaded.position, listener);
            }
            self.position.step = self.trainer.steps();
            self.position.samples = loaded.position;
            self.position.skipped = loaded.broken;
            let pairs = loaded.batch.texts.len();
            self.pairs += pairs;
            self.masked += report.masked;
            let negatives = loaded.batch.negatives.iter();
            self.without += negatives.filter(|negatives| negatives.is_empty()).count();
            if let Some(warning) = self.chance.hear(&report, &loaded.batch) {
                listener(&Event::Note(warning));
            }
            let gone = self.began.elapsed().as_secs_f64();
            let step = Event::Step(Step {
                report,
                step_pairs_per_second: pairs as f64 / began.elapsed().as_secs_f64(),
                pairs_per_second: self.pairs as f64 / gone,
                data_wait: waited,
                waiting: self.loader.waited().as_secs_f64() / gone,
            });
            let control = self.tell(&step, listener)?;
            let done = self.trainer.steps();
            self.is_last |= control == Control::Finish;
            let every = self.config.train.checkpoint_every;
            let is_due = self.is_last || done == steps || done.is_multiple_of(every);
            if is_due && !self.save(listener)? {
                return self.step_back(report, loaded.position, listener);
            }
            if control == Control::Stop && done < steps {
                return Err(Error::Asked);
            }
            self.validate(listener)?;
            if self.is_over() && self.saved != Some(done) && !self.save(listener)? {
                return self.step_back(report, loaded.position, listener);
            }
        }
        Ok(Outcome::Finished)
    }

    /// The next batch. While it's awaited, the listener can ask to stop.
    fn next_batch(&mut self, listener: &mut Listener<'_>) -> Result<Loaded> {
        loop {
            if let Some(loaded) = self.loader.next()? {
                return Ok(loaded);
            }
            ask(listener, "loading samples", self.loader.found(), self.config.train.batch)?;
        }
    }

    /// Saves what was reached, for a listener that asked to stop. Returns the error that says so.
    fn stop(&mut self, listener: &mut Listener<'_>) -> Result<Error> {
        let (step, steps) = (self.trainer.steps(), self.config.train.steps);
        // Before the first step there's nothing to save, and weights that aren't finite aren't saved.
        let is_saved = step == 0 || self.saved == Some(step) || self.save(listener)?;
        let step = if is_saved { step } else { self.saved.unwrap_or(0) };
        Ok(Error::Stopped { step, steps, out: self.config.out.clone() })
    }

    /// Records an event in the run's folder and passes it to the listener.
    fn tell(&mut self, event: &Event<'_>, listener: &mut Listener<'_>) -> Result<Control> {
        self.session.hear(event)?;
        Ok(listener(event))
    }

    fn validate(&mut self, listener: &mut Listener<'_>) -> Result<()> {
        let (step, steps) = (self.trainer.steps(), self.config.train.steps);
        let Some(validation) = self.validation.as_mut() else {
            return Ok(());
        };
        if !validation.is_due(step, steps) && !self.is_last {
            return Ok(());
        }
        let clip = self.trainer.model();
        let line = validation.run(clip, step, self.parts, self.device, listener)?;
        if let Some(problem) = line.nothing().filter(|_| !validation.has_scored()) {
            bail!("{problem}");
        }
        let standing = validation.add(&line);
        let (is_best, is_compared) =
            (standing == Standing::Best, standing != Standing::NotCompared);
        self.tell(&Event::Validated { line: &line, is_best, is_compared }, listener)?;
        if is_best && step > 0 {
            let model = pollster::block_on(self.trainer.state())?.model;
            write_model(self.config, self.parts, &model, "best")?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_last || self.is_exhausted()
    }

    fn is_exhausted(&self) -> bool {
        let validation = self.validation.as_ref();
        validation.is_some_and(Validation::is_exhausted)
    }

    /// Summary of the finished run with the model in `dir`.
    pub fn finished(&self, dir: &Path) -> Finished {
        let best = self.validation.as_ref().and_then(Validation::best_step);
        // The initial model, which can be the best, isn't written.
        let best = best.filter(|step| *step > 0).map(|_| self.config.out.join("best"));
        Finished {
            dir: dir.to_owned(),
            step: self.trainer.steps(),
            is_exhausted: self.is_exhausted(),
            best: best.filter(|dir| dir.exists()),
            pairs: self.pairs,
            took: self.began.elapsed(),
            waited: self.loader.waited(),
            idle: self.loader.idle(),
            without_negatives: self.without,
            skipped: self.position.skipped,
            masked: self.masked,
        }
    }

    /// Records samples that are found to be unreadable. Fails if there are too many.
    fn skip(&mut self, loaded: &mut Loaded, listener: &mut Listener<'_>) -> Result<()> {
        let list = &self.config.out.join("skipped.jsonl");
        let mut is_first = self.position.skipped == 0 && loaded.verdict.is_none();
        for sample in &mut loaded.skipped {
            sample.step = self.trainer.steps();
            self.tell(&Event::Skipped { sample, is_first, list }, listener)?;
            is_first = false;
        }
        match &loaded.verdict {
            Some(verdict) => bail!("{verdict}; see {}", list.display()),
            None => Ok(()),
        }
    }

    /// Saves a checkpoint. Returns `false`, without saving, if the weights aren't finite.
    fn save(&mut self, listener: &mut Listener<'_>) -> Result<bool> {
        let state = pollster::block_on(self.trainer.state())?;
        if !state.model.is_finite() {
            return Ok(false);
        }
        self.session.save(&state, &self.position)?;
        self.saved = Some(state.step);
        listener(&Event::Saved { step: state.step });
        Ok(true)
    }

    /// Returns to the last checkpoint and skips the batch, at most `train.recoveries` times.
    fn step_back(
        &self,
        report: StepReport,
        past: u64,
        listener: &mut Listener<'_>,
    ) -> Result<Outcome> {
        let (count, most) = (self.position.recoveries + 1, self.config.train.recoveries);
        if count <= most {
            listener(&Event::SteppedBack { report, to: self.saved, count, most });
            return Ok(Outcome::StepBack(past));
        }
        let kept = match self.saved {
            Some(step) => format!("the last checkpoint is of step {step}"),
            None => "there is no checkpoint yet".to_owned(),
        };
        bail!(
            "step {}: training diverged (loss {}, gradient {}, learning rate {:e}); {kept}; start a new run with another `out` and a \
             lower optimizer.learning_rate, a longer warmup or a lower clip_norm",
            report.step,
            report.loss,
            report.grad_norm,
            report.learning_rate
        )
    }

    /// Releases the run's folder without touching the memory of a lost device.
    pub fn let_go(self) {
        let Self { session, trainer, .. } = self;
        drop(session);
        mem::forget(trainer);
    }
}
