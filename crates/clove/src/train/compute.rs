//! Half precision: the towers in 16 bits; the trained weights, the losses and the optimiser in 32.
//!
//! Each step makes 16-bit copies of the weights, and applies their gradients to the 32-bit ones. Layer norms and softmaxes are computed in
//! 32 bits. Small gradients would underflow in f16, so the loss is multiplied by a factor and the gradients are divided by it. If they
//! overflow, the factor is halved and the batch is repeated; torch.amp.GradScaler skips it. bf16 has f32's range and needs no factor.
//! Source: Micikevicius et al., Mixed Precision Training, arXiv 1710.03740.

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

/// The factor on the loss in f16, and the steps since its last change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    /// A power of two. Below 1 where gradients overflow without a factor, as torch.amp.GradScaler's.
    pub factor: f32,
    /// Steps since its last change.
    pub steps: u32,
}

impl LossScale {
    /// PyTorch's steps from one attempt to double the factor to the next.
    const INTERVAL: u32 = 2_000;
    /// Far below f32's largest number.
    const LARGEST: f32 = 16_777_216.0;
    /// Gradients that overflow f16 even so are above 2^30.
    const SMALLEST: f32 = 1.0 / 16_384.0;

    /// The factor at the start of a run; `None` for a precision that needs none.
    pub fn new(compute: Compute) -> Option<Self> {
        (compute == Compute::F16).then_some(Self { factor: 65_536.0, steps: 0 })
    }

    /// Whether a step can use it.
    pub(super) fn is_valid(self) -> bool {
        self.factor.is_finite() && self.factor > 0.0
    }

    /// Halves the factor after an overflow; false if it can't be smaller.
    pub(super) fn shrink(&mut self) -> bool {
        if self.factor <= Self::SMALLEST {
            return false;
        }
        *self = Self { factor: self.factor / 2.0, steps: 0 };
        true
    }

    /// Counts a step without overflow.
    pub(super) fn grow(&mut self) {
        self.steps += 1;
        if self.steps >= Self::INTERVAL && self.factor < Self::LARGEST {
            *self = Self { factor: self.factor * 2.0, steps: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Compute, LossScale};

    #[test]
    fn only_f16_has_a_factor() {
        assert_eq!(LossScale::new(Compute::F32), None);
        assert_eq!(LossScale::new(Compute::Bf16), None);
        assert!(LossScale::new(Compute::F16).is_some_and(LossScale::is_valid));
    }

    #[test]
    fn the_factor_falls_below_one_to_an_end_and_grows_again() {
        let mut scale = LossScale { factor: 1.0, steps: 3 };
        assert!(scale.shrink());
        assert_eq!(scale, LossScale { factor: 0.5, steps: 0 });
        let halvings = (0..100).take_while(|_| scale.shrink()).count();
        assert_eq!((halvings, scale.factor), (13, 1.0 / 16_384.0));
        for step in 1..LossScale::INTERVAL {
            scale.grow();
            assert_eq!(scale.steps, step);
        }
        scale.grow();
        assert_eq!(scale, LossScale { factor: 1.0 / 8_192.0, steps: 0 });
        let mut largest = LossScale { factor: LossScale::LARGEST, steps: 5_000 };
        largest.grow();
        assert_eq!(largest, LossScale { factor: LossScale::LARGEST, steps: 5_001 });
    }
}
