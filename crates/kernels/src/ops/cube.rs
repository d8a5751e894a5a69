//! The launches.

use burn::backend::TensorMetadata;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;

use super::{BLOCK, Focus, Kernels, element, forward_shapes};
use crate::launch::{empty, launch};
use crate::shader::{Shader, grid};

/// Rows and columns of a gradient in a workgroup.
const GRADIENT: [usize; 2] = [32, 256];

impl Focus {
    /// The `info` of own_negatives.wgsl.
    fn info(self, images: usize, width: usize) -> [u32; 4] {
        [images as u32, width as u32, self.gamma, self.smoothing.to_bits()]
    }
}

impl Kernels for CubeBackend {
    fn clove_patch(
        base: FloatTensor<Self>,
        delta: IntTensor<Self>,
        alpha: f32,
        step: f32,
        bytes: bool,
    ) -> FloatTensor<Self> {
        let (base, delta) = (into_contiguous(base), into_contiguous(delta));
        let count = base.shape().num_elements();
        let result = empty(&base, base.shape(), DType::F32);
        let info = [count as u32, alpha.to_bits(), step.to_bits(), u32::from(bytes)];
        let workgroups = grid(count.div_ceil(256));
        launch(Shader::Patch, workgroups, &[&base, &delta, &result], &info);
        result
    }

    fn clove_resample(
        pixels: IntTensor<Self>,
        tables: IntTensor<Self>,
        length: usize,
        grid: [u32; 3],
    ) -> IntTensor<Self> {
        let (pixels, tables) = (into_contiguous(pixels), into_contiguous(tables));
        let result = empty(&pixels, [length], pixels.dtype);
        launch(Shader::Resample, grid, &[&pixels, &tables, &result], &[]);
        result
    }

    fn clove_preprocess(
        between: IntTensor<Self>,
        tables: IntTensor<Self>,
        photos: usize,
        size: usize,
        half: bool,
    ) -> FloatTensor<Self> {
        let (between, tables) = (into_contiguous(between), into_contiguous(tables));
        let result = empty(&between, [photos, 3, size, size], element(half));
        let blocks = size.div_ceil(16) as u32;
        let workgroups = [blocks, blocks, photos as u32];
        let shader = Shader::Preprocess { half };
        launch(shader, workgroups, &[&between, &tables, &result], &[]);
        result
    }

    fn clove_contrastive_forward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        mask: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (images, candidates) = (into_contiguous(images), into_contiguous(candidates));
        let mask = into_contiguous(mask);
        let ([count, width], all) = (images.shape().dims(), candidates.shape()[0]);
        let shapes = forward_shapes(&images.shape(), &candidates.shape());
        let [rows, columns, right] = shapes.map(|shape| empty(&images, shape, DType::F32));
        let workgroups = [all.div_ceil(BLOCK) as u32, count.div_ceil(BLOCK) as u32, 1];
        launch(
            Shader::Contrastive,
            workgroups,
            &[&images, &candidates, &scale, &rows, &columns, &right, &mask],
            &[count as u32, all as u32, width as u32],
        );
        (rows, columns, right)
    }

    fn clove_contrastive_backward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        sums: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        mask: IntTensor<Self>,
        by_images: bool,
    ) -> FloatTensor<Self> {
        let (images, candidates) = (into_contiguous(images), into_contiguous(candidates));
        let (sums, mask) = (into_contiguous(sums), into_contiguous(mask));
        let ([count, width], all) = (images.shape().dims(), candidates.shape()[0]);
        let (own, others, rows) =
            if by_images { (&images, &candidates, count) } else { (&candidates, &images, all) };
        let result = empty(own, [rows, width], DType::F32);
        let [rows, columns] = [rows.div_ceil(GRADIENT[0]), width.div_ceil(GRADIENT[1])];
        launch(
            Shader::ContrastiveBackward,
            [rows as u32, columns as u32, 1],
            &[own, others, &scale, &sums, &grad, &result, &mask],
            &[count as u32, all as u32, width as u32, u32::from(!by_images)],
        );
        result
    }

    fn clove_own_negatives_forward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        owners: IntTensor<Self>,
        focus: Focus,
    ) -> FloatTensor<Self> {
        let (images, candidates) = (into_contiguous(images), into_contiguous(candidates));
        let owners = into_contiguous(owners);
        let [count, width] = images.shape().dims();
        let losses = empty(&images, [count], DType::F32);
        launch(
            Shader::OwnNegatives,
            grid(count),
            &[&images, &candidates, &scale, &owners, &losses],
            &focus.info(count, width),
        );
        losses
    }

    fn clove_own_negatives_backward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        owners: IntTensor<Self>,
        grad: FloatTensor<Self>,
        focus: Focus,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (images, candidates) = (into_contiguous(images), into_contiguous(candidates));
        let owners = into_contiguous(owners);
        let [count, width] = images.shape().dims();
        let by_images = empty(&images, images.shape(), DType::F32);
        let by_candidates = empty(&images, candidates.shape(), DType::F32);
        launch(
            Shader::OwnNegativesBackward,
            grid(count),
            &[&images, &candidates, &scale, &owners, &grad, &by_images, &by_candidates],
            &focus.info(count, width),
        );
        (by_images, by_candidates)
    }
}
