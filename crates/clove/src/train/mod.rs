//! Training: one step at a time, pushed by whoever owns the loop.
//!
//! [`Trainer::step`] takes a [`Batch`] and gives a [`StepReport`]. The trainer reads no files and knows no clock; the program
//! and the page both drive it.

mod adamw;
mod cached;
mod checkpointed;
mod compute;
mod lora;
mod memory;
mod order;
mod pixels;
mod schedule;
mod state;
mod texts;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};

pub use adamw::{AdamW, AdamWConfig};
pub use compute::{Compute, LossScale};
pub use lora::Lora;
pub use memory::Estimate;
pub use order::{Mixture, Order};
pub use pixels::{Crop, Picture, Pixels};
pub use schedule::Schedule;
pub use state::{StateError, TrainerState};

use lora::Adapters;

use crate::device::read_back;
use crate::loss::Loss;
use crate::model::{Clip, ClipConfig};
use crate::score::ScoreError;
use crate::tokenizer::Encoding;
use crate::weights::parameters;

/// How a model is trained. The defaults are open_clip's and CLoVe's (Netflix/clove: scripts/example_multi_gpu.sh), but for the
/// number of steps, which is the caller's.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// The learning rate at each step.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimizer: AdamWConfig,
    /// Gradients whose joint Euclidean length is above this are shortened to it.
    pub clip_norm: Option<f64>,
    /// The most that the factor on similarities may be; its logarithm is kept between 0 and this one's.
    pub largest_logit_scale: f64,
    /// What is minimised.
    pub loss: Loss,
    /// Whether the loss is computed by the project's own kernels, where they run; see [`crate::loss::fused`].
    pub fused_loss: bool,
    /// Pairs that go through the towers at a time, with gradients: what the memory holds. The loss is of the whole batch all the
    /// same, and so are the gradients; more than a batch has means all at once. See `cached.rs`.
    pub micro_batch: usize,
    /// Whether the blocks' activations are computed again on the way back instead of being kept: a third more work for a fraction
    /// of the memory. See `checkpointed.rs`.
    pub checkpointing: bool,
    /// What the towers are computed in. A device must do so: [`Compute::runs_on`].
    pub compute: Compute,
    /// Towers that learn through low-rank factors alone.
    pub lora: Option<Lora>,
    /// What stays as it is.
    pub locked: Locked,
    /// What the image tower's learning rate is, as a share of the schedule's. 1 trains both towers alike; less spares what
    /// the image tower knows of classes that fine-tuning doesn't show.
    pub image_rate: f64,
}

/// Towers that don't learn (Zhai et al., arXiv 2111.07991), their projections included. The logit scale always learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Locked {
    /// The image tower.
    pub image: bool,
    /// The text tower.
    pub text: bool,
}

impl Locked {
    /// Whether this parameter stays as it is.
    #[must_use]
    pub fn holds(self, parameter: &str) -> bool {
        (self.image && parameter.starts_with("image."))
            || (self.text && parameter.starts_with("text."))
    }
}

impl TrainConfig {
    /// What the optimiser moves of a model, with the number of elements: parameters, and in their place the low-rank factors
    /// that learn for them.
    #[must_use]
    pub fn learning(&self, model: &ClipConfig) -> Vec<(String, usize)> {
        let mut learning = Vec::new();
        for (name, shape) in parameters(model) {
            match self.lora {
                _ if self.locked.holds(&name) => {}
                Some(lora) if lora.adapts(&name) => learning.extend(lora.factors(&name, &shape)),
                Some(lora) if lora.holds(&name) => {}
                _ => learning.push((name, shape.iter().product())),
            }
        }
        learning
    }

    /// CLoVe's values for a run of `steps`.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        Self {
            schedule: Schedule { peak: 1e-6, warmup: 2_000.min(steps / 10), steps },
            optimizer: AdamWConfig::default(),
            clip_norm: None,
            largest_logit_scale: 100.0,
            loss: Loss::Clove,
            fused_loss: false,
            micro_batch: usize::MAX,
            checkpointing: false,
            compute: Compute::F32,
            lora: None,
            locked: Locked::default(),
            image_rate: 1.0,
        }
    }
}

/// What one step learns from.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The images.
    pub pixels: Pixels,
    /// A caption for each image.
    pub texts: Vec<Encoding>,
    /// Hard negatives of each caption, as many as it has; empty if no caption has any.
    pub negatives: Vec<Vec<Encoding>>,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Counted from 0.
    pub step: usize,
    /// Of the batch, before the step.
    pub loss: f32,
    /// The joint Euclidean length of all gradients, before clipping.
    pub grad_norm: f32,
    /// Natural logarithm of the factor on similarities, before the step.
    pub logit_scale: f32,
    /// What the step was taken with.
    pub learning_rate: f64,
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    clip: Clip,
    model: ClipConfig,
    config: TrainConfig,
    optimizer: AdamW,
    adapters: Option<Adapters>,
    loss_scale: LossScale,
    step: usize,
    device: Device,
}

impl Trainer {
    /// Starts training `clip`, a model of the shape `model` on `device`.
    #[must_use]
    pub fn new(clip: Clip, model: ClipConfig, config: TrainConfig, device: &Device) -> Self {
        Self {
            clip: clip.train(),
            adapters: config.lora.map(|lora| Adapters::new(lora, &model, device)),
            model,
            optimizer: AdamW::new(config.optimizer),
            loss_scale: LossScale::new(config.compute),
            config,
            step: 0,
            device: device.clone().autodiff(),
        }
    }

    /// The model as it is now, without gradients.
    #[must_use]
    pub fn model(&self) -> Clip {
        self.clip.valid()
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ClipConfig {
        &self.model
    }

    /// The number of steps taken.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.step
    }

    /// The loss of a batch and every gradient by its parameter's name (a factor's by its matrix's, with `.lora_down` or `.lora_up`),
    /// without taking a step.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn gradients(&self, batch: &Batch) -> Result<(f32, NamedGradients), ScoreError> {
        let (loss, gradients) = self.differentiate(batch);
        Ok((read_back(loss).await?[0], gradients))
    }

    /// Takes one step.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn step(&mut self, batch: &Batch) -> Result<StepReport, ScoreError> {
        let learning_rate = self.config.schedule.at(self.step);
        let logit_scale = self.clip.logit_scale.val().inner();
        let (loss, mut gradients, norm) = loop {
            let (loss, mut gradients) = self.differentiate(batch);
            gradients.0.retain(|(name, _)| !self.config.locked.holds(name));
            let norm = gradients.norm(&self.device);
            // Without a factor that could be too large, nobody waits for the device here.
            if self.loss_scale.factor <= 1.0
                || read_back(norm.clone()).await?[0].is_finite()
                || !self.loss_scale.shrink()
            {
                break (loss, gradients, norm);
            }
        };
        self.loss_scale.grow(self.config.compute);
        if let Some(largest) = self.config.clip_norm {
            gradients.shorten(&norm, largest);
        }
        self.optimizer.advance();
        let mut update = Update {
            optimizer: &mut self.optimizer,
            adapters: self.adapters.as_mut(),
            gradients,
            learning_rate,
            image_rate: self.config.image_rate,
            path: Vec::new(),
        };
        self.clip = self.clip.clone().map(&mut update);
        self.clamp_logit_scale();
        // One reading for all that a report says: each waits for the device.
        let values = read_back(Tensor::cat(vec![loss, norm, logit_scale], 0)).await?;
        let report = StepReport {
            step: self.step,
            loss: values[0],
            grad_norm: values[1],
            logit_scale: values[2],
            learning_rate,
        };
        self.step += 1;
        Ok(report)
    }

    fn clamp_logit_scale(&mut self) {
        let largest = self.config.largest_logit_scale.ln();
        self.clip.logit_scale = self
            .clip
            .logit_scale
            .clone()
            .map(|scale| Tensor::from_inner(scale.inner().clamp(0.0, largest)).require_grad());
    }
}

/// Gradients by their parameter's name, each flattened.
#[derive(Debug)]
pub struct NamedGradients(Vec<(String, Tensor<1>)>);

impl NamedGradients {
    fn collect(clip: &Clip, gradients: Gradients) -> Self {
        struct Collector {
            gradients: Gradients,
            found: Vec<(String, Tensor<1>)>,
            path: Vec<String>,
        }
        impl ModuleVisitor for Collector {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.path.push(name.to_owned());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = param.val().grad_remove(&mut self.gradients) {
                    let elements = gradient.shape().num_elements();
                    self.found.push((self.path.join("."), gradient.reshape([elements])));
                }
            }
        }
        let mut collector = Collector { gradients, found: Vec::new(), path: Vec::new() };
        clip.visit(&mut collector);
        Self(collector.found)
    }

    /// The names, in the model's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// One parameter's gradient, flattened.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Tensor<1>> {
        let found = self.0.iter().find(|(other, _)| other == name)?;
        Some(found.1.clone())
    }

    /// Adds those of another part of the batch.
    fn add(&mut self, other: Self) {
        for (name, gradient) in other.0 {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum = sum.clone() + gradient,
                None => self.0.push((name, gradient)),
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Tensor<1>> {
        let place = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// The joint Euclidean length, `[1]`.
    fn norm(&self, device: &Device) -> Tensor<1> {
        let zero = Tensor::zeros([1], &device.clone().without_autodiff());
        self.0
            .iter()
            .map(|(_, gradient)| sum_of_squares(gradient.clone()))
            .fold(zero, |sum, part| sum + part)
            .sqrt()
    }

    /// Shortens all of them together, as `torch.nn.utils.clip_grad_norm_` does.
    fn shorten(&mut self, norm: &Tensor<1>, largest: f64) {
        /// PyTorch's.
        const EPSILON: f64 = 1e-6;
        let factor = (norm.clone() + EPSILON).recip() * largest;
        let factor = factor.clamp_max(1.0);
        for (_, gradient) in &mut self.0 {
            *gradient = gradient.clone() * factor.clone();
        }
    }
}

/// In rows of bounded length: a single sum over millions is unordered on the CPU back end, and so differs from run to run.
fn sum_of_squares(values: Tensor<1>) -> Tensor<1> {
    const ROW: usize = 4096;
    let [elements] = values.dims();
    let squares = values.square();
    let whole = elements - elements % ROW;
    let mut sums = Vec::new();
    if whole > 0 {
        let rows = squares.clone().narrow(0, 0, whole);
        sums.push(rows.reshape([whole / ROW, ROW]).sum_dim(1).reshape([whole / ROW]));
    }
    if whole < elements {
        sums.push(squares.narrow(0, whole, elements - whole));
    }
    Tensor::cat(sums, 0).sum()
}

/// Applies the optimiser to every parameter that has a gradient.
struct Update<'a> {
    optimizer: &'a mut AdamW,
    adapters: Option<&'a mut Adapters>,
    gradients: NamedGradients,
    learning_rate: f64,
    image_rate: f64,
    path: Vec<String>,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let learning_rate = if name.starts_with("image.") {
            self.learning_rate * self.image_rate
        } else {
            self.learning_rate
        };
        let moved = self.adapters.as_mut().and_then(|adapters| {
            let (gradients, optimizer) = (&mut self.gradients, &mut *self.optimizer);
            adapters.update(&name, gradients, optimizer, learning_rate)
        });
        if let Some(moved) = moved {
            return param.map(|values| {
                let values = values.inner();
                let moved = moved.reshape(values.shape());
                Tensor::from_inner(values + moved).require_grad()
            });
        }
        let Some(gradient) = self.gradients.take(&name) else {
            return param;
        };
        param.map(|values| {
            let values = values.inner();
            let shape = values.shape();
            let elements = shape.num_elements();
            let updated = self.optimizer.update(
                &name,
                values.reshape([elements]),
                gradient,
                learning_rate,
                D >= 2,
            );
            Tensor::from_inner(updated.reshape(shape)).require_grad()
        })
    }
}
