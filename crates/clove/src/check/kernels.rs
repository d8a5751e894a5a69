//! The project's own kernels, compared with plain code on the host. Each is `None` where its kernel doesn't run.

use burn::tensor::{Device, Int, Tensor, TensorData};
use clove_kernels::{Focus, Gradients};

use super::host::{self, Numbers, Pairs};
use super::{ROUNDING, Sample, tensor};
use crate::device::read_back;
use crate::patch::Difference;
use crate::preprocess::{Filter, Preprocess, Resize, RgbImage};
use crate::score::ScoreError;

/// Pairs and negatives: neither a block nor a multiple of one.
const PAIRS: usize = 37;
const NEGATIVES: usize = 52;
const WIDTH: usize = 72;

/// Tolerance of gradients by numbers up to one, through logits up to twenty: exponentials multiply their rounding errors.
const OF_GRADIENTS: f32 = 5.0 * ROUNDING;

/// Bytes and halves are added exactly, and the sum is rounded: together with the product or after it.
pub async fn patch(device: &Device) -> Result<Option<Sample>, ScoreError> {
    const COUNT: usize = 4_099;
    const ALPHA: f32 = 0.3;
    let mut numbers = Numbers::new(11);
    let base = numbers.uniform(COUNT, 1.0);
    let bytes: Vec<i8> = numbers.whole(COUNT, 127).iter().map(|value| *value as i8).collect();
    let halves = Difference::f16(&numbers.uniform(COUNT, 0.1)).expect("they are small");
    // Two roundings of numbers up to 1.2.
    let mut sample = Sample { got: Vec::new(), expected: Vec::new(), allowed: 3.0e-7 };
    for difference in [halves, Difference::i8(&bytes, 0.001)] {
        let words: Vec<i32> = difference.words.iter().map(|word| word.cast_signed()).collect();
        let count = words.len();
        let words = Tensor::<1, Int>::from_data(TensorData::new(words, [count]), device);
        let base_there = tensor(&base, [COUNT], device);
        let Some(patched) = clove_kernels::patch(base_there, words, difference.packing, ALPHA)
        else {
            return Ok(None);
        };
        sample.got.extend(read_back(patched).await?);
        let exact = difference.values().into_iter().zip(&base);
        sample.expected.extend(
            exact.map(|(delta, base)| {
                (f64::from(ALPHA) * f64::from(delta) + f64::from(*base)) as f32
            }),
        );
    }
    Ok(Some(sample))
}

/// Photos that shrink, grow, are padded, and shrink more in height than in width: byte for byte.
pub async fn preprocess(device: &Device) -> Result<Option<Sample>, ScoreError> {
    let mut numbers = Numbers::new(12);
    let photos = [(90, 61), (23, 131), (1, 1), (40, 300)].map(|(width, height)| {
        let bytes = numbers.whole(width as usize * height as usize * 3, 127);
        let bytes = bytes.iter().map(|value| (value + 127.0) as u8).collect();
        RgbImage::from_raw(width, height, bytes).expect("as many bytes as there are")
    });
    let preprocess =
        Preprocess::clip(48)?.with_resize(Resize::ShortestEdge(45), Filter::Bicubic)?;
    let all: Vec<&RgbImage> = photos.iter().collect();
    let Some(values) = preprocess.on_device(&all, device) else {
        return Ok(None);
    };
    let mut expected = Vec::new();
    for photo in &photos {
        expected.extend(preprocess.normalise(&preprocess.pixels(photo)?));
    }
    Ok(Some(Sample { got: read_back(values).await?, expected, allowed: 0.0 }))
}

fn pairs() -> Pairs {
    Pairs::new(&mut Numbers::new(13), PAIRS, NEGATIVES, WIDTH)
}

fn tensors(pairs: &Pairs, device: &Device) -> (Tensor<2>, Tensor<2>, Tensor<1>) {
    (
        tensor(&pairs.images, [PAIRS, WIDTH], device),
        tensor(&pairs.candidates, [PAIRS + NEGATIVES, WIDTH], device),
        tensor(&[pairs.logit_scale], [1], device),
    )
}

/// InfoNCE with hard negatives and all its gradients.
pub async fn contrastive(device: &Device) -> Result<Option<Sample>, ScoreError> {
    let pairs = pairs();
    let (images, candidates, scale) = tensors(&pairs, device);
    let gradients = clove_kernels::contrastive_gradients(images, candidates, scale, &[]);
    sample(gradients, &pairs.contrastive()).await
}

/// FSC's loss and all its gradients.
pub async fn own_negatives(device: &Device) -> Result<Option<Sample>, ScoreError> {
    let pairs = pairs();
    let (images, candidates, scale) = tensors(&pairs, device);
    // Some captions have none, some several.
    let owners: Vec<usize> = (0..NEGATIVES).map(|negative| negative * negative % PAIRS).collect();
    let focus = Focus { gamma: 2, smoothing: 0.02 };
    let gradients =
        clove_kernels::own_negatives_gradients(images, candidates, scale, &owners, focus);
    sample(gradients, &pairs.own_negatives(&owners, focus)).await
}

async fn sample(
    gradients: Option<Gradients>,
    expected: &host::Gradients,
) -> Result<Option<Sample>, ScoreError> {
    let Some(gradients) = gradients else {
        return Ok(None);
    };
    let mut got = read_back(gradients.loss).await?;
    got.extend(read_back(gradients.by_logit_scale).await?);
    got.extend(read_back(gradients.by_images).await?);
    got.extend(read_back(gradients.by_candidates).await?);
    Ok(Some(Sample { got, expected: expected.all().collect(), allowed: OF_GRADIENTS }))
}
