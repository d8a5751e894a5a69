//! After a run: between the weights that it began with and those that it ended with lie models that have learned and not
//! forgotten. CLoVe (Castro et al., arXiv 2402.15021, section 3.3) takes one of them, so that's what a run ends with.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clove::weights::{AtomicFile, Snapshot};
use serde::Serialize;

use super::config::{Config, Start};
use super::start::Parts;
use super::validation::Line;
use super::{Run, write_model};
use crate::output;
use crate::progress::Progress;

/// CLoVe's, where there's nothing to choose by.
const USUAL: f64 = 0.6;

/// Tenths of the way from the pretrained to the fine-tuned model.
const TENTHS: u32 = 10;

/// A line of patching.jsonl.
#[derive(Serialize)]
struct Point {
    alpha: f64,
    #[serde(flatten)]
    line: Line,
}

/// Writes the patched model, where training began with a pretrained one; gives what was done, in words. Alpha is chosen on the
/// validation's pairs where there are any: of the most worthy the smallest, which forgets the least.
pub fn patch(
    config: &Config,
    parts: &Parts,
    finetuned: &Snapshot,
    run: &Run<'_>,
) -> Result<Option<String>> {
    let Some(pretrained) = parts.pretrained()? else {
        return Ok(None);
    };
    let mut why = "CLoVe's; [validation] would let it be chosen".to_owned();
    let mut alpha = USUAL;
    if let Some(validation) = &run.validation {
        let progress = Progress::new();
        let mut points = Vec::new();
        for tenth in 0..=TENTHS {
            let alpha = f64::from(tenth) / f64::from(TENTHS);
            let clip = parts
                .config
                .build(&mut pretrained.patched(finetuned, alpha), run.device)?;
            let step = run.trainer.steps();
            let line = validation.run(clip, step, parts, run.device, &progress)?;
            progress.note(&format!("alpha {alpha}: {}", line.summary()));
            points.push(Point { alpha, line });
        }
        progress.finish();
        let best = points.iter().fold(None, |best: Option<&Point>, point| {
            best.filter(|best| best.line.worth() >= point.line.worth())
                .or(Some(point))
        });
        if let Some(best) = best {
            alpha = best.alpha;
        }
        let lines: Vec<String> = points
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        let path = config.out.join("patching.jsonl");
        let mut file = AtomicFile::create(&path)?;
        file.write_all((lines.join("\n") + "\n").as_bytes())
            .with_context(|| path.display().to_string())?;
        file.commit()?;
        why = format!("the best on the held-out pairs; {}", path.display());
    }
    let patched = pretrained.patched(finetuned, alpha);
    let dir = write_model(config, parts, &patched, "patched")?;
    output::note(&format!("{}: alpha {alpha}, {why}", dir.display()));
    let pretrained = match config.model.start() {
        Start::Directory(dir) => dir.display().to_string(),
        // `clove lab` writes it.
        _ => "clove-lab/models/pretrained".to_owned(),
    };
    Ok(Some(format!(
        "next: clove score --model {} --image photo.jpg --caption \"a dog\" --caption \"a cat\"; with another alpha: clove patch \
         --pretrained {pretrained} --finetuned {} --alpha 0.8 --out patched",
        dir.display(),
        config.out.join("model").display()
    )))
}
