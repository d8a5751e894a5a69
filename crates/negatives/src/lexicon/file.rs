//! The lexicon's file: a magic number with a version, a checksum, and the deflated content.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::{Data, hash};

/// The magic number; its last byte is the version of the layout.
const MARK: &[u8; 8] = b"CLoVeLX\x01";

/// Most bytes of the content: more than any lexicon has.
const LARGEST: u64 = 64 << 20;

/// Why bytes are no lexicon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LexiconError {
    /// The magic number is missing.
    #[error("this is no lexicon of hard negatives")]
    NotALexicon,
    /// The layout has another version: this one.
    #[error("this lexicon has the layout {0}, and this program reads the layout {own}", own = MARK[7])]
    Version(u8),
    /// The bytes are incomplete or changed.
    #[error("the lexicon is damaged ({0}); download it again")]
    Damaged(&'static str),
}

/// The file of a lexicon.
///
/// # Panics
/// If memory runs out: nothing else can fail.
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
/// When it is no lexicon, or damaged.
pub fn from_bytes(bytes: &[u8]) -> Result<Data, LexiconError> {
    let (mark, rest) = bytes.split_at_checked(8).ok_or(LexiconError::NotALexicon)?;
    if mark[..7] != MARK[..7] {
        return Err(LexiconError::NotALexicon);
    }
    if mark[7] != MARK[7] {
        return Err(LexiconError::Version(mark[7]));
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
