//! Reading the scene of placed objects: the inverse of [`place`](crate::place).

use crate::draw::{ALONE, INSIDE, TOUCHING, radius};
use crate::{Object, Part, Placed, Relation, Scene, Size};

/// An object placed by a user. Lengths are fractions of the picture's width, from its left and upper edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thing {
    /// The object.
    pub object: Object,
    /// The centre's x.
    pub x: f32,
    /// The centre's y.
    pub y: f32,
}

/// The reading of placed objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrangement {
    /// The scene.
    pub scene: Scene,
    /// Where to draw the objects, back to front. An object inside another is drawn small, and the outer one large.
    pub placed: Vec<Placed>,
    /// The distance to another reading, in fractions of the picture's width: small for two objects that are diagonal or nearly
    /// touch, and for three in a row.
    pub clearness: f32,
}

/// The distance of centres below which one object is inside the other.
const NEAR: f32 = 0.13;

/// The distance of two objects that [`place`](crate::place) puts apart.
const APART: f32 = 0.5;

/// Reads one to four objects; `None` for fewer or more. They are named in their order, unless a relation decides it: of two that
/// touch the upper one comes first, of one inside another the inner one.
///
/// Three or four are read as two parts in separate halves, with the most space between the halves and between the objects of
/// each.
pub fn read(things: &[Thing]) -> Option<Arrangement> {
    match *things {
        [one] => Some(Arrangement {
            scene: Scene { parts: vec![Part::One(one.object)] },
            placed: vec![placed(one, radius(one.object.size) * ALONE)],
            clearness: 1.0,
        }),
        [first, second] => Some(pair_alone(first, second)),
        [a, b, c] => best(&[[a, b, c], [a, c, b], [b, c, a]]),
        [a, b, c, d] => best(&[[a, b, c, d], [a, c, b, d], [a, d, b, c]]),
        _ => None,
    }
}

fn placed(thing: Thing, radius: f32) -> Placed {
    Placed { object: thing.object, x: thing.x, y: thing.y, radius }
}

/// Back to front: later objects first, so that the first of each part is in front.
fn drawn<'a>(things: impl DoubleEndedIterator<Item = &'a Thing>) -> Vec<Placed> {
    things.rev().map(|thing| placed(*thing, radius(thing.object.size))).collect()
}

fn pair_alone(first: Thing, second: Thing) -> Arrangement {
    let (dx, dy) = (first.x - second.x, first.y - second.y);
    if dx.abs().max(dy.abs()) < NEAR
        && let Some((inner, outer)) = nested(first, second)
    {
        // Sizes have no meaning here: see `Scene::with_objects`.
        let ordinary = |mut thing: Thing| {
            thing.object.size = Size::Ordinary;
            thing
        };
        let (inner, outer) = (ordinary(inner), ordinary(outer));
        return Arrangement {
            scene: Scene { parts: vec![Part::Two(inner.object, Relation::Inside, outer.object)] },
            placed: vec![placed(outer, INSIDE.1), placed(inner, INSIDE.0)],
            clearness: 2.0 * (NEAR - dx.abs().max(dy.abs())),
        };
    }
    let across = dx.abs() > dy.abs();
    // Diagonal, or nearly touching.
    let mut clearness = (dx.abs() - dy.abs()).abs();
    if !across {
        clearness = clearness.min(2.0 * (dy.abs() - touching(first, second)).abs());
    }
    let (first, relation, second) = related(first, second, across);
    Arrangement {
        scene: Scene { parts: vec![Part::Two(first.object, relation, second.object)] },
        placed: drawn([first, second].iter()),
        clearness,
    }
}

/// The inner and the outer of two objects, if one can hold the other; if both can, the second is the outer one.
fn nested(first: Thing, second: Thing) -> Option<(Thing, Thing)> {
    if second.object.shape.holds() {
        Some((first, second))
    } else if first.object.shape.holds() {
        Some((second, first))
    } else {
        None
    }
}

/// The distance below which the upper of two objects rests on the lower.
fn touching(first: Thing, second: Thing) -> f32 {
    let sum = radius(first.object.size) + radius(second.object.size);
    f32::midpoint(sum * TOUCHING, APART)
}

/// The relation of two objects along one direction, in the order of naming.
fn related(first: Thing, second: Thing, across: bool) -> (Thing, Relation, Thing) {
    if across {
        let relation = if first.x < second.x { Relation::LeftOf } else { Relation::RightOf };
        return (first, relation, second);
    }
    let (upper, lower) = if first.y < second.y { (first, second) } else { (second, first) };
    if lower.y - upper.y < touching(first, second) {
        return (upper, Relation::OnTopOf, lower);
    }
    let relation = if first.y < second.y { Relation::Above } else { Relation::Below };
    (first, relation, second)
}

/// The clearest reading over all orders, in rows and in columns.
fn best<const N: usize>(orders: &[[Thing; N]]) -> Option<Arrangement> {
    let readings =
        orders.iter().flat_map(|things| [true, false].map(|rows| in_halves(things, rows)));
    // The first of equals, as in the order of the objects.
    readings.reduce(|best, other| if other.clearness > best.clearness { other } else { best })
}

/// Reads the first two things in one half and the rest in the other; halves are stacked (`rows`) or side by side.
fn in_halves(things: &[Thing], rows: bool) -> Arrangement {
    // Coordinates between the halves, and along each half.
    let between = |thing: &Thing| if rows { thing.y } else { thing.x };
    let along = |thing: &Thing| if rows { thing.x } else { thing.y };
    let span = |things: &[Thing]| {
        let places = things.iter().map(between);
        places.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), place| {
            (low.min(place), high.max(place))
        })
    };
    let halves: [&[Thing]; 2] = things.split_at(2).into();
    let [(low, high), (other_low, other_high)] = halves.map(span);
    let mut clearness = (other_low - high).max(low - other_high);
    let mut named = Vec::with_capacity(things.len());
    let parts = halves.map(|half| {
        if let [first, second] = *half {
            clearness = clearness.min((along(&first) - along(&second)).abs());
            let (first, relation, second) = related(first, second, rows);
            named.extend([first, second]);
            Part::Two(first.object, relation, second.object)
        } else {
            named.extend_from_slice(half);
            Part::One(half[0].object)
        }
    });
    Arrangement { scene: Scene { parts: parts.into() }, placed: drawn(named.iter()), clearness }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Colour, Pool, Shape, Split, Texture, place};

    /// The objects of a scene as placed, in the order of its caption.
    fn things(scene: &Scene, placed: &[Placed]) -> Vec<Thing> {
        let of = |object: &Object| {
            let found = placed.iter().find(|one| one.object == *object).unwrap();
            Thing { object: *object, x: found.x, y: found.y }
        };
        scene.objects().iter().map(of).collect()
    }

    /// Whether a relation is true in the picture.
    fn is_true(part: Part, placed: &[Placed]) -> bool {
        let Part::Two(first, relation, second) = part else {
            return true;
        };
        let at = |object: Object| {
            let found = placed.iter().find(|one| one.object == object).unwrap();
            (found.x, found.y)
        };
        let ((x, y), (other_x, other_y)) = (at(first), at(second));
        match relation {
            Relation::LeftOf => x < other_x,
            Relation::RightOf => x > other_x,
            Relation::Above | Relation::OnTopOf => y < other_y,
            Relation::Below => y > other_y,
            Relation::Inside => false,
        }
    }

    #[test]
    fn placed_scenes_are_read_back() {
        let (mut tried, mut halves, mut other_words) = (0, 0, 0);
        let mut kinds = std::collections::BTreeSet::new();
        for index in 0..3_000 {
            let mut random = Split::Validation.random(7, index);
            let scene = Scene::random(&mut random, Pool::All);
            let large = scene.objects().iter().filter(|one| one.size == Size::Large).count();
            if large > 1 {
                // Two large objects are as close apart as when they touch.
                continue;
            }
            let placed = place(&scene, &mut random);
            let found = read(&things(&scene, &placed)).unwrap();
            assert!(found.clearness > 0.0);
            if scene.parts.len() == 1 {
                assert_eq!(found.scene, scene, "{index}");
            } else {
                // Four objects in a square can be read in rows and in columns, and so can some of three.
                for part in &found.scene.parts {
                    assert!(is_true(*part, &placed), "{index}: {part:?}");
                }
                other_words += usize::from(found.scene != scene);
                halves += 1;
            }
            tried += 1;
            kinds.insert((scene.parts.len(), scene.relation()));
        }
        assert!(halves > 400 && other_words < halves / 3, "{other_words} of {halves}");
        assert!(tried > 2_900 && kinds.len() == 1 + 6 + 5, "{tried} {kinds:?}");
    }

    fn thing(shape: Shape, colour: Colour, x: f32, y: f32) -> Thing {
        Thing {
            object: Object { shape, colour, size: Size::Ordinary, texture: Texture::Plain },
            x,
            y,
        }
    }

    #[test]
    fn the_inner_and_the_upper_object_come_first_and_in_front() {
        let square = thing(Shape::Square, Colour::Blue, 0.5, 0.5);
        let star = thing(Shape::Star, Colour::Red, 0.52, 0.48);
        for order in [[square, star], [star, square]] {
            let found = read(&order).unwrap();
            assert_eq!(
                found.scene.parts,
                [Part::Two(star.object, Relation::Inside, square.object)]
            );
            assert_eq!(found.placed[1].object, star.object);
            assert!(found.placed[1].radius < found.placed[0].radius);
        }
        let low = thing(Shape::House, Colour::Green, 0.5, 0.7);
        let high = thing(Shape::Moon, Colour::Pink, 0.5, 0.36);
        let found = read(&[low, high]).unwrap();
        assert_eq!(found.scene.parts, [Part::Two(high.object, Relation::OnTopOf, low.object)]);
    }

    #[test]
    fn three_in_a_row_are_unclear_and_five_are_not_read() {
        let row = [0.2, 0.5, 0.8];
        let shapes = [Shape::Star, Shape::Moon, Shape::Key];
        let colours = [Colour::Red, Colour::Blue, Colour::Pink];
        let three: Vec<Thing> =
            (0..3).map(|at| thing(shapes[at], colours[at], row[at], 0.5)).collect();
        assert!(read(&three).unwrap().clearness <= 0.0);
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[three[0]; 5]), None);
    }
}
