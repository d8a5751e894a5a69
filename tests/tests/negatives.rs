//! Guards hard negatives of captions: their exchanges and grammar, exclusions, and how many captions have one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use clove_negatives::phrases::{Analysis, Link};
use clove_negatives::words::tokens;
use clove_negatives::{Kind, LONGEST_CAPTION, Made, Negative, Request, Style, WhyNone};
use clove_tests::{golden, held, json, shared};
use clove_tests_wasm::{CAPTIONS, digest_of, generator};
use proptest::prelude::*;
use serde_json::{Value, json};

fn request(caption: &str, style: Style, count: usize, seed: u64) -> Request<'_> {
    Request { caption, others: &[], style, count, seed, epoch: 0, index: 0 }
}

fn made(caption: &str, style: Style, count: usize, seed: u64) -> Made {
    generator().negatives(&request(caption, style, count, seed))
}

/// Negatives of a caption over many seeds.
fn many(caption: &str, style: Style) -> Vec<Negative> {
    (0..60).flat_map(|seed| made(caption, style, 1, seed).negatives).collect()
}

fn texts(negatives: &[Negative]) -> Vec<&str> {
    negatives.iter().map(|negative| negative.text.as_str()).collect()
}

#[test]
fn captions_are_analysed_into_chunks_and_relations() {
    for (caption, chunks, relations) in [
        (
            "A small brown dog sits in front of the old man's red tennis racket.",
            &["A small brown dog", "the old man's red tennis racket"][..],
            &["sits", "in front of"][..],
        ),
        (
            "Two people riding horses on the beach",
            &["Two people", "horses", "the beach"],
            &["riding", "on"],
        ),
        (
            "A black and white cat is lying next to a parked car",
            &["A black and white cat", "a parked car"],
            &["lying", "next to"],
        ),
    ] {
        let analysis = Analysis::new(generator().lexicon(), caption, tokens(caption));
        let found: Vec<_> = analysis.chunks.iter().map(|c| analysis.slice(&c.tokens)).collect();
        assert_eq!(found, chunks, "{caption}");
        let found: Vec<_> = analysis.relations.iter().map(|r| analysis.slice(&r.tokens)).collect();
        assert_eq!(found, relations, "{caption}");
    }
    let caption = "a man with a tennis racket";
    let analysis = Analysis::new(generator().lexicon(), caption, tokens(caption));
    assert_eq!(analysis.slice(&analysis.chunks[1].head), "tennis racket");
    assert!(matches!(analysis.relations[0].what, Link::Preposition(_)));
}

#[test]
fn replaced_words_keep_number_tense_case_and_article() {
    let negatives = many("An apple sits on the wooden table.", Style::Replace);
    assert!(negatives.len() > 50);
    for negative in &negatives {
        assert!(negative.text.ends_with('.'), "{negative:?}");
        let first: Vec<&str> = negative.text.split(' ').take(2).collect();
        assert_eq!(
            first[0],
            if first[1].starts_with(['a', 'e', 'i', 'o', 'u']) { "An" } else { "A" },
            "{negative:?}"
        );
        match negative.kind {
            Kind::ReplaceRelation if negative.from == "sits" => {
                assert!(negative.to.split(' ').next().unwrap().ends_with('s'), "{negative:?}");
            }
            Kind::ReplaceRelation => assert_eq!(negative.from, "on"),
            Kind::ReplaceAttribute => assert_eq!(negative.from, "wooden"),
            Kind::ReplaceObject => assert!(["apple", "table"].contains(&negative.from.as_str())),
            _ => panic!("{negative:?}"),
        }
    }
    for negative in many("Two dogs are running", Style::Replace) {
        match negative.from.as_str() {
            "dogs" => assert!(!negative.text.contains("dog"), "{negative:?}"),
            "running" => {
                assert!(negative.to.split(' ').next().unwrap().ends_with("ing"), "{negative:?}");
            }
            "Two" => assert!(
                negative.text.split(' ').next().unwrap().chars().next().unwrap().is_uppercase()
            ),
            _ => panic!("{negative:?}"),
        }
    }
}

#[test]
fn synonyms_and_words_in_line_do_not_replace() {
    // Couch and sofa are one, a dog is an animal, a person may be a woman.
    for (caption, never) in [
        ("a couch", &["sofa", "lounge", "furniture"][..]),
        ("a dog", &["animal", "canine", "domestic dog", "puppy"]),
        ("a big house", &["large"]),
        ("a black and white cat", &["black", "white"]),
        ("a cat on a mat", &["upon", "onto", "atop"]),
        ("a woman beside a tree", &["near", "next to", "by"]),
    ] {
        for negative in many(caption, Style::Replace) {
            assert!(!never.contains(&negative.to.as_str()), "{negative:?}");
        }
    }
}

#[test]
fn exchanges_that_change_nothing_are_not_made() {
    for caption in [
        "a dog and a cat",
        "a dog next to a cat",
        "a man standing near a woman",
        "a small brown dog",
    ] {
        for style in [Style::Swap, Style::Negclip] {
            let made = made(caption, style, 3, 0);
            assert_eq!(made.why_none, Some(WhyNone::NothingToChange), "{caption}: {made:?}");
        }
    }
    let swapped = many("A man is riding a horse", Style::Swap);
    assert!(texts(&swapped).contains(&"A horse is riding a man"), "{swapped:?}");
    let swapped = many("a red ball on a cube", Style::Swap);
    assert!(texts(&swapped).contains(&"a ball on a red cube"), "{swapped:?}");
    let swapped = many("a red ball and a blue cube", Style::Swap);
    for negative in &swapped {
        assert!(
            ["a blue ball and a red cube", "a red cube and a blue ball"]
                .contains(&negative.text.as_str()),
            "{negative:?}"
        );
    }
    assert!(swapped.iter().any(|negative| negative.kind == Kind::SwapAttribute));
}

#[test]
fn shuffles_keep_the_words_and_their_punctuation() {
    let caption = "A small dog, chasing two cats, runs over the wet grass.";
    let sorted = |text: &str| {
        let mut words: Vec<String> = tokens(text).into_iter().map(|token| token.lower).collect();
        words.sort();
        words
    };
    let mut kinds = BTreeMap::new();
    for negative in many(caption, Style::Shuffle) {
        assert_eq!(sorted(&negative.text), sorted(caption), "{negative:?}");
        assert_ne!(negative.text, caption);
        assert_eq!(negative.text.matches(',').count(), 2);
        assert!(negative.text.ends_with('.'));
        *kinds.entry(negative.kind).or_insert(0) += 1;
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

#[test]
fn mixed_negatives_differ_in_kind() {
    for seed in 0..20 {
        let made =
            made("A young woman holds a red umbrella over a brown dog", Style::Mixed, 3, seed);
        let kinds: BTreeSet<_> = made.negatives.iter().map(|n| n.kind).collect();
        assert_eq!((made.negatives.len(), kinds.len()), (3, 3), "{made:?}");
    }
}

#[test]
fn what_is_true_of_the_image_is_no_negative() {
    let caption = "a man riding a horse";
    let all = many(caption, Style::Swap);
    let others: Vec<&str> = texts(&all);
    let made =
        generator().negatives(&Request { others: &others, ..request(caption, Style::Swap, 4, 0) });
    assert_eq!(made.negatives, []);
    assert_eq!(made.why_none, Some(WhyNone::OnlyTrueOnes));
}

#[test]
fn negatives_are_a_function_of_text_style_and_key() {
    let caption = "A brown dog and two white cats are sleeping on a large bed";
    for style in Style::ALL {
        assert_eq!(made(caption, style, 3, 1), made(caption, style, 3, 1));
    }
    let epoch =
        |epoch| generator().negatives(&Request { epoch, ..request(caption, Style::Replace, 1, 1) });
    let different: BTreeSet<String> =
        (0..40).map(|number| epoch(number).negatives[0].text.clone()).collect();
    assert!(different.len() > 10, "{different:?}");
}

#[test]
fn what_is_no_caption_says_why() {
    let why = |caption: &str| made(caption, Style::Replace, 1, 0).why_none;
    assert_eq!(why(""), Some(WhyNone::Blank));
    assert_eq!(why(" \t\u{7}\u{0}"), Some(WhyNone::Blank));
    assert_eq!(why(&"dog ".repeat(LONGEST_CAPTION / 4 + 1)), Some(WhyNone::TooLong));
    assert_eq!(why("🐕🐕"), Some(WhyNone::NothingToChange));
    assert_eq!(made("a dog", Style::Replace, 0, 0).why_none, None);
}

#[test]
fn the_same_natively_and_in_wasm() {
    // `node tests/wasm/negatives.mjs` compares the wasm build with the same file.
    let file = golden("negatives.json");
    let digests: Vec<Value> = Style::ALL
        .iter()
        .map(|style| {
            let digest = format!("{:016x}", digest_of(*style, 0, CAPTIONS));
            json!({ "style": style.name(), "digest": digest })
        })
        .collect();
    let found = json!({ "captions": CAPTIONS, "digests": digests });
    let held = held(&file, || format!("{}\n", serde_json::to_string_pretty(&found).unwrap()));
    let held: Value = serde_json::from_str(&held).unwrap();
    assert_eq!(found, held, "CLOVE_WRITE_GOLDEN=1 writes {} anew", file.display());
}

/// The share of captions that have a negative.
fn share(captions: &[String], style: Style) -> f64 {
    let with = captions
        .iter()
        .enumerate()
        .filter(|(index, caption)| {
            let made = generator()
                .negatives(&Request { index: *index as u64, ..request(caption, style, 1, 0) });
            !made.negatives.is_empty()
        })
        .count();
    with as f64 / captions.len() as f64
}

#[test]
fn most_coco_captions_have_a_negative() {
    let Some(file) = shared("photos/coco-val2017/captions.json") else { return };
    let Some(dir) = shared("benchmarks/sugar-crepe") else { return };
    let caption = |row: &Value| row["caption"].as_str().unwrap().to_owned();
    let captions: Vec<String> =
        json(&file)["annotations"].as_array().unwrap().iter().map(caption).collect();
    let mut crepe = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let rows = json(&entry.unwrap().path());
        crepe.extend(rows.as_object().unwrap().values().map(caption));
    }
    for captions in [captions, crepe] {
        for (style, least) in [(Style::Replace, 0.95), (Style::Swap, 0.80), (Style::Negclip, 0.75)]
        {
            let share = share(&captions, style);
            assert!(share >= least, "{}: {share} of {}", style.name(), captions.len());
        }
    }
}

/// Arbitrary texts, and texts like captions.
fn any_text() -> impl Strategy<Value = String> {
    let words = "a A dogs red on top of riding the man's isn't t-shirt 🐕 . , TWO next to İ ß \u{301} 3.5 ' -";
    let word = prop::sample::select(words.split(' ').collect::<Vec<_>>());
    prop_oneof![
        any::<String>(),
        "\\PC{0,80}",
        prop::collection::vec(word, 0..24).prop_map(|words| words.join(" ")),
        prop::collection::vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_anything(text in any_text(), seed in any::<u64>(), count in 0_usize..5) {
        let mut last = 0;
        for token in tokens(&text) {
            prop_assert!(last <= token.start && token.start < token.end && token.end <= text.len());
            prop_assert!(text.is_char_boundary(token.start) && text.is_char_boundary(token.end));
            last = token.end;
        }
        for style in Style::ALL {
            let made = made(&text, style, count, seed);
            prop_assert!(made.negatives.len() <= count);
            if count > 0 {
                prop_assert_eq!(made.why_none.is_some(), made.negatives.is_empty());
            }
            let mut seen = BTreeSet::from([text.clone()]);
            for negative in made.negatives {
                prop_assert!(seen.insert(negative.text.clone()), "{:?}", negative);
                prop_assert!(negative.from != negative.to, "{:?}", negative);
            }
        }
    }
}
