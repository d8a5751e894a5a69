//! Which of many things have the same key: keys with numbers, sorted in parts on disk.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::home::Home;
use crate::DataError;

/// A key and a number, whose order is that of the bytes.
type Entry = [u8; 24];
const KEY: usize = 16;

/// Entries that memory keeps: 6 MiB.
const FEW: usize = 1 << 18;
/// Entries of a part that are written at once.
const CHUNK: usize = 1 << 10;
/// Parts, by the first byte of the keys.
const PARTS: usize = 256;

/// Keys of things, each with its number.
#[derive(Debug)]
pub(crate) struct Groups {
    home: Arc<Home>,
    few: Vec<Entry>,
    many: Option<Many>,
}

/// Entries in a file.
#[derive(Debug)]
struct Many {
    file: File,
    path: PathBuf,
    /// Chunks in the file.
    written: u64,
    parts: Vec<Part>,
}

#[derive(Debug, Default)]
struct Part {
    /// Those that aren't in the file yet.
    last: Vec<Entry>,
    /// Numbers of its chunks.
    chunks: Vec<u64>,
}

impl Groups {
    pub(crate) fn new(home: &Arc<Home>) -> Self {
        Self { home: Arc::clone(home), few: Vec::new(), many: None }
    }

    pub(crate) fn add(&mut self, key: [u8; KEY], number: u64) -> Result<(), DataError> {
        let mut entry = [0; 24];
        entry[..KEY].copy_from_slice(&key);
        entry[KEY..].copy_from_slice(&number.to_be_bytes());
        if let Some(many) = &mut self.many {
            return many.add(entry);
        }
        self.few.push(entry);
        if self.few.len() < FEW {
            return Ok(());
        }
        let (file, path) = self.home.nameless()?;
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        let mut many = Many { file, path, written: 0, parts };
        for entry in std::mem::take(&mut self.few) {
            many.add(entry)?;
        }
        self.many = Some(many);
        Ok(())
    }

    /// Gives each key, in their order, and its numbers, in theirs, to `see`.
    pub(crate) fn each(self, mut see: impl FnMut(&[u8; KEY], &[u64])) -> Result<(), DataError> {
        let mut numbers = Vec::new();
        let mut sort = |mut entries: Vec<Entry>| {
            entries.par_sort_unstable();
            for group in entries.chunk_by(|one, other| one[..KEY] == other[..KEY]) {
                numbers.clear();
                numbers.extend(group.iter().map(number));
                let mut key = [0; KEY];
                key.copy_from_slice(&group[0][..KEY]);
                see(&key, &numbers);
            }
        };
        let Some(mut many) = self.many else {
            sort(self.few);
            return Ok(());
        };
        for part in 0..PARTS {
            sort(many.part(part)?);
        }
        Ok(())
    }

    /// The number of different keys.
    pub(crate) fn count(self) -> Result<u64, DataError> {
        let mut count = 0;
        self.each(|_, _| count += 1)?;
        Ok(count)
    }
}

impl Many {
    fn add(&mut self, entry: Entry) -> Result<(), DataError> {
        let part = &mut self.parts[usize::from(entry[0])];
        part.last.push(entry);
        if part.last.len() < CHUNK {
            return Ok(());
        }
        let written = self.file.write_all(part.last.as_flattened());
        written.map_err(|source| Home::no_room(&self.path, source))?;
        part.last.clear();
        part.chunks.push(self.written);
        self.written += 1;
        Ok(())
    }

    fn part(&mut self, part: usize) -> Result<Vec<Entry>, DataError> {
        let Part { mut last, chunks } = std::mem::take(&mut self.parts[part]);
        for chunk in chunks {
            let start = last.len();
            last.resize(start + CHUNK, [0; 24]);
            let place = SeekFrom::Start(chunk * (CHUNK * size_of::<Entry>()) as u64);
            let read = self.file.seek(place);
            let read = read.and_then(|_| self.file.read_exact(last[start..].as_flattened_mut()));
            read.map_err(|source| DataError::io(&self.path, source))?;
        }
        Ok(last)
    }
}

fn number(entry: &Entry) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&entry[KEY..]);
    u64::from_be_bytes(number)
}

/// Numbers, a bit for each.
#[derive(Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn add(&mut self, number: u64) {
        let word = (number / 64) as usize;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        self.0.get((number / 64) as usize).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_numbers_of_a_key_come_together_few_or_many() {
        let dir = tempfile::tempdir().unwrap();
        let home = Arc::new(Home::scratch(Some(dir.path().to_owned())));
        for count in [0, 1, 1_000, FEW as u64 + 100_000] {
            let mut groups = Groups::new(&home);
            let mut expected: BTreeMap<[u8; 16], Vec<u64>> = BTreeMap::new();
            for number in 0..count {
                let mut key = [0; 16];
                let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (count * 3 / 4 + 1);
                key.copy_from_slice(&blake3::hash(&seed.to_le_bytes()).as_bytes()[..16]);
                groups.add(key, number).unwrap();
                expected.entry(key).or_default().push(number);
            }
            let mut found = Vec::new();
            groups.each(|_, numbers| found.push(numbers.to_vec())).unwrap();
            assert_eq!(found, expected.into_values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn bits_are_those_that_were_added() {
        let mut bits = Bits::default();
        for number in [3, 64, 1_000] {
            bits.add(number);
        }
        let found: Vec<u64> = (0..2_000).filter(|number| bits.has(*number)).collect();
        assert_eq!(found, [3, 64, 1_000]);
    }
}
