//! Low-rank adaptation: a tower's matrices move by products of two thin ones, which are all that learns of it.
//!
//! A matrix is `W + alpha / rank * up * down`, and the chain rule gives the gradients of `up` and `down` from W's. So the model
//! needs no layers of its own: it holds the merged matrices at every step, and so does every checkpoint; the optimiser holds the
//! factors. Source: Hu et al., LoRA, arXiv 2106.09685; what is adapted, and the scale, as in FSC-CLIP (ytaek-oh/fsc-clip:
//! src/training/models/lora_utils), which also adapts the patch embedding.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use clove_random::Random;

use super::{AdamW, NamedGradients};
use crate::model::ClipConfig;
use crate::weights::parameters;

/// Which towers learn through low-rank factors, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lora {
    /// Columns of the left factor, rows of the right one.
    pub rank: usize,
    /// What the product is multiplied by, times the rank.
    pub alpha: f64,
    /// The image tower.
    pub image: bool,
    /// The text tower.
    pub text: bool,
    /// Of the factors' first values.
    pub seed: u64,
}

/// The matrices of a block.
const ADAPTED: [&str; 4] =
    [".attention.qkv.weight", ".attention.out.weight", ".mlp.up.weight", ".mlp.down.weight"];

/// What a factor's gradient and moments are called: the parameter's name, and one of these.
const DOWN: &str = "lora_down";
const UP: &str = "lora_up";

impl Lora {
    /// Whether this parameter is of a tower that learns through factors alone.
    #[must_use]
    pub fn holds(&self, parameter: &str) -> bool {
        (self.image && parameter.starts_with("image."))
            || (self.text && parameter.starts_with("text."))
    }

    /// Whether this parameter is a matrix that has factors.
    #[must_use]
    pub fn adapts(&self, parameter: &str) -> bool {
        self.holds(parameter) && ADAPTED.iter().any(|end| parameter.ends_with(end))
    }

    /// The factors' names with their numbers of elements, `[rank, in]` and `[out, rank]`, of a matrix `[out, in]`.
    pub(super) fn factors(&self, parameter: &str, shape: &[usize]) -> [(String, usize); 2] {
        let (outputs, inputs) = (shape[0], shape[1..].iter().product::<usize>());
        [
            (format!("{parameter}.{DOWN}"), self.rank * inputs),
            (format!("{parameter}.{UP}"), outputs * self.rank),
        ]
    }

    fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }
}

/// The factors of a matrix.
#[derive(Debug, Clone)]
struct Factors {
    /// `[rank, in]`
    down: Tensor<2>,
    /// `[out, rank]`
    up: Tensor<2>,
}

/// All factors, by their matrix's name.
#[derive(Debug)]
pub(super) struct Adapters {
    settings: Lora,
    factors: BTreeMap<String, Factors>,
}

impl Adapters {
    /// Factors whose product is zero: `down` as PyTorch draws a linear layer's weights, `up` nothing.
    pub(super) fn new(settings: Lora, model: &ClipConfig, device: &Device) -> Self {
        let adapted = parameters(model).into_iter().filter(|(name, _)| settings.adapts(name));
        let factors = (0_u64..).zip(adapted).map(|(number, (name, shape))| {
            let (outputs, inputs) = (shape[0], shape[1]);
            let mut random = Random::new(&[settings.seed, SALT, number]);
            let half = (inputs as f32).sqrt().recip();
            let down: Vec<f32> =
                (0..settings.rank * inputs).map(|_| random.between(-half, half)).collect();
            let factors = Factors {
                down: Tensor::from_data(TensorData::new(down, [settings.rank, inputs]), device),
                up: Tensor::zeros([outputs, settings.rank], device),
            };
            (name, factors)
        });
        Self { settings, factors: factors.collect() }
    }

    /// Those of a run that was put aside: flattened, `down` before `up`. Whoever calls has compared their lengths.
    pub(super) fn restore(
        settings: Lora,
        model: &ClipConfig,
        mut values: BTreeMap<String, [Vec<f32>; 2]>,
        device: &Device,
    ) -> Self {
        let mut adapters = Self::new(settings, model, device);
        for (name, factors) in &mut adapters.factors {
            if let Some([down, up]) = values.remove(name) {
                let of = |values, shape| Tensor::from_data(TensorData::new(values, shape), device);
                *factors =
                    Factors { down: of(down, factors.down.dims()), up: of(up, factors.up.dims()) };
            }
        }
        adapters
    }

    /// By matrix, flattened, `down` before `up`.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, [Tensor<1>; 2])> {
        self.factors
            .iter()
            .map(|(name, factors)| (name.as_str(), [flat(&factors.down), flat(&factors.up)]))
    }

    /// Puts the gradients of factors in the place of their matrices', and takes away those of what has no factors.
    pub(super) fn reduce(&self, gradients: &mut NamedGradients) {
        let scale = self.settings.scale();
        let mut reduced = Vec::new();
        for (name, gradient) in gradients.0.drain(..) {
            if let Some(Factors { down, up }) = self.factors.get(&name) {
                let gradient = gradient.reshape([up.dims()[0], down.dims()[1]]);
                let by_down = up.clone().transpose().matmul(gradient.clone()) * scale;
                let by_up = gradient.matmul(down.clone().transpose()) * scale;
                reduced.push((format!("{name}.{DOWN}"), flat(&by_down)));
                reduced.push((format!("{name}.{UP}"), flat(&by_up)));
            } else if !self.settings.holds(&name) || is_factor(&name) {
                reduced.push((name, gradient));
            }
        }
        gradients.0 = reduced;
    }

    /// Moves a matrix's factors; the matrix itself is to move by what this gives, `[out, in]`. `None` without gradients.
    pub(super) fn update(
        &mut self,
        name: &str,
        gradients: &mut NamedGradients,
        optimizer: &mut AdamW,
        learning_rate: f64,
    ) -> Option<Tensor<2>> {
        let factors = self.factors.get_mut(name)?;
        let mut moved = |end: &str, values: &Tensor<2>| {
            let name = format!("{name}.{end}");
            let gradient = gradients.take(&name)?;
            let updated = optimizer.update(&name, flat(values), gradient, learning_rate, true);
            Some(updated.reshape(values.dims()))
        };
        let down = moved(DOWN, &factors.down)?;
        let up = moved(UP, &factors.up)?;
        let before = factors.up.clone().matmul(factors.down.clone());
        let after = up.clone().matmul(down.clone());
        *factors = Factors { down, up };
        Some((after - before) * self.settings.scale())
    }
}

/// Tells the factors' stream of random numbers from others of the same seed.
const SALT: u64 = u64::from_le_bytes(*b"low rank");

fn is_factor(name: &str) -> bool {
    name.ends_with(DOWN) || name.ends_with(UP)
}

fn flat(matrix: &Tensor<2>) -> Tensor<1> {
    let [rows, columns] = matrix.dims();
    matrix.clone().reshape([rows * columns])
}
