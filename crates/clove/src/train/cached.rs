//! The gradients of a batch: all at once, or with a few of its pairs in the towers at a time.
//!
//! A contrastive loss needs the embeddings of the whole batch, but not the towers' activations at the same time. So the batch is
//! embedded without gradients first, and the loss gives the gradient by each embedding. Then each part of the batch goes through the
//! towers again; its gradients are those of the sum of its embeddings times their gradients. The result equals the whole batch's
//! except for rounding. Source: Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, arXiv
//! 2101.06983 (GradCache).

use std::array;
use std::ops::Range;

use burn::module::Module as _;
use burn::tensor::{Device, FloatDType, Gradients, Tensor};

use super::texts::Pass;
use super::{Batch, Compute, Locked as Towers, NamedGradients, Trainer, texts};
use crate::loss::{Embedded, Loss, Mask};
use crate::model::Clip;

/// The embeddings of images, texts and negatives, rows of length one; `None` for those that weren't embedded.
pub(super) type Part = [Option<Tensor<2>>; 3];

/// The embeddings of one part, or else of the other.
fn or(part: Part, other: Part) -> Part {
    let mut other = other.into_iter();
    part.map(|embedded| embedded.or(other.next().flatten()))
}

/// The sum of all products with constants, `[1]`; `None` where nothing was embedded.
fn dot(part: Part, by: Part) -> Option<Tensor<1>> {
    let products = part.into_iter().zip(by);
    products
        .filter_map(|(embedded, by)| Some((embedded? * Tensor::from_inner(by?)).sum()))
        .reduce(|sum, product| sum + product)
}

impl Trainer {
    /// The towers that are trained.
    fn learning(&self) -> Towers {
        Towers { image: !self.config.locked.image, text: !self.config.locked.text }
    }

    /// The loss of a batch, `[1]`, and every gradient by name; without autodiff.
    pub(super) fn differentiate(&self, batch: &Batch, mask: &Mask) -> (Tensor<1>, NamedGradients) {
        let pairs = batch.texts.len();
        let clip = self.config.compute.copy(&self.clip);
        if self.config.micro_batch < pairs || self.config.checkpointing {
            return self.differentiate_in_parts(&clip, batch, mask);
        }
        let learning = self.embed(&clip, batch, 0..pairs, self.learning());
        // Locked towers need no graph.
        let locked = self.embed(&clip.valid(), batch, 0..pairs, self.config.locked);
        let locked = locked.map(|embedded| embedded.map(Tensor::from_inner));
        let loss = self.loss(or(learning, locked), batch, mask);
        let gradients = self.collect(&clip, self.scaled(loss.clone()).backward());
        (loss.inner(), gradients)
    }

    /// The loss times the factor of half precision.
    fn scaled(&self, loss: Tensor<1>) -> Tensor<1> {
        match self.loss_scale {
            Some(scale) => loss * scale.factor,
            None => loss,
        }
    }

    /// The gradients of a backward pass, by name.
    pub(super) fn collect(&self, clip: &Clip, gradients: Gradients) -> NamedGradients {
        let mut gradients = NamedGradients::collect(clip, &self.model, gradients);
        if self.config.compute != Compute::F32 {
            let factor = self.loss_scale.map_or(1.0, |scale| scale.factor.recip());
            for (_, gradient) in &mut gradients.0 {
                *gradient = gradient.clone().cast(FloatDType::F32) * factor;
            }
        }
        if let Some(adapters) = &self.adapters {
            adapters.reduce(&mut gradients);
        }
        gradients
    }

    fn differentiate_in_parts(
        &self,
        clip: &Clip,
        batch: &Batch,
        mask: &Mask,
    ) -> (Tensor<1>, NamedGradients) {
        let pairs = batch.texts.len();
        let size = self.config.micro_batch.max(1);
        let parts: Vec<Range<usize>> =
            (0..pairs).step_by(size).map(|start| start..pairs.min(start + size)).collect();
        // A single part keeps in the forward pass what it needs in the backward pass.
        let mut kept = None;
        let embedded: Vec<Part> = if self.config.checkpointing && parts.len() == 1 {
            let (part, of_part) = self.embed_and_keep(clip, batch, 0..pairs, self.learning());
            kept = Some(of_part);
            vec![or(part, self.embed(&clip.valid(), batch, 0..pairs, self.config.locked))]
        } else {
            let (valid, both) = (clip.valid(), Towers { image: true, text: true });
            parts.iter().map(|part| self.embed(&valid, batch, part.clone(), both)).collect()
        };
        let leaves: Part = array::from_fn(|which| {
            let all: Vec<_> = embedded.iter().filter_map(|part| part[which].clone()).collect();
            (!all.is_empty()).then(|| Tensor::from_inner(Tensor::cat(all, 0)).require_grad())
        });
        let rows: Vec<[usize; 3]> = embedded
            .iter()
            .map(|part| part.each_ref().map(|rows| rows.as_ref().map_or(0, |rows| rows.dims()[0])))
            .collect();
        drop(embedded);

        let loss = self.loss(leaves.clone(), batch, mask);
        let gradients = self.scaled(loss.clone()).backward();
        let by = leaves.map(|leaf| leaf?.grad(&gradients));
        // So far the scale is the only parameter with a gradient.
        let mut total = self.collect(clip, gradients);

        let mut first = [0; 3];
        for (range, rows) in parts.into_iter().zip(rows) {
            let by: Part = array::from_fn(|which| {
                // A part may have no negatives.
                let by = by[which].clone().filter(|_| rows[which] > 0)?;
                Some(by.narrow(0, first[which], rows[which]))
            });
            if self.config.checkpointing {
                let kept = kept
                    .take()
                    .unwrap_or_else(|| self.embed_and_keep(clip, batch, range, self.learning()).1);
                self.go_back(clip, kept, by, &mut total);
            } else if let Some(sum) = dot(self.embed(clip, batch, range, self.learning()), by) {
                total.add(self.collect(clip, sum.backward()));
            }
            for (first, rows) in first.iter_mut().zip(rows) {
                *first += rows;
            }
        }
        (loss.inner(), total)
    }

    /// Embeds the pairs `range` of a batch with `clip`, with its autodiff.
    fn embed(&self, clip: &Clip, batch: &Batch, range: Range<usize>, towers: Towers) -> Part {
        let device = clip.logit_scale.val().device();
        let images =
            towers.image.then(|| clip.embed_images(self.pixels(batch, range.clone(), &device)));
        let [texts, negatives] = if towers.text {
            self.embed_texts(batch, range, &device, |pass| clip.embed_texts(pass.batch.clone()))
        } else {
            [None, None]
        };
        [images, texts, negatives]
    }

    /// The embeddings of the captions of some pairs, and of their negatives, which go through the tower together.
    pub(super) fn embed_texts(
        &self,
        batch: &Batch,
        range: Range<usize>,
        device: &Device,
        embed: impl FnMut(&Pass) -> Tensor<2>,
    ) -> [Option<Tensor<2>>; 2] {
        let pairs = range.len();
        let mut all = batch.texts[range.clone()].to_vec();
        if self.config.loss != Loss::Clip {
            // The list is empty if no caption has negatives.
            let lists = batch.negatives.iter().skip(range.start).take(pairs);
            all.extend(lists.flatten().cloned());
        }
        let negatives = all.len() - pairs;
        let passes = texts::passes(&all, &self.model.text, device);
        let rows = passes.iter().map(embed).collect();
        let places: Vec<usize> = passes.iter().flat_map(|pass| pass.places.clone()).collect();
        let rows = texts::in_order(Tensor::cat(rows, 0), &places);
        let captions = rows.clone().narrow(0, 0, pairs);
        [Some(captions), (negatives > 0).then(|| rows.narrow(0, pairs, negatives))]
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

    fn loss(&self, part: Part, batch: &Batch, mask: &Mask) -> Tensor<1> {
        let owners: Vec<usize> = batch.wrong(self.config.loss).map(|(owner, _)| owner).collect();
        let both = "both towers have embedded the batch";
        let [images, texts, negatives] = part;
        let (images, texts) = (images.expect(both), texts.expect(both));
        let embedded = Embedded { images, texts, negatives, owners: &owners, mask };
        let scale = self.clip.logit_scale.val();
        self.config.loss.of(embedded, scale, self.config.fused_loss)
    }
}
