//! Guards the memory of a step, a photo and a set: a step takes as much as estimated, a photo no more than its limit, and a set's samples
//! next to none.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests panic")]

mod set_memory;

use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use clove::model::{ClipConfig, TextBatch};
use clove::preprocess::{DecodeLimits, decode};
use clove::train::{Batch, Compute, Estimate, Lora, TrainConfig, Trainer};
use clove_random::Random;
use clove_tests::bombs::{PROGRESSIVE, SEQUENTIAL, jpeg};
use clove_tests::cpu;
use clove_tests::training::{noise, train};
use image::codecs::gif::GifEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat};
use peak_alloc::PeakAlloc;

/// Every allocation of this program is counted: the CPU back end's tensors are in its own memory.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Who measures is alone.
static MEASURING: Mutex<()> = Mutex::new(());

/// How far an estimate may be from what is measured.
const SHARE: f64 = 0.15;

const LORA: Lora = Lora { rank: 4, alpha: 4.0, image: true, text: true, seed: 0 };

/// Tokens of a text at most.
const CONTEXT: usize = 40;

fn model(image: [usize; 5], text: [usize; 3], is_quick: bool) -> ClipConfig {
    let [size, layers, width, heads, ratio] = image;
    let [text_layers, text_width, text_heads] = text;
    ClipConfig::from_open_clip(&format!(
        r#"{{"model_cfg": {{"embed_dim": 64, "quick_gelu": {is_quick},
            "vision_cfg": {{"image_size": {size}, "layers": {layers}, "width": {width}, "head_width": {},
                "patch_size": 16, "mlp_ratio": {ratio}.0}},
            "text_cfg": {{"context_length": {CONTEXT}, "vocab_size": 1000, "width": {text_width}, "heads": {text_heads},
                "layers": {text_layers}}}
        }}}}"#,
        width / heads
    ))
    .unwrap()
}

/// Pairs of noise, two negatives each.
fn batch(pairs: usize, size: usize) -> Batch {
    let mut random = Random::new(&[2]);
    let mut text = || noise(&mut random, 4, CONTEXT, 1000);
    Batch {
        texts: (0..pairs).map(|_| text()).collect(),
        negatives: (0..pairs).map(|_| vec![text(), text()]).collect(),
        pixels: vec![0.5; pairs * 3 * size * size].into(),
        ..Batch::default()
    }
}

#[test]
fn a_step_takes_what_was_estimated() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let device = cpu();
    let wide = model([96, 4, 256, 4, 4], [3, 192, 4], true);
    let long = model([224, 3, 192, 6, 3], [2, 128, 2], false);
    let deep = model([64, 10, 128, 4, 4], [8, 128, 8], true);
    let with = |change: fn(&mut TrainConfig)| {
        let mut config = TrainConfig::new(4);
        change(&mut config);
        config
    };
    let cases = [
        ("wide", &wide, 16, with(|_| {})),
        ("long", &long, 12, with(|_| {})),
        ("deep", &deep, 48, with(|_| {})),
        ("few pairs of wide", &wide, 2, with(|_| {})),
        ("long in parts", &long, 24, with(|c| c.micro_batch = 6)),
        ("wide in half", &wide, 16, with(|c| c.compute = Compute::F16)),
        ("deep by blocks", &deep, 64, with(|c| c.checkpointing = true)),
        (
            "deep in parts by blocks",
            &deep,
            128,
            with(|c| (c.checkpointing, c.micro_batch) = (true, 32)),
        ),
        ("wide with its image tower locked", &wide, 32, with(|c| c.locked.image = true)),
        ("wide with low-rank factors", &wide, 8, with(|c| c.lora = Some(LORA))),
        (
            "deep by blocks with low-rank factors",
            &deep,
            64,
            with(|c| (c.checkpointing, c.lora) = (true, Some(LORA))),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, model, pairs, config) in cases {
        let batch = batch(pairs, model.image.image_size);
        let lengths: Vec<Vec<usize>> = batch
            .texts
            .iter()
            .zip(&batch.negatives)
            .map(|(text, negatives)| {
                std::iter::once(text)
                    .chain(negatives)
                    .map(|text| TextBatch::tokens(text, &model.text))
                    .collect()
            })
            .collect();
        let estimate = Estimate::new(model, &config, &lengths);
        let before = MEMORY.current_usage();
        let clip = model.init(1, &device);
        let mut trainer = Trainer::new(clip, model.clone(), config, &device);
        // From the second step on the optimiser has its moments.
        train(&mut trainer, &batch, 1);
        MEMORY.reset_peak_usage();
        train(&mut trainer, &batch, 1);
        let measured = (MEMORY.peak_usage() - before) as f64;
        let ratio = estimate.total as f64 / measured;
        println!(
            "{name}: {:.1} MB estimated, {:.1} MB measured: {ratio:.3} ({estimate:?})",
            estimate.total as f64 / 1e6,
            measured / 1e6
        );
        if (ratio - 1.0).abs() > SHARE {
            wrong.push(format!("{name}: {ratio:.3}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What decoders hold whatever the size of the image: windows of compression, and stacks of threads' work.
const OF_DECODERS: u64 = 1 << 20;

/// Most memory while a photo is read, with its own bytes; `None` if it's refused.
fn read(bytes: &[u8], max_bytes: u64) -> Option<u64> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let limits = DecodeLimits { max_bytes, ..DecodeLimits::default() };
    let read = decode(bytes, &limits).is_ok();
    read.then(|| (MEMORY.peak_usage() - before + bytes.len()) as u64)
}

/// The same photo in every format and in every layout that decoders treat in their own way.
fn photos() -> Vec<(&'static str, Vec<u8>)> {
    const SIDE: u32 = 1_000;
    let photo = image::RgbImage::from_fn(SIDE, SIDE, |x, y| {
        [(x / 4) as u8, (y / 4) as u8, (x * y / 997) as u8].into()
    });
    let photo = DynamicImage::ImageRgb8(photo);
    let written = |image: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let alpha = DynamicImage::ImageRgba8(photo.to_rgba8());
    let deep = DynamicImage::ImageRgba16(photo.to_rgba16());
    let grey = DynamicImage::ImageLuma8(photo.to_luma8());
    let mut gif = Vec::new();
    // The fastest.
    let mut encoder = GifEncoder::new_with_speed(&mut gif, 30);
    encoder.encode(photo.as_bytes(), SIDE, SIDE, ExtendedColorType::Rgb8).unwrap();
    drop(encoder);
    let size = (SIDE as u16, SIDE as u16);
    vec![
        ("baseline JPEG", written(&photo, ImageFormat::Jpeg)),
        ("grey JPEG", written(&grey, ImageFormat::Jpeg)),
        ("sequential JPEG of zeros", jpeg(SEQUENTIAL, size, &[0x11; 3])),
        ("progressive JPEG", jpeg(PROGRESSIVE, size, &[0x11; 3])),
        ("progressive JPEG with less colour", jpeg(PROGRESSIVE, size, &[0x22, 0x11, 0x11])),
        ("progressive grey JPEG", jpeg(PROGRESSIVE, size, &[0x11])),
        ("PNG", written(&photo, ImageFormat::Png)),
        ("deep PNG", written(&deep, ImageFormat::Png)),
        ("WebP", written(&photo, ImageFormat::WebP)),
        ("WebP with alpha", written(&alpha, ImageFormat::WebP)),
        ("GIF", gif),
        ("BMP", written(&photo, ImageFormat::Bmp)),
        ("TIFF", written(&photo, ImageFormat::Tiff)),
        ("deep TIFF", written(&deep, ImageFormat::Tiff)),
    ]
}

/// The least limit at which a photo is read is what reading it takes at most, and not much more.
#[test]
fn a_photo_takes_no_more_than_its_limit() {
    const STEPS: u32 = 12;
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wrong = Vec::new();
    for (name, bytes) in photos() {
        let (mut refused, mut enough) = (0, 64 << 20);
        let mut measured = read(&bytes, enough).unwrap_or_else(|| panic!("{name} isn't read"));
        for _ in 0..STEPS {
            let limit = u64::midpoint(refused, enough);
            match read(&bytes, limit) {
                Some(taken) => (enough, measured) = (limit, taken),
                None => refused = limit,
            }
        }
        println!("{name}: {measured} bytes measured, {enough} demanded");
        if measured > enough + OF_DECODERS || enough > 3 * measured + OF_DECODERS {
            wrong.push(format!("{name}: {measured} of {enough}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// 64 MB in 64 kB of a PNG, and a progressive JPEG of 250 bytes.
#[test]
fn what_a_few_bytes_announce_takes_no_memory() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut png = Vec::new();
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_icc_profile(vec![0; 64 << 20]).unwrap();
    encoder.write_image(&[9; 3], 1, 1, ExtendedColorType::Rgb8).unwrap();
    assert!(png.len() < 1 << 20, "{}", png.len());
    let limit = DecodeLimits::default().max_bytes;
    let taken = read(&png, limit).unwrap();
    assert!(taken < 4 << 20, "{taken}");

    let bomb = jpeg(PROGRESSIVE, (11_585, 11_585), &[0x11; 3]);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    assert_eq!(read(&bomb, limit), None);
    let taken = MEMORY.peak_usage() - before;
    assert!(taken < 1 << 20, "{taken}");
}
