//! Photos of different sizes to the input of an image tower, from bytes, by resample.wgsl and preprocess.wgsl.

#[cfg(feature = "gpu")]
mod plan;

use burn::tensor::{Device, Tensor};

use crate::resample::Filter;

/// Maximum number of pixels on the device at a time, and of a photo: 96 MiB, within WebGPU's binding of 128.
pub const MOST_PIXELS: usize = 24 << 20;

/// A rectangle of pixels; `x` and `y` are its left upper corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropBox {
    /// Columns left of the rectangle.
    pub x: u32,
    /// Rows above the rectangle.
    pub y: u32,
    /// Columns in the rectangle.
    pub width: u32,
    /// Rows in the rectangle.
    pub height: u32,
}

impl CropBox {
    /// The whole of an image of `width` x `height`.
    pub fn whole(width: u32, height: u32) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// Whether the rectangle isn't empty and is inside an image of `width` x `height`.
    pub fn fits(&self, width: u32, height: u32) -> bool {
        let inside = |first: u32, count: u32, all| {
            count > 0 && first.checked_add(count).is_some_and(|end| end <= all)
        };
        inside(self.x, self.width, width) && inside(self.y, self.height, height)
    }
}

/// A photo, and the part of it that becomes a part of the result.
#[derive(Debug, Clone, Copy)]
pub struct Photo<'a> {
    /// `[height, width, 3]`
    pub rgb: &'a [u8],
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The part that is resized.
    pub source: CropBox,
    /// Its size after the resize, width and height.
    pub resized: (u32, u32),
    /// The part of the resized photo that is kept.
    pub window: CropBox,
    /// The place of the kept part in the result, left and top; the rest is black.
    pub pad: [u32; 2],
}

/// The settings of a batch.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// The kernel of the resize.
    pub filter: Filter,
    /// Side of the result.
    pub size: u32,
    /// The value of each byte of each channel, `[3, 256]`.
    pub values: &'a [f32],
    /// Whether the result is in f16, which the device must support.
    pub half: bool,
}

/// Preprocessed photos, `[photos, 3, size, size]`; in f32 equal to the host's result bit for bit. `None` where the kernels can't run,
/// and for photos that are larger than [`MOST_PIXELS`] or can't be resized with these settings.
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
