//! AdamW on tensors by name.
//!
//! burn-optim's AdamW silently skips a record that doesn't fit. A resumed run must find every moment or fail.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

/// AdamW's settings (Loshchilov and Hutter, arXiv 1711.05101). The defaults are open_clip's for ViT models, and CLoVe's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta_1: f64,
    /// Decay of the mean of their squares.
    pub beta_2: f64,
    /// Added to the root of the mean of squares.
    pub epsilon: f64,
    /// Decay of a matrix at each step, times the learning rate; vectors don't decay (mlfoundations/open_clip: open_clip_train/main.py).
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
    /// Steps taken, for the correction of the means.
    steps: i32,
    /// The running means of the gradient and of its square, by parameter, flattened.
    moments: BTreeMap<String, [Tensor<1>; 2]>,
}

impl AdamW {
    /// A new optimiser.
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, steps: 0, moments: BTreeMap::new() }
    }

    /// An optimiser with the state of [`Self::moments`] after `steps`.
    pub fn restore(
        config: AdamWConfig,
        steps: i32,
        moments: impl IntoIterator<Item = (String, [Tensor<1>; 2])>,
    ) -> Self {
        Self { config, steps, moments: moments.into_iter().collect() }
    }

    /// The running means of the gradients and of their squares, by parameter, flattened.
    pub fn moments(&self) -> impl Iterator<Item = (&str, [Tensor<1>; 2])> {
        self.moments.iter().map(|(name, moments)| (name.as_str(), moments.clone()))
    }

    /// Begins a step, before every parameter's [`Self::update`].
    pub fn advance(&mut self) {
        self.steps += 1;
    }

    /// The parameter's new values, in PyTorch's order of operations.
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
        let [mean, square] = match self.moments.remove(name) {
            None => [mean, square],
            Some([old_mean, old_square]) => {
                [old_mean * beta_1 + mean, old_square * beta_2 + square]
            }
        };
        let values = if decays { values * (1.0 - learning_rate * weight_decay) } else { values };
        let root = (1.0 - beta_2.powi(self.steps)).sqrt();
        let scale = learning_rate / (1.0 - beta_1.powi(self.steps));
        let denominator = square.clone().sqrt() / root + epsilon;
        let updated = values - mean.clone() / denominator * scale;
        self.moments.insert(name.to_owned(), [mean, square]);
        updated
    }
}
