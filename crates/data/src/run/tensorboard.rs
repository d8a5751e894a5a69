//! Scalars in TensorBoard's event files. Called by the training loop.
//!
//! The framing is TensorFlow's (tensorflow/core/lib/io/record_writer.h): the length as u64, its masked CRC-32C, the event,
//! its masked CRC-32C, all little-endian. Events are the protobuf messages `Event`, `Summary` and `SessionLog`
//! (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto), of which scalars need a few fields.

use std::path::Path;

use super::RunError;
use super::files::{self, Appender};

/// The start of an event file's name. TensorBoard finds the files by `tfevents` and reads them in the order of their names.
const PREFIX: &str = "events.out.tfevents.";
/// `Event.file_version`: the version in which [`EventFile::create`]'s START event drops the steps that are written again.
const FILE_VERSION: &[u8] = b"brain.Event:2";

/// An event file that grows an event at a time.
#[derive(Debug)]
pub struct EventFile {
    file: Appender,
}

impl EventFile {
    /// Creates an event file in `dir` for a run before step `step`, which hides that step and later ones of older files.
    ///
    /// # Errors
    /// When the folder can't be read, or the file can't be created or written.
    pub fn create(dir: &Path, wall_time: f64, step: usize) -> Result<Self, RunError> {
        let mut seconds = wall_time as u64;
        let mut is_first = true;
        for name in files::names(dir)? {
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            is_first = false;
            let found = rest.split('.').next().and_then(|digits| digits.parse::<u64>().ok());
            // A clock may be set back, and a run can be resumed within a second.
            seconds = seconds.max(found.map_or(0, |found| found.saturating_add(1)));
        }
        // TensorFlow's names end in the host's name, which the standard library doesn't have. The digits make the names sort.
        let path = dir.join(format!("{PREFIX}{seconds:010}.clove"));
        let mut file = Self { file: Appender::create_new(&path)? };
        let mut version = event(wall_time, None);
        bytes_field(3, FILE_VERSION, &mut version);
        file.append(&version)?;
        // A run that begins again at step 0 hides all steps of the older files.
        if step > 0 || !is_first {
            // session_log { status: START }
            let mut start = event(wall_time, Some(step));
            bytes_field(7, &[1 << 3, 1], &mut start);
            file.append(&start)?;
        }
        Ok(file)
    }

    /// Appends the values of a step under their names, such as `train/loss`. `wall_time` is in seconds since 1970.
    ///
    /// # Errors
    /// When they can't be written; the file is then unchanged.
    pub fn scalars(
        &mut self,
        wall_time: f64,
        step: usize,
        values: &[(&str, f32)],
    ) -> Result<(), RunError> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut scalar = Vec::new();
            bytes_field(1, tag.as_bytes(), &mut scalar);
            scalar.push(2 << 3 | FIXED_32);
            scalar.extend_from_slice(&value.to_le_bytes());
            bytes_field(1, &scalar, &mut summary);
        }
        let mut event = event(wall_time, Some(step));
        bytes_field(5, &summary, &mut event);
        self.append(&event)
    }

    /// Syncs all events to the disk.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn sync(&self) -> Result<(), RunError> {
        self.file.sync()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    fn append(&mut self, event: &[u8]) -> Result<(), RunError> {
        let length = &(event.len() as u64).to_le_bytes()[..];
        let [of_length, of_event] = [length, event].map(|of| masked(crc32c(of)).to_le_bytes());
        self.file.append(&[length, &of_length, event, &of_event].concat())
    }
}

// Protobuf's wire types.
const FIXED_64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED_32: u8 = 5;

/// An `Event` with its time and step, open for one more field.
fn event(wall_time: f64, step: Option<usize>) -> Vec<u8> {
    let mut event = vec![1 << 3 | FIXED_64];
    event.extend_from_slice(&wall_time.to_le_bytes());
    if let Some(step) = step {
        event.push(2 << 3);
        varint(step as u64, &mut event);
    }
    event
}

/// A string, bytes or an embedded message. `field` is at most 15: its key is one byte.
fn bytes_field(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | LENGTH);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// CRC-32C (Castagnoli): reflected polynomial 0x82F63B78 (RFC 3720, section 12.1).
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0x82F63B78 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}

/// TensorFlow masks checksums that are stored beside what they cover (tensorflow/core/lib/hash/crc32c.h).
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xA282EAD8)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The check value of CRC catalogues, and RFC 3720, appendix B.4.
    #[test]
    fn crc32c_is_that_of_the_published_vectors() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        for (bytes, crc) in [
            (&b"123456789"[..], 0xE3069283),
            (&[0; 32], 0x8A9136AA),
            (&[0xFF; 32], 0x62A8AB43),
            (&rising, 0x46DD794E),
            (&falling, 0x113FDB5C),
            (&[], 0),
        ] {
            assert_eq!(crc32c(bytes), crc, "{bytes:?}");
        }
    }

    /// What tensorboard 2.21.0 (its `RecordWriter`, with its own protobuf classes) writes for the same three events.
    const TENSORBOARD: &str = concat!(
        "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110",
        "100000000000000095fbfe180900002040fc54d94110ac023a020801b94512a3",
        "3700000000000000e7e8ca590900005040fc54d94110ac022a290a110a0a74",
        "7261696e2f6c6f7373150000003f0a140a0d747261696e2f6772c3b6c39f6515000000c055ed8e0d",
    );

    #[test]
    fn the_bytes_are_those_of_tensorboards_own_writer() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), 1_700_000_000.5, 300).unwrap();
        file.scalars(1_700_000_001.25, 300, &[("train/loss", 0.5), ("train/größe", -2.0)]).unwrap();
        file.sync().unwrap();
        let name = file.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(name, "events.out.tfevents.1700000000.clove");
        let expected: Vec<u8> = (0..TENSORBOARD.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&TENSORBOARD[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(fs::read(file.path()).unwrap(), expected);
    }

    #[test]
    fn a_first_file_begins_with_its_version_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = EventFile::create(folder.path(), 1_700_000_000.5, 0).unwrap();
        // 12 bytes before the event, 24 of it, 4 after it.
        assert_eq!(fs::read(file.path()).unwrap().len(), 40);
    }

    /// TensorBoard drops what it read of this step and later ones at a START event (tensorflow/tensorboard:
    /// tensorboard/backend/event_processing/event_accumulator.py, `_CheckForRestartAndMaybePurge`).
    #[test]
    fn a_run_that_begins_anew_hides_all_steps_of_the_older_files() {
        let folder = tempfile::tempdir().unwrap();
        drop(EventFile::create(folder.path(), 1_700_000_000.5, 0).unwrap());
        let file = EventFile::create(folder.path(), 1_700_000_001.5, 0).unwrap();
        let bytes = fs::read(file.path()).unwrap();
        let mut start = event(1_700_000_001.5, Some(0));
        start.extend([7 << 3 | LENGTH, 2, 1 << 3, 1]);
        let second = &bytes[40..];
        assert_eq!(second[12..second.len() - 4], start);
    }

    #[test]
    fn a_later_file_sorts_after_those_before_it_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for wall_time in [1_700_000_000.0, 1_700_000_000.9, 1_600_000_000.0, -1.0, f64::NAN] {
            let file = EventFile::create(folder.path(), wall_time, 1).unwrap();
            names.push(file.path().to_owned());
        }
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn varints_are_seven_bits_a_byte() {
        for (value, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (300, &[0xAC, 2])] {
            let mut out = Vec::new();
            varint(value, &mut out);
            assert_eq!(out, bytes);
        }
    }
}
