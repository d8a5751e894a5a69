//! What the page's address keeps: captions, alpha and the sample, as `#s=0&a=0.6&c=a+caption&n=a+wrong+one`.

/// What is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    /// A sample's number.
    pub sample: Option<u32>,
    /// From 0 to 1.
    pub alpha: Option<f64>,
    /// Captions, each with whether it's a wrong one of the caption before.
    pub captions: Vec<(String, bool)>,
}

/// Most rows that an address may ask for.
const MOST: usize = 200;

impl Kept {
    /// The address's hash without its `#`.
    pub fn to_hash(&self) -> String {
        let mut parts = Vec::new();
        if let Some(sample) = self.sample {
            parts.push(format!("s={sample}"));
        }
        if let Some(alpha) = self.alpha {
            parts.push(format!("a={}", (alpha * 100.0).round() / 100.0));
        }
        for (text, wrong) in &self.captions {
            let key = if *wrong { "n" } else { "c" };
            parts.push(format!("{key}={}", encode(text)));
        }
        parts.join("&")
    }

    /// Reads it; what it doesn't know or can't be is left out.
    pub fn from_hash(hash: &str) -> Self {
        let mut kept = Self::default();
        for part in hash.trim_start_matches('#').split('&') {
            let Some((key, value)) = part.split_once('=') else {
                continue;
            };
            match key {
                "s" => kept.sample = value.parse().ok(),
                "a" => {
                    kept.alpha = value.parse().ok().filter(|alpha| (0.0..=1.0).contains(alpha));
                }
                "c" | "n" if kept.captions.len() < MOST => {
                    kept.captions.push((decode(value), key == "n"));
                }
                _ => (),
            }
        }
        kept
    }
}

fn encode(text: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => coded.push('+'),
            b'-' | b'_' | b'.' | b'~' | b',' | b'\'' => coded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => coded.push(char::from(byte)),
            _ => {
                coded.push('%');
                for half in [byte >> 4, byte & 15] {
                    coded.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
                }
            }
        }
    }
    coded
}

fn decode(coded: &str) -> String {
    let bytes = coded.as_bytes();
    let mut text = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |place: usize| Some(char::from(*bytes.get(place)?).to_digit(16)? as u8);
        at += 1;
        match (byte, hex(at), hex(at + 1)) {
            (b'%', Some(high), Some(low)) => {
                text.push(high << 4 | low);
                at += 2;
            }
            (b'+', ..) => text.push(b' '),
            _ => text.push(byte),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn what_is_kept_comes_back() {
        let kept = Kept {
            sample: Some(3),
            alpha: Some(0.65),
            captions: vec![
                ("a man & a +1 horse = 100 %".to_owned(), false),
                ("ein Pferd reitet Jürgen 🐎".to_owned(), true),
                (String::new(), false),
            ],
        };
        assert_eq!(Kept::from_hash(&format!("#{}", kept.to_hash())), kept);
    }

    #[test]
    fn an_address_of_anybodys_does_no_harm() {
        for hash in ["", "#", "#s=-1&a=7&c", "#a=NaN", "#=&=&&", "#x=y"] {
            assert_eq!(Kept::from_hash(hash), Kept::default(), "{hash}");
        }
        let odd = Kept::from_hash("#c=%&c=%F&c=%zz&c=%FF");
        let texts: Vec<&str> = odd.captions.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["%", "%F", "%zz", "\u{FFFD}"]);
        assert_eq!(Kept::from_hash(&"c=a&".repeat(5_000)).captions.len(), 200);
    }
}
