//! HTML pages and SVG charts of CLoVe's results.
//!
//! Each page is a single file without scripts and requests: style and pictures are inline, and the content policy forbids all
//! requests. All text is escaped.
//!
//! ```
//! use clove_report::data::{Inspection, page};
//!
//! let found = Inspection {
//!     set: "photos".to_owned(),
//!     summary: "1,000 samples with 5,000 captions".to_owned(),
//!     ..Inspection::default()
//! };
//! assert!(page(&found).starts_with("<!DOCTYPE html>"));
//! ```

pub mod data;
pub mod eval;
pub mod lab;
mod page;

pub use page::{Card, CardText};
