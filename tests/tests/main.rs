//! What the crates promise, tested together, in one program: each file that links burn costs a build some ten seconds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test a panic is how failure is reported"
)]

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
