//! Guards the truth of negatives: none is true of the picture, none means the same as its caption, none is ungrammatical where rules can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clove_negatives::{Negative, RULES, Request, Style, WhyNone};
use clove_tests_wasm::generator;

/// Negatives of a caption over many seeds.
fn many(caption: &str, style: Style) -> Vec<Negative> {
    let of = |seed| Request { caption, others: &[], style, count: 4, seed, epoch: 0, index: 0 };
    (0..60).flat_map(|seed| generator().negatives(&of(seed)).negatives).collect()
}

fn replaced(caption: &str) -> Vec<Negative> {
    let made = many(caption, Style::Replace);
    assert!(!made.is_empty(), "{caption}");
    made
}

#[test]
fn an_exchange_that_keeps_the_meaning_is_not_made() {
    for caption in [
        "a brown horse and a brown cow",
        "two sinks and two mirrors",
        "CAT | DOG",
        "red car; blue car",
        "a dog &amp; a cat",
        "a dog + a cat",
        "dog / cat",
        "a dog or a cat",
        "a dog as well as a cat",
        "a girl hugging a boy",
        "a bride dances with a groom",
        "a man talking with a woman",
        "a man walks with a dog",
        "the man and his dog",
        "an apple beside an orange",
        "a horse next to a cow",
        "a plate and a dish of pasta",
        "a decorated cup and knife",
    ] {
        for style in [Style::Swap, Style::Negclip] {
            assert_eq!(many(caption, style), [], "{caption}");
        }
    }
    for (caption, wanted) in [
        ("a brown horse and a white cow", "a white horse and a brown cow"),
        ("two dogs and three cats", "three dogs and two cats"),
        ("a dog chasing a cat", "a cat chasing a dog"),
        ("women's shoes and men's hats", "women's hats and men's shoes"),
        ("a group of people near a bus on a bridge", "a group of people near a bridge on a bus"),
    ] {
        let made = many(caption, Style::Swap);
        assert!(made.iter().any(|negative| negative.text == wanted), "{caption}: {made:?}");
    }
}

#[test]
fn an_order_that_keeps_the_meaning_is_no_negative() {
    for (caption, never) in [
        ("an airplane is flying above the clouds", "above the clouds an airplane is flying"),
        ("an apple next to an orange", "an orange next to an apple"),
        ("a small brown dog", "a brown small dog"),
        ("boats float under the bridge", "under the bridge boats float"),
    ] {
        for style in [Style::Shuffle, Style::Mixed] {
            for negative in many(caption, style) {
                assert!(!negative.text.eq_ignore_ascii_case(never), "{negative:?}");
            }
        }
    }
}

#[test]
fn what_follows_from_the_caption_replaces_nothing() {
    // Caption, what isn't replaced, and what replaces nothing.
    for (caption, from, to) in [
        ("more than ten people at a station with a dog", &["ten"][..], &[][..]),
        ("at least three dogs on a beach", &["three"], &[]),
        ("up to five candles on a cake near a cat", &["five"], &[]),
        ("over 12 balloons and a dog", &["12"], &[]),
        ("2 or 3 dogs on a beach", &["2", "3"], &[]),
        ("a cat or a dog on a couch", &["cat", "dog"], &[]),
        ("a cat and a dog on a couch", &[], &["cat", "dog"]),
        ("a man and a woman on a horse", &[], &["man", "woman", "lady", "guy"]),
        ("a man reading his book on a couch", &[], &["woman", "girl"]),
        ("a woman looks at herself near a dog", &[], &["man", "boy"]),
        ("a herd of sheep on a hill near a dog", &["herd"], &["flock"]),
        ("a plate of pasta on a table", &[], &["dish", "tray", "desk"]),
        ("an old suitcase beside a bed", &[], &["trunk", "bag", "luggage"]),
        ("many books on a wooden shelf", &["many"], &["few"]),
        ("a kitchen with a stove and a dog", &["stove"], &[]),
        ("a plate sits next to a cup on a table", &["sits"], &[]),
        ("people waiting in the rain near a dog", &["in"], &[]),
        ("the women's team and a dog", &["women"], &[]),
        ("the New York Times building near a dog", &["building", "York", "Times"], &[]),
    ] {
        for negative in replaced(caption) {
            let unwanted =
                from.contains(&negative.from.as_str()) || to.contains(&negative.to.as_str());
            assert!(!unwanted, "{caption}: {negative:?}");
        }
    }
}

#[test]
fn relations_are_replaced_by_their_opposite_only() {
    for (caption, from, wanted) in [
        ("a cup to the left of a plate", "to the left of", &["to the right of"][..]),
        ("a bird above a fence", "above", &["under", "below"]),
        ("a cat under a bed", "under", &["on top of"]),
        ("a dog in a car", "in", &["outside"]),
        ("a dog behind a fence", "behind", &["in front of"]),
        ("a man getting out of a car", "out of", &["into"]),
        ("a woman with a dog", "with", &["without"]),
        ("a man running down a hill", "down", &["up"]),
    ] {
        let made = replaced(caption);
        let found: BTreeSet<&str> = made
            .iter()
            .filter(|negative| negative.from == from)
            .map(|negative| negative.to.as_str())
            .collect();
        assert_eq!(found, wanted.iter().copied().collect(), "{caption}");
    }
}

#[test]
fn forms_and_capitals_are_those_of_english() {
    for style in Style::ALL {
        for negative in many("the smallest dog in the park with a cat", style) {
            assert!(!negative.text.contains("malest"), "{negative:?}");
        }
        for negative in many("women's and men's shoes beside a large dog on a small bed", style) {
            assert!(!negative.text.contains("'s's"), "{negative:?}");
        }
        for negative in many("Night in Paris with a red car and a blue bus", style) {
            assert!(!negative.text.contains("paris"), "{negative:?}");
        }
    }
    let sizes: Vec<Negative> = replaced("the smallest dog on a bed");
    let sizes: BTreeSet<&str> = sizes
        .iter()
        .filter(|negative| negative.from == "smallest")
        .map(|negative| negative.to.as_str())
        .collect();
    assert!(sizes.contains("largest") && sizes.iter().all(|to| to.ends_with("est")), "{sizes:?}");
    // Quantifiers aren't adjectives.
    for style in [Style::Swap, Style::Negclip] {
        for negative in many("many books on a wooden shelf with several red cups", style) {
            assert!(
                !negative.text.contains("a many") && !negative.text.contains("several shelf"),
                "{negative:?}"
            );
        }
    }
}

#[test]
fn what_is_no_language_is_kept() {
    for (caption, whole) in [
        ("5 people at 7:30 with a red car and a blue bus", "7:30"),
        ("a 16:9 photo of a red car and a blue bus", "16:9"),
        (
            "https://a.example/red-car.html shows a red car and a blue bus",
            "https://a.example/red-car.html",
        ),
        ("mail dog.cat@example.com for a red car and a blue bus", "dog.cat@example.com"),
        ("IMG_2041.JPG a red car beside a blue bus", "IMG_2041.JPG"),
        ("a red car beside a blue bus #dog", "#dog"),
        ("a red car &amp; a blue bus on a bridge", "&amp;"),
    ] {
        for style in Style::ALL {
            for negative in many(caption, style) {
                assert!(negative.text.contains(whole), "{}: {negative:?}", style.name());
            }
        }
    }
}

#[test]
fn captions_in_other_languages_have_none() {
    for caption in [
        "ein Hund und eine Katze auf dem Sofa",
        "un chat noir dort sur le canapé",
        "un hombre monta a caballo",
        "собака на диване",
        "一只猫和一只狗",
    ] {
        for style in Style::ALL {
            let request =
                Request { caption, others: &[], style, count: 1, seed: 0, epoch: 0, index: 0 };
            let made = generator().negatives(&request);
            assert_eq!(
                (made.negatives, made.why_none),
                (vec![], Some(WhyNone::NotEnglish)),
                "{caption}"
            );
        }
    }
}

/// Of each style, how many of a hundred negatives may be poor.
const MOST_POOR: [(&str, usize); 3] = [("replace", 8), ("swap", 10), ("negclip", 12)];

#[test]
fn the_judged_negatives_are_those_of_the_current_rules() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("judged/negatives.tsv");
    let text = fs::read_to_string(file).unwrap();
    // By style: poor ones, and all.
    let mut held_out: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[rules, sample, style, index, verdict, caption, negative] = &fields[..] else {
            panic!("{line}");
        };
        assert!(["good", "ungrammatical", "same", "true"].contains(&verdict), "{line}");
        if rules.parse() != Ok(RULES) {
            continue;
        }
        let found = Style::ALL.into_iter().find(|known| known.name() == style).unwrap();
        let index = index.parse().unwrap();
        let request =
            Request { caption, others: &[], style: found, count: 1, seed: 5, epoch: 0, index };
        let made = generator().negatives(&request).negatives;
        let made: Vec<&str> = made.iter().map(|made| made.text.as_str()).collect();
        assert_eq!(made, [negative], "{caption}");
        if sample == "held-out" {
            let (poor, all) = held_out.entry(style).or_default();
            *poor += usize::from(verdict != "good");
            *all += 1;
        }
    }
    for (style, most) in MOST_POOR {
        let (poor, all) = held_out[style];
        assert!(all > 60 && poor * 100 <= most * all, "{style}: {poor} of {all}");
    }
}
