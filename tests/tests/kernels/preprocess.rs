//! Guards the kernel of preprocessing: its numbers equal the host's bit for bit.

use burn::tensor::{DType, Tensor};
use clove::preprocess::{CropBox, Filter, Preprocess, Resize, RgbImage, crop_resize};
use clove_kernels::preprocess::{Photo, Settings};
use clove_kernels::resample::{FixedPoint, PRECISION_BITS};
use clove_random::Random;
use clove_tests::read;

use super::gpus;

/// An image of noise over a gradient, which exercises filters and clamps.
fn image(random: &mut Random, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let noise = random.below(256) as u32;
        image::Rgb([noise as u8, (x * 255 / width) as u8, ((y * 7 + noise) % 256) as u8])
    })
}

/// What the host gives for all images.
fn on_host(preprocess: &Preprocess, images: &[RgbImage]) -> Vec<f32> {
    let pixels = images.iter().map(|image| preprocess.pixels(image).unwrap());
    pixels.flat_map(|pixels| preprocess.normalise(&pixels)).collect()
}

fn assert_equal(what: &str, got: Tensor<4>, expected: &[f32]) {
    let got = read(got);
    assert_eq!(got.len(), expected.len(), "{what}");
    let different = got.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
    assert!(different.is_none(), "{what}: number {different:?}");
}

#[test]
fn preprocessing_equals_the_hosts_bit_for_bit_at_200_sizes() {
    for (name, device) in gpus() {
        let mut random = Random::new(&[7]);
        let preprocess = Preprocess::clip(224).unwrap();
        let mut done = 0;
        while done < 200 {
            // Most are small, so that the test is quick; one in twenty is up to 4,000 pixels wide or high.
            let most = if done % 20 == 0 { 4_000 } else { 700 };
            let mut side = || 1 + random.below(most) as u32;
            let sizes = [[side(), side()], [side(), 1 + side() % 900], [1 + side() % 900, side()]];
            let images: Vec<RgbImage> = sizes
                .iter()
                .filter(|[width, height]| width.max(height) / width.min(height) < 40)
                .map(|[width, height]| image(&mut random, *width, *height))
                .collect();
            if images.is_empty() {
                continue;
            }
            let expected = on_host(&preprocess, &images);
            let batch: Vec<&RgbImage> = images.iter().collect();
            let got = preprocess.on_device(&batch, &device).unwrap();
            let what: Vec<_> = images.iter().map(RgbImage::dimensions).collect();
            assert_equal(&format!("{name}: {what:?}"), got, &expected);
            done += images.len();
        }
    }
}

#[test]
fn in_f16_the_same_numbers_come_rounded() {
    for (name, device) in gpus() {
        let mut random = Random::new(&[9]);
        let photo = image(&mut random, 90, 61);
        let values: Vec<f32> = (0..3 * 256).map(|at| at as f32 / 100.0 - 3.0).collect();
        let settings = |half| Settings { filter: Filter::Bicubic, size: 33, values: &values, half };
        let photo = Photo {
            rgb: photo.as_raw(),
            width: 90,
            height: 61,
            source: CropBox::whole(90, 61),
            resized: (48, 33),
            window: CropBox { x: 7, y: 0, width: 33, height: 33 },
            pad: [0, 0],
        };
        let run = |half| clove_kernels::preprocess(&[photo], &settings(half), &device);
        let full = read(run(false).unwrap());
        let Some(halves) = run(true) else {
            assert!(!device.supports_dtype(DType::F16), "{name}");
            println!("{name}: no f16");
            continue;
        };
        assert_eq!(halves.dtype(), DType::F16);
        let halves = read(halves.cast(DType::F32));
        for (half, full) in halves.into_iter().zip(full) {
            assert_eq!(half, half::f16::from_f32(full).to_f32(), "{name}");
        }
    }
}

#[test]
fn every_resize_crop_and_padding_equals_the_hosts() {
    for (name, device) in gpus() {
        let mut random = Random::new(&[8]);
        let images = [(33, 500), (500, 33), (1, 1), (64, 64), (17, 90)]
            .map(|(width, height)| image(&mut random, width, height));
        let batch: Vec<&RgbImage> = images.iter().collect();
        for resize in
            [Resize::Keep, Resize::Square(70), Resize::ShortestEdge(40), Resize::ShortestEdge(80)]
        {
            for filter in [Filter::Bilinear, Filter::Bicubic] {
                let preprocess = Preprocess::clip(64).unwrap().with_resize(resize, filter).unwrap();
                let expected = on_host(&preprocess, &images);
                let got = preprocess.on_device(&batch, &device).unwrap();
                assert_equal(&format!("{name}: {resize:?} {filter:?}"), got, &expected);
            }
        }
        let preprocess = Preprocess::clip(64).unwrap();
        let crop = CropBox { x: 3, y: 40, width: 21, height: 11 };
        let tall = &images[0];
        let whole = CropBox::whole(500, 33);
        let got = preprocess.crops_on_device(&[(tall, crop), (&images[1], whole)], &device);
        let mut expected = preprocess.normalise(&crop_resize(tall, crop, 64).unwrap());
        expected.extend(preprocess.normalise(&crop_resize(&images[1], whole, 64).unwrap()));
        assert_equal(&format!("{name}: crops"), got.unwrap(), &expected);
        let outside = CropBox { x: 30, ..crop };
        assert!(preprocess.crops_on_device(&[(tall, outside)], &device).is_none());
        assert!(preprocess.on_device(&[&RgbImage::new(0, 0)], &device).is_none());
    }
}

#[test]
fn coefficients_of_a_window_are_those_of_the_whole_and_an_equal_size_copies() {
    let new = |input, output, wanted| FixedPoint::new(Filter::Bicubic, input, output, wanted);
    let (all, part) = (new(333, 224, 0..224).unwrap(), new(333, 224, 50..60).unwrap());
    assert!(part.iter().eq(all.iter().skip(50).take(10)));
    let (last, weights) = part.iter().last().unwrap();
    assert_eq!(part.source_range(), part.starts[0] as usize..last + weights.len());
    for (index, (start, weights)) in new(9, 9, 0..9).unwrap().iter().enumerate() {
        for (offset, weight) in weights.iter().enumerate() {
            let whole = i32::from(start + offset == index) << PRECISION_BITS;
            assert_eq!(*weight, whole, "output {index}, sample {}", start + offset);
        }
    }
}
