//! Records in a file, one behind another, each behind its length. Memory has where every 32nd begins.
//!
//! They are read by position, not mapped: a file that is cut while it's read is an error instead of a signal, and the memory of the
//! process is what it says.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::home::Home;
use crate::DataError;

/// Records between two places that are known.
const BLOCK: u64 = 32;
/// Records that are read at once by who reads all.
const PART: u64 = 128 * BLOCK;
/// Bytes that are written at once. Fewer stay in memory; in tests few are many.
const BUFFER: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };
/// Bytes with a hash of their own.
const PIECE: u64 = 64 << 20;

/// Records that are being written.
#[derive(Debug)]
pub(super) struct Writer {
    home: Arc<Home>,
    name: &'static str,
    file: Option<(File, PathBuf)>,
    buffer: Vec<u8>,
    written: u64,
    blocks: Vec<u64>,
    len: u64,
}

impl Writer {
    /// Records without a place yet. `name` is the file's in an index that is kept.
    pub(super) fn new(home: &Arc<Home>, name: &'static str) -> Self {
        let (buffer, blocks) = (Vec::new(), Vec::new());
        Self { home: Arc::clone(home), name, file: None, buffer, written: 0, blocks, len: 0 }
    }

    pub(super) fn push(&mut self, record: &[u8]) -> Result<(), DataError> {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(self.written + self.buffer.len() as u64);
        }
        self.len += 1;
        let mut length = record.len();
        while length > 127 {
            self.buffer.push(length as u8 | 128);
            length >>= 7;
        }
        self.buffer.push(length as u8);
        self.buffer.extend_from_slice(record);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DataError> {
        let (file, path) = match &mut self.file {
            Some(found) => found,
            none => none.insert(self.home.file(self.name)?),
        };
        let written = file.write_all(&self.buffer);
        written.map_err(|source| Home::no_room(path, source))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// The records. Few stay in memory.
    pub(super) fn finish(mut self) -> Result<Store, DataError> {
        if self.file.is_some() {
            self.flush()?;
        }
        let end = self.written + self.buffer.len() as u64;
        let bytes = if let Some((file, path)) = self.file {
            Bytes::File(Mutex::new(file), path)
        } else {
            self.buffer.shrink_to_fit();
            Bytes::Memory(self.buffer)
        };
        self.blocks.shrink_to_fit();
        Ok(Store { bytes, blocks: self.blocks, len: self.len, end })
    }
}

/// Records in their order.
#[derive(Debug)]
pub(super) struct Store {
    bytes: Bytes,
    /// Where each block begins.
    blocks: Vec<u64>,
    len: u64,
    /// Where the last record ends.
    end: u64,
}

#[derive(Debug)]
enum Bytes {
    Memory(Vec<u8>),
    File(Mutex<File>, PathBuf),
}

impl Default for Store {
    fn default() -> Self {
        Self { bytes: Bytes::Memory(Vec::new()), blocks: Vec::new(), len: 0, end: 0 }
    }
}

impl Store {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the records are in a file.
    pub(super) fn is_filed(&self) -> bool {
        matches!(self.bytes, Bytes::File(..))
    }

    /// Gives a record to `read`, which says whether it's whole.
    pub(super) fn read<T>(
        &self,
        number: u64,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, DataError> {
        if number >= self.len {
            return Err(self.damaged());
        }
        let bytes = self.bytes(number / BLOCK, number / BLOCK + 1)?;
        let record = records(&bytes).nth((number % BLOCK) as usize);
        record.and_then(read).ok_or_else(|| self.damaged())
    }

    /// The number of parts, by which all records are read.
    pub(super) fn parts(&self) -> u64 {
        self.len.div_ceil(PART)
    }

    /// A part of the records as `read` makes it of each, on all cores.
    pub(super) fn part<T: Send>(
        &self,
        part: u64,
        read: impl Fn(&[u8]) -> Option<T> + Send + Sync,
    ) -> Result<Vec<T>, DataError> {
        let blocks = PART / BLOCK;
        let bytes = self.bytes(part * blocks, (part + 1) * blocks)?;
        let found: Vec<&[u8]> = records(&bytes).collect();
        if found.len() as u64 != (self.len - (part * PART).min(self.len)).min(PART) {
            return Err(self.damaged());
        }
        let found: Option<Vec<T>> = found.into_par_iter().map(read).collect();
        found.ok_or_else(|| self.damaged())
    }

    /// The bytes of the blocks from `from` up to `to`.
    fn bytes(&self, from: u64, to: u64) -> Result<Vec<u8>, DataError> {
        let place = |block: u64| self.blocks.get(block as usize).copied().unwrap_or(self.end);
        let (from, to) = (place(from), place(to));
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let part = bytes.get(from as usize..to as usize);
                part.map(<[u8]>::to_vec).ok_or_else(|| self.damaged())
            }
            Bytes::File(file, path) => {
                let mut bytes = vec![0; to.saturating_sub(from) as usize];
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let read = file.seek(SeekFrom::Start(from));
                let read = read.and_then(|_| file.read_exact(&mut bytes));
                read.map_err(|source| DataError::io(path, source))?;
                Ok(bytes)
            }
        }
    }

    fn damaged(&self) -> DataError {
        let path =
            if let Bytes::File(_, path) = &self.bytes { path.as_path() } else { Path::new("") };
        DataError::format(path, "the index of the samples is damaged; delete it")
    }

    /// Writes the records to a file of an index that is kept, with the places of the blocks behind them.
    pub(super) fn keep(self, path: &Path) -> Result<Kept, DataError> {
        let wrong = |source| DataError::io(path, source);
        let mut file = match self.bytes {
            Bytes::File(file, from) => {
                let file = file.into_inner().unwrap_or_else(PoisonError::into_inner);
                if from != path {
                    fs::rename(&from, path).map_err(wrong)?;
                }
                file
            }
            Bytes::Memory(bytes) => {
                let mut file = File::create(path).map_err(wrong)?;
                file.write_all(&bytes).map_err(wrong)?;
                file
            }
        };
        let places: Vec<u8> = self.blocks.iter().flat_map(|place| place.to_le_bytes()).collect();
        let written = file.seek(SeekFrom::Start(self.end)).and_then(|_| file.write_all(&places));
        written.and_then(|()| file.sync_all()).map_err(wrong)?;
        drop(file);
        Ok(Kept { len: self.len, end: self.end, hashes: hashes(path).map_err(wrong)? })
    }

    /// The records of a file that was kept; `None` if it isn't what was written.
    pub(super) fn open(path: &Path, kept: &Kept, is_checked: bool) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let blocks = kept.len.div_ceil(BLOCK);
        if file.metadata()?.len() != kept.end + 8 * blocks
            || (is_checked && hashes(path)? != kept.hashes)
        {
            return Ok(None);
        }
        let mut places = vec![0; 8 * blocks as usize];
        file.seek(SeekFrom::Start(kept.end))?;
        file.read_exact(&mut places)?;
        let blocks = places.as_chunks::<8>().0.iter().map(|place| u64::from_le_bytes(*place));
        Ok(Some(Self {
            blocks: blocks.collect(),
            len: kept.len,
            end: kept.end,
            bytes: Bytes::File(Mutex::new(file), path.to_owned()),
        }))
    }
}

/// What an index that is kept knows of a file of records.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    len: u64,
    end: u64,
    /// Of each piece.
    hashes: Vec<String>,
}

/// BLAKE3 of each piece of a file, on all cores.
fn hashes(path: &Path) -> io::Result<Vec<String>> {
    let length = fs::metadata(path)?.len();
    let pieces = (0..length.div_ceil(PIECE)).into_par_iter().map(|piece| -> io::Result<String> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(piece * PIECE))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file.take(PIECE))?;
        Ok(hasher.finalize().to_hex().to_string())
    });
    pieces.collect()
}

/// The records in bytes that begin with one, as far as they are whole.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (mut length, mut shift) = (0_usize, 0_u32);
        loop {
            let (byte, rest) = bytes.split_first()?;
            bytes = rest;
            length |= usize::from(byte & 127).checked_shl(shift)?;
            shift += 7;
            if *byte < 128 {
                break;
            }
        }
        let (record, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        Some(record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of lengths from 0 on, more than memory keeps.
    fn store(home: &Arc<Home>, count: u64) -> Store {
        let mut writer = Writer::new(home, "records");
        for number in 0..count {
            writer.push(&vec![number as u8; (number % 301) as usize]).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn records_come_back_by_their_numbers_and_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        let home = Arc::new(Home::scratch(Some(dir.path().to_owned())));
        for (count, is_filed) in
            [(0, false), (1, false), (32, false), (4_097, true), (20_000, true)]
        {
            let store = store(&home, count);
            assert_eq!((store.len(), store.is_filed()), (count, is_filed));
            for number in [0, 1, 31, 32, 300, 4_096, 19_999].into_iter().filter(|at| *at < count) {
                let record = store.read(number, |record| Some(record.to_vec())).unwrap();
                assert_eq!(record, vec![number as u8; (number % 301) as usize]);
            }
            let lengths: Vec<usize> = (0..store.parts())
                .flat_map(|part| store.part(part, |record| Some(record.len())).unwrap())
                .collect();
            let expected: Vec<usize> = (0..count).map(|number| (number % 301) as usize).collect();
            assert_eq!(lengths, expected);
            assert!(store.read(count, |_| Some(())).is_err());
        }
    }

    #[test]
    fn a_file_that_was_changed_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let home = Arc::new(Home::kept(dir.path().to_owned(), "set".to_owned()));
        let path = dir.path().join("kept");
        let kept = store(&home, 100).keep(&path).unwrap();
        let open = || Store::open(&path, &kept, true).unwrap();
        assert_eq!(open().unwrap().read(99, |record| Some(record.len())).unwrap(), 99);
        let bytes = fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        changed[700] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(open().is_none());
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(open().is_none());
    }
}
