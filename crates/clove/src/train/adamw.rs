//! AdamW on tensors by name.
//!
//! burn-optim has an AdamW too. Its state hangs on random parameter ids, and a record that doesn't fit is skipped in silence;
//! a run that resumes must find every moment or fail.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

/// AdamW's settings (Loshchilov and Hutter, arXiv 1711.05101). The defaults are open_clip's for ViT models, and CLoVe's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta_1: f64,
    /// Decay of the mean of their squares.
    pub beta_2: f64,
    /// Added to the root of the latter.
    pub epsilon: f64,
    /// Share of a weight that is taken away at each step, times the learning rate. Vectors (biases, norms, the class token) and
    /// the logit scale have none: mlfoundations/open_clip: src/open_clip_train/main.py.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.98, epsilon: 1e-6, weight_decay: 0.1 }
    }
}

/// The optimiser with its state.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    steps: i32,
    moments: BTreeMap<String, Moments>,
}

/// The running means of one parameter, flattened.
#[derive(Debug, Clone)]
struct Moments {
    mean: Tensor<1>,
    square: Tensor<1>,
}

impl AdamW {
    /// An optimiser that has seen nothing.
    #[must_use]
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, steps: 0, moments: BTreeMap::new() }
    }

    /// An optimiser as [`Self::moments`] and [`Self::steps`] described it.
    #[must_use]
    pub fn restore(
        config: AdamWConfig,
        steps: i32,
        moments: impl IntoIterator<Item = (String, [Tensor<1>; 2])>,
    ) -> Self {
        let moments = moments
            .into_iter()
            .map(|(name, [mean, square])| (name, Moments { mean, square }))
            .collect();
        Self { config, steps, moments }
    }

    /// The steps taken, by which the means are corrected.
    #[must_use]
    pub fn steps(&self) -> i32 {
        self.steps
    }

    /// The running means of the gradients and of their squares, by parameter, flattened.
    pub fn moments(&self) -> impl Iterator<Item = (&str, [Tensor<1>; 2])> {
        self.moments
            .iter()
            .map(|(name, moments)| (name.as_str(), [moments.mean.clone(), moments.square.clone()]))
    }

    /// Begins a step. Every parameter's [`Self::update`] follows.
    pub fn advance(&mut self) {
        self.steps += 1;
    }

    /// The parameter's new values, in PyTorch's order of operations.
    #[must_use]
    pub fn update(
        &mut self,
        name: &str,
        values: Tensor<1>,
        gradient: Tensor<1>,
        learning_rate: f64,
        decays: bool,
    ) -> Tensor<1> {
        let AdamWConfig { beta_1, beta_2, epsilon, weight_decay } = self.config;
        let square = gradient.clone().square() * (1.0 - beta_2);
        let mean = gradient * (1.0 - beta_1);
        let moments = match self.moments.remove(name) {
            None => Moments { mean, square },
            Some(old) => {
                Moments { mean: old.mean * beta_1 + mean, square: old.square * beta_2 + square }
            }
        };
        let values = if decays { values * (1.0 - learning_rate * weight_decay) } else { values };
        let root = (1.0 - beta_2.powi(self.steps)).sqrt();
        let scale = learning_rate / (1.0 - beta_1.powi(self.steps));
        let denominator = moments.square.clone().sqrt() / root + epsilon;
        let updated = values - moments.mean.clone() / denominator * scale;
        self.moments.insert(name.to_owned(), moments);
        updated
    }
}
