//! Opens what commands have in common: a model's directory, a device.

use std::path::Path;

use anyhow::{Result, ensure};
use clove::device::{self, DeviceChoice, OpenDevice};
use clove::score::Scorer;
use clove::weights::{Directory, ModelSource};

use crate::output;

/// Opens a model's directory.
pub fn open(dir: &Path) -> Result<ModelSource> {
    ensure!(dir.exists(), "{}: no such directory", dir.display());
    ensure!(
        dir.is_dir(),
        "{}: a model is a directory, this is a file",
        dir.display()
    );
    Ok(ModelSource::open(Box::new(Directory(dir.to_owned())))?)
}

/// Opens a device and says which.
pub fn open_device(choice: DeviceChoice) -> Result<OpenDevice> {
    let device = device::open(choice)?;
    output::note(&format!("device: {}", device.description));
    Ok(device)
}

/// Loads a model onto a device.
pub fn load(dir: &Path, choice: DeviceChoice) -> Result<Scorer> {
    let source = open(dir)?;
    let device = open_device(choice)?;
    Ok(pollster::block_on(Scorer::load(&source, &device.device))?)
}
