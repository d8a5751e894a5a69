//! safetensors files, read tensor by tensor and written as a stream, so that memory never holds a model twice.
//!
//! The format: huggingface/safetensors: README.md. The crate `safetensors` checks the header, but reads whole files; this seeks.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom, Write};

use safetensors::tensor::{Metadata, TensorInfo};

pub use safetensors::Dtype;

use super::companions::lfs_pointer;
use super::dtype::{decode_f32, not_finite};
use super::names::Entry;
use super::{Problem, WeightsError};

/// The source of a tensor file.
pub trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// A file with its name for messages.
pub type NamedReader = (String, Box<dyn ReadSeek>);

/// The safetensors files of one model.
pub struct TensorFiles {
    files: Vec<TensorFile>,
    places: BTreeMap<String, Place>,
}

struct TensorFile {
    name: String,
    reader: Box<dyn ReadSeek>,
    metadata: Option<HashMap<String, String>>,
}

/// The location of a tensor.
#[derive(Debug, Clone)]
struct Place {
    file: usize,
    /// From the start of the file, in bytes.
    start: u64,
    bytes: usize,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl std::fmt::Debug for TensorFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorFiles")
            .field("files", &self.files.iter().map(|f| &f.name).collect::<Vec<_>>())
            .field("tensors", &self.places.len())
            .finish()
    }
}

impl TensorFiles {
    /// Reads the headers of `files`.
    ///
    /// # Errors
    /// When a file can't be read, isn't safetensors or has another length than its header says, and when two files share a tensor.
    pub fn open(files: Vec<NamedReader>) -> Result<Self, WeightsError> {
        let mut opened = Self { files: Vec::new(), places: BTreeMap::new() };
        for (index, (name, mut reader)) in files.into_iter().enumerate() {
            let (data_start, metadata) = read_header(&name, reader.as_mut())?;
            for (tensor, info) in metadata.tensors() {
                let (start, end) = info.data_offsets;
                let place = Place {
                    file: index,
                    start: data_start + start as u64,
                    bytes: end - start,
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                };
                if opened.places.insert(tensor.clone(), place).is_some() {
                    return Err(Problem::Duplicate(tensor).of(name));
                }
            }
            opened.files.push(TensorFile { name, reader, metadata: metadata.metadata().clone() });
        }
        Ok(opened)
    }

    /// The tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The tensors' names in the order of the files and of the bytes in them, which is the fastest to read.
    pub fn names_in_file_order(&self) -> Vec<String> {
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_by_key(|(_, place)| (place.file, place.start));
        places.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// The element type of a tensor that must be there.
    pub(crate) fn dtype(&self, tensor: &str) -> Result<Dtype, WeightsError> {
        self.info(tensor).map(|(dtype, _)| dtype).ok_or_else(|| self.missing(tensor))
    }

    fn missing(&self, tensor: &str) -> WeightsError {
        Problem::Missing(vec![tensor.to_owned()]).of(self.describe())
    }

    /// The element type and the shape of a tensor.
    pub fn info(&self, tensor: &str) -> Option<(Dtype, &[usize])> {
        let place = self.places.get(tensor)?;
        Some((place.dtype, &place.shape))
    }

    /// The free-form metadata of the first file.
    pub fn metadata(&self) -> Option<&HashMap<String, String>> {
        self.files.first()?.metadata.as_ref()
    }

    /// The names of the files, for messages.
    pub fn describe(&self) -> String {
        let names: Vec<_> = self.files.iter().map(|file| file.name.as_str()).collect();
        names.join(", ")
    }

    /// The name of the file that holds a tensor.
    pub fn file_of(&self, tensor: &str) -> Option<&str> {
        let place = self.places.get(tensor)?;
        Some(&self.files[place.file].name)
    }

    /// The size of a tensor's data in bytes.
    pub fn bytes(&self, tensor: &str) -> Option<usize> {
        self.places.get(tensor).map(|place| place.bytes)
    }

    /// Reads `buffer.len()` bytes of a tensor's data, from byte `offset` of it.
    ///
    /// # Errors
    /// When the tensor is missing or the file can't be read.
    ///
    /// # Panics
    /// If the range ends outside the tensor, whose length is [`Self::bytes`].
    pub fn read_at(
        &mut self,
        tensor: &str,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<(), WeightsError> {
        let Some(place) = self.places.get(tensor) else {
            return Err(self.missing(tensor));
        };
        assert!(offset + buffer.len() <= place.bytes, "the range ends outside `{tensor}`");
        let file = &mut self.files[place.file];
        file.reader
            .seek(SeekFrom::Start(place.start + offset as u64))
            .and_then(|_| file.reader.read_exact(buffer))
            .map_err(|error| Problem::Read(error).of(&file.name))
    }

    /// [`Self::read_at`] of whole elements of a weight, which must be finite; returns their type.
    pub(crate) fn read_weight(
        &mut self,
        tensor: &str,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<Dtype, WeightsError> {
        let dtype = self.dtype(tensor)?;
        self.read_at(tensor, offset, buffer)?;
        let Some(at) = not_finite(dtype, buffer) else {
            return Ok(dtype);
        };
        let (size, mut value) = (dtype.bitsize() / 8, [f32::NAN]);
        decode_f32(dtype, &buffer[at * size..][..size], &mut value);
        let file = self.file_of(tensor).unwrap_or_default().to_owned();
        Err(Problem::NotFinite(tensor.to_owned(), value[0]).of(file))
    }
}

/// Reads and checks a header; returns it with the offset of the data's first byte.
pub(super) fn read_header(
    name: &str,
    reader: &mut dyn ReadSeek,
) -> Result<(u64, Metadata), WeightsError> {
    /// The limit of the `safetensors` crate; it bounds the memory that a hostile file can claim.
    const LARGEST_HEADER: u64 = 100_000_000;
    let read = |error| Problem::Read(error).of(name);
    let malformed = |reason: String| Problem::Malformed(reason).of(name);
    let length = reader.seek(SeekFrom::End(0)).map_err(read)?;
    reader.seek(SeekFrom::Start(0)).map_err(read)?;
    if length < 8 {
        return Err(malformed(format!("the file has {length} bytes; the header's length takes 8")));
    }
    let mut word = [0; 8];
    reader.read_exact(&mut word).map_err(read)?;
    if word == *b"version " {
        return Err(lfs_pointer().of(name));
    }
    let header_length = u64::from_le_bytes(word);
    if header_length > LARGEST_HEADER {
        return Err(malformed(format!(
            "the first 8 bytes announce a header of {header_length} bytes, at most {LARGEST_HEADER} are allowed; is this a safetensors file?"
        )));
    }
    let data_start = 8 + header_length;
    if data_start > length {
        return Err(malformed(format!(
            "the file announces a header of {header_length} bytes and ends after {length}: it is truncated, or not a safetensors file"
        )));
    }
    let mut header =
        vec![0; usize::try_from(header_length).expect("at most a hundred million, as checked")];
    reader.read_exact(&mut header).map_err(read)?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| malformed(format!("the header is wrong: {error}")))?;
    let data_end =
        metadata.tensors().values().map(|info| info.data_offsets.1).max().unwrap_or(0) as u64;
    let expected = data_start.saturating_add(data_end);
    match expected.cmp(&length) {
        std::cmp::Ordering::Equal => Ok((data_start, metadata)),
        std::cmp::Ordering::Greater => Err(malformed(format!(
            "the file has {length} bytes, its header describes {expected}: it is truncated; download or copy it again"
        ))),
        std::cmp::Ordering::Less => Err(malformed(format!(
            "the file has {} bytes more than its header describes",
            length - expected
        ))),
    }
}

/// Writes a safetensors file as a stream: the header first, then each tensor's bytes in the order of the list.
#[derive(Debug)]
pub struct TensorWriter<W: Write> {
    out: W,
    left: u64,
}

impl<W: Write> TensorWriter<W> {
    /// Writes the header for `tensors` (name, element type, shape), whose data will follow in this order.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn new(
        mut out: W,
        tensors: &[Entry],
        metadata: Option<HashMap<String, String>>,
    ) -> std::io::Result<Self> {
        let mut offset = 0;
        let mut infos = Vec::with_capacity(tensors.len());
        for (name, dtype, shape) in tensors {
            let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            infos.push((
                name.clone(),
                TensorInfo {
                    dtype: *dtype,
                    shape: shape.clone(),
                    data_offsets: (offset, offset + bytes),
                },
            ));
            offset += bytes;
        }
        let metadata = Metadata::new(metadata, infos).map_err(std::io::Error::other)?;
        let mut header = serde_json::to_vec(&metadata).map_err(std::io::Error::other)?;
        // The format aligns the data to eight bytes with spaces.
        header.resize(header.len().next_multiple_of(8), b' ');
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        Ok(Self { out, left: offset as u64 })
    }

    /// Writes the next bytes of the data.
    ///
    /// # Errors
    /// When the output can't be written.
    ///
    /// # Panics
    /// If the data is longer than the header says.
    pub fn write(&mut self, data: &[u8]) -> std::io::Result<()> {
        self.left = self
            .left
            .checked_sub(data.len() as u64)
            .expect("the data has the length in the header");
        self.out.write_all(data)
    }

    /// Returns the complete output.
    ///
    /// # Errors
    /// When the last bytes can't be written.
    ///
    /// # Panics
    /// If the data is shorter than the header says.
    pub fn finish(mut self) -> std::io::Result<W> {
        assert_eq!(self.left, 0, "the data has the length in the header");
        self.out.flush()?;
        Ok(self.out)
    }
}
