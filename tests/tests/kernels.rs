//! Guards the kernels: each gives what its tensor form gives, forward and backward, with and without fusion and gradients.

use burn::backend::DispatchDevice;
use burn::backend::ops::{FloatTensorOps as _, IntTensorOps as _};
use burn::backend::wgpu::CubeBackend;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use clove::device::read_back;
use clove::loss::{self, OwnNegatives, fused};
use clove::patch::Difference;
use clove::preprocess::{CropBox, Filter, Preprocess, Resize, RgbImage, crop_resize};
use clove_kernels::preprocess::{Photo, Settings};
use clove_kernels::{Kernels as _, Packing};
use clove_random::Random;
use clove_tests::{devices, thorough};

/// The devices whose kernels run, said aloud where there's none.
fn gpus() -> Vec<(String, Device)> {
    let (with, without): (Vec<_>, Vec<_>) =
        devices().into_iter().partition(|(_, device)| clove_kernels::run_on(device));
    for (name, _) in without {
        println!("{name}: no kernels, the tensor form runs");
    }
    with
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    pollster::block_on(read_back(tensor)).unwrap()
}

fn words(words: &[u32], device: &Device) -> Tensor<1, Int> {
    let words: Vec<i32> = words.iter().map(|word| word.cast_signed()).collect();
    let count = words.len();
    Tensor::from_data(TensorData::new(words, [count]), device)
}

fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

fn uniform(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.between(-1.0, 1.0)).collect()
}

/// The CPU; and a GPU where burn was told to compile SPIR-V or MSL (`--features clove/vulkan`), which refuses WGSL.
#[test]
fn where_wgsl_is_refused_the_tensor_form_runs() {
    let mut refused = 0;
    for (name, device) in devices() {
        if clove_kernels::run_on(&device) {
            continue;
        }
        refused += 1;
        println!("{name} takes no WGSL");
        assert!(!clove_kernels::run_on(&device.clone().autodiff()));
        let half = Difference::f16(&[1.0]).unwrap();
        let patched = clove_kernels::patch(
            vector(&[1.0], &device),
            words(&half.words, &device),
            Packing::F16,
            1.0,
        );
        assert!(patched.is_none());
        let image = RgbImage::new(9, 7);
        let preprocess = Preprocess::clip(4).unwrap();
        assert!(preprocess.on_device(&[&image], &device).is_none());

        let batch = Losses::new(3, 2, 8, 1.0);
        let (fused, composed) = (batch.compute(&device, true), batch.compute(&device, false));
        assert!(fused.loss == composed.loss && fused.by_images == composed.by_images);
        let settings = OwnNegatives::default();
        let own = |fused: bool| {
            let of = if fused { fused::own_negatives } else { loss::own_negatives };
            batch
                .differentiate(&device, |[images, texts, negatives], scale| {
                    of(&images, &texts, negatives, &[0, 2], scale, settings)
                })
                .unwrap()
        };
        let (fused, composed) = (own(true), own(false));
        assert!(fused.loss == composed.loss && fused.by_negatives == composed.by_negatives);
    }
    assert!(refused > 0, "the CPU takes no WGSL");
    assert_eq!(cfg!(feature = "vulkan"), refused > 1, "nor does a compiler of SPIR-V");
}

#[test]
fn a_patch_is_the_exact_sum_rounded() {
    for (name, device) in gpus() {
        let mut random = Random::new(&[1]);
        // Around a word, a workgroup and a row of the grid.
        for count in [1, 2, 3, 4, 5, 511, 512, 513, 1_025, 100_003] {
            let base = uniform(&mut random, count);
            let deltas: Vec<f32> = uniform(&mut random, count)
                .iter()
                .enumerate()
                // Small ones too, down to f16's least.
                .map(|(at, value)| value * 0.5_f32.powi(at as i32 % 24))
                .collect();
            let bytes: Vec<i8> = (0..count).map(|_| random.below(256) as u8 as i8).collect();
            let packed = [Difference::f16(&deltas).unwrap(), Difference::i8(&bytes, 0.003)];
            for difference in packed {
                for alpha in [0.0, 0.3, 0.5, 1.0] {
                    let patched = clove_kernels::patch(
                        vector(&base, &device),
                        words(&difference.words, &device),
                        difference.packing,
                        alpha,
                    );
                    let patched = read(patched.unwrap());
                    assert_eq!(patched.len(), count);
                    for (at, delta) in difference.values().into_iter().enumerate() {
                        let once = alpha.mul_add(delta, base[at]);
                        let twice = base[at] + alpha * delta;
                        assert!(
                            patched[at] == once || patched[at] == twice,
                            "{name}: {count}, alpha {alpha}, {at}: {} {once} {twice}",
                            patched[at]
                        );
                        // A product of few bits is exact, however it's rounded.
                        let exact = alpha == 0.5 || alpha == 1.0;
                        assert!(!exact || once == twice || difference.packing != Packing::F16);
                    }
                }
            }
        }
    }
}

#[test]
fn without_fusion_and_without_gradients_the_results_are_the_same() {
    for (name, device) in gpus() {
        let DispatchDevice::Cube(cube) = device.as_dispatch() else {
            panic!("{name} has kernels");
        };
        let mut random = Random::new(&[2]);
        let base = uniform(&mut random, 1_001);
        let difference = Difference::f16(&uniform(&mut random, 1_001)).unwrap();
        let packed: Vec<i32> = difference.words.iter().map(|w| w.cast_signed()).collect();
        let direct = CubeBackend::clove_patch(
            CubeBackend::float_from_data(TensorData::new(base.clone(), [1_001]), cube),
            CubeBackend::int_from_data(TensorData::new(packed, [501]), cube),
            0.3,
            0.0,
            false,
        );
        let direct = burn::tensor::read_sync(CubeBackend::float_into_data(direct)).unwrap();
        let direct = direct.try_to_vec::<f32>().unwrap();
        for device in [device.clone(), device.clone().autodiff()] {
            // A sum and a product around it, which fusion would fuse.
            let base = vector(&base, &device) * 2.0;
            let packed = words(&difference.words, &device);
            let patched = clove_kernels::patch(base * 0.5, packed, Packing::F16, 0.3);
            assert!(read(patched.unwrap() + 0.0) == direct, "{name}");
        }

        let batch = Losses::new(37, 21, 40, 20.0);
        let plain = read(batch.loss(&device, true));
        let differentiated = batch.compute(&device, true);
        assert!(plain[0] == differentiated.loss, "{name}");
        let tensor = |values: &[f32], rows: usize| {
            let data = TensorData::new(values.to_vec(), [rows, batch.width]);
            CubeBackend::float_from_data(data, cube)
        };
        let candidates = [batch.texts.as_slice(), &batch.negatives].concat();
        let scale = CubeBackend::float_from_data(TensorData::from([batch.logit_scale]), cube);
        let direct = CubeBackend::clove_contrastive(
            tensor(&batch.images, 37),
            tensor(&candidates, 58),
            scale,
        );
        let direct = burn::tensor::read_sync(CubeBackend::float_into_data(direct)).unwrap();
        let direct = direct.try_to_vec::<f32>().unwrap()[0];
        // Fused operations may add up in another order.
        assert!((direct - plain[0]).abs() <= 1e-6 * plain[0].abs(), "{name}");
    }
}

/// A batch for the losses, and what they make of it.
struct Losses {
    pairs: usize,
    width: usize,
    images: Vec<f32>,
    texts: Vec<f32>,
    negatives: Vec<f32>,
    logit_scale: f32,
}

struct Computed<T> {
    loss: T,
    by_images: Vec<T>,
    by_texts: Vec<T>,
    by_negatives: Vec<T>,
    by_scale: T,
}

impl Losses {
    fn new(pairs: usize, negatives: usize, width: usize, scale: f32) -> Self {
        Self::seeded(pairs, negatives, width, scale, 0)
    }

    fn seeded(pairs: usize, negatives: usize, width: usize, scale: f32, seed: u64) -> Self {
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
            logit_scale: scale.ln(),
        }
    }

    fn tensors(&self, device: &Device) -> [Tensor<2>; 3] {
        [&self.images, &self.texts, &self.negatives].map(|values| {
            let shape = [values.len() / self.width, self.width];
            Tensor::from_data(TensorData::new(values.clone(), shape), device)
        })
    }

    fn loss(&self, device: &Device, fused: bool) -> Tensor<1> {
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
            fused::contrastive(images, texts, negatives, scale)
        } else {
            loss::contrastive(images, texts, negatives, scale)
        }
    }

    /// In f32 on a device, with burn's autodiff.
    fn compute(&self, device: &Device, fused: bool) -> Computed<f32> {
        self.differentiate(device, |tensors, scale| Some(self.of(tensors, scale, fused))).unwrap()
    }

    fn differentiate(
        &self,
        device: &Device,
        loss: impl FnOnce([Tensor<2>; 3], Tensor<1>) -> Option<Tensor<1>>,
    ) -> Option<Computed<f32>> {
        let device = device.clone().autodiff();
        let tensors = self.tensors(&device).map(Tensor::require_grad);
        let scale = vector(&[self.logit_scale], &device).require_grad();
        // A factor, so that the gradient that comes from above isn't 1.
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

    /// A row of images (0), texts (1) or negatives (2).
    fn row(&self, which: usize, row: usize) -> Vec<f64> {
        let all = [&self.images, &self.texts, &self.negatives][which];
        let row = &all[row * self.width..(row + 1) * self.width];
        row.iter().map(|value| f64::from(*value)).collect()
    }

    fn rows(&self, which: usize) -> Vec<Vec<f64>> {
        let all = [&self.images, &self.texts, &self.negatives][which];
        (0..all.len() / self.width).map(|row| self.row(which, row)).collect()
    }

    /// CLoVe's loss and its gradients by their formulas in f64.
    fn exact(&self) -> Computed<f64> {
        let scale = f64::from(self.logit_scale).exp();
        let images = self.rows(0);
        let mut candidates = self.rows(1);
        candidates.extend(self.rows(2));
        let logits: Vec<Vec<f64>> = images
            .iter()
            .map(|image| candidates.iter().map(|text| scale * dot(image, text)).collect())
            .collect();
        let b = self.pairs;
        let mut slopes = vec![vec![0.0; candidates.len()]; b];
        let mut loss = 0.0;
        let share = 0.5 / b as f64;
        for i in 0..b {
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
        self.gradients_of(loss, &slopes, &logits, &images, &candidates, scale)
    }

    /// From the gradients by the logits.
    fn gradients_of(
        &self,
        loss: f64,
        slopes: &[Vec<f64>],
        logits: &[Vec<f64>],
        images: &[Vec<f64>],
        candidates: &[Vec<f64>],
        scale: f64,
    ) -> Computed<f64> {
        let width = self.width;
        let mut by_images = vec![0.0; images.len() * width];
        let mut by_candidates = vec![0.0; candidates.len() * width];
        let mut by_scale = 0.0;
        for (i, image) in images.iter().enumerate() {
            for (j, candidate) in candidates.iter().enumerate() {
                let slope = slopes[i][j];
                if slope == 0.0 {
                    continue;
                }
                by_scale += slope * logits[i][j];
                for at in 0..width {
                    by_images[i * width + at] += scale * slope * candidate[at];
                    by_candidates[j * width + at] += scale * slope * image[at];
                }
            }
        }
        let by_negatives = by_candidates.split_off(self.pairs * width);
        Computed { loss, by_images, by_texts: by_candidates, by_negatives, by_scale }
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

/// Errors of the kernels and of the composed operations against f64, in parts of the largest number that should have come: squares
/// over many batches, since of single ones chance decides.
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
            // Without a wrong answer there's nothing to learn: both give zeros.
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

    /// How many times the composed operations' error the kernel's is, where that is more than a rounding.
    fn ratio(&self) -> f64 {
        let root = |squares: f64| (squares / self.count.max(1) as f64).sqrt();
        assert!(self.kernel.is_finite() && self.composed.is_finite());
        root(self.kernel) / root(self.composed).max(f64::from(f32::EPSILON))
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
                    // The wide ones at few sizes: the f64 reference takes longer than all else.
                    if width == 512 && !(negatives > pairs && [17, 33, 129].contains(&pairs)) {
                        continue;
                    }
                    for seed in 0..if pairs < 20 { 4 } else { 1 } {
                        let batch = Losses::seeded(pairs, negatives, width, scale, seed);
                        let exact = batch.exact();
                        let composed = batch.compute(&device, false);
                        let kernel = batch.compute(&device, true);
                        gradients.add_all(&kernel, &composed, &exact);
                        losses.add(&[kernel.loss], &[composed.loss], &[exact.loss]);
                        let scales_of = |of: &Computed<f32>| [of.by_scale];
                        scales.add(&scales_of(&kernel), &scales_of(&composed), &[exact.by_scale]);
                    }
                }
            }
            let ratio = gradients.ratio();
            println!("{name}: B {pairs}: gradients {ratio:.2} times the composed ones' error");
            assert!(ratio <= 2.0, "{name}, B {pairs}: {ratio}");
        }
        for (what, errors) in [("losses", losses), ("scales", scales)] {
            let ratio = errors.ratio();
            println!("{name}: {what} {ratio:.2} times the composed ones' error");
            assert!(ratio <= 2.0, "{name}, {what}: {ratio}");
        }
    }
}

#[test]
fn the_kernels_gradient_is_the_slope_of_its_loss() {
    for (name, device) in gpus() {
        for (pairs, negatives) in [(1, 1), (7, 0), (33, 50)] {
            let batch = Losses::new(pairs, negatives, 24, 10.0);
            let gradients = batch.compute(&device, true);
            let mut random = Random::new(&[5]);
            let step = 0.01;
            let along = |values: &[f32], direction: &[f32], step: f32| -> Vec<f32> {
                let moved = values.iter().zip(direction);
                moved.map(|(value, direction)| value + step * direction).collect()
            };
            let directions = [&batch.images, &batch.texts, &batch.negatives]
                .map(|values| uniform(&mut random, values.len()));
            let at = |step: f32| {
                let moved = Losses {
                    images: along(&batch.images, &directions[0], step),
                    texts: along(&batch.texts, &directions[1], step),
                    negatives: along(&batch.negatives, &directions[2], step),
                    logit_scale: batch.logit_scale + step * 0.5,
                    pairs,
                    width: batch.width,
                };
                f64::from(read(moved.loss(&device, true))[0])
            };
            let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
            let by = [&gradients.by_images, &gradients.by_texts, &gradients.by_negatives];
            let mut expected = 0.5 * f64::from(gradients.by_scale);
            for (gradient, direction) in by.into_iter().zip(&directions) {
                let products = gradient.iter().zip(direction);
                expected += products.map(|(g, d)| f64::from(g * d)).sum::<f64>();
            }
            // The curve's third derivative over the step, and f32's rounding of the loss over it.
            let allowed = 0.01 * expected.abs() + 2e-3;
            assert!((slope - expected).abs() < allowed, "{name}, {pairs}: {slope} {expected}");
        }
    }
}

/// FSC's loss and its gradients in f64.
fn exact_own(batch: &Losses, owners: &[usize], settings: OwnNegatives) -> Computed<f64> {
    let scale = f64::from(batch.logit_scale).exp();
    let images = batch.rows(0);
    let mut candidates = batch.rows(1);
    candidates.extend(batch.rows(2));
    let mut slopes = vec![vec![0.0; candidates.len()]; batch.pairs];
    let mut all_logits = vec![vec![0.0; candidates.len()]; batch.pairs];
    let with: Vec<usize> = (0..batch.pairs).filter(|image| owners.contains(image)).collect();
    let gamma = settings.gamma;
    let mut loss = 0.0;
    for &image in &with {
        let mut own = vec![image];
        let negatives = owners.iter().enumerate().filter(|(_, owner)| **owner == image);
        own.extend(negatives.map(|(negative, _)| batch.pairs + negative));
        let logits: Vec<f64> = own
            .iter()
            .map(|candidate| scale * dot(&images[image], &candidates[*candidate]))
            .collect();
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
            all_logits[image][candidate] = logits[at];
        }
    }
    batch.gradients_of(loss, &slopes, &all_logits, &images, &candidates, scale)
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
                let batch = Losses::new(pairs, negatives, 72, scale);
                let mut random = Random::new(&[6, pairs as u64]);
                // Some captions have none, some several.
                let owners: Vec<usize> = (0..negatives).map(|_| random.below(pairs)).collect();
                let compute = |device: &Device, fused: bool| {
                    let of = if fused { fused::own_negatives } else { loss::own_negatives };
                    batch
                        .differentiate(device, |[images, texts, negatives], scale| {
                            of(&images, &texts, negatives, &owners, scale, settings)
                        })
                        .unwrap()
                };
                let composed = compute(&device, false);
                let fused = compute(&device, true);
                let exact = exact_own(&batch, &owners, settings);
                gradients.add_all(&fused, &composed, &exact);
                losses.add(&[fused.loss], &[composed.loss], &[exact.loss]);
                gradients.add(&[fused.by_scale], &[composed.by_scale], &[exact.by_scale]);
            }
        }
        for (what, errors) in [("losses", losses), ("gradients", gradients)] {
            let ratio = errors.ratio();
            println!("{name}: own negatives, {what}: {ratio:.2} times the composed ones' error");
            assert!(ratio <= 2.0, "{name}, {what}: {ratio}");
        }
    }
}

#[test]
fn where_no_caption_has_a_negative_there_is_no_loss_of_own_ones() {
    for (_, device) in devices() {
        let batch = Losses::new(2, 0, 8, 1.0);
        let [images, texts, _] = batch.tensors(&device);
        let none = images.clone().narrow(0, 0, 1);
        let scale = vector(&[0.0], &device);
        let settings = OwnNegatives::default();
        let negatives = none.clone() * 0.0;
        let one = fused::own_negatives(&images, &texts, negatives, &[1], scale, settings);
        assert!(one.is_some());
    }
}

/// An image of noise over a slope, so that filters and clamps have something to do.
fn image(random: &mut Random, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let noise = random.below(256) as u32;
        image::Rgb([noise as u8, (x * 255 / width) as u8, ((y * 7 + noise) % 256) as u8])
    })
}

fn assert_equal(what: &str, got: Tensor<4>, expected: &[f32]) {
    let got = read(got);
    assert_eq!(got.len(), expected.len(), "{what}");
    let different = got.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
    assert!(different.is_none(), "{what}: number {different:?}");
}

#[test]
fn preprocessing_equals_the_hosts_bit_for_bit_at_200_sizes() {
    for (name, device) in gpus() {
        let mut random = Random::new(&[7]);
        let preprocess = Preprocess::clip(224).unwrap();
        let mut done = 0;
        while done < 200 {
            // Most are small, so that the test is quick; one in twenty is up to 4,000 pixels wide or high.
            let most = if done % 20 == 0 { 4_000 } else { 700 };
            let mut side = || 1 + random.below(most) as u32;
            let sizes = [[side(), side()], [side(), 1 + side() % 900], [1 + side() % 900, side()]];
            let images: Vec<RgbImage> = sizes
                .iter()
                .filter(|[width, height]| width.max(height) / width.min(height) < 40)
                .map(|[width, height]| image(&mut random, *width, *height))
                .collect();
            if images.is_empty() {
                continue;
            }
            let expected: Vec<f32> = images
                .iter()
                .flat_map(|image| preprocess.normalise(&preprocess.pixels(image).unwrap()))
                .collect();
            let batch: Vec<&RgbImage> = images.iter().collect();
            let got = preprocess.on_device(&batch, &device).unwrap();
            let what: Vec<_> = images.iter().map(RgbImage::dimensions).collect();
            assert_equal(&format!("{name}: {what:?}"), got, &expected);
            done += images.len();
        }
    }
}

#[test]
fn in_f16_the_same_numbers_come_rounded() {
    for (name, device) in gpus() {
        let mut random = Random::new(&[9]);
        let photo = image(&mut random, 90, 61);
        let values: Vec<f32> = (0..3 * 256).map(|at| at as f32 / 100.0 - 3.0).collect();
        let settings = |half| Settings { filter: Filter::Bicubic, size: 33, values: &values, half };
        let photo = Photo {
            rgb: photo.as_raw(),
            width: 90,
            height: 61,
            source: [0, 0, 90, 61],
            resized: [48, 33],
            window: [7, 0, 33, 33],
            pad: [0, 0],
        };
        let run = |half| clove_kernels::preprocess(&[photo], &settings(half), &device);
        let full = read(run(false).unwrap());
        let Some(halves) = run(true) else {
            assert!(!device.supports_dtype(DType::F16), "{name}");
            println!("{name}: no f16");
            continue;
        };
        assert_eq!(halves.dtype(), DType::F16);
        let halves = read(halves.cast(DType::F32));
        for (half, full) in halves.into_iter().zip(full) {
            assert_eq!(half, half::f16::from_f32(full).to_f32(), "{name}");
        }
    }
}

#[test]
fn every_resize_crop_and_padding_equals_the_hosts() {
    for (name, device) in gpus() {
        let mut random = Random::new(&[8]);
        let images = [(33, 500), (500, 33), (1, 1), (64, 64), (17, 90)]
            .map(|(width, height)| image(&mut random, width, height));
        let batch: Vec<&RgbImage> = images.iter().collect();
        for resize in
            [Resize::Keep, Resize::Square(70), Resize::ShortestEdge(40), Resize::ShortestEdge(80)]
        {
            for filter in [Filter::Bilinear, Filter::Bicubic] {
                let preprocess = Preprocess::clip(64).unwrap().with_resize(resize, filter).unwrap();
                let expected: Vec<f32> = images
                    .iter()
                    .flat_map(|image| preprocess.normalise(&preprocess.pixels(image).unwrap()))
                    .collect();
                let got = preprocess.on_device(&batch, &device).unwrap();
                assert_equal(&format!("{name}: {resize:?} {filter:?}"), got, &expected);
            }
        }
        let preprocess = Preprocess::clip(64).unwrap();
        let crop = CropBox { x: 3, y: 40, width: 21, height: 11 };
        let tall = &images[0];
        let whole = CropBox::whole(500, 33);
        let got = preprocess.crops_on_device(&[(tall, crop), (&images[1], whole)], &device);
        let mut expected = preprocess.normalise(&crop_resize(tall, crop, 64).unwrap());
        expected.extend(preprocess.normalise(&crop_resize(&images[1], whole, 64).unwrap()));
        assert_equal(&format!("{name}: crops"), got.unwrap(), &expected);
        let outside = CropBox { x: 30, ..crop };
        assert!(preprocess.crops_on_device(&[(tall, outside)], &device).is_none());
        assert!(preprocess.on_device(&[&RgbImage::new(0, 0)], &device).is_none());
    }
}
