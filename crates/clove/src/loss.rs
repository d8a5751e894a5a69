//! The contrastive loss: CLIP's symmetric InfoNCE, and CLoVe's with hard negative texts.
//!
//! For `B` images `X`, their texts `T` and `M` negative texts `N`, all rows of length one, and `s = exp(logit scale)`:
//!
//! ```text
//! I2T = s X [T; N]^T   [B, B + M]     T2I = s T X^T   [B, B]     loss = (CE(I2T) + CE(T2I)) / 2,  labels 0..B
//! ```
//!
//! Negatives widen image-to-text only, and each is a negative for every image of the batch. Source: Castro et al., arXiv
//! 2402.15021, section 3.2; Netflix/clove: src/open_clip/loss.py:62-139. Positives and negatives are kept apart, so that a caption
//! without a negative adds none and labels can't shift.

use burn::tensor::Tensor;

/// The loss of one batch, `[1]`. Without `negatives` it's CLIP's own.
///
/// `images` and `texts` are `[batch, embed]`, `negatives` `[any number, embed]`, all rows of length one; `logit_scale` is `[1]`.
///
/// # Panics
/// If there isn't one text for each image.
#[must_use]
pub fn contrastive(
    images: Tensor<2>,
    texts: Tensor<2>,
    negatives: Option<Tensor<2>>,
    logit_scale: Tensor<1>,
) -> Tensor<1> {
    let [batch, _] = images.dims();
    assert_eq!(images.dims(), texts.dims(), "one text for each image");
    let scale = logit_scale.exp().reshape([1, 1]);
    // The same product serves both directions: texts against images is its transpose.
    let right = (images.clone() * texts.clone()).sum_dim(1) * scale.clone();
    let logits = images.clone().matmul(texts.transpose()) * scale.clone();
    let to_images = log_sum_exp(logits.clone().transpose());
    let wide = match negatives {
        None => logits,
        Some(negatives) => Tensor::cat(
            vec![logits, images.matmul(negatives.transpose()) * scale],
            1,
        ),
    };
    let losses = log_sum_exp(wide) + to_images - right * 2.0;
    losses.reshape([batch]).mean() / 2.0
}

/// The logarithm of the sum of the exponentials of each row, `[rows, columns]` to `[rows, 1]`, from the largest, so that nothing
/// overflows.
fn log_sum_exp(rows: Tensor<2>) -> Tensor<2> {
    // A constant for the gradient: it cancels.
    let largest = rows.clone().detach().max_dim(1);
    (rows - largest.clone()).exp().sum_dim(1).log() + largest
}
