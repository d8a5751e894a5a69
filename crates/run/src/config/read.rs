//! Reads a [`Config`]: checks names and conflicts, adds defaults, checks types and values.

use std::collections::BTreeSet;
use std::path::Path;

use clove::train::TrainConfig;
use clove_data::run::RunFolder;
use clove_lab::Recipe;
use toml::{Table, Value};

use super::check;
use super::document::{Document, Setting};
use super::example::{dotted, is_table};
use super::{
    Captions, Config, Data, Kind, Model, Negatives, Optimizer, SetSettings, Start, Style, TABLES,
    TextKind, Training,
};
use crate::error::{Result, bail};

/// The resolved configuration in a run's folder.
const RUN: &str = "run.toml";

/// Maximum number of steps, against typing errors.
pub(super) const MOST_STEPS: usize = 1_000_000_000;

impl Config {
    /// Reads a configuration file. `settings` override its keys.
    ///
    /// # Errors
    /// If it can't be read or is invalid. Names the file and the key, and the nearest key to an unknown one.
    pub fn read(path: &Path, settings: &[Setting]) -> Result<Self> {
        Self::of(Document::read(path, settings)?)
    }

    /// [`Self::read`] for a run that is resumed. The run.toml of a run doesn't name its folder, which it's in.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_to_resume(path: &Path, settings: &[Setting]) -> Result<Self> {
        let document = Document::read(path, settings)?;
        let has_out = document.get("out").is_some();
        let mut config = Self::of(document)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let is_of_run = path.ends_with(RUN) && folder.join("checkpoints").is_dir();
        if is_of_run && !has_out {
            config.out = Path::new(".").join(folder);
        }
        Ok(config)
    }

    /// Reads the run.toml of the run in a folder, which is `out` unless a setting is.
    ///
    /// # Errors
    /// As [`Self::read`], and if there is no run.
    pub fn of_run(run: &Path, settings: &[Setting]) -> Result<Self> {
        let text = RunFolder::recorded(run)?;
        let file = run.join(RUN).display().to_string();
        let document = Document::parse(file, &text, settings)?;
        let is_set = document.is_set("out");
        if document.get("out").is_some() && !is_set {
            let problem = "a run's run.toml has no such key: this is a configuration; resume it with `clove train CONFIG.toml --resume`";
            return Err(document.wrong("out", problem));
        }
        let mut config = Self::of(document)?;
        if !is_set {
            run.clone_into(&mut config.out);
        }
        Ok(config)
    }

    /// Parses a configuration. Errors call it `name`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_toml(name: &str, text: &str) -> Result<Self> {
        Self::of(Document::parse(name.to_owned(), text, &[])?)
    }

    fn of(mut document: Document) -> Result<Self> {
        document.check_names(&known())?;
        either(&mut document, ["model.init", "model.shape"], "give either init or shape")?;
        either(&mut document, ["train.steps", "train.epochs"], "give either steps or epochs")?;
        check::beside(&document)?;
        let defaults = Self::defaults(&document)?;
        let mut table = Table::try_from(&defaults)?;
        overlay(&mut table, &document.table);
        let mut config: Self =
            Value::Table(table).try_into().map_err(|error| mistyped(&document, &error))?;
        config.complete(&document);
        check::values(&config, &document)?;
        Ok(config)
    }

    /// The defaults, which depend on the model and the data.
    fn defaults(document: &Document) -> Result<Self> {
        let model = Model {
            init: document.take("model.init")?,
            shape: document.take("model.shape")?,
            ..Model::default()
        };
        if model.init.is_none() && model.shape.is_none() {
            return Err(document.wrong(
                "model.init",
                "is missing; give a model directory, or \"scenes\" for the built-in scene model",
            ));
        }
        // Scene models have recipes of their own.
        let recipe = match model.start() {
            Start::Blank | Start::Described(_) => Recipe::PRETRAINING,
            Start::Pretrained | Start::Directory(_) => Recipe::FINE_TUNING,
        };
        let base = match model.start() {
            Start::Directory(_) => TrainConfig::new(1),
            _ => recipe.train_config(),
        };
        let kind = check::kind(document)?;
        let texts = document.take("data.texts")?.unwrap_or(TextKind::Captions);
        let is_scenes = kind == Kind::Scenes;
        let crop = Self::default().crop();
        let data = Data {
            kind,
            scenes: is_scenes.then_some((recipe.steps * recipe.batch) as u64),
            texts: is_scenes.then_some(texts),
            crop_scale: (!is_scenes).then_some(crop.scale.into()),
            crop_ratio: (!is_scenes).then_some(crop.ratio.into()),
            unreadable: (!is_scenes).then_some(Data::BEARABLE),
            ..Data::default()
        };
        let negatives = Negatives {
            style: match texts {
                TextKind::Captions if is_scenes => Style::Mixed,
                _ if check::brings_negatives(document) => Style::File,
                _ => Style::None,
            },
            ..Negatives::default()
        };
        Ok(Self {
            data,
            negatives,
            optimizer: Optimizer {
                learning_rate: base.schedule.peak,
                image_rate: base.image_rate,
                clip_norm: base.clip_norm.unwrap_or(f64::INFINITY),
                ..Optimizer::default()
            },
            train: Training { batch: recipe.batch, ..Training::default() },
            ..Self::default()
        })
    }

    /// Fills in values that follow from others.
    fn complete(&mut self, document: &Document) {
        unless_usual(&mut self.data.captions);
        unless_usual(&mut self.data.columns);
        for set in &mut self.data.sets {
            unless_usual(&mut set.captions);
            unless_usual(&mut set.columns);
        }
        unless_usual(&mut self.data.filter);
        if self.train.steps == 0 && document.get("train.steps").is_none() {
            self.train.epochs.get_or_insert(1.0);
        }
        let Some(validation) = &mut self.validation else {
            return;
        };
        if document.get("validation.kind").is_none() {
            validation.kind = self.data.kind;
        }
        if document.get("validation.every").is_none() {
            validation.every = self.train.checkpoint_every;
        }
        // Held-out captions of the same kind default to the fields of the training data.
        let is_alike = validation.kind == self.data.kind;
        if validation.columns.is_none() && is_alike {
            validation.columns.clone_from(&self.data.columns);
        }
        unless_usual(&mut validation.columns);
        let alike = self.data.captions.as_ref().filter(|_| is_alike);
        let fields = validation.captions.take().or_else(|| alike.cloned());
        let fields = fields.map_or_else(Vec::new, |captions| captions.fields);
        validation.captions =
            (!fields.is_empty()).then(|| Captions { fields, ..Captions::default() });
    }

    /// Fills in values that depend on the number of samples.
    ///
    /// # Errors
    /// If there are too many steps.
    pub fn resolve(&mut self, samples: u64) -> Result<()> {
        if let Some(epochs) = self.train.epochs.take() {
            let steps = (epochs * samples as f64 / self.train.batch as f64).ceil();
            if steps > MOST_STEPS as f64 {
                bail!(
                    "train.epochs: {epochs} epochs are {steps} steps; the maximum is {MOST_STEPS}"
                );
            }
            self.train.steps = (steps as usize).max(1);
        }
        let usual = TrainConfig::new(self.train.steps).schedule.warmup;
        self.optimizer.warmup.get_or_insert(usual);
        Ok(())
    }
}

/// Removes a table that has the defaults alone.
fn unless_usual<T: Default + PartialEq>(table: &mut Option<T>) {
    table.take_if(|table| *table == T::default());
}

/// All keys, dotted.
pub(super) fn known() -> BTreeSet<String> {
    let names =
        TABLES.iter().flat_map(|(table, keys)| keys.iter().map(move |key| dotted(table, key.name)));
    names.filter(|name| name == "data.sets" || !is_table(name)).collect()
}

/// Refuses two keys that exclude each other. A key given by a setting replaces the other one in the file.
fn either(document: &mut Document, keys: [&str; 2], problem: &str) -> Result<()> {
    if keys.iter().any(|key| document.get(key).is_none()) {
        return Ok(());
    }
    match keys.map(|key| document.is_set(key)) {
        [true, false] => document.remove(keys[1]),
        [false, true] => document.remove(keys[0]),
        _ => return Err(document.wrong(keys[1], problem)),
    }
    Ok(())
}

fn overlay(table: &mut Table, over: &Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(Value::Table(table)), Value::Table(over)) => overlay(table, over),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

/// An error about a value of the wrong type, with its key.
fn mistyped(document: &Document, error: &toml::de::Error) -> crate::Error {
    // Parse each set on its own to find its number.
    if let Some(Value::Array(sets)) = document.get("data.sets") {
        for (number, set) in sets.iter().enumerate() {
            let set: Result<SetSettings, toml::de::Error> = set.clone().try_into();
            if let Err(error) = set {
                let place = format!("data.sets[{number}].{}", key_of(&error));
                return document.wrong(place.trim_end_matches('.'), error.message());
            }
        }
    }
    document.wrong(&key_of(error), error.message())
}

/// The key on the last line of an error of `toml`.
fn key_of(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let key = last.strip_prefix("in `").and_then(|key| key.strip_suffix('`'));
    key.unwrap_or_default().to_owned()
}
