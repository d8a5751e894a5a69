//! What a scene is, and how scenes are drawn at random from a pool of shapes.

use serde::{Deserialize, Serialize};

use crate::draw::contrasting;
use crate::{Random, Shape};

/// A colour by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Colour {
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Yellow.
    Yellow,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Purple.
    Purple,
    /// Pink.
    Pink,
    /// Brown.
    Brown,
}

impl Colour {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::Brown,
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
        }
    }

    /// Red, green and blue, 0 to 255.
    #[must_use]
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [214, 40, 40],
            Self::Orange => [246, 136, 24],
            Self::Yellow => [246, 218, 56],
            Self::Green => [44, 152, 66],
            Self::Blue => [40, 92, 212],
            Self::Purple => [128, 58, 172],
            Self::Pink => [242, 134, 188],
            Self::Brown => [118, 74, 40],
        }
    }

    /// Of its stripes and dots: red, green and blue, 0 to 255.
    #[must_use]
    pub fn marked(self) -> [u8; 3] {
        contrasting(self.rgb().map(f32::from)).map(|channel| channel as u8)
    }
}

/// How large an object is. The ordinary size has no word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Size {
    /// About two thirds of the ordinary one.
    Small,
    /// Not named.
    Ordinary,
    /// About half as much again.
    Large,
}

/// What an object is filled with. A plain filling has no word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Texture {
    /// One colour, not named.
    Plain,
    /// Slanting stripes.
    Striped,
    /// Dots.
    Dotted,
}

/// One thing in a scene. At most one of size and texture differs from the unnamed one, so that captions stay short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// Its outline.
    pub shape: Shape,
    /// Its colour.
    pub colour: Colour,
    /// Its size.
    pub size: Size,
    /// Its filling.
    pub texture: Texture,
}

impl Object {
    /// Whether neither size nor texture has a word.
    #[must_use]
    pub fn is_unmarked(&self) -> bool {
        self.size == Size::Ordinary && self.texture == Texture::Plain
    }
}

/// How the first object stands to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// Beside it, on the left.
    LeftOf,
    /// Beside it, on the right.
    RightOf,
    /// Higher, apart.
    Above,
    /// Lower, apart.
    Below,
    /// Small in the midst of the other, which is drawn large.
    Inside,
    /// Resting on it.
    OnTopOf,
}

impl Relation {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::LeftOf, Self::RightOf, Self::Above, Self::Below, Self::Inside, Self::OnTopOf];

    /// Whether the two stand side by side.
    #[must_use]
    pub fn is_horizontal(self) -> bool {
        matches!(self, Self::LeftOf | Self::RightOf)
    }

    /// Whether a picture of this relation could be described by the other one too: what rests on a thing is above it.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self == other
            || matches!((self, other), (Self::Above, Self::OnTopOf) | (Self::OnTopOf, Self::Above))
    }
}

/// An object alone, or two with their relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Alone.
    One(Object),
    /// The first stands so to the second.
    Two(Object, Relation, Object),
}

/// What a picture shows: one part, or two in halves of their own.
///
/// No two objects share a shape or a colour, so that every exchange of words changes what is said. Two parts side by side in
/// halves are both horizontal or both vertical, and have no [`Relation::Inside`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scene {
    /// One or two.
    pub parts: Vec<Part>,
}

/// The shapes that scenes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Those of fine-tuning and of the test of composition.
    Common,
    /// Every shape, as pretraining shows them.
    All,
}

impl Pool {
    /// Its shapes.
    #[must_use]
    pub fn shapes(self) -> &'static [Shape] {
        match self {
            Self::Common => Shape::common(),
            Self::All => &Shape::ALL,
        }
    }
}

impl Scene {
    /// A random scene of one to four objects.
    #[must_use]
    pub fn random(random: &mut Random, pool: Pool) -> Self {
        let objects = match random.below(20) {
            0..=3 => 1,
            4..=14 => 2,
            15..=17 => 3,
            _ => 4,
        };
        Self::with_objects(random, pool, objects)
    }

    /// A random scene as pages of the web have them: any shape, and often one thing alone.
    #[must_use]
    pub fn of_the_web(random: &mut Random) -> Self {
        let objects = match random.below(20) {
            0..=9 => 1,
            10..=16 => 2,
            17 | 18 => 3,
            _ => 4,
        };
        Self::with_objects(random, Pool::All, objects)
    }

    /// A random scene of so many objects, 1 to 4.
    #[must_use]
    pub fn with_objects(random: &mut Random, pool: Pool, objects: usize) -> Self {
        let mut shapes = pool.shapes().to_vec();
        let mut colours = Colour::ALL;
        random.shuffle(&mut colours);
        random.shuffle(&mut shapes);
        let relation = if objects == 2 {
            random.pick(&Relation::ALL)
        } else {
            random.pick(&Self::SIDE_BY_SIDE)
        };
        if relation == Relation::Inside {
            // Shapes with room in them first, otherwise in the order that was drawn.
            shapes.sort_by_key(|shape| !shape.holds());
        }
        let drawn: Vec<Object> = shapes
            .into_iter()
            .zip(colours)
            .take(objects)
            .map(|(shape, colour)| {
                let (size, texture) = marks(random);
                // What lies inside is drawn small and what holds it large, whatever they are: a size would mean nothing there.
                let size = if relation == Relation::Inside { Size::Ordinary } else { size };
                Object { shape, colour, size, texture }
            })
            .collect();
        let parts = match drawn[..] {
            [one] => vec![Part::One(one)],
            [first, second] => vec![Part::Two(first, relation, second)],
            [first, second, third] => {
                vec![Part::Two(first, relation, second), Part::One(third)]
            }
            [first, second, third, fourth, ..] => {
                let other = random.pick(Self::like(relation));
                vec![Part::Two(first, relation, second), Part::Two(third, other, fourth)]
            }
            [] => Vec::new(),
        };
        Self { parts }
    }

    /// The relations that leave room for a second part.
    const SIDE_BY_SIDE: [Relation; 5] =
        [Relation::LeftOf, Relation::RightOf, Relation::Above, Relation::Below, Relation::OnTopOf];

    /// The relations that can stand in the other half of a scene with this one.
    #[must_use]
    pub fn like(relation: Relation) -> &'static [Relation] {
        if relation.is_horizontal() {
            &[Relation::LeftOf, Relation::RightOf]
        } else {
            &[Relation::Above, Relation::Below, Relation::OnTopOf]
        }
    }

    /// The objects, in the order of the caption.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        for part in &self.parts {
            match part {
                Part::One(object) => objects.push(*object),
                Part::Two(first, _, second) => objects.extend([*first, *second]),
            }
        }
        objects
    }

    /// The objects, to be changed.
    pub fn objects_mut(&mut self) -> Vec<&mut Object> {
        let mut objects = Vec::new();
        for part in &mut self.parts {
            match part {
                Part::One(object) => objects.push(object),
                Part::Two(first, _, second) => objects.extend([first, second]),
            }
        }
        objects
    }

    /// The relation of the first part; none if it's an object alone.
    #[must_use]
    pub fn relation(&self) -> Option<Relation> {
        self.parts.first().and_then(|part| match part {
            Part::One(_) => None,
            Part::Two(_, relation, _) => Some(*relation),
        })
    }

    /// Whether one thing lies inside another.
    #[must_use]
    pub fn has_inside(&self) -> bool {
        self.relation() == Some(Relation::Inside)
    }
}

/// Size and texture: at most one of them marked.
fn marks(random: &mut Random) -> (Size, Texture) {
    match random.below(12) {
        0 => (Size::Small, Texture::Plain),
        1 => (Size::Large, Texture::Plain),
        2 => (Size::Ordinary, Texture::Striped),
        3 => (Size::Ordinary, Texture::Dotted),
        _ => (Size::Ordinary, Texture::Plain),
    }
}
