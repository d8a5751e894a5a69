//! What a run tells, as people see it: a dashboard or a bar on a terminal, lines elsewhere. Ctrl-C is its answer.

mod dashboard;

use clove_run::config::Style;
use clove_run::words::count;
use clove_run::{Config, Control, Event, Finished, Step};

use self::dashboard::{Dashboard, Now};
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::Progress;

/// Whoever hears a run's events.
pub struct Listener {
    interrupt: Option<Interrupt>,
    /// Whether a terminal gets a bar instead of the dashboard.
    plain: bool,
    /// Of work beside training.
    bar: Option<Progress>,
    training: Option<Training>,
}

/// A run in training.
struct Training {
    config: Config,
    bar: Progress,
    dashboard: Option<Dashboard>,
}

impl Listener {
    /// Shows bars; nothing asks to stop.
    pub fn new() -> Self {
        Self { interrupt: None, plain: true, bar: None, training: None }
    }

    /// Shows bars, and asks to stop on Ctrl-C.
    pub fn stopped_by(interrupt: &Interrupt) -> Self {
        Self { interrupt: Some(interrupt.clone()), ..Self::new() }
    }

    /// Shows a dashboard where there's room, unless it's to be `plain`.
    pub fn plain(self, plain: bool) -> Self {
        Self { plain, ..self }
    }

    /// Shows what happened, and answers.
    pub fn hear(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::Working { what, done, of } => self.working(what, *done, *of),
            Event::Began { config, step, epoch } => self.begin(config, *step, *epoch),
            Event::Step(step) => {
                if let Some(training) = &mut self.training {
                    training.show(step);
                }
            }
            Event::Validated { line, is_best } => {
                let best = if *is_best { "; the best so far" } else { "" };
                self.note(&format!("step {}: {}{best}", line.step, line.summary()));
                let training = self.training.as_mut();
                if let Some(board) = training.and_then(|training| training.dashboard.as_mut()) {
                    board.validated(line.step, line.worth());
                }
            }
            Event::Finished(finished) => self.finished(finished),
            other => {
                if let Some(text) = words(other) {
                    self.note(&text);
                }
            }
        }
        match &self.interrupt {
            Some(interrupt) if interrupt.asked() => Control::Stop,
            _ => Control::Continue,
        }
    }

    /// Takes bars away.
    pub fn close(&mut self) {
        let of_training = self.training.take().map(|training| training.bar);
        for bar in [self.bar.take(), of_training].into_iter().flatten() {
            bar.finish();
        }
    }

    fn note(&self, text: &str) {
        let training = self.training.as_ref().map(|training| &training.bar);
        match self.bar.as_ref().or(training) {
            Some(bar) => bar.note(text),
            None => output::note(text),
        }
    }

    fn working(&mut self, what: &str, done: u64, of: u64) {
        if let Some(training) = &self.training {
            training.bar.say(&format!("{what}: {done} of {of}"));
        } else if done < of {
            let bar = self.bar.get_or_insert_with(Progress::new);
            bar.say(what);
            bar.set(done, of);
        } else if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }

    fn begin(&mut self, config: &Config, step: usize, epoch: u64) {
        self.close();
        let mut dashboard = None;
        if !self.plain {
            match Dashboard::open(config, epoch, step) {
                Ok(board) => dashboard = Some(board),
                Err(error) => output::note(&format!("warning: {}", output::one_line(&error))),
            }
        }
        let bar = Progress::new();
        bar.plan(config.train.steps as u64);
        bar.skip(step as u64);
        self.training = Some(Training { config: config.clone(), bar, dashboard });
    }

    fn finished(&mut self, run: &Finished) {
        let Some(Training { config, bar, .. }) = self.training.take() else {
            return;
        };
        bar.finish();
        output::note(&format!(
            "{}: trained for {} steps; {:.1} pairs/s in this sitting of {:.1} s, in which training waited {:.1} s for data and data {:.1} s for training",
            run.dir.display(),
            count(run.step as u64),
            run.pairs as f64 / run.took.as_secs_f64(),
            run.took.as_secs_f64(),
            run.waited.as_secs_f64(),
            run.idle.as_secs_f64()
        ));
        if run.is_exhausted && run.step < config.train.steps {
            output::note(&format!(
                "ended early, of {} steps: the held-out pairs were retrieved no better for some time; {} has the model that did best",
                count(config.train.steps as u64),
                config.out.join("best").display()
            ));
        }
        if run.without_negatives > 0 && config.negatives.style != Style::None {
            output::note(&format!(
                "{} of the {} captions of this sitting had no negative",
                count(run.without_negatives as u64),
                count(run.pairs as u64)
            ));
        }
        if run.skipped > 0 {
            output::note(&format!(
                "{} samples couldn't be read; {} names them",
                count(run.skipped),
                config.out.join("skipped.jsonl").display()
            ));
        }
    }
}

/// What is said of an event; nothing of some.
fn words(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Note(text) => text.clone(),
        Event::Skipped { sample, is_first: true, list } => format!(
            "warning: {}; left out, as others that can't be read will be: {} names them",
            sample.reason,
            list.display()
        ),
        Event::SteppedBack { report, to, count, most } => {
            let to = match to {
                Some(step) => format!("the checkpoint of step {step}"),
                None => "the beginning".to_owned(),
            };
            format!(
                "warning: step {}: loss {}, gradient {}; going back to {to}, and past this batch ({count} of {most} times, train.recoveries)",
                report.step, report.loss, report.grad_norm,
            )
        }
        Event::Tried { alpha, line } => format!("alpha {alpha}: {}", line.summary()),
        Event::Patched { alpha, dir, curve } => {
            let why = match curve {
                Some(curve) => format!("the best on the held-out pairs; {}", curve.display()),
                None => "CLoVe's; [validation] would let it be chosen".to_owned(),
            };
            format!("{}: alpha {alpha}, {why}", dir.display())
        }
        _ => return None,
    })
}

impl Training {
    /// Shows how far training is, after a step.
    fn show(&mut self, step: &Step) {
        let progress = &self.bar;
        match (&mut self.dashboard, progress.room()) {
            (Some(dashboard), Some(room)) if Dashboard::fits(room) => {
                // The time that's left is told of the step too.
                progress.advance(1);
                let now = Now { step: *step, times: progress.times() };
                if let Some(board) = dashboard.step(&now, room) {
                    progress.draw(&board);
                }
            }
            _ => {
                // What is said is printed as the step is counted, where there's no terminal.
                progress.say(&format!(
                    "step {}, loss {:.3}, {:.1} pairs/s",
                    step.report.step + 1,
                    step.report.loss,
                    step.pairs_per_second,
                ));
                progress.advance(1);
            }
        }
    }
}
