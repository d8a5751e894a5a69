//! Percent-encoding.

use std::fmt::Write as _;

/// Encodes every byte that is neither an ASCII letter or digit nor in `keep`.
pub fn encode(text: &str, keep: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            coded.push(char::from(byte));
        } else {
            let _ = write!(coded, "%{byte:02X}");
        }
    }
    coded
}

/// Decodes; a `%` without two hexadecimal digits stays.
pub fn decode(coded: &str) -> String {
    let bytes = coded.as_bytes();
    let hex = |at: usize| Some(char::from(*bytes.get(at)?).to_digit(16)? as u8);
    let mut text = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if let (b'%', Some(high), Some(low)) = (byte, hex(at), hex(at + 1)) {
            text.push(high << 4 | low);
            at += 2;
        } else {
            text.push(byte);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
