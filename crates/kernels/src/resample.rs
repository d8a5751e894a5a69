//! Resampling coefficients of Pillow's antialiased resize, in the fixed point of its 8-bit path.
//!
//! CLIP's published scores depend on Pillow's resize, so a port must produce the same bytes, and the bytes follow from these
//! coefficients. `clove::preprocess` applies them on the host. A device kernel needs the flat tables of [`FixedPoint`] (`starts`,
//! `lengths`, `weights` with `window` entries for each output) and these rules:
//!
//! 1. there are two passes, and the result of the first is rounded to 8 bits; [`vertical_first`] gives their order;
//! 2. in each pass an output is `(2^21 + sum(sample * weight)) >> 22` (arithmetic shift), clamped to 0..=255;
//!    the sum fits an `i32`.
//!
//! Source: Pillow, src/libImaging/Resample.c (`precompute_coeffs`, `normalize_coeffs_8bpc`, `ImagingResampleInner`).

use std::ops::Range;

/// Fraction bits of the fixed-point weights: 32 less 8 bits of sample and 2 of headroom (Pillow's `PRECISION_BITS`).
pub const PRECISION_BITS: u32 = 22;

/// Interpolation kernel. When shrinking it is stretched by the scale, which is the antialiasing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Triangle of half-width 1.
    Bilinear,
    /// Keys' cubic convolution with a = -0.5 (as in Pillow; PyTorch's plain bicubic uses -0.75), of half-width 2.
    #[default]
    Bicubic,
}

impl Filter {
    /// Half-width in source samples at scale 1.
    fn support(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
        }
    }

    /// Value of the kernel at distance `x`, before normalisation.
    // The cubic's factors are in Pillow's order: another order rounds differently.
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Filter::Bilinear if x < 1.0 => 1.0 - x,
            Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }

    /// The weights of the samples that an output reads, in the front of `row`; returns the first sample and their number.
    fn weights(self, input: u32, scale: f64, output: u32, row: &mut [f64]) -> (u32, u32) {
        let filter_scale = scale.max(1.0);
        let support = self.support() * filter_scale;
        let inverse_scale = 1.0 / filter_scale;
        let center = (f64::from(output) + 0.5) * scale;
        // Pillow rounds by adding a half and truncating; a cast from a negative float to u32 gives its lower bound, 0.
        let start = (center - support + 0.5) as u32;
        let end = ((center + support + 0.5) as u32).min(input);
        let length = end.saturating_sub(start);
        let row = &mut row[..length as usize];
        let mut sum = 0.0;
        for (offset, weight) in row.iter_mut().enumerate() {
            let sample = offset as f64 + f64::from(start);
            *weight = self.weight((sample - center + 0.5) * inverse_scale);
            sum += *weight;
        }
        if sum != 0.0 {
            for weight in row.iter_mut() {
                *weight /= sum;
            }
        }
        (start, length)
    }
}

/// For each output along one axis: the first source sample it reads, and the weights of the samples from there on, in units of
/// `2^-`[`PRECISION_BITS`]. Flat tables, ready for a device buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedPoint {
    /// Weights reserved for each output.
    pub window: usize,
    /// First source sample of each output, `[outputs]`.
    pub starts: Vec<u32>,
    /// Samples that each output reads, `[outputs]`, each at most `window`.
    pub lengths: Vec<u32>,
    /// Weights, `[outputs, window]`, zero past each output's length.
    pub weights: Vec<i32>,
}

impl FixedPoint {
    /// Coefficients that resize `input` samples to `output` samples, for the outputs in `wanted` only, so that a crop after the
    /// resize costs nothing outside the crop. Weights are rounded to the nearest, halves away from zero.
    ///
    /// `None` if `input` or `output` is 0, or `wanted` reaches past `output`.
    pub fn new(filter: Filter, input: u32, output: u32, wanted: Range<u32>) -> Option<Self> {
        if input == 0 || output == 0 || wanted.end > output {
            return None;
        }
        let scale = f64::from(input) / f64::from(output);
        let window = (filter.support() * scale.max(1.0)).ceil() as usize * 2 + 1;
        let one = f64::from(1 << PRECISION_BITS);
        let fixed = |&weight: &f64| (weight * one + 0.5_f64.copysign(weight)) as i32;
        let mut axis = Self {
            window,
            starts: Vec::with_capacity(wanted.len()),
            lengths: Vec::with_capacity(wanted.len()),
            weights: Vec::with_capacity(wanted.len() * window),
        };
        let mut row = vec![0.0; window];
        for index in wanted {
            row.fill(0.0);
            let (start, length) = filter.weights(input, scale, index, &mut row);
            axis.starts.push(start);
            axis.lengths.push(length);
            axis.weights.extend(row.iter().map(fixed));
        }
        Some(axis)
    }

    /// First source sample and weights of each output, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let rows = self.weights.chunks_exact(self.window);
        (self.starts.iter().zip(&self.lengths))
            .zip(rows)
            .map(|((&start, &length), row)| (start as usize, &row[..length as usize]))
    }

    /// The source samples that all outputs together read: starts and ends both grow with the output.
    pub fn source_range(&self) -> Range<usize> {
        match (self.starts.first(), self.starts.last(), self.lengths.last()) {
            (Some(&first), Some(&last), Some(&length)) => first as usize..(last + length) as usize,
            _ => 0..0,
        }
    }
}

/// Whether the vertical pass comes first: when the height shrinks by over twice as many samples as the width (sizes: width, height).
///
/// This is the rule of Pillow 13.0 (pull request 9549; the exact rule was derived from 13.0.0's results on about 7,800 sizes). Pillow
/// before 12.3 always began with the horizontal pass, and 12.3 with the vertical one only for images a hundred times taller than wide.
/// For photos the order matters only where they are tall (from about 2:1), by about one level.
pub fn vertical_first(input: (u32, u32), output: (u32, u32)) -> bool {
    let narrower = i64::from(input.0) - i64::from(output.0);
    let shorter = i64::from(input.1) - i64::from(output.1);
    shorter > 0 && shorter > 2 * narrower
}

/// Rounds a fixed-point sum that includes [`ROUNDING`] to 8 bits.
#[expect(
    clippy::inline_always,
    reason = "the inner loop of every resize, called from another crate, which vectorises it only if it is inlined"
)]
#[inline(always)]
pub fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The initial value of a fixed-point sum: one half, so that the shift in [`clip`] rounds.
pub const ROUNDING: i32 = 1 << (PRECISION_BITS - 1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that shrink, grow and stay, by whole and fractional scales.
    const SIZES: [(u32, u32); 9] =
        [(1, 1), (1, 7), (7, 1), (64, 64), (257, 224), (3, 224), (640, 224), (65_535, 3), (5, 4)];

    #[test]
    fn weights_sum_to_one_and_stay_inside_the_input() {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            for (input, output) in SIZES {
                let scale = f64::from(input) / f64::from(output);
                let window = FixedPoint::new(filter, input, output, 0..1).unwrap().window;
                let mut row = vec![0.0; window];
                for index in 0..output {
                    let (start, length) = filter.weights(input, scale, index, &mut row);
                    assert!(start + length <= input);
                    let sum: f64 = row[..length as usize].iter().sum();
                    // Adding up to 87,000 rounded f64 weights loses less than this.
                    assert!((sum - 1.0).abs() < 1e-10, "{input} to {output}: {sum}");
                }
            }
        }
    }

    #[test]
    fn a_fixed_point_sum_never_overflows_an_i32() {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            for (input, output) in SIZES {
                let all = FixedPoint::new(filter, input, output, 0..output).unwrap();
                assert_eq!(all.iter().count(), output as usize);
                for (_, weights) in all.iter() {
                    let worst: i64 = weights.iter().map(|&w| 255 * i64::from(w.abs())).sum();
                    assert!(worst + i64::from(ROUNDING) <= i64::from(i32::MAX));
                }
            }
        }
    }

    #[test]
    fn invalid_sizes_are_refused() {
        let new = |input, output, wanted| FixedPoint::new(Filter::Bicubic, input, output, wanted);
        assert_eq!(new(0, 4, 0..4), None);
        assert_eq!(new(4, 0, 0..0), None);
        assert_eq!(new(4, 4, 2..5), None);
        assert_eq!(new(4, 4, 2..2).unwrap().iter().count(), 0);
    }
}
