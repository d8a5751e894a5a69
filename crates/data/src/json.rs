//! JSON objects whose keys must be unique: serde_json's maps keep the last of two equal keys silently.

use std::collections::HashSet;
use std::fmt;
use std::io::BufRead as _;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
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

    pub(crate) fn number(&self, field: &str) -> Result<f64, DataError> {
        let found = self.get(field)?.as_f64().filter(|number| number.is_finite());
        found.ok_or_else(|| self.wrong(field, "must be a number"))
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

/// Most memory of the values of a document, which is read whole.
const LARGEST_DOCUMENT: u64 = 4 * text::BUDGET;
/// Most memory of the values of an object: as many are read at once as there are cores.
const LARGEST_OBJECT: u64 = text::BUDGET / 8;

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    parse(&document(path)?).map_err(|error| DataError::parse(path, error))
}

/// Gives each item of a list to `take`, one after the other: memory holds the text and one item.
pub(crate) fn each_item<T: DeserializeOwned>(
    path: &Path,
    take: impl FnMut(T),
) -> Result<(), DataError> {
    let mut text = document(path)?;
    if let Some(plain) = without_nan(&text) {
        text = plain;
    }
    let mut input = serde_json::Deserializer::from_str(&text);
    let read = input.deserialize_seq(Items { take, item: PhantomData });
    let read = read.and_then(|()| input.end());
    read.map_err(|error| DataError::parse(path, error))
}

struct Items<T, F> {
    take: F,
    item: PhantomData<T>,
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> Visitor<'de> for Items<T, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.take)(item);
        }
        Ok(())
    }
}

/// The text of a file, unless its values would take too much memory.
fn document(path: &Path) -> Result<String, DataError> {
    let text = text::read(path)?;
    if weighs_more(text.as_bytes(), LARGEST_DOCUMENT) {
        let problem = format!(
            "its values take more than {LARGEST_DOCUMENT} bytes of memory; write one JSON object a line, in a .jsonl file"
        );
        return Err(DataError::format(path, problem));
    }
    Ok(text)
}

/// Whether the values of a JSON text may take more than `most` bytes of memory: two bytes of an object take hundreds.
fn weighs_more(text: &[u8], most: u64) -> bool {
    /// Of serde_json's values: the first node of an object; the first room of a list; a member, which is a value and a name; a quarter of
    /// the least allocation, for each quote of two texts.
    const WEIGHTS: [(u8, u64); 4] = [(b'{', 640), (b'[', 128), (b',', 112), (b'"', 16)];
    if text.len() as u64 * WEIGHTS[0].1 <= most {
        return false;
    }
    let (mut weight, mut in_string, mut is_escaped) = (text.len() as u64, false, false);
    for byte in text {
        let is_quote = *byte == b'"' && !is_escaped;
        is_escaped = in_string && *byte == b'\\' && !is_escaped;
        in_string ^= is_quote;
        if !in_string || is_quote {
            let found = WEIGHTS.iter().find(|(letter, _)| letter == byte);
            weight += found.map_or(0, |(_, weight)| *weight);
        }
    }
    weight > most
}

/// Parses JSON. Python's NaN and infinities, which `json.dump` writes, count as null.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text).or_else(|error| match without_nan(text) {
        Some(text) => serde_json::from_str(&text),
        None => Err(error),
    })
}

/// The text with null for each NaN and infinity outside of strings, if it has any.
fn without_nan(text: &str) -> Option<String> {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !WORDS.iter().any(|word| text.contains(word)) {
        return None;
    }
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (text, false);
    while let Some(letter) = rest.chars().next() {
        let word = WORDS.iter().find_map(|word| rest.strip_prefix(word));
        if let Some(after) = word.filter(|_| !in_string) {
            plain.push_str("null");
            rest = after;
            continue;
        }
        // A backslash comes with the character behind it.
        let escaped = rest.chars().nth(1).filter(|_| letter == '\\');
        let length = letter.len_utf8() + escaped.map_or(0, char::len_utf8);
        in_string ^= letter == '"';
        plain.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Some(plain)
}

/// Whether a file holds a list, by its first letter that isn't white space.
pub(crate) fn is_list(path: &Path) -> Result<bool, DataError> {
    let wrong = |source| DataError::io(path, source);
    let mut input = text::open(path).map_err(wrong)?;
    loop {
        let buffer = input.fill_buf().map_err(wrong)?;
        let length = buffer.len();
        let bare = buffer.strip_prefix("\u{feff}".as_bytes()).unwrap_or(buffer);
        match bare.trim_ascii_start().first() {
            Some(first) => return Ok(*first == b'['),
            None if length == 0 => return Ok(false),
            None => input.consume(length),
        }
    }
}

/// Reads a JSON file that is a list of objects, named by their numbers.
pub(crate) fn rows(path: &Path) -> Result<Vec<Row<'_>>, DataError> {
    let rows: Vec<UniqueMap<Value>> = read(path)?;
    let rows = rows.into_iter().enumerate();
    Ok(rows.map(|(number, fields)| Row { path, name: number.to_string(), fields }).collect())
}

/// Reads a file with a JSON object on each line; blank lines are ignored.
pub(crate) fn lines(path: &Path) -> Result<Vec<Row<'_>>, DataError> {
    let content = document(path)?;
    let lines = (1..).zip(content.lines()).filter(|(_, line)| !line.trim().is_empty());
    let row = |(number, line): (usize, &str)| {
        let name = format!("line {number}");
        match parse(line) {
            Ok(fields) => Ok(Row { path, name, fields }),
            Err(error) => Err(DataError::row(path, name, error.to_string())),
        }
    };
    lines.map(row).collect()
}

/// The object in `bytes`, or the reason for skipping it.
pub(crate) fn object(bytes: &[u8]) -> Result<UniqueMap<Value>, String> {
    if weighs_more(bytes, LARGEST_OBJECT) {
        let why = format_args!("its values take more than {LARGEST_OBJECT} bytes of memory");
        return Err(reason("too large", why));
    }
    let line = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() + 1;
        reason("not UTF-8", format_args!("at byte {at}; save the file as UTF-8"))
    })?;
    parse(line.trim_start_matches('\u{feff}')).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Dir, fails};

    /// Python's `json.loads` reads these; its NaN is a missing value, as in pandas' `to_json` and `isna`.
    #[test]
    fn pythons_numbers_that_are_none_are_null() {
        let text = r#"{"a": NaN, "b": [-Infinity, 1, Infinity], "c": "NaN \" Infinity \\", "d": "é\u00e9"}"#;
        let expected =
            json!({"a": null, "b": [null, 1, null], "c": "NaN \" Infinity \\", "d": "éé"});
        assert_eq!(parse::<Value>(text).unwrap(), expected);
        assert!(parse::<Value>("{\"a\": NaNs}").is_err());
        assert!(object(b"\xef\xbb\xbf{\"a\": NaN}").unwrap().get("a").unwrap().is_null());
    }

    #[test]
    fn the_items_of_a_list_come_one_after_the_other() {
        let dir = Dir::with(&[
            ("a.json", b"[1, NaN, \"NaN\"]"),
            ("b.json", b"[1, 2"),
            ("c.json", b"{}"),
            ("d.json", b"[] x"),
        ]);
        let read = |name: &str| {
            let mut found = Vec::new();
            each_item(&dir.path(name), |item: Value| found.push(item)).map(|()| found)
        };
        assert_eq!(read("a.json").unwrap(), [json!(1), json!(null), json!("NaN")]);
        fails(read("b.json"), &["b.json: EOF while parsing a list"]);
        fails(read("c.json"), &["c.json: invalid type: map, expected a list"]);
        fails(read("d.json"), &["d.json: trailing characters"]);
    }

    /// Of 100,000 objects with a member each serde_json makes 64 MB.
    #[test]
    fn a_small_object_of_many_values_is_refused() {
        let object_of = |inner: &str, count| format!("{{\"a\": [{}0]}}", inner.repeat(count));
        let why = object(object_of("{\"\":0},", 100_000).as_bytes()).unwrap_err();
        assert!(why.starts_with("too large: its values take more than 67108864 bytes"), "{why}");
        // Brackets in a text are a text's, and long texts and lists of numbers aren't large in memory.
        for inner in ["\"{[{[{[{[{[\\\"{[{[{[{[{[,,,,,,,,,,,,,,,,,,,,,,,,,,\",", "0.123456,"] {
            let object = object(object_of(inner, 50_000).as_bytes()).unwrap();
            assert_eq!(object.get("a").unwrap().as_array().unwrap().len(), 50_001);
        }
    }
}
