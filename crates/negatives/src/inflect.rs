//! From a lemma to the form of a tag, which keeps the number, tense and degree of the caption.

use crate::lexicon::{Lexicon, Pos, Slot};
use crate::tagger::Tag;

/// The slot of a tag; `None` for the base form.
pub fn slot(tag: Tag) -> Option<Slot> {
    Some(match tag {
        Tag::NNS | Tag::NNPS => Slot::Plural,
        Tag::VBZ => Slot::ThirdPerson,
        Tag::VBD => Slot::Past,
        Tag::VBN => Slot::Participle,
        Tag::VBG => Slot::Gerund,
        Tag::JJR | Tag::RBR => Slot::Comparative,
        Tag::JJS | Tag::RBS => Slot::Superlative,
        _ => return None,
    })
}

/// A lemma in a slot. The last of several words is inflected, or the first of a phrasal verb.
pub fn inflect(lexicon: &Lexicon, lemma: &str, pos: Pos, slot: Option<Slot>) -> String {
    let Some(slot) = slot else {
        return lemma.to_owned();
    };
    let single = |word: &str| match lexicon.find(word).and_then(|id| lexicon.irregular(id, slot)) {
        Some(form) => lexicon.word(form).to_owned(),
        None => regular(word, slot),
    };
    match pos {
        Pos::Verb => match lemma.split_once(' ') {
            Some((verb, rest)) => format!("{} {rest}", single(verb)),
            None => single(lemma),
        },
        _ => match lemma.rsplit_once(' ') {
            Some((rest, noun)) => format!("{rest} {}", single(noun)),
            None => single(lemma),
        },
    }
}

/// The regular form, by the rules of spelling.
pub fn regular(word: &str, slot: Slot) -> String {
    let bytes = word.as_bytes();
    let last = bytes.last().copied().unwrap_or_default();
    let before = bytes.len().checked_sub(2).map_or(0, |at| bytes[at]);
    // A y after a vowel stays: days, played.
    let soft_y = last == b'y' && before.is_ascii_alphabetic() && !is_vowel(before);
    let stem = &word[..word.len() - usize::from(soft_y)];
    match slot {
        Slot::Plural | Slot::ThirdPerson => {
            if soft_y {
                format!("{stem}ies")
            } else if ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end))
                || (slot == Slot::ThirdPerson && last == b'o' && !is_vowel(before))
            {
                format!("{word}es")
            } else {
                format!("{word}s")
            }
        }
        Slot::Past | Slot::Participle => {
            if soft_y {
                format!("{stem}ied")
            } else if last == b'e' {
                format!("{word}d")
            } else {
                format!("{}ed", doubled(word))
            }
        }
        Slot::Gerund => {
            if let Some(stem) = word.strip_suffix("ie") {
                format!("{stem}ying")
            } else if last == b'e' && !matches!(before, b'e' | b'o' | b'y') && word.len() > 2 {
                format!("{}ing", &word[..word.len() - 1])
            } else {
                format!("{}ing", doubled(word))
            }
        }
        Slot::Comparative | Slot::Superlative => {
            let (ending, more) =
                if slot == Slot::Comparative { ("er", "more") } else { ("est", "most") };
            let vowels = syllables(word);
            if soft_y && vowels <= 2 {
                format!("{stem}i{ending}")
            } else if vowels > 1 && !(word.ends_with("le") || word.ends_with("ow")) {
                format!("{more} {word}")
            } else if last == b'e' {
                format!("{}{ending}", &word[..word.len() - 1])
            } else {
                format!("{}{ending}", doubled(word))
            }
        }
    }
}

/// A word of one syllable that ends in one vowel and one consonant, with the consonant twice: sit, sitt.
fn doubled(word: &str) -> String {
    let bytes = word.as_bytes();
    let mut result = word.to_owned();
    if let [.., before, vowel, last] = bytes
        && last.is_ascii_alphabetic()
        && !is_vowel(*last)
        && !matches!(last, b'w' | b'x' | b'y')
        && is_vowel(*vowel)
        // The u of qu is no vowel: quit, quitting.
        && (!is_vowel(*before) || word.starts_with("qu"))
        && syllables(word) == 1
    {
        result.push(char::from(*last));
    }
    result
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u')
}

/// Groups of vowels, without a silent e.
fn syllables(word: &str) -> usize {
    let mut count = 0;
    let mut inside = false;
    for byte in word.bytes() {
        let vowel = is_vowel(byte) || byte == b'y';
        count += usize::from(vowel && !inside);
        inside = vowel;
    }
    if word.ends_with('e') && !word.ends_with("le") && count > 1 {
        count -= 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{Slot, regular};

    #[test]
    fn the_rules_of_spelling_hold() {
        for (word, slot, form) in [
            ("dog", Slot::Plural, "dogs"),
            ("city", Slot::Plural, "cities"),
            ("day", Slot::Plural, "days"),
            ("bench", Slot::Plural, "benches"),
            ("sit", Slot::Gerund, "sitting"),
            ("quit", Slot::Gerund, "quitting"),
            ("ride", Slot::Gerund, "riding"),
            ("see", Slot::Gerund, "seeing"),
            ("lie", Slot::Gerund, "lying"),
            ("eat", Slot::Gerund, "eating"),
            ("show", Slot::Gerund, "showing"),
            ("open", Slot::Gerund, "opening"),
            ("stop", Slot::Past, "stopped"),
            ("carry", Slot::Past, "carried"),
            ("play", Slot::Past, "played"),
            ("go", Slot::ThirdPerson, "goes"),
            ("big", Slot::Comparative, "bigger"),
            ("happy", Slot::Superlative, "happiest"),
            ("large", Slot::Comparative, "larger"),
            ("wooden", Slot::Comparative, "more wooden"),
        ] {
            assert_eq!(regular(word, slot), form);
        }
    }
}
