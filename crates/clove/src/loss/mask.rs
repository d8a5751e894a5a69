//! Candidates that a loss leaves out.

use std::borrow::Cow;
use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};

use super::ABSENT;

/// The candidates that a loss leaves out, for each image: texts that are true of it besides its own caption.
///
/// A batch can have an image or a caption more than once, and a hard negative of one caption can be another image's caption. Such a
/// text isn't wrong, so it's no negative of the image, nor the image one of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    images: usize,
    /// Words of an image's row, of 32 candidates each.
    words: usize,
    /// A row for each image; empty until a candidate is left out.
    bits: Vec<u32>,
    count: usize,
}

impl Mask {
    /// Leaves nothing out. The candidates are the images' own texts and then the negatives.
    pub fn new(images: usize, candidates: usize) -> Self {
        Self { images, words: candidates.div_ceil(32), bits: Vec::new(), count: 0 }
    }

    /// Leaves a candidate out for an image, unless it's the image's own text.
    ///
    /// # Panics
    /// If there is no such image or candidate.
    pub fn leave_out(&mut self, image: usize, candidate: usize) {
        assert!(image < self.images && candidate < 32 * self.words, "a pair of the batch");
        if image == candidate {
            return;
        }
        if self.bits.is_empty() {
            self.bits = vec![0; self.images * self.words];
        }
        let word = &mut self.bits[image * self.words + candidate / 32];
        let before = *word;
        *word |= 1 << (candidate % 32);
        self.count += usize::from(*word != before);
    }

    /// Whether a candidate is left out for an image.
    pub fn leaves_out(&self, image: usize, candidate: usize) -> bool {
        let word = self.bits.get(image * self.words + candidate / 32);
        word.is_some_and(|word| (word >> (candidate % 32)) & 1 == 1)
    }

    /// The number of pairs that are left out.
    pub fn count(&self) -> usize {
        self.count
    }

    /// A row of words for each image, in which bit `c % 32` of word `c / 32` is that of candidate `c`; empty if nothing is left out.
    pub fn bits(&self) -> &[u32] {
        &self.bits
    }

    /// The logits of all images and some candidates, `[images, candidates]`, without those that are left out.
    pub(super) fn apply(&self, logits: Tensor<2>, candidates: Range<usize>) -> Tensor<2> {
        let columns = candidates.len();
        let all = (0..self.images).flat_map(|image| {
            candidates.clone().map(move |candidate| self.leaves_out(image, candidate))
        });
        if self.count == 0 || !all.clone().any(|is_out| is_out) {
            return logits;
        }
        let values: Vec<f32> = all.map(|is_out| if is_out { ABSENT } else { 0.0 }).collect();
        let device = logits.device();
        logits + Tensor::from_data(TensorData::new(values, [self.images, columns]), &device)
    }

    /// The negatives of `images` images that aren't true of their own image, with their owners; `None` if none is left.
    pub(super) fn without<'a>(
        &self,
        negatives: Tensor<2>,
        owners: &'a [usize],
        images: usize,
    ) -> Option<(Tensor<2>, Cow<'a, [usize]>)> {
        let is_wrong = |negative: &usize| !self.leaves_out(owners[*negative], images + negative);
        let kept: Vec<usize> = (0..owners.len()).filter(is_wrong).collect();
        if kept.len() == owners.len() {
            return Some((negatives, owners.into()));
        }
        if kept.is_empty() {
            return None;
        }
        let rows: Vec<i32> = kept.iter().map(|&negative| negative as i32).collect();
        let rows = Tensor::<1, Int>::from_ints(&rows[..], &negatives.device());
        let owners = kept.iter().map(|&negative| owners[negative]).collect();
        Some((negatives.select(0, rows), Cow::Owned(owners)))
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn pairs_are_left_out_once_and_an_images_own_text_never() {
        let mut mask = Mask::new(3, 40);
        assert!(mask.bits().is_empty());
        for (image, candidate) in [(0, 2), (2, 39), (0, 2), (1, 1)] {
            mask.leave_out(image, candidate);
        }
        assert_eq!((mask.count(), mask.bits()), (2, &[4, 0, 0, 0, 0, 1 << 7][..]));
        assert!(mask.leaves_out(2, 39) && !mask.leaves_out(1, 1) && !mask.leaves_out(2, 38));
        assert!(!Mask::default().leaves_out(1, 1));
    }
}
