//! The backward pass through a tower block by block, with recomputed activations.
//!
//! The forward pass runs without gradients and keeps the input of each block. The backward pass runs each block again, alone and with
//! gradients, from its input; its gradients are those of the sum of its outputs times the gradients by them. So memory holds one
//! block's activations at a time, for a third more work. The result equals that of keeping everything except for rounding. Source:
//! Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv 1604.06174.

use std::ops::Range;

use burn::module::Module as _;
use burn::tensor::Tensor;

use super::cached::Part;
use super::{Batch, Locked as Towers, NamedGradients, Trainer, texts};
use crate::model::{Block, Clip, TextBatch, normalise_rows};

/// The input of a tower.
#[allow(
    clippy::large_enum_variant,
    reason = "there are at most three at a time, of handles to tensors; on 32 bits they're small"
)]
enum Input {
    Images(Tensor<4>),
    Texts(TextBatch),
}

impl Input {
    fn with_autodiff(self) -> Self {
        match self {
            Self::Images(pixels) => Self::Images(Tensor::from_inner(pixels)),
            Self::Texts(batch) => Self::Texts(TextBatch {
                ids: Tensor::from_inner(batch.ids),
                ends: Tensor::from_inner(batch.ends),
            }),
        }
    }

    fn blocks<'a>(&self, clip: &'a Clip) -> &'a [Block] {
        match self {
            Self::Images(_) => &clip.image.blocks,
            Self::Texts(_) => &clip.text.blocks,
        }
    }

    fn stem(&self, clip: &Clip) -> Tensor<3> {
        match self {
            Self::Images(pixels) => clip.image.stem(pixels.clone()),
            Self::Texts(batch) => clip.text.stem(batch.ids.clone()),
        }
    }

    fn head(&self, clip: &Clip, hidden: Tensor<3>) -> Tensor<2> {
        normalise_rows(match self {
            Self::Images(_) => clip.image.head(hidden),
            Self::Texts(batch) => clip.text.head(hidden, batch.ends.clone()),
        })
    }
}

/// The input of a tower, and the inputs of its blocks and of the layers after them.
pub(super) struct Kept {
    input: Input,
    /// The places of the texts in their part; `None` for images.
    places: Option<Vec<usize>>,
    entering: Vec<Tensor<3>>,
}

impl Kept {
    /// Runs a tower of `clip`, which has no autodiff; returns the embeddings, `[rows, embed]`, and the inputs.
    fn run(clip: &Clip, input: Input, places: Option<Vec<usize>>) -> (Tensor<2>, Self) {
        let mut entering = vec![input.stem(clip)];
        for block in input.blocks(clip) {
            let last = entering[entering.len() - 1].clone();
            entering.push(block.forward(last));
        }
        let rows = input.head(clip, entering[entering.len() - 1].clone());
        let kept = Self { input, places, entering };
        (rows, kept)
    }
}

impl Trainer {
    /// [`Self::embed`] without autodiff, with the inputs for the backward pass.
    pub(super) fn embed_and_keep(
        &self,
        clip: &Clip,
        batch: &Batch,
        range: Range<usize>,
        towers: Towers,
    ) -> (Part, Vec<Kept>) {
        let clip = clip.valid();
        let device = clip.logit_scale.val().device();
        let mut all_kept = Vec::new();
        let mut run = |input, places| {
            let (rows, kept) = Kept::run(&clip, input, places);
            all_kept.push(kept);
            rows
        };
        let images = towers
            .image
            .then(|| run(Input::Images(self.pixels(batch, range.clone(), &device)), None));
        let [texts, negatives] = if towers.text {
            self.embed_texts(batch, range, &device, |pass| {
                run(Input::Texts(pass.batch.clone()), Some(pass.places.clone()))
            })
        } else {
            [None, None]
        };
        ([images, texts, negatives], all_kept)
    }

    /// Adds the gradients of the parameters to `total`, from those by the embeddings, `by`.
    pub(super) fn go_back(
        &self,
        clip: &Clip,
        kept: Vec<Kept>,
        by: Part,
        total: &mut NamedGradients,
    ) {
        let [by_images, by_texts, by_negatives] = by;
        let by_texts: Vec<Tensor<2>> = by_texts.into_iter().chain(by_negatives).collect();
        let by_texts = (!by_texts.is_empty()).then(|| Tensor::cat(by_texts, 0));
        for kept in kept {
            let by = match &kept.places {
                None => by_images.clone(),
                Some(places) => by_texts.clone().map(|by| {
                    let rows = texts::index(places, &by.device());
                    by.select(0, rows)
                }),
            };
            if let Some(by) = by {
                self.go_back_through(clip, kept, by, total);
            }
        }
    }

    fn go_back_through(&self, clip: &Clip, kept: Kept, by: Tensor<2>, total: &mut NamedGradients) {
        let Kept { input, mut entering, .. } = kept;
        let input = input.with_autodiff();
        let last = entering.pop().expect("the head has an input");
        let mut by = self.leave(clip, last, total, |hidden| {
            (input.head(clip, hidden) * Tensor::from_inner(by)).sum()
        });
        for block in input.blocks(clip).iter().rev() {
            let last = entering.pop().expect("each block has an input");
            by = self.leave(clip, last, total, |hidden| {
                (block.forward(hidden) * Tensor::from_inner(by)).sum()
            });
        }
        let sum = (input.stem(clip) * Tensor::from_inner(by)).sum();
        total.add(self.collect(clip, sum.backward()));
    }

    /// Adds the gradients of a sum of a layer's outputs, and returns those by its input.
    fn leave(
        &self,
        clip: &Clip,
        entering: Tensor<3>,
        total: &mut NamedGradients,
        sum: impl FnOnce(Tensor<3>) -> Tensor<1>,
    ) -> Tensor<3> {
        let entering = Tensor::from_inner(entering).require_grad();
        let mut gradients = sum(entering.clone()).backward();
        let by = entering.grad_remove(&mut gradients).expect("the outputs depend on the input");
        total.add(self.collect(clip, gradients));
        by
    }
}
