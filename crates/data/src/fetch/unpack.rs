//! Decompression of gzip and zstd files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

/// Bytes between two progress reports.
const STRIDE: usize = 1 << 20;
/// Most bytes of a zstd frame's window, all of which are in memory: the limit of zstd itself (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`).
const LARGEST_WINDOW: u64 = 128 << 20;
/// How many times a file may grow. Shards of photos grow little; gzip makes a file of zeros a thousand times smaller.
const LARGEST_RATIO: u64 = 100;
/// Bytes that any file may grow to.
const SMALL: u64 = 64 << 20;

/// The compression of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// By a file's first bytes; `None` for an uncompressed file.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut magic = Vec::new();
        File::open(path)?.take(4).read_to_end(&mut magic)?;
        Ok(match magic.as_slice() {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd] => Some(Self::Zstd),
            _ => None,
        })
    }
}

/// Why a file isn't unpacked completely.
#[derive(Debug)]
pub(super) enum Error {
    /// The packed file can't be read.
    Read(io::Error),
    /// The copy can't be written.
    Write(io::Error),
    /// The compressed file is damaged. The intact beginning was written.
    Damaged(String),
    /// The file is too large when it's unpacked, or would take too much memory.
    Refused(String),
    Stopped,
}

/// Unpacks `from` into `to` and reports the bytes read of `from` to `listener`. `room` makes room for a number of bytes.
pub(super) fn unpack(
    from: &Path,
    to: &Path,
    room: &dyn Fn(u64) -> Result<(), String>,
    listener: &dyn Fn(u64) -> bool,
) -> Result<(), Error> {
    let packing = Packing::of(from).map_err(Error::Read)?;
    let file = File::open(from).map_err(Error::Read)?;
    let packed = file.metadata().map_err(Error::Read)?.len();
    let mut input =
        Counted { file: BufReader::with_capacity(1 << 18, file), read: 0, failed: None };
    let mut output = Output {
        file: BufWriter::new(File::create(to).map_err(Error::Write)?),
        block: vec![0; STRIDE],
        packed,
        written: 0,
        told: 0,
        room,
        listener,
    };
    let ended = match packing {
        Some(Packing::Gzip) => {
            let mut decoder = MultiGzDecoder::new(&mut input);
            output.copy(&mut decoder, |decoder| decoder.get_ref().read)
        }
        Some(Packing::Zstd) => zstd(&mut input, &mut output),
        None => Err(Error::Damaged("neither gzip nor zstd".to_owned())),
    };
    if let Some(error) = input.failed {
        return Err(Error::Read(error));
    }
    if !matches!(ended, Ok(()) | Err(Error::Damaged(_))) {
        return ended;
    }
    // Bytes after the compressed ones.
    if !listener(input.read - output.told) {
        return Err(Error::Stopped);
    }
    let file = output.file.into_inner().map_err(|error| Error::Write(error.into_error()))?;
    file.sync_all().map_err(Error::Write)?;
    ended
}

/// A file is a sequence of frames, some of which are skippable metadata.
///
/// Source: RFC 8878, sections 3.1 and 3.1.2.
fn zstd(input: &mut Counted, output: &mut Output<'_>) -> Result<(), Error> {
    loop {
        match input.fill_buf() {
            Ok([]) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(Error::Read(error)),
        }
        match StreamingDecoder::new_with_max_window_size(&mut *input, LARGEST_WINDOW) {
            Ok(mut decoder) => output.copy(&mut decoder, |decoder| decoder.get_ref().read)?,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let skipped = io::copy(&mut input.take(length.into()), &mut io::sink());
                if skipped.map_err(Error::Read)? < length.into() {
                    return Err(Error::Damaged("a frame is incomplete".to_owned()));
                }
            }
            Err(FrameDecoderError::WindowSizeTooBig { requested, max }) => {
                return Err(Error::Refused(format!(
                    "unpacking it takes {requested} bytes of memory, at most {max} are used; unpack it with `zstd -d --memory={requested}`, \
                     or pack it without --long"
                )));
            }
            Err(error) => return Err(Error::Damaged(error.to_string())),
        }
    }
}

/// What is unpacked.
struct Output<'a> {
    file: BufWriter<File>,
    block: Vec<u8>,
    /// Bytes of the packed file.
    packed: u64,
    written: u64,
    told: u64,
    room: &'a dyn Fn(u64) -> Result<(), String>,
    listener: &'a dyn Fn(u64) -> bool,
}

impl Output<'_> {
    /// Copies the output of `decoder`. `read` is its position in the input.
    fn copy<D: Read>(&mut self, decoder: &mut D, read: impl Fn(&D) -> u64) -> Result<(), Error> {
        loop {
            let bytes = match decoder.read(&mut self.block) {
                Ok(0) => return Ok(()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Damaged(error.to_string())),
            };
            self.make_room(bytes as u64)?;
            self.file.write_all(&self.block[..bytes]).map_err(Error::Write)?;
            let read = read(decoder);
            if !(self.listener)(read - self.told) {
                return Err(Error::Stopped);
            }
            self.told = read;
        }
    }

    /// Checks that this number of bytes more may be written.
    fn make_room(&mut self, bytes: u64) -> Result<(), Error> {
        self.written += bytes;
        if self.written > self.packed.saturating_mul(LARGEST_RATIO).max(SMALL) {
            return Err(Error::Refused(format!(
                "its {} bytes unpack to more than {LARGEST_RATIO} times as many, as a decompression bomb does; if they are right, unpack \
                 the file and name that",
                self.packed
            )));
        }
        (self.room)(bytes).map_err(Error::Refused)
    }
}

/// A file that counts the bytes read and keeps its own errors apart from the decoder's.
struct Counted {
    file: BufReader<File>,
    read: u64,
    failed: Option<io::Error>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(buffer)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf().map_err(|error| {
            let said = io::Error::new(error.kind(), error.to_string());
            self.failed = Some(error);
            said
        })
    }

    fn consume(&mut self, bytes: usize) {
        self.read += bytes as u64;
        self.file.consume(bytes);
    }
}
