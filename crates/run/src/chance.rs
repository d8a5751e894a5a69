//! Notices a run that doesn't learn: its loss stands at that of guessing.

use clove::train::{Batch, StepReport};

use crate::config::{Config, LossKind};

/// Steps in a row for a warning.
const STEPS: usize = 200;

/// How near the loss is to that of guessing, as a share.
const NEAR: f64 = 0.01;

/// The steps whose loss is that of guessing.
#[derive(Debug)]
pub struct Chance {
    loss: LossKind,
    /// During the warm-up the model hardly moves.
    warmup: usize,
    /// In a row.
    steps: usize,
    has_told: bool,
}

impl Chance {
    pub fn new(config: &Config) -> Self {
        let warmup = config.optimizer.warmup.unwrap_or(0);
        Self { loss: config.loss.kind, warmup, steps: 0, has_told: false }
    }

    /// A warning where the loss has stood at that of guessing; once.
    pub fn hear(&mut self, report: &StepReport, batch: &Batch) -> Option<String> {
        let negatives = batch.negatives.iter().map(Vec::len).sum();
        self.add(report.step, report.loss, batch.texts.len(), negatives)
    }

    fn add(&mut self, step: usize, loss: f32, pairs: usize, negatives: usize) -> Option<String> {
        let of = |candidates: usize| (candidates as f64).ln();
        let chance = match self.loss {
            LossKind::Clip => of(pairs),
            LossKind::Clove => f64::midpoint(of(pairs + negatives), of(pairs)),
            // Its weight and its focus hide the level.
            LossKind::Fsc => return None,
        };
        let is_near = chance > 0.0 && (f64::from(loss) - chance).abs() <= NEAR * chance;
        self.steps = if is_near && step >= self.warmup { self.steps + 1 } else { 0 };
        if self.steps < STEPS || self.has_told {
            return None;
        }
        self.has_told = true;
        Some(format!(
            "warning: the loss has stood at {chance:.3}, that of guessing among {pairs} pairs, for {STEPS} steps: the model doesn't learn; \
             check that the captions describe their images, and optimizer.learning_rate"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(loss: LossKind) -> Chance {
        Chance { loss, warmup: 100, steps: 0, has_told: false }
    }

    /// The steps at which a warning comes.
    fn warned(
        mut chance: Chance,
        losses: impl Iterator<Item = f32>,
        negatives: usize,
    ) -> Vec<usize> {
        let heard = losses.enumerate();
        heard
            .filter_map(|(step, loss)| chance.add(step, loss, 64, negatives).map(|_| step))
            .collect()
    }

    #[test]
    fn a_loss_that_stands_at_the_logarithm_of_the_batch_is_told_once() {
        let ln = 64.0_f32.ln();
        let stands = || (0..1_000).map(|step| ln + 0.03 * (step as f32).sin());
        assert_eq!(warned(chance(LossKind::Clip), stands(), 0), [299]);
        assert_eq!(warned(chance(LossKind::Clove), stands(), 0), [299]);
        // With a negative for each pair, the images have twice as many candidates.
        assert!(warned(chance(LossKind::Clove), stands(), 64).is_empty());
        let more = stands().map(|loss| loss + 2.0_f32.ln() / 2.0);
        assert_eq!(warned(chance(LossKind::Clove), more, 64), [299]);
        assert!(warned(chance(LossKind::Fsc), stands(), 0).is_empty());
    }

    #[test]
    fn a_loss_that_falls_or_leaves_now_and_then_is_fine() {
        let ln = 64.0_f32.ln();
        let falls = (0..1_000).map(|step| ln * 0.999_f32.powi(step));
        assert!(warned(chance(LossKind::Clip), falls, 0).is_empty());
        let leaves = (0..1_000).map(|step| if step % 150 == 0 { ln - 0.2 } else { ln });
        assert!(warned(chance(LossKind::Clip), leaves, 0).is_empty());
        // The loss of a batch of 1 is 0, which the plan warns of.
        let mut one = chance(LossKind::Clip);
        assert!((0..1_000).all(|step| one.add(step, 0.0, 1, 0).is_none()));
    }
}
