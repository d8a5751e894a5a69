//! `clove preprocess`: writes preprocessed pixels of photos.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clove_run::photos;
use clove_run::words::counted;

use crate::args::Preprocess;
use crate::tensors::{Data, Photos, Tensor};
use crate::{model, output, tensors};

pub fn run(args: &Preprocess) -> Result<()> {
    let mut inputs: Vec<&Path> = args.images.iter().map(PathBuf::as_path).collect();
    inputs.push(&args.model);
    tensors::check(&args.out, args.skip_unreadable, &inputs)?;
    let source = model::open(&args.model)?;
    let preprocess = source.preprocess()?;
    model::note_defaults(&source);
    let pixels = photos::batch(&args.images, &preprocess, args.skip_unreadable)?;
    let size = preprocess.size() as usize;
    let listed = args.skip_unreadable.then(|| Photos::of(&args.images, &pixels));
    tensors::write(
        &args.out,
        &[Tensor {
            name: "pixel_values",
            shape: vec![pixels.places.len(), 3, size, size],
            data: Data::F32(&pixels.values),
        }],
        listed.as_ref(),
    )?;
    output::note(&format!(
        "{}: {} of {size} x {size}",
        args.out.display(),
        counted(pixels.places.len() as u64, "image")
    ));
    Ok(())
}
