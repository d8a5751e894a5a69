//! Parquet's encodings of levels, of dictionary indices and of byte strings.
//!
//! Source: apache/parquet-format: Encodings.md.

use std::ops::Range;
use std::sync::Arc;

/// Byte strings: ranges of a buffer.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    pub(super) buffer: Arc<Vec<u8>>,
    pub(super) ranges: Vec<Range<usize>>,
}

impl Values {
    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        self.buffer.get(self.ranges.get(at)?.clone())
    }
}

const SHORT: &str = "its values end early";

/// Splits off the first `count` bytes.
pub(super) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], String> {
    let (first, rest) = bytes.split_at_checked(count).ok_or(SHORT)?;
    *bytes = rest;
    Ok(first)
}

/// A little-endian length of four bytes.
pub(super) fn length(bytes: &mut &[u8]) -> Result<usize, String> {
    let four = take(bytes, 4)?;
    Ok(u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize)
}

pub(super) fn bits_for(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

/// LEB128.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number in it is too long".to_owned())
}

fn zigzag(bytes: &mut &[u8]) -> Result<i64, String> {
    let value = varint(bytes)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Number `at` of numbers packed in `bits` bits each, the lowest bits first. Missing bytes count as zeros.
fn packed(bytes: &[u8], bits: u32, at: usize) -> u64 {
    let mut value = 0;
    for bit in 0..bits as usize {
        let place = at * bits as usize + bit;
        let byte = bytes.get(place / 8).copied().unwrap_or(0);
        value |= u64::from(byte >> (place % 8) & 1) << bit;
    }
    value
}

/// `count` numbers of `bits` bits, in runs of equal numbers and in packs of eight.
pub(super) fn hybrid(mut bytes: &[u8], bits: u32, count: usize) -> Result<Vec<u32>, String> {
    if bits > 32 {
        return Err(format!("levels or indices of {bits} bits"));
    }
    let mut numbers = Vec::with_capacity(count.min(1 << 20));
    while numbers.len() < count {
        let left = count - numbers.len();
        let header = varint(&mut bytes)?;
        let run = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        if run == 0 {
            return Err("a run in it has no values".to_owned());
        }
        if header & 1 == 1 {
            let used = run.saturating_mul(8).min(left);
            let whole = run.saturating_mul(bits as usize);
            // The last pack may end with its last number.
            let least = (used * bits as usize).div_ceil(8);
            if bytes.len() < least {
                return Err(SHORT.to_owned());
            }
            let whole = whole.min(bytes.len());
            let pack = take(&mut bytes, whole)?;
            numbers.extend((0..used).map(|at| packed(pack, bits, at) as u32));
        } else {
            let value = take(&mut bytes, bits.div_ceil(8) as usize)?;
            let value = value.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte));
            numbers.resize(numbers.len() + run.min(left), value);
        }
    }
    Ok(numbers)
}

/// Numbers as differences, packed in blocks.
fn deltas(bytes: &mut &[u8], most: usize) -> Result<Vec<usize>, String> {
    let wrong = || "its lengths are damaged".to_owned();
    let block = varint(bytes)?;
    let parts = varint(bytes)?;
    let count = usize::try_from(varint(bytes)?).map_err(|_| wrong())?;
    let mut value = zigzag(bytes)?;
    if count > most || parts == 0 || block == 0 || block % parts != 0 || block > 1 << 20 {
        return Err(wrong());
    }
    let each = (block / parts) as usize;
    let mut values = Vec::with_capacity(count.min(1 << 20));
    let mut add = |value: i64| {
        values.push(usize::try_from(value).map_err(|_| wrong())?);
        Ok::<usize, String>(values.len())
    };
    let mut found = if count > 0 { add(value)? } else { 0 };
    while found < count {
        let least = zigzag(bytes)?;
        let widths = take(bytes, parts as usize)?;
        for width in widths {
            if found == count {
                break;
            }
            let width = u32::from(*width);
            if width > 64 {
                return Err(wrong());
            }
            let pack = take(bytes, (each * width as usize).div_ceil(8))?;
            for at in 0..each.min(count - found) {
                value = value.wrapping_add(least).wrapping_add(packed(pack, width, at) as i64);
                found = add(value)?;
            }
        }
    }
    Ok(values)
}

/// Byte strings, each after its length.
pub(super) fn plain(buffer: Vec<u8>, start: usize, count: usize) -> Result<Values, String> {
    let mut ranges = Vec::with_capacity(count.min(1 << 20));
    let mut rest = buffer.get(start..).ok_or(SHORT)?;
    for _ in 0..count {
        let size = length(&mut rest)?;
        let from = buffer.len() - rest.len();
        take(&mut rest, size)?;
        ranges.push(from..from + size);
    }
    Ok(Values { buffer: Arc::new(buffer), ranges })
}

/// Byte strings by their indices in a dictionary.
pub(super) fn placed(
    mut bytes: &[u8],
    count: usize,
    dictionary: &Values,
) -> Result<Values, String> {
    let bits = if count == 0 { 0 } else { u32::from(take(&mut bytes, 1)?[0]) };
    let places = hybrid(bytes, bits, count)?;
    let ranges: Option<Vec<Range<usize>>> =
        places.into_iter().map(|place| dictionary.ranges.get(place as usize).cloned()).collect();
    Ok(Values {
        buffer: Arc::clone(&dictionary.buffer),
        ranges: ranges.ok_or("a value in it is not in its dictionary")?,
    })
}

/// Byte strings after all lengths.
pub(super) fn delta_lengths(buffer: Vec<u8>, start: usize, count: usize) -> Result<Values, String> {
    let mut rest = buffer.get(start..).ok_or(SHORT)?;
    let lengths = deltas(&mut rest, count)?;
    let mut from = buffer.len() - rest.len();
    let mut ranges = Vec::with_capacity(lengths.len());
    for size in lengths {
        take(&mut rest, size)?;
        ranges.push(from..from + size);
        from += size;
    }
    Ok(Values { buffer: Arc::new(buffer), ranges })
}

/// Byte strings as the length of the prefix shared with the one before, and the rest.
pub(super) fn delta_strings(
    page: Vec<u8>,
    start: usize,
    count: usize,
    most: usize,
) -> Result<Values, String> {
    let mut rest = page.get(start..).ok_or(SHORT)?;
    let prefixes = deltas(&mut rest, count)?;
    let start = page.len() - rest.len();
    let suffixes = delta_lengths(page, start, count)?;
    if prefixes.len() != suffixes.ranges.len() {
        return Err("its prefixes and suffixes differ in number".to_owned());
    }
    let mut buffer: Vec<u8> = Vec::new();
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(prefixes.len());
    for (at, prefix) in prefixes.into_iter().enumerate() {
        let from = buffer.len();
        if let Some(before) = ranges.last().filter(|before| before.len() >= prefix) {
            buffer.extend_from_within(before.start..before.start + prefix);
        } else if prefix > 0 {
            return Err("a prefix in it is longer than the text before".to_owned());
        }
        buffer.extend_from_slice(suffixes.get(at).unwrap_or_default());
        // Prefixes can repeat a long text endlessly.
        if buffer.len() > most {
            return Err("its texts are too long".to_owned());
        }
        ranges.push(from..buffer.len());
    }
    Ok(Values { buffer: Arc::new(buffer), ranges })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_packs_are_read() {
        // Encodings.md's example of packing: 0 to 7 in three bits.
        let pack = [3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(hybrid(&pack, 3, 8).unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(hybrid(&[8, 5, 3, 0b10, 0, 0], 1, 6).unwrap(), [5, 5, 5, 5, 0, 1]);
        assert_eq!(hybrid(&[20], 0, 10).unwrap(), [0; 10]);
    }

    #[test]
    fn what_is_cut_or_absurd_is_an_error() {
        for (bytes, bits) in [(&[3, 1][..], 3), (&[8], 8), (&[], 1), (&[0, 0], 1), (&[255; 12], 1)]
        {
            assert!(hybrid(bytes, bits, 8).is_err(), "{bytes:?}");
        }
        assert!(plain(vec![255, 255, 255, 255, 1], 0, 1).is_err());
        assert!(delta_lengths(vec![128, 1, 4, 200, 1, 0], 0, 3).is_err());
        let one = plain(vec![1, 0, 0, 0, b'a'], 0, 1).unwrap();
        assert!(placed(&[8, 2, 7], 1, &one).is_err());
        assert_eq!(placed(&[8, 2, 0], 1, &one).unwrap().get(0), Some(&b"a"[..]));
    }
}
