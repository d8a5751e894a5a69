//! Training, one step at a time; the caller owns the loop.
//!
//! [`Trainer::step`] takes a [`Batch`] and returns a [`StepReport`]. The trainer uses no files and no clock.

mod adamw;
mod batch;
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

pub use adamw::AdamWConfig;
pub use batch::Batch;
pub use compute::{Compute, LossScale};
pub use lora::Lora;
pub use memory::Estimate;
pub use order::{Mixture, Order};
pub use pixels::{Crop, Picture, Pixels};
pub use schedule::Schedule;
pub use state::{StateError, TrainerState};

use adamw::AdamW;
use lora::Adapters;

use crate::device::read_back;
use crate::loss::Loss;
use crate::model::{Clip, ClipConfig};
use crate::score::ScoreError;
use crate::weights::parameters;

/// The settings of training. The defaults are open_clip's and CLoVe's (Netflix/clove: scripts/example_multi_gpu.sh).
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// The learning rate at each step.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimizer: AdamWConfig,
    /// The maximum joint Euclidean length of the gradients; longer ones are scaled down.
    pub clip_norm: Option<f64>,
    /// The maximum factor on similarities; its logarithm is kept between 0 and this one's.
    pub largest_logit_scale: f64,
    /// The loss.
    pub loss: Loss,
    /// Whether the project's own kernels compute the loss, where they run; see [`crate::loss::fused`].
    pub fused_loss: bool,
    /// Pairs in the towers at a time, which bounds the memory; loss and gradients are the whole batch's. See `cached.rs`.
    pub micro_batch: usize,
    /// Whether the backward pass recomputes the blocks' activations: a third more work, much less memory. See `checkpointed.rs`.
    pub checkpointing: bool,
    /// The precision of the towers. The device must support it: [`Compute::runs_on`].
    pub compute: Compute,
    /// Towers that are trained through low-rank factors only.
    pub lora: Option<Lora>,
    /// Towers that aren't trained.
    pub locked: Locked,
    /// The image tower's learning rate, as a share of the schedule's. Less than 1 preserves classes outside the fine-tuning data.
    pub image_rate: f64,
}

/// Towers that aren't trained (Zhai et al., arXiv 2111.07991), including their projections. The logit scale is always trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Locked {
    /// The image tower.
    pub image: bool,
    /// The text tower.
    pub text: bool,
}

impl Locked {
    /// Whether this parameter isn't trained.
    pub fn holds(self, parameter: &str) -> bool {
        (self.image && parameter.starts_with("image."))
            || (self.text && parameter.starts_with("text."))
    }
}

impl TrainConfig {
    /// The names and numbers of elements of what the optimiser updates: parameters, or their low-rank factors.
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

/// The result of one step. If the loss or the length of the gradients isn't finite, the weights aren't either: training has diverged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Counted from 0.
    pub step: usize,
    /// The loss of the batch, before the step.
    pub loss: f32,
    /// The joint Euclidean length of all gradients, before clipping.
    pub grad_norm: f32,
    /// Natural logarithm of the factor on similarities, before the step.
    pub logit_scale: f32,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// Pairs of an image and a text that the loss counted as wrong. Without any, as in a batch of 1, it's 0 whatever the model.
    pub wrong: usize,
    /// Pairs of an image and another one's text that the loss left out, because the batch has the image or the text more than once.
    pub masked: usize,
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    clip: Clip,
    model: ClipConfig,
    config: TrainConfig,
    optimizer: AdamW,
    adapters: Option<Adapters>,
    loss_scale: Option<LossScale>,
    step: usize,
    device: Device,
}

impl Trainer {
    /// Starts training `clip`, a model of the shape `model` on `device`.
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

    /// The current model, without gradients.
    pub fn model(&self) -> Clip {
        self.clip.valid()
    }

    /// The model's shape.
    pub fn config(&self) -> &ClipConfig {
        &self.model
    }

    /// The number of steps taken.
    pub fn steps(&self) -> usize {
        self.step
    }

    /// The loss of a batch and its gradients by parameter (a factor's: the matrix with `.lora_down` or `.lora_up`), without a step.
    ///
    /// # Errors
    /// When the device fails, or can't bind the loss's tensors.
    pub async fn gradients(&self, batch: &Batch) -> Result<(f32, NamedGradients), ScoreError> {
        self.check_loss(batch)?;
        let (loss, gradients) = self.differentiate(batch, &batch.mask(self.config.loss));
        Ok((read_back(loss).await?[0], gradients))
    }

    /// Takes one step.
    ///
    /// # Errors
    /// When the device fails, or can't bind the loss's tensors, or the factor on similarities that the model came with isn't finite.
    pub async fn step(&mut self, batch: &Batch) -> Result<StepReport, ScoreError> {
        self.check_loss(batch)?;
        let learning_rate = self.config.schedule.at(self.step);
        let logit_scale = self.clip.logit_scale.val().inner();
        let mask = batch.mask(self.config.loss);
        let (loss, mut gradients, norm) = loop {
            let (loss, mut gradients) = self.differentiate(batch, &mask);
            gradients.0.retain(|(name, _)| !self.config.locked.holds(name));
            let norm = gradients.norm(&self.device);
            // Reading back waits for the device, so only f16 does.
            let Some(scale) = &mut self.loss_scale else { break (loss, gradients, norm) };
            let found = read_back(Tensor::cat(vec![loss.clone(), norm.clone()], 0)).await?;
            let (has_loss, has_gradients) = (found[0].is_finite(), found[1].is_finite());
            if has_gradients {
                scale.grow();
            }
            // The loss is computed without the factor: no other one makes it finite.
            if has_gradients || !has_loss || !scale.shrink() {
                break (loss, gradients, norm);
            }
        };
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
            parameters: parameters(&self.model).into_iter(),
        };
        self.clip = self.clip.clone().map(&mut update);
        self.clamp_logit_scale();
        // A single read-back for the whole report: each waits for the device.
        let values = read_back(Tensor::cat(vec![loss, norm, logit_scale], 0)).await?;
        // Only of a model that training begins with: each step clamps it.
        if values[2].is_finite() && !values[2].exp().is_finite() {
            return Err(ScoreError::LogitScale(values[2]));
        }
        let report = StepReport {
            step: self.step,
            loss: values[0],
            grad_norm: values[1],
            logit_scale: values[2],
            learning_rate,
            wrong: batch.wrong_pairs(self.config.loss, &mask),
            masked: mask.count(),
        };
        self.step += 1;
        Ok(report)
    }

    /// Kernels would compute with a part of a tensor that they can't bind, and say nothing.
    fn check_loss(&self, batch: &Batch) -> Result<(), ScoreError> {
        let of = |row: usize| batch.negatives.get(row).map_or(0, Vec::len);
        let negatives: Vec<usize> = (0..batch.texts.len()).map(of).collect();
        let TrainConfig { loss, fused_loss, .. } = self.config;
        Ok(loss.fits_on(&negatives, self.model.embed_dim, fused_loss, &self.device)?)
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
    fn collect(clip: &Clip, model: &ClipConfig, gradients: Gradients) -> Self {
        struct Collector(Gradients, Vec<Option<Tensor<1>>>);
        impl ModuleVisitor for Collector {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.push(param.val().grad_remove(&mut self.0).map(|gradient| {
                    let elements = gradient.shape().num_elements();
                    gradient.reshape([elements])
                }));
            }
        }
        let mut collector = Collector(gradients, Vec::new());
        clip.visit(&mut collector);
        let found = parameters(model).into_iter().zip(collector.1);
        Self(found.filter_map(|((name, _), gradient)| Some((name, gradient?))).collect())
    }

    /// The names, in the model's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// One parameter's gradient, flattened.
    pub fn get(&self, name: &str) -> Option<Tensor<1>> {
        let found = self.0.iter().find(|(other, _)| other == name)?;
        Some(found.1.clone())
    }

    /// Adds the gradients of another part of the batch.
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

    /// Scales all gradients down together, as `torch.nn.utils.clip_grad_norm_` does.
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

/// Sums rows of bounded length: the CPU back end sums millions of elements in no fixed order, so results would differ between runs.
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
    /// The model's parameters, in the order of its modules.
    parameters: std::vec::IntoIter<(String, Vec<usize>)>,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (name, _) = self.parameters.next().expect("the model has its configuration's shape");
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
