//! `clove convert`: converts a model to another layout or precision.

use anyhow::Result;
use clove::weights::{Layout, OutputDir, Precision, write_model};

use crate::args::{Convert, Dtype, Target};
use crate::{model, output};

pub fn run(args: &Convert) -> Result<()> {
    let source = model::open(&args.model)?;
    let layout = match args.to {
        Target::HuggingFace | Target::Web => Layout::HuggingFace,
        Target::OpenClip => Layout::OpenClip,
    };
    let for_web = matches!(args.to, Target::Web);
    let precision = match args.dtype {
        // Halves the download.
        None if for_web => Precision::F16,
        None => Precision::Unchanged,
        Some(Dtype::F32) => Precision::F32,
        Some(Dtype::F16) => Precision::F16,
    };
    let out = OutputDir::claim(&args.out, args.force, &[&args.model])?;
    write_model(&source, layout, precision, &out)?;
    if for_web {
        clove_data::write_manifest(out.path())?;
    }
    out.commit()?;
    output::note(&format!(
        "{}: {} model of {} parameters",
        args.out.display(),
        layout,
        source.config().parameters()
    ));
    Ok(())
}
