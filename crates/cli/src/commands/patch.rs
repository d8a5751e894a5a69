//! `clove patch`: a model between two.

use anyhow::Result;
use clove::patch::patch_to;

use crate::args::Patch;
use crate::{model, output};

pub fn run(args: &Patch) -> Result<()> {
    let pretrained = model::open(&args.pretrained)?;
    let finetuned = model::open(&args.finetuned)?;
    let bar = output::byte_progress("patching");
    patch_to(
        &pretrained,
        &finetuned,
        args.alpha,
        &args.out,
        &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        },
    )?;
    bar.finish_and_clear();
    output::note(&format!(
        "{}: {} of the way from {} to {}",
        args.out.display(),
        args.alpha,
        args.pretrained.display(),
        args.finetuned.display()
    ));
    Ok(())
}
