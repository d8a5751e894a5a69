//! Resuming: the run must be the one that was started. Some keys may change, and every change is said in words.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clove::model::ClipConfig;
use clove::preprocess::Preprocess;
use clove::train::TrainConfig;
use clove::weights::{Directory, ModelSource};
use clove_data::run::{Checkpoint, RunFolder};
use clove_data::sets::IndexedSet;
use serde::Deserialize;
use toml::{Table, Value};

use crate::config::{Config, Inputs, PATHS, Precision};
use crate::error::{Context as _, Result, bail};
use crate::inputs::of_preprocess;
use crate::samples::Samples;
use crate::start::Parts;
use crate::words::count;

/// Keys that don't change what is learned from here on.
const FREE: [&str; 6] = [
    "train.checkpoint_every",
    "train.keep",
    "train.recoveries",
    "validation.every",
    "validation.patience",
    "data.unreadable",
];

/// Keys that change only how numbers are rounded.
const ROUNDING: [&str; 3] = ["train.micro_batch", "train.checkpointing", "loss.fused"];

const STEPS: &str = "train.steps";

/// What to do with a run that can't be resumed.
const ANEW: &str = "to begin anew, delete the run's folder and omit --resume";

/// A run in its folder.
pub struct Recorded {
    /// The text of its run.toml.
    pub text: String,
    config: Config,
}

/// The place of a line in metrics.jsonl.
#[derive(Deserialize)]
struct Step {
    step: usize,
}

impl Recorded {
    /// Reads the run.toml of a run.
    pub fn read(out: &Path) -> Result<Self> {
        let text = RunFolder::recorded(out)?;
        let config = Config::from_toml(&out.join("run.toml").display().to_string(), &text)?;
        Ok(Self { text, config })
    }

    /// The checkpoint to resume from; `None` if the run was ended before the first. A run whose checkpoints are lost isn't begun anew.
    pub fn checkpoint(&self, out: &Path) -> Result<Option<Checkpoint>> {
        let latest = RunFolder::look(out)?;
        if latest.checkpoint.is_some() {
            return Ok(latest.checkpoint);
        }
        let place = out.display();
        if !latest.damaged.is_empty() {
            let damaged: Vec<String> =
                latest.damaged.into_iter().map(|(_, damage)| damage).collect();
            bail!(
                "{place}: every checkpoint is damaged: {}; restore one from a copy; {ANEW}",
                damaged.join("; ")
            );
        }
        if let Some(step) = RunFolder::last_saved(out) {
            bail!(
                "{place}: the checkpoint of step {step} and all others are gone; restore one from a copy; {ANEW}"
            );
        }
        // Earlier versions don't note it, but write a line for each step.
        let steps = taken(&out.join("metrics.jsonl"));
        if steps > self.config.train.checkpoint_every {
            bail!(
                "{place}: metrics.jsonl has {} steps, but there is no checkpoint; restore one from a copy; {ANEW}",
                count(steps as u64)
            );
        }
        Ok(None)
    }

    /// Takes over what the configuration leaves to the program, and what follows from the number of steps.
    pub fn adopt(&self, config: &mut Config) {
        let (train, recorded) = (&mut config.train, &self.config.train);
        if train.micro_batch == 0 {
            train.micro_batch = recorded.micro_batch;
        }
        if train.precision == Precision::Auto {
            train.precision = recorded.precision;
        }
        let usual = TrainConfig::new(train.steps).schedule.warmup;
        if train.steps != recorded.steps && config.optimizer.warmup == Some(usual) {
            // A run that is extended has had its warm-up.
            config.optimizer.warmup = self.config.optimizer.warmup;
        }
    }

    /// Compares the run with one of this configuration that resumes after `step`. Returns what changed, in lines.
    ///
    /// # Errors
    /// If something changed that can't.
    pub fn compare(&self, config: &Config, step: usize, samples: &Samples) -> Result<Vec<String>> {
        let (mut notes, mut refused) = (Vec::new(), Vec::new());
        let inputs = self.config.inputs.as_ref();
        if self.has_secrets() {
            notes.push(
                "note: the run is of an earlier version, which kept addresses whole: run.toml is written anew without their secrets; make \
                 sure that the data are the same"
                    .to_owned(),
            );
        }
        if inputs.is_none() && config.inputs.is_some() {
            notes.push(
                "note: the run is of an earlier version, which didn't note what it read: make sure that the model and the held-out data \
                 are the same; from now on changes are noticed"
                    .to_owned(),
            );
        }
        if step > 0
            && let Some(now) = &config.inputs
        {
            notes.extend(now.other_negatives(inputs.unwrap_or(&Inputs::default())));
        }
        let (old, new) = (flat(&self.config.absolute())?, flat(&config.absolute())?);
        let keys: Vec<&String> =
            old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
        for key in keys {
            let (was, is) = (old.get(key), new.get(key));
            // Runs of earlier versions are read with all splits.
            let is_of_earlier = key.ends_with(".splits") && inputs.is_none();
            if was == is || key.starts_with("inputs.") || key == "data.digest" || is_of_earlier {
                continue;
            }
            let change = format!("{key}: {} in the run, {} now", shown(was), shown(is));
            let name = key.rsplit('.').next().unwrap_or_default();
            if key == STEPS {
                let steps = config.train.steps;
                if steps < step {
                    bail!(
                        "{}: {change}, but the run has taken {step}; give at least as many",
                        config.out.display()
                    );
                }
                notes.push(format!(
                    "{change}: from step {step} on, the learning rate follows the schedule of {} steps",
                    count(steps as u64)
                ));
            } else if FREE.contains(&key.as_str())
                // What they change are the inputs, which are compared.
                || name == "splits"
                || (PATHS.contains(&name) && inputs.is_some())
            {
                notes.push(change);
            } else if ROUNDING.contains(&key.as_str()) {
                notes.push(format!("{change}: numbers are rounded otherwise from here on"));
            } else {
                refused.push(change);
            }
        }
        if !refused.is_empty() {
            bail!(
                "{}: a resumed run keeps its configuration: {}; undo the change, or start another run with another `out`",
                config.out.join("run.toml").display(),
                refused.join("; ")
            );
        }
        // Other keys often mean other inputs, so they are told first.
        self.compare_inputs(config, samples)?;
        Ok(notes)
    }

    /// Refuses other inputs.
    fn compare_inputs(&self, config: &Config, samples: &Samples) -> Result<()> {
        let none = Inputs::default();
        let before = self.config.inputs.as_ref().unwrap_or(&none);
        let now = config.inputs.as_ref().unwrap_or(&none);
        // Preprocessing comes from the checkpoint.
        let mut before = Inputs { preprocessing: None, ..before.clone() };
        if self.has_secrets() {
            before.held_out_digest = None;
        }
        let before = &before;
        let mut changes = now.changes(before, config);
        if self.has_other_set(config, samples)? {
            changes.push(now.change_of_set(before, config));
        }
        if changes.is_empty() {
            return Ok(());
        }
        bail!(
            "{}: what the run reads has changed since it began: {}; undo the change, or start another run with another `out`",
            config.out.display(),
            changes.join("; ")
        )
    }

    /// Whether the run is of an earlier version, whose addresses, and with them the digests of sets, had signatures.
    fn has_secrets(&self) -> bool {
        self.config.shown() != self.config
    }

    /// Whether the training set is another one. Versions that didn't note what they read had another digest, of the images' paths.
    fn has_other_set(&self, config: &Config, samples: &Samples) -> Result<bool> {
        let (before, now) = (&self.config.data.digest, &config.data.digest);
        let differ = before.is_some() && now.is_some() && before != now && !self.has_secrets();
        Ok(differ && samples.set().map(IndexedSet::digest).transpose()? != *before)
    }
}

/// Steps in metrics.jsonl. A line that was cut doesn't count.
fn taken(metrics: &Path) -> usize {
    let text = fs::read(metrics).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    let steps = lines.filter_map(|line| serde_json::from_slice::<Step>(line).ok());
    steps.map(|line| line.step + 1).max().unwrap_or(0)
}

/// The values of a configuration by their dotted keys, such as `data.sets[1].path`.
fn flat(config: &Config) -> Result<BTreeMap<String, Value>> {
    fn add(prefix: &str, table: Table, into: &mut BTreeMap<String, Value>) {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            match value {
                Value::Table(table) => add(&format!("{key}."), table, into),
                Value::Array(values) if values.iter().any(Value::is_table) => {
                    for (number, value) in values.into_iter().enumerate() {
                        if let Value::Table(table) = value {
                            add(&format!("{key}[{number}]."), table, into);
                        }
                    }
                }
                value => drop(into.insert(key, value)),
            }
        }
    }
    let mut found = BTreeMap::new();
    add("", Table::try_from(config.shown())?, &mut found);
    Ok(found)
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "unset".to_owned(), ToString::to_string)
}

/// The preprocessing of the run, where the model's has changed since, with a line that says so.
///
/// # Errors
/// If the checkpoint can't be read, or the model's configuration has changed.
pub fn preprocess(checkpoint: &Checkpoint, parts: &Parts) -> Result<Option<(Preprocess, String)>> {
    let source = ModelSource::open(Box::new(Directory(checkpoint.dir.clone())))?;
    // The model's configuration as it's written, because layouts express some things in different ways.
    let own = parts.config.to_hugging_face().to_string();
    let own = ClipConfig::from_hugging_face(&own).context("model.init")?;
    let from = parts.directory().map_or_else(|| "the model".to_owned(), ModelSource::place);
    if own != *source.config() {
        bail!(
            "{from}: its configuration has changed since the run began (model.init); undo the change"
        );
    }
    let preprocess = source.preprocess()?;
    if of_preprocess(&preprocess) == of_preprocess(&parts.preprocess) {
        return Ok(None);
    }
    let line = format!(
        "note: the preprocessing of {from} has changed since the run began; the run keeps its own"
    );
    Ok(Some((preprocess, line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_taken_are_those_of_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics.jsonl");
        assert_eq!(taken(&file), 0);
        fs::write(&file, "{\"step\":0}\n{\"step\":1,\"loss\":null}\n{\"st").unwrap();
        assert_eq!(taken(&file), 2);
    }

    #[test]
    fn keys_of_sets_have_their_numbers() {
        let set = "[[data.sets]]\nkind = \"folder\"\npath = \"a\"\n";
        let text = format!("[model]\nshape = \"scenes\"\n{set}{}", set.replace("\"a\"", "\"b\""));
        let config = Config::from_toml("x.toml", &text).unwrap();
        let found = flat(&config).unwrap();
        assert_eq!(found["data.sets[1].path"], Value::String("b".to_owned()));
        assert_eq!(found["train.keep"], Value::Integer(2));
    }
}
