//! Guards ARO's orders of words: its rules, and how near our tokens and tags come to spaCy's and NLTK's.
//!
//! Golden: tests/golden/make_orders.py.

use clove_data::benchmarks::aro::{Class, Cut, cleaned};
use clove_negatives::{ENGLISH, Generator};
use clove_tests::{golden, json, strings};
use serde_json::Value;

/// The class of a tag, as mertyg/vision-language-models-are-bows: dataset_zoo/perturbations.py lists them.
fn class(tag: &str) -> Class {
    match tag {
        "NN" | "NNS" | "NNP" | "NNPS" => Class::Noun,
        "JJ" | "JJR" | "JJS" => Class::Adjective,
        _ => Class::Other,
    }
}

/// Captions with their tokens by spaCy and NLTK.
fn captions() -> Vec<(String, Cut, Value)> {
    let rows = json(&golden("orders.json"));
    let cut = |row: &Value| {
        let (tokens, tags) = (strings(&row["tokens"]), strings(&row["tags"]));
        let tagged = tokens.into_iter().zip(tags.iter().map(|tag| class(tag))).collect();
        let caption = row["caption"].as_str().unwrap().to_owned();
        (caption, Cut { tagged, words: strings(&row["words"]) }, row.clone())
    };
    rows.as_array().unwrap().iter().map(cut).collect()
}

#[test]
fn orders_are_those_of_aros_rules() {
    for (caption, cut, row) in captions() {
        assert_eq!(row["cleaned"], cleaned(&caption));
        let next = cut.orders(&mut |order: &mut [usize]| {
            if !order.is_empty() {
                order.rotate_left(1);
            }
        });
        let backwards = cut.orders(&mut |order: &mut [usize]| order.reverse());
        for (found, key) in [(next, "next"), (backwards, "backwards")] {
            assert_eq!(found.to_vec(), strings(&row[key]), "{caption:?} {key}");
        }
    }
}

#[test]
fn nouns_stay_among_nouns_and_adjectives_among_adjectives() {
    let generator = Generator::new(ENGLISH).unwrap();
    let caption = "a small black dog chases the white fluffy cat";
    let cut = Cut::new(generator.lexicon(), caption);
    let [names, others, ..] = cut.orders(&mut |order: &mut [usize]| order.reverse());
    assert_eq!(names, "a fluffy white cat chases the black small dog");
    assert_eq!(others, "the small black dog chases a white fluffy cat");
    // No article is adapted, and a caption that has no other order keeps its own.
    let cut = Cut::new(generator.lexicon(), "an owl and a dog");
    assert_eq!(cut.orders(&mut |order: &mut [usize]| order.reverse())[0], "an dog and a owl");
    let cut = Cut::new(generator.lexicon(), "Dogs.");
    assert_eq!(cut.orders(&mut |order: &mut [usize]| order.reverse())[0], "dogs");
}

#[test]
fn tokens_and_tags_come_near_those_of_spacy_and_nltk() {
    let generator = Generator::new(ENGLISH).unwrap();
    let (mut tags, mut differing) = (0_usize, Vec::new());
    for (caption, expected, _) in captions() {
        let found = Cut::new(generator.lexicon(), &caption);
        assert_eq!(found.words, expected.words, "{caption:?}");
        let texts = |cut: &Cut| cut.tagged.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&found), texts(&expected), "{caption:?}");
        tags += found.tagged.len();
        let pairs = found.tagged.into_iter().zip(expected.tagged);
        differing.extend(pairs.filter(|(found, expected)| found != expected));
    }
    println!("{} of {tags} tags differ in class: {differing:?}", differing.len());
    // The taggers are two models; one tag in twenty is what they differ by on captions.
    assert!(20 * differing.len() <= tags, "{differing:?}");
}
