//! The tests of the libraries, in one program: each program that links burn adds some ten seconds to a build.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests panic")]

mod aro_orders;
mod check;
mod data_files;
mod evaluate;
mod finite;
mod gradient_cache;
mod half_precision;
mod kernels;
mod lab;
mod lora;
mod loss;
mod loss_buffers;
mod model_files;
mod negatives;
mod negatives_truth;
mod open_clip_alone;
mod outputs;
mod parity;
mod patch;
mod preprocess;
mod preprocess_config;
mod preprocess_layouts;
mod reader_counts;
mod repeated;
mod resume;
mod scenes;
mod shaders;
mod tokenizer;
mod training;
mod web;
mod weights;
