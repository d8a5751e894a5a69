//! The plan of a run, in lines, with warnings.

use clove_data::sets::{IndexedSet, overlap};

use crate::Result;
use crate::config::Config;
use crate::source::Source;
use crate::start::Parts;
use crate::validation::Validation;
use crate::words::{count, counted};

/// The model, the data and the length of training.
pub fn of(config: &Config, parts: &Parts, source: &Source) -> Result<Vec<String>> {
    let (steps, batch) = (config.train.steps, config.train.batch);
    let epochs = (steps * batch) as f64 / source.len() as f64;
    let mut lines = vec![format!("model: {}", parts.summary(&config.train_config()))];
    lines.extend(source.summary()?);
    lines.push(format!(
        "steps: {} of {} pairs each, {epochs:.2} epochs",
        count(steps as u64),
        count(batch as u64)
    ));
    lines.extend(warnings(config, source.len()));
    Ok(lines)
}

/// What of the configuration is likely a mistake, for a set of `samples`.
fn warnings(config: &Config, samples: u64) -> Vec<String> {
    let (steps, batch) = (config.train.steps, config.train.batch);
    let mut lines = Vec::new();
    if batch as u64 > samples {
        lines.push(format!(
            "warning: train.batch: a batch of {batch} repeats some of the {samples} samples; a repeated one is no negative of itself"
        ));
    }
    if batch == 1 {
        lines.push(
            "warning: train.batch: in a batch of 1 no other caption is wrong, so that without hard negatives the loss is 0 and nothing \
             is learned"
                .to_owned(),
        );
    }
    let warmup = config.optimizer.warmup.unwrap_or(0);
    if warmup > steps {
        lines.push(format!(
            "warning: optimizer.warmup: the warm-up of {} steps is longer than the run of {}: the learning rate doesn't reach its peak",
            count(warmup as u64),
            counted(steps as u64, "step")
        ));
    }
    lines
}

/// The held-out data, and what of it is in the training set too.
pub fn of_validation(
    validation: &Validation,
    training: Option<&IndexedSet>,
) -> Result<Vec<String>> {
    let mut lines = vec![format!("validation: {}", validation.summary())];
    let both = training.map(|training| overlap(training, validation.set())).transpose()?;
    let both = both.unwrap_or(0);
    if both > 0 {
        lines.push(format!(
            "warning: {} of the {} are also in the training data: their figures say little about other photos",
            count(both as u64),
            counted(validation.set().samples.len() as u64, "held-out photo")
        ));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(keys: &str) -> Vec<String> {
        let text = format!("[model]\ninit = \"clip\"\n[data]\nkind = \"scenes\"\n{keys}");
        warnings(&Config::from_toml("x.toml", &text).unwrap(), 8)
    }

    #[test]
    fn a_batch_of_one_or_of_more_than_all_and_a_long_warm_up_are_warned_of() {
        assert!(warned("[train]\nsteps = 4\nbatch = 8\n").is_empty());
        let warnings =
            warned("[train]\nsteps = 4\nbatch = 1\n[optimizer]\nwarmup = 5\n").join("\n");
        assert!(warnings.contains("train.batch: in a batch of 1 no other caption"), "{warnings}");
        assert!(warnings.contains("the warm-up of 5 steps is longer"), "{warnings}");
        let warnings = warned("[train]\nsteps = 4\nbatch = 9\n").join("\n");
        assert!(warnings.contains("a batch of 9 repeats some of the 8 samples"), "{warnings}");
    }
}
