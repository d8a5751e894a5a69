//! The random crop of training: torchvision's `RandomResizedCrop` as a pure function of its random draws.

use super::CropBox;

/// Tries before the central crop is taken (torchvision/transforms/transforms.py, `RandomResizedCrop.get_params`).
const TRIES: usize = 10;

/// Draws crops of random area and proportions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomResizedCrop {
    /// Smallest and largest area of the crop, as parts of the image's area.
    pub scale: (f64, f64),
    /// Smallest and largest width-to-height ratio of the crop, drawn evenly in the logarithm.
    pub ratio: (f64, f64),
}

impl Default for RandomResizedCrop {
    /// open_clip's and CLoVe's: 90 % to 100 % of the area, 3:4 to 4:3 (open_clip/transform.py, `AugmentationCfg`).
    fn default() -> Self {
        Self { scale: (0.9, 1.0), ratio: (3.0 / 4.0, 4.0 / 3.0) }
    }
}

impl RandomResizedCrop {
    /// Draws a crop of an image of `width` x `height`; `uniform` gives draws in 0..1.
    ///
    /// Each try uses two draws (area, ratio), and two more (top, left) if its crop fits. After ten tries the result is the largest
    /// central crop with valid proportions. The crop is inside the image, and empty only if the image is.
    // Draws, area and ratio are f32, as in torch, so torch's own draws give torchvision's crops.
    pub fn sample(&self, width: u32, height: u32, uniform: &mut impl FnMut() -> f64) -> CropBox {
        let area = f64::from(width) * f64::from(height);
        let (scale_from, scale_to) = (self.scale.0 as f32, self.scale.1 as f32);
        let log_from = (self.ratio.0 as f32).ln();
        let log_to = (self.ratio.1 as f32).ln();
        for _ in 0..TRIES {
            let scale = uniform() as f32 * (scale_to - scale_from) + scale_from;
            let log_ratio = uniform() as f32 * (log_to - log_from) + log_from;
            let target = area * f64::from(scale);
            let ratio = f64::from(log_ratio.exp());
            let crop_width = (target * ratio).sqrt().round_ties_even() as u32;
            let crop_height = (target / ratio).sqrt().round_ties_even() as u32;
            if (1..=width).contains(&crop_width) && (1..=height).contains(&crop_height) {
                let y = whole_below(height - crop_height, uniform());
                let x = whole_below(width - crop_width, uniform());
                return CropBox { x, y, width: crop_width, height: crop_height };
            }
        }
        self.central(width, height)
    }

    fn central(&self, width: u32, height: u32) -> CropBox {
        let (narrow, wide) = (self.ratio.0.min(self.ratio.1), self.ratio.0.max(self.ratio.1));
        let ratio = f64::from(width) / f64::from(height);
        let rounded = |length: f64, most: u32| {
            // `min` comes last: an empty image has an empty crop.
            (length.round_ties_even() as u32).max(1).min(most)
        };
        let (crop_width, crop_height) = if ratio < narrow {
            (width, rounded(f64::from(width) / narrow, height))
        } else if ratio > wide {
            (rounded(f64::from(height) * wide, width), height)
        } else {
            (width, height)
        };
        CropBox {
            x: (width - crop_width) / 2,
            y: (height - crop_height) / 2,
            width: crop_width,
            height: crop_height,
        }
    }
}

/// A whole number from 0 to `most` inclusive, uniformly distributed.
fn whole_below(most: u32, draw: f64) -> u32 {
    ((draw * (f64::from(most) + 1.0)) as u32).min(most)
}
