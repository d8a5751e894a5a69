//! Drawing scenes.

use serde::{Deserialize, Serialize};
use tiny_skia::{FillRule, Mask, Path, PathBuilder, Transform};

use crate::{Object, Part, Random, Relation, Scene, Shape, Size, Texture};

/// A square picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height.
    pub size: u32,
    /// Red, green and blue of each pixel, row by row, `[size, size, 3]`.
    pub rgb: Vec<u8>,
}

/// Draws a scene at `size` × `size` pixels. `random` decides what captions don't say: background, exact positions, angles and
/// shades.
///
/// # Panics
/// If `size` is 0.
pub fn draw(scene: &Scene, size: u32, random: &mut Random) -> Picture {
    let placed = place(scene, random);
    draw_placed(&placed, size, random)
}

/// Draws placed objects, back to front, at `size` × `size` pixels. `random` decides background, angles and shades.
///
/// # Panics
/// If `size` is 0.
pub fn draw_placed(placed: &[Placed], size: u32, random: &mut Random) -> Picture {
    let mut picture = background(size, random);
    let mut mask = Mask::new(size, size).expect("a picture has at least one pixel");
    for object in placed {
        paint(&mut picture, &mut mask, object, random);
    }
    picture
}

/// A placed object. Lengths are fractions of the picture's width, from its left and upper edge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// The object.
    pub object: Object,
    /// The centre's x.
    pub x: f32,
    /// The centre's y.
    pub y: f32,
    /// The approximate distance from the centre to the farthest point of the outline.
    pub radius: f32,
}

/// A part of the picture.
#[derive(Clone, Copy)]
struct Region {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
}

/// Places a scene's objects, back to front. In each part the first object is in front of the second.
pub fn place(scene: &Scene, random: &mut Random) -> Vec<Placed> {
    let whole = Region { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
    let mut placed = Vec::with_capacity(4);
    if let [only] = scene.parts[..] {
        place_part(only, whole, random, &mut placed);
        return placed;
    }
    let rows = scene.relation().is_some_and(Relation::is_horizontal);
    // Captions don't say which part gets which half.
    let swapped = random.chance(0.5);
    for (index, part) in scene.parts.iter().enumerate() {
        let second = (index == 1) != swapped;
        let start = if second { 0.5 } else { 0.0 };
        let half = if rows {
            Region { y: start, height: 0.5, ..whole }
        } else {
            Region { x: start, width: 0.5, ..whole }
        };
        place_part(*part, half, random, &mut placed);
    }
    placed
}

fn place_part(part: Part, region: Region, random: &mut Random, placed: &mut Vec<Placed>) {
    /// The distance from the middle to the centre of each of two objects.
    const APART: f32 = 0.25;
    let mut jitter = |spread: f32| random.between(-spread, spread);
    let (x, y) = (region.x + region.width / 2.0, region.y + region.height / 2.0);
    match part {
        Part::One(object) => {
            // A single object is drawn larger.
            let alone = region.width.min(region.height) == 1.0;
            let larger = if alone { ALONE } else { 1.0 };
            let room = 2.2 * radius(Size::Ordinary) * larger;
            let (dx, dy) = (
                jitter((region.width - room).max(0.0) / 2.4),
                jitter((region.height - room).max(0.0) / 2.4),
            );
            placed.push(Placed {
                object,
                x: x + dx,
                y: y + dy,
                radius: radius(object.size) * larger * (1.0 + jitter(0.08)),
            });
        }
        Part::Two(first, relation, second) => {
            let radii = match relation {
                Relation::Inside => INSIDE,
                _ => (radius(first.size), radius(second.size)),
            };
            let radii = (radii.0 * (1.0 + jitter(0.06)), radii.1 * (1.0 + jitter(0.06)));
            let apart = APART + jitter(0.02);
            let touching = (radii.0 + radii.1) * TOUCHING / 2.0;
            // From the middle to the first object; the second is opposite.
            let (dx, dy) = match relation {
                Relation::LeftOf => (-apart, jitter(0.03)),
                Relation::RightOf => (apart, jitter(0.03)),
                Relation::Above => (jitter(0.03), -apart),
                Relation::Below => (jitter(0.03), apart),
                Relation::OnTopOf => (jitter(0.02), -touching),
                Relation::Inside => (jitter(0.01), jitter(0.01)),
            };
            let (x, y) = (x + jitter(0.02), y + jitter(0.02));
            let (front, back) = (
                Placed { object: first, x: x + dx, y: y + dy, radius: radii.0 },
                Placed { object: second, x: x - dx, y: y - dy, radius: radii.1 },
            );
            placed.extend([back, front]);
        }
    }
}

/// The distance of two touching objects, as a fraction of the sum of their radii: they overlap a little.
pub(crate) const TOUCHING: f32 = 0.84;

/// The magnification of a single object.
pub(crate) const ALONE: f32 = 1.4;

/// The radii of the inner and the outer object.
pub(crate) const INSIDE: (f32, f32) = (0.16, 0.42);

pub(crate) fn radius(size: Size) -> f32 {
    [0.14, 0.21, 0.27][size as usize]
}

fn background(size: u32, random: &mut Random) -> Picture {
    const TINTS: [[f32; 3]; 6] = [
        [246.0, 246.0, 242.0],
        [220.0, 223.0, 226.0],
        [196.0, 200.0, 204.0],
        [232.0, 223.0, 206.0],
        [210.0, 222.0, 210.0],
        [202.0, 216.0, 232.0],
    ];
    let tint = random.pick(&TINTS);
    let slope = random.between(-14.0, 14.0);
    let mut rgb = Vec::with_capacity((size * size * 3) as usize);
    for row in 0..size {
        let light = slope * (row as f32 / size as f32 - 0.5);
        for _ in 0..size {
            let grain = (random.bits() >> 61) as f32 - 3.5;
            rgb.extend(tint.map(|channel| shade(channel + light + grain)));
        }
    }
    Picture { size, rgb }
}

fn shade(channel: f32) -> u8 {
    (channel + 0.5).clamp(0.0, 255.0) as u8
}

fn paint(picture: &mut Picture, mask: &mut Mask, placed: &Placed, random: &mut Random) {
    let size = picture.size as f32;
    let angle = random.between(-0.16, 0.16);
    let (sine, cosine) = (libm::sinf(angle), libm::cosf(angle));
    let radius = placed.radius * size;
    let to_pixels = Transform::from_row(
        radius * cosine,
        radius * sine,
        -radius * sine,
        radius * cosine,
        placed.x * size,
        placed.y * size,
    );
    mask.clear();
    mask.fill_path(&path(placed.object.shape), FillRule::Winding, true, to_pixels);
    let colour =
        placed.object.colour.rgb().map(|channel| f32::from(channel) + random.between(-12.0, 12.0));
    let contrast = contrasting(colour);
    let phase = random.between(0.0, 1.0);
    let extent = radius * 1.5 + 1.0;
    let span = |centre: f32| {
        let from = (centre * size - extent).max(0.0) as u32;
        let to = ((centre * size + extent).max(0.0) as u32 + 1).min(picture.size);
        from..to
    };
    for row in span(placed.y) {
        for column in span(placed.x) {
            let pixel = (row * picture.size + column) as usize;
            let cover = f32::from(mask.data()[pixel]) / 255.0;
            if cover == 0.0 {
                continue;
            }
            // In fractions of the picture, so that textures are equally coarse on all objects.
            let (x, y) =
                ((column as f32 + 0.5) / size - placed.x, (row as f32 + 0.5) / size - placed.y);
            let mixed = texture(placed.object.texture, x, y, phase, size);
            for (channel, (plain, other)) in colour.iter().zip(contrast).enumerate() {
                let below = &mut picture.rgb[pixel * 3 + channel];
                let ink = plain + (other - plain) * mixed;
                *below = shade(f32::from(*below) + (ink - f32::from(*below)) * cover);
            }
        }
    }
}

fn path(shape: Shape) -> Path {
    let mut builder = PathBuilder::new();
    for contour in shape.contours() {
        let mut points = contour.iter();
        if let Some(&(x, y)) = points.next() {
            builder.move_to(x, y);
        }
        for &(x, y) in points {
            builder.line_to(x, y);
        }
        builder.close();
    }
    builder.finish().expect("every outline has points, and they are finite")
}

/// A contrasting tint: dark on light colours, light on dark ones.
pub(crate) fn contrasting(colour: [f32; 3]) -> [f32; 3] {
    let [red, green, blue] = colour;
    // The weights of Rec. 601.
    let light = 0.299 * red + 0.587 * green + 0.114 * blue;
    if light > 130.0 {
        colour.map(|channel| channel * 0.35)
    } else {
        colour.map(|channel| channel + (255.0 - channel) * 0.6)
    }
}

/// The share of the contrasting tint at (`x`, `y`) from the object's centre, in fractions of the picture. Edges are one pixel
/// wide.
fn texture(texture: Texture, x: f32, y: f32, phase: f32, size: f32) -> f32 {
    /// Stripes per picture width.
    const STRIPES: f32 = 11.0;
    /// Dots per picture width.
    const DOTS: f32 = 9.5;
    /// A dot's radius, in distances between dots.
    const DOT: f32 = 0.27;
    match texture {
        Texture::Plain => 0.0,
        Texture::Striped => {
            // Diagonal stripes with the normal (0.8, 0.6).
            let across = (0.8 * x + 0.6 * y) * STRIPES + phase;
            let from_middle = (across - across.floor() - 0.5).abs();
            ((0.25 - from_middle) * size / STRIPES + 0.5).clamp(0.0, 1.0)
        }
        Texture::Dotted => {
            let (u, v) = (x * DOTS + phase, y * DOTS + phase);
            // Every second row is offset by half a distance.
            let row = v.floor();
            let u = u + if row * 0.5 == (row * 0.5).floor() { 0.0 } else { 0.5 };
            let (du, dv) = (u - u.floor() - 0.5, v - row - 0.5);
            let distance = (du * du + dv * dv).sqrt();
            ((DOT - distance) * size / DOTS + 0.5).clamp(0.0, 1.0)
        }
    }
}
