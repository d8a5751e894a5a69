//! The page's state in its address: captions, alpha and the sample, as `#s=0&a=0.6&c=a+caption&n=a+wrong+one`.

use crate::percent::{decode, encode};

/// The state that an address holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    /// The number of the sample.
    pub sample: Option<u32>,
    /// Alpha, from 0 to 1.
    pub alpha: Option<f64>,
    /// Captions, each with whether it's a wrong caption (of the caption before it).
    pub captions: Vec<(String, bool)>,
}

/// The most captions in an address.
const MOST: usize = 200;

impl Kept {
    /// The address's fragment, without `#`.
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
            parts.push(format!("{key}={}", encode(text, "-_.~,' ").replace(' ', "+")));
        }
        parts.join("&")
    }

    /// Reads a fragment; skips unknown keys and invalid values.
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
                    kept.captions.push((decode(&value.replace('+', " ")), key == "n"));
                }
                _ => (),
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn the_state_survives_its_address() {
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
    fn invalid_addresses_give_defaults() {
        for hash in ["", "#", "#s=-1&a=7&c", "#a=NaN", "#=&=&&", "#x=y"] {
            assert_eq!(Kept::from_hash(hash), Kept::default(), "{hash}");
        }
        let odd = Kept::from_hash("#c=%&c=%F&c=%zz&c=%FF");
        let texts: Vec<&str> = odd.captions.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["%", "%F", "%zz", "\u{FFFD}"]);
        assert_eq!(Kept::from_hash(&"c=a&".repeat(5_000)).captions.len(), 200);
    }
}
