//! Half precision: the towers in 16 bits, the weights that learn, the losses and the optimiser in 32.
//!
//! Each step makes 16-bit copies of the weights, and takes their gradients for those of the 32-bit ones. Layer norms are computed
//! in 32 bits. Small gradients would vanish in f16, so the loss is multiplied by a factor before going back, and gradients are
//! divided by it after; where they overflow the factor is halved and the same batch goes back again, so no batch is lost. bf16 has
//! f32's range and needs no factor. Source: Micikevicius et al., Mixed Precision Training, arXiv 1710.03740; the factor's course is
//! that of torch.amp.GradScaler, but that it repeats the step.

use burn::module::{Module as _, ModuleMapper, Param};
use burn::tensor::{DType, Device, FloatDType, Tensor};

use crate::model::Clip;

/// What the towers are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compute {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, 10 of them for digits.
    F16,
    /// 16 bits, 7 of them for digits, with f32's range.
    Bf16,
}

impl Compute {
    /// Whether a device computes so.
    #[must_use]
    pub fn runs_on(self, device: &Device) -> bool {
        device.supports_dtype(DType::from(self.dtype()))
    }

    /// Bytes of a number.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    pub(super) fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::Bf16 => FloatDType::BF16,
        }
    }

    /// The model to compute with, with its own leaves for autodiff; the temperature stays as it is.
    pub(super) fn copy(self, clip: &Clip) -> Clip {
        struct Cast {
            dtype: FloatDType,
            path: Vec<String>,
        }
        impl ModuleMapper for Cast {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.path.push(name.to_owned());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.pop();
            }
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                if self.path.first().is_some_and(|name| name == "logit_scale") {
                    return param;
                }
                let dtype = self.dtype;
                param.map(|values| Tensor::from_inner(values.inner().cast(dtype)).require_grad())
            }
        }
        if self == Self::F32 {
            return clip.clone();
        }
        let (dtype, path) = (self.dtype(), Vec::new());
        clip.clone().map(&mut Cast { dtype, path })
    }
}

/// The factor on the loss, and the steps since it changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    /// A power of two, at least 1.
    pub factor: f32,
    /// Steps that it has held.
    pub steps: u32,
}

impl LossScale {
    /// As a run begins.
    #[must_use]
    pub fn new(compute: Compute) -> Self {
        let factor = match compute {
            Compute::F16 => 65_536.0,
            Compute::F32 | Compute::Bf16 => 1.0,
        };
        Self { factor, steps: 0 }
    }

    /// After gradients that aren't finite: whether there's a smaller factor to try.
    pub(super) fn shrink(&mut self) -> bool {
        if self.factor <= 1.0 {
            return false;
        }
        *self = Self { factor: self.factor / 2.0, steps: 0 };
        true
    }

    /// After a step that went well.
    pub(super) fn grow(&mut self, compute: Compute) {
        /// PyTorch's.
        const INTERVAL: u32 = 2_000;
        /// Far below f32's largest number, by which the loss is multiplied.
        const LARGEST: f32 = 16_777_216.0;
        if compute != Compute::F16 {
            return;
        }
        self.steps += 1;
        if self.steps >= INTERVAL && self.factor < LARGEST {
            *self = Self { factor: self.factor * 2.0, steps: 0 };
        }
    }
}
