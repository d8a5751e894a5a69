//! Drawn scenes: the data set that comes with the program.
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
//! full ([`caption`]), named in passing as pages of the web do ([`alt_text`]), and altered into a hard negative
//! ([`negative`], SugarCrepe's seven kinds). [`suite`] makes of these a test of composition that no rule on texts alone can
//! win, and a test of recognition on classes that fine-tuning never shows. Objects that somebody placed by hand are read back
//! into the scene that they show ([`read`]).
//!
//! Everything is a function of (seed, index), the same on every platform: integers and IEEE arithmetic only, no library
//! function whose last bit varies. Called by the lab, natively and in a browser.

mod arrangement;
mod caption;
mod draw;
mod negative;
mod scene;
mod shapes;
pub mod suite;
mod words;

pub use clove_random::Random;

pub use arrangement::{Arrangement, Thing, read};
pub use caption::{Wording, alt_text, caption};
pub use draw::{Picture, Placed, draw, draw_placed, place};
pub use negative::{Kind, Style, alter, negative};
pub use scene::{Colour, Object, Part, Pool, Relation, Scene, Size, Texture};
pub use shapes::{Contour, Shape};
pub use words::words;

/// Streams of random numbers that never meet, whatever the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Scenes with alt texts, all shapes.
    Pretraining,
    /// Scenes with full captions, common shapes only.
    FineTuning,
    /// Chooses alpha.
    Validation,
    /// Is reported.
    Test,
}

impl Split {
    /// The generator of item `index` of this split.
    #[must_use]
    pub fn random(self, seed: u64, index: u64) -> Random {
        let stream = match self {
            Self::Pretraining => 1,
            Self::FineTuning => 2,
            Self::Validation => 3,
            Self::Test => 4,
        };
        Random::new(&[seed, stream, index])
    }
}
