//! Weights between two models, one of them stored as its packed difference from the other.

use burn::tensor::{Int, Tensor};

/// The packing of a difference into 32-bit words, the first element in the lowest bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Packing {
    /// Two f16.
    F16,
    /// Four signed bytes, in units of `step`.
    I8 {
        /// The value of one unit.
        step: f32,
    },
}

/// `base + alpha * delta` by patch.wgsl, `[count]`, without gradient; `delta` is packed in words. `None` where it can't run.
///
/// # Panics
/// If there are too few words.
pub fn patch(
    base: Tensor<1>,
    delta: Tensor<1, Int>,
    packing: Packing,
    alpha: f32,
) -> Option<Tensor<1>> {
    let [count] = base.dims();
    let per_word = match packing {
        Packing::F16 => 2,
        Packing::I8 { .. } => 4,
    };
    assert!(delta.dims()[0] >= count.div_ceil(per_word), "a word for each {per_word} weights");
    #[cfg(feature = "gpu")]
    {
        use crate::ops::Kernels as _;
        use burn::backend::Dispatch;
        use burn::tensor::DType;

        if count == 0 || base.dtype() != DType::F32 || !crate::run_on(&base.device()) {
            return None;
        }
        let (step, bytes) = match packing {
            Packing::F16 => (0.0, false),
            Packing::I8 { step } => (step, true),
        };
        let patched =
            Dispatch::clove_patch(base.into_dispatch(), delta.into_dispatch(), alpha, step, bytes);
        Some(Tensor::from_dispatch(patched))
    }
    #[cfg(not(feature = "gpu"))]
    {
        let _ = (base, delta, packing, alpha);
        None
    }
}
