//! A scene that is being drawn: its things, and what is said of them.

use clove_scenes::{
    Arrangement, Colour, Kind, Object, Pool, Random, Scene, Shape, Size, Texture, Thing, Wording,
    alter, caption, place, read,
};

/// Most things in a scene.
pub const MOST: usize = 4;

/// How far from an edge a thing's centre stays, in shares of the picture's width.
pub const MARGIN: f32 = 0.08;

/// How clear an arrangement must be for its caption to be trusted.
pub const CLEAR: f32 = 0.08;

/// A thing with a name of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// Never used again.
    pub id: u32,
    /// What and where it is.
    pub thing: Thing,
}

/// Things in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawing {
    /// One to [`MOST`] of them.
    pub items: Vec<Item>,
    next: u32,
}

/// What a drawing shows, in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// What is seen, and where.
    pub arrangement: Arrangement,
    /// The caption.
    pub caption: String,
    /// A hard negative of each kind that can be made, with the kind.
    pub negatives: Vec<(Kind, String)>,
}

impl Drawing {
    /// The things of a scene, as it's drawn by `random`.
    #[must_use]
    pub fn of(scene: &Scene, random: &mut Random) -> Self {
        let placed = place(scene, random);
        let mut drawing = Self::default();
        for object in scene.objects() {
            if let Some(found) = placed.iter().find(|one| one.object == object) {
                drawing.push(Thing { object, x: found.x, y: found.y });
            }
        }
        drawing
    }

    /// Of given things; what can't be is left out: more than [`MOST`], two of one shape or colour, places outside.
    #[must_use]
    pub fn from_things(things: impl IntoIterator<Item = Thing>) -> Self {
        let mut drawing = Self::default();
        for thing in things {
            let is_new = |other: &Object| {
                other.shape != thing.object.shape && other.colour != thing.object.colour
            };
            if drawing.items.len() < MOST
                && drawing.items.iter().all(|item| is_new(&item.thing.object))
            {
                drawing.push(thing);
            }
        }
        drawing
    }

    fn push(&mut self, mut thing: Thing) -> u32 {
        let id = self.next;
        self.next += 1;
        // At most one of size and texture has a word.
        if thing.object.size != Size::Ordinary {
            thing.object.texture = Texture::Plain;
        }
        let item = Item { id, thing: kept_inside(thing) };
        self.items.push(item);
        id
    }

    /// Adds a thing of a shape and a colour that aren't there yet, where most room is; gives its name, or none where there are
    /// enough.
    pub fn add(&mut self, shape: Option<Shape>) -> Option<u32> {
        if self.items.len() >= MOST {
            return None;
        }
        let shape = shape.filter(|shape| !self.has_shape(*shape, None)).or_else(|| {
            let mut shapes = Pool::Common.shapes().iter();
            shapes.find(|shape| !self.has_shape(**shape, None)).copied()
        })?;
        let colour = Colour::ALL.into_iter().find(|colour| !self.has_colour(*colour, None))?;
        let (x, y) = self.room();
        Some(self.push(Thing {
            object: Object { shape, colour, size: Size::Ordinary, texture: Texture::Plain },
            x,
            y,
        }))
    }

    /// The place farthest from all things, of a few.
    fn room(&self) -> (f32, f32) {
        let places = [
            (0.5, 0.5),
            (0.25, 0.5),
            (0.75, 0.5),
            (0.25, 0.25),
            (0.75, 0.75),
            (0.75, 0.25),
            (0.25, 0.75),
        ];
        let distance = |(x, y): (f32, f32)| {
            let all = self.items.iter().map(|item| {
                let thing = item.thing;
                (thing.x - x).hypot(thing.y - y)
            });
            all.fold(f32::INFINITY, f32::min)
        };
        // Of equals the first.
        places.into_iter().fold(places[0], |best, place| {
            if distance(place) > distance(best) + 1e-3 { place } else { best }
        })
    }

    /// Whether another thing has this shape.
    #[must_use]
    pub fn has_shape(&self, shape: Shape, but: Option<u32>) -> bool {
        let mut others = self.items.iter().filter(|item| Some(item.id) != but);
        others.any(|item| item.thing.object.shape == shape)
    }

    /// Whether another thing has this colour.
    #[must_use]
    pub fn has_colour(&self, colour: Colour, but: Option<u32>) -> bool {
        let mut others = self.items.iter().filter(|item| Some(item.id) != but);
        others.any(|item| item.thing.object.colour == colour)
    }

    /// A thing.
    #[must_use]
    pub fn item(&self, id: u32) -> Option<Item> {
        self.items.iter().find(|item| item.id == id).copied()
    }

    /// Removes a thing; the last one stays.
    pub fn remove(&mut self, id: u32) {
        if self.items.len() > 1 {
            self.items.retain(|item| item.id != id);
        }
    }

    /// Moves a thing to a place inside the picture.
    pub fn move_to(&mut self, id: u32, x: f32, y: f32) {
        self.change(id, |thing| (thing.x, thing.y) = (x, y));
    }

    /// Changes a thing. One that takes a shape or a colour from another gives its own for it: no two have the same, so that every
    /// exchange of words changes what is said.
    pub fn change(&mut self, id: u32, change: impl FnOnce(&mut Thing)) {
        let Some(at) = self.items.iter().position(|item| item.id == id) else {
            return;
        };
        let before = self.items[at].thing;
        let mut after = before;
        change(&mut after);
        // At most one of the two has a word, so that captions stay short.
        if after.object.size != before.object.size && after.object.size != Size::Ordinary {
            after.object.texture = Texture::Plain;
        }
        if after.object.texture != before.object.texture && after.object.texture != Texture::Plain {
            after.object.size = Size::Ordinary;
        }
        for (place, item) in self.items.iter_mut().enumerate() {
            let object = &mut item.thing.object;
            if place != at && object.shape == after.object.shape {
                object.shape = before.object.shape;
            }
            if place != at && object.colour == after.object.colour {
                object.colour = before.object.colour;
            }
        }
        self.items[at].thing = kept_inside(after);
    }

    /// What it shows, in the words of `seed`; none where there's nothing.
    #[must_use]
    pub fn describe(&self, seed: u64) -> Option<Described> {
        let things: Vec<Thing> = self.items.iter().map(|item| item.thing).collect();
        let arrangement = read(&things)?;
        let mut random = Random::new(&[seed]);
        let wording = Wording::random(&mut random);
        let scene = &arrangement.scene;
        let text = caption(scene, wording);
        let negatives = Kind::ALL
            .into_iter()
            .filter_map(|kind| {
                // A stream of its own for each, so that one kind's choice isn't another's.
                let mut random = Random::new(&[seed, kind as u64]);
                Some((kind, caption(&alter(scene, kind, &mut random)?, wording)))
            })
            .collect();
        Some(Described { arrangement, caption: text, negatives })
    }
}

fn kept_inside(mut thing: Thing) -> Thing {
    // In thousandths, as an address has them: a drawing that is opened again is the same to the last bit.
    let inside = |place: f32| {
        if place.is_finite() {
            (place.clamp(MARGIN, 1.0 - MARGIN) * 1000.0).round() / 1000.0
        } else {
            0.5
        }
    };
    (thing.x, thing.y) = (inside(thing.x), inside(thing.y));
    thing
}

#[cfg(test)]
mod tests {
    use clove_scenes::Split;

    use super::*;
    use crate::lab::address::Place;

    #[test]
    fn a_scene_that_is_opened_says_what_it_said() {
        let mut read_back = 0;
        for index in 0..300 {
            let mut random = Split::Test.random(3, index);
            let scene = Scene::random(&mut random, Pool::Common);
            let drawing = Drawing::of(&scene, &mut random);
            assert_eq!(drawing.items.len(), scene.objects().len());
            let things = drawing.items.iter().map(|item| item.thing).collect();
            let place = Place { things, ..Place::default() };
            let again = Drawing::from_things(Place::from_hash(&place.to_hash()).things);
            assert_eq!(again, drawing);
            let described = drawing.describe(index).unwrap();
            let large = scene.objects().iter().filter(|one| one.size == Size::Large).count();
            // Of several parts more than one reading may be true, and two large ones stand as near apart as they do touching.
            if scene.parts.len() == 1 && large < 2 {
                assert_eq!(described.arrangement.scene, scene);
                let wording = Wording::random(&mut Random::new(&[index]));
                assert_eq!(described.caption, caption(&scene, wording));
                read_back += 1;
            }
            for (kind, negative) in &described.negatives {
                assert_ne!(*negative, described.caption, "{kind:?}");
            }
            let kinds = if scene.objects().len() > 1 { 7 } else { 4 };
            // Of a scene with something inside nothing can be added, but left out.
            assert!(described.negatives.len() >= kinds - 1, "{scene:?}");
        }
        assert!(read_back > 150, "{read_back}");
    }

    #[test]
    fn things_never_share_a_shape_or_a_colour_and_stay_inside() {
        let mut drawing = Drawing::default();
        let ids: Vec<u32> = std::iter::from_fn(|| drawing.add(None)).collect();
        assert_eq!(ids.len(), MOST);
        let first = drawing.items[0].thing.object;
        drawing.change(ids[2], |thing| {
            thing.object.shape = first.shape;
            thing.object.colour = first.colour;
            thing.object.size = Size::Large;
        });
        drawing.change(ids[2], |thing| thing.object.texture = Texture::Dotted);
        drawing.move_to(ids[1], -4.0, f32::NAN);
        let shapes: std::collections::BTreeSet<_> =
            drawing.items.iter().map(|item| item.thing.object.shape).collect();
        let colours: std::collections::BTreeSet<_> =
            drawing.items.iter().map(|item| item.thing.object.colour).collect();
        assert_eq!((shapes.len(), colours.len()), (MOST, MOST));
        let third = drawing.item(ids[2]).unwrap().thing.object;
        assert_eq!((third.shape, third.size), (first.shape, Size::Ordinary));
        let second = drawing.item(ids[1]).unwrap().thing;
        assert_eq!((second.x, second.y), (MARGIN, 0.5));
        for id in ids {
            drawing.remove(id);
        }
        assert_eq!(drawing.items.len(), 1);
    }
}
