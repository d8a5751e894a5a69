//! Opens a model.

use std::path::Path;

use clove::weights::{Directory, Layout, ModelSource, SingleFile};

use crate::error::{Result, bail};

/// Opens a model's directory, or the one file that a model is in.
///
/// # Errors
/// When it isn't there, or isn't a model.
pub fn open_model(dir: &Path) -> Result<ModelSource> {
    if !dir.exists() {
        bail!("{}: no such directory", dir.display());
    }
    if dir.is_file() {
        let file = SingleFile::open(&dir.display().to_string(), dir.to_owned())?;
        return Ok(ModelSource::open(Box::new(file))?);
    }
    Ok(ModelSource::open(Box::new(Directory(dir.to_owned())))?)
}

/// Says where a model's directory leaves its preprocessing to the default.
#[must_use]
pub fn lacks_preprocessing(source: &ModelSource) -> Option<String> {
    let file = "preprocessor_config.json";
    let names = source.files().names();
    let lacks = source.layout() == Layout::HuggingFace && !names.iter().any(|name| name == file);
    lacks.then(|| {
        format!(
            "{} has no {file}; CLIP's own preprocessing to {} pixels is used",
            source.place(),
            source.config().image.image_size
        )
    })
}
