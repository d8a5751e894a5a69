//! Named steps, run one after another, each reported with its time. Used by the commands that check many things.
//!
//! A failed step doesn't stop those after it: a run may take half an hour, so it should tell all it can find.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::shell;

/// How a step ended, unless it failed.
pub enum Outcome {
    /// It found nothing wrong.
    Passed,
    /// It could not look; why, and what to do about it.
    Skipped(String),
}

enum End {
    Passed,
    Skipped(String),
    Failed(String),
}

/// The steps of one run.
#[derive(Default)]
pub struct Steps {
    ended: Vec<(&'static str, End, Duration)>,
}

impl Steps {
    /// Runs a step and reports it.
    pub fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<Outcome>) {
        shell::say(format_args!("\n==> {name}"));
        let start = Instant::now();
        let end = match step() {
            Ok(Outcome::Passed) => End::Passed,
            Ok(Outcome::Skipped(why)) => End::Skipped(why),
            Err(error) => End::Failed(format!("{error:#}")),
        };
        let took = start.elapsed();
        shell::say(line(name, &end, took));
        self.ended.push((name, end, took));
    }

    /// Prints the table of all steps.
    ///
    /// # Errors
    /// When a step failed; names those that did.
    pub fn finish(self) -> Result<()> {
        shell::say("\nsummary");
        for (name, end, took) in &self.ended {
            shell::say(format_args!("  {}", line(name, end, *took)));
        }
        let failed: Vec<_> = self
            .ended
            .iter()
            .filter(|(_, end, _)| matches!(end, End::Failed(_)))
            .map(|(name, ..)| *name)
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("{} of {} steps failed: {}", failed.len(), self.ended.len(), failed.join(", "))
    }
}

fn line(name: &str, end: &End, took: Duration) -> String {
    let (word, why) = match end {
        End::Passed => ("passed", None),
        End::Skipped(why) => ("SKIPPED", Some(why)),
        End::Failed(why) => ("FAILED", Some(why)),
    };
    let seconds = took.as_secs_f64();
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
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
        steps.run("second", || {
            reached = true;
            Ok(Outcome::Passed)
        });
        let error = steps.finish().unwrap_err().to_string();
        assert!(reached);
        assert_eq!(error, "1 of 2 steps failed: first");
    }

    #[test]
    fn a_skipped_step_does_not_fail_the_run() {
        let mut steps = Steps::default();
        steps.run("only", || Ok(Outcome::Skipped("no such tool".into())));
        assert!(steps.finish().is_ok());
    }

    #[test]
    fn the_report_of_a_step_says_why() {
        let skipped = End::Skipped("no such tool".into());
        let line = line("licences", &skipped, Duration::from_millis(1250));
        assert_eq!(line, "licences       SKIPPED     1.2 s: no such tool");
    }
}
