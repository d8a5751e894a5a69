//! Opens what commands have in common: a model's directory, a device.

use std::path::Path;

use anyhow::{Result, ensure};
use clove::device::{self, DeviceChoice, OpenDevice};
use clove::score::Scorer;
use clove::weights::{Directory, Layout, ModelSource, SingleFile};

use crate::output;

/// Opens a model's directory, or the one file that a model is in.
pub fn open(dir: &Path) -> Result<ModelSource> {
    ensure!(dir.exists(), "{}: no such directory", dir.display());
    if dir.is_file() {
        let file = SingleFile::open(&dir.display().to_string(), dir.to_owned())?;
        return Ok(ModelSource::open(Box::new(file))?);
    }
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
    let scorer = pollster::block_on(Scorer::load(&source, &device.device))?;
    note_defaults(&source);
    Ok(scorer)
}

/// Says where a model's directory leaves its preprocessing to the default.
pub fn note_defaults(source: &ModelSource) {
    let file = "preprocessor_config.json";
    if source.layout() == Layout::HuggingFace
        && !source.files().names().iter().any(|name| name == file)
    {
        output::note(&format!(
            "{} has no {file}; CLIP's own preprocessing to {} pixels is used",
            source.place(),
            source.config().image.image_size
        ));
    }
}
