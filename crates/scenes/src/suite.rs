//! The tests: composition, which no rule on texts alone can win, and recognition of classes that fine-tuning never shows.

use crate::scene::{Colour, Size, Texture};
use crate::{Kind, Object, Part, Pool, Random, Scene, Shape, Split, Wording, alter, caption};

/// Two scenes that differ in one thing, with their captions. Each text is right for its own scene and wrong for the other, so a
/// rule that looks at texts alone is right exactly half of the time, whatever it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twins {
    /// What they differ in.
    pub kind: Kind,
    /// The two scenes.
    pub scenes: [Scene; 2],
    /// Their captions in one wording.
    pub captions: [String; 2],
    /// Begins the stream that decides what captions don't say, for each picture.
    pub drawing: [Random; 2],
}

/// Twins number `index` of this kind.
#[must_use]
pub fn twins(kind: Kind, split: Split, seed: u64, index: u64) -> Twins {
    let mut random = split.random(seed, (kind as u64 + 1) << 40 | index);
    loop {
        let scene = Scene::random(&mut random, Pool::Common);
        let Some(other) = alter(&scene, kind, &mut random) else {
            continue;
        };
        let wording = Wording::random(&mut random);
        let mut scenes = [scene, other];
        // Alterations have a direction (what is exchanged tends to become one thing and not another), so its end is drawn too.
        if random.chance(0.5) {
            scenes.reverse();
        }
        let captions = [0, 1].map(|side: usize| caption(&scenes[side], wording));
        let drawing = [0, 1].map(|_| Random::new(&[random.bits()]));
        return Twins { kind, scenes, captions, drawing };
    }
}

/// One thing, to be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specimen {
    /// Its class: an index into [`Shape::rare`], or into [`Shape::common`].
    pub class: usize,
    /// The thing alone.
    pub scene: Scene,
    /// Begins the stream that decides the rest.
    pub drawing: Random,
}

/// Picture number `index` of the test of recognition; classes take turns.
#[must_use]
pub fn specimen(split: Split, seed: u64, index: u64) -> Specimen {
    let random = split.random(seed, (1 << 60) | index);
    specimen_of(Shape::rare(), random, index)
}

/// Picture number `index` of the classes that fine-tuning shows; classes take turns.
#[must_use]
pub fn common_specimen(split: Split, seed: u64, index: u64) -> Specimen {
    let random = split.random(seed, (1 << 61) | index);
    specimen_of(Shape::common(), random, index)
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

/// The prompts of a class, in the forms that alt texts and captions have. Their embeddings are averaged.
#[must_use]
pub fn prompts(shape: Shape) -> Vec<String> {
    let word = shape.word();
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    vec![
        word.to_owned(),
        format!("{word} clipart"),
        format!("{article} {word}"),
        format!("a picture of {article} {word}"),
    ]
}
