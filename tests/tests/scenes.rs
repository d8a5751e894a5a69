//! Guards the drawn scenes: equal on all platforms, with true captions, and a suite that no rule on texts can win.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clove::tokenizer::Tokenizer;
use clove_lab::{CONTEXT_LENGTH, tokenizer, tokenizer_json};
use clove_scenes::suite::{prompts, specimen, twins};
use clove_scenes::{
    Colour, Kind, Object, Part, Picture, Pool, Random, Relation, Scene, Shape, Size, Split, Style,
    Texture, Wording, alt_text, alter, caption, draw, negative, words,
};
use clove_tests::{fnv1a, golden, json};

/// All training data from one scene.
fn sample(index: u64) -> (Scene, String, String, Vec<String>, Picture) {
    let mut random = Split::FineTuning.random(7, index);
    let scene = Scene::random(&mut random, Pool::Common);
    let wording = Wording::random(&mut random);
    let negatives = [Style::NegClip, Style::Replace, Style::Mixed]
        .into_iter()
        .filter_map(|style| negative(&scene, wording, style, &mut random))
        .map(|(_, text)| text)
        .collect();
    let alt = alt_text(&scene, &mut random);
    let picture = draw(&scene, 48, &mut random);
    let full = caption(&scene, wording);
    (scene, full, alt, negatives, picture)
}

#[test]
fn pixels_and_texts_are_the_same_on_every_platform() {
    let (mut pixels, mut texts) = (Vec::new(), String::new());
    for index in 0..300 {
        let (_, full, alt, negatives, picture) = sample(index);
        pixels.extend(picture.rgb);
        writeln!(texts, "{full}|{alt}|{}", negatives.join("|")).unwrap();
    }
    for index in 0..50 {
        for kind in Kind::ALL {
            let pair = twins(kind, Split::Test, 0, index);
            writeln!(texts, "{}|{}", pair.captions[0], pair.captions[1]).unwrap();
        }
        let one = specimen(Split::Test, 0, index);
        pixels.extend(draw(&one.scene, 48, &mut one.drawing.clone()).rgb);
    }
    let found = serde_json::json!({
        "pixels": format!("{:016x}", fnv1a(pixels)),
        "texts": format!("{:016x}", fnv1a(texts.bytes())),
    });
    assert_eq!(found, json(&golden("scenes.json")));
}

#[test]
fn seeds_and_splits_have_scenes_of_their_own() {
    let first = |split: Split, seed| -> Vec<Scene> {
        (0..20).map(|index| Scene::random(&mut split.random(seed, index), Pool::Common)).collect()
    };
    let all = [
        first(Split::FineTuning, 1),
        first(Split::FineTuning, 2),
        first(Split::Validation, 1),
        first(Split::Test, 1),
    ];
    for (place, scenes) in all.iter().enumerate() {
        assert!(all[place + 1..].iter().all(|other| other != scenes));
    }
}

#[test]
fn each_text_of_a_pair_is_right_once_and_wrong_once() {
    for kind in Kind::ALL {
        let mut longer = 0_i32;
        for index in 0..300 {
            let pair = twins(kind, Split::Test, 0, index);
            assert_eq!(pair.kind, kind);
            assert_ne!(pair.captions[0], pair.captions[1]);
            let [first, second] = &pair.scenes;
            assert!(!is_true(second, first), "{:?}", pair.captions);
            assert!(!is_true(first, second), "{:?}", pair.captions);
            longer += (pair.captions[0].len() as i32 - pair.captions[1].len() as i32).signum();
            let pictures =
                [0, 1].map(|side| draw(&pair.scenes[side], 48, &mut pair.drawing[side].clone()));
            assert_ne!(pictures[0], pictures[1]);
        }
        // Five standard deviations of a fair coin thrown 300 times.
        assert!(longer.abs() < 87, "{} {longer}", kind.name());
    }
}

/// Whether the caption of `text` is true of `scene`, judged by objects and relations. Captions are complete: a scene with another
/// number of objects is another scene.
fn is_true(text: &Scene, scene: &Scene) -> bool {
    let objects = |scene: &Scene| -> BTreeSet<Object> { scene.objects().into_iter().collect() };
    if objects(text) != objects(scene) {
        return false;
    }
    let facts = |scene: &Scene| -> BTreeSet<(Object, Relation, Object)> {
        scene
            .parts
            .iter()
            .filter_map(|part| match *part {
                Part::One(_) => None,
                Part::Two(first, Relation::RightOf, second) => {
                    Some((second, Relation::LeftOf, first))
                }
                Part::Two(first, Relation::Below, second) => Some((second, Relation::Above, first)),
                Part::Two(first, relation, second) => Some((first, relation, second)),
            })
            .collect()
    };
    let known = facts(scene);
    facts(text).into_iter().all(|(first, relation, second)| {
        known.contains(&(first, relation, second))
            // On top of implies above.
            || (relation == Relation::Above && known.contains(&(first, Relation::OnTopOf, second)))
    })
}

#[test]
fn negatives_are_false_and_of_their_kind() {
    let shapes = |scene: &Scene| -> Vec<Shape> {
        scene.objects().iter().map(|object| object.shape).collect()
    };
    let sorted_words = |text: &str| {
        let mut words: Vec<String> = text
            .split([' ', ','])
            .filter(|word| !["a", "an", ""].contains(word))
            .map(str::to_owned)
            .collect();
        words.sort();
        words
    };
    for index in 0..3_000 {
        let mut random = Split::FineTuning.random(3, index);
        let scene = Scene::random(&mut random, Pool::Common);
        let wording = Wording::random(&mut random);
        for kind in Kind::ALL {
            let Some(other) = alter(&scene, kind, &mut random) else {
                let single = scene.objects().len() == 1;
                assert!(single, "{kind:?} of {scene:?}");
                continue;
            };
            assert!(!is_true(&other, &scene), "{scene:?} {other:?}");
            assert!(!is_true(&scene, &other), "{scene:?} {other:?}");
            let (count, before) = (other.objects().len(), scene.objects().len());
            match kind {
                Kind::AddObject => assert_eq!(count.abs_diff(before), 1),
                _ => assert_eq!(count, before),
            }
            let texts = [caption(&scene, wording), caption(&other, wording)];
            match kind {
                Kind::ReplaceObject => {
                    let changed = shapes(&scene)
                        .iter()
                        .zip(shapes(&other))
                        .filter(|(old, new)| **old != *new)
                        .count();
                    assert_eq!(changed, 1);
                }
                Kind::SwapObject | Kind::SwapAttribute => {
                    assert_eq!(sorted_words(&texts[0]), sorted_words(&texts[1]));
                }
                Kind::AddAttribute => assert_eq!(
                    sorted_words(&texts[0]).len().abs_diff(sorted_words(&texts[1]).len()),
                    1
                ),
                _ => {}
            }
        }
    }
}

#[test]
fn captions_name_everything_in_known_words_and_fit_the_context() {
    let vocabulary = words();
    let known = |text: &str| {
        for word in text.split(' ') {
            let word = word.trim_end_matches(',');
            assert!(vocabulary.contains(&word), "{word} of {text}");
        }
    };
    let tokenizer = tokenizer().unwrap();
    for index in 0..5_000 {
        let (scene, full, alt, negatives, _) = sample(index);
        for object in scene.objects() {
            for word in [object.shape.word(), object.colour.word()] {
                assert!(full.contains(word), "{word} in {full}");
            }
            assert!((object.shape as usize) < Shape::COMMON, "{full}");
        }
        for text in negatives.iter().chain([&full, &alt]) {
            known(text);
            assert!(!text.contains("a orange") && !text.contains("an red"), "{text}");
            assert_eq!(tokenizer.encode(text).dropped, 0, "{text}");
            let rare =
                Shape::rare().iter().any(|shape| text.split(' ').any(|word| word == shape.word()));
            assert!(!rare, "{text}");
        }
    }
    for shape in Shape::rare() {
        for text in prompts(*shape) {
            known(&text);
        }
    }
}

#[test]
fn the_pruned_vocabulary_spells_as_clips_does() {
    let (pruned, clip) = (tokenizer().unwrap(), Tokenizer::clip(CONTEXT_LENGTH));
    for word in words() {
        assert_eq!(pruned.tokens(word), clip.tokens(word));
    }
    assert!(pruned.vocab_size() < 500, "{}", pruned.vocab_size());
    // Other words are split into letters, and only the end is an end of text.
    let odd = pruned.encode("zebra 7 \u{e9}\u{1f600} <|endoftext|>");
    let ends = odd.ids.iter().filter(|id| **id == pruned.end_id()).count();
    assert_eq!(ends, 1);
    assert!(odd.end > 5);
    assert_eq!(tokenizer_json(), tokenizer_json());
}

#[test]
fn objects_stand_where_the_caption_says() {
    let object =
        |shape, colour| Object { shape, colour, size: Size::Ordinary, texture: Texture::Plain };
    let (first, second) = (object(Shape::Circle, Colour::Red), object(Shape::Square, Colour::Blue));
    for relation in Relation::ALL {
        for seed in 0..40 {
            let scene = Scene { parts: vec![Part::Two(first, relation, second)] };
            let picture = draw(&scene, 48, &mut Random::new(&[seed]));
            let [(x1, y1), (x2, y2)] =
                [Colour::Red, Colour::Blue].map(|colour| centre(&picture, colour));
            let (dx, dy) = (x2 - x1, y2 - y1);
            let right = match relation {
                Relation::LeftOf => dx > 12.0 && dy.abs() < 6.0,
                Relation::RightOf => dx < -12.0 && dy.abs() < 6.0,
                Relation::Above => dy > 18.0 && dx.abs() < 6.0,
                Relation::Below => dy < -18.0 && dx.abs() < 6.0,
                Relation::Inside => dx.abs() < 4.0 && dy.abs() < 4.0,
                Relation::OnTopOf => (12.0..22.0).contains(&dy) && dx.abs() < 6.0,
            };
            assert!(right, "{relation:?} {seed}: {dx} {dy}");
        }
    }
}

/// The mean place of the pixels that are nearly of this colour.
fn centre(picture: &Picture, colour: Colour) -> (f32, f32) {
    let rgb = colour.rgb();
    let (mut x, mut y, mut count) = (0.0, 0.0, 0.0);
    for (place, pixel) in picture.rgb.as_chunks::<3>().0.iter().enumerate() {
        let distance: i32 = pixel
            .iter()
            .zip(rgb)
            .map(|(found, wanted)| (i32::from(*found) - i32::from(wanted)).pow(2))
            .sum();
        if distance < 1_500 {
            x += (place as u32 % picture.size) as f32;
            y += (place as u32 / picture.size) as f32;
            count += 1.0;
        }
    }
    assert!(count > 10.0, "{colour:?} can't be seen");
    (x / count, y / count)
}

#[test]
fn every_shape_and_size_of_picture_can_be_drawn() {
    let mut seen = BTreeSet::new();
    for shape in Shape::ALL {
        let scene = Scene {
            parts: vec![Part::One(Object {
                shape,
                colour: Colour::Green,
                size: Size::Large,
                texture: Texture::Dotted,
            })],
        };
        for size in [1, 7, 48, 224] {
            let picture = draw(&scene, size, &mut Random::new(&[1]));
            assert_eq!(picture.rgb.len() as u32, 3 * size * size);
            if size == 48 {
                assert!(seen.insert(picture.rgb), "{shape:?}");
            }
        }
    }
}

#[test]
fn recognition_shows_the_rare_shapes_evenly_and_alone() {
    let mut counts = vec![0; Shape::rare().len()];
    for index in 0..1_000 {
        let one = specimen(Split::Test, 0, index);
        let objects = one.scene.objects();
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0].shape, Shape::rare()[one.class]);
        counts[one.class] += 1;
    }
    assert_eq!(counts, vec![100; Shape::rare().len()]);
}
