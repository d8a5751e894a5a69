//! Estimates the memory of a training step.
//!
//! What autodiff keeps of a block was measured on burn 0.22.1's CPU back end, over widths, heads, tokens and perceptrons
//! (tests/tests/memory.rs); the estimate is within a few percent. A GPU's fused operations keep no more.

use super::{Compute, TrainConfig, texts};
use crate::loss::Loss;
use crate::model::{Activation, ClipConfig, Transformer};
use crate::weights::parameters;

/// The memory of a step on the device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The weights, with low-rank factors.
    pub parameters: u64,
    /// The optimiser's means of gradients and of their squares.
    pub moments: u64,
    /// All gradients.
    pub gradients: u64,
    /// What the towers and the loss keep for the backward pass, including the batch's pixels.
    pub activations: u64,
    /// The peak of a step. Less than the sum: activations are freed as gradients are computed.
    pub total: u64,
    /// The largest tensor.
    pub largest: u64,
}

impl Estimate {
    /// The estimate for batches like this one: for each pair the lengths of its caption and of its negatives, in tokens
    /// ([`crate::model::TextBatch::tokens`]). It excludes memory that the back end keeps after tensors are freed.
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
        // The copies in half precision.
        let copy = match config.compute {
            Compute::F32 => 0,
            half => half.bytes() as usize * weights.all,
        };

        // The backward pass: what it needs, its gradients, and the sum of those of earlier parts.
        let before = if is_cached { learning } else { 0 };
        let (kept, gradients, backward) = if config.checkpointing {
            let kept = by_blocks(&passes);
            (kept, learning, before.max(FULL * weights.block) + kept)
        } else {
            let kept = passes.iter().map(Pass::kept).sum::<usize>();
            let passing = passes.iter().map(Pass::passing).max().unwrap_or(0);
            (kept, dense, before + kept.max(dense) + passing)
        };
        // With gradient caching the towers hold nothing during the loss.
        let loss = if is_cached || config.checkpointing { 0 } else { LOGITS * logits };
        let update = learning + FULL * (weights.moved + 3 * weights.largest);
        let working = (backward + loss + copy).max(LOGITS * logits).max(update) + embeddings;

        let (all, moments) = (FULL * weights.all, 2 * learning);
        let largest = passes.iter().map(Pass::largest).chain([FULL * weights.largest]).max();
        let negatives: Vec<usize> =
            lengths.iter().map(|texts| texts.len().saturating_sub(1)).collect();
        let of_loss = config.loss.largest_tensor(&negatives, model.embed_dim, config.fused_loss);
        Self {
            parameters: (all + copy) as u64,
            moments: moments as u64,
            gradients: gradients as u64,
            activations: (kept + loss) as u64,
            total: (all + moments + working) as u64,
            largest: (largest.unwrap_or(0) as u64).max(of_loss),
        }
    }
}

/// Bytes of a number in trained weights, gradients and losses.
const FULL: usize = 4;

/// The peak of the backward pass by blocks: the inputs of the remaining blocks, one block's activations, the gradients so far.
fn by_blocks(passes: &[Pass<'_>]) -> usize {
    let mut to_come: usize = passes.iter().map(Pass::entering).sum();
    let mut height = 0;
    let mut found = [0; 2];
    for pass in passes {
        let tower = &mut found[usize::from(pass.pixels > 0)];
        // The gradients of the texts' second pass are added to those of the first.
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

/// The number of similarities in a loss.
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
#[derive(Default)]
struct Weights {
    /// The model and its factors.
    all: usize,
    /// What the optimiser updates.
    learning: usize,
    /// Gradients, before low-rank factors replace them.
    dense: usize,
    /// The largest block, or the layers around the blocks of a tower.
    block: usize,
    /// New weights beside the old ones, which don't replace a gradient.
    moved: usize,
    /// The largest parameter.
    largest: usize,
}

impl Weights {
    fn new(model: &ClipConfig, config: &TrainConfig) -> Self {
        let learning = config.learning(model);
        let learning = learning.iter().map(|(_, elements)| elements).sum();
        let mut weights = Self { learning, ..Self::default() };
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

/// A forward pass of a tower.
struct Pass<'a> {
    tower: &'a Transformer,
    /// Tokens in a sequence.
    tokens: usize,
    /// Tokens in all sequences.
    all_tokens: usize,
    /// The pixels, and as many numbers in the rows of patches.
    pixels: usize,
    /// What the optimiser updates of the tower.
    learning: usize,
    /// Bytes of a number in the tower.
    bytes: usize,
}

/// The passes of pairs through the towers that are trained.
fn passes<'a>(
    model: &'a ClipConfig,
    config: &TrainConfig,
    lengths: &[Vec<usize>],
) -> Vec<Pass<'a>> {
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
            tower: &image.transformer,
            tokens: image.tokens(),
            all_tokens: lengths.len() * image.tokens(),
            pixels: lengths.len() * 3 * image.image_size * image.image_size,
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
            tower: &text.transformer,
            tokens,
            all_tokens: count * tokens,
            pixels: 0,
            learning,
            bytes,
        }));
    }
    passes
}

/// Sizes in bytes.
impl Pass<'_> {
    /// What autodiff keeps of a block.
    fn block(&self) -> usize {
        let Transformer { width, mlp_width, heads, .. } = self.tower;
        // QuickGELU is three operations, of which two keep their input and their output.
        let perceptron = match self.tower.activation {
            Activation::Gelu => 2 * mlp_width,
            Activation::QuickGelu => 4 * mlp_width,
        };
        // Layer norms and softmaxes stay in 32 bits.
        let (norms, scores) = (2 * width, heads * self.tokens);
        let others = 8 * width + perceptron + scores;
        self.all_tokens * (FULL * (norms + 2 * scores) + self.bytes * others)
    }

    /// What autodiff keeps of the layers before the blocks.
    fn stem(&self) -> usize {
        self.bytes * (2 * self.pixels + 3 * self.all_tokens * self.tower.width)
    }

    /// What autodiff keeps of the tower.
    fn kept(&self) -> usize {
        self.stem() + self.tower.layers * self.block()
    }

    /// The inputs of the blocks, and the pixels.
    fn entering(&self) -> usize {
        let inputs = (self.tower.layers + 1) * self.all_tokens * self.tower.width;
        self.bytes * (2 * self.pixels + inputs)
    }

    /// Temporary tensors of a block's backward pass.
    fn passing(&self) -> usize {
        self.bytes * 2 * self.all_tokens * self.tower.mlp_width
    }

    fn largest(&self) -> usize {
        let hidden = self.all_tokens * self.tower.mlp_width.max(3 * self.tower.width);
        let scores = FULL * self.all_tokens * self.tower.heads * self.tokens;
        scores.max(self.bytes * hidden.max(self.pixels))
    }
}
