//! JSON objects whose keys must be unique: serde_json's own maps keep the last of two equal keys and say nothing.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::DataError;
use crate::text::{self, reason};

/// A JSON object in the file's order, every key once.
#[derive(Debug)]
pub(crate) struct UniqueMap<V>(pub(crate) Vec<(String, V)>);

struct UniqueMapVisitor<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueMapVisitor(std::marker::PhantomData))
    }
}

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueMapVisitor<V> {
    type Value = UniqueMap<V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = HashSet::new();
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0));
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format_args!("key {key:?} stands twice")));
            }
            let value = map
                .next_value()
                .map_err(|error| A::Error::custom(format_args!("key {key:?}: {error}")))?;
            entries.push((key, value));
        }
        Ok(UniqueMap(entries))
    }
}

impl UniqueMap<Value> {
    /// The string in `field`; `row` and `path` name the place in errors.
    pub(crate) fn string(&self, field: &str, row: &str, path: &Path) -> Result<&str, DataError> {
        let problem = match self.0.iter().find(|(key, _)| key == field) {
            Some((_, Value::String(text))) => return Ok(text),
            Some((_, other)) => format!("must be a string, not {}", kind(other)),
            None => "is missing".to_owned(),
        };
        Err(DataError::Field {
            path: path.to_owned(),
            row: row.to_owned(),
            field: field.to_owned(),
            problem,
        })
    }
}

/// The object that `bytes` are; else a reason to leave them out.
pub(crate) fn object(bytes: &[u8]) -> Result<UniqueMap<Value>, String> {
    let line = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() + 1;
        reason("not UTF-8", format_args!("at byte {at}; save the file as UTF-8"))
    })?;
    serde_json::from_str(line).map_err(|error| {
        let (message, at) = (error.to_string(), error.column());
        // Where the object is one line, its number says nothing.
        let message = match message.strip_suffix(&format!(" at line 1 column {at}")) {
            Some(message) => format!("{message}, at column {at}"),
            None => message,
        };
        let kind = if error.is_data() { "not a plain JSON object" } else { "not JSON" };
        reason(kind, message)
    })
}

/// Reads a JSON file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    serde_json::from_str(&text::read(path)?)
        .map_err(|source| DataError::Json { path: path.to_owned(), source })
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
