//! CLoVe in a browser tab.
//!
//! Two programs talk in the messages of [`protocol`]: the page, which people see, and an engine, a worker that holds the model.
//! There are four engines of one source, for WebGPU and for the CPU, with training and without, each with no more code than it
//! needs; and two pages, the lab being the other one.
//! What the page works out without a browser stands in [`verdict`], [`marks`] and [`address`], what an engine
//! works out without one in [`hub`]; [`lab`] is what belongs to the lab's page.

pub mod address;
pub mod hub;
pub mod lab;
pub mod marks;
pub mod protocol;
pub mod verdict;

#[cfg(all(target_family = "wasm", feature = "engine"))]
pub mod engine;
#[cfg(all(target_family = "wasm", feature = "page"))]
pub mod page;
