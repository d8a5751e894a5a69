//! "a" or "an", by the sound of the next word, estimated from its spelling.

use crate::words::{Token, tokens};

/// Corrects articles before words that they didn't precede in the caption, whose tokens are `of`.
pub fn mend(of: &[Token], text: String) -> String {
    if !text.contains(['a', 'A']) {
        return text;
    }
    let after = tokens(&text);
    let mut mended: Option<String> = None;
    for pair in after.windows(2).rev() {
        let (article, next) = (&pair[0], &pair[1]);
        if !matches!(article.lower.as_str(), "a" | "an") || !next.word {
            continue;
        }
        let wanted = if needs_an(&next.lower) { "an" } else { "a" };
        let stood = || {
            of.windows(2).any(|pair| pair[0].lower == article.lower && pair[1].lower == next.lower)
        };
        if article.lower == wanted || stood() {
            continue;
        }
        let written = article.of(&text);
        // "A" may be a capital at a beginning, or all capitals, depending on the next word.
        let shouted = written.len() == 1
            && next.of(&text).chars().filter(|c| c.is_alphabetic()).count() > 1
            && next.of(&text).chars().all(|c| !c.is_lowercase());
        let new = match (article.capital, shouted || written == "AN") {
            (true, true) => wanted.to_uppercase(),
            (true, false) => {
                let (first, rest) = wanted.split_at(1);
                format!("{}{rest}", first.to_uppercase())
            }
            _ => wanted.to_owned(),
        };
        mended.get_or_insert_with(|| text.clone()).replace_range(article.start..article.end, &new);
    }
    mended.unwrap_or(text)
}

/// Whether a word in lower case begins with a vowel sound.
fn needs_an(word: &str) -> bool {
    const SILENT_H: [&str; 5] = ["hour", "honest", "honor", "honour", "heir"];
    const CONSONANT_SOUND: [&str; 18] = [
        "uni", "use", "usa", "usu", "uti", "ute", "ura", "eu", "ewe", "one", "once", "uk", "ufo",
        "ubiq", "urin", "u-", "ukul", "uran",
    ];
    const VOWEL_SOUND: [&str; 6] = ["unin", "unim", "unident", "unimp", "unill", "urana"];
    let starts = |list: &[&str]| list.iter().any(|start| word.starts_with(start));
    match word.chars().next() {
        Some('a' | 'i' | 'o' | 'e' | 'u') => !starts(&CONSONANT_SOUND) || starts(&VOWEL_SOUND),
        Some('h') => starts(&SILENT_H),
        Some('8') => true,
        Some('1') => word == "11" || word == "18",
        _ => matches!(
            word,
            "x-ray" | "f" | "mp3" | "suv" | "lcd" | "led" | "rv" | "sd" | "nfl" | "nba" | "hdtv"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::needs_an;

    #[test]
    fn sounds_count_and_not_letters() {
        for word in ["apple", "umbrella", "hour", "unidentified", "18", "x-ray", "open"] {
            assert!(needs_an(word), "{word}");
        }
        for word in ["dog", "unicorn", "uniform", "one-way", "european", "house", "1", "used"] {
            assert!(!needs_an(word), "{word}");
        }
    }
}
