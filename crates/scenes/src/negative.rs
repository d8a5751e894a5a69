//! Hard negatives: scenes with one alteration, whose captions are nearly right but false.

use crate::scene::{Colour, Pool};
use crate::{Object, Part, Random, Relation, Scene, Size, Texture, Wording, caption};

/// SugarCrepe's seven kinds (Hsieh et al. 2023, arXiv 2306.14610).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Another shape.
    ReplaceObject,
    /// Another colour, texture or size.
    ReplaceAttribute,
    /// Another relation.
    ReplaceRelation,
    /// Two objects swapped.
    SwapObject,
    /// The attributes of two objects swapped.
    SwapAttribute,
    /// An object added or removed.
    AddObject,
    /// An attribute added or removed.
    AddAttribute,
}

impl Kind {
    /// All kinds, in SugarCrepe's order.
    pub const ALL: [Self; 7] = [
        Self::ReplaceObject,
        Self::ReplaceAttribute,
        Self::ReplaceRelation,
        Self::SwapObject,
        Self::SwapAttribute,
        Self::AddObject,
        Self::AddAttribute,
    ];

    /// SugarCrepe's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplaceObject => "replace_obj",
            Self::ReplaceAttribute => "replace_att",
            Self::ReplaceRelation => "replace_rel",
            Self::SwapObject => "swap_obj",
            Self::SwapAttribute => "swap_att",
            Self::AddObject => "add_obj",
            Self::AddAttribute => "add_att",
        }
    }
}

/// A style of negatives for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Words swapped, as in NegCLIP (Yuksekgonul et al., arXiv 2210.01936).
    NegClip,
    /// A word or phrase replaced, as in REPLACE (Hsieh et al., arXiv 2306.14610).
    Replace,
    /// All kinds, as in CLoVe.
    Mixed,
}

impl Style {
    /// The kinds of the style.
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::NegClip => &[Kind::SwapObject, Kind::SwapAttribute],
            Self::Replace => &[Kind::ReplaceObject, Kind::ReplaceAttribute, Kind::ReplaceRelation],
            Self::Mixed => &Kind::ALL,
        }
    }
}

/// The kinds that alt texts don't teach: their words are rare there, or in any order.
const HARDEST: [Kind; 4] =
    [Kind::ReplaceRelation, Kind::SwapObject, Kind::SwapAttribute, Kind::AddAttribute];

/// The probability that mixed negatives prefer these kinds. Otherwise half of the negatives would be easy, and learned long before
/// the rest.
const HARDEST_FIRST: f32 = 0.5;

/// A hard negative of the scene's caption in the same wording, with its kind; `None` if the style has none, such as a swap with
/// one object.
pub fn negative(
    scene: &Scene,
    wording: Wording,
    style: Style,
    random: &mut Random,
) -> Option<(Kind, String)> {
    let mut kinds = style.kinds().to_vec();
    random.shuffle(&mut kinds);
    if style == Style::Mixed && random.chance(HARDEST_FIRST) {
        kinds.sort_by_key(|kind| !HARDEST.contains(kind));
    }
    kinds
        .into_iter()
        .find_map(|kind| alter(scene, kind, random).map(|other| (kind, caption(&other, wording))))
}

/// The scene with one alteration of this kind, so that each one's caption is false of the other; `None` if there's nothing to
/// alter. Every result can be drawn.
pub fn alter(scene: &Scene, kind: Kind, random: &mut Random) -> Option<Scene> {
    let mut other = scene.clone();
    let objects = scene.objects();
    match kind {
        Kind::ReplaceObject => {
            let fresh: Vec<_> = Pool::Common
                .shapes()
                .iter()
                .filter(|shape| objects.iter().all(|object| object.shape != **shape))
                .filter(|shape| !scene.has_inside() || shape.holds())
                .copied()
                .collect();
            let shape = random.pick(&fresh);
            random_object(&mut other, random).shape = shape;
        }
        Kind::ReplaceAttribute => replace_attribute(&mut other, &objects, random),
        Kind::ReplaceRelation => replace_relation(&mut other, random)?,
        Kind::SwapObject => {
            let (left, right) = two_of(objects.len(), random)?;
            let mut places = other.objects_mut();
            (*places[left], *places[right]) = (objects[right], objects[left]);
        }
        Kind::SwapAttribute => {
            let (left, right) = two_of(objects.len(), random)?;
            let mut places = other.objects_mut();
            (places[left].shape, places[right].shape) = (objects[right].shape, objects[left].shape);
        }
        Kind::AddObject => add_or_leave_out_object(&mut other, &objects, random)?,
        Kind::AddAttribute => {
            let inside = scene.has_inside();
            let object = random_object(&mut other, random);
            if object.is_unmarked() {
                match random.below(if inside { 2 } else { 4 }) {
                    0 => object.texture = Texture::Striped,
                    1 => object.texture = Texture::Dotted,
                    2 => object.size = Size::Small,
                    _ => object.size = Size::Large,
                }
            } else {
                (object.size, object.texture) = (Size::Ordinary, Texture::Plain);
            }
        }
    }
    Some(other)
}

fn random_object<'a>(scene: &'a mut Scene, random: &mut Random) -> &'a mut Object {
    let mut objects = scene.objects_mut();
    let chosen = random.below(objects.len());
    objects.swap_remove(chosen)
}

/// Two different positions below `count`.
fn two_of(count: usize, random: &mut Random) -> Option<(usize, usize)> {
    if count < 2 {
        return None;
    }
    let left = random.below(count);
    let right = (left + 1 + random.below(count - 1)) % count;
    Some((left, right))
}

fn replace_attribute(other: &mut Scene, objects: &[Object], random: &mut Random) {
    let object = random_object(other, random);
    if !object.is_unmarked() && random.chance(0.5) {
        match (object.texture, object.size) {
            (Texture::Striped, _) => object.texture = Texture::Dotted,
            (Texture::Dotted, _) => object.texture = Texture::Striped,
            (Texture::Plain, Size::Small) => object.size = Size::Large,
            (Texture::Plain, _) => object.size = Size::Small,
        }
        return;
    }
    let fresh: Vec<Colour> = Colour::ALL
        .into_iter()
        .filter(|colour| objects.iter().all(|other| other.colour != *colour))
        .collect();
    object.colour = random.pick(&fresh);
}

fn replace_relation(other: &mut Scene, random: &mut Random) -> Option<()> {
    let alone = other.parts.len() == 1;
    let can_hold =
        other.objects().iter().all(|object| object.shape.holds() && object.size == Size::Ordinary);
    let related: Vec<usize> =
        (0..other.parts.len()).filter(|part| matches!(other.parts[*part], Part::Two(..))).collect();
    if related.is_empty() {
        return None;
    }
    let Part::Two(_, relation, _) = &mut other.parts[random.pick(&related)] else {
        return None;
    };
    let fresh: Vec<Relation> = Relation::ALL
        .into_iter()
        .filter(|new| !new.overlaps(*relation))
        .filter(|new| {
            if alone {
                *new != Relation::Inside || can_hold
            } else {
                Scene::like(*relation).contains(new)
            }
        })
        .collect();
    *relation = random.pick(&fresh);
    Some(())
}

/// Adds or removes an object, with equal probability if both are possible.
fn add_or_leave_out_object(
    other: &mut Scene,
    objects: &[Object],
    random: &mut Random,
) -> Option<()> {
    let can_add = objects.len() < 4 && !other.has_inside();
    let can_leave_out = objects.len() > 1;
    if can_add && (!can_leave_out || random.chance(0.5)) {
        // An object of a new shape and a new colour, from another random scene.
        let lender = loop {
            let lender = Scene::with_objects(random, Pool::Common, 1).objects()[0];
            if objects
                .iter()
                .all(|object| object.shape != lender.shape && object.colour != lender.colour)
            {
                break lender;
            }
        };
        other.parts = match other.parts[..] {
            [Part::One(first)] => {
                let relation = Scene::with_objects(random, Pool::Common, 3).relation()?;
                vec![Part::Two(first, relation, lender)]
            }
            [two] => vec![two, Part::One(lender)],
            [Part::Two(a, relation, b), Part::One(first)] => vec![
                Part::Two(a, relation, b),
                Part::Two(first, random.pick(Scene::like(relation)), lender),
            ],
            _ => return None,
        };
        return Some(());
    }
    if !can_leave_out {
        return None;
    }
    other.parts = match other.parts[..] {
        [Part::Two(first, _, second)] => vec![Part::One(random.pick(&[first, second]))],
        [two, Part::One(_)] => vec![two],
        [two, Part::Two(first, _, second)] => vec![two, Part::One(random.pick(&[first, second]))],
        _ => return None,
    };
    Some(())
}
