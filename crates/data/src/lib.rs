//! What lies on disk: benchmark files, lists of texts and folders of photos, read into the rows that `clove` evaluates,
//! streams of captions, image-text sets, and the lexicon of hard negatives.
//!
//! Native only. Called by the `clove` program. Readers are strict: what they can't read exactly they refuse, naming the file,
//! the row and the field. Those of captions and of sets to train on, which can be gathered from the web, name such rows and go on.

pub mod benchmarks;
pub mod caption_stream;
pub mod captions;//!
//! ```no_run
//! use clove_data::sets::ImageTextSet;
//!
//! # fn main() -> Result<(), clove_data::DataError> {
//! let set = ImageTextSet::folder("photos".as_ref())?;
//! println!("{}", set.summary());
//! for (place, reason) in &set.skipped {
//!     println!("{place}: {reason}");
//! }
//! # Ok(())
//! # }
//! ```

mod error;
pub mod fetch;
mod json;
mod manifest;
mod photos;
pub mod run;
pub mod sets;
mod text;

pub use error::DataError;
pub use manifest::write_manifest;
pub use photos::{Photos, read_image};
