//! Numeric kernels of CLoVe: the WGSL of `shaders/` as burn operations, and Pillow's resampling coefficients.
//!
//! Every operation returns `None` where its kernel can't run: on the CPU, and on GPUs without burn's WGSL compiler (burn's `vulkan` and
//! `metal` features compile SPIR-V and MSL). There the caller uses the tensor form, the kernel's reference.
//!
//! - [`patch`]: weights between two models;
//! - [`contrastive`] and [`own_negatives`]: the losses, with gradients;
//! - [`preprocess`]: photos to the input of an image tower;
//! - [`resample`]: the coefficients of its resize, for host and device code;
//! - [`Shader`]: the WGSL, and its workgroups.
//!
//! ```
//! use clove_kernels::resample::{Filter, FixedPoint, PRECISION_BITS};
//!
//! // Pillow's bicubic resize of a row of 640 pixels to 224.
//! let row = FixedPoint::new(Filter::Bicubic, 640, 224, 0..224).expect("a valid range");
//! let (first, weights) = row.iter().nth(100).expect("224 outputs");
//! assert!(first < 640 && (weights.iter().sum::<i32>() - (1 << PRECISION_BITS)).abs() < 9);
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
pub fn run_on(device: &Device) -> bool {
    #[cfg(feature = "gpu")]
    {
        // Source: cubecl-wgpu-0.11.3 src/runtime.rs, `WgpuRuntime::name`: `wgpu<wgsl>`, `wgpu<spirv>`, `wgpu<msl>`.
        launch::compiler(device) == Some("wgpu<wgsl>")
    }
    #[cfg(not(feature = "gpu"))]
    {
        let _ = device;
        false
    }
}

/// The largest tensor that kernels can compute with on a device, in bytes; without a limit on the CPU.
pub fn largest_buffer(device: &Device) -> u64 {
    #[cfg(feature = "gpu")]
    let largest = launch::largest_buffer(device);
    #[cfg(not(feature = "gpu"))]
    let largest = {
        let _ = device;
        None
    };
    largest.unwrap_or(u64::MAX)
}
