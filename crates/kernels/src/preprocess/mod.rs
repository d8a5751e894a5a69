//! Photos of different sizes to what an image tower reads, by resample.wgsl and preprocess.wgsl: bytes go to the device, and the
//! device resizes, crops and normalises them.

#[cfg(feature = "gpu")]
mod plan;

use burn::tensor::{Device, Tensor};

use crate::resample::Filter;

/// Pixels that go to the device at a time: 96 MiB, within the 128 that WebGPU binds. A larger photo doesn't go.
pub const MOST_PIXELS: usize = 24 << 20;

/// An upright rectangle: its left upper corner, width and height.
pub type Rectangle = [u32; 4];

/// A photo, and which part of it becomes which part of the result.
#[derive(Debug, Clone, Copy)]
pub struct Photo<'a> {
    /// `[height, width, 3]`
    pub rgb: &'a [u8],
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The part that is resized.
    pub source: Rectangle,
    /// What it's resized to, width and height.
    pub resized: [u32; 2],
    /// The part of that which is kept.
    pub window: Rectangle,
    /// Where the kept part lies in the result, left and top; around it is black.
    pub pad: [u32; 2],
}

/// What is done to the pixels.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// The resize's kernel.
    pub filter: Filter,
    /// Side of the result.
    pub size: u32,
    /// The value of each byte of each channel, `[3, 256]`.
    pub values: &'a [f32],
    /// Whether the result is in f16, which the device must offer.
    pub half: bool,
}

/// `[photos, 3, size, size]`; in f32 it equals, bit for bit, what the host makes of the same photos with the same coefficients.
/// `None` where the kernels can't run, where a photo is larger than [`MOST_PIXELS`], and where one can't be resized so.
#[must_use]
pub fn preprocess(
    photos: &[Photo<'_>],
    settings: &Settings<'_>,
    device: &Device,
) -> Option<Tensor<4>> {
    #[cfg(feature = "gpu")]
    {
        plan::preprocess(photos, settings, device)
    }
    #[cfg(not(feature = "gpu"))]
    {
        let _ = (photos, settings, device);
        None
    }
}
