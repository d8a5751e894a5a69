//! Guards the kernels of the losses: values and gradients are as exact as those of the composed operations.

use burn::tensor::{Device, Tensor, TensorData};
use clove::loss::{self, Mask, OwnNegatives, fused};
use clove_random::Random;
use clove_tests::{devices, read, thorough};

use super::{gpus, uniform, vector};

/// A batch for the losses.
#[derive(Clone)]
pub struct Losses {
    pub pairs: usize,
    pub width: usize,
    pub images: Vec<f32>,
    pub texts: Vec<f32>,
    pub negatives: Vec<f32>,
    pub mask: Mask,
    pub logit_scale: f32,
}

/// A loss and its gradients.
pub struct Computed<T> {
    pub loss: T,
    pub by_images: Vec<T>,
    pub by_texts: Vec<T>,
    pub by_negatives: Vec<T>,
    pub by_scale: T,
}

impl Losses {
    pub fn new(pairs: usize, negatives: usize, width: usize, scale: f32, seed: u64) -> Self {
        let mut random = Random::new(&[3, pairs as u64, negatives as u64, seed]);
        let mut rows = |count: usize| -> Vec<f32> {
            let mut values = uniform(&mut random, count * width);
            for row in values.chunks_mut(width) {
                let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                for value in row {
                    *value /= length;
                }
            }
            values
        };
        Self {
            pairs,
            width,
            images: rows(pairs),
            texts: rows(pairs),
            negatives: rows(negatives),
            mask: Mask::new(pairs, pairs + negatives),
            logit_scale: scale.ln(),
        }
    }

    pub fn tensors(&self, device: &Device) -> [Tensor<2>; 3] {
        [&self.images, &self.texts, &self.negatives].map(|values| {
            let shape = [values.len() / self.width, self.width];
            Tensor::from_data(TensorData::new(values.clone(), shape), device)
        })
    }

    pub fn loss(&self, device: &Device, fused: bool) -> Tensor<1> {
        let tensors = self.tensors(device);
        let scale = vector(&[self.logit_scale], device);
        self.of(tensors, scale, fused)
    }

    fn of(
        &self,
        [images, texts, negatives]: [Tensor<2>; 3],
        scale: Tensor<1>,
        fused: bool,
    ) -> Tensor<1> {
        let negatives = (!self.negatives.is_empty()).then_some(negatives);
        if fused {
            fused::contrastive(images, texts, negatives, &self.mask, scale)
        } else {
            loss::contrastive(images, texts, negatives, &self.mask, scale)
        }
    }

    /// In f32 on a device, with burn's autodiff.
    pub fn compute(&self, device: &Device, fused: bool) -> Computed<f32> {
        self.differentiate(device, |tensors, scale| Some(self.of(tensors, scale, fused))).unwrap()
    }

    pub fn differentiate(
        &self,
        device: &Device,
        loss: impl FnOnce([Tensor<2>; 3], Tensor<1>) -> Option<Tensor<1>>,
    ) -> Option<Computed<f32>> {
        let device = device.clone().autodiff();
        let tensors = self.tensors(&device).map(Tensor::require_grad);
        let scale = vector(&[self.logit_scale], &device).require_grad();
        // A factor, so that the incoming gradient isn't 1.
        let loss = loss(tensors.clone(), scale.clone())?;
        let gradients = (loss.clone() * 3.0).backward();
        let by = |tensor: &Tensor<2>| match tensor.grad(&gradients) {
            Some(gradient) => read(gradient / 3.0),
            None => vec![0.0; tensor.shape().num_elements()],
        };
        let [by_images, by_texts, by_negatives] = [0, 1, 2].map(|which| by(&tensors[which]));
        Some(Computed {
            loss: read(loss)[0],
            by_images,
            by_texts,
            by_negatives,
            by_scale: read(scale.grad(&gradients).unwrap() / 3.0)[0],
        })
    }

    /// FSC's loss and its gradients in f32 on a device.
    pub fn compute_own(
        &self,
        device: &Device,
        owners: &[usize],
        settings: OwnNegatives,
        fused: bool,
    ) -> Computed<f32> {
        let of = if fused { fused::own_negatives } else { loss::own_negatives };
        self.differentiate(device, |[images, texts, negatives], scale| {
            of(&images, &texts, negatives, owners, scale, settings)
        })
        .unwrap()
    }

    /// CLoVe's loss and its gradients by their formulas in f64.
    pub fn exact(&self) -> Computed<f64> {
        let wide = Wide::new(self);
        let logits = &wide.logits;
        let mut slopes = wide.no_slopes();
        let mut loss = 0.0;
        let share = 0.5 / self.pairs as f64;
        for i in 0..self.pairs {
            let (log_sum, p) = softmax(&logits[i]);
            loss += share * (log_sum - logits[i][i]);
            for (slope, p) in slopes[i].iter_mut().zip(p) {
                *slope += share * p;
            }
            let column: Vec<f64> = logits.iter().map(|row| row[i]).collect();
            let (log_sum, q) = softmax(&column);
            loss += share * (log_sum - logits[i][i]);
            for (row, q) in slopes.iter_mut().zip(q) {
                row[i] += share * q;
            }
            slopes[i][i] -= 2.0 * share;
        }
        wide.gradients(loss, &slopes)
    }

    /// FSC's loss and its gradients in f64.
    pub fn exact_own(&self, owners: &[usize], settings: OwnNegatives) -> Computed<f64> {
        let wide = Wide::new(self);
        let mut slopes = wide.no_slopes();
        let own = |image: usize| -> Vec<usize> {
            let all = (0..owners.len()).filter(|negative| owners[*negative] == image);
            let all = all.map(|negative| self.pairs + negative);
            all.filter(|candidate| !self.mask.leaves_out(image, *candidate)).collect()
        };
        let with: Vec<usize> = (0..self.pairs).filter(|&image| !own(image).is_empty()).collect();
        let gamma = settings.gamma;
        let mut loss = 0.0;
        for &image in &with {
            let own = [vec![image], own(image)].concat();
            let logits: Vec<f64> = own.iter().map(|at| wide.logits[image][*at]).collect();
            let (log_sum, p) = softmax(&logits);
            let even = settings.smoothing / own.len() as f64;
            let label = |at: usize| {
                if at == 0 { 1.0 - settings.smoothing + even } else { even }
            };
            let share = 1.0 / with.len() as f64;
            let by_log: Vec<f64> = (0..own.len())
                .map(|at| {
                    let log_p = logits[at] - log_sum;
                    loss -= share * label(at) * (1.0 - p[at]).powi(gamma) * log_p;
                    let focus = f64::from(gamma) * p[at] * (1.0 - p[at]).powi(gamma - 1) * log_p;
                    share * label(at) * (focus - (1.0 - p[at]).powi(gamma))
                })
                .collect();
            let total: f64 = by_log.iter().sum();
            for (at, &candidate) in own.iter().enumerate() {
                slopes[image][candidate] = by_log[at] - p[at] * total;
            }
        }
        wide.gradients(loss, &slopes)
    }
}

/// A batch in f64: images, and as candidates the texts and then the negatives, with the logits of all pairs of them: minus infinity
/// for those that are left out.
struct Wide {
    scale: f64,
    images: Vec<Vec<f64>>,
    candidates: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
}

impl Wide {
    fn new(batch: &Losses) -> Self {
        let rows = |values: &[f32]| -> Vec<Vec<f64>> {
            let rows = values.chunks(batch.width);
            rows.map(|row| row.iter().copied().map(f64::from).collect()).collect()
        };
        let scale = f64::from(batch.logit_scale).exp();
        let images = rows(&batch.images);
        let candidates = [rows(&batch.texts), rows(&batch.negatives)].concat();
        let logit = |image: usize, text: usize| {
            let is_out = batch.mask.leaves_out(image, text);
            if is_out { f64::NEG_INFINITY } else { scale * dot(&images[image], &candidates[text]) }
        };
        let row = |image: usize| (0..candidates.len()).map(|text| logit(image, text)).collect();
        let logits = (0..images.len()).map(row).collect();
        Self { scale, images, candidates, logits }
    }

    fn no_slopes(&self) -> Vec<Vec<f64>> {
        vec![vec![0.0; self.candidates.len()]; self.images.len()]
    }

    /// From the gradients by the logits.
    fn gradients(&self, loss: f64, slopes: &[Vec<f64>]) -> Computed<f64> {
        let width = self.images[0].len();
        let mut by_images = vec![0.0; self.images.len() * width];
        let mut by_texts = vec![0.0; self.candidates.len() * width];
        let mut by_scale = 0.0;
        for (i, image) in self.images.iter().enumerate() {
            for (j, candidate) in self.candidates.iter().enumerate() {
                let slope = slopes[i][j];
                if slope == 0.0 {
                    continue;
                }
                by_scale += slope * self.logits[i][j];
                for at in 0..width {
                    by_images[i * width + at] += self.scale * slope * candidate[at];
                    by_texts[j * width + at] += self.scale * slope * image[at];
                }
            }
        }
        let by_negatives = by_texts.split_off(self.images.len() * width);
        Computed { loss, by_images, by_texts, by_negatives, by_scale }
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

/// The logarithm of the sum of the exponentials, and the softmax.
fn softmax(logits: &[f64]) -> (f64, Vec<f64>) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let log_sum = largest + sum.ln();
    (log_sum, logits.iter().map(|logit| (logit - log_sum).exp()).collect())
}

/// Squared errors of the kernels and of the composed operations against f64, relative to the largest exact number. They are
/// summed over many batches, because single ones vary.
#[derive(Default)]
struct Errors {
    kernel: f64,
    composed: f64,
    count: usize,
}

impl Errors {
    fn add(&mut self, kernel: &[f32], composed: &[f32], exact: &[f64]) {
        assert!(kernel.len() == exact.len() && composed.len() == exact.len());
        let largest = exact.iter().fold(0.0_f64, |most, one| most.max(one.abs()));
        if largest == 0.0 {
            // Without negatives the gradients are zero.
            assert!(kernel.iter().all(|one| one.abs() < 1e-6));
            return;
        }
        for ((kernel, composed), exact) in kernel.iter().zip(composed).zip(exact) {
            let square = |found: f32| ((f64::from(found) - exact) / largest).powi(2);
            self.kernel += square(*kernel);
            self.composed += square(*composed);
        }
        self.count += exact.len();
    }

    fn add_all(&mut self, kernel: &Computed<f32>, composed: &Computed<f32>, exact: &Computed<f64>) {
        self.add(&kernel.by_images, &composed.by_images, &exact.by_images);
        self.add(&kernel.by_texts, &composed.by_texts, &exact.by_texts);
        self.add(&kernel.by_negatives, &composed.by_negatives, &exact.by_negatives);
    }

    /// Holds the kernel's error to twice that of the composed operations, which counts as a rounding at least.
    fn judge(&self, what: &str) {
        let root = |squares: f64| (squares / self.count.max(1) as f64).sqrt();
        assert!(self.kernel.is_finite() && self.composed.is_finite());
        let ratio = root(self.kernel) / root(self.composed).max(f64::from(f32::EPSILON));
        println!("{what}: {ratio:.2} times the composed ones' error");
        assert!(ratio <= 2.0, "{what}: {ratio}");
    }
}

#[test]
fn the_references_gradients_are_the_slopes_of_its_losses() {
    const STEP: f32 = 1e-3;
    let owners = |count: usize| -> Vec<usize> { (0..count).map(|at| at * 2 % 7).collect() };
    let contrastive = |batch: &Losses| batch.exact();
    let own = |batch: &Losses| {
        let count = batch.negatives.len() / batch.width;
        batch.exact_own(&owners(count), OwnNegatives::default())
    };
    for loss in [&contrastive as &dyn Fn(&Losses) -> Computed<f64>, &own] {
        let mut batch = Losses::new(7, 9, 24, 10.0, 0);
        for (image, candidate) in [(0, 3), (3, 0), (4, 9), (4, 12), (6, 15)] {
            batch.mask.leave_out(image, candidate);
        }
        let mut random = Random::new(&[5]);
        let by = [&batch.images, &batch.texts, &batch.negatives];
        let directions = by.map(|values| uniform(&mut random, values.len()));
        let along = |values: &[f32], direction: &[f32], step: f32| -> Vec<f32> {
            values.iter().zip(direction).map(|(value, by)| value + step * by).collect()
        };
        let at = |step: f32| {
            let moved = Losses {
                pairs: 7,
                width: batch.width,
                images: along(&batch.images, &directions[0], step),
                texts: along(&batch.texts, &directions[1], step),
                negatives: along(&batch.negatives, &directions[2], step),
                mask: batch.mask.clone(),
                logit_scale: batch.logit_scale + step * 0.5,
            };
            loss(&moved).loss
        };
        let slope = (at(STEP) - at(-STEP)) / (2.0 * f64::from(STEP));
        let exact = loss(&batch);
        let mut expected = 0.5 * exact.by_scale;
        for (gradient, direction) in
            [&exact.by_images, &exact.by_texts, &exact.by_negatives].into_iter().zip(&directions)
        {
            expected += gradient.iter().zip(direction).map(|(g, d)| g * f64::from(*d)).sum::<f64>();
        }
        // The rounding of the f32 inputs over the step.
        assert!((slope - expected).abs() < 2e-3 * expected.abs().max(1.0), "{slope} {expected}");
    }
}

#[test]
fn contrastive_loss_and_gradients_are_as_exact_as_the_composed_ones() {
    for (name, device) in gpus() {
        let (mut losses, mut scales) = (Errors::default(), Errors::default());
        // Around the blocks of 16 and 32, with and without negatives.
        let (sizes, per_pair): (&[usize], &[f64]) = if thorough() {
            (&[1, 2, 15, 16, 17, 31, 32, 33, 64, 65, 128, 129, 257], &[0.5, 1.0, 3.0])
        } else {
            // Each size compiles the composed operations anew, which takes a software GPU seconds.
            (&[1, 16, 33], &[3.0])
        };
        for &pairs in sizes {
            let mut gradients = Errors::default();
            let shares = per_pair.iter().map(|share| (share * pairs as f64) as usize);
            for negatives in [0, 1].into_iter().chain(shares) {
                for (width, scale) in [(40, 100.0), (512, 14.3)] {
                    // Wide batches at few sizes only, because the f64 reference is slow.
                    if width == 512 && !(negatives > pairs && [17, 33, 129].contains(&pairs)) {
                        continue;
                    }
                    for seed in 0..if pairs < 20 { 4 } else { 1 } {
                        let batch = Losses::new(pairs, negatives, width, scale, seed);
                        let exact = batch.exact();
                        let composed = batch.compute(&device, false);
                        let kernel = batch.compute(&device, true);
                        gradients.add_all(&kernel, &composed, &exact);
                        losses.add(&[kernel.loss], &[composed.loss], &[exact.loss]);
                        scales.add(&[kernel.by_scale], &[composed.by_scale], &[exact.by_scale]);
                    }
                }
            }
            gradients.judge(&format!("{name}: B {pairs}: gradients"));
        }
        for (what, errors) in [("losses", losses), ("scales", scales)] {
            errors.judge(&format!("{name}: {what}"));
        }
    }
}

#[test]
fn own_negatives_and_their_gradients_are_as_exact_as_the_composed_ones() {
    for (name, device) in gpus() {
        let (mut losses, mut gradients) = (Errors::default(), Errors::default());
        for (pairs, negatives, scale) in
            [(1, 1, 1.0), (5, 3, 10.0), (64, 64, 20.0), (129, 300, 40.0)]
        {
            for (gamma, smoothing) in [(2, 0.02), (0, 0.0), (1, 0.1)] {
                let settings = OwnNegatives { gamma, smoothing, weight: 1.0 };
                let batch = Losses::new(pairs, negatives, 72, scale, 0);
                let mut random = Random::new(&[6, pairs as u64]);
                // Captions have none, one or several.
                let owners: Vec<usize> = (0..negatives).map(|_| random.below(pairs)).collect();
                let [composed, fused] =
                    [false, true].map(|fused| batch.compute_own(&device, &owners, settings, fused));
                let exact = batch.exact_own(&owners, settings);
                gradients.add_all(&fused, &composed, &exact);
                losses.add(&[fused.loss], &[composed.loss], &[exact.loss]);
                gradients.add(&[fused.by_scale], &[composed.by_scale], &[exact.by_scale]);
            }
        }
        for (what, errors) in [("losses", losses), ("gradients", gradients)] {
            errors.judge(&format!("{name}: own negatives, {what}"));
        }
    }
}

#[test]
fn where_no_caption_has_a_negative_there_is_no_loss_of_own_ones() {
    for (_, device) in devices() {
        let batch = Losses::new(2, 0, 8, 1.0, 0);
        let [images, texts, _] = batch.tensors(&device);
        let none = images.clone().narrow(0, 0, 1);
        let scale = vector(&[0.0], &device);
        let settings = OwnNegatives::default();
        let negatives = none.clone() * 0.0;
        let one = fused::own_negatives(&images, &texts, negatives, &[1], scale, settings);
        assert!(one.is_some());
    }
}
