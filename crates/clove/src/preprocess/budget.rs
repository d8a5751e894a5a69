//! What reading one image file may take: checked before memory is taken.

use image::ImageFormat;

use super::{DecodeError, DecodeLimits};

/// The limits of a file that is being read.
pub(super) struct Budget<'a> {
    pub(super) format: ImageFormat,
    /// Bytes of the file.
    pub(super) file: u64,
    limits: &'a DecodeLimits,
}

impl<'a> Budget<'a> {
    pub(super) fn new(format: ImageFormat, bytes: &[u8], limits: &'a DecodeLimits) -> Self {
        Self { format, file: bytes.len() as u64, limits }
    }

    /// Checks an image's width and height.
    pub(super) fn size(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        if width == 0 || height == 0 {
            return Err(DecodeError::NoPixels(self.format, width, height));
        }
        let limit = if width.max(height) > self.limits.max_side {
            format!("{} pixels a side", self.limits.max_side)
        } else if u64::from(width) * u64::from(height) > self.limits.max_pixels {
            format!("{} pixels", self.limits.max_pixels)
        } else {
            return Ok(());
        };
        Err(DecodeError::TooLarge(self.format, width, height, limit))
    }

    /// Most bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limits.max_bytes
    }

    /// What's left beside the file's own bytes.
    pub(super) fn left(&self) -> u64 {
        self.limits.max_bytes.saturating_sub(self.file)
    }

    /// Whether so many bytes fit beside the file's own.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        self.file.saturating_add(bytes) <= self.limits.max_bytes
    }

    /// Checks that an image of this size takes no more memory than allowed: `bytes` beside the file's own.
    pub(super) fn check(&self, (width, height): (u32, u32), bytes: u64) -> Result<(), DecodeError> {
        if self.fits(bytes) {
            return Ok(());
        }
        let (needed, limit) = (self.file.saturating_add(bytes), self.limits.max_bytes);
        let limit = format!("{limit} bytes of memory, and reading it takes {needed}");
        Err(DecodeError::TooLarge(self.format, width, height, limit))
    }
}
