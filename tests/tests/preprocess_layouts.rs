//! Guards what differs between files and between layouts: formats that aren't read are named, and the centre crop is that of the
//! layout's library.

use std::fs;

use clove::preprocess::{
    CenterCrop, DecodeError, DecodeLimits, Filter, Preprocess, Resize, RgbImage, decode,
};
use clove_tests::{assert_contains, golden};

fn decode_error(bytes: &[u8]) -> DecodeError {
    decode(bytes, &DecodeLimits::default()).expect_err("bad bytes must not decode")
}

#[test]
fn formats_that_are_not_read_are_named_with_the_remedy() {
    let svg =
        "<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
    for (bytes, name) in [
        (&b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"[..], "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"\xff\x0a\xf8\x01", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xef\xbb\xbf\n<svg width=\"9\"/>", "SVG"),
        (svg.as_bytes(), "SVG"),
        (b"qoif\0\0\0\x01", "Qoi"),
    ] {
        let error = decode_error(bytes);
        assert!(matches!(error, DecodeError::Foreign(_)), "{error:?}");
        assert_contains(&error.to_string(), &[name, "convert the image to JPEG or PNG"]);
    }
    // A page with a drawing in it is none, as a failed download is.
    let page = decode_error(b"<!DOCTYPE html><html><svg/></html>").to_string();
    assert_contains(&page, &["not an image", "<!DOCTYPE html>"]);
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    assert_contains(&decode_error(pointer).to_string(), &["git lfs pull"]);
    // TIFF is supported; this one says that its colours are CIE L*a*b*.
    let mut tiff = fs::read(golden("preprocess/rgb.tiff")).unwrap();
    let entry = tiff.windows(4).position(|bytes| bytes == [6, 1, 3, 0]).unwrap();
    tiff[entry + 8] = 8;
    let error = decode_error(&tiff);
    assert!(matches!(error, DecodeError::Unsupported { .. }), "{error:?}");
    assert_contains(&error.to_string(), &["this kind of Tiff image", "convert it to PNG"]);
}

/// Formulas: transformers, src/transformers/image_transforms.py (`center_crop`), and torchvision, transforms/functional.py
/// (`center_crop`), in Python.
#[test]
fn the_centre_crop_is_that_of_the_layouts_library() {
    const CROP: u32 = 8;
    // For 1 to 8 columns too many, the first that is kept: `(w - crop) // 2` and `int(round((w - crop) / 2.0))`.
    let first = [
        (CenterCrop::HuggingFace, [0, 1, 1, 2, 2, 3, 3, 4]),
        (CenterCrop::Torchvision, [0, 1, 2, 2, 2, 3, 4, 4]),
    ];
    // For 1 to 4 columns too few, those that are added before: `ceil((crop - w) / 2)` and `(crop - w) // 2`.
    let added = [(CenterCrop::HuggingFace, [1, 1, 2, 2]), (CenterCrop::Torchvision, [0, 1, 1, 2])];
    let pixels = |crop, width: u32| {
        let preprocess = Preprocess::clip(CROP).unwrap().with_center_crop(crop);
        let preprocess = preprocess.with_resize(Resize::Keep, Filter::Bicubic).unwrap();
        let photo = RgbImage::from_fn(width, CROP, |x, _| [x as u8 + 1; 3].into());
        let cropped = preprocess.pixels(&photo).unwrap();
        (0..CROP).map(|x| u32::from(cropped[(x, 0)].0[0])).collect::<Vec<u32>>()
    };
    for (crop, firsts) in first {
        for (surplus, first) in (1..).zip(firsts) {
            let found = pixels(crop, CROP + surplus);
            assert_eq!(found, (first + 1..=first + CROP).collect::<Vec<_>>(), "{crop:?} {surplus}");
        }
    }
    for (crop, added) in added {
        for (lack, before) in (1..).zip(added) {
            let found = pixels(crop, CROP - lack);
            let kept = (0..CROP).map(|x| (x + 1).saturating_sub(before));
            let expected: Vec<u32> = kept.map(|x| if x > CROP - lack { 0 } else { x }).collect();
            assert_eq!(found, expected, "{crop:?} {lack}");
        }
    }
}
