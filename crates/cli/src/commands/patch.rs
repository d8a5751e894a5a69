//! `clove patch`: interpolates two models.

mod sweep;

use std::path::PathBuf;

use anyhow::Result;
use clove::device::DeviceChoice;
use clove::patch::patch_to;
use clove::weights::{ModelSource, OutputDir, write_file};

use self::sweep::{sweep, table};
use crate::args::Patch;
use crate::{model, output};

pub fn run(args: &Patch, device: DeviceChoice) -> Result<()> {
    let pretrained = model::open(&args.pretrained)?;
    let finetuned = model::open(&args.finetuned)?;
    let data = [&args.data, &args.images, &args.beside_data, &args.beside_images];
    let mut inputs = vec![args.pretrained.as_path(), &args.finetuned];
    inputs.extend(data.into_iter().flatten().map(PathBuf::as_path));
    let out = OutputDir::claim(&args.out, args.force, &inputs)?;
    let (alpha, sweep) = match (args.alpha, &args.sweep, args.select) {
        (Some(alpha), _, _) => (alpha, None),
        (None, Some(alphas), Some(suite)) => {
            let sweep = sweep(args, (alphas, suite), &pretrained, &finetuned, device)?;
            (sweep.chosen, Some(sweep))
        }
        (None, ..) => anyhow::bail!("give --alpha, or --sweep with --select"),
    };
    let bar = output::byte_progress("patching");
    patch_to(&pretrained, &finetuned, alpha, &out, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    if let Some(sweep) = sweep {
        let text = serde_json::to_string_pretty(&sweep)? + "\n";
        write_file(&out.path().join("sweep.json"), text)?;
        output::print(&table(&sweep))?;
    }
    out.commit()?;
    output::note(&format!(
        "{}: alpha {alpha} between {} and {}",
        args.out.display(),
        args.pretrained.display(),
        args.finetuned.display()
    ));
    note_contexts(&pretrained, &finetuned);
    Ok(())
}

/// Says what becomes of the positions that one model alone has.
fn note_contexts(pretrained: &ModelSource, finetuned: &ModelSource) {
    let [kept, tuned] = [pretrained, finetuned].map(|source| source.config().text.context_length);
    if kept != tuned {
        output::note(&format!(
            "contexts differ: {kept} and {tuned} tokens; the first {} positions are interpolated, the others are the pretrained model's",
            kept.min(tuned)
        ));
    }
}
