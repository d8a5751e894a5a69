//! `clove preprocess`: writes preprocessed pixels of photos.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clove_run::photos;

use crate::args::Preprocess;
use crate::tensors::{Data, Tensor};
use crate::{model, output, tensors};

pub fn run(args: &Preprocess) -> Result<()> {
    let inputs: Vec<&Path> = args.images.iter().map(PathBuf::as_path).collect();
    tensors::refuse_input(&args.out, &args.model, &inputs)?;
    let source = model::open(&args.model)?;
    let preprocess = source.preprocess()?;
    model::note_defaults(&source);
    let pixels = photos::batch(&args.images, &preprocess)?;
    let size = preprocess.size() as usize;
    tensors::write(
        &args.out,
        &[Tensor {
            name: "pixel_values",
            shape: vec![args.images.len(), 3, size, size],
            data: Data::F32(&pixels),
        }],
    )?;
    output::note(&format!(
        "{}: {} images of {size} x {size}",
        args.out.display(),
        args.images.len()
    ));
    Ok(())
}
