//! The plan of a run, in lines, with warnings.

use clove_data::sets::{ImageTextSet, overlap};

use crate::config::Config;
use crate::source::Source;
use crate::start::Parts;
use crate::validation::Validation;
use crate::words::{count, counted};

/// The model, the data and the length of training.
pub fn of(config: &Config, parts: &Parts, source: &Source) -> Vec<String> {
    let (steps, batch) = (config.train.steps, config.train.batch);
    let epochs = (steps * batch) as f64 / source.len() as f64;
    let mut lines = vec![format!("model: {}", parts.summary(&config.train_config()))];
    lines.extend(source.summary());
    lines.push(format!(
        "steps: {} of {} pairs each, {epochs:.2} epochs",
        count(steps as u64),
        count(batch as u64)
    ));
    if batch as u64 > source.len() {
        lines.push(format!(
            "warning: train.batch: a batch of {batch} repeats some of the {} samples; a repeated one is no negative of itself",
            source.len()
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
pub fn of_validation(validation: &Validation, training: Option<&ImageTextSet>) -> Vec<String> {
    let mut lines = vec![format!("validation: {}", validation.summary())];
    let both = training.map_or(0, |training| overlap(training, validation.set()));
    if both > 0 {
        lines.push(format!(
            "warning: {} of the {} are also in the training data: their figures say little about other photos",
            count(both as u64),
            counted(validation.set().samples.len() as u64, "held-out photo")
        ));
    }
    lines
}
