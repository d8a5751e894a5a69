//! Where an image's bytes are.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::parquet::ImageColumn;
use crate::fetch::{Local, file_name};
use crate::{DataError, read_image, text};

/// The place of an image's bytes: a file, a shard, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ImagePlace {
    /// A file.
    File(PathBuf),
    /// A member of a tar file.
    Member {
        /// The tar file, or its unpacked copy.
        shard: Arc<Local>,
        /// The member's path in it.
        name: String,
        /// The offset of its bytes.
        offset: u64,
        /// The number of its bytes.
        size: u64,
    },
    /// A row of a Parquet file.
    Row {
        /// The file's column of images.
        column: Arc<ImageColumn>,
        /// The row, from 0.
        row: u64,
    },
    /// An image of CIFAR's binary files: 32 x 32 pixels, all red values, then green, then blue.
    Cifar {
        /// The file.
        file: Arc<Path>,
        /// The offset of its pixels.
        offset: u64,
    },
}

const CIFAR_SIDE: usize = 32;

impl ImagePlace {
    /// Bytes of a CIFAR image's pixels.
    pub(crate) const CIFAR_BYTES: u64 = (3 * CIFAR_SIDE * CIFAR_SIDE) as u64;

    /// The bytes of an image file. A CIFAR image becomes a BMP file.
    ///
    /// # Errors
    /// [`DataError::Io`] for an image that can't be read, ends early, or is above 512 MiB; [`DataError::Format`] for a damaged row.
    pub fn read(&self) -> Result<Vec<u8>, DataError> {
        match self {
            Self::File(path) => read_image(path),
            Self::Row { column, row } => column.read(*row),
            Self::Cifar { file, offset } => {
                read_at(file, *offset, Self::CIFAR_BYTES).map(|pixels| bmp(&pixels))
            }
            Self::Member { shard, size, .. } if *size > text::BUDGET => {
                let problem = format!("{self}: larger than {} bytes", text::BUDGET);
                Err(DataError::format(&shard.path, problem))
            }
            Self::Member { shard, offset, size, .. } => read_at(&shard.path, *offset, *size),
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        if let Self::File(path) = self { Some(path) } else { None }
    }

    pub(super) fn first_bytes(&self, most: u64) -> Result<Vec<u8>, DataError> {
        let (path, offset, length) = match self {
            Self::File(path) => (&**path, 0, most),
            Self::Member { shard, offset, size, .. } => (&*shard.path, *offset, most.min(*size)),
            // A page can only be read completely.
            Self::Row { .. } | Self::Cifar { .. } => {
                let mut bytes = self.read()?;
                bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                return Ok(bytes);
            }
        };
        read_up_to(path, offset, length)
    }

    pub(super) fn byte_len(&self) -> Result<u64, DataError> {
        match self {
            Self::File(path) => {
                let metadata = fs::metadata(path).map_err(|source| DataError::io(path, source))?;
                Ok(metadata.len())
            }
            Self::Member { size, .. } => Ok(*size),
            Self::Row { .. } | Self::Cifar { .. } => Ok(self.read()?.len() as u64),
        }
    }

    /// The image's name and size, for a digest of a set that may be in another folder by then. The size of a file that isn't there is 0.
    pub fn stamp(&self) -> Vec<u8> {
        // Of an address without its query, which may be signed.
        let name = |path: &str| file_name(path).as_bytes().to_vec();
        let (file, within, size) = match self {
            Self::File(path) => {
                let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
                (name(&path.to_string_lossy()), Vec::new(), size)
            }
            Self::Member { shard, name: member, size, .. } => {
                (name(&shard.name), member.as_bytes().to_vec(), *size)
            }
            Self::Row { column, row } => {
                (name(column.name()), row.to_le_bytes().to_vec(), column.identity().1)
            }
            Self::Cifar { file, offset } => {
                (name(&file.to_string_lossy()), offset.to_le_bytes().to_vec(), Self::CIFAR_BYTES)
            }
        };
        [&file[..], &[0], &within, &[0], &size.to_le_bytes()].concat()
    }

    /// Bytes that no other image has, for a set's digest.
    pub(super) fn identity(&self) -> Vec<u8> {
        match self {
            Self::File(path) => path.as_os_str().as_encoded_bytes().to_vec(),
            // By the shard's name, not by the path of a copy.
            Self::Member { shard, name, size, .. } => {
                let shard = shard.identity();
                [shard.as_bytes(), &[0], name.as_bytes(), &size.to_le_bytes()].concat()
            }
            Self::Row { column, row } => {
                let (file, size) = column.identity();
                [file.as_bytes(), &[0], &size.to_le_bytes(), &row.to_le_bytes()].concat()
            }
            Self::Cifar { file, offset } => {
                [file.as_os_str().as_encoded_bytes(), &[0], &offset.to_le_bytes()].concat()
            }
        }
    }
}

/// The bytes of a file from `offset` on: `size` of them, or fewer at its end.
fn read_up_to(path: &Path, offset: u64, size: u64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::with_capacity(size.min(1 << 20) as usize);
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        file.take(size).read_to_end(&mut bytes)
    });
    read.map(|_| bytes).map_err(|source| DataError::io(path, source))
}

/// The same, but an error for fewer bytes.
fn read_at(path: &Path, offset: u64, size: u64) -> Result<Vec<u8>, DataError> {
    let bytes = read_up_to(path, offset, size)?;
    if (bytes.len() as u64) < size {
        return Err(DataError::io(path, io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

/// A BMP file of CIFAR's pixels: 24 bits each, blue first, from the bottom row up.
fn bmp(planes: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 54;
    let pixels = CIFAR_SIDE * CIFAR_SIDE;
    let (side, size) = (CIFAR_SIDE as u32, 3 * pixels as u32);
    let mut bytes = b"BM".to_vec();
    bytes.extend([HEADER + size, 0, HEADER, 40, side, side].map(u32::to_le_bytes).as_flattened());
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0, size, 0, 0, 0, 0].map(u32::to_le_bytes).as_flattened());
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
            Self::Cifar { file, offset } => write!(formatter, "{} byte {offset}", file.display()),
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
