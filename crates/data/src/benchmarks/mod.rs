//! Benchmark files, read into the rows that `clove::evaluate` owns. Called by `clove eval` and `clove patch --sweep`.

pub mod aro;
pub mod class_set;
pub mod cola;
pub mod own;
pub mod sugar_crepe;
pub mod sugar_crepe_pp;
pub mod svo_probes;
pub mod winoground;
pub mod zero_shot;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use clove::evaluate::TrialSet;
use clove::preprocess::CropBox;
use serde_json::Value;

use crate::DataError;
use crate::json::UniqueMap;
use crate::sets::ImagePlace;

/// A benchmark of trials, as its files describe it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Benchmark {
    /// Its parts.
    pub sets: Vec<TrialSet>,
    /// Where photos are that aren't files of the name that trials have for them.
    pub places: HashMap<String, Place>,
    /// What of the files isn't counted, by the benchmark's own protocol.
    pub notes: Vec<String>,
}

/// Where a photo is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A part of the photo of that file name; the rest isn't seen.
    Part(String, CropBox),
    /// There.
    At(ImagePlace),
}

/// A row of a JSON file, whose fields are named in errors.
struct Row<'a> {
    path: &'a Path,
    /// The row's number or key.
    name: String,
    fields: &'a UniqueMap<Value>,
}

impl Row<'_> {
    fn wrong(&self, field: &str, problem: impl Into<String>) -> DataError {
        DataError::Field {
            path: self.path.to_owned(),
            row: self.name.clone(),
            field: field.to_owned(),
            problem: problem.into(),
        }
    }

    fn get(&self, field: &str) -> Result<&Value, DataError> {
        let mut fields = self.fields.0.iter();
        let found = fields.find(|(key, _)| key == field);
        let (_, value) = found.ok_or_else(|| self.wrong(field, "is missing"))?;
        Ok(value)
    }

    fn string(&self, field: &str) -> Result<String, DataError> {
        let text = self.fields.string(field, &self.name, self.path)?;
        Ok(text.to_owned())
    }

    fn strings(&self, field: &str) -> Result<Vec<String>, DataError> {
        let wrong = || self.wrong(field, "must be a list of strings");
        let values = self.get(field)?.as_array().ok_or_else(wrong)?;
        let texts = values.iter().map(|value| Some(value.as_str()?.to_owned()));
        texts.collect::<Option<_>>().ok_or_else(wrong)
    }

    /// A number that isn't negative and has no fraction.
    fn count(&self, field: &str) -> Result<u32, DataError> {
        let found = self.get(field)?.as_u64();
        let found = found.and_then(|number| u32::try_from(number).ok());
        found.ok_or_else(|| self.wrong(field, "must be a whole number from 0"))
    }

    /// A key that's written as a string or as a number.
    fn key(&self, field: &str) -> Result<String, DataError> {
        match self.get(field)? {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(self.wrong(field, "must be a string or a number")),
        }
    }
}

/// Refuses a key that stands twice.
fn unique<'a>(path: &Path, keys: impl Iterator<Item = &'a String>) -> Result<(), DataError> {
    let mut seen = HashSet::new();
    for key in keys {
        if !seen.insert(key) {
            return Err(DataError::Row {
                path: path.to_owned(),
                row: key.clone(),
                problem: "an earlier row has the same id".to_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses a folder that lacks files.
fn missing(dir: &Path, names: &[String], source: &'static str) -> Result<(), DataError> {
    let is_missing = |name: &&String| !dir.join(name).is_file();
    let missing: Vec<String> = names.iter().filter(is_missing).cloned().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(DataError::MissingFiles { folder: dir.to_owned(), names: missing, source_of_files: source })
}
