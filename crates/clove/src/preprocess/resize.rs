//! Pillow's two-pass resize of 8-bit RGB, restricted to the part of the result that a crop keeps.

use std::ops::Range;

use clove_kernels::resample::{Filter, FixedPoint, ROUNDING, clip, vertical_first};
use image::RgbImage;

use super::CropBox;

/// Bytes of a row that the vertical pass sums at a time, which fill the vector registers.
const BLOCK: usize = 32;

/// Resizes the part `source` of `image` to `width` x `height` and returns the part `window` of the result, byte for byte like
/// Pillow's `image.crop(source).resize((width, height), filter).crop(window)`.
///
/// `None` if `source` is empty or not inside the image, or `window` is empty or not inside the result.
// Source: python-pillow/Pillow src/libImaging/Resample.c (`ImagingResampleInner`), for the order of the passes 13.0's.
pub(super) fn resize_window(
    image: &RgbImage,
    source: CropBox,
    filter: Filter,
    (width, height): (u32, u32),
    window: CropBox,
) -> Option<RgbImage> {
    if !source.fits(image.width(), image.height()) || !window.fits(width, height) {
        return None;
    }
    let axis =
        |input, output, first, count| FixedPoint::new(filter, input, output, first..first + count);
    let horizontal = axis(source.width, width, window.x, window.width)?;
    let vertical = axis(source.height, height, window.y, window.height)?;

    let stride = image.width() as usize * 3;
    let first = source.y as usize * stride + source.x as usize * 3;
    let pixels = &image.as_raw()[first..];
    // The first pass computes only the input of the second.
    let resized = if vertical_first((source.width, source.height), (width, height)) {
        let columns = horizontal.source_range();
        let between = vertical_pass(pixels, stride, columns.clone(), &vertical, 0);
        let rows = 0..window.height as usize;
        let stride = columns.len() * 3;
        horizontal_pass(&between, stride, rows, &horizontal, columns.start)
    } else {
        let rows = vertical.source_range();
        let between = horizontal_pass(pixels, stride, rows.clone(), &horizontal, 0);
        let columns = 0..window.width as usize;
        vertical_pass(&between, columns.len() * 3, columns, &vertical, rows.start)
    };
    RgbImage::from_raw(window.width, window.height, resized)
}

/// Resamples each of `rows` of `pixels`, whose first column is the coefficients' column `origin`.
fn horizontal_pass(
    pixels: &[u8],
    stride: usize,
    rows: Range<usize>,
    coefficients: &FixedPoint,
    origin: usize,
) -> Vec<u8> {
    let out_stride = coefficients.starts.len() * 3;
    let mut out = vec![0; rows.len() * out_stride];
    for (row, out) in rows.zip(out.chunks_exact_mut(out_stride)) {
        horizontal_row(&pixels[row * stride..], coefficients, origin, out);
    }
    out
}

/// Resamples `columns` of `pixels`, whose first row is the coefficients' row `origin`.
fn vertical_pass(
    pixels: &[u8],
    stride: usize,
    columns: Range<usize>,
    coefficients: &FixedPoint,
    origin: usize,
) -> Vec<u8> {
    let out_stride = columns.len() * 3;
    let mut out = vec![0; coefficients.starts.len() * out_stride];
    for ((start, weights), out) in coefficients.iter().zip(out.chunks_exact_mut(out_stride)) {
        let first = (start - origin) * stride + columns.start * 3;
        vertical_row(&pixels[first..], stride, weights, out);
    }
    out
}

/// One row of the horizontal pass: `row` begins with `[samples, 3]`, `out` is `[outputs, 3]`.
fn horizontal_row(row: &[u8], coefficients: &FixedPoint, origin: usize, out: &mut [u8]) {
    for ((start, weights), pixel) in coefficients.iter().zip(out.as_chunks_mut::<3>().0) {
        let samples = &row[(start - origin) * 3..][..weights.len() * 3];
        let mut sums = [ROUNDING; 3];
        for (&[r, g, b], &weight) in samples.as_chunks::<3>().0.iter().zip(weights) {
            sums[0] += i32::from(r) * weight;
            sums[1] += i32::from(g) * weight;
            sums[2] += i32::from(b) * weight;
        }
        *pixel = sums.map(clip);
    }
}

/// One row of the vertical pass: `taps` begins with the first of the rows of `weights`, which are `stride` apart.
fn vertical_row(taps: &[u8], stride: usize, weights: &[i32], out: &mut [u8]) {
    let (blocks, tail) = out.as_chunks_mut::<BLOCK>();
    for (index, block) in blocks.iter_mut().enumerate() {
        let mut sums = [ROUNDING; BLOCK];
        for (row, &weight) in weights.iter().enumerate() {
            let samples = &taps[row * stride + index * BLOCK..][..BLOCK];
            for (sum, &sample) in sums.iter_mut().zip(samples) {
                *sum += i32::from(sample) * weight;
            }
        }
        *block = sums.map(clip);
    }
    let done = blocks.len() * BLOCK;
    for (offset, byte) in tail.iter_mut().enumerate() {
        let column = taps[done + offset..].iter().step_by(stride);
        let products = column.zip(weights).map(|(&s, &w)| i32::from(s) * w);
        *byte = clip(ROUNDING + products.sum::<i32>());
    }
}
