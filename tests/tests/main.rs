//! The tests of the libraries, in one program: each program that links burn adds some ten seconds to a build.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests panic")]

mod check;
mod data_files;
mod evaluate;
mod gradient_cache;
mod half_precision;
mod kernels;
mod lab;
mod lora;
mod loss;
mod negatives;
mod parity;
mod patch;
mod preprocess;
mod preprocess_config;
mod resume;
mod scenes;
mod shaders;
mod tokenizer;
mod training;
mod web;
mod weights;
