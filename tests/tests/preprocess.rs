//! Guards decoding and preprocessing: byte equality with Pillow and torchvision, random crops equal to torchvision's,
//! clear errors for bad files. Goldens: tests/golden/make_preprocess.py.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clove::preprocess::{
    CenterCrop, CropBox, DecodeError, DecodeLimits, Filter, Preprocess, RandomResizedCrop, Resize,
    RgbImage, crop_resize, decode,
};
use clove_tests::{
    assert_contains, devices, floats, json, png_header, read, shared, strings, worst,
};
use proptest::prelude::*;
use serde_json::Value;

/// JPEG and lossy WebP decoders round their transforms differently: up to 3 levels between ours and libjpeg-turbo on photos, 4
/// on WebP, so one more is allowed.
const WORST_LOSSY: u8 = 5;
/// The same on average over a photo; 0.112 was the largest of ten measured.
const MEAN_PHOTO: f64 = 0.15;
/// The same after preprocessing, where the crop keeps the busy middle of a photo; 0.139 was the largest measured.
const MEAN_CROPPED: f64 = 0.2;
/// The same on drawn waves, which have no plain areas; 0.38 was the largest measured.
const MEAN_WAVES: f64 = 0.5;
/// Pixel values from the same RGB equal PyTorch's bit for bit; goldens that other software normalised (for example with a
/// product with 1/255 in f32) may differ in the last bit of values up to 4.
const LAST_BIT: f32 = 1e-6;
/// Bad headers must be refused before decoding, which would take a minute.
const QUICK: Duration = Duration::from_secs(1);

fn golden(name: &str) -> PathBuf {
    clove_tests::package().join("golden/preprocess").join(name)
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Type, shape and data of a little-endian, C-ordered .npy file of version 1.
fn npy(path: &Path) -> (String, Vec<usize>, Vec<u8>) {
    let bytes = bytes(path);
    assert!(bytes.starts_with(b"\x93NUMPY\x01"), "{}", path.display());
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8(bytes[10..data].to_vec()).unwrap();
    assert!(header.contains("'fortran_order': False"), "{header}");
    let between = |from: &str, to: &str| {
        let rest = header.split_once(from).unwrap().1;
        rest.split_once(to).unwrap().0.to_owned()
    };
    let shape = between("'shape': (", ")");
    let shape = (shape.split(',').map(str::trim))
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().unwrap())
        .collect();
    (between("'descr': '", "'"), shape, bytes[data..].to_vec())
}

fn npy_image(path: &Path) -> RgbImage {
    let (kind, shape, data) = npy(path);
    assert_eq!((kind.as_str(), shape.len(), shape[2]), ("|u1", 3, 3));
    RgbImage::from_raw(shape[1] as u32, shape[0] as u32, data).unwrap()
}

fn npy_floats(path: &Path) -> Vec<f32> {
    let (kind, _, data) = npy(path);
    assert_eq!(kind, "<f4");
    bytemuck::pod_collect_to_vec(&data)
}

fn decode_file(path: &Path) -> RgbImage {
    decode(&bytes(path), &DecodeLimits::default())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases(kind: &str) -> Vec<Value> {
    match &json(&golden("cases.json"))[kind] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    }
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{key}: {case}"))
}

fn numbers(case: &Value, key: &str) -> Vec<f64> {
    let list = case[key].as_array().unwrap();
    list.iter().map(|value| value.as_f64().unwrap()).collect()
}

/// Worst and mean difference of two images of one size.
fn difference(a: &RgbImage, b: &RgbImage) -> (u8, f64) {
    assert_eq!(a.dimensions(), b.dimensions());
    let differences = a.iter().zip(b.iter()).map(|(&a, &b)| a.abs_diff(b));
    let worst = differences.clone().max().unwrap();
    let sum: f64 = differences.map(f64::from).sum();
    (worst, sum / a.as_raw().len() as f64)
}

/// CLIP's preprocessing with the crop of the goldens.
fn torchvision(size: u32) -> Preprocess {
    Preprocess::clip(size).unwrap().with_center_crop(CenterCrop::Torchvision)
}

#[test]
fn every_layout_decodes_as_pillow_converts_it() {
    let cases = cases("decode");
    assert!(cases.len() > 40);
    for case in &cases {
        let name = text(case, "input");
        let expected = npy_image(&golden(text(case, "rgb")));
        let (worst, mean) = difference(&decode_file(&golden(name)), &expected);
        if case["exact"] == true {
            assert_eq!(worst, 0, "{name}");
        } else {
            assert!(worst <= WORST_LOSSY && mean <= MEAN_WAVES, "{name}: {worst}, {mean}");
        }
    }
}

#[test]
fn pixels_equal_pillow_and_torchvision_byte_for_byte() {
    let cases = cases("pixels");
    assert!(cases.len() > 15);
    let mut normalised = 0;
    for case in &cases {
        let size = case["size"].as_u64().unwrap() as u32;
        let resize = match text(case, "resize") {
            "shortest" => Resize::ShortestEdge(size),
            "squash" => Resize::Square(size),
            "keep" => Resize::Keep,
            other => panic!("{other}"),
        };
        let filter = if case["bilinear"] == true { Filter::Bilinear } else { Filter::Bicubic };
        let preprocess = torchvision(size).with_resize(resize, filter).unwrap();
        let image = decode_file(&golden(text(case, "input")));
        let pixels = preprocess.pixels(&image).unwrap();
        let expected = npy_image(&golden(text(case, "pixels")));
        assert_eq!(difference(&pixels, &expected).0, 0, "{case}");
        if let Some(values) = case["values"].as_str() {
            assert_eq!(preprocess.normalise(&pixels), npy_floats(&golden(values)), "{case}");
            normalised += 1;
        }
    }
    assert!(normalised > 0);
}

#[test]
fn a_training_crop_resizes_as_pillow_does() {
    let case = &cases("crop_resize")[0];
    let image = decode_file(&golden(text(case, "input")));
    let crop = crop_box(&numbers(case, "box"));
    let pixels = crop_resize(&image, crop, case["size"].as_u64().unwrap() as u32).unwrap();
    assert_eq!(pixels, npy_image(&golden(text(case, "pixels"))));

    let whole = CropBox::whole(image.width(), image.height());
    let outside = CropBox { x: 1, ..whole };
    assert_contains(&crop_resize(&image, outside, 8).unwrap_err().to_string(), &["48 x 40"]);
    assert!(crop_resize(&image, whole, 0).is_err());
    assert!(crop_resize(&image, whole, u32::MAX).is_err());
}

fn crop_box(numbers: &[f64]) -> CropBox {
    let [x, y, width, height] = [0, 1, 2, 3].map(|index| numbers[index] as u32);
    CropBox { x, y, width, height }
}

#[test]
fn random_crops_equal_torchvision_with_the_same_draws() {
    let cases = cases("crops");
    let mut central = 0;
    for case in &cases {
        let pair = |key| <(f64, f64)>::from(<[f64; 2]>::try_from(numbers(case, key)).unwrap());
        let sampler = RandomResizedCrop { scale: pair("scale"), ratio: pair("ratio") };
        let draws = numbers(case, "draws");
        let mut next = draws.iter().copied();
        let mut uniform = || next.next().expect("as many draws as torchvision's");
        let width = case["width"].as_u64().unwrap() as u32;
        let height = case["height"].as_u64().unwrap() as u32;
        let crop = sampler.sample(width, height, &mut uniform);
        assert_eq!(crop, crop_box(&numbers(case, "crop")), "{case}");
        assert_eq!(next.next(), None, "{case}");
        central += usize::from(draws.len() == 20);
    }
    assert!(central > 0 && central < cases.len());
}

#[test]
fn real_photos_equal_clips_preprocessing_at_224_on_the_host_and_on_every_device() {
    let Some(folder) = shared("golden/preprocess-224") else { return };
    let preprocess = torchvision(224);
    let (mut photos, mut all) = (Vec::new(), Vec::new());
    for name in ["123_456", "321_421", "416_264", "524_316"] {
        let expected = npy_floats(&folder.join(format!("{name}.tensor.npy")));
        let png = decode_file(&folder.join(format!("{name}.png")));
        let pixels = preprocess.pixels(&png).unwrap();
        assert_close(name, &preprocess.normalise(&pixels), &expected);
        let jpeg = decode_file(&folder.join(format!("{name}.jpg")));
        let (worst, mean) = difference(&jpeg, &png);
        assert!(worst <= WORST_LOSSY && mean <= MEAN_PHOTO, "{name}: {worst}, {mean}");
        let (worst, mean) = difference(&preprocess.pixels(&jpeg).unwrap(), &pixels);
        assert!(worst <= WORST_LOSSY && mean <= MEAN_CROPPED, "{name}: {worst}, {mean}");
        photos.push(png);
        all.extend(expected);
    }
    let photos: Vec<&RgbImage> = photos.iter().collect();
    for (device_name, device) in devices() {
        match preprocess.on_device(&photos, &device) {
            Some(values) => assert_close(&device_name, &read(values), &all),
            None => println!("{device_name}: no kernels, the host preprocesses"),
        }
    }
}

#[test]
fn both_model_directories_preprocess_as_pytorch_did() {
    let Some(folder) = shared("golden/quickgelu-p16-64") else { return };
    let config = |name: &str| String::from_utf8(bytes(&folder.join(name))).unwrap();
    let hugging_face =
        Preprocess::from_hugging_face(&config("hf/preprocessor_config.json")).unwrap();
    // The goldens' crop is open_clip's.
    let hugging_face = hugging_face.with_center_crop(CenterCrop::Torchvision);
    let open_clip = Preprocess::from_open_clip(&config("open_clip/open_clip_config.json")).unwrap();

    let (expected, shape) = floats(&folder.join("expected.safetensors"), "pixel_values");
    assert_eq!(shape, [6, 3, 64, 64]);
    let names = strings(&json(&folder.join("expected.json"))["images"]);
    for (name, expected) in names.iter().zip(expected.chunks(3 * 64 * 64)) {
        let image = decode_file(&folder.join("images").join(name));
        for preprocess in [&hugging_face, &open_clip] {
            let pixels = preprocess.pixels(&image).unwrap();
            assert_close(name, &preprocess.normalise(&pixels), expected);
        }
    }
}

fn assert_close(name: &str, values: &[f32], expected: &[f32]) {
    let (difference, _) = worst(values, expected);
    assert!(difference <= LAST_BIT, "{name}: {difference}");
}

fn decode_error(bytes: &[u8]) -> DecodeError {
    decode(bytes, &DecodeLimits::default()).expect_err("bad bytes must not decode")
}

#[test]
fn what_is_no_image_says_so() {
    assert!(matches!(decode_error(b""), DecodeError::Empty));
    assert_contains(&decode_error(b"a photo of\na cat\n").to_string(), &[r#""a photo of\na cat""#]);
    assert_contains(&decode_error(&[0xFF]).to_string(), &[r"\xff"]);
}

#[test]
fn a_truncated_file_is_an_error_wherever_it_is_cut() {
    for name in [
        "hard-48x40.png",
        "rgb-16.png",
        "subsampled.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "rgb.bmp",
        "palette.gif",
    ] {
        let bytes = bytes(&golden(name));
        // PNG's last chunk and the checksums before it, and the end marks of GIF's data, hold no pixels.
        let trailer = match name.rsplit_once('.') {
            Some((_, "png")) => 24,
            Some((_, "gif")) => 6,
            _ => 0,
        };
        let needed = bytes.len() - trailer;
        for end in 1..needed {
            decode(&bytes[..end], &DecodeLimits::default())
                .expect_err(&format!("{name} cut to {end} of {} bytes", bytes.len()));
        }
        let half = decode_error(&bytes[..bytes.len() * 3 / 4]);
        // GIF's decoder does not tell an early end apart by an I/O error.
        let told = match half {
            DecodeError::Truncated { .. } => true,
            DecodeError::Corrupt { .. } => name.ends_with("gif"),
            _ => false,
        };
        assert!(told, "{name}: {half:?}");
    }
}

#[test]
fn damaged_data_is_an_error_that_carries_its_source() {
    let mut damaged = bytes(&golden("hard-48x40.png"));
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let error = decode_error(&damaged);
    assert!(matches!(error, DecodeError::Corrupt { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
}

/// A PNG that ends after an empty chunk of pixels, so that the decoder gets past the header.
fn png(width: u32, height: u32) -> Vec<u8> {
    [&png_header(width, height)[..], b"\0\0\0\0IDAT\x35\xaf\x06\x1e"].concat()
}

/// A JPEG with frame and scan headers, no tables and no data.
fn jpeg_header(width: u16, height: u16) -> Vec<u8> {
    let ([h, eight], [w, low]) = (height.to_be_bytes(), width.to_be_bytes());
    let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, h, eight, w, low, 3];
    jpeg.extend([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    jpeg.extend([0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0, 0xFF, 0xD9]);
    jpeg
}

fn gif_header(width: u16, height: u16) -> Vec<u8> {
    let mut gif = b"GIF89a".to_vec();
    gif.extend(width.to_le_bytes());
    gif.extend(height.to_le_bytes());
    gif.extend([0, 0, 0, b',', 0, 0, 0, 0]);
    gif.extend(width.to_le_bytes());
    gif.extend(height.to_le_bytes());
    gif.extend([0, 2, 0, b';']);
    gif
}

#[test]
fn a_header_that_announces_too_much_is_refused_at_once() {
    let start = Instant::now();
    for header in [png(60_000, 60_000), jpeg_header(60_000, 60_000), gif_header(60_000, 60_000)] {
        let error = decode_error(&header);
        assert!(matches!(error, DecodeError::TooLarge { .. }), "{error:?}");
        assert_contains(&error.to_string(), &["60000 x 60000", "134217728"]);
    }
    assert_contains(&decode_error(&png(70_000, 1)).to_string(), &["65535 pixels a side"]);
    assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());

    let limits = DecodeLimits { max_bytes: 1000, ..DecodeLimits::default() };
    let error = decode(&bytes(&golden("hard-48x40.png")), &limits).unwrap_err();
    assert!(error.to_string().contains("1000 bytes"), "{error}");
}

#[test]
fn an_image_without_pixels_is_an_error() {
    for header in [png(0, 5), jpeg_header(0, 5), jpeg_header(5, 0), gif_header(0, 5)] {
        let error = decode_error(&header);
        assert!(!matches!(error, DecodeError::UnknownFormat { .. }), "{error:?}");
    }
    assert_contains(&decode_error(&gif_header(0, 5)).to_string(), &["0 x 5"]);
    let empty = Preprocess::clip(8).unwrap().pixels(&RgbImage::new(0, 5)).unwrap_err();
    assert!(empty.to_string().contains("0 x 5"), "{empty}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_image_gives_a_square(
        width in 1u32..400, height in 1u32..400, size in 1u32..70, edge in 1u32..90, kind in 0..3, is_torchvision: bool
    ) {
        let resize = match kind {
            0 => Resize::Keep,
            1 => Resize::ShortestEdge(edge),
            _ => Resize::Square(edge),
        };
        let clip = if is_torchvision { torchvision(size) } else { Preprocess::clip(size).unwrap() };
        let preprocess = clip.with_resize(resize, Filter::Bicubic).unwrap();
        let pixels = preprocess.pixels(&RgbImage::from_pixel(width, height, [9, 99, 255].into())).unwrap();
        prop_assert_eq!(pixels.dimensions(), (size, size));
        // Weights sum to one, so a plain image stays plain, and the padding is black.
        prop_assert!(pixels.pixels().all(|pixel| [[9, 99, 255], [0; 3]].contains(&pixel.0)));
        let middle = if is_torchvision { (size - 1) / 2 } else { size / 2 };
        prop_assert_eq!(pixels[(middle, middle)].0, [9, 99, 255]);
        prop_assert_eq!(preprocess.normalise(&pixels).len(), 3 * (size * size) as usize);
    }

    #[test]
    fn a_line_of_pixels_is_no_danger(length in 1u32..65_536, upright: bool) {
        let (width, height) = if upright { (1, length) } else { (length, 1) };
        let pixels = Preprocess::clip(16).unwrap().pixels(&RgbImage::new(width, height)).unwrap();
        prop_assert_eq!(pixels.dimensions(), (16, 16));
    }

    #[test]
    fn random_crops_lie_inside(width in 1u32..3000, height in 1u32..3000, draws in proptest::collection::vec(0.0..1.0, 24)) {
        let mut next = draws.into_iter().cycle();
        let crop = RandomResizedCrop::default().sample(width, height, &mut || next.next().unwrap());
        prop_assert!(crop.fits(width, height), "{:?}", crop);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), magic in 0..6usize) {
        let beginnings: [&[u8]; 6] = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0"];
        let file = [beginnings[magic], &bytes].concat();
        let limits = DecodeLimits { max_pixels: 1 << 16, ..DecodeLimits::default() };
        let _ = decode(&file, &limits);
    }

    #[test]
    fn damaged_files_never_panic(which in 0..6usize, at in any::<prop::sample::Index>(), value: u8) {
        let names = ["progressive.jpg", "cmyk.jpg", "palette.gif", "rgb-lzw.tiff", "lossy.webp", "rgba-16.png"];
        let mut bytes = bytes(&golden(names[which]));
        let at = at.index(bytes.len());
        bytes[at] = value;
        let limits = DecodeLimits { max_pixels: 1 << 20, ..DecodeLimits::default() };
        if let Ok(image) = decode(&bytes, &limits) {
            prop_assert!(image.width() > 0 && image.height() > 0);
        }
    }
}
