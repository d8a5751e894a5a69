//! Irregular forms: those of the crate `english` (from Wiktionary) that differ from the rules.
//!
//! For some common verbs that crate puts a rare or old form first (weared, flied), so irregular_verbs.txt lists the past and the
//! participle of irregular verbs.

use std::collections::HashMap;

use clove_negatives::inflect::regular;
use clove_negatives::lexicon::{Irregular, Pos, Slot};
use english::{Degree, English, Form, Number, Person, Tense};

use super::wordnet::WordNet;

/// Lemma, slot, form.
pub type Entry = (String, Slot, String);

/// Base, past, participle.
const VERBS: &str = include_str!("irregular_verbs.txt");

/// Plurals that captions use where the dictionary puts a rarer one first.
const PLURALS: [(&str, &str); 3] = [("person", "people"), ("roof", "roofs"), ("die", "dice")];

/// Nouns that have one form for any number.
const INVARIANT: &str = "binoculars, blinds, clothes, earphones, eyeglasses, glasses, goggles, headphones, jeans, overalls, \
                         pajamas, pants, pliers, scissors, shears, shorts, skis, spectacles, sunglasses, swimming trunks, tights, \
                         tongs, trousers, trunks";

/// The irregular forms of WordNet's words.
pub fn find(wordnet: &WordNet) -> Vec<Entry> {
    let mut found = Vec::new();
    let verbs: HashMap<&str, [&str; 2]> = VERBS
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, [words.next()?, words.next()?]))
        })
        .collect();
    let mut add = |lemma: &str, slot: Slot, form: String| {
        let preferred = match slot {
            Slot::Plural if INVARIANT.split(", ").any(|noun| noun == lemma) => Some(lemma),
            Slot::Plural => {
                PLURALS.iter().find(|(word, _)| *word == lemma).map(|(_, plural)| *plural)
            }
            Slot::Past => verbs.get(lemma).map(|[past, _]| *past),
            Slot::Participle => verbs.get(lemma).map(|[_, participle]| *participle),
            _ => None,
        };
        let form = preferred.map_or(form, str::to_owned);
        let plain =
            form.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'\''));
        if plain && !form.is_empty() && form != regular(lemma, slot) {
            found.push((lemma.to_owned(), slot, form));
        }
    };
    let single = |lemma: &&str| !lemma.contains(' ') && lemma.len() > 1;
    for lemma in wordnet.lemmas(Pos::Noun).into_iter().filter(single) {
        add(lemma, Slot::Plural, English::noun(lemma, &Number::Plural));
    }
    for lemma in wordnet.lemmas(Pos::Verb).into_iter().filter(single) {
        let verb = |tense: Tense, form: Form| {
            English::verb(lemma, &Person::Third, &Number::Singular, &tense, &form)
        };
        add(lemma, Slot::ThirdPerson, verb(Tense::Present, Form::Finite));
        add(lemma, Slot::Past, verb(Tense::Past, Form::Finite));
        add(lemma, Slot::Participle, verb(Tense::Past, Form::Participle));
        add(lemma, Slot::Gerund, verb(Tense::Present, Form::Participle));
    }
    for lemma in wordnet.lemmas(Pos::Adjective).into_iter().filter(single) {
        add(lemma, Slot::Comparative, English::adj(lemma, &Degree::Comparative));
        add(lemma, Slot::Superlative, English::adj(lemma, &Degree::Superlative));
    }
    found
}

/// The forms in the lexicon's format; `words` are in ascending order.
pub fn entries(found: &[Entry], words: &[String]) -> Vec<Irregular> {
    let id = |word: &String| words.binary_search(word).ok().map(|at| at as u32);
    found
        .iter()
        .filter_map(|(lemma, slot, form)| {
            Some(Irregular { form: id(form)?, lemma: id(lemma)?, slot: *slot })
        })
        .collect()
}
