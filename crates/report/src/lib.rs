//! HTML pages and SVG charts of CLoVe's results.
//!
//! Each page is one file. It needs no script and requests nothing: style and pictures are inline, and its content policy
//! forbids every request. All text is escaped.

pub mod data;
pub mod eval;
pub mod lab;
mod page;

pub use page::{Card, CardText};
