//! Writes output files.

use std::path::Path;

use anyhow::{Result, ensure};
use clove::weights::{AtomicFile, Dtype, TensorWriter};

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

/// Refuses an output that is an input or lies in the model directory.
pub fn refuse_input(out: &Path, model: &Path, inputs: &[&Path]) -> Result<()> {
    let parent = out.canonicalize().ok().and_then(|target| Some(target.parent()?.to_owned()));
    let inside = parent.is_some_and(|parent| model.canonicalize().is_ok_and(|dir| dir == parent));
    ensure!(!inside, "{}: is a file of the model; choose another output", out.display());
    refuse_same(out, inputs)
}

/// Refuses an output that is an input.
pub fn refuse_same(out: &Path, inputs: &[&Path]) -> Result<()> {
    let Ok(target) = out.canonicalize() else {
        return Ok(());
    };
    let is_target = |input: &&Path| input.canonicalize().is_ok_and(|input| input == target);
    ensure!(!inputs.iter().any(is_target), "{}: is an input; choose another output", out.display());
    Ok(())
}

pub fn write(path: &Path, tensors: &[Tensor]) -> Result<()> {
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
    let mut writer =
        TensorWriter::new(AtomicFile::create(path)?, &entries, None).map_err(failed)?;
    for tensor in tensors {
        let bytes: Vec<u8> = match tensor.data {
            Data::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::I32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        writer.write(&bytes).map_err(failed)?;
    }
    writer.finish().map_err(failed)?.commit()?;
    Ok(())
}
