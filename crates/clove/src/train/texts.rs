//! Embedding texts of mixed length in one pass of the tower, or in two where that's less work.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::model::{Clip, TextBatch, TextConfig};
use crate::tokenizer::Encoding;

/// Embeds `texts`, `[texts, embed]` in their order. A batch is as long as its longest text, so a few long captions make all the
/// others as dear as they are; the long ones go through the tower by themselves where that saves enough.
pub(super) fn embed(
    clip: &Clip,
    texts: &[Encoding],
    config: &TextConfig,
    device: &Device,
) -> Tensor<2> {
    let lengths: Vec<usize> = texts
        .iter()
        .map(|text| TextBatch::tokens(text, config))
        .collect();
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&text| lengths[text]);
    let sorted: Vec<usize> = order.iter().map(|&text| lengths[text]).collect();
    let Some(short) = worthwhile_split(&sorted) else {
        return clip.embed_texts(TextBatch::new(texts, config, device));
    };
    let parts = [&order[..short], &order[short..]].map(|part| {
        let part: Vec<Encoding> = part.iter().map(|&text| texts[text].clone()).collect();
        clip.embed_texts(TextBatch::new(&part, config, device))
    });
    let mut places = vec![0_i32; texts.len()];
    for (row, &text) in order.iter().enumerate() {
        places[text] = i32::try_from(row).expect("a batch has far fewer than 2^31 texts");
    }
    let places = TensorData::new(places, [texts.len()]);
    Tensor::cat(parts.to_vec(), 0).select(0, Tensor::<1, Int>::from_data(places, device))
}

/// How many of the texts, in order of length, make the first of two batches; none where one batch is about as good.
fn worthwhile_split(sorted: &[usize]) -> Option<usize> {
    /// The share of the tokens that must be saved: two smaller batches keep a device less busy than one.
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
