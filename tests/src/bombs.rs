//! Files of a few bytes that unpack to much.

/// The marker of a JPEG's frame: sequential, or progressive.
pub const SEQUENTIAL: u8 = 0xC0;
/// See [`SEQUENTIAL`].
pub const PROGRESSIVE: u8 = 0xC2;

/// A grey JPEG of any size in 250 bytes: a scan of zeros, which decoders fill up. `factors` are the sampling factors of each component.
pub fn jpeg(kind: u8, (width, height): (u16, u16), factors: &[u8]) -> Vec<u8> {
    let ([h, eight], [w, low]) = (height.to_be_bytes(), width.to_be_bytes());
    let count = factors.len() as u8;
    let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    jpeg.extend([1; 64]);
    jpeg.extend([0xFF, kind, 0, 8 + 3 * count, 8, h, eight, w, low, count]);
    jpeg.extend((1..).zip(factors).flat_map(|(number, factors)| [number, *factors, 0]));
    for table in [0x00, 0x10] {
        jpeg.extend([0xFF, 0xC4, 0, 20, table, 1]);
        jpeg.extend([0; 16]);
    }
    jpeg.extend([0xFF, 0xDA, 0, 6 + 2 * count, count]);
    jpeg.extend((1..=count).flat_map(|number| [number, 0]));
    let last = if kind == PROGRESSIVE { 0 } else { 63 };
    jpeg.extend([0, last, 0, 0, 0xFF, 0xD9]);
    jpeg
}
