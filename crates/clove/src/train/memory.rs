//! How much memory a step takes, before it's taken.
//!
//! What autodiff keeps of a block was measured on burn 0.22.1's CPU back end, over widths, heads, tokens and perceptrons
//! (tests/tests/memory.rs): the sum below is within a few hundredths of it. A GPU's fused operations keep no more.

use super::{Compute, TrainConfig, texts};
use crate::loss::Loss;
use crate::model::{Activation, ClipConfig};
use crate::weights::parameters;

/// Bytes that a step holds on the device at its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The weights, with low-rank factors.
    pub parameters: u64,
    /// The optimiser's means of gradients and of their squares.
    pub moments: u64,
    /// Gradients, where all of them are there.
    pub gradients: u64,
    /// What the towers and the loss keep for going back, the batch's own pixels included.
    pub activations: u64,
    /// Of all of these together at the height of a step. Less than their sum: activations go as gradients come.
    pub total: u64,
    /// The largest tensor.
    pub largest: u64,
}

impl Estimate {
    /// Of a model trained so on batches like this one: for each pair the lengths of its caption and of its negatives, in tokens
    /// ([`crate::model::TextBatch::tokens`]).
    ///
    /// What a back end keeps of freed tensors isn't in it.
    #[must_use]
    pub fn new(model: &ClipConfig, config: &TrainConfig, lengths: &[Vec<usize>]) -> Self {
        let pairs = lengths.len();
        let together = config.micro_batch.clamp(1, pairs.max(1));
        let is_cached = together < pairs;
        let passes = passes(model, config, &lengths[..together.min(pairs)]);

        let weights = Weights::new(model, config);
        let embeddings: usize = lengths.iter().map(|texts| 1 + texts.len()).sum::<usize>();
        let embeddings = FULL * 2 * embeddings * model.embed_dim;
        let logits = FULL * logits(config, lengths);
        let learning = FULL * weights.learning;
        let dense = FULL * weights.dense;
        // Of half precision, beside the weights that learn.
        let copy = match config.compute {
            Compute::F32 => 0,
            half => half.bytes() as usize * weights.all,
        };

        // On the way back: what is kept for it, gradients as they come, and the sum of those that earlier parts left.
        let before = if is_cached { learning } else { 0 };
        let (kept, gradients, backward) = if config.checkpointing {
            let kept = by_blocks(&passes);
            (kept, learning, before.max(FULL * weights.block) + kept)
        } else {
            let kept = passes.iter().map(Pass::kept).sum::<usize>();
            let passing = passes.iter().map(Pass::passing).max().unwrap_or(0);
            (kept, dense, before + kept.max(dense) + passing)
        };
        // In caching the loss stands by itself, with the towers empty.
        let loss = if is_cached || config.checkpointing { 0 } else { LOGITS * logits };
        let update = learning + FULL * (weights.moved + 3 * weights.largest);
        let working = (backward + loss + copy).max(LOGITS * logits).max(update) + embeddings;

        let (all, moments) = (FULL * weights.all, 2 * learning);
        let largest =
            passes.iter().map(Pass::largest).chain([FULL * weights.largest, logits]).max();
        Self {
            parameters: (all + copy) as u64,
            moments: moments as u64,
            gradients: gradients as u64,
            activations: (kept + loss) as u64,
            total: (all + moments + working) as u64,
            largest: largest.unwrap_or(0) as u64,
        }
    }
}

/// Bytes of a number of the weights that learn, of gradients and of losses.
const FULL: usize = 4;

/// What is held on the way back through one pass after the other, block by block: what goes into the blocks that are still to come,
/// one block's activations, and the gradients of those that were.
fn by_blocks(passes: &[Pass]) -> usize {
    let mut to_come: usize = passes.iter().map(Pass::entering).sum();
    let mut height = 0;
    let mut found = [0; 2];
    for pass in passes {
        let tower = &mut found[usize::from(pass.pixels > 0)];
        // Of the texts' second pass they're added to those of the first.
        let new = FULL * pass.learning - *tower;
        *tower = FULL * pass.learning;
        let gradients: usize = found.iter().sum();
        let others = to_come - pass.entering();
        let at_first = gradients - new + to_come;
        let at_last = gradients + others;
        height = height.max(at_first.max(at_last) + pass.block() + pass.passing());
        to_come = others;
    }
    height
}

/// Tensors of the logits' size that a loss and its gradients hold at once.
const LOGITS: usize = 6;

/// Similarities that a loss looks at.
fn logits(config: &TrainConfig, lengths: &[Vec<usize>]) -> usize {
    let pairs = lengths.len();
    let negatives: usize = lengths.iter().map(|texts| texts.len().saturating_sub(1)).sum();
    match config.loss {
        _ if config.fused_loss => 0,
        Loss::Clip => pairs * pairs,
        Loss::Clove => pairs * (pairs + negatives),
        Loss::Fsc(_) => pairs * pairs + negatives,
    }
}

/// Numbers of elements.
struct Weights {
    /// Of the model, and of factors.
    all: usize,
    /// What the optimiser moves.
    learning: usize,
    /// Gradients before low-rank factors take their place.
    dense: usize,
    /// Of the largest block, or of what is below or above the blocks.
    block: usize,
    /// New weights beside the old, in whose place no gradient goes.
    moved: usize,
    largest: usize,
}

impl Weights {
    fn new(model: &ClipConfig, config: &TrainConfig) -> Self {
        let learning = config.learning(model);
        let mut weights = Self {
            all: 0,
            learning: learning.iter().map(|(_, elements)| elements).sum(),
            dense: 0,
            block: 0,
            moved: 0,
            largest: 0,
        };
        let mut blocks = std::collections::BTreeMap::<String, usize>::new();
        for (name, shape) in parameters(model) {
            let elements: usize = shape.iter().product();
            weights.all += elements;
            weights.largest = weights.largest.max(elements);
            if config.locked.holds(&name) {
                continue;
            }
            weights.dense += elements;
            let parts: Vec<&str> = name.split('.').collect();
            let block = match parts[..] {
                [tower, "blocks", number, ..] => format!("{tower} {number}"),
                [tower, ..] => tower.to_owned(),
                [] => String::new(),
            };
            *blocks.entry(block).or_default() += elements;
            if let Some(lora) = config.lora
                && lora.adapts(&name)
            {
                weights.moved += elements;
                let factors = lora.factors(&name, &shape);
                weights.all += factors.iter().map(|(_, elements)| elements).sum::<usize>();
            }
        }
        weights.block = blocks.into_values().max().unwrap_or(0);
        weights
    }
}

/// What goes through a tower at once.
struct Pass {
    width: usize,
    hidden: usize,
    heads: usize,
    layers: usize,
    /// In a sequence.
    tokens: usize,
    /// In all sequences.
    all_tokens: usize,
    /// The pixels, and the rows of patches that they become.
    pixels: usize,
    activation: Activation,
    /// What the optimiser moves of the tower.
    learning: usize,
    /// Bytes of a number in the tower.
    bytes: usize,
}

/// The passes of pairs through the towers that learn.
fn passes(model: &ClipConfig, config: &TrainConfig, lengths: &[Vec<usize>]) -> Vec<Pass> {
    let (image, text) = (&model.image, &model.text);
    let learning = |tower: &str| -> usize {
        let all = config.learning(model).into_iter();
        let of_tower = all.filter(|(name, _)| name.starts_with(tower));
        of_tower.map(|(_, elements)| elements).sum()
    };
    let bytes = config.compute.bytes() as usize;
    let mut passes = Vec::new();
    if !config.locked.image {
        passes.push(Pass {
            width: image.width,
            hidden: image.mlp_width,
            heads: image.heads,
            layers: image.layers,
            tokens: image.tokens(),
            all_tokens: lengths.len() * image.tokens(),
            pixels: lengths.len() * 3 * image.image_size * image.image_size,
            activation: image.activation,
            learning: learning("image."),
            bytes,
        });
    }
    if !config.locked.text {
        let count = match config.loss {
            Loss::Clip => 1,
            Loss::Clove | Loss::Fsc(_) => usize::MAX,
        };
        let lengths: Vec<usize> =
            lengths.iter().flat_map(|texts| texts.iter().take(count)).copied().collect();
        let shapes = texts::shapes(&lengths).into_iter();
        let learning = learning("text.");
        passes.extend(shapes.map(|(count, tokens)| Pass {
            width: text.width,
            hidden: text.mlp_width,
            heads: text.heads,
            layers: text.layers,
            tokens,
            all_tokens: count * tokens,
            pixels: 0,
            activation: text.activation,
            learning,
            bytes,
        }));
    }
    passes
}

/// All in bytes.
impl Pass {
    /// What autodiff keeps of a block.
    fn block(&self) -> usize {
        // QuickGELU is three operations, of which two keep what comes in and what goes out.
        let perceptron = match self.activation {
            Activation::Gelu => 2 * self.hidden,
            Activation::QuickGelu => 4 * self.hidden,
        };
        // Layer norms stay in 32 bits.
        let norms = 2 * self.width;
        let others = 8 * self.width + perceptron + 3 * self.heads * self.tokens;
        self.all_tokens * (FULL * norms + self.bytes * others)
    }

    /// What autodiff keeps of what is below the blocks.
    fn stem(&self) -> usize {
        self.bytes * (2 * self.pixels + 3 * self.all_tokens * self.width)
    }

    /// What autodiff keeps of the tower.
    fn kept(&self) -> usize {
        self.stem() + self.layers * self.block()
    }

    /// What goes into the blocks, and the pixels.
    fn entering(&self) -> usize {
        self.bytes * (2 * self.pixels + (self.layers + 1) * self.all_tokens * self.width)
    }

    /// What comes and goes within a block's backward pass.
    fn passing(&self) -> usize {
        self.bytes * 2 * self.all_tokens * self.hidden
    }

    fn largest(&self) -> usize {
        let hidden = self.all_tokens * self.hidden.max(3 * self.width);
        let attention = self.all_tokens * self.heads * self.tokens;
        self.bytes * hidden.max(attention).max(self.pixels)
    }
}
