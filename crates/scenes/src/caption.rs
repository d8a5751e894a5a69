//! Texts of scenes: full captions and noisy alt texts.

use crate::{Object, Part, Random, Relation, Scene, Size, Texture};

/// The grammar and the synonyms of a caption. A caption and its hard negative share a wording, so that they differ in meaning
/// only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wording {
    frame: usize,
    synonym: usize,
    joint: usize,
}

impl Wording {
    /// A random wording.
    pub fn random(random: &mut Random) -> Self {
        Self { frame: random.below(8), synonym: random.below(6), joint: random.below(3) }
    }
}

pub(crate) const SMALL: [&str; 3] = ["small", "tiny", "little"];
pub(crate) const LARGE: [&str; 3] = ["large", "big", "huge"];
const JOINTS: [&str; 3] = [" and ", " with ", ", "];

/// The full caption: all objects, all attributes that have a word, and all relations.
pub fn caption(scene: &Scene, wording: Wording) -> String {
    let parts: Vec<String> =
        scene.parts.iter().map(|part| describe(*part, wording, scene.parts.len() == 1)).collect();
    parts.join(JOINTS[wording.joint])
}

fn describe(part: Part, wording: Wording, alone: bool) -> String {
    let (first, relation, second) = match part {
        Part::One(object) => {
            let noun = phrase(object, wording);
            return match (wording.frame, alone) {
                (0, true) => format!("a picture of {noun}"),
                (1, true) => format!("there is {noun}"),
                (2, true) => format!("a drawing of {noun}"),
                _ => noun,
            };
        }
        Part::Two(first, relation, second) => (first, relation, second),
    };
    let between = relation_words(relation, wording, alone);
    let (first, second) = (phrase(first, wording), phrase(second, wording));
    match (wording.frame, alone) {
        (0, true) => format!("a picture of {first} {between} {second}"),
        (1, true) => format!("there is {first} {between} {second}"),
        (2 | 3, true) => format!("{first} is {between} {second}"),
        (4, true) => format!("{between} {second} is {first}"),
        (5, true) => format!("{between} {second} there is {first}"),
        _ => format!("{first} {between} {second}"),
    }
}

/// `a large red circle`, with the right article.
pub(crate) fn phrase(object: Object, wording: Wording) -> String {
    let mut words = attributes(object, wording.synonym % 3);
    words.push(object.shape.word());
    format!("{} {}", article(words[0]), words.join(" "))
}

/// The indefinite article of a word.
pub(crate) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn attributes(object: Object, synonym: usize) -> Vec<&'static str> {
    let mut words = Vec::with_capacity(2);
    match object.size {
        Size::Small => words.push(SMALL[synonym]),
        Size::Large => words.push(LARGE[synonym]),
        Size::Ordinary => {}
    }
    match object.texture {
        Texture::Striped => words.push("striped"),
        Texture::Dotted => words.push("dotted"),
        Texture::Plain => {}
    }
    words.push(object.colour.word());
    words
}

/// Long forms for single parts only: a scene of four objects must fit into the context.
fn relation_words(relation: Relation, wording: Wording, alone: bool) -> &'static str {
    let long = alone && wording.synonym < 3;
    match (relation, long) {
        (Relation::LeftOf, true) => "to the left of",
        (Relation::LeftOf, false) => "left of",
        (Relation::RightOf, true) => "to the right of",
        (Relation::RightOf, false) => "right of",
        (Relation::Above, _) => "above",
        (Relation::Below, true) => "below",
        (Relation::Below, false) => "under",
        (Relation::Inside, true) => "inside",
        (Relation::Inside, false) => "in",
        (Relation::OnTopOf, true) => "on top of",
        (Relation::OnTopOf, false) => "on",
    }
}

/// Words of alt texts that don't describe the picture.
pub(crate) const CLUTTER: [&str; 12] = [
    "clipart", "vector", "free", "download", "icon", "image", "photo", "stock", "new", "sale",
    "logo", "sticker",
];

/// A noisy alt text, as on web pages: most objects in any order, few attributes, not always beside their noun, no relations, and
/// clutter.
pub fn alt_text(scene: &Scene, random: &mut Random) -> String {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for object in scene.objects() {
        if !random.chance(0.9) {
            continue;
        }
        let synonym = random.below(3);
        let mut words = Vec::new();
        for (index, word) in attributes(object, synonym).iter().rev().enumerate() {
            // The colour comes last in a phrase, so first here.
            if random.chance(if index == 0 { 0.08 } else { 0.06 }) {
                words.insert(0, *word);
            }
        }
        words.push(object.shape.word());
        groups.push(words);
    }
    random.shuffle(&mut groups);
    let mut words: Vec<&str> = groups.into_iter().flatten().collect();
    if random.chance(0.3) {
        random.shuffle(&mut words);
    }
    for _ in 0..random.below(3) {
        let place = random.below(words.len() + 1);
        words.insert(place, random.pick(&CLUTTER));
    }
    if words.is_empty() {
        words.push(random.pick(&CLUTTER));
    }
    words.join(" ")
}
