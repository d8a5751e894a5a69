//! The kernels as operations of burn's back ends: launched on CubeCL, deferred under fusion, differentiated under autodiff.

#[cfg(feature = "train")]
mod autodiff;
mod cube;
mod losses;

#[cfg(feature = "fusion")]
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::{DType, Shape};

pub use self::losses::{By, InfoNce, own_negatives_backward};
use crate::losses::Focus;

/// Rows and columns of logits in a workgroup of the forward pass.
const BLOCK: usize = 32;

/// The kernels as operations of a back end; the functions of this crate are easier to use. An `IntTensor<Self>` holds 32-bit words.
#[backend_extension(Cube, Fusion: cfg(feature = "fusion"), Autodiff: cfg(feature = "train"))]
pub trait Kernels: Backend {
    /// patch.wgsl: `base` and the result are flat.
    #[fusion(dtype = base, shape = base)]
    fn clove_patch(
        base: FloatTensor<Self>,
        delta: IntTensor<Self>,
        alpha: f32,
        step: f32,
        bytes: bool,
    ) -> FloatTensor<Self>;

    /// resample.wgsl: `length` words, with a grid of workgroups.
    #[fusion(meta = |pixels, _tables, length, _grid| TensorSpec::new(Shape::new([*length]), pixels.dtype))]
    fn clove_resample(
        pixels: IntTensor<Self>,
        tables: IntTensor<Self>,
        length: usize,
        grid: [u32; 3],
    ) -> IntTensor<Self>;

    /// preprocess.wgsl: `[photos, 3, size, size]`.
    #[fusion(meta = |_between, _tables, photos, size, half| {
        TensorSpec::new(Shape::new([*photos, 3, *size, *size]), element(*half))
    })]
    fn clove_preprocess(
        between: IntTensor<Self>,
        tables: IntTensor<Self>,
        photos: usize,
        size: usize,
        half: bool,
    ) -> FloatTensor<Self>;

    /// contrastive.wgsl: rows, columns and right logits.
    #[fusion(meta = |images, candidates, _scale, _mask| {
        let [rows, columns, right] = forward_shapes(&images.shape, &candidates.shape);
        let of = |shape| TensorSpec::new(shape, images.dtype);
        (of(rows), of(columns), of(right))
    })]
    fn clove_contrastive_forward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        mask: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// contrastive_backward.wgsl.
    #[fusion(meta = |images, candidates, _scale, _sums, _grad, _mask, by_images| {
        if *by_images { images.clone() } else { candidates.clone() }
    })]
    fn clove_contrastive_backward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        sums: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        mask: IntTensor<Self>,
        by_images: bool,
    ) -> FloatTensor<Self>;

    /// own_negatives.wgsl: a loss for each image.
    #[fusion(meta = |images, _candidates, _scale, _owners, _focus| {
        TensorSpec::new(Shape::new([images.shape[0]]), images.dtype)
    })]
    fn clove_own_negatives_forward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        owners: IntTensor<Self>,
        focus: Focus,
    ) -> FloatTensor<Self>;

    /// own_negatives_backward.wgsl: by the images, and by the candidates.
    #[fusion(meta = |images, candidates, _scale, _owners, _grad, _focus| {
        (images.clone(), candidates.clone())
    })]
    fn clove_own_negatives_backward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        owners: IntTensor<Self>,
        grad: FloatTensor<Self>,
        focus: Focus,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The loss, `[1]`, of `[images, width]` and `[candidates, width]`, with gradients by both and by `logit_scale`, `[1]`.
    #[fusion(default)]
    fn clove_contrastive(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        logit_scale: FloatTensor<Self>,
        mask: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        InfoNce::<Self>::forward(images, candidates, logit_scale, mask).loss
    }

    /// The mean loss, `[1]`, of the `captions` images that have negatives, with the gradients of [`Self::clove_contrastive`].
    #[fusion(default)]
    fn clove_own_negatives(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        logit_scale: FloatTensor<Self>,
        owners: IntTensor<Self>,
        captions: usize,
        focus: Focus,
    ) -> FloatTensor<Self> {
        let scale = Self::float_exp(logit_scale);
        let losses = Self::clove_own_negatives_forward(images, candidates, scale, owners, focus);
        Self::float_mul_scalar(Self::float_sum(losses), (1.0 / captions as f32).into())
    }
}

fn element(half: bool) -> DType {
    if half { DType::F16 } else { DType::F32 }
}

/// Shapes of the forward pass's results: rows, columns, right logits.
fn forward_shapes(images: &Shape, candidates: &Shape) -> [Shape; 3] {
    let count = images[0];
    [
        Shape::new([2, count, candidates[0].div_ceil(BLOCK)]),
        Shape::new([2, count.div_ceil(BLOCK), count]),
        Shape::new([count]),
    ]
}
