//! JSON objects whose keys must be unique: serde_json's maps keep the last of two equal keys silently.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::DataError;
use crate::text::{self, reason};

/// A JSON object in the file's order, each key once.
#[derive(Debug)]
pub(crate) struct UniqueMap<V>(pub(crate) Vec<(String, V)>);

impl<V> UniqueMap<V> {
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

impl UniqueMap<Value> {
    /// The value of `key`, unless it's null.
    pub(crate) fn not_null(&self, key: &str) -> Option<&Value> {
        self.get(key).filter(|value| !value.is_null())
    }
}

struct UniqueMapVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueMapVisitor(PhantomData))
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
                return Err(A::Error::custom(format_args!("key {key:?} occurs twice")));
            }
            let value = map
                .next_value()
                .map_err(|error| A::Error::custom(format_args!("key {key:?}: {error}")))?;
            entries.push((key, value));
        }
        Ok(UniqueMap(entries))
    }
}

/// A row of a JSON file: errors name the file, the row and the field.
pub(crate) struct Row<'a> {
    pub(crate) path: &'a Path,
    /// The row's number or key.
    pub(crate) name: String,
    pub(crate) fields: UniqueMap<Value>,
}

impl Row<'_> {
    pub(crate) fn wrong(&self, field: &str, problem: &str) -> DataError {
        DataError::field(self.path, &self.name, field, problem)
    }

    fn get(&self, field: &str) -> Result<&Value, DataError> {
        self.fields.get(field).ok_or_else(|| self.wrong(field, "is missing"))
    }

    pub(crate) fn string(&self, field: &str) -> Result<String, DataError> {
        match self.get(field)? {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong(field, &format!("must be a string, not {}", kind(other)))),
        }
    }

    pub(crate) fn strings(&self, field: &str) -> Result<Vec<String>, DataError> {
        let wrong = || self.wrong(field, "must be a list of strings");
        let values = self.get(field)?.as_array().ok_or_else(wrong)?;
        let texts = values.iter().map(|value| Some(value.as_str()?.to_owned()));
        texts.collect::<Option<_>>().ok_or_else(wrong)
    }

    /// A number that isn't negative and has no fraction.
    pub(crate) fn count(&self, field: &str) -> Result<u32, DataError> {
        let found = self.get(field)?.as_u64();
        let found = found.and_then(|number| u32::try_from(number).ok());
        found.ok_or_else(|| self.wrong(field, "must be a whole number from 0"))
    }

    /// A key that is a string or a number.
    pub(crate) fn key(&self, field: &str) -> Result<String, DataError> {
        match self.get(field)? {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(self.wrong(field, "must be a string or a number")),
        }
    }
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    serde_json::from_str(&text::read(path)?).map_err(|error| DataError::parse(path, error))
}

/// Reads a JSON file that is a list of objects, named by their numbers.
pub(crate) fn rows(path: &Path) -> Result<Vec<Row<'_>>, DataError> {
    let rows: Vec<UniqueMap<Value>> = read(path)?;
    let rows = rows.into_iter().enumerate();
    Ok(rows.map(|(number, fields)| Row { path, name: number.to_string(), fields }).collect())
}

/// Reads a file with a JSON object on each line; blank lines are ignored.
pub(crate) fn lines(path: &Path) -> Result<Vec<Row<'_>>, DataError> {
    let content = text::read(path)?;
    let lines = (1..).zip(content.lines()).filter(|(_, line)| !line.trim().is_empty());
    let row = |(number, line): (usize, &str)| {
        let name = format!("line {number}");
        match serde_json::from_str(line) {
            Ok(fields) => Ok(Row { path, name, fields }),
            Err(error) => Err(DataError::row(path, name, error.to_string())),
        }
    };
    lines.map(row).collect()
}

/// The object in `bytes`, or the reason for skipping it.
pub(crate) fn object(bytes: &[u8]) -> Result<UniqueMap<Value>, String> {
    let line = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() + 1;
        reason("not UTF-8", format_args!("at byte {at}; save the file as UTF-8"))
    })?;
    serde_json::from_str(line).map_err(|error| {
        let (message, at) = (error.to_string(), error.column());
        // The line number within a single line is of no use.
        let message = match message.strip_suffix(&format!(" at line 1 column {at}")) {
            Some(message) => format!("{message}, at column {at}"),
            None => message,
        };
        let kind = if error.is_data() { "not a plain JSON object" } else { "not JSON" };
        reason(kind, message)
    })
}

/// The reason for skipping a value of a wrong type.
pub(crate) fn wrong_type(key: &str, expected: &str, value: &Value) -> String {
    reason("wrong type", format_args!("{key} must be {expected}, not {}", kind(value)))
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
