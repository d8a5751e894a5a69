//! The losses from the results of their kernels, on any back end with the kernels.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};

use super::{Focus, Kernels};

/// InfoNCE from the results of its kernel.
#[derive(Debug, Clone)]
pub struct InfoNce<B: Backend> {
    /// `[1]`
    pub loss: FloatTensor<B>,
    /// `[1]`
    pub scale: FloatTensor<B>,
    /// `[4, images]`; see contrastive_backward.wgsl.
    pub sums: FloatTensor<B>,
    /// See contrastive.wgsl.
    pub mask: IntTensor<B>,
}

impl<B: Kernels> InfoNce<B> {
    pub fn forward(
        images: FloatTensor<B>,
        candidates: FloatTensor<B>,
        logit_scale: FloatTensor<B>,
        mask: IntTensor<B>,
    ) -> Self {
        let count = images.shape()[0];
        let scale = B::float_exp(logit_scale);
        let (rows, columns, right) =
            B::clove_contrastive_forward(images, candidates, scale.clone(), mask.clone());
        let right = B::float_reshape(right, Shape::new([1, count]));
        let (of_rows, row_losses) = Self::direction(&rows, right.clone(), 1);
        let (of_columns, column_losses) = Self::direction(&columns, right, 0);
        let losses = B::float_add(row_losses, column_losses);
        Self {
            // The mean of both directions' means.
            loss: B::float_mul_scalar(B::float_sum(losses), (0.5 / count as f32).into()),
            scale,
            sums: B::float_cat(vec![of_rows, of_columns], 0),
            mask,
        }
    }

    /// From the largest logits and the sums of each block: the largest of all and the log of their sum, `[2, images]`, and the losses.
    fn direction(
        partial: &FloatTensor<B>,
        right: FloatTensor<B>,
        blocks: usize,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let [_, rows, columns] = partial.shape().dims();
        let count = right.shape()[1];
        let part = |which: usize| {
            let slices =
                [Slice::from(which..which + 1), Slice::from(0..rows), Slice::from(0..columns)];
            B::float_reshape(B::float_slice(partial.clone(), &slices), Shape::new([rows, columns]))
        };
        let (largest, sums) = (part(0), part(1));
        let top = B::float_max_dim(largest.clone(), blocks);
        let factors = B::float_exp(B::float_sub(largest, top.clone()));
        let sum = B::float_sum_dim(B::float_mul(sums, factors), blocks);
        let flat = |tensor| B::float_reshape(tensor, Shape::new([1, count]));
        let (top, log) = (flat(top), flat(B::float_log(sum)));
        let losses = B::float_add(log.clone(), B::float_sub(top.clone(), right));
        (B::float_cat(vec![top, log], 0), losses)
    }
}

/// The gradients of a loss, those that were requested.
pub struct By<B: Backend> {
    /// `[images, width]`
    pub images: Option<FloatTensor<B>>,
    /// `[candidates, width]`
    pub candidates: Option<FloatTensor<B>>,
    /// `[1]`
    pub logit_scale: Option<FloatTensor<B>>,
}

/// The gradient by the logarithm of the scale: the sum of the products of the images with their gradients.
fn by_logit_scale<B: Backend>(images: FloatTensor<B>, by: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum(B::float_mul(images, by))
}

impl<B: Kernels> InfoNce<B> {
    /// From the gradient by the loss, `[1]`: those by the images, the candidates and the logarithm of the scale that are `wanted`.
    pub fn backward(
        self,
        images: &FloatTensor<B>,
        candidates: &FloatTensor<B>,
        grad: FloatTensor<B>,
        wanted: [bool; 3],
    ) -> By<B> {
        let count = images.shape()[0];
        let grad = B::float_mul_scalar(grad, (0.5 / count as f32).into());
        let by = |by_images| {
            B::clove_contrastive_backward(
                images.clone(),
                candidates.clone(),
                self.scale.clone(),
                self.sums.clone(),
                grad.clone(),
                self.mask.clone(),
                by_images,
            )
        };
        let by_images = (wanted[0] || wanted[2]).then(|| by(true));
        By {
            candidates: wanted[1].then(|| by(false)),
            logit_scale: by_images
                .clone()
                .filter(|_| wanted[2])
                .map(|by| by_logit_scale::<B>(images.clone(), by)),
            images: by_images,
        }
    }
}

/// The gradients of own_negatives' mean loss over `captions` images, from the gradient by it, `[1]`. `scale` is `[1]`.
pub fn own_negatives_backward<B: Kernels>(
    images: FloatTensor<B>,
    candidates: FloatTensor<B>,
    scale: FloatTensor<B>,
    owners: IntTensor<B>,
    captions: usize,
    focus: Focus,
    grad: FloatTensor<B>,
) -> By<B> {
    let grad = B::float_mul_scalar(grad, (1.0 / captions as f32).into());
    let (by_images, by_candidates) =
        B::clove_own_negatives_backward(images.clone(), candidates, scale, owners, grad, focus);
    By {
        logit_scale: Some(by_logit_scale::<B>(images, by_images.clone())),
        images: Some(by_images),
        candidates: Some(by_candidates),
    }
}
