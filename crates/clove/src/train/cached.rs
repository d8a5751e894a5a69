//! The gradients of a batch: all at once, or with its pairs going through the towers a few at a time.
//!
//! A contrastive loss needs the embeddings of the whole batch, but not the towers' activations at the same time. So the batch is
//! embedded without gradients first; the loss gives the gradient by each embedding; and each part of the batch goes through the
//! towers again, whose gradients are those of the sum of its embeddings times theirs. The result is the whole batch's, but for
//! rounding. Source: Gao et al., Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, arXiv 2101.06983
//! (GradCache).

use std::ops::Range;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Batch, Locked, NamedGradients, Trainer, texts};
use crate::loss::{Embedded, Loss};
use crate::model::Clip;
use crate::tokenizer::Encoding;

/// What a part of a batch becomes in the towers, rows of length one; nothing where it wasn't asked for.
struct Part {
    images: Option<Tensor<2>>,
    texts: Option<Tensor<2>>,
    negatives: Option<Tensor<2>>,
}

/// Which towers a batch goes through.
#[derive(Clone, Copy)]
struct Towers {
    image: bool,
    text: bool,
}

impl Towers {
    /// Those that learn.
    fn learning(locked: Locked) -> Self {
        Self {
            image: !locked.image,
            text: !locked.text,
        }
    }

    /// Those that don't.
    fn locked(locked: Locked) -> Self {
        Self {
            image: locked.image,
            text: locked.text,
        }
    }
}

const BOTH: Towers = Towers {
    image: true,
    text: true,
};

impl Trainer {
    /// The loss of a batch, `[1]`, and every parameter's gradient by name; without autodiff.
    pub(super) fn differentiate(&self, batch: &Batch) -> (Tensor<1>, NamedGradients) {
        let pairs = batch.texts.len();
        if self.config.micro_batch < pairs {
            self.differentiate_in_parts(batch)
        } else {
            let learning = self.embed(
                &self.clip,
                batch,
                0..pairs,
                Towers::learning(self.config.locked),
            );
            // Without a graph there's nothing to go back through.
            let locked = self.embed(
                &self.clip.valid(),
                batch,
                0..pairs,
                Towers::locked(self.config.locked),
            );
            let constant = |tensor: Option<Tensor<2>>| tensor.map(Tensor::from_inner);
            let part = Part {
                images: learning.images.or_else(|| constant(locked.images)),
                texts: learning.texts.or_else(|| constant(locked.texts)),
                negatives: learning.negatives.or_else(|| constant(locked.negatives)),
            };
            let loss = self.loss(part, batch);
            let gradients = NamedGradients::collect(&self.clip, loss.backward());
            (loss.inner(), gradients)
        }
    }

    fn differentiate_in_parts(&self, batch: &Batch) -> (Tensor<1>, NamedGradients) {
        let pairs = batch.texts.len();
        let size = self.config.micro_batch.max(1);
        let parts: Vec<Range<usize>> = (0..pairs)
            .step_by(size)
            .map(|start| start..pairs.min(start + size))
            .collect();
        let valid = self.clip.valid();
        let embedded: Vec<Part> = parts
            .iter()
            .map(|part| self.embed(&valid, batch, part.clone(), BOTH))
            .collect();
        let leaf = |of: fn(&Part) -> &Option<Tensor<2>>| {
            let all: Vec<Tensor<2>> = embedded
                .iter()
                .filter_map(|part| of(part).clone())
                .collect();
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
        let gradients = loss.backward();
        let by = [images, texts, negatives]
            .map(|leaf| leaf.and_then(|leaf: Tensor<2>| leaf.grad(&gradients)));
        // Of the parameters only the scale has had a part in it so far.
        let mut total = NamedGradients::collect(&self.clip, gradients);

        let mut first = [0; 3];
        for (range, rows) in parts.into_iter().zip(rows) {
            let learning = Towers::learning(self.config.locked);
            let part = self.embed(&self.clip, batch, range, learning);
            let products = [part.images, part.texts, part.negatives]
                .into_iter()
                .zip(&by)
                .zip(first.into_iter().zip(rows))
                .filter_map(|((embedded, by), (first, rows))| {
                    let embedded = embedded?;
                    let by = by.clone()?.narrow(0, first, rows);
                    Some((embedded * Tensor::from_inner(by)).sum())
                });
            if let Some(sum) = products.reduce(|sum, product| sum + product) {
                total.add(NamedGradients::collect(&self.clip, sum.backward()));
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
                let negatives: Vec<&Encoding> = match self.config.loss {
                    Loss::Clip => Vec::new(),
                    // Where no caption has any, the list is empty.
                    Loss::Clove | Loss::Fsc(_) => {
                        let lists = batch.negatives.iter().skip(range.start).take(pairs);
                        lists.flatten().collect()
                    }
                };
                // Positives and negatives go through the tower together.
                let all: Vec<Encoding> = batch.texts[range]
                    .iter()
                    .chain(negatives.iter().copied())
                    .cloned()
                    .collect();
                let all = texts::embed(clip, &all, &self.model.text, &device);
                Part {
                    images: None,
                    texts: Some(all.clone().narrow(0, 0, pairs)),
                    negatives: (!negatives.is_empty())
                        .then(|| all.narrow(0, pairs, negatives.len())),
                }
            } else {
                Part {
                    images: None,
                    texts: None,
                    negatives: None,
                }
            }
        }
    }

    fn pixels(&self, batch: &Batch, range: Range<usize>, device: &Device) -> Tensor<4> {
        let side = self.model.image.image_size;
        let each = 3 * side * side;
        let pixels = batch.pixels[range.start * each..range.end * each].to_vec();
        Tensor::from_data(
            TensorData::new(pixels, [range.len(), 3, side, side]),
            device,
        )
    }

    /// The loss of a whole batch.
    fn loss(&self, part: Part, batch: &Batch) -> Tensor<1> {
        let owners: Vec<usize> = match self.config.loss {
            Loss::Clip => Vec::new(),
            Loss::Clove | Loss::Fsc(_) => {
                let lists = batch.negatives.iter().enumerate();
                lists
                    .flat_map(|(owner, negatives)| negatives.iter().map(move |_| owner))
                    .collect()
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
