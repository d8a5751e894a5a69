//! Class names and prompt templates in the files of LAION-AI/CLIP_benchmark (clip_benchmark/datasets/en_classnames.json and
//! en_zeroshot_classification_templates.json): one object, `{data set: [text, ...]}`. Called by `clove eval` on image-class sets.

use std::path::Path;

use serde_json::Value;

use crate::DataError;
use crate::json::{self, UniqueMap};

/// The texts of the data set `name` in one of the two files.
///
/// # Errors
/// A data set that the file lacks (the error lists those it has), one that is empty, or one that is no list of strings.
pub fn read(path: &Path, name: &str) -> Result<Vec<String>, DataError> {
    let sets: UniqueMap<Value> = json::read(path)?;
    let problem = match sets.get(name) {
        Some(Value::Array(values)) if !values.is_empty() => {
            let texts = values.iter().enumerate().map(|(at, value)| match value {
                Value::String(text) => Ok(text.clone()),
                other => {
                    let problem = format!("must be a string, not {}", json::kind(other));
                    Err(DataError::field(path, name, &at.to_string(), &problem))
                }
            });
            return texts.collect();
        }
        Some(Value::Array(_)) => "the list is empty".to_owned(),
        Some(other) => format!("must be a list of strings, not {}", json::kind(other)),
        None => {
            let mut names: Vec<&str> = sets.0.iter().map(|(key, _)| key.as_str()).collect();
            names.sort_unstable();
            format!("not in this file, which has {}", names.join(", "))
        }
    };
    Err(DataError::row(path, name, problem))
}
