//! Preprocessing by the device's kernels, from photos as bytes.

use burn::tensor::{Device, Tensor, TensorData};
use clove_kernels::preprocess::{Photo, Settings, preprocess};

use super::{CropBox, Filter, Placed, Preprocess, PreprocessError, RgbImage};

impl Preprocess {
    /// [`Self::pixels`] and [`Self::normalise`] of each image, on a device: `[images, 3, size, size]`.
    ///
    /// # Errors
    /// An image without pixels.
    pub fn on_host(
        &self,
        images: &[&RgbImage],
        device: &Device,
    ) -> Result<Tensor<4>, PreprocessError> {
        let side = self.size as usize;
        let mut values = Vec::with_capacity(images.len() * 3 * side * side);
        for image in images {
            values.extend(self.normalise(&self.pixels(image)?));
        }
        let data = TensorData::new(values, [images.len(), 3, side, side]);
        Ok(Tensor::from_data(data, device))
    }

    /// [`Self::on_host`], bit for bit, computed on the device. `None` where its kernels don't run, and if an image is empty or larger
    /// than [`clove_kernels::preprocess::MOST_PIXELS`].
    pub fn on_device(&self, images: &[&RgbImage], device: &Device) -> Option<Tensor<4>> {
        let photos = images.iter().map(|image| {
            let (width, height) = image.dimensions();
            let Placed { resized, window, pad } = self.place(width, height).ok()?;
            Some(photo(image, CropBox::whole(width, height), resized, window, pad))
        });
        self.run(&photos.collect::<Option<Vec<_>>>()?, self.filter, device)
    }

    /// [`super::crop_resize`] and [`Self::normalise`] of crops, bit for bit; `None` as in [`Self::on_device`], and for invalid crops.
    pub fn crops_on_device(
        &self,
        images: &[(&RgbImage, CropBox)],
        device: &Device,
    ) -> Option<Tensor<4>> {
        let (size, window) = ((self.size, self.size), CropBox::whole(self.size, self.size));
        let photos = images.iter().map(|(image, crop)| photo(image, *crop, size, window, [0; 2]));
        self.run(&photos.collect::<Vec<_>>(), Filter::Bicubic, device)
    }

    fn run(&self, photos: &[Photo<'_>], filter: Filter, device: &Device) -> Option<Tensor<4>> {
        let values = self.byte_values();
        let settings =
            Settings { filter, size: self.size, values: values.as_flattened(), half: false };
        preprocess(photos, &settings, device)
    }
}

fn photo(
    image: &RgbImage,
    source: CropBox,
    resized: (u32, u32),
    window: CropBox,
    pad: [u32; 2],
) -> Photo<'_> {
    let (width, height) = image.dimensions();
    Photo { rgb: image.as_raw(), width, height, source, resized, window, pad }
}
