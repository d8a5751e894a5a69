//! The scene editor: a drawing of shapes, and its caption and hard negatives.

use clove_scenes::{
    Arrangement, Colour, Kind, Object, Pool, Random, Scene, Size, Texture, Thing, Wording, alter,
    caption, place, read,
};

/// Most things in a scene.
pub const MOST: usize = 4;

/// The smallest distance of a shape's centre from an edge, as a fraction of the picture's width.
pub const MARGIN: f32 = 0.08;

/// The clearness below which a caption is ambiguous.
pub const CLEAR: f32 = 0.08;

/// A shape with its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// Unique; never reused.
    pub id: u32,
    /// The object and its position.
    pub thing: Thing,
}

/// Shapes, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawing {
    /// One to [`MOST`] of them.
    pub items: Vec<Item>,
    next: u32,
}

/// A drawing in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The scene, and where its objects are.
    pub arrangement: Arrangement,
    /// The caption.
    pub caption: String,
    /// One hard negative of each possible kind.
    pub negatives: Vec<(Kind, String)>,
}

impl Drawing {
    /// The objects of a scene, placed at random.
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

    /// A drawing of these things. Skips those beyond [`MOST`] and those that repeat a shape or a colour; moves those outside
    /// into the picture.
    pub fn from_things(things: impl IntoIterator<Item = Thing>) -> Self {
        let mut drawing = Self::default();
        for thing in things {
            let object = thing.object;
            let clashes =
                drawing.has(|other| other.shape == object.shape || other.colour == object.colour);
            if drawing.items.len() < MOST && !clashes {
                drawing.push(thing);
            }
        }
        drawing
    }

    fn push(&mut self, mut thing: Thing) -> u32 {
        let id = self.next;
        self.next += 1;
        // A caption names the size or the texture, not both.
        if thing.object.size != Size::Ordinary {
            thing.object.texture = Texture::Plain;
        }
        let item = Item { id, thing: kept_inside(thing) };
        self.items.push(item);
        id
    }

    /// Adds an object of an unused shape and colour where most room is. Returns its number, or `None` if the drawing is full.
    pub fn add(&mut self) -> Option<u32> {
        if self.items.len() >= MOST {
            return None;
        }
        let mut shapes = Pool::Common.shapes().iter().copied();
        let shape = shapes.find(|shape| !self.has(|other| other.shape == *shape))?;
        let mut colours = Colour::ALL.into_iter();
        let colour = colours.find(|colour| !self.has(|other| other.colour == *colour))?;
        let (x, y) = self.room();
        Some(self.push(Thing {
            object: Object { shape, colour, size: Size::Ordinary, texture: Texture::Plain },
            x,
            y,
        }))
    }

    /// Of a few places, the one farthest from all objects.
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
            let all = self.items.iter().map(|item| (item.thing.x - x).hypot(item.thing.y - y));
            all.fold(f32::INFINITY, f32::min)
        };
        // The first of equals.
        places.into_iter().fold(places[0], |best, place| {
            if distance(place) > distance(best) + 1e-3 { place } else { best }
        })
    }

    fn has(&self, same: impl Fn(&Object) -> bool) -> bool {
        self.items.iter().any(|item| same(&item.thing.object))
    }

    /// The object of this number.
    pub fn item(&self, id: u32) -> Option<Item> {
        self.items.iter().find(|item| item.id == id).copied()
    }

    /// Removes an object, unless it's the last.
    pub fn remove(&mut self, id: u32) {
        if self.items.len() > 1 {
            self.items.retain(|item| item.id != id);
        }
    }

    /// Moves an object to a place inside the picture.
    pub fn move_to(&mut self, id: u32, x: f32, y: f32) {
        self.change(id, |thing| (thing.x, thing.y) = (x, y));
    }

    /// Changes an object. If it takes the shape or the colour of another, that one gets its old: shapes and colours stay distinct, so
    /// that swapped words always change the meaning.
    pub fn change(&mut self, id: u32, change: impl FnOnce(&mut Thing)) {
        let Some(at) = self.items.iter().position(|item| item.id == id) else {
            return;
        };
        let before = self.items[at].thing;
        let mut after = before;
        change(&mut after);
        // A caption names the size or the texture, not both.
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

    /// The drawing in words, which `seed` chooses; `None` if it's empty.
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
                // Each kind has its own stream of random numbers.
                let mut random = Random::new(&[seed, kind as u64]);
                Some((kind, caption(&alter(scene, kind, &mut random)?, wording)))
            })
            .collect();
        Some(Described { arrangement, caption: text, negatives })
    }
}

fn kept_inside(mut thing: Thing) -> Thing {
    // In thousandths, as in addresses: a reopened drawing is identical to the last bit.
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
    fn a_reopened_scene_has_the_same_caption() {
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
            // Several parts can have more than one true reading; two large objects are as close apart as when they touch.
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
            // A scene with an object inside another has no room for one more.
            assert!(described.negatives.len() >= kinds - 1, "{scene:?}");
        }
        assert!(read_back > 150, "{read_back}");
    }

    #[test]
    fn objects_never_share_a_shape_or_a_colour_and_stay_inside() {
        let mut drawing = Drawing::default();
        let ids: Vec<u32> = std::iter::from_fn(|| drawing.add()).collect();
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
