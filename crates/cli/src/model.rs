//! Opens models and devices.

use std::path::Path;

use anyhow::{Error, Result};
use clove::device::{self, DeviceChoice, OpenDevice};
use clove::score::{ScoreError, Scorer};
use clove::weights::ModelSource;
use clove_run::lacks_preprocessing;

use crate::output;

/// Opens a model, and says what its files leave open.
pub fn open(dir: &Path) -> Result<ModelSource> {
    let source = clove_run::open_model(dir)?;
    if let Some(assumed) = source.assumed() {
        output::note(&assumed);
    }
    Ok(source)
}

pub fn open_device(choice: DeviceChoice) -> Result<OpenDevice> {
    let device = device::open(choice)?;
    output::note(&format!("device: {}", device.description));
    Ok(device)
}

pub fn load(dir: &Path, choice: DeviceChoice) -> Result<Scorer> {
    let source = open(dir)?;
    let device = open_device(choice)?;
    let scorer = pollster::block_on(Scorer::load(&source, &device.device));
    let scorer = scorer.map_err(|error| match error {
        // Errors of files name them.
        ScoreError::LogitScale(_) => Error::from(error).context(source.place()),
        _ => error.into(),
    })?;
    note_defaults(&source);
    Ok(scorer)
}

pub fn note_defaults(source: &ModelSource) {
    if let Some(text) = lacks_preprocessing(source) {
        output::note(&text);
    }
}
