//! Writes tensors, and lists of the photos that are their rows.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clove::weights::{AtomicFile, Dtype, TensorWriter, write_file};
use clove_run::photos::Rows;
use clove_run::words::counted;
use serde::Serialize;

use crate::output;

pub struct Tensor<'a> {
    pub name: &'a str,
    pub shape: Vec<usize>,
    pub data: Data<'a>,
}

/// Elements, row-major.
pub enum Data<'a> {
    F32(&'a [f32]),
    I32(&'a [i32]),
}

/// The photos that are rows of a tensor file, and those that can't be read, as its list names them.
#[derive(Serialize)]
pub struct Photos<'a> {
    images: Vec<String>,
    unreadable: &'a [(String, String)],
}

/// Checks a tensor file, and the list of photos beside it where there is one, as [`output::check`].
pub fn check(out: &Path, has_list: bool, inputs: &[&Path]) -> Result<()> {
    let list = list(out);
    let outputs = [out, &list];
    output::check(if has_list { &outputs } else { &outputs[..1] }, inputs)
}

/// The list of photos beside a tensor file: `features.images.json` beside `features.safetensors`.
fn list(out: &Path) -> PathBuf {
    out.with_extension("images.json")
}

impl<'a> Photos<'a> {
    pub fn of<T>(paths: &[PathBuf], rows: &'a Rows<T>) -> Self {
        let images = rows.places.iter().map(|place| paths[*place].display().to_string());
        Self { images: images.collect(), unreadable: &rows.unreadable }
    }

    /// Writes the list, and says how many photos are left out.
    fn write(&self, out: &Path) -> Result<()> {
        let list = list(out);
        write_file(&list, serde_json::to_string_pretty(self)? + "\n")?;
        let (all, left) = (self.images.len() + self.unreadable.len(), self.unreadable.len());
        output::note(&format!(
            "{}: the photos of the rows; {left} of {} left out, unreadable",
            list.display(),
            counted(all as u64, "photo")
        ));
        Ok(())
    }

    /// What a tensor file says about its rows.
    fn metadata(&self, out: &Path) -> HashMap<String, String> {
        let list = list(out);
        let name = list.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let left = self.unreadable.len().to_string();
        [("images".to_owned(), name), ("unreadable".to_owned(), left)].into()
    }
}

/// Writes tensors. `photos` are those of the rows, where some may be left out.
pub fn write(path: &Path, tensors: &[Tensor], photos: Option<&Photos<'_>>) -> Result<()> {
    let entries: Vec<_> = tensors
        .iter()
        .map(|tensor| {
            let dtype = match tensor.data {
                Data::F32(_) => Dtype::F32,
                Data::I32(_) => Dtype::I32,
            };
            (tensor.name.to_owned(), dtype, tensor.shape.clone())
        })
        .collect();
    let failed = |error| AtomicFile::failed(path, error);
    let metadata = photos.map(|photos| photos.metadata(path));
    let mut writer =
        TensorWriter::new(AtomicFile::create(path)?, &entries, metadata).map_err(failed)?;
    for tensor in tensors {
        let bytes: Vec<u8> = match tensor.data {
            Data::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::I32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        writer.write(&bytes).map_err(failed)?;
    }
    writer.finish().map_err(failed)?.commit()?;
    photos.map_or(Ok(()), |photos| photos.write(path))
}
