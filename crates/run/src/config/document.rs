//! A configuration file with settings from the command line. Errors name the key and its source.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use strsim::levenshtein;
use toml::{Table, Value};

use crate::error::{Context as _, Error, Result};

/// A setting such as `train.batch=32`, which overrides the file.
#[derive(Debug, Clone)]
pub struct Setting {
    key: String,
    value: Value,
}

impl FromStr for Setting {
    type Err = String;

    /// Parses `KEY=VALUE`. A value that isn't TOML is a string, since the shell strips quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a setting is KEY=VALUE, such as train.batch=32".to_owned();
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (key.trim(), value.trim());
        if key.split('.').any(str::is_empty) || value.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            key: key.to_owned(),
            value: value.parse().unwrap_or_else(|_| Value::String(value.to_owned())),
        })
    }
}

#[derive(Debug)]
pub struct Document {
    file: String,
    pub table: Table,
    set: BTreeSet<String>,
}

impl Document {
    pub fn read(path: &Path, settings: &[Setting]) -> Result<Self> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| file.clone())?;
        Self::parse(file, &text, settings)
    }

    pub fn parse(file: String, text: &str, settings: &[Setting]) -> Result<Self> {
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = 1 + before.matches('\n').count();
            Error::Wrong(format!("{file}:{line}: {}", error.message()))
        })?;
        let mut set = BTreeSet::new();
        for Setting { key, value } in settings {
            let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
            let mut inner = &mut table;
            for part in tables.split('.').filter(|part| !part.is_empty()) {
                let below = inner.entry(part).or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(below) = below else {
                    return Err(Error::Wrong(format!("--set {key}: {part} isn't a table")));
                };
                inner = below;
            }
            inner.insert(name.to_owned(), value.clone());
            set.insert(key.clone());
        }
        without_empty(&mut table);
        Ok(Self { file, table, set })
    }

    pub fn is_set(&self, key: &str) -> bool {
        self.set.contains(key)
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut inner = &self.table;
        for part in tables.split('.').filter(|part| !part.is_empty()) {
            inner = inner.get(part)?.as_table()?;
        }
        inner.get(name)
    }

    /// The value of a key as a type, if given.
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let value = self.get(key).map(|value| value.clone().try_into());
        let value = value.transpose();
        value.map_err(|error: toml::de::Error| self.wrong(key, error.message()))
    }

    pub fn remove(&mut self, key: &str) {
        if let Some((table, name)) = key.rsplit_once('.')
            && let Some(Value::Table(table)) = self.table.get_mut(table)
        {
            table.remove(name);
        }
    }

    pub fn wrong(&self, key: &str, problem: impl Display) -> Error {
        Error::Wrong(if self.set.contains(key) {
            format!("--set {key}: {problem}")
        } else {
            format!("{}: {key}: {problem}", self.file)
        })
    }

    pub fn refuse(&self, key: &str, reason: &str) -> Result<()> {
        match self.get(key) {
            Some(_) => Err(self.wrong(key, reason)),
            None => Ok(()),
        }
    }

    /// Refuses unknown keys and suggests the nearest known one.
    pub fn check_names(&self, known: &BTreeSet<String>) -> Result<()> {
        let mut given = Vec::new();
        leaves("", &self.table, &mut given);
        for key in given {
            // Sets of a mixture have the keys of `data.sets`.
            let (place, general) = match key.strip_prefix("data.sets[") {
                Some(rest) => {
                    let name = rest.split_once("].").map_or(rest, |(_, name)| name);
                    let place = &key[..key.len() - name.len()];
                    (place.to_owned(), format!("data.sets.{name}"))
                }
                None => (String::new(), key.clone()),
            };
            if known.contains(&general) {
                continue;
            }
            if let Some(keys) = keys_of(&general, known) {
                return Err(self.wrong(&key, format!("is a table; set one of its keys: {keys}")));
            }
            let is_near = |other: &&String| place.is_empty() != other.starts_with("data.sets.");
            let nearest = nearest(&general, known.iter().filter(is_near));
            let nearest = nearest.replacen("data.sets.", &place, usize::from(!place.is_empty()));
            let problem = format!("unknown key; the nearest is {nearest}");
            return Err(self.wrong(&key, problem));
        }
        Ok(())
    }
}

fn without_empty(table: &mut Table) {
    for value in table.iter_mut().map(|(_, value)| value) {
        if let Value::Table(inner) = value {
            without_empty(inner);
        }
    }
    table.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
}

/// The dotted keys of all values, such as `optimizer.learning_rate` and `data.sets[1].path`.
pub(super) fn leaves(prefix: &str, table: &Table, into: &mut Vec<String>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(table) => leaves(&format!("{key}."), table, into),
            Value::Array(values) if values.iter().any(Value::is_table) => {
                for (number, value) in values.iter().enumerate() {
                    if let Value::Table(table) = value {
                        leaves(&format!("{key}[{number}]."), table, into);
                    }
                }
            }
            _ => into.push(key),
        }
    }
}

/// The keys of a table.
fn keys_of(table: &str, known: &BTreeSet<String>) -> Option<String> {
    let start = format!("{table}.");
    let keys: Vec<&str> =
        known.iter().filter(|key| key.starts_with(&start)).map(String::as_str).collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}

/// The known key nearest to another.
pub fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> &'a str {
    let nearest = known.min_by_key(|known| distance(key, known));
    nearest.map_or("", String::as_str)
}

/// Distance of two keys: the edits between their last parts, plus one if their tables differ.
fn distance(key: &str, known: &str) -> (usize, usize) {
    let split = |key| str::rsplit_once(key, '.').unwrap_or(("", key));
    let ((table, name), (other_table, other_name)) = (split(key), split(known));
    let tables = levenshtein(table, other_table);
    (levenshtein(name, other_name) + usize::from(tables > 0), tables)
}
