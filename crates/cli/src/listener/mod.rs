//! Shows the events of a run: a dashboard or bar on a terminal, lines elsewhere. Ctrl-C stops the run.

mod dashboard;

use clove_run::config::Style;
use clove_run::words::{count, counted};
use clove_run::{Config, Control, Event, Finished, Step};

use self::dashboard::{Dashboard, Now};
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::Progress;

pub struct Listener {
    interrupt: Option<Interrupt>,
    /// Show a bar instead of the dashboard.
    plain: bool,
    /// Progress of work other than training.
    bar: Option<Progress>,
    training: Option<Training>,
}

struct Training {
    config: Config,
    bar: Progress,
    dashboard: Option<Dashboard>,
}

impl Listener {
    pub fn new() -> Self {
        Self { interrupt: None, plain: true, bar: None, training: None }
    }

    /// Shows bars and stops on Ctrl-C.
    pub fn stopped_by(interrupt: &Interrupt) -> Self {
        Self { interrupt: Some(interrupt.clone()), ..Self::new() }
    }

    /// Shows a dashboard if the terminal is large enough, unless `plain`.
    pub fn plain(self, plain: bool) -> Self {
        Self { plain, ..self }
    }

    /// Shows an event. Returns the answer.
    pub fn hear(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::Working { what, done, of } => self.working(what, *done, *of),
            Event::Began { config, step, epoch } => self.begin(config, *step, *epoch),
            Event::Step(step) => {
                if let Some(training) = &mut self.training {
                    training.show(step);
                }
            }
            Event::Validated { line, is_best, is_compared } => {
                let remark = match (is_best, is_compared) {
                    (true, _) => "; best so far",
                    (false, true) => "",
                    (false, false) => {
                        "; not compared with earlier ones, which are over other photos"
                    }
                };
                self.note(&format!("step {}: {}{remark}", line.step, line.summary()));
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
        output::note(&trained(run));
        if run.is_exhausted && run.step < config.train.steps {
            let best = match &run.best {
                Some(best) => format!("{} has the best model", best.display()),
                None => "no model was better than the initial one".to_owned(),
            };
            output::note(&format!(
                "ended early, of {} steps: validation stopped improving; {best}",
                count(config.train.steps as u64),
            ));
        }
        if run.without_negatives > 0 && config.negatives.style != Style::None {
            output::note(&format!(
                "{} of {} captions had no negative",
                count(run.without_negatives as u64),
                count(run.pairs as u64)
            ));
        }
        if run.masked > 0 {
            output::note(&format!(
                "{} left out of the loss: a batch had the photo or the text more than once",
                counted(run.masked as u64, "pair")
            ));
        }
        if run.skipped > 0 {
            output::note(&format!(
                "{} couldn't be read; see {}",
                counted(run.skipped, "sample"),
                config.out.join("skipped.jsonl").display()
            ));
        }
    }
}

fn trained(run: &Finished) -> String {
    let trained =
        format!("{}: trained for {}", run.dir.display(), counted(run.step as u64, "step"));
    if run.pairs == 0 {
        return format!("{trained}, all before this start");
    }
    format!(
        "{trained}; {:.1} pairs/s over {:.1} s; training waited {:.1} s for data, data {:.1} s for training",
        run.pairs as f64 / run.took.as_secs_f64(),
        run.took.as_secs_f64(),
        run.waited.as_secs_f64(),
        run.idle.as_secs_f64()
    )
}

fn words(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Note(text) => text.clone(),
        Event::Skipped { sample, is_first: true, list } => format!(
            "warning: {}; skipped, like all unreadable samples; see {}",
            sample.reason,
            list.display()
        ),
        Event::SteppedBack { report, to, count, most } => {
            let to = match to {
                Some(step) => format!("the checkpoint of step {step}"),
                None => "the beginning".to_owned(),
            };
            format!(
                "warning: step {}: loss {}, gradient {}; returning to {to} and skipping this batch ({count} of {most} times, train.recoveries)",
                report.step, report.loss, report.grad_norm,
            )
        }
        Event::Tried { alpha, line } => format!("alpha {alpha}: {}", line.summary()),
        Event::Patched { alpha, dir, curve } => {
            let why = match curve {
                Some(curve) => format!("the best on held-out pairs; see {}", curve.display()),
                None => "CLoVe's; add [validation] to choose it".to_owned(),
            };
            format!("{}: alpha {alpha}, {why}", dir.display())
        }
        _ => return None,
    })
}

impl Training {
    fn show(&mut self, step: &Step) {
        let progress = &self.bar;
        match (&mut self.dashboard, progress.room()) {
            (Some(dashboard), Some(room)) if Dashboard::fits(room) => {
                // Advance first: the remaining time includes the step.
                progress.advance(1);
                let now = Now { step: *step, times: progress.times() };
                if let Some(board) = dashboard.step(&now, room) {
                    progress.draw(&board);
                }
            }
            _ => {
                // Without a terminal, `advance` prints the message.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_speed_is_told_of_steps_that_were_taken() {
        let mut run = Finished {
            dir: "run/model".into(),
            step: 4,
            is_exhausted: false,
            best: None,
            pairs: 64,
            took: Duration::from_secs(2),
            waited: Duration::ZERO,
            idle: Duration::ZERO,
            without_negatives: 0,
            skipped: 0,
            masked: 0,
        };
        let told = trained(&run);
        assert!(
            told.starts_with("run/model: trained for 4 steps; 32.0 pairs/s over 2.0 s;"),
            "{told}"
        );
        // The run that is resumed was finished.
        (run.pairs, run.took) = (0, Duration::ZERO);
        assert_eq!(trained(&run), "run/model: trained for 4 steps, all before this start");
    }
}
