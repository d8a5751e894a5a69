//! Whether a caption is English: the rules for negatives know no other language.

use crate::lexicon::Lexicon;
use crate::words::Token;

/// Words of other languages that English captions hardly have.
const FOREIGN: [&str; 57] = [
    "un", "une", "le", "les", "des", "du", "et", "est", "sur", "dans", "avec", "pour", "qui",
    "der", "das", "und", "ein", "eine", "einem", "einen", "einer", "auf", "mit", "ist", "dem",
    "von", "el", "los", "las", "una", "uno", "y", "con", "por", "para", "en", "sobre", "que", "il",
    "lo", "gli", "di", "della", "che", "sul", "nel", "um", "uma", "na", "da", "het", "een", "op",
    "och", "ett", "på", "og",
];

/// Words that nearly every English caption has one of.
const ENGLISH: [&str; 30] = [
    "a", "an", "the", "of", "in", "on", "with", "and", "is", "are", "at", "by", "for", "to",
    "from", "next", "near", "over", "under", "his", "her", "its", "their", "this", "that", "there",
    "while", "two", "it", "some",
];

/// Captions of fewer words are too short to tell.
const FEWEST: usize = 3;

/// Whether a caption reads like English, by its words: in English ones nearly all are known, and function words are English.
pub fn is_english(lexicon: &Lexicon, tokens: &[Token]) -> bool {
    let words = || tokens.iter().filter(|token| token.word && !token.opaque);
    let letters = |token: &&Token| token.lower.chars().any(char::is_alphabetic);
    let all = words().filter(letters).count();
    // Scripts without spaces have few long words.
    let latin = words().flat_map(|token| token.lower.chars()).filter(|c| c.is_alphabetic());
    let other = latin.clone().filter(|c| *c > '\u{24f}').count();
    if other * 2 > latin.count() {
        return false;
    }
    if all < FEWEST {
        return true;
    }
    let count =
        |list: &[&str]| words().filter(|token| list.contains(&token.lower.as_str())).count();
    let (foreign, english) = (count(&FOREIGN), count(&ENGLISH));
    // Names are known to no lexicon.
    let unknown = words()
        .filter(letters)
        .filter(|token| (foreign > 0 || !token.capital) && !knows(lexicon, &token.lower))
        .count();
    foreign < english + 2 && (unknown * 2 <= all || english * 4 > all)
}

fn knows(lexicon: &Lexicon, word: &str) -> bool {
    let mut known = lexicon.find(word).is_some() || word.starts_with(['\'', '\u{2019}']);
    crate::morphology::readings(lexicon, word, |_| known = true);
    known
        || word.split('-').filter(|part| !part.is_empty()).all(|part| lexicon.find(part).is_some())
}

#[cfg(test)]
mod tests {
    use super::is_english;
    use crate::lexicon::Lexicon;
    use crate::words::tokens;

    #[test]
    fn other_languages_are_told_apart() {
        let lexicon = Lexicon::from_bytes(crate::ENGLISH).unwrap();
        let english = |text: &str| is_english(&lexicon, &tokens(text));
        for text in [
            "a black dog is sleeping on a couch",
            "dog running",
            "xyzzy",
            "Red Roses; White Lilies",
            "two men ride horses along the beach in Rio de Janeiro",
            "THERE IS A BOY PLAYING BASEBALL",
            "a tog is leashed to a post",
            "Men's Running Shoes, Blue/White",
            "a café by the Champs-Élysées",
            "Brown wooden chair",
        ] {
            assert!(english(text), "{text}");
        }
        for text in [
            "ein Hund und eine Katze auf dem Sofa",
            "un chat noir dort sur le canapé",
            "un hombre monta a caballo",
            "una mujer con un perro en la playa",
            "een man op een fiets",
            "der Hund schläft",
            "собака на диване",
            "一只猫和一只狗",
            "ソファの上の猫",
            "två hundar springer på en strand",
        ] {
            assert!(!english(text), "{text}");
        }
    }
}
