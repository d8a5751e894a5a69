//! Low-rank adaptation: trains a tower through products of two thin matrices.
//!
//! A matrix is `W + alpha / rank * up * down`, and the chain rule gives the gradients of `up` and `down` from W's. So the model needs
//! no extra layers: the model and its checkpoints hold the merged matrices, the optimiser holds the factors. Source: Hu et al.,
//! LoRA, arXiv 2106.09685. The adapted matrices and the scale are those of FSC-CLIP (ytaek-oh/fsc-clip:
//! src/training/models/lora_utils), which also adapts the patch embedding.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use clove_random::Random;

use super::{AdamW, Locked, NamedGradients};
use crate::model::ClipConfig;
use crate::weights::parameters;

/// The settings of low-rank adaptation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lora {
    /// Columns of the left factor, rows of the right one.
    pub rank: usize,
    /// The factor on the product, times the rank.
    pub alpha: f64,
    /// Whether it adapts the image tower.
    pub image: bool,
    /// Whether it adapts the text tower.
    pub text: bool,
    /// The seed of the initial factors.
    pub seed: u64,
}

/// The matrices of a block.
const ADAPTED: [&str; 4] =
    [".attention.qkv.weight", ".attention.out.weight", ".mlp.up.weight", ".mlp.down.weight"];

/// Suffixes of the names of a factor's gradient and moments.
const DOWN: &str = "lora_down";
const UP: &str = "lora_up";

impl Lora {
    /// Whether this parameter is in an adapted tower.
    pub fn holds(&self, parameter: &str) -> bool {
        Locked { image: self.image, text: self.text }.holds(parameter)
    }

    /// Whether this parameter is a matrix with factors.
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

/// All factors, by their matrix's name.
#[derive(Debug)]
pub(super) struct Adapters {
    settings: Lora,
    /// `down`, `[rank, in]`, and `up`, `[out, rank]`.
    factors: BTreeMap<String, [Tensor<2>; 2]>,
}

impl Adapters {
    /// Factors with a product of zero: `down` as PyTorch draws a linear layer's weights, `up` all zeros.
    pub(super) fn new(settings: Lora, model: &ClipConfig, device: &Device) -> Self {
        let adapted = parameters(model).into_iter().filter(|(name, _)| settings.adapts(name));
        let factors = (0_u64..).zip(adapted).map(|(number, (name, shape))| {
            let (outputs, inputs) = (shape[0], shape[1]);
            let mut random = Random::new(&[settings.seed, SALT, number]);
            let half = (inputs as f32).sqrt().recip();
            let down: Vec<f32> =
                (0..settings.rank * inputs).map(|_| random.between(-half, half)).collect();
            let down = Tensor::from_data(TensorData::new(down, [settings.rank, inputs]), device);
            (name, [down, Tensor::zeros([outputs, settings.rank], device)])
        });
        Self { settings, factors: factors.collect() }
    }

    /// The factors of an interrupted run, flattened, `down` before `up`. The caller has checked their lengths.
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
                *factors = [of(down, factors[0].dims()), of(up, factors[1].dims())];
            }
        }
        adapters
    }

    /// By matrix, flattened, `down` before `up`.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, [Tensor<1>; 2])> {
        self.factors.iter().map(|(name, factors)| (name.as_str(), factors.each_ref().map(flat)))
    }

    /// Replaces the gradients of matrices by those of their factors, and drops the other gradients of adapted towers.
    pub(super) fn reduce(&self, gradients: &mut NamedGradients) {
        let scale = self.settings.scale();
        let mut reduced = Vec::new();
        for (name, gradient) in gradients.0.drain(..) {
            if let Some([down, up]) = self.factors.get(&name) {
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

    /// Updates a matrix's factors and returns the change of the matrix, `[out, in]`; `None` without gradients.
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
        let [old_down, old_up] = &*factors;
        let down = moved(DOWN, old_down)?;
        let up = moved(UP, old_up)?;
        let before = old_up.clone().matmul(old_down.clone());
        let after = up.clone().matmul(down.clone());
        *factors = [down, up];
        Some((after - before) * self.settings.scale())
    }
}

/// Separates the factors' random numbers from others with the same seed.
const SALT: u64 = u64::from_le_bytes(*b"low rank");

fn is_factor(name: &str) -> bool {
    name.ends_with(DOWN) || name.ends_with(UP)
}

fn flat(matrix: &Tensor<2>) -> Tensor<1> {
    let [rows, columns] = matrix.dims();
    matrix.clone().reshape([rows * columns])
}
