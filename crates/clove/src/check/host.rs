//! What the host computes: plain code in f64 and whole numbers.

use clove_random::Random;

/// Numbers that are the same everywhere.
pub struct Numbers(Random);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(Random::new(&[seed]))
    }

    /// From 1 to 1,000, whole.
    fn factor(&mut self) -> f64 {
        (1 + self.0.below(1_000)) as f64
    }

    /// Whole numbers from `-most` to `most`.
    pub fn whole(&mut self, count: usize, most: u32) -> Vec<f32> {
        let values = 2 * most as usize + 1;
        (0..count)
            .map(|_| self.0.below(values) as f32 - most as f32)
            .collect()
    }

    /// From `-most` to `most`.
    pub fn uniform(&mut self, count: usize, most: f32) -> Vec<f32> {
        (0..count).map(|_| self.0.between(-most, most)).collect()
    }
}

/// A row of `got` that isn't `left x right`'s, all of them `[side, side]` whole numbers.
pub fn wrong_row(
    left: &[f32],
    right: &[f32],
    got: &[f32],
    side: usize,
    numbers: &mut Numbers,
) -> Option<usize> {
    if got.len() != side * side {
        return Some(0);
    }
    // f64 holds whole numbers up to 2^53; these sums stay below 2^40.
    let vector: Vec<f64> = (0..side).map(|_| numbers.factor()).collect();
    let times = |matrix: &[f32], vector: &[f64]| -> Vec<f64> {
        matrix
            .chunks(side)
            .map(|row| {
                row.iter()
                    .zip(vector)
                    .map(|(one, two)| f64::from(*one) * two)
                    .sum()
            })
            .collect()
    };
    let expected = times(left, &times(right, &vector));
    let found = times(got, &vector);
    found
        .iter()
        .zip(expected)
        .position(|(found, expected)| *found != expected)
}

/// A row of `left x right`.
pub fn row_of_product(left: &[f32], right: &[f32], side: usize, row: usize) -> Vec<f32> {
    let left = &left[row * side..(row + 1) * side];
    (0..side)
        .map(|column| {
            let terms = left.iter().enumerate();
            terms.map(|(at, one)| one * right[at * side + column]).sum()
        })
        .collect()
}

pub fn softmax(row: &[f32]) -> Vec<f32> {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = row
        .iter()
        .map(|value| (f64::from(*value) - f64::from(largest)).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| (power / sum) as f32).collect()
}

pub fn layer_norm(row: &[f32], scale: &[f32], shift: &[f32], epsilon: f64) -> Vec<f32> {
    let count = row.len() as f64;
    let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let square = |value: &f32| (f64::from(*value) - mean).powi(2);
    let deviation = (row.iter().map(square).sum::<f64>() / count + epsilon).sqrt();
    row.iter()
        .zip(scale)
        .zip(shift)
        .map(|((value, scale), shift)| {
            let normal = (f64::from(*value) - mean) / deviation;
            (normal * f64::from(*scale) + f64::from(*shift)) as f32
        })
        .collect()
}

/// One head's, `[tokens, width]` each, with the scale 1 / sqrt(width).
pub fn attention(
    query: &[f32],
    key: &[f32],
    value: &[f32],
    width: usize,
    is_causal: bool,
) -> Vec<f32> {
    let scale = (width as f64).sqrt().recip();
    let mut mixed = Vec::with_capacity(query.len());
    for (token, query) in query.chunks(width).enumerate() {
        let keys = key.chunks(width).enumerate();
        let scores: Vec<f32> = keys
            .map(|(other, key)| {
                if is_causal && other > token {
                    return f32::NEG_INFINITY;
                }
                let terms = query.iter().zip(key);
                let sum: f64 = terms
                    .map(|(one, two)| f64::from(*one) * f64::from(*two))
                    .sum();
                (sum * scale) as f32
            })
            .collect();
        let weights = softmax(&scores);
        for column in 0..width {
            let values = value.chunks(width).map(|row| f64::from(row[column]));
            let sum: f64 = weights
                .iter()
                .zip(values)
                .map(|(weight, value)| f64::from(*weight) * value)
                .sum();
            mixed.push(sum as f32);
        }
    }
    mixed
}
