//! Numeric kernels of CLoVe: the WGSL of `shaders/` as burn operations, and Pillow's resampling coefficients. The crate `clove`
//! calls them; nothing here reads files or knows of models.
//!
//! Every operation gives `None` where its kernel can't run: on the CPU, and on a GPU whose shaders another compiler makes (burn's
//! `vulkan` and `metal` features choose SPIR-V and MSL, and then refuse WGSL). There the caller computes its tensor form, which is
//! the reference that the kernel is held to.
//!
//! - [`patch`]: weights between two models;
//! - [`contrastive`] and [`own_negatives`]: the losses, with gradients;
//! - [`preprocess`]: photos to what an image tower reads;
//! - [`resample`]: the coefficients of its resize, for host and device code alike;
//! - [`Shader`]: the WGSL itself, and what it asks of a device.
//!
//! ```
//! use clove_kernels::resample::{Coefficients, Filter};
//!
//! // Pillow's bicubic resize of a row of 640 pixels to 224.
//! let row = Coefficients::new(Filter::Bicubic, 640, None, 224, 0..224).expect("a sound range");
//! let (first, weights) = row.get(100).expect("224 outputs");
//! assert!(first < 640 && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
//! ```

#[cfg(feature = "gpu")]
mod launch;
mod losses;
#[cfg(feature = "gpu")]
mod ops;
mod patch;
pub mod preprocess;
pub mod resample;
mod shader;

use burn::tensor::Device;

pub use losses::{
    Focus, Gradients, contrastive, contrastive_gradients, own_negatives, own_negatives_gradients,
};
#[cfg(feature = "gpu")]
pub use ops::Kernels;
pub use patch::{Packing, patch};
pub use preprocess::preprocess;
pub use shader::Shader;

/// Whether the kernels run on a device.
#[must_use]
pub fn run_on(device: &Device) -> bool {
    #[cfg(feature = "gpu")]
    {
        launch::compiler(device).is_some_and(takes_wgsl)
    }
    #[cfg(not(feature = "gpu"))]
    {
        let _ = device;
        false
    }
}

/// Whether a device whose runtime burn calls `name` compiles WGSL.
// Source: cubecl-wgpu-0.11.3 src/runtime.rs, `WgpuRuntime::name`: `wgpu<wgsl>`, `wgpu<spirv>`, `wgpu<msl>`.
#[cfg(feature = "gpu")]
fn takes_wgsl(name: &str) -> bool {
    name == "wgpu<wgsl>"
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::takes_wgsl;

    #[test]
    fn only_the_compiler_of_wgsl_is_given_wgsl() {
        assert!(takes_wgsl("wgpu<wgsl>"));
        for other in ["wgpu<spirv>", "wgpu<msl>", "cuda", "hip", "cpu", ""] {
            assert!(!takes_wgsl(other), "{other}");
        }
    }
}
