//! The commands, one file each.

pub mod completions;
pub mod convert;
pub mod data;
pub mod devices;
pub mod embed;
pub mod eval;
pub mod lab;
pub mod negatives;
pub mod patch;
pub mod preprocess;
pub mod score;
pub mod tokenize;
pub mod train;
