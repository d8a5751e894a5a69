//! A model's files in the browser: from the user's disk, or from its storage.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use clove::weights::{ModelFiles, ReadSeek};
use js_sys::Uint8Array;
use send_wrapper::SendWrapper;
use web_sys::{Blob, File, FileReaderSync};

/// The size of reads, for headers and small tensors.
const BUFFER: usize = 1 << 18;

/// Files by name. Reads their bytes on demand.
#[derive(Debug, Clone, Default)]
pub struct BrowserFiles {
    place: String,
    files: BTreeMap<String, SendWrapper<File>>,
}

impl BrowserFiles {
    /// The files of a place.
    pub fn new(place: &str, files: impl IntoIterator<Item = (String, File)>) -> Self {
        Self {
            place: place.to_owned(),
            files: files.into_iter().map(|(name, file)| (name, SendWrapper::new(file))).collect(),
        }
    }

    /// The files of a model. If this is a single safetensors file, it becomes the `weights` beside the other files of `rest`.
    pub fn completed(mut self, rest: &Self, weights: &str) -> Self {
        let is_weights = |name: &String| name.to_lowercase().ends_with(".safetensors");
        if self.files.len() == 1
            && self.files.keys().all(is_weights)
            && let Some((_, file)) = self.files.pop_first()
        {
            self.files = rest.files.clone();
            self.files.retain(|name, _| !name.ends_with(".safetensors"));
            self.files.insert(weights.to_owned(), file);
        }
        self
    }
}

impl ModelFiles for BrowserFiles {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn describe(&self, name: &str) -> String {
        format!("{}: {name}", self.place)
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>> {
        let Some(file) = self.files.get(name) else {
            return Ok(None);
        };
        let reader = FileReaderSync::new()
            .map_err(|_| io::Error::other("this browser can't read files in a worker"))?;
        let size = file.size() as u64;
        let pieces = Pieces { file: file.clone(), reader: SendWrapper::new(reader), at: 0, size };
        Ok(Some(Box::new(BufReader::with_capacity(BUFFER, pieces))))
    }

    fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
}

/// A file that is read in pieces.
struct Pieces {
    file: SendWrapper<File>,
    reader: SendWrapper<FileReaderSync>,
    at: u64,
    size: u64,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.size.min(self.at.saturating_add(buffer.len() as u64));
        if self.at >= end {
            return Ok(0);
        }
        let gone = |_| io::Error::other("the file was changed or deleted after it was chosen");
        let blob: &Blob = &self.file;
        let piece = blob.slice_with_f64_and_f64(self.at as f64, end as f64).map_err(gone)?;
        let bytes = self.reader.read_as_array_buffer(&piece).map_err(gone)?;
        let bytes = Uint8Array::new(&bytes);
        let length = bytes.length() as usize;
        bytes.copy_to(&mut buffer[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Pieces {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("seek before the start of the file"))?;
        Ok(self.at)
    }
}
