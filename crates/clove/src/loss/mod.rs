//! The contrastive losses: CLIP's symmetric InfoNCE, CLoVe's with hard negative texts, and FSC's.
//!
//! For `B` images `X`, their texts `T` and `M` negative texts `N`, all rows of length one, and `s = exp(logit scale)`:
//!
//! ```text
//! I2T = s X [T; N]^T   [B, B + M]     T2I = s T X^T   [B, B]     loss = (CE(I2T) + CE(T2I)) / 2,  labels 0..B
//! ```
//!
//! Negatives are candidates in image-to-text only, each for every image of the batch. Positives and negatives are separate, so captions
//! without a negative don't shift the labels. Source: Castro et al., arXiv 2402.15021, section 3.2; Netflix/clove:
//! src/open_clip/loss.py:62-139.
//!
//! A [`Mask`] leaves texts out that are true of an image besides its own caption: their logits are minus infinity in both directions.
//!
//! FSC (Oh et al., arXiv 2410.05210; ytaek-oh/fsc-clip: src/training/losses/loss.py:77-105) is InfoNCE without negatives plus
//! [`own_negatives`], in which an image chooses between its caption and that caption's own negatives.

mod mask;
mod size;

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData, activation};

pub use mask::Mask;
pub use size::TooLarge;

/// The loss of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// CLIP's symmetric InfoNCE, without negatives.
    Clip,
    /// CLoVe's: every negative is one more candidate for every image.
    Clove,
    /// CLIP's, plus a choice between each caption and its own negatives.
    Fsc(OwnNegatives),
}

/// The settings of [`own_negatives`]. The defaults are FSC's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnNegatives {
    /// The factor on this loss; CLIP's has 1.
    pub weight: f64,
    /// Exponent of the focal loss: confident correct answers count less, by `(1 - p)^gamma`.
    pub gamma: i32,
    /// Share of the label that is spread evenly over all candidates.
    pub smoothing: f64,
}

impl Default for OwnNegatives {
    fn default() -> Self {
        Self { weight: 0.5, gamma: 2, smoothing: 0.02 }
    }
}

/// A batch's embeddings, rows of length one.
#[derive(Debug)]
pub struct Embedded<'a> {
    /// `[batch, embed]`
    pub images: Tensor<2>,
    /// `[batch, embed]`
    pub texts: Tensor<2>,
    /// `[any number, embed]`
    pub negatives: Option<Tensor<2>>,
    /// The image of each negative's caption.
    pub owners: &'a [usize],
    /// The candidates that are left out.
    pub mask: &'a Mask,
}

impl Loss {
    /// The loss of one batch, `[1]`, by the project's own kernels if `fused`; `logit_scale` is `[1]`.
    ///
    /// # Panics
    /// If there isn't one text for each image and one owner for each negative.
    pub fn of(self, batch: Embedded<'_>, logit_scale: Tensor<1>, fused: bool) -> Tensor<1> {
        let Embedded { images, texts, negatives, owners, mask } = batch;
        let contrastive = if fused { fused::contrastive } else { contrastive };
        let own_negatives = if fused { fused::own_negatives } else { own_negatives };
        match (self, negatives) {
            (Self::Fsc(settings), Some(negatives)) => {
                let scale = logit_scale.clone();
                let own = mask.without(negatives, owners, texts.dims()[0]);
                let own = own.and_then(|(negatives, owners)| {
                    own_negatives(&images, &texts, negatives, &owners, scale, settings)
                });
                let loss = contrastive(images, texts, None, mask, logit_scale);
                match own {
                    Some(own) => loss + own * settings.weight,
                    None => loss,
                }
            }
            (Self::Clip, _) => contrastive(images, texts, None, mask, logit_scale),
            (_, negatives) => contrastive(images, texts, negatives, mask, logit_scale),
        }
    }
}

/// The loss of one batch, `[1]`. Without `negatives` it's CLIP's loss.
///
/// `images` and `texts` are `[batch, embed]`, `negatives` `[any number, embed]`, all rows of length one; `logit_scale` is `[1]`.
/// `mask` is of the texts and then the negatives.
///
/// # Panics
/// If there isn't one text for each image.
pub fn contrastive(
    images: Tensor<2>,
    texts: Tensor<2>,
    negatives: Option<Tensor<2>>,
    mask: &Mask,
    logit_scale: Tensor<1>,
) -> Tensor<1> {
    let [batch, _] = images.dims();
    assert_eq!(images.dims(), texts.dims(), "one text for each image");
    let scale = logit_scale.exp().reshape([1, 1]);
    // Both directions use the same product: texts by images is the transpose.
    let right = (images.clone() * texts.clone()).sum_dim(1) * scale.clone();
    let logits = images.clone().matmul(texts.transpose()) * scale.clone();
    let logits = mask.apply(logits, 0..batch);
    let to_images = log_sum_exp(logits.clone().transpose());
    let wide = match negatives {
        None => logits,
        Some(negatives) => {
            let columns = batch..batch + negatives.dims()[0];
            let others = images.matmul(negatives.transpose()) * scale;
            Tensor::cat(vec![logits, mask.apply(others, columns)], 1)
        }
    };
    let losses = log_sum_exp(wide) + to_images - right * 2.0;
    losses.reshape([batch]).mean() / 2.0
}

/// FSC's loss of one batch, `[1]`: the mean, over the images whose caption has negatives, of a choice between that caption and
/// those negatives, with focal loss and label smoothing. `None` if no caption has negatives.
///
/// For an image whose caption has `n - 1` negatives, with `p = softmax(s x [t; negatives]^T)` and smoothing `b`:
///
/// ```text
/// loss = sum over j of y_j (1 - p_j)^gamma (-log p_j),   y_0 = 1 - b + b / n,   y_j = b / n
/// ```
///
/// `images` and `texts` are `[batch, embed]`; `negatives` is `[any number, embed]`, and `owners` has the image of each negative's
/// caption. The original fills missing negatives with zero vectors, whose logit is 0; here they are no candidates.
///
/// # Panics
/// If there isn't one owner for each negative.
pub fn own_negatives(
    images: &Tensor<2>,
    texts: &Tensor<2>,
    negatives: Tensor<2>,
    owners: &[usize],
    logit_scale: Tensor<1>,
    settings: OwnNegatives,
) -> Option<Tensor<1>> {
    assert_eq!(negatives.dims()[0], owners.len(), "one owner for each negative");
    let table = OwnTable::new(owners, settings.smoothing)?;
    let device = images.device();
    let (rows, columns) = (table.rows.len(), table.columns);
    let of_host = |values: Vec<f32>| {
        Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &device)
    };
    let indices = |values: &[i32]| Tensor::<1, Int>::from_ints(values, &device);
    let chosen = indices(&table.rows);
    let images = images.clone().select(0, chosen.clone());
    let texts = texts.clone().select(0, chosen);
    let scale = logit_scale.exp().reshape([1, 1]);
    let [_, embed] = images.dims();
    let right = (images.clone() * texts).sum_dim(1);
    let wrong = negatives.select(0, indices(&table.negatives)).reshape([rows, columns - 1, embed]);
    let wrong = (images.reshape([rows, 1, embed]) * wrong).sum_dim(2).reshape([rows, columns - 1]);
    let logits = Tensor::cat(vec![right, wrong], 1) * scale + of_host(table.absent);
    let log_p = activation::log_softmax(logits, 1);
    let focus = (log_p.clone().exp().neg() + 1.0).powi_scalar(settings.gamma);
    let losses = (of_host(table.labels) * focus * log_p.neg()).sum_dim(1);
    Some(losses.reshape([rows]).mean())
}

/// The same losses by the project's own kernels; by tensor operations where they don't run or can't hold a batch.
pub mod fused {
    use burn::tensor::Device;
    use clove_kernels::Focus;

    use super::{Mask, OwnNegatives, Tensor};

    /// Whether the kernels run on a device.
    pub fn run_on(device: &Device) -> bool {
        clove_kernels::run_on(device)
    }

    /// [`super::contrastive`], without its logits in memory.
    ///
    /// # Panics
    /// As [`super::contrastive`].
    pub fn contrastive(
        images: Tensor<2>,
        texts: Tensor<2>,
        negatives: Option<Tensor<2>>,
        mask: &Mask,
        logit_scale: Tensor<1>,
    ) -> Tensor<1> {
        assert_eq!(images.dims(), texts.dims(), "one text for each image");
        if clove_kernels::run_on(&images.device()) {
            let candidates = match &negatives {
                None => texts.clone(),
                Some(negatives) => Tensor::cat(vec![texts.clone(), negatives.clone()], 0),
            };
            let (images, scale) = (images.clone(), logit_scale.clone());
            let loss = clove_kernels::contrastive(images, candidates, scale, mask.bits());
            if let Some(loss) = loss {
                return loss;
            }
        }
        super::contrastive(images, texts, negatives, mask, logit_scale)
    }

    /// [`super::own_negatives`], without gathering rows.
    ///
    /// # Panics
    /// As [`super::own_negatives`].
    pub fn own_negatives(
        images: &Tensor<2>,
        texts: &Tensor<2>,
        negatives: Tensor<2>,
        owners: &[usize],
        logit_scale: Tensor<1>,
        settings: OwnNegatives,
    ) -> Option<Tensor<1>> {
        if clove_kernels::run_on(&images.device())
            && let Ok(gamma) = u32::try_from(settings.gamma)
        {
            let candidates = Tensor::cat(vec![texts.clone(), negatives.clone()], 0);
            let (images, scale) = (images.clone(), logit_scale.clone());
            let focus = Focus { gamma, smoothing: settings.smoothing as f32 };
            let loss = clove_kernels::own_negatives(images, candidates, scale, owners, focus);
            if loss.is_some() {
                return loss;
            }
        }
        super::own_negatives(images, texts, negatives, owners, logit_scale, settings)
    }
}

/// The logit of a candidate that isn't there: low enough for an exponential of 0, and finite, so that its product with a label of 0
/// is 0.
const ABSENT: f32 = -1e9;

/// The negatives in rows, one for each caption with negatives.
#[derive(Default)]
struct OwnTable {
    /// The images of the rows.
    rows: Vec<i32>,
    /// One for the caption, and the maximum number of negatives.
    columns: usize,
    /// The negative of each column, `[rows, columns - 1]`; arbitrary in empty ones.
    negatives: Vec<i32>,
    /// Added to the logits, `[rows, columns]`: 0, or very low in empty columns.
    absent: Vec<f32>,
    /// Smoothed labels, `[rows, columns]`; 0 in empty columns.
    labels: Vec<f32>,
}

impl OwnTable {
    fn new(owners: &[usize], smoothing: f64) -> Option<Self> {
        let mut of = BTreeMap::<usize, Vec<usize>>::new();
        for (negative, owner) in owners.iter().enumerate() {
            of.entry(*owner).or_default().push(negative);
        }
        let columns = 1 + of.values().map(Vec::len).max()?;
        let mut table = Self { columns, ..Self::default() };
        for (owner, negatives) in of {
            let candidates = 1 + negatives.len();
            let even = smoothing / candidates as f64;
            table.rows.push(owner as i32);
            for column in 0..columns {
                let present = column < candidates;
                if column > 0 {
                    let negative = negatives.get(column - 1).copied().unwrap_or(0);
                    table.negatives.push(negative as i32);
                }
                table.absent.push(if present { 0.0 } else { ABSENT });
                table.labels.push(match column {
                    0 => (1.0 - smoothing + even) as f32,
                    _ if present => even as f32,
                    _ => 0.0,
                });
            }
        }
        Some(table)
    }
}

/// The logarithm of the sum of the exponentials of each row, `[rows, columns]` to `[rows, 1]`, without overflow.
fn log_sum_exp(rows: Tensor<2>) -> Tensor<2> {
    // Constant for the gradient, in which it cancels.
    let largest = rows.clone().detach().max_dim(1);
    (rows - largest.clone()).exp().sum_dim(1).log() + largest
}
