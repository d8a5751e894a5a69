//! The host's reference: plain code in f64 and whole numbers.

use clove_random::Random;

/// Random numbers, the same on every platform.
pub struct Numbers(Random);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(Random::new(&[seed]))
    }

    /// A whole number from 1 to 1,000.
    fn factor(&mut self) -> f64 {
        (1 + self.0.below(1_000)) as f64
    }

    /// Whole numbers from `-most` to `most`.
    pub fn whole(&mut self, count: usize, most: u32) -> Vec<f32> {
        let values = 2 * most as usize + 1;
        (0..count).map(|_| self.0.below(values) as f32 - most as f32).collect()
    }

    /// Numbers from `-most` to `most`.
    pub fn uniform(&mut self, count: usize, most: f32) -> Vec<f32> {
        (0..count).map(|_| self.0.between(-most, most)).collect()
    }
}

/// The first row where `got` differs from `left x right`, all of them `[side, side]` whole numbers.
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
            .map(|row| row.iter().zip(vector).map(|(one, two)| f64::from(*one) * two).sum())
            .collect()
    };
    let expected = times(left, &times(right, &vector));
    let found = times(got, &vector);
    found.iter().zip(expected).position(|(found, expected)| *found != expected)
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
    let powers: Vec<f64> =
        row.iter().map(|value| (f64::from(*value) - f64::from(largest)).exp()).collect();
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

/// Attention of one head, `[tokens, width]` each, with the scale 1 / sqrt(width).
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
                let sum: f64 = terms.map(|(one, two)| f64::from(*one) * f64::from(*two)).sum();
                (sum * scale) as f32
            })
            .collect();
        let weights = softmax(&scores);
        for column in 0..width {
            let values = value.chunks(width).map(|row| f64::from(row[column]));
            let sum: f64 =
                weights.iter().zip(values).map(|(weight, value)| f64::from(*weight) * value).sum();
            mixed.push(sum as f32);
        }
    }
    mixed
}

/// Images, their texts, and negatives: rows of length one.
pub struct Pairs {
    /// `[pairs, width]`
    pub images: Vec<f32>,
    /// `[pairs + negatives, width]`
    pub candidates: Vec<f32>,
    /// The logarithm of the factor on cosines.
    pub logit_scale: f32,
    count: usize,
    width: usize,
}

/// A loss and its gradients.
pub struct Gradients {
    loss: f64,
    by_logit_scale: f64,
    by_images: Vec<f64>,
    by_candidates: Vec<f64>,
}

impl Gradients {
    /// The loss, and the gradients by the scale, the images and the candidates.
    pub fn all(&self) -> impl Iterator<Item = f32> {
        let first = [self.loss, self.by_logit_scale].into_iter();
        let gradients = self.by_images.iter().chain(&self.by_candidates).copied();
        first.chain(gradients).map(|value| value as f32)
    }
}

impl Pairs {
    pub fn new(numbers: &mut Numbers, pairs: usize, negatives: usize, width: usize) -> Self {
        let mut rows = |count: usize| {
            let mut values = numbers.uniform(count * width, 1.0);
            for row in values.chunks_mut(width) {
                let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
                for value in row {
                    *value /= length;
                }
            }
            values
        };
        Self {
            images: rows(pairs),
            candidates: rows(pairs + negatives),
            logit_scale: 3.0,
            count: pairs,
            width,
        }
    }

    fn logit(&self, image: usize, candidate: usize) -> f64 {
        let row = |all: &[f32], row: usize| all[row * self.width..(row + 1) * self.width].to_vec();
        let (image, candidate) = (row(&self.images, image), row(&self.candidates, candidate));
        let products = image.iter().zip(&candidate);
        let cosine: f64 = products.map(|(one, other)| f64::from(*one) * f64::from(*other)).sum();
        f64::from(self.logit_scale).exp() * cosine
    }

    /// CLoVe's loss.
    pub fn contrastive(&self) -> Gradients {
        let all = self.candidates.len() / self.width;
        let share = 0.5 / self.count as f64;
        let mut slopes = Vec::new();
        let mut loss = 0.0;
        for pair in 0..self.count {
            // An image chooses among all candidates, a text among the images.
            let right = self.logit(pair, pair);
            let of_image: Vec<f64> = (0..all).map(|other| self.logit(pair, other)).collect();
            let of_text: Vec<f64> = (0..self.count).map(|other| self.logit(other, pair)).collect();
            let (log_sum, p) = log_sum_exp(&of_image);
            loss += share * (log_sum - right);
            slopes.extend(p.iter().enumerate().map(|(other, p)| (pair, other, share * p)));
            let (log_sum, q) = log_sum_exp(&of_text);
            loss += share * (log_sum - right);
            slopes.extend(q.iter().enumerate().map(|(other, q)| (other, pair, share * q)));
            slopes.push((pair, pair, -2.0 * share));
        }
        self.gradients(loss, &slopes)
    }

    /// FSC's loss.
    pub fn own_negatives(&self, owners: &[usize], focus: clove_kernels::Focus) -> Gradients {
        let smoothing = f64::from(focus.smoothing);
        let gamma = focus.gamma.cast_signed();
        let mut chosen: Vec<Vec<usize>> = (0..self.count).map(|pair| vec![pair]).collect();
        for (negative, owner) in owners.iter().enumerate() {
            chosen[*owner].push(self.count + negative);
        }
        let captions = chosen.iter().filter(|own| own.len() > 1).count();
        let share = 1.0 / captions as f64;
        let mut slopes = Vec::new();
        let mut loss = 0.0;
        for (pair, own) in chosen.iter().enumerate().filter(|(_, own)| own.len() > 1) {
            let logits: Vec<f64> = own.iter().map(|other| self.logit(pair, *other)).collect();
            let (log_sum, p) = log_sum_exp(&logits);
            let even = smoothing / own.len() as f64;
            let by_log_p: Vec<f64> = (0..own.len())
                .map(|at| {
                    let label = even + if at == 0 { 1.0 - smoothing } else { 0.0 };
                    let (log_p, rest) = (logits[at] - log_sum, 1.0 - p[at]);
                    loss -= share * label * rest.powi(gamma) * log_p;
                    let focal = f64::from(gamma) * p[at] * rest.powi(gamma - 1) * log_p;
                    share * label * (focal - rest.powi(gamma))
                })
                .collect();
            let total: f64 = by_log_p.iter().sum();
            let by_logits = by_log_p.iter().zip(&p).map(|(by, p)| by - p * total);
            slopes.extend(own.iter().zip(by_logits).map(|(other, by)| (pair, *other, by)));
        }
        self.gradients(loss, &slopes)
    }

    /// All gradients, from those by logits: image, candidate, gradient.
    fn gradients(&self, loss: f64, slopes: &[(usize, usize, f64)]) -> Gradients {
        let scale = f64::from(self.logit_scale).exp();
        let mut by_images = vec![0.0; self.images.len()];
        let mut by_candidates = vec![0.0; self.candidates.len()];
        let mut by_logit_scale = 0.0;
        for &(image, candidate, slope) in slopes {
            by_logit_scale += slope * self.logit(image, candidate);
            for at in 0..self.width {
                let (image, candidate) = (image * self.width + at, candidate * self.width + at);
                by_images[image] += scale * slope * f64::from(self.candidates[candidate]);
                by_candidates[candidate] += scale * slope * f64::from(self.images[image]);
            }
        }
        Gradients { loss, by_logit_scale, by_images, by_candidates }
    }
}

/// The logarithm of the sum of exponentials, and the softmax.
fn log_sum_exp(logits: &[f64]) -> (f64, Vec<f64>) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let log_sum = largest + sum.ln();
    (log_sum, logits.iter().map(|logit| (logit - log_sum).exp()).collect())
}
