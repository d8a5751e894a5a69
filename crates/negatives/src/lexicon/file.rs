//! The lexicon's file: a mark with a version, a checksum, and the content, deflated.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::{Data, hash};

/// The mark, whose last byte is the version of the layout.
const MARK: &[u8; 8] = b"CLoVeLX\x01";

/// More than any lexicon holds, less than a device's memory.
const LARGEST: u64 = 64 << 20;

/// What is wrong with a lexicon's bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LexiconError {
    /// They begin otherwise.
    #[error("this is no lexicon of hard negatives")]
    NotALexicon,
    /// They are of another version.
    #[error("this lexicon has the layout {found}, and this program reads the layout {}", MARK[7])]
    Version {
        /// The version found.
        found: u8,
    },
    /// They end early, or were changed.
    #[error("the lexicon is damaged ({0}); get it anew")]
    Damaged(&'static str),
}

/// The file of a lexicon.
///
/// # Panics
/// If memory runs out: nothing else can fail.
#[must_use]
pub fn to_bytes(data: &Data) -> Vec<u8> {
    let content = postcard::to_allocvec(data).expect("writing to memory can't fail");
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(&content).expect("writing to memory can't fail");
    let packed = deflate.finish().expect("writing to memory can't fail");
    let mut file = MARK.to_vec();
    file.extend(hash(&packed).to_le_bytes());
    file.extend(packed);
    file
}

/// The content of a lexicon's file.
///
/// # Errors
/// When it isn't one, or is damaged.
pub fn from_bytes(bytes: &[u8]) -> Result<Data, LexiconError> {
    let (mark, rest) = bytes.split_at_checked(8).ok_or(LexiconError::NotALexicon)?;
    if mark[..7] != MARK[..7] {
        return Err(LexiconError::NotALexicon);
    }
    if mark[7] != MARK[7] {
        return Err(LexiconError::Version { found: mark[7] });
    }
    let (sum, packed) = rest.split_at_checked(8).ok_or(LexiconError::Damaged("it ends early"))?;
    if sum != hash(packed).to_le_bytes() {
        return Err(LexiconError::Damaged("its checksum differs"));
    }
    let mut content = Vec::with_capacity(packed.len() * 4);
    DeflateDecoder::new(packed)
        .take(LARGEST)
        .read_to_end(&mut content)
        .map_err(|_| LexiconError::Damaged("it can't be inflated"))?;
    postcard::from_bytes(&content).map_err(|_| LexiconError::Damaged("its content can't be read"))
}
