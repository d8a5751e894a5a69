//! Opens models.

use std::path::Path;

use clove::weights::{Directory, ModelSource, SingleFile};

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
    // A file that can't be read is an error of whoever needs it.
    let lacks = source.has_preprocess().is_ok_and(|has| !has);
    lacks.then(|| {
        format!(
            "{} has no preprocessor_config.json; using CLIP's preprocessing to {} pixels",
            source.place(),
            source.config().image.image_size
        )
    })
}
