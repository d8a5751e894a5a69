//! Opens models.

use std::path::Path;

use clove::weights::{Directory, Layout, ModelSource, SingleFile};

use crate::error::{Result, bail};

/// Opens a model directory or a single-file model.
///
/// # Errors
/// If it doesn't exist or isn't a model.
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

/// A note if a model directory lacks its preprocessing configuration, so that the default applies.
pub fn lacks_preprocessing(source: &ModelSource) -> Option<String> {
    let file = "preprocessor_config.json";
    let names = source.files().names();
    let lacks = source.layout() == Layout::HuggingFace && !names.iter().any(|name| name == file);
    lacks.then(|| {
        format!(
            "{} has no {file}; using CLIP's preprocessing to {} pixels",
            source.place(),
            source.config().image.image_size
        )
    })
}
