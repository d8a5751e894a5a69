//! A batch's images: pixels, or photos that the device crops.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use super::texts::in_order;
use crate::preprocess::{CropBox, Preprocess, PreprocessError, RgbImage, crop_resize};

/// A batch's images.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// Normalised pixels, `[images, 3, size, size]`, row-major.
    Ready(Vec<f32>),
    /// Image by image.
    Pictures(Vec<Picture>, Preprocess),
}

/// An image of a batch.
#[derive(Debug, Clone)]
pub enum Picture {
    /// Normalised pixels, `[3, size, size]`.
    Ready(Vec<f32>),
    /// A photo that the device crops, resizes and normalises where its kernels run, else the host, with the same result.
    Crop(Crop),
}

/// A part of a photo.
#[derive(Debug, Clone)]
pub struct Crop {
    image: RgbImage,
    part: CropBox,
}

impl Crop {
    /// The part `part` of `image`.
    ///
    /// # Errors
    /// If the part is empty or not inside the image.
    pub fn new(image: RgbImage, part: CropBox) -> Result<Self, PreprocessError> {
        let (width, height) = image.dimensions();
        if !part.fits(width, height) {
            return Err(PreprocessError::CropOutside(part, width, height));
        }
        Ok(Self { image, part })
    }

    fn on_host(&self, preprocess: &Preprocess) -> Vec<f32> {
        let size = preprocess.size();
        let cropped = crop_resize(&self.image, self.part, size);
        // The part is inside the image, and the size is valid.
        let cropped = cropped.unwrap_or_else(|_| RgbImage::new(size, size));
        preprocess.normalise(&cropped)
    }
}

impl Default for Pixels {
    /// No images.
    fn default() -> Self {
        Self::Ready(Vec::new())
    }
}

impl From<Vec<f32>> for Pixels {
    fn from(values: Vec<f32>) -> Self {
        Self::Ready(values)
    }
}

impl Pixels {
    /// The pixels of some of the images, `[images, 3, side, side]`.
    pub(super) fn on_device(&self, range: Range<usize>, side: usize, device: &Device) -> Tensor<4> {
        let each = 3 * side * side;
        let put = |values: Vec<f32>| {
            let shape = [values.len() / each, 3, side, side];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        let (pictures, preprocess) = match self {
            Self::Ready(values) => {
                return put(values[range.start * each..range.end * each].to_vec());
            }
            Self::Pictures(pictures, preprocess) => (&pictures[range], preprocess),
        };
        let (mut crops, mut of_crops) = (Vec::new(), Vec::new());
        let (mut ready, mut of_ready) = (Vec::new(), Vec::new());
        for (place, picture) in (0..).zip(pictures) {
            match picture {
                Picture::Crop(crop) => {
                    crops.push((&crop.image, crop.part));
                    of_crops.push(place);
                }
                Picture::Ready(values) => {
                    ready.extend_from_slice(values);
                    of_ready.push(place);
                }
            }
        }
        if crops.is_empty() {
            return put(ready);
        }
        let Some(cropped) = preprocess.crops_on_device(&crops, device) else {
            let all = pictures.iter().flat_map(|picture| match picture {
                Picture::Crop(crop) => crop.on_host(preprocess),
                Picture::Ready(values) => values.clone(),
            });
            return put(all.collect());
        };
        if ready.is_empty() {
            return cropped;
        }
        let places: Vec<usize> = of_crops.into_iter().chain(of_ready).collect();
        in_order(Tensor::cat(vec![cropped, put(ready)], 0), &places)
    }
}
