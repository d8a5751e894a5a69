//! Patching: interpolation between pretrained and fine-tuned weights.
//!
//! `theta(alpha) = (1 - alpha) * pretrained + alpha * fine-tuned`, over every tensor, the logit scale included (CLoVe, arXiv 2402.15021,
//! section 3.3; Netflix/clove: src/training/utils.py:102). Alpha 0 and 1 give the two models bit for bit.
//!
//! The models' context lengths may differ, since training may cut the context: the positions that both have are interpolated, the others
//! of the pretrained model kept.

mod delta;
mod stream;

use thiserror::Error;

pub use self::delta::{Delta, DeltaError, Difference};
pub use self::stream::patch_to;
use crate::model::{ClipConfig, Parameters};
use crate::weights::{Layout, ModelSource, Snapshot, TEXT_POSITIONS, Weights, WeightsError};

/// Why two models can't be patched.
#[derive(Debug, Error)]
pub enum PatchError {
    /// A model can't be read, or the patched one can't be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Alpha isn't between 0 and 1.
    #[error("alpha is {0}; it must be between 0 (pretrained) and 1 (fine-tuned)")]
    Alpha(f64),
    /// The pretrained and the fine-tuned model, and their layouts, which differ.
    #[error(
        "{} is a {} model, {} a {} model; convert one of them with `clove convert`",
        .0[0], .1[0], .0[1], .1[1]
    )]
    Layouts([String; 2], [Layout; 2]),
    /// The pretrained and the fine-tuned model, and the differences of their shapes: `name: first value, second value`.
    #[error("{} and {} are different models: {}", .0[0], .0[1], .1.join("; "))]
    Configs([String; 2], Vec<String>),
}

/// Interpolates in f32 as PyTorch does: `(1 - alpha) * pretrained + alpha * fine-tuned`, 1 - alpha in f64, each product rounded.
pub fn interpolate(pretrained: &mut [f32], finetuned: &[f32], alpha: f64) {
    let (keep, take) = ((1.0 - alpha) as f32, alpha as f32);
    for (value, tuned) in pretrained.iter_mut().zip(finetuned) {
        *value = keep * *value + take * *tuned;
    }
}

/// Scores of a patched model on the validation data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// The share of the fine-tuned model.
    pub alpha: f64,
    /// The share that fine-tuning is to improve, such as the accuracy on hard negatives.
    pub composition: f64,
    /// The share that it must keep, such as zero-shot accuracy; `None` if it isn't tested.
    pub recognition: Option<f64>,
}

/// The alphas of a sweep: 0 to 1 by tenths. With a finer grid the validation split would overfit the choice.
pub fn tenths() -> Vec<f64> {
    (0..=10).map(|tenths| f64::from(tenths) / 10.0).collect()
}

/// The maximum loss of recognition of a patched model, as a share: one point.
pub const ALLOWED_LOSS: f64 = 0.01;

/// Chooses the alpha with the highest composition; of equals the lowest, which forgets the least. Where recognition is tested, it
/// must be within [`ALLOWED_LOSS`] of that of the first of `points`, the pretrained model at alpha 0. Without points the result is 0.
pub fn choose_alpha(points: impl IntoIterator<Item = Tried>) -> f64 {
    let mut points = points.into_iter();
    let Some(first) = points.next() else {
        return 0.0;
    };
    let least = first.recognition.map(|share| share - ALLOWED_LOSS);
    let best = points.fold(first, |best, point| {
        let allowed = point.recognition >= least;
        // A composition that isn't a number is the worst.
        let better = point.composition > best.composition || best.composition.is_nan();
        if allowed && better { point } else { best }
    });
    best.alpha
}

impl Snapshot {
    /// The weights between this model, the pretrained one, and a fine-tuned one of the same shape; see [`crate::patch`].
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn patched(&self, finetuned: &Self, alpha: f64) -> Self {
        assert_eq!(self.config(), finetuned.config(), "models of one shape");
        let mut patched = if alpha == 1.0 { finetuned.clone() } else { self.clone() };
        if alpha != 0.0 && alpha != 1.0 {
            for (values, tuned) in patched.beside(finetuned) {
                interpolate(values, tuned, alpha);
            }
        }
        patched
    }
}

/// Two models that differ only in their weights, and perhaps in the length of their contexts.
#[derive(Debug)]
pub struct Pair {
    pretrained: Weights,
    finetuned: Weights,
    /// The fine-tuned model's context length.
    context: usize,
}

impl Pair {
    /// Opens the weights of both models and compares layouts and configurations.
    ///
    /// # Errors
    /// When a model can't be read, or they differ in layout or in more of the configuration than the context length.
    pub fn open(pretrained: &ModelSource, finetuned: &ModelSource) -> Result<Self, PatchError> {
        let context = finetuned.config().text.context_length;
        let differences = obstacles(pretrained.config(), finetuned.config());
        let layouts = [pretrained.layout(), finetuned.layout()];
        let places = [pretrained.place(), finetuned.place()];
        if !differences.is_empty() {
            return Err(PatchError::Configs(places, differences));
        }
        if layouts[0] != layouts[1] {
            return Err(PatchError::Layouts(places, layouts));
        }
        Ok(Self { pretrained: pretrained.weights()?, finetuned: finetuned.weights()?, context })
    }

    /// The patched parameters.
    ///
    /// # Errors
    /// When alpha isn't between 0 and 1.
    pub fn at(&mut self, alpha: f64) -> Result<Patched<'_>, PatchError> {
        check(alpha)?;
        Ok(Patched { pair: self, alpha })
    }
}

/// The parameters between two models. See [`Pair::at`].
#[derive(Debug)]
pub struct Patched<'a> {
    pair: &'a mut Pair,
    alpha: f64,
}

impl Parameters for Patched<'_> {
    type Error = WeightsError;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let Pair { pretrained, finetuned, context } = &mut *self.pair;
        let mut values = pretrained.values(name, shape)?;
        if self.alpha != 0.0 {
            let tuned = finetuned.values(name, &with_context(name, shape, *context))?;
            let common = values.len().min(tuned.len());
            if self.alpha == 1.0 {
                values[..common].copy_from_slice(&tuned[..common]);
            } else {
                interpolate(&mut values, &tuned, self.alpha);
            }
        }
        Ok(values)
    }
}

/// The shape of a parameter in a model that differs in its context length alone.
fn with_context(name: &str, shape: &[usize], context: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if name == TEXT_POSITIONS {
        shape[0] = context;
    }
    shape
}

fn check(alpha: f64) -> Result<(), PatchError> {
    if (0.0..=1.0).contains(&alpha) { Ok(()) } else { Err(PatchError::Alpha(alpha)) }
}

/// The differences of two models' configurations that prevent patching: all but the context length.
pub fn obstacles(pretrained: &ClipConfig, finetuned: &ClipConfig) -> Vec<String> {
    let mut same_context = pretrained.clone();
    same_context.text.context_length = finetuned.text.context_length;
    differences(&same_context, finetuned)
}

/// The differences of two configurations that matter to the computation.
pub fn differences(left: &ClipConfig, right: &ClipConfig) -> Vec<String> {
    let facts = |config: &ClipConfig| {
        let (image, text) = (&config.image, &config.text);
        let mut facts = vec![
            ("embedding width".to_owned(), config.embed_dim.to_string()),
            ("image size".to_owned(), image.image_size.to_string()),
            ("patch size".to_owned(), image.patch_size.to_string()),
            ("context length".to_owned(), text.context_length.to_string()),
            ("vocabulary".to_owned(), text.vocab_size.to_string()),
        ];
        for (tower, transformer) in config.transformers() {
            facts.extend(
                [
                    ("width", transformer.width.to_string()),
                    ("layers", transformer.layers.to_string()),
                    ("heads", transformer.heads.to_string()),
                    ("perceptron", transformer.mlp_width.to_string()),
                    ("activation", transformer.activation.name().to_owned()),
                    ("epsilon", transformer.layer_norm_epsilon.to_string()),
                ]
                .map(|(name, value)| (format!("{tower} {name}"), value)),
            );
        }
        facts
    };
    facts(left)
        .into_iter()
        .zip(facts(right))
        .filter(|(left, right)| left.1 != right.1)
        .map(|((name, left), (_, right))| format!("{name}: {left}, {right}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Tried, choose_alpha};

    fn tried(points: &[(f64, f64, f64)]) -> f64 {
        choose_alpha(points.iter().map(|&(alpha, composition, share)| Tried {
            alpha,
            composition,
            recognition: (share > 0.0).then_some(share),
        }))
    }

    #[test]
    fn alpha_is_the_best_composition_that_keeps_recognition() {
        let points = [
            (0.0, 0.55, 0.90),
            (0.3, 0.66, 0.905),
            (0.5, 0.72, 0.8901),
            (0.7, 0.78, 0.88),
            (1.0, 0.80, 0.80),
        ];
        assert_eq!(tried(&points), 0.5);
        assert_eq!(tried(&points[..2]), 0.3);
        assert_eq!(tried(&[points[0], points[4]]), 0.0);
        assert_eq!(tried(&[]), 0.0);
        // Where nothing tests recognition, composition alone decides; of equals the lowest alpha is taken.
        assert_eq!(tried(&[(0.2, 0.5, 0.0), (0.4, 0.7, 0.0), (0.6, 0.7, 0.0)]), 0.4);
        assert_eq!(tried(&[(0.2, f64::NAN, 0.0), (0.4, 0.1, 0.0)]), 0.4);
    }
}
