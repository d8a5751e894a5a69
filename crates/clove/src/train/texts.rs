//! Divides texts of mixed length into one pass of the tower, or into two where that is less work.

use burn::tensor::{Device, Int, Tensor};

use crate::model::{TextBatch, TextConfig};
use crate::tokenizer::Encoding;

/// Texts that go through the tower together, and the place of each among all.
pub(super) struct Pass {
    pub places: Vec<usize>,
    pub batch: TextBatch,
}

/// Divides `texts` into passes, each as long as its longest text: a few long captions get a pass of their own where that saves enough.
pub(super) fn passes(texts: &[Encoding], config: &TextConfig, device: &Device) -> Vec<Pass> {
    let lengths: Vec<usize> = texts.iter().map(|text| TextBatch::tokens(text, config)).collect();
    let pass = |places: Vec<usize>| {
        let part: Vec<Encoding> = places.iter().map(|&text| texts[text].clone()).collect();
        let batch = TextBatch::new(&part, config, device);
        Pass { places, batch }
    };
    groups(&lengths).into_iter().map(pass).collect()
}

/// Sorts rows by their places.
pub(super) fn in_order<const D: usize>(rows: Tensor<D>, places: &[usize]) -> Tensor<D> {
    if places.is_sorted() {
        return rows;
    }
    let mut order = vec![0; places.len()];
    for (row, &place) in places.iter().enumerate() {
        order[place] = row;
    }
    let device = rows.device();
    rows.select(0, index(&order, &device))
}

/// Row numbers on a device.
pub(super) fn index(places: &[usize], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i32> = places
        .iter()
        .map(|&place| i32::try_from(place).expect("a batch has far fewer than 2^31 texts"))
        .collect();
    Tensor::from_ints(&places[..], device)
}

/// The numbers of texts and of tokens in each pass, for texts with these [`TextBatch::tokens`].
pub(super) fn shapes(lengths: &[usize]) -> Vec<(usize, usize)> {
    groups(lengths)
        .iter()
        .filter_map(|group| Some((group.len(), group.iter().map(|&text| lengths[text]).max()?)))
        .collect()
}

/// The texts of each pass, by their lengths.
fn groups(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&text| lengths[text]);
    let sorted: Vec<usize> = order.iter().map(|&text| lengths[text]).collect();
    match worthwhile_split(&sorted) {
        None => vec![(0..lengths.len()).collect()],
        Some(short) => vec![order[..short].to_vec(), order[short..].to_vec()],
    }
}

/// The number of texts, in order of length, in the first of two batches; `None` where one batch is about as good.
fn worthwhile_split(sorted: &[usize]) -> Option<usize> {
    /// The minimum share of saved tokens: two smaller batches use a device less well than one.
    const WORTHWHILE: f64 = 0.15;
    let count = sorted.len();
    let longest = *sorted.last()?;
    let saved = |short: usize| short * (longest - sorted[short - 1]);
    let best = (1..count).max_by_key(|&short| saved(short))?;
    (saved(best) as f64 >= WORTHWHILE * (count * longest) as f64).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::worthwhile_split;

    #[test]
    fn a_few_long_texts_go_by_themselves() {
        assert_eq!(worthwhile_split(&[16, 16, 16, 32]), Some(3));
        assert_eq!(worthwhile_split(&[8, 8, 16, 16, 32, 32]), Some(4));
    }

    #[test]
    fn texts_of_like_length_stay_together() {
        assert_eq!(worthwhile_split(&[]), None);
        assert_eq!(worthwhile_split(&[24]), None);
        assert_eq!(worthwhile_split(&[24, 24, 24]), None);
        assert_eq!(worthwhile_split(&[8, 32, 32, 32, 32, 32, 32, 32]), None);
    }
}
