//! The tests: composition, which no text-only rule can win, and recognition of classes absent from fine-tuning.

use crate::caption::article;
use crate::scene::{Colour, Size, Texture};
use crate::{Kind, Object, Part, Pool, Random, Scene, Shape, Split, Wording, alter, caption};

/// Two scenes that differ in one alteration, with their captions. Each caption is right for its own scene and wrong for the other,
/// so every text-only rule has an accuracy of exactly one half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twins {
    /// The kind of alteration.
    pub kind: Kind,
    /// The two scenes.
    pub scenes: [Scene; 2],
    /// Their captions, in the same wording.
    pub captions: [String; 2],
    /// The random numbers for drawing each picture.
    pub drawing: [Random; 2],
}

/// Twins number `index` of this kind.
pub fn twins(kind: Kind, split: Split, seed: u64, index: u64) -> Twins {
    let mut random = split.random(seed, (kind as u64 + 1) << 40 | index);
    loop {
        let scene = Scene::random(&mut random, Pool::Common);
        let Some(other) = alter(&scene, kind, &mut random) else {
            continue;
        };
        let wording = Wording::random(&mut random);
        let mut scenes = [scene, other];
        // Alterations have a direction, so the order is random.
        if random.chance(0.5) {
            scenes.reverse();
        }
        let captions = [0, 1].map(|side: usize| caption(&scenes[side], wording));
        let drawing = [0, 1].map(|_| Random::new(&[random.bits()]));
        return Twins { kind, scenes, captions, drawing };
    }
}

/// A picture of one object, to be classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specimen {
    /// The class: an index into [`Shape::rare`] or [`Shape::common`].
    pub class: usize,
    /// The scene of one object.
    pub scene: Scene,
    /// The random numbers for drawing.
    pub drawing: Random,
}

/// Picture number `index` of the classes absent from fine-tuning; classes take turns.
pub fn specimen(split: Split, seed: u64, index: u64) -> Specimen {
    specimen_of(Shape::rare(), split.random(seed, (1 << 60) | index), index)
}

/// Picture number `index` of the classes in fine-tuning; classes take turns.
pub fn common_specimen(split: Split, seed: u64, index: u64) -> Specimen {
    specimen_of(Shape::common(), split.random(seed, (1 << 61) | index), index)
}

fn specimen_of(classes: &[Shape], mut random: Random, index: u64) -> Specimen {
    let class = (index % classes.len() as u64) as usize;
    let object = Object {
        shape: classes[class],
        colour: random.pick(&Colour::ALL),
        size: random.pick(&[Size::Ordinary, Size::Ordinary, Size::Large]),
        texture: Texture::Plain,
    };
    Specimen {
        class,
        scene: Scene { parts: vec![Part::One(object)] },
        drawing: Random::new(&[random.bits()]),
    }
}

/// The prompts of a class, as in alt texts and captions. Their embeddings are averaged.
pub fn prompts(shape: Shape) -> Vec<String> {
    let word = shape.word();
    let article = article(word);
    vec![
        word.to_owned(),
        format!("{word} clipart"),
        format!("{article} {word}"),
        format!("a picture of {article} {word}"),
    ]
}
