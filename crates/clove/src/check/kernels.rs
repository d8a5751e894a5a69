//! The project's own kernels, against plain code of the host.

use burn::tensor::{Device, Int, Tensor, TensorData};
use clove_kernels::{Focus, Gradients};

use super::host::{self, Numbers, Pairs};
use super::{ROUNDING, Verdict, compare, tensor, wrong};
use crate::device::read_back;
use crate::patch::Difference;
use crate::preprocess::{Filter, Preprocess, Resize, RgbImage};
use crate::score::ScoreError;

/// Pairs and negatives: neither a block nor a multiple of one.
const PAIRS: usize = 37;
const NEGATIVES: usize = 52;
const WIDTH: usize = 72;

/// Gradients of numbers up to one, through logits up to twenty, whose roundings exponentials multiply.
const OF_GRADIENTS: f32 = 5.0 * ROUNDING;

fn nowhere() -> Verdict {
    Verdict::Skipped {
        reason: "the project's kernels don't run here; tensor operations take their place"
            .to_owned(),
    }
}

/// Bytes and halves are added exactly, and the sum rounded: together with the product or after it.
pub async fn patch(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
    const COUNT: usize = 4_099;
    const ALPHA: f32 = 0.3;
    let mut numbers = Numbers::new(11);
    let base = numbers.uniform(COUNT, 1.0);
    let bytes: Vec<i8> = numbers.whole(COUNT, 127).iter().map(|value| *value as i8).collect();
    let halves = Difference::f16(&numbers.uniform(COUNT, 0.1)).expect("they are small");
    let mut worst = 0.0_f32;
    for (which, difference) in [halves, Difference::i8(&bytes, 0.001)].into_iter().enumerate() {
        let words: Vec<i32> = difference.words.iter().map(|word| word.cast_signed()).collect();
        let count = words.len();
        let words = Tensor::<1, Int>::from_data(TensorData::new(words, [count]), device);
        let base_there = tensor(&base, [COUNT], device);
        let Some(patched) = clove_kernels::patch(base_there, words, difference.packing, ALPHA)
        else {
            return Ok(nowhere());
        };
        let mut got = read_back(patched).await?;
        wrong(&mut got, wronged && which == 0);
        let exact = difference.values().into_iter().zip(&base);
        let exact =
            exact.map(|(delta, base)| f64::from(ALPHA) * f64::from(delta) + f64::from(*base));
        // Two roundings of numbers up to 1.2.
        let verdict = compare(&got, exact.map(|value| value as f32), 3.0e-7);
        match verdict {
            Verdict::Right { difference, .. } => worst = worst.max(difference),
            _ => return Ok(verdict),
        }
    }
    Ok(Verdict::Right { difference: worst, allowed: 3.0e-7 })
}

/// Photos that shrink, grow, are padded, and whose height shrinks more than their width: byte for byte.
pub async fn preprocess(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
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
        return Ok(nowhere());
    };
    let mut got = read_back(values).await?;
    wrong(&mut got, wronged);
    let mut expected = Vec::new();
    for photo in &photos {
        expected.extend(preprocess.normalise(&preprocess.pixels(photo)?));
    }
    Ok(compare(&got, expected, 0.0))
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
pub async fn contrastive(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
    let pairs = pairs();
    let (images, candidates, scale) = tensors(&pairs, device);
    let Some(gradients) = clove_kernels::contrastive_gradients(images, candidates, scale) else {
        return Ok(nowhere());
    };
    against(gradients, &pairs.contrastive(), wronged).await
}

/// FSC's choice and all its gradients.
pub async fn own_negatives(device: &Device, wronged: bool) -> Result<Verdict, ScoreError> {
    let pairs = pairs();
    let (images, candidates, scale) = tensors(&pairs, device);
    // Some captions have none, some several.
    let owners: Vec<usize> = (0..NEGATIVES).map(|negative| negative * negative % PAIRS).collect();
    let focus = Focus { gamma: 2, smoothing: 0.02 };
    let gradients =
        clove_kernels::own_negatives_gradients(images, candidates, scale, &owners, focus);
    let Some(gradients) = gradients else {
        return Ok(nowhere());
    };
    against(gradients, &pairs.own_negatives(&owners, focus), wronged).await
}

async fn against(
    got: Gradients,
    expected: &host::Gradients,
    wronged: bool,
) -> Result<Verdict, ScoreError> {
    let mut all = read_back(got.loss).await?;
    all.extend(read_back(got.by_logit_scale).await?);
    all.extend(read_back(got.by_images).await?);
    all.extend(read_back(got.by_candidates).await?);
    wrong(&mut all, wronged);
    Ok(compare(&all, expected.all(), OF_GRADIENTS))
}
