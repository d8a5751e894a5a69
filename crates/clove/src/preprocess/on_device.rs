//! Preprocessing by the device's kernels: photos go there as bytes.

use burn::tensor::{Device, Tensor, TensorData};
use clove_kernels::preprocess::{Photo, Settings, preprocess};

use super::{CropBox, Filter, Preprocess, PreprocessError, RgbImage};

impl Preprocess {
    /// [`Self::pixels`] and [`Self::normalise`] of each image, put on a device: `[images, 3, size, size]`.
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

    /// What [`Self::pixels`] and [`Self::normalise`] make of each image, `[images, 3, size, size]`, bit for bit, computed on the
    /// device. `None` where its kernels don't run, and where an image is empty or larger than
    /// [`clove_kernels::preprocess::MOST_PIXELS`]: then the host has to.
    #[must_use]
    pub fn on_device(&self, images: &[&RgbImage], device: &Device) -> Option<Tensor<4>> {
        let photos = images.iter().map(|image| {
            let placed = self.place(image.width(), image.height()).ok()?;
            let (resized_width, resized_height) = placed.resized;
            Some(Photo {
                source: [0, 0, image.width(), image.height()],
                resized: [resized_width, resized_height],
                window: rectangle(placed.window),
                pad: placed.pad,
                ..whole(image)
            })
        });
        self.run(&photos.collect::<Option<Vec<_>>>()?, self.filter, device)
    }

    /// What [`super::crop_resize`] and [`Self::normalise`] make of a crop of each image, bit for bit, computed on the device.
    /// `None` as in [`Self::on_device`], and where a crop is empty or not inside its image.
    #[must_use]
    pub fn crops_on_device(
        &self,
        images: &[(&RgbImage, CropBox)],
        device: &Device,
    ) -> Option<Tensor<4>> {
        let photos: Vec<Photo<'_>> = images
            .iter()
            .map(|(image, crop)| Photo {
                source: rectangle(*crop),
                resized: [self.size; 2],
                window: [0, 0, self.size, self.size],
                ..whole(image)
            })
            .collect();
        self.run(&photos, Filter::Bicubic, device)
    }

    fn run(&self, photos: &[Photo<'_>], filter: Filter, device: &Device) -> Option<Tensor<4>> {
        let values = self.byte_values();
        let settings =
            Settings { filter, size: self.size, values: values.as_flattened(), half: false };
        preprocess(photos, &settings, device)
    }
}

fn rectangle(part: CropBox) -> [u32; 4] {
    [part.x, part.y, part.width, part.height]
}

fn whole(image: &RgbImage) -> Photo<'_> {
    Photo {
        rgb: image.as_raw(),
        width: image.width(),
        height: image.height(),
        source: [0; 4],
        resized: [0; 2],
        window: [0; 4],
        pad: [0; 2],
    }
}
