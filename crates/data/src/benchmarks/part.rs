//! A part of a photo, as Pillow crops it. Called by the evaluation of ARO's regions of Visual Genome.

use clove::preprocess::{DecodeLimits, RgbImage};

/// A rectangle of pixels, which may reach beyond its photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First column; columns left of the photo are negative.
    pub left: i64,
    /// First row.
    pub top: i64,
    /// One past the last column.
    pub right: i64,
    /// One past the last row.
    pub bottom: i64,
}

/// Why a part can't be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// No pixel.
    #[error("the box from {},{} to {},{} has no pixel", .0.left, .0.top, .0.right, .0.bottom)]
    Empty(Part),
    /// More pixels than a photo may have.
    #[error("the box from {},{} to {},{} has more pixels than a photo may have", .0.left, .0.top, .0.right, .0.bottom)]
    TooLarge(Part),
}

impl Part {
    /// The part of a box given by its corner and its size, which may have fractions: Pillow rounds each edge, halves to the even number
    /// (python-pillow/Pillow: src/PIL/Image.py, `Image._crop`).
    pub fn of_box(x: f64, y: f64, width: f64, height: f64) -> Self {
        let edge = |at: f64| at.round_ties_even() as i64;
        Self { left: edge(x), top: edge(y), right: edge(x + width), bottom: edge(y + height) }
    }

    /// Columns and rows; negative where an edge lies before its opposite.
    pub fn size(&self) -> (i64, i64) {
        (self.right.saturating_sub(self.left), self.bottom.saturating_sub(self.top))
    }

    /// Cuts the part out of a photo. What lies beyond the photo is black.
    ///
    /// # Errors
    /// [`PartError`] for a part without a pixel, which Pillow can't resize either, and for one larger than any photo.
    pub fn cut(&self, image: &RgbImage) -> Result<RgbImage, PartError> {
        let limits = DecodeLimits::default();
        let (width, height) = self.size();
        if width <= 0 || height <= 0 {
            return Err(PartError::Empty(*self));
        }
        let side =
            |length: i64| u32::try_from(length).ok().filter(|length| *length <= limits.max_side);
        let (Some(width), Some(height)) = (side(width), side(height)) else {
            return Err(PartError::TooLarge(*self));
        };
        if u64::from(width) * u64::from(height) > limits.max_pixels {
            return Err(PartError::TooLarge(*self));
        }
        let mut cut = RgbImage::new(width, height);
        let inside = |from: i64, to: i64, all: u32| from.max(0)..to.min(i64::from(all));
        for y in inside(self.top, self.bottom, image.height()) {
            for x in inside(self.left, self.right, image.width()) {
                let pixel = *image.get_pixel(x as u32, y as u32);
                cut.put_pixel((x - self.left) as u32, (y - self.top) as u32, pixel);
            }
        }
        Ok(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Cut = (u32, u32, Vec<u8>);

    /// Columns and rows of a cut of a photo of 3 x 2 pixels, each of which has its number from 1, with 0 for black: Pillow 13.0.0's
    /// `Image.new("RGB", (3, 2))`, `putpixel((x, y), (1 + x + 3 * y,) * 3)` and `crop((x, y, x + w, y + h))`.
    #[test]
    fn parts_are_those_of_pillow() {
        let photo = RgbImage::from_fn(3, 2, |x, y| [(1 + x + 3 * y) as u8; 3].into());
        let cut = |x: f64, y: f64, width: f64, height: f64| -> Result<Cut, PartError> {
            let found = Part::of_box(x, y, width, height).cut(&photo)?;
            let pixels = found.pixels().map(|pixel| pixel.0[0]).collect::<Vec<u8>>();
            Ok((found.width(), found.height(), pixels))
        };
        for ([x, y, width, height], expected) in [
            ([0.0, 0.0, 3.0, 2.0], (3, 2, vec![1, 2, 3, 4, 5, 6])),
            ([1.0, 1.0, 2.0, 1.0], (2, 1, vec![5, 6])),
            ([-1.0, 0.0, 3.0, 2.0], (3, 2, vec![0, 1, 2, 0, 4, 5])),
            ([2.0, 1.0, 2.0, 2.0], (2, 2, vec![6, 0, 0, 0])),
            ([10.0, 10.0, 2.0, 1.0], (2, 1, vec![0, 0])),
            ([-5.0, -5.0, 2.0, 1.0], (2, 1, vec![0, 0])),
            // Halves to the even number: columns from 0.5 to 2.5.
            ([0.5, 0.0, 2.0, 1.0], (2, 1, vec![1, 2])),
            ([0.5, 0.4, 1.2, 1.2], (2, 2, vec![1, 2, 4, 5])),
        ] {
            assert_eq!(cut(x, y, width, height), Ok(expected), "{x},{y} {width}x{height}");
        }
        for [x, y, width, height] in
            [[0.0, 0.0, 0.0, 2.0], [1.0, 0.0, -1.0, 2.0], [1.5, 0.0, 1.0, 1.0]]
        {
            let error = cut(x, y, width, height).unwrap_err();
            assert!(matches!(error, PartError::Empty(_)), "{x},{y} {width}x{height}");
        }
        for (width, height) in [(1e6, 1.0), (6e4, 6e4), (1e300, 1.0)] {
            let error = cut(0.0, 0.0, width, height).unwrap_err();
            assert!(matches!(error, PartError::TooLarge(_)), "{width}x{height}");
        }
    }
}
