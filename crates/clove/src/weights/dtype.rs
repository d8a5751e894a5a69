//! Elements as bytes: little-endian f32, f16 and bf16, to f32 and back.

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};

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
pub(crate) fn encode_f32(dtype: Dtype, values: &[f32], bytes: &mut Vec<u8>) -> Option<()> {
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
}
