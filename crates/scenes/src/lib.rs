//! Synthetic scenes: the included data set.
//!
//! ```
//! use clove_scenes::{Pool, Scene, Split, Style, Wording, caption, draw, negative};
//!
//! let mut random = Split::Validation.random(0, 1);
//! let scene = Scene::with_objects(&mut random, Pool::Common, 2);
//! let wording = Wording::random(&mut random);
//! println!("{}", caption(&scene, wording));
//! if let Some((kind, text)) = negative(&scene, wording, Style::Mixed, &mut random) {
//!     assert_ne!(text, caption(&scene, wording));
//!     println!("{}: {text}", kind.name());
//! }
//! let picture = draw(&scene, 64, &mut random);
//! assert_eq!(picture.rgb.len(), 64 * 64 * 3);
//! ```
//!
//! A [`Scene`] is one to four flat shapes with colours, sizes, textures and relations. It can be drawn ([`draw`]), described in
//! full ([`caption`]), described by a noisy alt text ([`alt_text`]), and altered into a hard negative ([`negative`],
//! SugarCrepe's seven kinds). [`suite`] has a test of composition that no text-only rule can win, and a test of recognition on
//! classes absent from fine-tuning. [`read`] finds the scene of objects that a user has placed.
//!
//! Everything is a function of (seed, index) and identical on every platform: it uses integers and IEEE arithmetic, and no
//! library function whose last bit varies.

mod arrangement;
mod caption;
mod compare;
mod draw;
pub mod figures;
mod negative;
mod scene;
mod shapes;
pub mod suite;
mod words;

pub use clove_random::Random;

pub use arrangement::{Arrangement, Thing, read};
pub use caption::{Wording, alt_text, caption};
pub use compare::common_words;
pub use draw::{Picture, Placed, draw, draw_placed, place};
pub use negative::{Kind, Style, alter, negative};
pub use scene::{Colour, Object, Part, Pool, Relation, Scene, Size, Texture};
pub use shapes::{Contour, Shape};
pub use words::words;

/// Disjoint streams of random numbers, by the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Scenes with alt texts, all shapes.
    Pretraining,
    /// Scenes with full captions, common shapes only.
    FineTuning,
    /// Scenes for the choice of alpha.
    Validation,
    /// Scenes for reported results.
    Test,
}

impl Split {
    /// The generator of item `index` of this split.
    pub fn random(self, seed: u64, index: u64) -> Random {
        Random::new(&[seed, self as u64 + 1, index])
    }
}
