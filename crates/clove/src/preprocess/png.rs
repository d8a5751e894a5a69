//! PNG files: their size, and the chunks that decoding needs.

use std::borrow::Cow;

/// The offset of a PNG's colour type, after signature 8, chunk length and name 8, width and height 8, bit depth 1.
pub(super) const COLOR_TYPE: usize = 25;
const SIGNATURE: usize = 8;
/// Length, name and checksum of a chunk.
const FRAME: usize = 12;
/// Chunks that aren't critical and change pixels or orientation.
const NEEDED: [&[u8; 4]; 2] = [b"tRNS", b"eXIf"];

/// Width and height in a PNG's first chunk.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let (width, rest) = bytes.get(16..24)?.split_first_chunk::<4>()?;
    let height = rest.first_chunk::<4>()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

/// The file without what decoding doesn't need: the decoder would unpack a profile of any size, and keep texts.
pub(super) fn needed(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut kept: Option<Vec<u8>> = None;
    let mut at = SIGNATURE;
    let header = |at: usize| bytes.get(at..)?.first_chunk::<8>();
    while let Some(&[a, b, c, d, name @ ..]) = header(at) {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let end = at.saturating_add(length).saturating_add(FRAME).min(bytes.len());
        // A critical chunk has a capital.
        let is_needed = name[0].is_ascii_uppercase() || NEEDED.contains(&&name);
        match (&mut kept, is_needed) {
            (Some(kept), true) => kept.extend_from_slice(&bytes[at..end]),
            (None, false) => {
                let mut before = Vec::with_capacity(bytes.len());
                before.extend_from_slice(&bytes[..at]);
                kept = Some(before);
            }
            _ => {}
        }
        at = end;
    }
    kept.map_or(Cow::Borrowed(bytes), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: [u8; 4], length: usize) -> Vec<u8> {
        [&(length as u32).to_be_bytes()[..], &name, &vec![7; length], &[0; 4]].concat()
    }

    #[test]
    fn metadata_is_left_out_and_a_cut_file_stays_cut() {
        let file = |chunks: &[(&[u8; 4], usize)]| {
            let chunks = chunks.iter().flat_map(|(name, length)| chunk(**name, *length));
            b"\x89PNG\r\n\x1a\n".iter().copied().chain(chunks).collect::<Vec<u8>>()
        };
        let plain = file(&[(b"IHDR", 13), (b"tRNS", 2), (b"IDAT", 9), (b"IEND", 0)]);
        assert!(matches!(needed(&plain), Cow::Borrowed(_)));
        let full = file(&[
            (b"IHDR", 13),
            (b"iCCP", 99),
            (b"zTXt", 5),
            (b"tRNS", 2),
            (b"IDAT", 9),
            (b"tEXt", 1),
            (b"IEND", 0),
        ]);
        assert_eq!(needed(&full), plain);
        let cut = &full[..full.len() - 3];
        assert_eq!(needed(cut), &plain[..plain.len() - 3]);
        assert_eq!(needed(b"\x89PNG"), &b"\x89PNG"[..]);
    }
}
