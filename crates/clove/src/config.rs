//! Configuration files: JSON objects whose errors name the key, with its parents, and the value.

use serde_json::{Map, Value};

use crate::preprocess::PreprocessError;

/// Why a configuration can't be used. The caller adds the path of the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text isn't JSON.
    #[error("not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A required key is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// A key with its parents, its value, which has a wrong type, is out of range or not supported, and what is supported.
    #[error("{0} is {1}: {2}")]
    Value(String, String, &'static str),
    /// Two values contradict each other.
    #[error("{0}")]
    Inconsistent(String),
    /// The settings of the preprocessing can't be used.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
}

/// An object of a configuration. A missing object has no keys.
pub(crate) struct Section<'a> {
    /// The parents, each with a dot.
    path: String,
    keys: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(keys: &'a Map<String, Value>) -> Self {
        Self { path: String::new(), keys: Some(keys) }
    }

    /// The object `key`, without keys where it's missing.
    pub(crate) fn section(&self, key: &str) -> Result<Self, ConfigError> {
        let keys = self.read(key, "a JSON object is needed", Value::as_object)?;
        Ok(Self { path: format!("{}.", self.key(key)), keys })
    }

    /// The object `key`, which must be there.
    pub(crate) fn required(&self, key: &str) -> Result<Self, ConfigError> {
        if self.get(key).is_none() {
            return Err(ConfigError::Missing(self.key(key)));
        }
        self.section(key)
    }

    /// A key with its parents.
    pub(crate) fn key(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    /// A key's value. Both libraries treat null as missing.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.keys?.get(key).filter(|value| !value.is_null())
    }

    /// A key's value as `read` converts it; `None` where the key is missing.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        wanted: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let value = self.get(key);
        value.map(|value| read(value).ok_or_else(|| self.error(key, wanted))).transpose()
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        Ok(self.read(key, "use true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub(crate) fn error(&self, key: &str, wanted: &'static str) -> ConfigError {
        let value = self.get(key).map_or("missing".to_owned(), shortened);
        ConfigError::Value(self.key(key), value, wanted)
    }

    /// Refuses every key that isn't among `known`, unless it is off or has its value among `defaults`, so that it changes nothing.
    pub(crate) fn refuse_unknown(
        &self,
        known: &[&str],
        defaults: &[(&str, Value)],
    ) -> Result<(), ConfigError> {
        for (key, value) in self.keys.into_iter().flatten() {
            let is_off = value.is_null()
                || *value == Value::Bool(false)
                || value.as_object().is_some_and(Map::is_empty);
            if is_off || known.contains(&key.as_str()) {
                continue;
            }
            let default = defaults.iter().find(|(name, _)| name == key).map(|(_, value)| value);
            let wanted = match default {
                // 0 and 0.0 are one number.
                Some(default) if default == value || is_same_number(default, value) => continue,
                Some(_) => "only open_clip's default is supported",
                None => "this key isn't supported; only plain ViT towers are",
            };
            return Err(self.error(key, wanted));
        }
        Ok(())
    }
}

fn is_same_number(left: &Value, right: &Value) -> bool {
    left.as_f64().is_some_and(|left| right.as_f64() == Some(left))
}

/// Parses the text of a configuration, which must be an object.
pub(crate) fn parse(json: &str) -> Result<Map<String, Value>, ConfigError> {
    // Some editors on Windows begin a file with a byte order mark.
    match serde_json::from_str::<Value>(json.trim_start_matches('\u{FEFF}'))? {
        Value::Object(keys) => Ok(keys),
        other => {
            let wanted = "a JSON object is needed";
            Err(ConfigError::Value("the file".to_owned(), shortened(&other), wanted))
        }
    }
}

/// A value as JSON, short enough for one line of an error.
fn shortened(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
