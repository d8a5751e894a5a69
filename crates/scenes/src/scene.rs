//! Scenes, and random scenes from a pool of shapes.

use serde::{Deserialize, Serialize};

use crate::draw::contrasting;
use crate::{Random, Shape};

use self::Colour::{Blue, Brown, Green, Orange, Pink, Purple, Red, Yellow};

/// A colour by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the colour of its name")]
pub enum Colour {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Pink,
    Brown,
}

impl Colour {
    /// All colours.
    pub const ALL: [Self; 8] = [Red, Orange, Yellow, Green, Blue, Purple, Pink, Brown];

    /// The word for it in captions.
    pub fn word(self) -> &'static str {
        const WORDS: [&str; 8] =
            ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"];
        WORDS[self as usize]
    }

    /// Red, green and blue, 0 to 255.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Red => [214, 40, 40],
            Orange => [246, 136, 24],
            Yellow => [246, 218, 56],
            Green => [44, 152, 66],
            Blue => [40, 92, 212],
            Purple => [128, 58, 172],
            Pink => [242, 134, 188],
            Brown => [118, 74, 40],
        }
    }

    /// The colour of its stripes and dots: red, green and blue, 0 to 255.
    pub fn marked(self) -> [u8; 3] {
        contrasting(self.rgb().map(f32::from)).map(|channel| channel as u8)
    }
}

/// The size of an object. Captions don't name the ordinary size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Size {
    /// About two thirds of the ordinary size.
    Small,
    /// The ordinary size.
    Ordinary,
    /// About four thirds of the ordinary size.
    Large,
}

/// The texture of an object. Captions don't name plain textures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Texture {
    /// One colour.
    Plain,
    /// Diagonal stripes.
    Striped,
    /// Dots.
    Dotted,
}

/// An object in a scene. At most one of size and texture is marked, so that captions stay short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// The shape.
    pub shape: Shape,
    /// The colour.
    pub colour: Colour,
    /// The size.
    pub size: Size,
    /// The texture.
    pub texture: Texture,
}

impl Object {
    /// Whether captions name neither size nor texture.
    pub fn is_unmarked(&self) -> bool {
        self.size == Size::Ordinary && self.texture == Texture::Plain
    }
}

/// The relation of the first object to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// To its left.
    LeftOf,
    /// To its right.
    RightOf,
    /// Above, apart.
    Above,
    /// Below, apart.
    Below,
    /// Drawn small inside the other, which is drawn large.
    Inside,
    /// Resting on it.
    OnTopOf,
}

impl Relation {
    /// All relations.
    pub const ALL: [Self; 6] =
        [Self::LeftOf, Self::RightOf, Self::Above, Self::Below, Self::Inside, Self::OnTopOf];

    /// Whether the objects are side by side.
    pub fn is_horizontal(self) -> bool {
        matches!(self, Self::LeftOf | Self::RightOf)
    }

    /// Whether the other relation can describe the same picture: an object on top of another is above it.
    pub fn overlaps(self, other: Self) -> bool {
        self == other
            || matches!((self, other), (Self::Above, Self::OnTopOf) | (Self::OnTopOf, Self::Above))
    }
}

/// One object, or two with their relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// One object.
    One(Object),
    /// The first object in this relation to the second.
    Two(Object, Relation, Object),
}

/// The content of a picture: one part, or two parts in separate halves.
///
/// No two objects share a shape or a colour, so that swapped words always change the meaning. Two parts are both horizontal or both
/// vertical, and never [`Relation::Inside`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scene {
    /// One or two parts.
    pub parts: Vec<Part>,
}

/// A pool of shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The shapes of fine-tuning and of the test of composition.
    Common,
    /// All shapes, for pretraining.
    All,
}

impl Pool {
    /// Its shapes.
    pub fn shapes(self) -> &'static [Shape] {
        match self {
            Self::Common => Shape::common(),
            Self::All => &Shape::ALL,
        }
    }
}

impl Scene {
    /// A random scene of one to four objects.
    pub fn random(random: &mut Random, pool: Pool) -> Self {
        let objects = count(random, [4, 15, 18]);
        Self::with_objects(random, pool, objects)
    }

    /// A random scene as on web pages: any shape, and often a single object.
    pub fn of_the_web(random: &mut Random) -> Self {
        let objects = count(random, [10, 17, 19]);
        Self::with_objects(random, Pool::All, objects)
    }

    /// A random scene of 1 to 4 objects.
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
            // Shapes that can hold another come first.
            shapes.sort_by_key(|shape| !shape.holds());
        }
        let drawn: Vec<Object> = shapes
            .into_iter()
            .zip(colours)
            .take(objects)
            .map(|(shape, colour)| {
                let (size, texture) = marks(random);
                // The inner object is drawn small and the outer one large, so sizes would have no meaning.
                let size = if relation == Relation::Inside { Size::Ordinary } else { size };
                Object { shape, colour, size, texture }
            })
            .collect();
        let parts = match drawn[..] {
            [one] => vec![Part::One(one)],
            [first, second] => vec![Part::Two(first, relation, second)],
            [first, second, third] => vec![Part::Two(first, relation, second), Part::One(third)],
            [first, second, third, fourth, ..] => {
                let other = random.pick(Self::like(relation));
                vec![Part::Two(first, relation, second), Part::Two(third, other, fourth)]
            }
            [] => Vec::new(),
        };
        Self { parts }
    }

    /// The relations that allow a second part.
    const SIDE_BY_SIDE: [Relation; 5] =
        [Relation::LeftOf, Relation::RightOf, Relation::Above, Relation::Below, Relation::OnTopOf];

    /// The relations that the other half of a scene can have.
    pub fn like(relation: Relation) -> &'static [Relation] {
        if relation.is_horizontal() {
            &[Relation::LeftOf, Relation::RightOf]
        } else {
            &[Relation::Above, Relation::Below, Relation::OnTopOf]
        }
    }

    /// The objects, in the order of the caption.
    pub fn objects(&self) -> Vec<Object> {
        let objects = self.parts.iter().flat_map(|part| match *part {
            Part::One(object) => vec![object],
            Part::Two(first, _, second) => vec![first, second],
        });
        objects.collect()
    }

    /// The objects, mutably.
    pub fn objects_mut(&mut self) -> Vec<&mut Object> {
        let objects = self.parts.iter_mut().flat_map(|part| match part {
            Part::One(object) => vec![object],
            Part::Two(first, _, second) => vec![first, second],
        });
        objects.collect()
    }

    /// The relation of the first part; `None` for one object.
    pub fn relation(&self) -> Option<Relation> {
        self.parts.first().and_then(|part| match part {
            Part::One(_) => None,
            Part::Two(_, relation, _) => Some(*relation),
        })
    }

    /// Whether one object is inside another.
    pub fn has_inside(&self) -> bool {
        self.relation() == Some(Relation::Inside)
    }
}

/// A random number of objects, 1 to 4. `ends` are the cumulative probabilities of 1, 2 and 3 objects, in twentieths.
fn count(random: &mut Random, ends: [usize; 3]) -> usize {
    let drawn = random.below(20);
    1 + ends.into_iter().filter(|end| *end <= drawn).count()
}

/// A random size and texture, at most one of them marked.
fn marks(random: &mut Random) -> (Size, Texture) {
    match random.below(12) {
        0 => (Size::Small, Texture::Plain),
        1 => (Size::Large, Texture::Plain),
        2 => (Size::Ordinary, Texture::Striped),
        3 => (Size::Ordinary, Texture::Dotted),
        _ => (Size::Ordinary, Texture::Plain),
    }
}
