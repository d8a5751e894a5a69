//! Going back through a tower block by block, without what its blocks would have kept.
//!
//! A tower is run without gradients, keeping what goes into each block. On the way back each block is run again, alone and with
//! gradients, from what went into it; its gradients are those of the sum of what comes out times what the block above asks for. So
//! the memory holds one block's activations at a time, for a third more work. The result is that of keeping everything, but for
//! rounding. Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv 1604.06174.

use std::ops::Range;

use burn::module::Module as _;
use burn::tensor::Tensor;

use super::cached::{Part, Towers};
use super::{Batch, NamedGradients, Trainer, texts};
use crate::model::{Block, Clip, TextBatch, normalise_rows};

/// What goes through a tower.
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

/// What went through a tower without gradients, and what went into each of its blocks and into what is above them.
pub(super) struct Kept {
    input: Input,
    /// The places of the texts among all of their part; of images none.
    places: Option<Vec<usize>>,
    entering: Vec<Tensor<3>>,
}

impl Kept {
    /// Sends something through a tower of `clip`, which has no autodiff: what comes out, `[rows, embed]`, and what is kept.
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
    /// As [`Self::embed`] without autodiff, with what is needed for going back.
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
        let mut part = Part::default();
        if towers.image {
            let pixels = self.pixels(batch, range.clone(), &device);
            let (rows, kept) = Kept::run(&clip, Input::Images(pixels), None);
            part.images = Some(rows);
            all_kept.push(kept);
        }
        if towers.text {
            let pairs = range.len();
            let (all, negatives) = self.texts(batch, range);
            let passes = texts::passes(&all, &self.model.text, &device);
            let mut all_rows = Vec::new();
            for pass in &passes {
                let input = Input::Texts(pass.batch.clone());
                let (rows, kept) = Kept::run(&clip, input, Some(pass.places.clone()));
                all_rows.push(rows);
                all_kept.push(kept);
            }
            let rows = texts::in_order(Tensor::cat(all_rows, 0), &passes, &device);
            part.texts = Some(rows.clone().narrow(0, 0, pairs));
            part.negatives = (negatives > 0).then(|| rows.narrow(0, pairs, negatives));
        }
        (part, all_kept)
    }

    /// Adds the gradients of what was kept to `total`, where `by` are those by its embeddings.
    pub(super) fn go_back(
        &self,
        clip: &Clip,
        kept: Vec<Kept>,
        by: Part,
        total: &mut NamedGradients,
    ) {
        let by_texts: Vec<Tensor<2>> = by.texts.into_iter().chain(by.negatives).collect();
        let by_texts = (!by_texts.is_empty()).then(|| Tensor::cat(by_texts, 0));
        for kept in kept {
            let by = match &kept.places {
                None => by.images.clone(),
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
        let last = entering.pop().expect("the head's was put there");
        let mut by = self.leave(clip, last, total, |hidden| {
            (input.head(clip, hidden) * Tensor::from_inner(by)).sum()
        });
        for block in input.blocks(clip).iter().rev() {
            let last = entering.pop().expect("each block's was put there");
            by = self.leave(clip, last, total, |hidden| {
                (block.forward(hidden) * Tensor::from_inner(by)).sum()
            });
        }
        let sum = (input.stem(clip) * Tensor::from_inner(by)).sum();
        total.add(self.collect(clip, sum.backward()));
    }

    /// Adds the gradients of a sum of what comes out of a part of a tower, and gives those by what goes in.
    fn leave(
        &self,
        clip: &Clip,
        entering: Tensor<3>,
        total: &mut NamedGradients,
        sum: impl FnOnce(Tensor<3>) -> Tensor<1>,
    ) -> Tensor<3> {
        let entering = Tensor::from_inner(entering).require_grad();
        let mut gradients = sum(entering.clone()).backward();
        let by =
            entering.grad_remove(&mut gradients).expect("what comes out depends on what goes in");
        total.add(self.collect(clip, gradients));
        by
    }
}
