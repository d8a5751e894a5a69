//! The data of a step, and which of its texts are true of which of its images.

use std::collections::{BTreeMap, BTreeSet};

use super::Pixels;
use crate::loss::{Loss, Mask};
use crate::tokenizer::Encoding;

/// The data of one step.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The images.
    pub pixels: Pixels,
    /// A caption for each image.
    pub texts: Vec<Encoding>,
    /// The hard negatives of each caption; empty if no caption has any.
    pub negatives: Vec<Vec<Encoding>>,
    /// A number for each image that only the same image has, whatever its crop; empty if all are different.
    pub images: Vec<u64>,
}

impl Batch {
    /// The negatives that a loss uses, each after the number of its caption.
    pub(super) fn wrong(&self, loss: Loss) -> impl Iterator<Item = (usize, &Encoding)> {
        let lists = if loss == Loss::Clip { &[][..] } else { &self.negatives[..] };
        let lists = lists.iter().enumerate();
        lists.flat_map(|(caption, list)| list.iter().map(move |text| (caption, text)))
    }

    /// The pairs that a loss leaves out: a text is true of an image if the batch has both as a pair anywhere, by token ids.
    pub(super) fn mask(&self, loss: Loss) -> Mask {
        let pairs = self.texts.len();
        let has_all = self.images.len() == pairs;
        assert!(has_all || self.images.is_empty(), "a number for each image, or none");
        let image = |row: usize| if has_all { self.images[row] } else { row as u64 };
        // Where each image is, and the images of each caption.
        let mut rows = BTreeMap::<u64, Vec<usize>>::new();
        let mut images = BTreeMap::<&[u32], BTreeSet<u64>>::new();
        for (row, text) in self.texts.iter().enumerate() {
            rows.entry(image(row)).or_default().push(row);
            images.entry(&text.ids).or_default().insert(image(row));
        }
        let texts = self.texts.iter().map(|text| (None, text));
        let negatives = self.wrong(loss).map(|(owner, text)| (Some(owner), text));
        let candidates: Vec<_> = texts.chain(negatives).collect();
        let mut mask = Mask::new(pairs, candidates.len());
        for (candidate, (owner, text)) in candidates.into_iter().enumerate() {
            let images = images.get(&text.ids[..]).into_iter().flatten();
            for &row in images.flat_map(|image| &rows[image]) {
                // FSC compares a negative with its own image only.
                let is_compared = match (loss, owner) {
                    (Loss::Fsc(_), Some(owner)) => owner == row,
                    _ => true,
                };
                if is_compared {
                    mask.leave_out(row, candidate);
                }
            }
        }
        mask
    }

    /// The number of pairs of an image and a text that a loss counts as wrong.
    pub(super) fn wrong_pairs(&self, loss: Loss, mask: &Mask) -> usize {
        let (pairs, negatives) = (self.texts.len(), self.wrong(loss).count());
        let of_negatives = match loss {
            Loss::Clip | Loss::Clove => pairs * negatives,
            Loss::Fsc(_) => negatives,
        };
        pairs * pairs.saturating_sub(1) + of_negatives - mask.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::OwnNegatives;

    fn text(word: u32) -> Encoding {
        Encoding { ids: vec![90, word, 91, 0], end: 2, dropped: 0 }
    }

    /// Pairs given as an image, a caption and its negatives.
    fn of(pairs: &[(u64, u32, &[u32])]) -> Batch {
        Batch {
            texts: pairs.iter().map(|pair| text(pair.1)).collect(),
            negatives: pairs
                .iter()
                .map(|pair| pair.2.iter().copied().map(text).collect())
                .collect(),
            images: pairs.iter().map(|pair| pair.0).collect(),
            ..Batch::default()
        }
    }

    fn left_out(batch: &Batch, loss: Loss) -> Vec<(usize, usize)> {
        let mask = batch.mask(loss);
        let all = batch.texts.len() + batch.wrong(loss).count();
        let pairs = (0..batch.texts.len()).flat_map(|row| (0..all).map(move |text| (row, text)));
        let pairs: Vec<_> = pairs.filter(|(row, text)| mask.leaves_out(*row, *text)).collect();
        assert_eq!(pairs.len(), mask.count());
        pairs
    }

    #[test]
    fn nothing_is_left_out_where_all_is_different() {
        let mut batch = of(&[(7, 1, &[4]), (8, 2, &[4, 5]), (9, 3, &[])]);
        for loss in [Loss::Clip, Loss::Clove, Loss::Fsc(OwnNegatives::default())] {
            let mask = batch.mask(loss);
            assert!(mask.bits().is_empty() && mask.count() == 0);
        }
        batch.images.clear();
        assert!(left_out(&batch, Loss::Clove).is_empty());
    }

    #[test]
    fn the_same_image_and_the_same_caption_are_no_negatives() {
        // Rows 0 and 2 have the same image, 1 and 3 the same caption.
        let batch = of(&[(7, 1, &[]), (8, 2, &[]), (7, 3, &[]), (9, 2, &[])]);
        let wanted = [(0, 2), (1, 3), (2, 0), (3, 1)];
        assert_eq!(left_out(&batch, Loss::Clip), wanted);
        // The numbers alone say which images are the same.
        let unknown = Batch { images: Vec::new(), ..batch.clone() };
        assert_eq!(left_out(&unknown, Loss::Clip), [(1, 3), (3, 1)]);
        // Image 7 has captions 1 and 3, and image 9 caption 3.
        let chained = [(7, 1, &[][..]), (7, 3, &[]), (9, 3, &[])];
        let batch = of(&chained);
        assert_eq!(left_out(&batch, Loss::Clip), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 1)]);
    }

    #[test]
    fn a_negative_that_is_anothers_caption_is_none_of_that_image() {
        // Negatives 3 and 4 are of row 0, 5 of row 1; 4 is row 1's caption, 5 its own.
        let batch = of(&[(7, 1, &[5, 2]), (8, 2, &[2]), (9, 3, &[])]);
        assert_eq!(left_out(&batch, Loss::Clove), [(1, 4), (1, 5)]);
        assert_eq!(left_out(&batch, Loss::Fsc(OwnNegatives::default())), [(1, 5)]);
        assert!(left_out(&batch, Loss::Clip).is_empty());
        let wrong = |loss| batch.wrong_pairs(loss, &batch.mask(loss));
        assert_eq!(wrong(Loss::Clip), 6);
        assert_eq!(wrong(Loss::Clove), 6 + 9 - 2);
        assert_eq!(wrong(Loss::Fsc(OwnNegatives::default())), 6 + 3 - 1);
        // A pair alone has nothing to be told from.
        let one = of(&[(7, 1, &[])]);
        assert_eq!(one.wrong_pairs(Loss::Clove, &one.mask(Loss::Clove)), 0);
    }
}
