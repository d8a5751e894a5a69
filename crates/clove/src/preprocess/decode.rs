//! From the bytes of a file to RGB, converting other pixel layouts like Pillow's `convert("RGB")`.

use std::borrow::Cow;
use std::io::Cursor;

use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, RgbImage};

use super::budget::Budget;
use super::{jpeg, png};

/// Bytes of an unknown file in its error.
const SHOWN: usize = 16;

/// The limits of reading an image file, checked with its header before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Largest width or height, in pixels.
    pub max_side: u32,
    /// Largest number of pixels.
    pub max_pixels: u64,
    /// Most memory for one file, in bytes: the file, what its decoder holds, the image, its conversion to RGB and its rotation.
    pub max_bytes: u64,
}

impl Default for DecodeLimits {
    /// Sides of 65,535, JPEG's maximum; 2^27 = 134 million pixels, above common cameras; 512 MiB.
    fn default() -> Self {
        Self { max_side: 65_535, max_pixels: 1 << 27, max_bytes: 512 << 20 }
    }
}

/// Why a file can't be decoded. The caller adds the path.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file is empty.
    #[error("the image file is empty (0 bytes)")]
    Empty,
    /// The first bytes, which are escaped here, are those of no known image format.
    #[error(
        "not an image: the file begins with {0}; JPEG, PNG, WebP, GIF, BMP and TIFF are supported"
    )]
    UnknownFormat(String),
    /// An image format that isn't supported.
    #[error("{0} is not supported; convert the image to JPEG or PNG")]
    Foreign(String),
    /// A variant of a supported format that isn't supported.
    #[error("this kind of {0:?} image is not supported; convert it to PNG")]
    Unsupported(ImageFormat, #[source] ImageError),
    /// The text that stands for a file in a Git repository.
    #[error("this is a Git LFS pointer to the image; run `git lfs pull` in its repository")]
    LfsPointer,
    /// The image's width and height, and the limit that they exceed.
    #[error("the {0:?} image is too large: {1} x {2} pixels; the limit is {3}")]
    TooLarge(ImageFormat, u32, u32, String),
    /// The image's width or height is 0.
    #[error("the {0:?} image has no pixels ({1} x {2})")]
    NoPixels(ImageFormat, u32, u32),
    /// The decoder asks for more memory than this many bytes.
    #[error("reading the {0:?} image takes more than {1} bytes of memory")]
    Memory(ImageFormat, u64),
    /// The data ends before the image does, after this many bytes.
    #[error("the {0:?} image is truncated: its data ends too early, after {1} bytes")]
    Truncated(ImageFormat, usize),
    /// The data contradicts the format.
    #[error("the {0:?} image is corrupt")]
    Corrupt(ImageFormat, #[source] ImageError),
}

/// Decodes JPEG, PNG, WebP, GIF, BMP or TIFF (detected by the first bytes) to RGB, and applies the orientation in its EXIF data.
///
/// Other layouts become RGB as in Pillow: grey is repeated, alpha is dropped without blending, palettes are resolved, CMYK JPEG
/// is Adobe's inverted kind, 16-bit colour keeps the high byte, and 16-bit grey is clipped at 255. Animations give their first
/// frame. The conversion precedes the resize, as in Hugging Face's processors and in open_clip's training; open_clip's evaluation
/// converts after the resize, with other results for palettes and alpha.
///
/// Pixels from JPEG and lossy WebP may differ from Pillow's by a few levels, because libjpeg-turbo rounds differently.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let budget = Budget::new(format_of(bytes)?, bytes, limits);
    let (decoded, orientation) = match budget.format {
        ImageFormat::Jpeg => jpeg::decode(bytes, &budget)?,
        _ => by_image(bytes, &budget)?,
    };
    let size = (decoded.width(), decoded.height());
    let rgb = 3 * u64::from(size.0) * u64::from(size.1);
    if !matches!(decoded, DynamicImage::ImageRgb8(_)) {
        budget.check(size, decoded.as_bytes().len() as u64 + rgb)?;
    }
    // The decoder turns a 16-bit grey PNG with a transparent colour into grey and alpha; Pillow reads it as grey.
    let is_grey_png = budget.format == ImageFormat::Png && bytes.get(png::COLOR_TYPE) == Some(&0);
    let mut upright = DynamicImage::ImageRgb8(to_rgb(decoded, is_grey_png));
    if orientation != Orientation::NoTransforms {
        budget.check(size, 2 * rgb)?;
        upright.apply_orientation(orientation);
    }
    Ok(upright.into_rgb8())
}

/// Decodes by the `image` crate, with the orientation to apply.
pub(super) fn by_image(
    bytes: &[u8],
    budget: &Budget<'_>,
) -> Result<(DynamicImage, Orientation), DecodeError> {
    let explain = |error| explain(error, budget);
    let file = match budget.format {
        ImageFormat::Png => {
            // Its decoder reads up to the first data before it returns the size; the header is enough to check it.
            if let Some((width, height)) = png::size(bytes) {
                budget.size(width, height)?;
            }
            png::needed(bytes)
        }
        _ => Cow::Borrowed(bytes),
    };
    // `Budget` names sizes in its errors; here they bound what is taken before the size is known.
    let mut allowed = Limits::no_limits();
    allowed.max_alloc = Some(budget.left());
    let mut reader = ImageReader::with_format(Cursor::new(&*file), budget.format);
    reader.limits(allowed.clone());
    let mut decoder = reader.into_decoder().map_err(explain)?;
    let (width, height) = decoder.dimensions();
    budget.size(width, height)?;
    let memory = decoder.total_bytes().saturating_add(match &file {
        Cow::Owned(copy) => copy.len() as u64,
        Cow::Borrowed(_) => 0,
    });
    let memory = memory.saturating_add(working(budget, bytes, (width, height), memory));
    budget.check((width, height), memory)?;
    // A frame of a GIF may be larger than the image, as a strip of a TIFF may. Of a frame, indices are held beside its colours.
    let left = budget.left() - memory;
    allowed.max_alloc = match budget.format {
        ImageFormat::Gif => Some(left / 5 * 4),
        ImageFormat::Tiff => Some(budget.left() - decoder.total_bytes()),
        _ => Some(left),
    };
    decoder.set_limits(allowed).map_err(explain)?;
    let orientation = decoder.orientation().map_err(explain)?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(explain)?;
    Ok((decoded, orientation))
}

/// What a decoder of the `image` crate holds beside the image of `image` bytes, and beside a JPEG, for which the markers say it.
// Sources: image-webp: src/decoder.rs, src/extended.rs, src/lossless.rs, src/vp8.rs; gif: src/reader/converter.rs; tiff:
// src/decoder/mod.rs; png: src/decoder/unfiltering_buffer.rs.
fn working(budget: &Budget<'_>, bytes: &[u8], (width, height): (u32, u32), image: u64) -> u64 {
    let (width, height) = (u64::from(width), u64::from(height));
    match budget.format {
        ImageFormat::WebP => {
            let animation = bytes.get(20).is_some_and(|flags| flags & 2 != 0);
            let per_pixel = match bytes.get(12..16) {
                // Luma and chroma.
                Some(b"VP8 ") => 2,
                // A copy with alpha, and four transforms of blocks.
                Some(b"VP8L") => 5,
                // A frame and the canvas besides, with alpha.
                _ if animation => 15,
                _ => 7,
            };
            // Macroblocks of 16 pixels; the partitions of the data are copied.
            per_pixel * (width + 16) * (height + 16) + 3 * budget.file
        }
        ImageFormat::Gif => width * height,
        // Another buffer of the whole, of four channels where the image has three.
        ImageFormat::Tiff => image / 3 * 4,
        // Rows.
        ImageFormat::Png | ImageFormat::Bmp => 64 * width,
        _ => 0,
    }
}

/// The format of a file, which must be one of those that are supported.
fn format_of(bytes: &[u8]) -> Result<ImageFormat, DecodeError> {
    const SUPPORTED: [ImageFormat; 6] = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];
    let guess = image::guess_format(bytes).ok();
    if let Some(format) = guess.filter(|format| SUPPORTED.contains(format)) {
        return Ok(format);
    }
    if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Err(DecodeError::LfsPointer);
    }
    let foreign = foreign_format(bytes).map(str::to_owned);
    Err(match foreign.or_else(|| guess.map(|format| format!("{format:?}"))) {
        Some(name) => DecodeError::Foreign(name),
        None => DecodeError::UnknownFormat(beginning(bytes)),
    })
}

/// The name of a common format of images that `image` doesn't know.
// Sources: ISO/IEC 23008-12 and 14496-12 (brands), 15444-1 (JPEG 2000), 18181-2 (JPEG XL).
fn foreign_format(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 4] = [
        (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xFF\x4F\xFF\x51", "JPEG 2000"),
        (b"\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
        (b"\xFF\x0A", "JPEG XL"),
    ];
    const XML: [&str; 3] = ["<?xml", "<!--", "<!DOCTYPE svg"];
    /// Comments and declarations stand before an SVG's first element.
    const HEAD: usize = 1024;
    let signed = SIGNATURES.iter().find(|(start, _)| bytes.starts_with(start));
    if let Some((_, name)) = signed {
        return Some(*name);
    }
    if let Some(brand) = bytes.get(4..12).and_then(|header| header.strip_prefix(b"ftyp")) {
        return match brand {
            b"avif" | b"avis" => Some("AVIF"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
                Some("HEIC")
            }
            _ => None,
        };
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]);
    let head = head.trim_start_matches(|c: char| c == '\u{FEFF}' || c.is_whitespace());
    let is_xml = XML.iter().any(|start| head.starts_with(start));
    (head.starts_with("<svg") || (is_xml && head.contains("<svg"))).then_some("SVG")
}

pub(super) fn explain(error: ImageError, budget: &Budget<'_>) -> DecodeError {
    let format = budget.format;
    if is_early_end(&error) {
        return DecodeError::Truncated(format, budget.file as usize);
    }
    match error {
        ImageError::Unsupported(_) => DecodeError::Unsupported(format, error),
        ImageError::Limits(_) => DecodeError::Memory(format, budget.limit()),
        _ => DecodeError::Corrupt(format, error),
    }
}

/// Whether a decoder read past the end. Decoders wrap that error in different ways, so this checks the whole chain.
fn is_early_end(error: &ImageError) -> bool {
    let mut level: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = level {
        let io = match current.downcast_ref::<ImageError>() {
            Some(ImageError::IoError(io)) => Some(io),
            _ => current.downcast_ref::<std::io::Error>(),
        };
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof) {
            return true;
        }
        level = current.source();
    }
    false
}

/// The first bytes as text, escaped.
fn beginning(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    format!("\"{}\"", shown.escape_ascii())
}

/// Pillow's `convert("RGB")`.
// Source: python-pillow/Pillow src/libImaging/Convert.c (`I16_RGB` clips) and Unpack.c ("RGB;16B" keeps the high byte).
fn to_rgb(image: DynamicImage, is_grey: bool) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let rgb = match image {
        DynamicImage::ImageRgb8(rgb) => return rgb,
        DynamicImage::ImageLuma8(grey) => grey.iter().flat_map(|&v| [v; 3]).collect(),
        DynamicImage::ImageLumaA8(grey) => grey.pixels().flat_map(|p| [p[0]; 3]).collect(),
        DynamicImage::ImageRgba8(rgba) => rgba.pixels().flat_map(|p| [p[0], p[1], p[2]]).collect(),
        DynamicImage::ImageLuma16(grey) => grey.iter().flat_map(|&v| [clipped(v); 3]).collect(),
        DynamicImage::ImageLumaA16(grey) if is_grey => {
            grey.pixels().flat_map(|p| [clipped(p[0]); 3]).collect()
        }
        DynamicImage::ImageLumaA16(grey) => grey.pixels().flat_map(|p| [high(p[0]); 3]).collect(),
        DynamicImage::ImageRgb16(rgb) => rgb.iter().map(|&v| high(v)).collect(),
        DynamicImage::ImageRgba16(rgba) => {
            (rgba.pixels()).flat_map(|p| [p[0], p[1], p[2]].map(high)).collect()
        }
        // Floating-point TIFF, which Pillow reads in grey only: 0 to 1 becomes 0 to 255.
        other => return other.into_rgb8(),
    };
    let rgb: Vec<u8> = rgb;
    RgbImage::from_raw(width, height, rgb).expect("three bytes were made for each pixel")
}

fn clipped(value: u16) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn high(value: u16) -> u8 {
    (value >> 8) as u8
}
