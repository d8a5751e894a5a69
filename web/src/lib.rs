//! CLoVe in a browser tab.
//!
//! A page, which is still to be written, and an engine, a worker that holds the model, talk in the messages of [`protocol`].
//! There are two engines of one source, for WebGPU and for the CPU, each with no more code than it needs.

pub mod protocol;

#[cfg(all(target_family = "wasm", feature = "engine"))]
pub mod engine;
