//! Resampling coefficients of Pillow's antialiased resize, in `f64` and in the fixed point of its 8-bit path.
//!
//! CLIP's published scores rest on Pillow's resize, so a port must give the same bytes, and the bytes follow from these
//! coefficients. `clove::preprocess` applies them on the host. A device kernel needs only the flat tables of
//! [`FixedPoint`] (`starts`, `lengths`, `weights` with `window` entries for each output) and these rules:
//!
//! 1. there are two passes, and what the first gives is rounded to 8 bits; [`vertical_first`] tells their order;
//! 2. in each pass an output is `(2^21 + sum(sample * weight)) >> 22` (arithmetic shift), clamped to 0..=255;
//!    the sum fits an `i32`.
//!
//! Source: python-pillow/Pillow, src/libImaging/Resample.c (`precompute_coeffs`, `normalize_coeffs_8bpc`,
//! `ImagingResampleInner`).

use std::ops::Range;

/// Fraction bits of the fixed-point weights: 32 less 8 bits of sample and 2 of headroom
/// (Pillow's Resample.c, `PRECISION_BITS`).
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
    pub fn support(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
        }
    }

    /// Value of the kernel at distance `x`, before normalisation.
    // The cubic's factors stand in the order in which Pillow multiplies them: another order rounds differently.
    pub fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Filter::Bilinear if x < 1.0 => 1.0 - x,
            Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// For each output along one axis: the first source sample it reads, and the weights of the samples from there on.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    window: usize,
    starts: Vec<u32>,
    lengths: Vec<u32>,
    weights: Vec<f64>,
}

impl Coefficients {
    /// Coefficients that resize `input` samples to `output` samples; only those of the outputs in `wanted` are made, so
    /// that a crop after the resize costs nothing outside the crop.
    ///
    /// `source` is the part of the input to resize, in samples (`None`: all of it). It is `f32` because Pillow's box is.
    ///
    /// `None` where nothing can be resized: `input` or `output` is 0, `wanted` reaches past `output`, or `source` is
    /// empty, not finite or reaches outside the input.
    pub fn new(
        filter: Filter,
        input: u32,
        source: Option<Range<f32>>,
        output: u32,
        wanted: Range<u32>,
    ) -> Option<Self> {
        let (from, to) = match source {
            Some(range) => (f64::from(range.start), f64::from(range.end)),
            None => (0.0, f64::from(input)),
        };
        // `from < to` is false for NaN too, and the two other comparisons shut out the infinities.
        let source_is_valid = from >= 0.0 && from < to && to <= f64::from(input);
        if input == 0 || output == 0 || wanted.end > output || !source_is_valid {
            return None;
        }

        let scale = (to - from) / f64::from(output);
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let window = support.ceil() as usize * 2 + 1;
        let inverse_scale = 1.0 / filter_scale;

        let count = wanted.len();
        let mut starts = Vec::with_capacity(count);
        let mut lengths = Vec::with_capacity(count);
        let mut weights = vec![0.0; count * window];
        for (index, row) in wanted.zip(weights.chunks_exact_mut(window)) {
            let center = from + (f64::from(index) + 0.5) * scale;
            // Pillow rounds by adding a half and truncating; a cast from a negative float to u32 gives its lower bound, 0.
            let start = (center - support + 0.5) as u32;
            let end = ((center + support + 0.5) as u32).min(input);
            let row = &mut row[..end.saturating_sub(start) as usize];
            let mut sum = 0.0;
            for (offset, weight) in row.iter_mut().enumerate() {
                let sample = offset as f64 + f64::from(start);
                *weight = filter.weight((sample - center + 0.5) * inverse_scale);
                sum += *weight;
            }
            if sum != 0.0 {
                for weight in row.iter_mut() {
                    *weight /= sum;
                }
            }
            starts.push(start);
            lengths.push(row.len() as u32);
        }
        Some(Self { window, starts, lengths, weights })
    }

    /// Number of outputs.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// True when no output was wanted.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// First source sample and normalised weights of an output; `None` past the last output.
    pub fn get(&self, output: usize) -> Option<(u32, &[f64])> {
        let start = *self.starts.get(output)?;
        let first = output * self.window;
        Some((start, &self.weights[first..first + self.lengths[output] as usize]))
    }

    /// The same coefficients in Pillow's 8-bit fixed point: rounded to the nearest, halves away from zero.
    pub fn to_fixed_point(&self) -> FixedPoint {
        let one = f64::from(1 << PRECISION_BITS);
        let fixed = |&weight: &f64| (weight * one + 0.5_f64.copysign(weight)) as i32;
        FixedPoint {
            window: self.window,
            starts: self.starts.clone(),
            lengths: self.lengths.clone(),
            weights: self.weights.iter().map(fixed).collect(),
        }
    }
}

/// [`Coefficients`] with weights in units of `2^-`[`PRECISION_BITS`]; flat tables, ready for a device buffer.
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
    /// First source sample and weights of each output, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let rows = self.weights.chunks_exact(self.window);
        (self.starts.iter().zip(&self.lengths))
            .zip(rows)
            .map(|((&start, &length), row)| (start as usize, &row[..length as usize]))
    }

    /// Source samples that all outputs together read. Starts and ends both grow with the output, so this is the span
    /// from the first start to the last end.
    pub fn source_range(&self) -> Range<usize> {
        match (self.starts.first(), self.starts.last(), self.lengths.last()) {
            (Some(&first), Some(&last), Some(&length)) => first as usize..(last + length) as usize,
            _ => 0..0,
        }
    }
}

/// True when the vertical pass comes before the horizontal one: when the height shrinks by more than twice as many samples
/// as the width does. Sizes are (width, height).
///
/// So it is since Pillow 13.0 (its pull request 9549 speaks of heights scaled down significantly more than widths; the
/// exact rule was taken from 13.0.0's results on about 7,800 sizes). Pillow before 12.3 always began with the horizontal pass,
/// and 12.3 with the vertical one only for images a hundred times taller than wide. For photos the order matters only
/// where they are tall (from about 2:1), and there by about one level.
pub fn vertical_first(input: (u32, u32), output: (u32, u32)) -> bool {
    let narrower = i64::from(input.0) - i64::from(output.0);
    let shorter = i64::from(input.1) - i64::from(output.1);
    shorter > 0 && shorter > 2 * narrower
}

/// Rounds a fixed-point sum that began at [`ROUNDING`] to 8 bits.
#[expect(
    clippy::inline_always,
    reason = "the inner loop of every resize, called from another crate, which vectorises it only if it is inlined"
)]
#[inline(always)]
pub fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Where a fixed-point sum begins: one half, so that the shift in [`clip`] rounds.
pub const ROUNDING: i32 = 1 << (PRECISION_BITS - 1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that shrink, grow, and leave alone, by whole and broken scales.
    const SIZES: [(u32, u32); 9] =
        [(1, 1), (1, 7), (7, 1), (64, 64), (257, 224), (3, 224), (640, 224), (65_535, 3), (5, 4)];

    #[test]
    fn weights_sum_to_one_and_stay_inside_the_input() {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            for (input, output) in SIZES {
                let all = Coefficients::new(filter, input, None, output, 0..output).unwrap();
                assert_eq!(all.len(), output as usize);
                for index in 0..all.len() {
                    let (start, weights) = all.get(index).unwrap();
                    assert!(start as usize + weights.len() <= input as usize);
                    let sum: f64 = weights.iter().sum();
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
                let all = Coefficients::new(filter, input, None, output, 0..output).unwrap();
                for (_, weights) in all.to_fixed_point().iter() {
                    let worst: i64 = weights.iter().map(|&w| 255 * i64::from(w.abs())).sum();
                    assert!(worst + i64::from(ROUNDING) <= i64::from(i32::MAX));
                }
            }
        }
    }

    #[test]
    fn a_window_of_outputs_equals_that_part_of_the_whole() {
        let all = Coefficients::new(Filter::Bicubic, 333, None, 224, 0..224).unwrap();
        let part = Coefficients::new(Filter::Bicubic, 333, None, 224, 50..60).unwrap();
        for index in 0..10 {
            assert_eq!(part.get(index), all.get(50 + index));
        }
        assert_eq!(part.get(10), None);
        let range = part.to_fixed_point().source_range();
        let (last, weights) = part.get(9).unwrap();
        assert_eq!(range, part.starts[0] as usize..last as usize + weights.len());
    }

    #[test]
    fn an_equal_size_copies() {
        let same = Coefficients::new(Filter::Bicubic, 9, None, 9, 0..9).unwrap();
        for index in 0..9 {
            let (start, weights) = same.get(index).unwrap();
            for (offset, &weight) in weights.iter().enumerate() {
                let expected = if start as usize + offset == index { 1.0 } else { 0.0 };
                assert_eq!(weight, expected);
            }
        }
    }

    #[test]
    fn what_cannot_be_resized_is_none() {
        let new = |input, source, output, wanted| {
            Coefficients::new(Filter::Bicubic, input, source, output, wanted)
        };
        assert_eq!(new(0, None, 4, 0..4), None);
        assert_eq!(new(4, None, 0, 0..0), None);
        assert_eq!(new(4, None, 4, 2..5), None);
        assert_eq!(new(4, Some(2.0..2.0), 4, 0..4), None);
        assert_eq!(new(4, Some(1.0..4.5), 4, 0..4), None);
        assert_eq!(new(4, Some(f32::NAN..3.0), 4, 0..4), None);
        assert!(new(4, Some(0.5..3.25), 4, 0..4).is_some());
        assert!(new(4, None, 4, 2..2).unwrap().is_empty());
    }
}
