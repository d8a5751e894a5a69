//! What lies on disk: benchmark files, lists of texts and folders of photos, read into the rows that `clove` evaluates.
//!
//! Native only. Called by the `clove` program. Readers are strict: what they can't read exactly they refuse, naming the file,
//! the row and the field.

pub mod benchmarks;
pub mod captions;
mod error;
mod json;
mod photos;
pub mod run;
pub mod sets;
mod text;

pub use error::DataError;
pub use photos::{Photos, read_image};
