//! Elements as bytes: little-endian f32, f16 and bf16, to f32 and back.

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};

use super::Problem;
use super::tensors::Dtype;

/// Decodes little-endian elements to f32. `None` if `dtype` isn't F32, F16 or BF16.
///
/// # Panics
/// If `bytes` isn't as long as `values` needs.
pub fn decode_f32(dtype: Dtype, bytes: &[u8], values: &mut [f32]) -> Option<()> {
    match dtype {
        Dtype::F32 => {
            for (value, word) in values.iter_mut().zip(chunks(bytes)) {
                *value = f32::from_le_bytes(word);
            }
        }
        Dtype::F16 => {
            let halves: Vec<f16> = chunks(bytes).map(f16::from_le_bytes).collect();
            halves.convert_to_f32_slice(values);
        }
        Dtype::BF16 => {
            for (value, word) in values.iter_mut().zip(chunks(bytes)) {
                *value = bf16::from_le_bytes(word).to_f32();
            }
        }
        _ => return None,
    }
    Some(())
}

/// Encodes f32 values as little-endian elements, rounded to nearest. `None` if `dtype` isn't F32, F16 or BF16.
fn encode_f32(dtype: Dtype, values: &[f32], bytes: &mut Vec<u8>) -> Option<()> {
    bytes.clear();
    match dtype {
        Dtype::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Dtype::F16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            bytes.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        }
        Dtype::BF16 => {
            bytes.extend(values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()));
        }
        _ => return None,
    }
    Some(())
}

/// Encodes f32 values, which must be finite in `dtype`. `names` are the tensors that the values make up, each an equal part of them.
pub(crate) fn encode_finite(
    names: &[impl AsRef<str>],
    dtype: Dtype,
    values: &[f32],
    bytes: &mut Vec<u8>,
) -> Result<(), Problem> {
    let name = |at: usize| names[at * names.len() / values.len()].as_ref().to_owned();
    encode_f32(dtype, values, bytes).ok_or_else(|| Problem::Dtype(name(0), dtype))?;
    match not_finite(dtype, bytes) {
        None => Ok(()),
        Some(at) if values[at].is_finite() => Err(Problem::TooLarge(name(at), values[at], dtype)),
        Some(at) => Err(Problem::NotFinite(name(at), values[at])),
    }
}

/// The position of the first element that is infinite or not a number; `None` if there is none, or `dtype` isn't F32, F16 or BF16.
pub(super) fn not_finite(dtype: Dtype, bytes: &[u8]) -> Option<usize> {
    // Such an element has all bits of its exponent set.
    match dtype {
        Dtype::F32 => first(bytes, |word| u32::from_le_bytes(word) & 0x7F80_0000 == 0x7F80_0000),
        Dtype::F16 => first(bytes, |word| u16::from_le_bytes(word) & 0x7C00 == 0x7C00),
        Dtype::BF16 => first(bytes, |word| u16::from_le_bytes(word) & 0x7F80 == 0x7F80),
        _ => None,
    }
}

/// The position of the first word that `is_wanted`. Looks at whole blocks, which the compiler turns into vector instructions, because
/// nearly always there is none.
fn first<const N: usize>(bytes: &[u8], is_wanted: impl Fn([u8; N]) -> bool) -> Option<usize> {
    const BLOCK: usize = 1024;
    let words = bytes.as_chunks::<N>().0;
    let has_one = |block: &[[u8; N]]| block.iter().fold(false, |any, word| any | is_wanted(*word));
    let start = words.chunks(BLOCK).position(has_one)? * BLOCK;
    Some(start + words[start..].iter().position(|word| is_wanted(*word))?)
}

/// `bytes` in words of `N`.
fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_survives_the_way_through_f32() {
        let bytes: Vec<u8> = (0..=u16::MAX)
            .filter(|bits| !f16::from_bits(*bits).is_nan())
            .flat_map(u16::to_le_bytes)
            .collect();
        let mut values = vec![0.0; bytes.len() / 2];
        decode_f32(Dtype::F16, &bytes, &mut values).unwrap();
        let mut again = Vec::new();
        encode_f32(Dtype::F16, &values, &mut again).unwrap();
        assert_eq!(bytes, again);
    }

    #[test]
    fn elements_that_are_not_finite_are_found_in_every_type() {
        // Several blocks; the largest of f32 is infinite in the types of 16 bits.
        let mut many = vec![-1.5; 2500];
        let largest = [f32::MAX, f32::MIN_POSITIVE, f32::MIN];
        for wrong in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
                many.truncate(2500);
                many.extend(largest.iter().filter(|_| dtype == Dtype::F32));
                let fine = many.as_slice();
                let mut bytes = Vec::new();
                encode_f32(dtype, fine, &mut bytes).unwrap();
                assert_eq!(not_finite(dtype, &bytes), None, "{dtype:?}");
                encode_f32(dtype, &[fine, &[wrong]].concat(), &mut bytes).unwrap();
                assert_eq!(not_finite(dtype, &bytes), Some(fine.len()), "{dtype:?} {wrong}");
            }
        }
        assert_eq!(not_finite(Dtype::I64, &[0xFF; 8]), None);
    }
}
