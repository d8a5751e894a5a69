//! From the bytes of a file to RGB, converting other pixel layouts like Pillow's `convert("RGB")`.

use std::io::Cursor;

use image::error::{DecodingError, ImageError, ImageFormatHint};
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use jpeg_decoder::PixelFormat;

/// Bytes of an unknown file in its error.
const SHOWN: usize = 16;

/// The limits of decoding, checked with the file's header before pixels are allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Largest width or height, in pixels.
    pub max_side: u32,
    /// Largest number of pixels.
    pub max_pixels: u64,
    /// Largest decoded image in the file's own layout, in bytes; also the limit of a decoder's memory, if the decoder has one. The
    /// conversion to RGB and the rotation need a temporary copy besides.
    pub max_bytes: u64,
}

impl Default for DecodeLimits {
    /// Sides of 65,535, JPEG's maximum; 2^27 = 134 million pixels, above common cameras; the 512 MiB of `image`'s default.
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
    let format = format_of(bytes)?;
    let explain = |error| explain(error, format, bytes.len());

    // A PNG's decoder reads up to the first data before it returns the size; the header is enough to check it.
    if format == ImageFormat::Png
        && let Some((width, height)) = png_size(bytes)
    {
        check_size(width, height, 0, format, limits)?;
    }
    // No limits here: `check_size` below names the sizes in its error.
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = Limits::no_limits();
    allowed.max_alloc = Some(limits.max_bytes);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(explain)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes(), format, limits)?;
    // `image` decodes a truncated JPEG with grey pixels; Pillow refuses it.
    if format == ImageFormat::Jpeg && !jpeg_has_end(bytes) {
        return Err(DecodeError::Truncated(format, bytes.len()));
    }
    let orientation = decoder.orientation().map_err(explain)?;
    let decoded = match format {
        ImageFormat::Jpeg => decode_jpeg(bytes, limits).map_err(explain)?,
        _ => None,
    };
    let decoded = match decoded {
        Some(decoded) => decoded,
        None => DynamicImage::from_decoder(decoder).map_err(explain)?,
    };

    // The decoder turns a 16-bit grey PNG with a transparent colour into grey and alpha; Pillow reads it as grey.
    let is_grey_png = format == ImageFormat::Png && bytes.get(PNG_COLOR_TYPE) == Some(&0);
    let mut upright = DynamicImage::ImageRgb8(to_rgb(decoded, is_grey_png));
    upright.apply_orientation(orientation);
    Ok(upright.into_rgb8())
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

/// Decodes a grey or colour JPEG; `None` for the rarer kinds, which `image` decodes.
///
/// Published features come from libjpeg-turbo. On ten photos `image` differs from it by 0.10 to 0.27, this by 0.06 to 0.11.
fn decode_jpeg(bytes: &[u8], limits: &DecodeLimits) -> Result<Option<DynamicImage>, ImageError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(usize::try_from(limits.max_bytes).unwrap_or(usize::MAX));
    let pixels = match decoder.decode() {
        Ok(pixels) => pixels,
        Err(jpeg_decoder::Error::Unsupported(_)) => return Ok(None),
        Err(jpeg_decoder::Error::Io(error)) => return Err(ImageError::IoError(error)),
        Err(error) => {
            let hint = ImageFormatHint::Exact(ImageFormat::Jpeg);
            return Err(ImageError::Decoding(DecodingError::new(hint, error)));
        }
    };
    let Some(info) = decoder.info() else {
        return Ok(None);
    };
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    Ok(match info.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        PixelFormat::RGB24 => {
            RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
        }
        PixelFormat::L16 | PixelFormat::CMYK32 => None,
    })
}

/// The offset of a PNG's colour type, after signature 8, chunk length and name 8, width and height 8, bit depth 1.
const PNG_COLOR_TYPE: usize = 25;

/// Width and height in a PNG's first chunk.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let (width, rest) = bytes.get(16..24)?.split_first_chunk::<4>()?;
    let height = rest.first_chunk::<4>()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

fn check_size(
    width: u32,
    height: u32,
    decoded_bytes: u64,
    format: ImageFormat,
    limits: &DecodeLimits,
) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::NoPixels(format, width, height));
    }
    let pixels = u64::from(width) * u64::from(height);
    let limit = if width.max(height) > limits.max_side {
        format!("{} pixels a side", limits.max_side)
    } else if pixels > limits.max_pixels {
        format!("{} pixels", limits.max_pixels)
    } else if decoded_bytes > limits.max_bytes {
        format!("{} bytes", limits.max_bytes)
    } else {
        return Ok(());
    };
    Err(DecodeError::TooLarge(format, width, height, limit))
}

fn explain(error: ImageError, format: ImageFormat, bytes: usize) -> DecodeError {
    if is_early_end(&error) {
        return DecodeError::Truncated(format, bytes);
    }
    match error {
        ImageError::Unsupported(_) => DecodeError::Unsupported(format, error),
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

/// Whether a JPEG has its end-of-image marker. Skips segments by their lengths, and entropy-coded data by its stuffing.
// Source: ITU-T T.81, annex B.1.1.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut rest = bytes;
    loop {
        let Some(prefix) = rest.iter().position(|&byte| byte == 0xFF) else {
            return false;
        };
        rest = &rest[prefix..];
        let Some(code) = rest.iter().position(|&byte| byte != 0xFF) else {
            return false;
        };
        let marker = rest[code];
        rest = &rest[code + 1..];
        match marker {
            END_OF_IMAGE => return true,
            // A stuffed 0xFF of the data, and the markers without a segment: TEM, restarts, start of image.
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            _ => {
                let Some(&[high, low]) = rest.first_chunk::<2>() else {
                    return false;
                };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(after) = rest.get(length..) else {
                    return false;
                };
                rest = after;
            }
        }
    }
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
