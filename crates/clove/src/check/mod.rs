//! Checks that a device computes correctly: a GPU, its driver or its shader compiler can produce wrong numbers without an error.
//!
//! Every [`Item`] runs an operation on the device and compares the result with plain code on the host. Matrix products are of small whole
//! numbers, exact in any order of summation, so any difference is a fault. The other items have a tolerance.
//!
//! [`Fault`] falsifies one number of the device's result, to test the check itself.

mod host;
mod kernels;
#[cfg(all(feature = "train", feature = "cpu"))]
mod training;

use burn::tensor::module::{attention, layer_norm};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData, activation};

use self::host::Numbers;
#[cfg(all(feature = "train", feature = "cpu"))]
use self::training::sample as training_step;
use crate::device::read_back;
use crate::score::ScoreError;

/// Sides of matrices: powers of two, numbers of tokens of ViT-B/32, ViT-B/16 and texts, and others that no tile divides.
pub const SIDES: [usize; 8] = [50, 64, 77, 197, 499, 512, 535, 1024];

/// Sides of matrices in the reduced check, which a page runs before it uses a GPU.
pub const FEW_SIDES: [usize; 3] = [50, 64, 77];

/// Tolerance for numbers up to one: some units in the last place, for a GPU's exponentials and reciprocals.
const ROUNDING: f32 = 1e-5;

/// The elements of the large buffer: 160 MiB as f32, above WebGPU's default binding of 128.
const LARGE: usize = 40 << 20;

/// The binding size that [`Item::LargeBuffer`] needs, in bytes.
pub const LARGE_BYTES: u64 = 4 * LARGE as u64;

/// The project's own kernels.
const KERNELS: [Item; 4] = [Item::Patch, Item::Preprocess, Item::Contrastive, Item::OwnNegatives];

/// An operation to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Reading back during other computations.
    ReadBack,
    /// A square matrix product.
    Matmul(usize),
    /// Softmax over rows.
    Softmax,
    /// Layer normalisation.
    LayerNorm,
    /// Attention of several heads, from each token to all.
    Attention,
    /// Attention from each token to those before it.
    CausalAttention,
    /// patch.wgsl: weights between two models.
    Patch,
    /// resample.wgsl and preprocess.wgsl: photos to what an image tower reads.
    Preprocess,
    /// contrastive.wgsl and contrastive_backward.wgsl: the loss and its gradients.
    Contrastive,
    /// own_negatives.wgsl and own_negatives_backward.wgsl: FSC's loss and its gradients.
    OwnNegatives,
    /// One step of training a small model: loss, gradients, optimiser. Compared with burn's CPU back end.
    TrainingStep,
    /// A buffer larger than WebGPU's default binding.
    LargeBuffer,
}

impl Item {
    /// All of them, in the order in which they build on each other.
    pub fn all() -> Vec<Self> {
        let mut items = vec![Self::ReadBack];
        items.extend(SIDES.map(Self::Matmul));
        items.extend([Self::Softmax, Self::LayerNorm, Self::Attention, Self::CausalAttention]);
        items.extend(KERNELS);
        items.extend([Self::TrainingStep, Self::LargeBuffer]);
        items
    }

    /// The reduced check: less than a second on a GPU, without a second device.
    pub fn few() -> Vec<Self> {
        let mut items = vec![Self::ReadBack];
        items.extend(FEW_SIDES.map(Self::Matmul));
        items.extend([Self::Softmax, Self::LayerNorm, Self::CausalAttention]);
        items.extend(KERNELS);
        items
    }

    /// Its name: `matmul-77`.
    pub fn name(self) -> String {
        match self {
            Self::ReadBack => "read-back".to_owned(),
            Self::Matmul(side) => format!("matmul-{side}"),
            Self::Softmax => "softmax".to_owned(),
            Self::LayerNorm => "layer-norm".to_owned(),
            Self::Attention => "attention".to_owned(),
            Self::CausalAttention => "causal-attention".to_owned(),
            Self::Patch => "patch".to_owned(),
            Self::Preprocess => "preprocess".to_owned(),
            Self::Contrastive => "contrastive".to_owned(),
            Self::OwnNegatives => "own-negatives".to_owned(),
            Self::TrainingStep => "training-step".to_owned(),
            Self::LargeBuffer => "large-buffer".to_owned(),
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// All numbers are within the tolerance.
    Right {
        /// The largest difference.
        difference: f32,
        /// The tolerance.
        allowed: f32,
    },
    /// A number is wrong.
    Wrong {
        /// Its place, its value and the expected value.
        what: String,
    },
    /// The device reported an error.
    Failed {
        /// Its message.
        reason: String,
    },
    /// Not checked.
    Skipped {
        /// The reason.
        reason: String,
    },
}

impl Verdict {
    /// Whether the check found nothing wrong.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Right { .. } | Self::Skipped { .. })
    }
}

/// The item of which one number is falsified before the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(pub Item);

/// Checks one item on a device that allows bindings of `largest_binding` bytes.
pub async fn check(
    item: Item,
    device: &Device,
    largest_binding: u64,
    fault: Option<Fault>,
) -> Verdict {
    let is_wronged = fault == Some(Fault(item));
    if item == Item::LargeBuffer && largest_binding < LARGE_BYTES {
        let (allowed, needed) = (largest_binding >> 20, LARGE_BYTES >> 20);
        let reason = format!("needs a binding of {needed} MiB; the device allows {allowed} MiB");
        return Verdict::Skipped { reason };
    }
    let checked = match item {
        Item::Matmul(side) => product(side, device, is_wronged).await,
        _ => sample(item, device).await.map(|sample| match sample {
            Some(mut sample) => {
                wrong(&mut sample.got, is_wronged);
                compare(&sample.got, sample.expected, sample.allowed)
            }
            None if item == Item::TrainingStep => {
                Verdict::Skipped { reason: "this build has no training".to_owned() }
            }
            None => Verdict::Skipped {
                reason: "the project's kernels don't run here; tensor operations replace them"
                    .to_owned(),
            },
        }),
    };
    checked.unwrap_or_else(|error| Verdict::Failed { reason: error.to_string() })
}

/// Numbers of the device beside those of the host.
struct Sample {
    got: Vec<f32>,
    expected: Vec<f32>,
    allowed: f32,
}

/// Runs an item; `None` where it doesn't run.
async fn sample(item: Item, device: &Device) -> Result<Option<Sample>, ScoreError> {
    let sample = match item {
        Item::ReadBack => sentinels(device).await?,
        Item::Softmax => softmax(device).await?,
        Item::LayerNorm => norm(device).await?,
        Item::Attention => heads(device, false).await?,
        Item::CausalAttention => heads(device, true).await?,
        Item::LargeBuffer => large(device).await?,
        Item::Patch => return kernels::patch(device).await,
        Item::Preprocess => return kernels::preprocess(device).await,
        Item::Contrastive => return kernels::contrastive(device).await,
        Item::OwnNegatives => return kernels::own_negatives(device).await,
        Item::TrainingStep => return training_step(device).await,
        // Compared by rows, in `product`.
        Item::Matmul(_) => return Ok(None),
    };
    Ok(Some(sample))
}

/// Changes one number, by at least a hundredth of itself.
fn wrong(values: &mut [f32], is_wronged: bool) {
    let middle = values.len() / 2;
    if let Some(value) = values.get_mut(middle).filter(|_| is_wronged) {
        *value += (value.abs() / 100.0).max(0.01);
    }
}

fn compare(got: &[f32], expected: Vec<f32>, allowed: f32) -> Verdict {
    if got.len() != expected.len() {
        let what = format!("{} numbers instead of {}", got.len(), expected.len());
        return Verdict::Wrong { what };
    }
    let mut difference = 0.0_f32;
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let here = (got - expected).abs();
        if here.is_nan() || here > allowed {
            return Verdict::Wrong { what: format!("number {at} is {got} instead of {expected}") };
        }
        difference = difference.max(here);
    }
    Verdict::Right { difference, allowed }
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Reads back buffers, each with numbers of its own, while the device computes on copies of them.
async fn sentinels(device: &Device) -> Result<Sample, ScoreError> {
    const BUFFERS: usize = 8;
    const LENGTH: usize = 12_345;
    let value = |buffer: usize, at: usize| ((buffer * LENGTH + at) % 65_521) as f32;
    let sent: Vec<Tensor<1>> = (0..BUFFERS)
        .map(|buffer| {
            let values: Vec<f32> = (0..LENGTH).map(|at| value(buffer, at)).collect();
            tensor(&values, [LENGTH], device)
        })
        .collect();
    // Doubled, to tell the buffers from those of the results.
    let doubled: Vec<Tensor<1>> = sent.iter().map(|one| one.clone() + one.clone()).collect();
    let mut got = Vec::new();
    for (one, double) in sent.into_iter().zip(doubled) {
        got.extend(read_back(one).await?);
        got.extend(read_back(double).await?);
    }
    let expected = (0..BUFFERS).flat_map(|buffer| {
        let values = move |factor: f32| (0..LENGTH).map(move |at| factor * value(buffer, at));
        values(1.0).chain(values(2.0))
    });
    Ok(Sample { got, expected: expected.collect(), allowed: 0.0 })
}

/// A product of whole numbers from -4 to 4, whose sums floats hold in any order. The rows are compared by their products with a random
/// vector without zeros (Freivalds 1977), in one pass over the matrices: one wrong element changes its row's sum.
async fn product(side: usize, device: &Device, is_wronged: bool) -> Result<Verdict, ScoreError> {
    let mut numbers = Numbers::new(side as u64);
    let (left, right) = (numbers.whole(side * side, 4), numbers.whole(side * side, 4));
    let shape = [side, side];
    let product = tensor(&left, shape, device).matmul(tensor(&right, shape, device));
    let mut got = read_back(product).await?;
    wrong(&mut got, is_wronged);
    Ok(match host::wrong_row(&left, &right, &got, side, &mut numbers) {
        None => Verdict::Right { difference: 0.0, allowed: 0.0 },
        Some(row) => {
            let expected = host::row_of_product(&left, &right, side, row);
            match compare(&got[row * side..(row + 1) * side], expected, 0.0) {
                Verdict::Wrong { what } => Verdict::Wrong { what: format!("row {row}: {what}") },
                // Two errors that cancel in the sum, or not a number.
                _ => Verdict::Wrong { what: format!("row {row}") },
            }
        }
    })
}

async fn softmax(device: &Device) -> Result<Sample, ScoreError> {
    let (rows, columns) = (77, 535);
    let values = Numbers::new(1).uniform(rows * columns, 20.0);
    let result = activation::softmax(tensor(&values, [rows, columns], device), 1);
    let expected = values.chunks(columns).flat_map(host::softmax).collect();
    Ok(Sample { got: read_back(result).await?, expected, allowed: ROUNDING })
}

async fn norm(device: &Device) -> Result<Sample, ScoreError> {
    const EPSILON: f64 = 1e-5;
    let (rows, columns) = (197, 768);
    let mut numbers = Numbers::new(2);
    let values = numbers.uniform(rows * columns, 3.0);
    let (scale, shift) = (numbers.uniform(columns, 1.0), numbers.uniform(columns, 1.0));
    let result = layer_norm(
        tensor(&values, [rows, columns], device),
        tensor(&scale, [columns], device),
        Some(tensor(&shift, [columns], device)),
        EPSILON,
    );
    let rows = values.chunks(columns);
    let expected = rows.flat_map(|row| host::layer_norm(row, &scale, &shift, EPSILON)).collect();
    Ok(Sample { got: read_back(result).await?, expected, allowed: ROUNDING })
}

async fn heads(device: &Device, is_causal: bool) -> Result<Sample, ScoreError> {
    let (count, tokens, width) = (3, 77, 64);
    let mut numbers = Numbers::new(3);
    let [query, key, value] = [(); 3].map(|()| numbers.uniform(count * tokens * width, 2.0));
    let shape = [1, count, tokens, width];
    let options = AttentionModuleOptions { is_causal, ..AttentionModuleOptions::default() };
    let result = attention(
        tensor(&query, shape, device),
        tensor(&key, shape, device),
        tensor(&value, shape, device),
        None,
        None,
        options,
    );
    let each = tokens * width;
    let expected = (0..count).flat_map(|head| {
        let [query, key, value] =
            [&query, &key, &value].map(|all| &all[head * each..(head + 1) * each]);
        host::attention(query, key, value, width, is_causal)
    });
    let expected = expected.collect();
    Ok(Sample { got: read_back(result).await?, expected, allowed: 2.0 * ROUNDING })
}

async fn large(device: &Device) -> Result<Sample, ScoreError> {
    // In rows, because the dimensions of a launch are limited.
    const COLUMNS: usize = 1 << 12;
    let rows = LARGE / COLUMNS;
    let first: Vec<f32> = (0..rows).map(|row| row as f32).collect();
    let all = tensor(&first, [rows, 1], device).expand([rows, COLUMNS]) + 1.0;
    // From every part of the buffer, including its end.
    let sums = all.clone().sum_dim(1).reshape([rows]);
    let last = all.narrow(0, rows - 1, 1).reshape([COLUMNS]);
    let mut got = read_back(sums).await?;
    got.extend(read_back(last).await?);
    let expected = (0..rows)
        .map(|row| ((row + 1) * COLUMNS) as f32)
        .chain(std::iter::repeat_n(rows as f32, COLUMNS));
    Ok(Sample { got, expected: expected.collect(), allowed: 0.0 })
}

#[cfg(not(all(feature = "train", feature = "cpu")))]
#[expect(clippy::unused_async, reason = "the version with training awaits")]
async fn training_step(_device: &Device) -> Result<Option<Sample>, ScoreError> {
    Ok(None)
}
