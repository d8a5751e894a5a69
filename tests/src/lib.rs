//! What the project's tests share: where goldens lie, what a machine must offer, tensors to compare with.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test a panic is how failure is reported"
)]

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clove::device::{self, DeviceChoice};
use clove::weights::{Directory, ModelSource};
use safetensors::SafeTensors;

/// This package's folder, asked for when it runs: two checkouts may share a folder of built programs, and what is compiled in
/// would be the path of the one that built them.
#[must_use]
pub fn package() -> PathBuf {
    // cargo sets it for what it runs; a program that is started by hand is where it was built.
    let found = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    // The command line's tests belong to another package.
    match found.file_name() {
        Some(name) if name == "cli" => found.join("../../tests"),
        _ => found,
    }
}

/// A file or folder under `tests/golden`.
#[must_use]
pub fn golden(name: &str) -> PathBuf {
    package().join("golden").join(name)
}

/// A file or folder of the shared data, which the project can do without: `None`, said aloud, where it's absent.
///
/// # Panics
/// Where it's absent and `CLOVE_REQUIRE_SHARED` is 1, as CI sets it.
#[must_use]
pub fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CLOVE_SHARED_DATA")
        .map_or_else(|| package().join("../../shared/data"), PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(!promised("CLOVE_REQUIRE_SHARED"), "{} is absent but required", path.display());
    println!("not tested: {} is absent", path.display());
    None
}

/// The CPU, and any GPU (a software one counts) where there is one; its absence is said aloud.
///
/// # Panics
/// Where there's no GPU and `CLOVE_REQUIRE_GPU` is 1, as CI sets it.
#[must_use]
pub fn devices() -> Vec<(String, Device)> {
    let mut devices = vec![("cpu".to_owned(), Device::flex())];
    match device::open(DeviceChoice::Gpu(None)) {
        Ok(gpu) => devices.push((gpu.description, gpu.device)),
        Err(error) => {
            assert!(!promised("CLOVE_REQUIRE_GPU"), "{error}");
            println!("not tested on a GPU: {error}");
        }
    }
    devices
}

/// [`devices`], but a GPU only where all is asked for: for tests of what no device has a part in, and that compile kernels of their own.
#[must_use]
pub fn devices_if_thorough() -> Vec<(String, Device)> {
    let mut devices = devices();
    if !thorough() {
        devices.truncate(1);
    }
    devices
}

/// Whether a test takes a GPU through all that it takes the CPU through. On a software GPU that's minutes of compiling kernels, so only
/// `cargo xtask campaign gpu-tests` asks for it.
#[must_use]
pub fn thorough() -> bool {
    promised("CLOVE_THOROUGH")
}

fn promised(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// Opens a model directory.
///
/// # Panics
/// If it can't be opened.
#[must_use]
pub fn model(dir: &Path) -> ModelSource {
    ModelSource::open(Box::new(Directory(dir.to_owned()))).expect("a model to test with")
}

/// The f32 values of a tensor in a safetensors file, with its shape.
///
/// # Panics
/// If there's no such tensor of f32.
#[must_use]
pub fn floats(file: &Path, tensor: &str) -> (Vec<f32>, Vec<usize>) {
    let bytes = std::fs::read(file).expect("a golden file");
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let view = tensors.tensor(tensor).expect("a tensor of this name");
    assert_eq!(view.dtype(), safetensors::Dtype::F32);
    let values = bytemuck::pod_collect_to_vec(view.data());
    (values, view.shape().to_vec())
}

/// The largest absolute difference, and where it is.
///
/// # Panics
/// If the lengths differ.
#[must_use]
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
