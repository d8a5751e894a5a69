//! What isn't language and stays whole: addresses, names of files, handles, times, ratios and markup.

use super::Token;

/// Most bytes looked at: of longer ones only as much stays whole.
const LONGEST: usize = 1_024;

/// Endings of files and domains. A sentence without a space after its full stop ("a dog.A cat") has others.
const ENDINGS: [&str; 35] = [
    "jpg", "jpeg", "png", "gif", "webp", "svg", "bmp", "tif", "tiff", "pdf", "html", "htm", "php",
    "txt", "doc", "docx", "xls", "ppt", "mp3", "mp4", "mov", "avi", "zip", "psd", "eps", "com",
    "net", "org", "edu", "gov", "info", "co", "uk", "de", "io",
];

/// The token that begins at a byte and stays whole.
pub fn whole(text: &str, start: usize) -> Option<Token> {
    let rest = &text[start..];
    let opaque = |length: usize| Token { opaque: true, ..Token::new(text, start, start + length) };
    match rest.as_bytes().first()? {
        b'&' => {
            let (length, plain) = entity(rest)?;
            let lower = if plain == "amp" { "&".to_owned() } else { rest[..length].to_owned() };
            return Some(Token { lower, word: false, ..Token::new(text, start, start + length) });
        }
        b'<' => {
            return tag(rest).map(|length| Token { word: false, ..opaque(length) });
        }
        _ => {}
    }
    // Within a word or a number nothing begins.
    let before = text[..start].chars().next_back();
    if before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '.' | '/' | '@')) {
        return None;
    }
    let limit = (0..=LONGEST.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at))?;
    let segment = rest[..limit].split(char::is_whitespace).next()?;
    let closing = |c: char| !c.is_alphanumeric() && !matches!(c, '/' | '_');
    let segment = segment.trim_end_matches(closing);
    is_whole(segment).then(|| opaque(segment.len()))
}

fn is_whole(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let lower = || segment.to_ascii_lowercase();
    match bytes.first() {
        None => return false,
        // Handles and tags.
        Some(b'@' | b'#') => {
            return bytes.get(1).is_some_and(|next| next.is_ascii_alphanumeric() || *next >= 128);
        }
        _ => {}
    }
    if !segment.starts_with(char::is_alphanumeric) {
        return false;
    }
    if segment.contains("://") || lower().starts_with("www.") {
        return true;
    }
    let inside = |sign: u8, fits: fn(&u8) -> bool| {
        bytes.windows(3).any(|three| three[1] == sign && fits(&three[0]) && fits(&three[2]))
    };
    // Times, ratios, identifiers, e-mail addresses.
    if inside(b':', u8::is_ascii_digit)
        || inside(b'_', u8::is_ascii_alphanumeric)
        || inside(b'@', u8::is_ascii_alphanumeric)
    {
        return true;
    }
    segment.rsplit_once('.').is_some_and(|(name, ending)| {
        // A path may follow a domain.
        let ending = ending.split('/').next().unwrap_or_default().to_ascii_lowercase();
        name.ends_with(|c: char| c.is_alphanumeric() || c == ')')
            && ENDINGS.contains(&ending.as_str())
    })
}

/// The length of an HTML entity that a text begins with, and its name.
pub fn entity(text: &str) -> Option<(usize, &str)> {
    const LONGEST_NAME: usize = 10;
    let rest = text.strip_prefix('&')?;
    let end = rest.bytes().take(LONGEST_NAME + 1).position(|byte| byte == b';')?;
    let name = &rest[..end];
    let digits = name.strip_prefix('#').unwrap_or(name);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then_some((end + 2, name))
}

/// The length of a tag of HTML that a text begins with.
fn tag(text: &str) -> Option<usize> {
    const LONGEST_TAG: usize = 128;
    let name = text[1..].trim_start_matches('/');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    text.bytes().take(LONGEST_TAG).position(|byte| byte == b'>').map(|end| end + 1)
}
