//! Whether a device computes right numbers: silently wrong ones are the worst that a GPU, its driver or a compiler of shaders
//! can do.
//!
//! Every [`Item`] runs on the device what models consist of, and compares with what plain code of the host computes, or says
//! beforehand. Matrix products are of small whole numbers, which floats hold exactly in any order of summation: there a
//! difference of any size is a fault. The other items allow what other orders of summation and a GPU's exponentials bring.
//!
//! [`Fault`] wrongs one number of what the device gave, so that the check itself can be checked.

mod host;
mod kernels;
#[cfg(all(feature = "train", feature = "cpu"))]
mod training;

use burn::tensor::module::{attention, layer_norm};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData, activation};

use self::host::Numbers;
use crate::device::read_back;
use crate::score::ScoreError;

/// Sides of matrices: powers of two and their neighbours, tokens of ViT-B/32, ViT-B/16 and texts, and others that no tile
/// divides.
pub const SIDES: [usize; 8] = [50, 64, 77, 197, 499, 512, 535, 1024];

/// Those of the reduced check, which a page makes before it trusts a GPU.
pub const FEW_SIDES: [usize; 3] = [50, 64, 77];

/// A GPU's exponentials and reciprocals are allowed some units in the last place of numbers up to one.
const ROUNDING: f32 = 1e-5;

/// The elements of the large buffer: 160 MiB as f32, above WebGPU's default binding of 128.
const LARGE: usize = 40 << 20;

/// Largest binding that a device must offer for [`Item::LargeBuffer`], in bytes.
pub const LARGE_BYTES: u64 = 4 * LARGE as u64;

/// The project's own kernels.
const KERNELS: [Item; 4] = [Item::Patch, Item::Preprocess, Item::Contrastive, Item::OwnNegatives];

/// Something that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Numbers that are written, and read back while others are computed.
    ReadBack,
    /// A square matrix product.
    Matmul(usize),
    /// Softmax over rows.
    Softmax,
    /// Layer normalisation.
    LayerNorm,
    /// Attention of several heads, each token to all.
    Attention,
    /// Attention, each token to those before it.
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
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut items = vec![Self::ReadBack];
        items.extend(SIDES.map(Self::Matmul));
        items.extend([Self::Softmax, Self::LayerNorm, Self::Attention, Self::CausalAttention]);
        items.extend(KERNELS);
        items.extend([Self::TrainingStep, Self::LargeBuffer]);
        items
    }

    /// Those that take a GPU less than a second together, and need no second device.
    #[must_use]
    pub fn few() -> Vec<Self> {
        let mut items = vec![Self::ReadBack];
        items.extend(FEW_SIDES.map(Self::Matmul));
        items.extend([Self::Softmax, Self::LayerNorm, Self::CausalAttention]);
        items.extend(KERNELS);
        items
    }

    /// Its name: `matmul-77`.
    #[must_use]
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

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The numbers are right, to within so much.
    Right {
        /// The largest difference.
        difference: f32,
        /// What is allowed.
        allowed: f32,
    },
    /// They aren't.
    Wrong {
        /// Where, what stands there and what should.
        what: String,
    },
    /// The device gave an error.
    Failed {
        /// Its words.
        reason: String,
    },
    /// Not checked.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl Verdict {
    /// Whether nothing speaks against the device.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Right { .. } | Self::Skipped { .. })
    }
}

/// Which item's numbers are wronged before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(pub Item);

/// Checks one item on a device. `largest_binding` is what the device allows, in bytes.
pub async fn check(
    item: Item,
    device: &Device,
    largest_binding: u64,
    fault: Option<Fault>,
) -> Verdict {
    let wronged = fault == Some(Fault(item));
    let checked = match item {
        Item::ReadBack => sentinels(device, wronged).await,
        Item::Matmul(side) => product(side, device, wronged).await,
        Item::Softmax => softmax(device, wronged).await,
        Item::LayerNorm => norm(device, wronged).await,
        Item::Attention => heads(device, false, wronged).await,
        Item::CausalAttention => heads(device, true, wronged).await,
        Item::Patch => kernels::patch(device, wronged).await,
        Item::Preprocess => kernels::preprocess(device, wronged).await,
        Item::Contrastive => kernels::contrastive(device, wronged).await,
        Item::OwnNegatives => kernels::own_negatives(device, wronged).await,
        Item::TrainingStep => training_step(device, wronged).await,
        Item::LargeBuffer if largest_binding < LARGE_BYTES => Ok(Verdict::Skipped {
            reason: format!(
                "the device binds {} MiB at most, {} are needed",
                largest_binding >> 20,
                LARGE_BYTES >> 20
            ),
        }),
        Item::LargeBuffer => large(device, wronged).await,
    };
    checked.unwrap_or_else(|error| Verdict::Failed { reason: error.to_string() })
}

/// Wrongs one number, by a hundredth of itself and more.
fn wrong(values: &mut [f32], wronged: bool) {
    let middle = values.len() / 2;
    if let Some(value) = values.get_mut(middle).filter(|_| wronged) {
        *value += (value.abs() / 100.0).max(0.01);
    }
}

/// Compares number by number.
fn compare(got: &[f32], expected: impl IntoIterator<Item = f32>, allowed: f32) -> Verdict {
    let mut difference = 0.0_f32;
    let mut count = 0;
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let here = (got - expected).abs();
        if here.is_nan() || here > allowed {
            return Verdict::Wrong { what: format!("number {at} is {got} instead of {expected}") };
        }
        difference = difference.max(here);
        count = at + 1;
    }
    if count < got.len() || count == 0 {
        return Verdict::Wrong { what: format!("{} numbers came instead of {count}", got.len()) };
    }
    Verdict::Right { difference, allowed }
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Buffers that hold a number of their own each are all read back while the device computes on copies of them.
async fn sentinels(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
    const BUFFERS: usize = 8;
    const LENGTH: usize = 12_345;
    let value = |buffer: usize, at: usize| ((buffer * LENGTH + at) % 65_521) as f32;
    let sent: Vec<Tensor<1>> = (0..BUFFERS)
        .map(|buffer| {
            let values: Vec<f32> = (0..LENGTH).map(|at| value(buffer, at)).collect();
            tensor(&values, [LENGTH], device)
        })
        .collect();
    // Doubled: what is read must be this buffer's, and not one of those that the products are written to.
    let doubled: Vec<Tensor<1>> = sent.iter().map(|one| one.clone() + one.clone()).collect();
    let mut got = Vec::new();
    for (one, double) in sent.into_iter().zip(doubled) {
        got.extend(read_back(one).await?);
        got.extend(read_back(double).await?);
    }
    wrong(&mut got, wronged);
    let expected = (0..BUFFERS).flat_map(|buffer| {
        let values = move |factor: f32| (0..LENGTH).map(move |at| factor * value(buffer, at));
        values(1.0).chain(values(2.0))
    });
    Ok(compare(&got, expected, 0.0))
}

/// A product of whole numbers from -4 to 4. Sums stay below 2^24, so floats hold them whatever the order. All rows are compared
/// by their product with a random vector, which takes the host a pass over the matrices instead of the product itself
/// (Freivalds 1977): one wrong element changes its row's sum, unless the vector's number there is 0, and none is.
async fn product(side: usize, device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
    let mut numbers = Numbers::new(side as u64);
    let (left, right) = (numbers.whole(side * side, 4), numbers.whole(side * side, 4));
    let shape = [side, side];
    let product = tensor(&left, shape, device).matmul(tensor(&right, shape, device));
    let mut got = read_back(product).await?;
    wrong(&mut got, wronged);
    Ok(match host::wrong_row(&left, &right, &got, side, &mut numbers) {
        None => Verdict::Right { difference: 0.0, allowed: 0.0 },
        Some(row) => {
            let expected = host::row_of_product(&left, &right, side, row);
            match compare(&got[row * side..(row + 1) * side], expected, 0.0) {
                Verdict::Wrong { what } => Verdict::Wrong { what: format!("row {row}: {what}") },
                // Cancelled in the sum, or not a number.
                _ => Verdict::Wrong { what: format!("row {row}") },
            }
        }
    })
}

async fn softmax(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
    let (rows, columns) = (77, 535);
    let values = Numbers::new(1).uniform(rows * columns, 20.0);
    let result = activation::softmax(tensor(&values, [rows, columns], device), 1);
    let mut got = read_back(result).await?;
    wrong(&mut got, wronged);
    let expected = values.chunks(columns).flat_map(host::softmax);
    Ok(compare(&got, expected, ROUNDING))
}

async fn norm(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
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
    let mut got = read_back(result).await?;
    wrong(&mut got, wronged);
    let expected =
        values.chunks(columns).flat_map(|row| host::layer_norm(row, &scale, &shift, EPSILON));
    Ok(compare(&got, expected, ROUNDING))
}

async fn heads(device: &Device, is_causal: bool, wronged: bool) -> Result<Verdict, ScoreError> {
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
    let mut got = read_back(result).await?;
    wrong(&mut got, wronged);
    let each = tokens * width;
    let expected = (0..count).flat_map(|head| {
        let part = |all: &[f32]| all[head * each..(head + 1) * each].to_vec();
        host::attention(&part(&query), &part(&key), &part(&value), width, is_causal)
    });
    Ok(compare(&got, expected, 2.0 * ROUNDING))
}

async fn large(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
    // In rows, so that no dimension is longer than what a launch can have.
    const COLUMNS: usize = 1 << 12;
    let rows = LARGE / COLUMNS;
    let first = Tensor::<1>::from_data(
        TensorData::new((0..rows).map(|row| row as f32).collect::<Vec<_>>(), [rows]),
        device,
    );
    let all = first.reshape([rows, 1]).expand([rows, COLUMNS]) + 1.0;
    // From every part of the buffer, its end included.
    let sums = all.clone().sum_dim(1).reshape([rows]);
    let last = all.narrow(0, rows - 1, 1).reshape([COLUMNS]);
    let mut got = read_back(sums).await?;
    got.extend(read_back(last).await?);
    wrong(&mut got, wronged);
    let expected = (0..rows)
        .map(|row| ((row + 1) * COLUMNS) as f32)
        .chain(std::iter::repeat_n(rows as f32, COLUMNS));
    Ok(compare(&got, expected, 0.0))
}

#[cfg(all(feature = "train", feature = "cpu"))]
async fn training_step(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
    training::check(device, wronged).await
}

#[cfg(not(all(feature = "train", feature = "cpu")))]
#[expect(clippy::unused_async, reason = "where it's built in, it computes")]
async fn training_step(_device: &Device, _wronged: bool) -> Result<Verdict, ScoreError> {
    Ok(Verdict::Skipped { reason: "training isn't built in".to_owned() })
}
