//! What the project's tests share: golden files, devices, tensors to compare, and files of every kind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::missing_panics_doc,
    reason = "in a test a panic is how failure is reported"
)]

pub mod bombs;
mod files;
pub mod timing;
pub mod training;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use clove::device::{self, DeviceChoice, read_back};
use clove::weights::{Directory, ModelSource};
pub use clove_tests_wasm::fnv1a;
pub use files::*;

/// This package's folder, looked up at run time: two checkouts may share a folder of built programs, so a compiled-in path
/// could name the other checkout.
pub fn package() -> PathBuf {
    // cargo sets the variable; a program that is started by hand uses the folder where it was built.
    let found = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    // The tests of the command line belong to another package.
    match found.file_name() {
        Some(name) if name == "cli" => found.join("../../tests"),
        _ => found,
    }
}

/// A file or folder under `tests/golden`.
pub fn golden(name: &str) -> PathBuf {
    package().join("golden").join(name)
}

/// A file or folder of the optional shared data. If it is absent, prints so and returns `None`; with `CLOVE_REQUIRE_SHARED=1`,
/// as in CI, it panics.
pub fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CLOVE_SHARED_DATA")
        .map_or_else(|| package().join("../../shared/data"), PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(!is_set("CLOVE_REQUIRE_SHARED"), "{} is absent but required", path.display());
    println!("not tested: {} is absent", path.display());
    None
}

/// The CPU.
pub fn cpu() -> Device {
    Device::flex()
}

/// The CPU, and a GPU (a software one counts) if there is one. Without a GPU, prints so; with `CLOVE_REQUIRE_GPU=1`, as in CI,
/// it panics.
pub fn devices() -> Vec<(String, Device)> {
    let mut devices = vec![("cpu".to_owned(), cpu())];
    match device::open(DeviceChoice::Gpu(None)) {
        Ok(gpu) => devices.push((gpu.description, gpu.device)),
        Err(error) => {
            assert!(!is_set("CLOVE_REQUIRE_GPU"), "{error}");
            println!("not tested on a GPU: {error}");
        }
    }
    devices
}

/// [`devices`], with a GPU only if [`thorough`]: for tests that compile kernels of their own and don't depend on the device.
pub fn devices_if_thorough() -> Vec<(String, Device)> {
    let mut devices = devices();
    if !thorough() {
        devices.truncate(1);
    }
    devices
}

/// Whether tests run everything on a GPU that they run on the CPU. A software GPU spends minutes on compiling kernels, so only
/// `cargo xtask campaign gpu-tests` sets this.
pub fn thorough() -> bool {
    is_set("CLOVE_THOROUGH")
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// Opens a model directory.
pub fn model(dir: &Path) -> ModelSource {
    ModelSource::open(Box::new(Directory(dir.to_owned()))).expect("a model to test with")
}

/// The result of a future that must succeed.
pub fn wait<T, E: Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    pollster::block_on(future).unwrap()
}

/// The values of a tensor.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    wait(read_back(tensor))
}

/// Asserts that a text contains all of some parts.
#[track_caller]
pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}

/// The largest absolute difference, and its place.
pub fn worst(left: &[f32], right: &[f32]) -> (f32, usize) {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .map(|(a, b)| (a - b).abs())
        .enumerate()
        .map(|(index, difference)| (difference, index))
        // A NaN is worse than any number.
        .max_by(|a, b| a.0.is_nan().cmp(&b.0.is_nan()).then(a.0.total_cmp(&b.0)))
        .unwrap_or((0.0, 0))
}

/// The length of the difference relative to the length of `wanted`.
pub fn relative<A, B>(found: &[A], wanted: &[B]) -> f64
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    assert_eq!(found.len(), wanted.len());
    let (mut apart, mut whole) = (0.0, 0.0);
    for (&found, &wanted) in found.iter().zip(wanted) {
        let (found, wanted): (f64, f64) = (found.into(), wanted.into());
        apart += (found - wanted).powi(2);
        whole += wanted.powi(2);
    }
    (apart / whole).sqrt()
}
