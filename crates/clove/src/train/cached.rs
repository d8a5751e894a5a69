//! The gradients of a batch: all at once, or with its pairs going through the towers a few at a time.
//!
//! A contrastive loss needs the embeddings of the whole batch, but not the towers' activations at the same time. So the batch is
//! embedded without gradients first; the loss gives the gradient by each embedding; and each part of the batch goes through the
//! towers again, whose gradients are those of the sum of its embeddings times theirs. The result is the whole batch's, but for
//! rounding. Source: Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, arXiv 2101.06983
//! (GradCache).

use std::ops::Range;

use burn::module::Module as _;
use burn::tensor::{Device, FloatDType, Gradients, Tensor};

use super::{Batch, Compute, Locked, NamedGradients, Trainer, texts};
use crate::loss::{Embedded, Loss};
use crate::model::Clip;
use crate::tokenizer::Encoding;

/// What a part of a batch becomes in the towers, rows of length one; nothing where it wasn't asked for.
#[derive(Default)]
pub(super) struct Part {
    pub images: Option<Tensor<2>>,
    pub texts: Option<Tensor<2>>,
    pub negatives: Option<Tensor<2>>,
}

impl Part {
    /// This, and what the other has beside it.
    fn or(self, other: Self) -> Self {
        Self {
            images: self.images.or(other.images),
            texts: self.texts.or(other.texts),
            negatives: self.negatives.or(other.negatives),
        }
    }

    /// The sum of all products with constants, `[1]`; nothing where nothing was embedded.
    fn dot(self, by: Part) -> Option<Tensor<1>> {
        let products =
            [(self.images, by.images), (self.texts, by.texts), (self.negatives, by.negatives)]
                .into_iter()
                .filter_map(|(embedded, by)| Some((embedded? * Tensor::from_inner(by?)).sum()));
        products.reduce(|sum, product| sum + product)
    }
}

/// Which towers a batch goes through.
#[derive(Clone, Copy)]
pub(super) struct Towers {
    pub image: bool,
    pub text: bool,
}

impl Towers {
    /// Those that learn.
    fn learning(locked: Locked) -> Self {
        Self { image: !locked.image, text: !locked.text }
    }

    /// Those that don't.
    fn locked(locked: Locked) -> Self {
        Self { image: locked.image, text: locked.text }
    }
}

const BOTH: Towers = Towers { image: true, text: true };

impl Trainer {
    /// The loss of a batch, `[1]`, and every gradient by name; without autodiff.
    pub(super) fn differentiate(&self, batch: &Batch) -> (Tensor<1>, NamedGradients) {
        let pairs = batch.texts.len();
        let clip = self.config.compute.copy(&self.clip);
        if self.config.micro_batch < pairs || self.config.checkpointing {
            return self.differentiate_in_parts(&clip, batch);
        }
        let learning = Towers::learning(self.config.locked);
        let learning = self.embed(&clip, batch, 0..pairs, learning);
        // Without a graph there's nothing to go back through.
        let locked = Towers::locked(self.config.locked);
        let locked = self.embed(&clip.valid(), batch, 0..pairs, locked);
        let constant = |tensor: Option<Tensor<2>>| tensor.map(Tensor::from_inner);
        let locked = Part {
            images: constant(locked.images),
            texts: constant(locked.texts),
            negatives: constant(locked.negatives),
        };
        let loss = self.loss(learning.or(locked), batch);
        let gradients = self.collect(&clip, self.scaled(loss.clone()).backward());
        (loss.inner(), gradients)
    }

    /// A loss as one goes back from it.
    fn scaled(&self, loss: Tensor<1>) -> Tensor<1> {
        if self.loss_scale.factor == 1.0 { loss } else { loss * self.loss_scale.factor }
    }

    /// The gradients that a backward pass left in `clip`, by name.
    pub(super) fn collect(&self, clip: &Clip, gradients: Gradients) -> NamedGradients {
        let mut gradients = NamedGradients::collect(clip, gradients);
        if self.config.compute != Compute::F32 {
            let factor = self.loss_scale.factor.recip();
            for (_, gradient) in &mut gradients.0 {
                *gradient = gradient.clone().cast(FloatDType::F32) * factor;
            }
        }
        if let Some(adapters) = &self.adapters {
            adapters.reduce(&mut gradients);
        }
        gradients
    }

    fn differentiate_in_parts(&self, clip: &Clip, batch: &Batch) -> (Tensor<1>, NamedGradients) {
        let pairs = batch.texts.len();
        let size = self.config.micro_batch.max(1);
        let parts: Vec<Range<usize>> =
            (0..pairs).step_by(size).map(|start| start..pairs.min(start + size)).collect();
        let learning = Towers::learning(self.config.locked);
        // Where there's one part, what it needs on the way back is kept on the way there.
        let mut kept = None;
        let embedded: Vec<Part> = if self.config.checkpointing && parts.len() == 1 {
            let (part, of_part) = self.embed_and_keep(clip, batch, 0..pairs, learning);
            kept = Some(of_part);
            let locked = Towers::locked(self.config.locked);
            vec![part.or(self.embed(&clip.valid(), batch, 0..pairs, locked))]
        } else {
            let valid = clip.valid();
            parts.iter().map(|part| self.embed(&valid, batch, part.clone(), BOTH)).collect()
        };
        let leaf = |of: fn(&Part) -> &Option<Tensor<2>>| {
            let all: Vec<Tensor<2>> = embedded.iter().filter_map(|part| of(part).clone()).collect();
            (!all.is_empty()).then(|| Tensor::from_inner(Tensor::cat(all, 0)).require_grad())
        };
        let leaves = Part {
            images: leaf(|part| &part.images),
            texts: leaf(|part| &part.texts),
            negatives: leaf(|part| &part.negatives),
        };
        let rows: Vec<[usize; 3]> = embedded
            .iter()
            .map(|part| {
                [&part.images, &part.texts, &part.negatives]
                    .map(|rows| rows.as_ref().map_or(0, |rows| rows.dims()[0]))
            })
            .collect();
        drop(embedded);

        let [images, texts, negatives] =
            [&leaves.images, &leaves.texts, &leaves.negatives].map(Clone::clone);
        let loss = self.loss(leaves, batch);
        let gradients = self.scaled(loss.clone()).backward();
        let by = [images, texts, negatives]
            .map(|leaf| leaf.and_then(|leaf: Tensor<2>| leaf.grad(&gradients)));
        // Of the parameters only the scale has had a part in it so far.
        let mut total = self.collect(clip, gradients);

        let mut first = [0; 3];
        for (range, rows) in parts.into_iter().zip(rows) {
            let [images, texts, negatives] = [0, 1, 2].map(|which| {
                let by: &Tensor<2> = by[which].as_ref()?;
                // Of a part none may have negatives.
                (rows[which] > 0).then(|| by.clone().narrow(0, first[which], rows[which]))
            });
            let by = Part { images, texts, negatives };
            if self.config.checkpointing {
                let kept = kept
                    .take()
                    .unwrap_or_else(|| self.embed_and_keep(clip, batch, range, learning).1);
                self.go_back(clip, kept, by, &mut total);
            } else {
                let part = self.embed(clip, batch, range, learning);
                if let Some(sum) = part.dot(by) {
                    total.add(self.collect(clip, sum.backward()));
                }
            }
            for (first, rows) in first.iter_mut().zip(rows) {
                *first += rows;
            }
        }
        (loss.inner(), total)
    }

    /// Sends the pairs `range` of a batch through the towers of `clip`: with autodiff where that has it.
    fn embed(&self, clip: &Clip, batch: &Batch, range: Range<usize>, towers: Towers) -> Part {
        let device = clip.logit_scale.val().device();
        let pairs = range.len();
        Part {
            images: towers
                .image
                .then(|| clip.embed_images(self.pixels(batch, range.clone(), &device))),
            ..if towers.text {
                let (all, negatives) = self.texts(batch, range);
                let passes = texts::passes(&all, &self.model.text, &device);
                let rows = passes.iter().map(|pass| clip.embed_texts(pass.batch.clone())).collect();
                let rows = texts::in_order(Tensor::cat(rows, 0), &passes, &device);
                Part {
                    images: None,
                    texts: Some(rows.clone().narrow(0, 0, pairs)),
                    negatives: (negatives > 0).then(|| rows.narrow(0, pairs, negatives)),
                }
            } else {
                Part::default()
            }
        }
    }

    /// The captions of some pairs, then their negatives, which go through the tower together; and how many these are.
    pub(super) fn texts(&self, batch: &Batch, range: Range<usize>) -> (Vec<Encoding>, usize) {
        let mut all = batch.texts[range.clone()].to_vec();
        let pairs = all.len();
        if self.config.loss != Loss::Clip {
            // Where no caption has any, the list is empty.
            let lists = batch.negatives.iter().skip(range.start).take(pairs);
            all.extend(lists.flatten().cloned());
        }
        let negatives = all.len() - pairs;
        (all, negatives)
    }

    pub(super) fn pixels(&self, batch: &Batch, range: Range<usize>, device: &Device) -> Tensor<4> {
        let side = self.model.image.image_size;
        let pixels = batch.pixels.on_device(range, side, device);
        if self.config.compute == Compute::F32 {
            pixels
        } else {
            pixels.cast(self.config.compute.dtype())
        }
    }

    /// The loss of a whole batch.
    fn loss(&self, part: Part, batch: &Batch) -> Tensor<1> {
        let owners: Vec<usize> = match self.config.loss {
            Loss::Clip => Vec::new(),
            Loss::Clove | Loss::Fsc(_) => {
                let lists = batch.negatives.iter().enumerate();
                lists.flat_map(|(owner, negatives)| negatives.iter().map(move |_| owner)).collect()
            }
        };
        let both = "a batch went through both towers";
        let embedded = Embedded {
            images: part.images.expect(both),
            texts: part.texts.expect(both),
            negatives: part.negatives,
            owners: &owners,
        };
        let scale = self.clip.logit_scale.val();
        self.config.loss.of(embedded, scale, self.config.fused_loss)
    }
}
