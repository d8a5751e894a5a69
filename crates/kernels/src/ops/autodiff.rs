//! The backward passes, by kernels of their own.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{AutodiffBackend, Backend};
use burn_autodiff::Autodiff;
use burn_autodiff::NodeId;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};

use super::losses::{By, InfoNce, own_negatives_backward};
use super::{Focus, Kernels};

/// The state of a backward pass: images, candidates, and the rest.
type Kept<B, Rest> = (FloatTensor<B>, FloatTensor<B>, Rest);

fn register<B: Backend>(grads: &mut Gradients, nodes: [Option<NodeId>; 3], by: By<B>) {
    let gradients = [by.images, by.candidates, by.logit_scale];
    for (node, gradient) in nodes.into_iter().zip(gradients) {
        if let (Some(node), Some(gradient)) = (node, gradient) {
            grads.register::<B>(node, gradient);
        }
    }
}

#[derive(Debug)]
struct Contrastive;

impl<B: Kernels> Backward<B, 3> for Contrastive {
    /// The forward pass.
    type State = Kept<B, InfoNce<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (images, candidates, forward) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let nodes = ops.parents.map(|parent| parent.map(|node| node.id));
        let wanted = nodes.map(|node| node.is_some());
        register::<B>(grads, nodes, forward.backward(&images, &candidates, grad, wanted));
    }
}

#[derive(Debug)]
struct OwnNegativesMean;

impl<B: Kernels> Backward<B, 3> for OwnNegativesMean {
    /// The logarithm of the scale, the owners, the captions and the settings.
    type State = Kept<B, (FloatTensor<B>, IntTensor<B>, usize, Focus)>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (images, candidates, (logit_scale, owners, captions, focus)) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let nodes = ops.parents.map(|parent| parent.map(|node| node.id));
        let scale = B::float_exp(logit_scale);
        let by =
            own_negatives_backward::<B>(images, candidates, scale, owners, captions, focus, grad);
        register::<B>(grads, nodes, by);
    }
}

/// The losses have gradients. The other operations have none and run on the inner back end.
impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn clove_patch(
        base: FloatTensor<Self>,
        delta: IntTensor<Self>,
        alpha: f32,
        step: f32,
        bytes: bool,
    ) -> FloatTensor<Self> {
        let patched = B::clove_patch(Self::inner(base), delta, alpha, step, bytes);
        Self::from_inner(patched)
    }

    fn clove_resample(
        pixels: IntTensor<Self>,
        tables: IntTensor<Self>,
        length: usize,
        grid: [u32; 3],
    ) -> IntTensor<Self> {
        B::clove_resample(pixels, tables, length, grid)
    }

    fn clove_preprocess(
        between: IntTensor<Self>,
        tables: IntTensor<Self>,
        photos: usize,
        size: usize,
        half: bool,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::clove_preprocess(between, tables, photos, size, half))
    }

    fn clove_contrastive_forward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        mask: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [images, candidates, scale] = [images, candidates, scale].map(Self::inner);
        let (rows, columns, right) = B::clove_contrastive_forward(images, candidates, scale, mask);
        let of = Self::from_inner;
        (of(rows), of(columns), of(right))
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
        let [images, candidates, scale, sums, grad] =
            [images, candidates, scale, sums, grad].map(Self::inner);
        Self::from_inner(B::clove_contrastive_backward(
            images, candidates, scale, sums, grad, mask, by_images,
        ))
    }

    fn clove_own_negatives_forward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        owners: IntTensor<Self>,
        focus: Focus,
    ) -> FloatTensor<Self> {
        let [images, candidates, scale] = [images, candidates, scale].map(Self::inner);
        Self::from_inner(B::clove_own_negatives_forward(images, candidates, scale, owners, focus))
    }

    fn clove_own_negatives_backward(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        owners: IntTensor<Self>,
        grad: FloatTensor<Self>,
        focus: Focus,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [images, candidates, scale, grad] = [images, candidates, scale, grad].map(Self::inner);
        let (by_images, by_candidates) =
            B::clove_own_negatives_backward(images, candidates, scale, owners, grad, focus);
        (Self::from_inner(by_images), Self::from_inner(by_candidates))
    }

    fn clove_contrastive(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        logit_scale: FloatTensor<Self>,
        mask: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [images.node(), candidates.node(), logit_scale.node()];
        let (images, candidates) = (images.into_primitive(), candidates.into_primitive());
        let logit_scale = logit_scale.into_primitive();
        let forward = InfoNce::<B>::forward(images.clone(), candidates.clone(), logit_scale, mask);
        let loss = forward.loss.clone();
        match Contrastive.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((images, candidates, forward), loss),
            OpsKind::UnTracked(prepared) => prepared.finish(loss),
        }
    }

    fn clove_own_negatives(
        images: FloatTensor<Self>,
        candidates: FloatTensor<Self>,
        logit_scale: FloatTensor<Self>,
        owners: IntTensor<Self>,
        captions: usize,
        focus: Focus,
    ) -> FloatTensor<Self> {
        let nodes = [images.node(), candidates.node(), logit_scale.node()];
        let (images, candidates) = (images.into_primitive(), candidates.into_primitive());
        let logit_scale = logit_scale.into_primitive();
        let loss = B::clove_own_negatives(
            images.clone(),
            candidates.clone(),
            logit_scale.clone(),
            owners.clone(),
            captions,
            focus,
        );
        match OwnNegativesMean.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let rest = (logit_scale, owners, captions, focus);
                prepared.finish((images, candidates, rest), loss)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(loss),
        }
    }
}
