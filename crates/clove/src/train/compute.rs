//! Half precision: the towers in 16 bits; the trained weights, the losses and the optimiser in 32.
//!
//! Each step makes 16-bit copies of the weights, and applies their gradients to the 32-bit ones. Layer norms are computed in 32 bits.
//! Small gradients would underflow in f16, so the loss is multiplied by a factor and the gradients are divided by it. If they overflow,
//! the factor is halved and the batch is repeated; torch.amp.GradScaler skips it. bf16 has f32's range and needs no factor. Source:
//! Micikevicius et al., Mixed Precision Training, arXiv 1710.03740.

use burn::module::{Module as _, ModuleMapper, Param};
use burn::tensor::{DType, Device, FloatDType, Tensor};

use crate::model::Clip;

/// The precision of the towers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compute {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with a mantissa of 10.
    F16,
    /// 16 bits with a mantissa of 7 and f32's range.
    Bf16,
}

impl Compute {
    /// Whether a device supports it.
    pub fn runs_on(self, device: &Device) -> bool {
        device.supports_dtype(DType::from(self.dtype()))
    }

    /// Bytes of a number.
    pub fn bytes(self) -> u64 {
        DType::from(self.dtype()).size() as u64
    }

    pub(super) fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::Bf16 => FloatDType::BF16,
        }
    }

    /// The model in this precision, with its own leaves for autodiff; the logit scale stays in 32 bits.
    pub(super) fn copy(self, clip: &Clip) -> Clip {
        struct Cast(FloatDType);
        impl ModuleMapper for Cast {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let dtype = self.0;
                param.map(|values| Tensor::from_inner(values.inner().cast(dtype)).require_grad())
            }
        }
        if self == Self::F32 {
            return clip.clone();
        }
        let copy = clip.clone().map(&mut Cast(self.dtype()));
        Clip { logit_scale: clip.logit_scale.clone(), ..copy }
    }
}

/// The factor on the loss, and the steps since its last change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    /// A power of two, at least 1.
    pub factor: f32,
    /// Steps since its last change.
    pub steps: u32,
}

impl LossScale {
    /// The factor at the start of a run.
    pub fn new(compute: Compute) -> Self {
        let factor = match compute {
            Compute::F16 => 65_536.0,
            Compute::F32 | Compute::Bf16 => 1.0,
        };
        Self { factor, steps: 0 }
    }

    /// Halves the factor after an overflow; false if it can't be smaller.
    pub(super) fn shrink(&mut self) -> bool {
        if self.factor <= 1.0 {
            return false;
        }
        *self = Self { factor: self.factor / 2.0, steps: 0 };
        true
    }

    /// Counts a step without overflow.
    pub(super) fn grow(&mut self, compute: Compute) {
        /// PyTorch's.
        const INTERVAL: u32 = 2_000;
        /// Far below f32's largest number.
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
