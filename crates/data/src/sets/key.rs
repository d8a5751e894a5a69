//! Duplicate captions.

/// A digest of a caption without its case, spacing and ASCII punctuation. Captions with the same digest are duplicates.
pub fn caption_key(caption: &str) -> [u8; 16] {
    let mut plain = String::with_capacity(caption.len());
    let letters = |word: &&str| word.contains(|letter: char| !letter.is_ascii_punctuation());
    for word in caption.split_whitespace().filter(letters) {
        if !plain.is_empty() {
            plain.push(' ');
        }
        let letters = word.chars().filter(|letter| !letter.is_ascii_punctuation());
        plain.extend(letters.flat_map(char::to_lowercase));
    }
    // A caption of punctuation alone is compared as it is.
    let text = if plain.is_empty() { caption } else { &plain };
    let mut key = [0; 16];
    key.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::caption_key;

    #[test]
    fn case_spacing_and_punctuation_make_no_other_caption() {
        for (left, right, is_same) in [
            ("A cat.", "a  cat", true),
            ("a cat - on a mat", "a cat on a mat", true),
            ("ÉTÉ", "été", true),
            ("a cat", "a cats", false),
            ("a cat", "acat", false),
            ("?", "!", false),
            ("猫", "犬", false),
        ] {
            let same = caption_key(left) == caption_key(right);
            assert_eq!(same, is_same, "{left} {right}");
        }
    }
}
