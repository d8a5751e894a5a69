//! CLoVe in a browser tab.
//!
//! A page and an engine exchange the messages of [`protocol`]. The engine is a worker that holds the models. It is built as four
//! programs: for WebGPU and for the CPU, with and without training. There are two pages: scoring, and the lab.
//!
//! [`verdict`], [`marks`], [`address`], [`hub`], [`stock`] and [`lab`] need no browser and are tested natively.

pub mod address;
pub mod hub;
pub mod lab;
pub mod marks;
mod percent;
pub mod protocol;
pub mod stock;
pub mod verdict;

#[cfg(all(target_family = "wasm", feature = "engine"))]
pub mod engine;
#[cfg(all(target_family = "wasm", feature = "page"))]
pub mod page;
#[cfg(all(target_family = "wasm", any(feature = "engine-gpu", feature = "page")))]
mod webgpu;
