//! From a form to its possible lemmas.

use crate::lexicon::{Lexicon, Pos, Slot, WordId};

/// A reading of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The lemma, which has senses in this part of speech.
    pub lemma: WordId,
    /// Its part of speech.
    pub pos: Pos,
    /// The slot; `None` for the base form.
    pub slot: Option<Slot>,
}

/// Endings of inflected forms, and the endings of their lemmas.
const ENDINGS: [(&str, &str, Pos, Slot); 19] = [
    ("ies", "y", Pos::Noun, Slot::Plural),
    ("es", "", Pos::Noun, Slot::Plural),
    ("s", "", Pos::Noun, Slot::Plural),
    ("men", "man", Pos::Noun, Slot::Plural),
    ("ies", "y", Pos::Verb, Slot::ThirdPerson),
    ("es", "", Pos::Verb, Slot::ThirdPerson),
    ("s", "", Pos::Verb, Slot::ThirdPerson),
    ("ied", "y", Pos::Verb, Slot::Past),
    ("ed", "", Pos::Verb, Slot::Past),
    ("ed", "e", Pos::Verb, Slot::Past),
    ("ying", "ie", Pos::Verb, Slot::Gerund),
    ("ing", "", Pos::Verb, Slot::Gerund),
    ("ing", "e", Pos::Verb, Slot::Gerund),
    ("ier", "y", Pos::Adjective, Slot::Comparative),
    ("er", "", Pos::Adjective, Slot::Comparative),
    ("er", "e", Pos::Adjective, Slot::Comparative),
    ("iest", "y", Pos::Adjective, Slot::Superlative),
    ("est", "", Pos::Adjective, Slot::Superlative),
    ("est", "e", Pos::Adjective, Slot::Superlative),
];

/// Every reading of a form in lower case, base forms first.
pub fn readings(lexicon: &Lexicon, form: &str, mut each: impl FnMut(Reading)) {
    if let Some(lemma) = lexicon.find(form) {
        for pos in Pos::ALL {
            if !lexicon.senses(lemma, pos).is_empty() {
                each(Reading { lemma, pos, slot: None });
            }
        }
        for entry in lexicon.analyses(lemma) {
            let pos = match entry.slot {
                Slot::Plural => Pos::Noun,
                Slot::Comparative | Slot::Superlative => Pos::Adjective,
                _ => Pos::Verb,
            };
            if !lexicon.senses(entry.lemma, pos).is_empty() {
                each(Reading { lemma: entry.lemma, pos, slot: Some(entry.slot) });
            }
        }
    }
    let mut lemma = String::with_capacity(form.len() + 2);
    for (ending, original, pos, slot) in ENDINGS {
        let Some(stem) = form.strip_suffix(ending) else {
            continue;
        };
        // Lying and dying have a single letter before the ending.
        if stem.len() < 2 && original != "ie" {
            continue;
        }
        let mut offer = |lemma: &str| {
            if let Some(lemma) = lexicon.find(lemma)
                && !lexicon.senses(lemma, pos).is_empty()
            {
                each(Reading { lemma, pos, slot: Some(slot) });
            }
        };
        lemma.clear();
        lemma.push_str(stem);
        lemma.push_str(original);
        offer(&lemma);
        // sitting, sit
        if original.is_empty()
            && !ending.ends_with('s')
            && let [.., before, last] = stem.as_bytes()
            && before == last
            && last.is_ascii_alphabetic()
        {
            offer(&stem[..stem.len() - 1]);
        }
    }
}

/// The lemma of a form in a part of speech and slot; the most frequent one of several.
pub fn lemma(lexicon: &Lexicon, form: &str, pos: Pos, slot: Option<Slot>) -> Option<WordId> {
    let mut best: Option<(u64, WordId)> = None;
    readings(lexicon, form, |reading| {
        let fits = reading.pos == pos
            && (reading.slot == slot
                // Regular participles are listed as past forms.
                || (slot == Some(Slot::Participle) && reading.slot == Some(Slot::Past)));
        if !fits {
            return;
        }
        let weight = lexicon.weight(reading.lemma, pos);
        if best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, reading.lemma));
        }
    });
    best.map(|(_, lemma)| lemma)
}
