//! Tables of the single-byte encodings that text is most often misread in, by which `mojibake` encodes it back to bytes.
//!
//! The tables are the Unicode Consortium's mappings in Python's codecs. Unassigned bytes of a Windows code page map to the same
//! number in Unicode (ftfy's "sloppy" codecs, ftfy/bad_codecs/sloppy.py, Apache-2.0).

use std::collections::HashMap;
use std::sync::LazyLock;

/// A single-byte encoding. Bytes below 0x80 are ASCII.
pub(super) struct Charmap {
    /// The byte of each character above ASCII; `None` for Latin-1, where byte and character have the same number.
    bytes: Option<HashMap<char, u8>>,
    /// Whether byte 0x1A is the replacement character of a lost byte, as in ftfy's sloppy codecs.
    pub(super) sloppy: bool,
    /// Whether the en dash before a space is kept: MacRoman's byte 0xD0 would look like half a letter there.
    pub(super) mac_roman: bool,
}

/// All encodings, in the order of ftfy's attempts (ftfy/chardata.py, CHARMAP_ENCODINGS).
pub(super) static CHARMAPS: LazyLock<Vec<Charmap>> = LazyLock::new(|| {
    let table = |upper: &str, sloppy, mac_roman| Charmap {
        bytes: Some((0x80..=0xFF).map(|byte| (decode(upper, byte), byte)).collect()),
        sloppy,
        mac_roman,
    };
    let latin_1 = Charmap { bytes: None, sloppy: false, mac_roman: false };
    vec![
        latin_1,
        table(WINDOWS_1252, true, false),
        table(WINDOWS_1251, true, false),
        table(WINDOWS_1250, true, false),
        table(WINDOWS_1253, true, false),
        table(WINDOWS_1254, true, false),
        table(WINDOWS_1257, true, false),
        table(ISO_8859_2, false, false),
        table(MAC_ROMAN, false, true),
        table(CP437, false, false),
    ]
});

impl Charmap {
    pub(super) fn is_latin_1(&self) -> bool {
        self.bytes.is_none()
    }

    /// The bytes that were misread as `text`, or `None` if this encoding can't have produced it.
    pub(super) fn encode(&self, text: &str) -> Option<Vec<u8>> {
        let byte = |c: char| match c {
            '\u{1A}' if self.sloppy => None,
            '\u{FFFD}' if self.sloppy => Some(0x1A),
            '\0'..='\x7F' => Some(c as u8),
            _ => match &self.bytes {
                None => u8::try_from(c).ok(),
                Some(bytes) => bytes.get(&c).copied(),
            },
        };
        text.chars().map(byte).collect()
    }
}

/// The character of a byte from 0x80 to 0x9F in Windows-1252, as in browsers; `None` if it's unassigned.
pub(super) fn windows_1252(byte: u8) -> Option<char> {
    let c = decode(WINDOWS_1252, byte);
    (u32::from(c) != u32::from(byte)).then_some(c)
}

/// The character of a byte from 0x80 up.
fn decode(upper: &str, byte: u8) -> char {
    match upper.chars().nth(usize::from(byte & 0x7F)) {
        Some('?') | None => char::from(byte),
        Some(c) => c,
    }
}

// Characters 0x80 to 0xFF, `?` where the byte is unassigned or stands for its own number.
const WINDOWS_1252: &str = "\
    €?‚ƒ„…†‡ˆ‰Š‹Œ?Ž??‘’“”•–—˜™š›œ?žŸ\
    ?¡¢£¤¥¦§¨©ª«¬?®¯°±²³´µ¶·¸¹º»¼½¾¿\
    ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß\
    àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ";
const WINDOWS_1251: &str = "\
    ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—?™љ›њќћџ\
    ?ЎўЈ¤Ґ¦§Ё©Є«¬?®Ї°±Ііґµ¶·ё№є»јЅѕї\
    АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ\
    абвгдежзийклмнопрстуфхцчшщъыьэюя";
const WINDOWS_1250: &str = "\
    €?‚?„…†‡?‰Š‹ŚŤŽŹ?‘’“”•–—?™š›śťžź\
    ?ˇ˘Ł¤Ą¦§¨©Ş«¬?®Ż°±˛ł´µ¶·¸ąş»Ľ˝ľż\
    ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß\
    ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙";
const WINDOWS_1253: &str = "\
    €?‚ƒ„…†‡?‰?‹?????‘’“”•–—?™?›????\
    ?΅Ά£¤¥¦§¨©?«¬?®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏ\
    ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡ?ΣΤΥΦΧΨΩΪΫάέήί\
    ΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ?";
const WINDOWS_1254: &str = "\
    €?‚ƒ„…†‡ˆ‰Š‹Œ????‘’“”•–—˜™š›œ??Ÿ\
    ?¡¢£¤¥¦§¨©ª«¬?®¯°±²³´µ¶·¸¹º»¼½¾¿\
    ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞß\
    àáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ";
const WINDOWS_1257: &str = "\
    €?‚?„…†‡?‰?‹?¨ˇ¸?‘’“”•–—?™?›?¯˛?\
    ??¢£¤?¦§Ø©Ŗ«¬?®Æ°±²³´µ¶·ø¹ŗ»¼½¾æ\
    ĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽß\
    ąįāćäåęēčéźėģķīļšńņóōõö÷ųłśūüżž˙";
const ISO_8859_2: &str = "\
    ????????????????????????????????\
    ?Ą˘Ł¤ĽŚ§¨ŠŞŤŹ?ŽŻ°ą˛ł´ľśˇ¸šşťź˝žż\
    ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß\
    ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙";
const MAC_ROMAN: &str = "\
    ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü\
    †°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø\
    ¿¡¬√ƒ≈∆«»…\u{A0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ\
    ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{F8FF}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";
const CP437: &str = "\
    ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ\
    áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}";
