//! Outlines: polygons in a square from -1 to 1 with y downwards. Contours that are clockwise on the screen are united; the others
//! are holes.

use std::f32::consts::PI;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use self::Shape::{
    Arrow, Boat, Bolt, Circle, Cloud, Cross, Cup, Diamond, Drop, Fish, Flower, Heart, Hexagon,
    House, Key, Moon, Mushroom, Ring, Square, Star, Tree, Triangle,
};

/// A shape. The first [`Self::COMMON`] occur in fine-tuning and in the test of composition. The others occur in pretraining only,
/// and test forgetting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the shape of its name")]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Star,
    Heart,
    Cross,
    Ring,
    Moon,
    Arrow,
    Hexagon,
    Drop,
    House,
    Tree,
    Fish,
    Bolt,
    Boat,
    Cloud,
    Key,
    Mushroom,
    Flower,
    Cup,
}

/// A closed polygon in a square from -1 to 1 with y downwards.
pub type Contour = Vec<(f32, f32)>;

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 22] = [
        Circle, Square, Triangle, Diamond, Star, Heart, Cross, Ring, Moon, Arrow, Hexagon, Drop,
        House, Tree, Fish, Bolt, Boat, Cloud, Key, Mushroom, Flower, Cup,
    ];

    /// The number of shapes in fine-tuning.
    pub const COMMON: usize = 12;

    /// The shapes in fine-tuning.
    pub fn common() -> &'static [Self] {
        &Self::ALL[..Self::COMMON]
    }

    /// The shapes absent from fine-tuning.
    pub fn rare() -> &'static [Self] {
        &Self::ALL[Self::COMMON..]
    }

    /// The word for it in captions.
    pub fn word(self) -> &'static str {
        const WORDS: [&str; Shape::ALL.len()] = [
            "circle", "square", "triangle", "diamond", "star", "heart", "cross", "ring", "moon",
            "arrow", "hexagon", "drop", "house", "tree", "fish", "bolt", "boat", "cloud", "key",
            "mushroom", "flower", "cup",
        ];
        WORDS[self as usize]
    }

    /// Whether another object can be visible inside it.
    pub fn holds(self) -> bool {
        matches!(self, Circle | Square | Diamond | Heart | Hexagon | Drop | Triangle)
    }

    /// The outline: contours for the non-zero fill rule.
    pub fn contours(self) -> &'static [Contour] {
        static ALL: OnceLock<Vec<Vec<Contour>>> = OnceLock::new();
        let all = ALL.get_or_init(|| Self::ALL.iter().map(|shape| outline(*shape)).collect());
        &all[self as usize]
    }
}

/// A point on a circle. `libm` is implemented in software and gives the same bits on every platform.
fn at(centre: (f32, f32), radius: f32, angle: f32) -> (f32, f32) {
    (centre.0 + radius * libm::cosf(angle), centre.1 + radius * libm::sinf(angle))
}

/// Points on an arc, including its ends; clockwise on the screen if `to` exceeds `from`.
fn arc(centre: (f32, f32), radius: f32, from: f32, to: f32) -> Contour {
    const POINTS: u16 = 28;
    (0..=POINTS)
        .map(|point| {
            let share = f32::from(point) / f32::from(POINTS);
            at(centre, radius, from + (to - from) * share)
        })
        .collect()
}

fn circle(centre: (f32, f32), radius: f32) -> Contour {
    arc(centre, radius, 0.0, 2.0 * PI)
}

fn hole(centre: (f32, f32), radius: f32) -> Contour {
    arc(centre, radius, 2.0 * PI, 0.0)
}

/// A box, clockwise from its upper left corner.
fn rectangle(left: f32, top: f32, right: f32, bottom: f32) -> Contour {
    vec![(left, top), (right, top), (right, bottom), (left, bottom)]
}

/// A polygon with corners at alternating distances from the centre, the first at the top.
fn regular(corners: u16, distances: &[f32]) -> Contour {
    (0..corners)
        .map(|corner| {
            let angle = 2.0 * PI * f32::from(corner) / f32::from(corners) - PI / 2.0;
            at((0.0, 0.0), distances[usize::from(corner) % distances.len()], angle)
        })
        .collect()
}

fn heart() -> Contour {
    const POINTS: u16 = 40;
    (0..POINTS)
        .map(|point| {
            let t = 2.0 * PI * f32::from(point) / f32::from(POINTS);
            let (sine, cosine) = (libm::sinf(t), libm::cosf);
            let x = 16.0 * sine * sine * sine;
            let y =
                13.0 * cosine(t) - 5.0 * cosine(2.0 * t) - 2.0 * cosine(3.0 * t) - cosine(4.0 * t);
            (x / 16.5, -(y + 2.5) / 15.5)
        })
        .collect()
}

fn moon() -> Contour {
    // The intersections of the unit circle and the circle of radius 0.8 around (0.5, 0), as angles in each.
    let (outer, inner) = (0.915, 1.433);
    let mut contour = arc((0.15, 0.0), 1.0, outer, 2.0 * PI - outer);
    contour.extend(arc((0.65, 0.0), 0.8, 2.0 * PI - inner, inner));
    contour
}

/// A polygon from its coordinates: x, y, x, y.
fn polygon(coordinates: &[f32]) -> Contour {
    coordinates.chunks_exact(2).map(|point| (point[0], point[1])).collect()
}

fn outline(shape: Shape) -> Vec<Contour> {
    let centre = (0.0, 0.0);
    match shape {
        Circle => vec![circle(centre, 0.95)],
        Square => vec![rectangle(-0.82, -0.82, 0.82, 0.82)],
        Triangle => vec![polygon(&[0.0, -1.0, 1.0, 0.8, -1.0, 0.8])],
        Diamond => vec![polygon(&[0.0, -1.0, 0.68, 0.0, 0.0, 1.0, -0.68, 0.0])],
        Star => vec![regular(10, &[1.05, 0.45])],
        Heart => vec![heart()],
        Cross => {
            let (long, wide) = (0.95, 0.32);
            vec![rectangle(-wide, -long, wide, long), rectangle(-long, -wide, long, wide)]
        }
        Ring => vec![circle(centre, 1.0), hole(centre, 0.55)],
        Moon => vec![moon()],
        Arrow => vec![polygon(&[
            -1.0, -0.28, 0.05, -0.28, 0.05, -0.8, 1.0, 0.0, 0.05, 0.8, 0.05, 0.28, -1.0, 0.28,
        ])],
        Hexagon => vec![regular(6, &[1.0])],
        Drop => {
            let mut contour = arc((0.0, 0.35), 0.65, -PI / 6.0, PI + PI / 6.0);
            contour.push((0.0, -1.0));
            vec![contour]
        }
        House => vec![polygon(&[
            -0.95, -0.05, 0.0, -1.0, 0.95, -0.05, 0.7, -0.05, 0.7, 0.95, 0.2, 0.95, 0.2, 0.35,
            -0.2, 0.35, -0.2, 0.95, -0.7, 0.95, -0.7, -0.05,
        ])],
        Tree => vec![polygon(&[
            0.0, -1.0, 0.5, -0.3, 0.28, -0.3, 0.8, 0.45, 0.18, 0.45, 0.18, 1.0, -0.18, 1.0, -0.18,
            0.45, -0.8, 0.45, -0.28, -0.3, -0.5, -0.3,
        ])],
        Fish => vec![
            arc((0.25, 0.0), 0.72, 0.0, 2.0 * PI).into_iter().map(|(x, y)| (x, y * 0.7)).collect(),
            polygon(&[-0.25, 0.0, -1.0, 0.6, -0.8, 0.0, -1.0, -0.6]),
        ],
        Bolt => vec![polygon(&[
            0.25, -1.0, 0.65, -1.0, 0.2, -0.25, 0.7, -0.25, -0.35, 1.0, -0.05, 0.15, -0.65, 0.15,
        ])],
        Boat => vec![
            polygon(&[-1.0, 0.4, 1.0, 0.4, 0.6, 0.95, -0.6, 0.95]),
            rectangle(-0.62, -1.0, -0.44, 0.45),
            polygon(&[-0.3, -0.95, 0.85, 0.15, -0.3, 0.15]),
        ],
        Cloud => vec![
            circle((-0.5, 0.2), 0.45),
            circle((0.0, -0.15), 0.52),
            circle((0.52, 0.18), 0.46),
            rectangle(-0.5, 0.1, 0.5, 0.65),
        ],
        Key => vec![
            circle((-0.55, 0.0), 0.45),
            hole((-0.55, 0.0), 0.2),
            rectangle(-0.15, -0.13, 1.0, 0.13),
            rectangle(0.4, 0.1, 0.58, 0.45),
            rectangle(0.8, 0.1, 0.98, 0.45),
        ],
        Mushroom => vec![arc((0.0, 0.05), 0.98, PI, 2.0 * PI), rectangle(-0.28, 0.0, 0.28, 0.95)],
        Flower => (0_u8..6)
            .map(|petal| circle(at((0.0, 0.0), 0.6, f32::from(petal) * PI / 3.0), 0.37))
            .collect(),
        Cup => vec![
            polygon(&[-0.85, -0.7, 0.45, -0.7, 0.3, 0.8, -0.7, 0.8]),
            circle((0.55, -0.1), 0.42),
            hole((0.62, -0.1), 0.2),
        ],
    }
}
