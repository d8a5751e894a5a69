//! From the bytes of a photo to the input of the image tower: decode, resize and crop exactly as Pillow does, and normalise.
//!
//! [`decode()`] turns a file's bytes into RGB; [`Preprocess`] is a model's evaluation preprocessing, read from its configuration files;
//! [`RandomResizedCrop`] and [`crop_resize`] are for training. Functions are stateless, for use by threads.

mod budget;
mod config;
mod decode;
mod jpeg;
mod on_device;
mod png;
mod random_crop;
mod resize;

pub use clove_kernels::preprocess::CropBox;
pub use clove_kernels::resample::Filter;
pub use config::ConfigError;
pub use decode::{DecodeError, DecodeLimits, decode};
pub use image::RgbImage;
pub use random_crop::RandomResizedCrop;

use resize::resize_window;

/// Channel means of CLIP's training images, on a scale of 0 to 1 (openai/CLIP clip/clip.py, `_transform`).
pub const OPENAI_MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
/// Channel standard deviations of CLIP's training images, on a scale of 0 to 1 (openai/CLIP clip/clip.py, `_transform`).
#[allow(
    clippy::excessive_precision,
    reason = "the published decimals, so that a search finds them"
)]
pub const OPENAI_STD: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];

/// Maximum side of an image tower's input, in pixels: eight times the largest published CLIP's (560), to bound the memory.
pub const MAX_SIZE: u32 = 4608;

/// The resize before the centre crop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// None.
    Keep,
    /// To this length of the shorter side; the longer one keeps the proportions, rounded down.
    ShortestEdge(u32),
    /// To this length of both sides.
    Square(u32),
}

/// The rounding of the centre crop where the pixels to cut off, or to add, are odd in number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CenterCrop {
    /// transformers' CLIPImageProcessor: one more is cut off after the crop, and added before it.
    HuggingFace,
    /// torchvision's CenterCrop, which open_clip uses: half of those to cut off is rounded to the even number, and one more is added after
    /// the crop.
    Torchvision,
}

/// Why an image can't be preprocessed.
#[derive(Debug, thiserror::Error)]
pub enum PreprocessError {
    /// The image's width or height is 0.
    #[error("the image is empty ({0} x {1} pixels)")]
    EmptyImage(u32, u32),
    /// The crop is empty or not inside the image of this width and height.
    #[error("the crop {0:?} is empty or not inside the image ({1} x {2} pixels)")]
    CropOutside(CropBox, u32, u32),
    /// A side of the output is out of range.
    #[error("an image size of {0} pixels is out of range; use 1 to {MAX_SIZE}")]
    Size(u32),
    /// The name and value of a mean, standard deviation or rescale factor without finite pixel values, and the valid range.
    #[error("{0} is {1}; {2}")]
    Normalisation(&'static str, f64, &'static str),
}

/// A model's evaluation preprocessing: resize, centre crop to a square, scale to 0..1, normalise by channel.
///
/// From the same decoded RGB, pixels equal byte for byte those of open_clip (Pillow 13 and torchvision's `Resize` and `CenterCrop`), or
/// those of the Pillow back end of transformers' CLIPImageProcessor: see [`CenterCrop`]. (Its default back end resizes with torchvision's
/// own kernels, not Pillow's.)
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    size: u32,
    resize: Resize,
    filter: Filter,
    center_crop: CenterCrop,
    mean: [f32; 3],
    std: [f32; 3],
    rescale: f64,
}

impl Preprocess {
    /// CLIP's own preprocessing for images of `size` x `size`: bicubic, OpenAI's mean and standard deviation, Hugging Face's centre crop.
    ///
    /// # Errors
    /// `size` outside 1 to [`MAX_SIZE`].
    pub fn clip(size: u32) -> Result<Self, PreprocessError> {
        if !(1..=MAX_SIZE).contains(&size) {
            return Err(PreprocessError::Size(size));
        }
        Ok(Self {
            size,
            resize: Resize::ShortestEdge(size),
            filter: Filter::Bicubic,
            center_crop: CenterCrop::HuggingFace,
            mean: OPENAI_MEAN,
            std: OPENAI_STD,
            rescale: 1.0 / 255.0,
        })
    }

    /// The same with another resize before the crop.
    ///
    /// # Errors
    /// A side outside 1 to [`MAX_SIZE`].
    pub fn with_resize(self, resize: Resize, filter: Filter) -> Result<Self, PreprocessError> {
        match resize {
            Resize::ShortestEdge(size) | Resize::Square(size)
                if !(1..=MAX_SIZE).contains(&size) =>
            {
                Err(PreprocessError::Size(size))
            }
            _ => Ok(Self { resize, filter, ..self }),
        }
    }

    /// The same with another centre crop.
    #[must_use]
    pub fn with_center_crop(self, center_crop: CenterCrop) -> Self {
        Self { center_crop, ..self }
    }

    /// The same with another normalisation: a value of 0 to 255 becomes `(value * rescale - mean) / std`.
    ///
    /// # Errors
    /// A number that is not finite, or a standard deviation that is not above 0.
    pub fn with_normalisation(
        self,
        mean: [f32; 3],
        std: [f32; 3],
        rescale: f64,
    ) -> Result<Self, PreprocessError> {
        let bad = |name, value: f32, wanted| {
            Err(PreprocessError::Normalisation(name, f64::from(value), wanted))
        };
        if let Some(&value) = mean.iter().find(|value| !value.is_finite()) {
            return bad("mean", value, "use finite numbers");
        }
        let usable = |value: f32| value.is_normal() && value > 0.0;
        if let Some(&value) = std.iter().find(|&&value| !usable(value)) {
            return bad("standard deviation", value, "use finite numbers above 0");
        }
        if !(rescale as f32).is_normal() {
            return bad("rescale factor", rescale as f32, "use 1/255 or the like");
        }
        Ok(Self { mean, std, rescale, ..self })
    }

    /// Side of the square output, in pixels.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The resize before the crop.
    pub fn resize(&self) -> Resize {
        self.resize
    }

    /// The kernel of the resize.
    pub fn filter(&self) -> Filter {
        self.filter
    }

    /// The rounding of the centre crop.
    pub fn center_crop(&self) -> CenterCrop {
        self.center_crop
    }

    /// Channel means, red, green, blue.
    pub fn mean(&self) -> [f32; 3] {
        self.mean
    }

    /// Channel standard deviations, red, green, blue.
    pub fn std(&self) -> [f32; 3] {
        self.std
    }

    /// Factor on the pixels' 0 to 255, before the mean is subtracted.
    pub fn rescale(&self) -> f64 {
        self.rescale
    }

    /// Resizes and crops an image to `[size, size]`, padding shorter sides with black.
    ///
    /// # Errors
    /// An image without pixels.
    pub fn pixels(&self, image: &RgbImage) -> Result<RgbImage, PreprocessError> {
        let (width, height) = image.dimensions();
        let placed = self.place(width, height)?;
        let empty = PreprocessError::EmptyImage(width, height);
        let source = CropBox::whole(width, height);
        let kept = resize_window(image, source, self.filter, placed.resized, placed.window);
        let kept = kept.ok_or(empty)?;
        if (kept.width(), kept.height()) == (self.size, self.size) {
            return Ok(kept);
        }
        let mut padded = RgbImage::new(self.size, self.size);
        let [left, top] = placed.pad.map(i64::from);
        image::imageops::replace(&mut padded, &kept, left, top);
        Ok(padded)
    }

    /// The resize and crop of an image of this size.
    fn place(&self, width: u32, height: u32) -> Result<Placed, PreprocessError> {
        let resized = match self.resize {
            _ if width == 0 || height == 0 => {
                return Err(PreprocessError::EmptyImage(width, height));
            }
            Resize::Keep => (width, height),
            Resize::ShortestEdge(edge) => shortest_edge(width, height, edge),
            Resize::Square(side) => (side, side),
        };
        let across = Margin::new(resized.0, self.size, self.center_crop);
        let down = Margin::new(resized.1, self.size, self.center_crop);
        Ok(Placed {
            resized,
            window: CropBox { x: across.skip, y: down.skip, width: across.kept, height: down.kept },
            pad: [across.pad, down.pad],
        })
    }

    /// The input of the image tower, `[3, height, width]`, from an 8-bit image `[height, width, 3]`.
    ///
    /// For a rescale factor of 1/255 it equals PyTorch's `ToTensor` and `Normalize` bit for bit.
    pub fn normalise(&self, image: &RgbImage) -> Vec<f32> {
        let pixels = image.as_raw().as_chunks::<3>().0;
        let mut values = Vec::with_capacity(pixels.len() * 3);
        for (channel, table) in self.byte_values().iter().enumerate() {
            values.extend(pixels.iter().map(|pixel| table[usize::from(pixel[channel])]));
        }
        values
    }

    /// The value of each byte of each channel.
    // Multiplying by 1/255 in f64 rounds to the same f32 as ToTensor's division in f32; multiplying in f32 would not.
    fn byte_values(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            std::array::from_fn(|byte| {
                let scaled = (byte as f64 * self.rescale) as f32;
                (scaled - self.mean[channel]) / self.std[channel]
            })
        })
    }
}

/// The resize and crop of an image.
struct Placed {
    /// Width and height after the resize.
    resized: (u32, u32),
    /// The part of the resized image that is kept.
    window: CropBox,
    /// Black columns and rows before it.
    pad: [u32; 2],
}

/// Resizes the part `crop` of an image to `size` x `size`, bicubic as in open_clip's training (transform.py, `image_transform`).
///
/// # Errors
/// A crop that is empty or not inside the image; a size outside 1 to [`MAX_SIZE`].
pub fn crop_resize(
    image: &RgbImage,
    crop: CropBox,
    size: u32,
) -> Result<RgbImage, PreprocessError> {
    if !(1..=MAX_SIZE).contains(&size) {
        return Err(PreprocessError::Size(size));
    }
    let whole = CropBox::whole(size, size);
    let (width, height) = image.dimensions();
    resize_window(image, crop, Filter::Bicubic, (size, size), whole)
        .ok_or(PreprocessError::CropOutside(crop, width, height))
}

/// Width and height after a resize of the shorter side to `edge`.
// Source: torchvision/transforms/functional.py (`_compute_resized_output_size`): division of floats, then truncation.
// transformers/image_transforms.py (`get_resize_output_image_size`) computes the same.
fn shortest_edge(width: u32, height: u32, edge: u32) -> (u32, u32) {
    let (short, long) = (width.min(height), width.max(height));
    let scaled = (f64::from(edge) * f64::from(long) / f64::from(short)) as u32;
    if width <= height { (edge, scaled) } else { (scaled, edge) }
}

/// A centre crop along one axis.
struct Margin {
    /// Pixels cut off before the crop.
    skip: u32,
    /// Pixels of the image in the crop.
    kept: u32,
    /// Black pixels before the image.
    pad: u32,
}

impl Margin {
    // Sources: transformers (src/transformers/image_transforms.py, `center_crop`): `(length - crop) // 2` is cut off, and
    // `ceil((crop - length) / 2)` added; torchvision/transforms/functional.py (`center_crop`): `int(round((length - crop) / 2.0))`, where
    // Python's `round` takes halves to even, and `(crop - length) // 2`.
    fn new(length: u32, crop: u32, rounding: CenterCrop) -> Self {
        let (surplus, lack) = (length.saturating_sub(crop), crop.saturating_sub(length));
        let (skip, pad) = match rounding {
            CenterCrop::HuggingFace => (surplus / 2, lack.div_ceil(2)),
            CenterCrop::Torchvision => {
                ((f64::from(surplus) / 2.0).round_ties_even() as u32, lack / 2)
            }
        };
        Self { skip, kept: length.min(crop), pad }
    }
}
