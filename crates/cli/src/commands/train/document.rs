//! A configuration file with the command line's settings laid over it, read key by key: every message names the key and where
//! it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::args::Setting;

/// Keys with their values, dotted: `optimizer.learning_rate`.
#[derive(Debug)]
pub struct Document {
    file: String,
    /// What stands for `data.` where the keys are those of one of several sets: `data.sets[1].`.
    place: Option<String>,
    left: BTreeMap<String, Value>,
    /// Keys that the command line set.
    set: BTreeSet<String>,
    known: Vec<&'static str>,
}

impl Document {
    /// Reads a file.
    pub fn read(path: &Path, settings: &[Setting]) -> Result<Self> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| file.clone())?;
        Self::parse(file, &text, settings)
    }

    fn parse(file: String, text: &str, settings: &[Setting]) -> Result<Self> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = 1 + before.matches('\n').count();
            anyhow!("{file}:{line}: {}", error.message())
        })?;
        let mut left = BTreeMap::new();
        flatten("", table, &mut left);
        let mut set = BTreeSet::new();
        for setting in settings {
            set.insert(setting.key.clone());
            left.insert(setting.key.clone(), setting.value.clone());
        }
        Ok(Self {
            file,
            place: None,
            left,
            set,
            known: Vec::new(),
        })
    }

    /// The keys of one of several sets, as if they stood under `data`. Messages name the place.
    pub fn within(&self, place: &str, table: Table) -> Self {
        let mut left = BTreeMap::new();
        flatten("data.", table, &mut left);
        Self {
            file: self.file.clone(),
            place: Some(format!("{place}.")),
            left,
            set: BTreeSet::new(),
            known: Vec::new(),
        }
    }

    /// A key as the user wrote it.
    fn written(&self, key: &str) -> String {
        match (&self.place, key.strip_prefix("data.")) {
            (Some(place), Some(name)) => format!("{place}{name}"),
            _ => key.to_owned(),
        }
    }

    /// Whether the key was given.
    pub fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// Takes the value of a key that can be left out.
    pub fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Result<Option<T>> {
        self.known.push(key);
        let Some(value) = self.left.remove(key) else {
            return Ok(None);
        };
        match value.try_into() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.wrong(key, error.message())),
        }
    }

    /// Takes the value of a key that has a default, and checks it.
    pub fn get<T: DeserializeOwned + Copy>(
        &mut self,
        key: &'static str,
        default: T,
        allowed: impl FnOnce(T) -> bool,
        rule: &str,
    ) -> Result<T> {
        let Some(value) = self.take(key)? else {
            return Ok(default);
        };
        if !allowed(value) {
            return Err(self.wrong(key, rule));
        }
        Ok(value)
    }

    /// Takes the values of two keys that exclude each other. One from the command line takes the place of the other in the file.
    pub fn take_either<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        keys: [&'static str; 2],
        problem: &str,
    ) -> Result<(Option<A>, Option<B>)> {
        let set = keys.map(|key| self.set.contains(key));
        match (self.take(keys[0])?, self.take(keys[1])?) {
            (Some(_), Some(_)) if set[0] == set[1] => Err(self.wrong(keys[1], problem)),
            (first, Some(_)) if set[0] => Ok((first, None)),
            (Some(_), second) if set[1] => Ok((None, second)),
            both => Ok(both),
        }
    }

    /// Refuses keys that mean nothing beside others.
    pub fn refuse(&mut self, keys: &[&'static str], reason: &str) -> Result<()> {
        self.known.extend(keys);
        match keys.iter().find(|key| self.has(key)) {
            Some(key) => Err(self.wrong(key, reason)),
            None => Ok(()),
        }
    }

    /// What is wrong with a key's value.
    pub fn wrong(&self, key: &str, problem: impl std::fmt::Display) -> Error {
        if self.set.contains(key) {
            anyhow!("--set {key}: {problem}")
        } else {
            anyhow!("{}: {}: {problem}", self.file, self.written(key))
        }
    }

    /// Refuses what no one asked for.
    pub fn finish(self) -> Result<()> {
        let Some(key) = self.left.keys().next() else {
            return Ok(());
        };
        let nearest = self.known.iter().min_by_key(|known| distance(key, known));
        match nearest {
            Some(nearest) => Err(self.wrong(
                key,
                format!(
                    "there is no such key; the nearest is {}",
                    self.written(nearest)
                ),
            )),
            None => bail!("{}: {}: there is no such key", self.file, self.written(key)),
        }
    }
}

/// The values below a table. An empty table has none, and is kept: it may be misspelt.
fn flatten(prefix: &str, table: Table, into: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(table) if table.is_empty() => {}
            Value::Table(table) => flatten(&format!("{key}."), table, into),
            value => drop(into.insert(key, value)),
        }
    }
}

/// How far a key is from one that exists: the edits between their last parts, and one if the table is another.
fn distance(key: &str, known: &str) -> (usize, usize) {
    let split = |key: &str| -> (String, String) {
        let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
        (table.to_owned(), name.to_owned())
    };
    let ((table, name), (other_table, other_name)) = (split(key), split(known));
    let tables = edits(&table, &other_table);
    (edits(&name, &other_name) + usize::from(tables > 0), tables)
}

/// Levenshtein's distance.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, left) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (place, right) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{Document, edits};

    #[test]
    fn edits_are_counted() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("rate", "rate", 0),
            ("lerning", "learning", 1),
        ] {
            assert_eq!(edits(left, right), expected, "{left} {right}");
            assert_eq!(edits(right, left), expected, "{left} {right}");
        }
    }

    #[test]
    fn a_misspelt_key_is_told_the_nearest() {
        for (text, nearest) in [
            (
                "[optimizer]\nlerning_rate = 1.0\n",
                "optimizer.learning_rate",
            ),
            (
                "[optimiser]\nlearning_rate = 1.0\n",
                "optimizer.learning_rate",
            ),
            ("learning_rate = 1.0\n", "optimizer.learning_rate"),
            ("[train]\nbach = 3\n", "train.batch"),
            ("sed = 1\n", "seed"),
        ] {
            let mut document = Document::parse("x.toml".to_owned(), text, &[]).unwrap();
            for key in ["seed", "train.batch", "optimizer.learning_rate"] {
                assert!(document.take::<f64>(key).unwrap().is_none());
            }
            let error = document.finish().unwrap_err().to_string();
            assert!(error.starts_with("x.toml: "), "{error}");
            assert!(
                error.ends_with(&format!("the nearest is {nearest}")),
                "{error}"
            );
        }
    }
}
