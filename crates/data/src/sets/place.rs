//! Where an image's bytes are.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::parquet::ImageColumn;
use crate::fetch::Local;
use crate::{DataError, read_image, text};

/// Where an image's bytes are: in a file of their own, in a shard, or in a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImagePlace {
    /// A file.
    File(PathBuf),
    /// A member of a tar file.
    Member {
        /// The tar file, or its unpacked copy.
        shard: Arc<Local>,
        /// The member's path in it.
        name: String,
        /// Where its bytes begin.
        offset: u64,
        /// How many there are.
        size: u64,
    },
    /// A row of a Parquet file.
    Row {
        /// The file's column of images.
        column: Arc<ImageColumn>,
        /// The row, from 0.
        row: u64,
    },
    /// An image of CIFAR's binary files: 32 x 32 pixels, red, green and blue after one another.
    Cifar {
        /// The file.
        file: Arc<Path>,
        /// Where its pixels begin.
        offset: u64,
    },
}

/// Pixels of a CIFAR image's side.
const CIFAR_SIDE: usize = 32;

impl ImagePlace {
    /// Bytes of a CIFAR image's pixels.
    pub(crate) const CIFAR_BYTES: u64 = (3 * CIFAR_SIDE * CIFAR_SIDE) as u64;

    /// The bytes of an image file; of a CIFAR image, which is none, those of a BMP file with its pixels.
    ///
    /// # Errors
    /// [`DataError::Io`] for what can't be read, ends early, or is larger than 512 MiB; [`DataError::Format`] for a damaged row of a
    /// Parquet file.
    pub fn read(&self) -> Result<Vec<u8>, DataError> {
        match self {
            Self::File(path) => read_image(path),
            Self::Row { column, row } => column.read(*row),
            Self::Cifar { file, offset } => {
                read_at(file, *offset, Self::CIFAR_BYTES).map(|pixels| bmp(&pixels))
            }
            Self::Member {
                shard,
                offset,
                size,
                ..
            // The index has seen that it's no longer than a photo may be.
            } => read_at(&shard.path, *offset, *size),
        }
    }

    /// Its first bytes: `most` of them, or all where there are fewer.
    pub(super) fn first_bytes(&self, most: u64) -> Result<Vec<u8>, DataError> {
        let (path, offset, length) = match self {
            Self::File(path) => (&**path, 0, most),
            Self::Member { shard, offset, size, .. } => (&*shard.path, *offset, most.min(*size)),
            // A page is unpacked as a whole.
            Self::Row { .. } | Self::Cifar { .. } => {
                let mut bytes = self.read()?;
                bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                return Ok(bytes);
            }
        };
        let read = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|source| text::io(path, source))
    }

    /// How many bytes there are.
    pub(super) fn byte_len(&self) -> Result<u64, DataError> {
        match self {
            Self::File(path) => {
                let metadata = fs::metadata(path).map_err(|source| text::io(path, source))?;
                Ok(metadata.len())
            }
            Self::Member { size, .. } => Ok(*size),
            Self::Row { .. } | Self::Cifar { .. } => Ok(self.read()?.len() as u64),
        }
    }

    /// What tells it from every other: for a set's digest.
    pub(super) fn identity(&self) -> Vec<u8> {
        match self {
            Self::File(path) => path.as_os_str().as_encoded_bytes().to_vec(),
            // As it's named: a copy may be anywhere.
            Self::Member { shard, name, size, .. } => {
                let mut bytes = shard.name.clone().into_bytes();
                bytes.push(0);
                bytes.extend(name.as_bytes());
                bytes.extend(size.to_le_bytes());
                bytes
            }
            Self::Row { column, row } => {
                let (file, size) = column.identity();
                let mut bytes = file.as_bytes().to_vec();
                bytes.push(0);
                bytes.extend(size.to_le_bytes());
                bytes.extend(row.to_le_bytes());
                bytes
            }
            Self::Cifar { file, offset } => {
                let mut bytes = file.as_os_str().as_encoded_bytes().to_vec();
                bytes.push(0);
                bytes.extend(offset.to_le_bytes());
                bytes
            }
        }
    }
}

/// So many bytes of a file.
fn read_at(path: &Path, offset: u64, size: u64) -> Result<Vec<u8>, DataError> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| text::io(path, source))
}

/// A BMP file of CIFAR's pixels: 24 bits each, blue first, from the lowest row up.
fn bmp(planes: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 54;
    let (side, pixels) = (CIFAR_SIDE as u32, (CIFAR_SIDE * CIFAR_SIDE) as u32);
    let mut bytes = b"BM".to_vec();
    for word in [HEADER + 3 * pixels, 0, HEADER, 40, side, side] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for word in [0, 3 * pixels, 0, 0, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    let pixels = CIFAR_SIDE * CIFAR_SIDE;
    for row in (0..CIFAR_SIDE).rev() {
        for at in row * CIFAR_SIDE..(row + 1) * CIFAR_SIDE {
            bytes.extend([planes[2 * pixels + at], planes[pixels + at], planes[at]]);
        }
    }
    bytes
}

impl Display for ImagePlace {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Row { column, row } => write!(formatter, "{} row {row}", column.name()),
            Self::Cifar { file, offset } => {
                write!(formatter, "{} byte {offset}", file.display())
            }
            // Escaped: a name out of a file may hold what a terminal would obey.
            Self::Member { shard, name, .. } => write!(formatter, "{}: {name:?}", shard.name),
        }
    }
}

impl From<PathBuf> for ImagePlace {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}
