//! Outlines, as polygons in a square from -1 to 1 with y downwards.
//!
//! Contours of one shape are united where they turn clockwise on the screen, and cut out where they turn the other way.

use std::f32::consts::PI;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// What an object looks like. The first [`Self::COMMON`] occur in fine-tuning and in the test of composition; the others are
/// seen in pretraining alone, and tested as classes that may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the thing that it is called")]
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

/// A closed line of points, in a square from -1 to 1 with y downwards.
pub type Contour = Vec<(f32, f32)>;

impl Shape {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Circle,
        Self::Square,
        Self::Triangle,
        Self::Diamond,
        Self::Star,
        Self::Heart,
        Self::Cross,
        Self::Ring,
        Self::Moon,
        Self::Arrow,
        Self::Hexagon,
        Self::Drop,
        Self::House,
        Self::Tree,
        Self::Fish,
        Self::Bolt,
        Self::Boat,
        Self::Cloud,
        Self::Key,
        Self::Mushroom,
        Self::Flower,
        Self::Cup,
    ];

    /// How many of [`Self::ALL`] occur in fine-tuning.
    pub const COMMON: usize = 12;

    /// Those that fine-tuning shows.
    #[must_use]
    pub fn common() -> &'static [Self] {
        &Self::ALL[..Self::COMMON]
    }

    /// The shapes that fine-tuning never shows.
    #[must_use]
    pub fn rare() -> &'static [Self] {
        &Self::ALL[Self::COMMON..]
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Circle => "circle",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Diamond => "diamond",
            Self::Star => "star",
            Self::Heart => "heart",
            Self::Cross => "cross",
            Self::Ring => "ring",
            Self::Moon => "moon",
            Self::Arrow => "arrow",
            Self::Hexagon => "hexagon",
            Self::Drop => "drop",
            Self::House => "house",
            Self::Tree => "tree",
            Self::Fish => "fish",
            Self::Bolt => "bolt",
            Self::Boat => "boat",
            Self::Cloud => "cloud",
            Self::Key => "key",
            Self::Mushroom => "mushroom",
            Self::Flower => "flower",
            Self::Cup => "cup",
        }
    }

    /// Whether another object can lie inside it and be seen to.
    #[must_use]
    pub fn holds(self) -> bool {
        matches!(
            self,
            Self::Circle
                | Self::Square
                | Self::Diamond
                | Self::Heart
                | Self::Hexagon
                | Self::Drop
                | Self::Triangle
        )
    }

    /// Its outline: contours to be filled by the non-zero rule.
    #[must_use]
    pub fn contours(self) -> &'static [Contour] {
        static ALL: OnceLock<Vec<Vec<Contour>>> = OnceLock::new();
        let all = ALL.get_or_init(|| Self::ALL.iter().map(|shape| outline(*shape)).collect());
        &all[self as usize]
    }
}

/// `libm`'s functions are software, and so give the same bits on every platform.
fn at(centre: (f32, f32), radius: f32, angle: f32) -> (f32, f32) {
    (centre.0 + radius * libm::cosf(angle), centre.1 + radius * libm::sinf(angle))
}

/// Points on an arc, ends included; clockwise on the screen if `to` is above `from`.
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

/// A box from its left upper to its right lower corner.
fn rectangle(left: f32, top: f32, right: f32, bottom: f32) -> Contour {
    vec![(left, top), (right, top), (right, bottom), (left, bottom)]
}

/// Corners at alternating distances from the centre, the first one on top.
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
    // Where the circle of radius 0.8 around (0.5, 0) cuts the unit circle, as angles in the one and in the other.
    let (outer, inner) = (0.915, 1.433);
    let mut contour = arc((0.15, 0.0), 1.0, outer, 2.0 * PI - outer);
    contour.extend(arc((0.65, 0.0), 0.8, 2.0 * PI - inner, inner));
    contour
}

fn outline(shape: Shape) -> Vec<Contour> {
    let centre = (0.0, 0.0);
    match shape {
        Shape::Circle => vec![circle(centre, 0.95)],
        Shape::Square => vec![rectangle(-0.82, -0.82, 0.82, 0.82)],
        Shape::Triangle => vec![vec![(0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)]],
        Shape::Diamond => vec![vec![(0.0, -1.0), (0.68, 0.0), (0.0, 1.0), (-0.68, 0.0)]],
        Shape::Star => vec![regular(10, &[1.05, 0.45])],
        Shape::Heart => vec![heart()],
        Shape::Cross => {
            let (long, wide) = (0.95, 0.32);
            vec![rectangle(-wide, -long, wide, long), rectangle(-long, -wide, long, wide)]
        }
        Shape::Ring => vec![circle(centre, 1.0), hole(centre, 0.55)],
        Shape::Moon => vec![moon()],
        Shape::Arrow => vec![vec![
            (-1.0, -0.28),
            (0.05, -0.28),
            (0.05, -0.8),
            (1.0, 0.0),
            (0.05, 0.8),
            (0.05, 0.28),
            (-1.0, 0.28),
        ]],
        Shape::Hexagon => vec![regular(6, &[1.0])],
        Shape::Drop => {
            let mut contour = arc((0.0, 0.35), 0.65, -PI / 6.0, PI + PI / 6.0);
            contour.push((0.0, -1.0));
            vec![contour]
        }
        _ => rare_outline(shape),
    }
}

fn rare_outline(shape: Shape) -> Vec<Contour> {
    match shape {
        Shape::House => vec![vec![
            (-0.95, -0.05),
            (0.0, -1.0),
            (0.95, -0.05),
            (0.7, -0.05),
            (0.7, 0.95),
            (0.2, 0.95),
            (0.2, 0.35),
            (-0.2, 0.35),
            (-0.2, 0.95),
            (-0.7, 0.95),
            (-0.7, -0.05),
        ]],
        Shape::Tree => vec![vec![
            (0.0, -1.0),
            (0.5, -0.3),
            (0.28, -0.3),
            (0.8, 0.45),
            (0.18, 0.45),
            (0.18, 1.0),
            (-0.18, 1.0),
            (-0.18, 0.45),
            (-0.8, 0.45),
            (-0.28, -0.3),
            (-0.5, -0.3),
        ]],
        Shape::Fish => vec![
            arc((0.25, 0.0), 0.72, 0.0, 2.0 * PI).into_iter().map(|(x, y)| (x, y * 0.7)).collect(),
            vec![(-0.25, 0.0), (-1.0, 0.6), (-0.8, 0.0), (-1.0, -0.6)],
        ],
        Shape::Bolt => vec![vec![
            (0.25, -1.0),
            (0.65, -1.0),
            (0.2, -0.25),
            (0.7, -0.25),
            (-0.35, 1.0),
            (-0.05, 0.15),
            (-0.65, 0.15),
        ]],
        Shape::Boat => vec![
            vec![(-1.0, 0.4), (1.0, 0.4), (0.6, 0.95), (-0.6, 0.95)],
            rectangle(-0.62, -1.0, -0.44, 0.45),
            vec![(-0.3, -0.95), (0.85, 0.15), (-0.3, 0.15)],
        ],
        Shape::Cloud => vec![
            circle((-0.5, 0.2), 0.45),
            circle((0.0, -0.15), 0.52),
            circle((0.52, 0.18), 0.46),
            rectangle(-0.5, 0.1, 0.5, 0.65),
        ],
        Shape::Key => vec![
            circle((-0.55, 0.0), 0.45),
            hole((-0.55, 0.0), 0.2),
            rectangle(-0.15, -0.13, 1.0, 0.13),
            rectangle(0.4, 0.1, 0.58, 0.45),
            rectangle(0.8, 0.1, 0.98, 0.45),
        ],
        Shape::Mushroom => {
            vec![arc((0.0, 0.05), 0.98, PI, 2.0 * PI), rectangle(-0.28, 0.0, 0.28, 0.95)]
        }
        Shape::Flower => (0_u8..6)
            .map(|petal| circle(at((0.0, 0.0), 0.6, f32::from(petal) * PI / 3.0), 0.37))
            .collect(),
        _ => vec![
            vec![(-0.85, -0.7), (0.45, -0.7), (0.3, 0.8), (-0.7, 0.8)],
            circle((0.55, -0.1), 0.42),
            hole((0.62, -0.1), 0.2),
        ],
    }
}
