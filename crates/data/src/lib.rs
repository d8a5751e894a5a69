//! Readers of benchmark files, caption lists, photo folders, caption streams and image-text sets, and the folders of training runs.
//!
//! Native only. Called by the `clove` program. Readers refuse what they can't read exactly and name the file, the row and the field.
//! Readers of captions and of training sets, which may come from the web, skip such rows and list them.
//!
//! ```no_run
//! use clove_data::sets::{ImageTextSet, Options};
//!
//! # fn main() -> Result<(), clove_data::DataError> {
//! let set = ImageTextSet::folder("photos".as_ref(), &Options::default())?;
//! println!("{}", set.summary());
//! for (place, reason) in &set.skipped {
//!     println!("{place}: {reason}");
//! }
//! # Ok(())
//! # }
//! ```

pub mod benchmarks;
pub mod caption_stream;
pub mod captions;
mod error;
pub mod fetch;
mod json;
mod manifest;
mod photos;
pub mod run;
pub mod sets;
#[cfg(test)]
mod testing;
mod text;

pub use error::DataError;
pub use manifest::write_manifest;
pub use photos::{Photos, read_image};
