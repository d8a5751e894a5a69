//! Named steps, run one after another, each reported with its time. Used by the commands that check many things.
//!
//! A failed step doesn't stop those after it: a run may take half an hour, so it reports every failure.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::shell;

/// The end of a step that didn't fail.
pub enum Outcome {
    /// It found nothing wrong.
    Passed,
    /// It could not run; the reason and the fix.
    Skipped(String),
}

/// A step's name, its end and its time.
type Ended = (&'static str, Result<Outcome>, Duration);

/// The steps of one run.
#[derive(Default)]
pub struct Steps {
    ended: Vec<Ended>,
}

impl Steps {
    /// Runs a step and reports it.
    pub fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<Outcome>) {
        self.ended.push(timed(name, step));
    }

    /// Prints the table of all steps.
    pub fn finish(self) -> Result<()> {
        shell::say("\nsummary");
        for (name, end, took) in &self.ended {
            shell::say(format_args!("  {}", line(name, end, *took)));
        }
        let failed = self.ended.iter().filter(|(_, end, _)| end.is_err());
        let failed: Vec<_> = failed.map(|(name, ..)| *name).collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("{} of {} steps failed: {}", failed.len(), self.ended.len(), failed.join(", "))
    }
}

fn timed(name: &'static str, step: impl FnOnce() -> Result<Outcome>) -> Ended {
    shell::say(format_args!("\n==> {name}"));
    let start = Instant::now();
    let end = step();
    let took = start.elapsed();
    shell::say(line(name, &end, took));
    (name, end, took)
}

fn line(name: &str, end: &Result<Outcome>, took: Duration) -> String {
    let (word, why) = match end {
        Ok(Outcome::Passed) => ("passed", String::new()),
        Ok(Outcome::Skipped(why)) => ("SKIPPED", format!(": {why}")),
        Err(error) => ("FAILED", format!(": {error:#}")),
    };
    let seconds = took.as_secs_f64();
    format!("{name:<14} {word:<7} {seconds:>7.1} s{why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_run_but_not_the_steps_after_it() {
        let mut steps = Steps::default();
        let mut reached = false;
        steps.run("first", || bail!("broken"));
        steps.run("second", || bail!("broken too"));
        steps.run("third", || {
            reached = true;
            Ok(Outcome::Passed)
        });
        steps.run("skipped", || Ok(Outcome::Skipped("no such tool".into())));
        let error = steps.finish().unwrap_err().to_string();
        assert!(reached);
        assert_eq!(error, "2 of 4 steps failed: first, second");
    }

    #[test]
    fn the_report_of_a_step_says_why() {
        let skipped = Ok(Outcome::Skipped("no such tool".into()));
        let line = line("licences", &skipped, Duration::from_millis(1250));
        assert_eq!(line, "licences       SKIPPED     1.2 s: no such tool");
    }
}
