//! Patches the model at the end of a run: interpolates between its initial and final weights (Castro et al., arXiv 2402.15021,
//! section 3.3).

use std::io::Write as _;

use clove::device::Device;
use clove::patch::{self, Tried};
use clove::weights::{AtomicFile, Snapshot};
use serde::Serialize;

use crate::config::Config;
use crate::error::{Context as _, Result};
use crate::event::{Event, Listener};
use crate::run::write_model;
use crate::start::Parts;
use crate::validation::{Line, Validation};

/// CLoVe's alpha, for runs without validation.
const USUAL: f64 = 0.6;

#[derive(Serialize)]
struct Point {
    alpha: f64,
    #[serde(flatten)]
    line: Line,
}

/// Writes the patched model, if training began with a pretrained one. Chooses alpha on the held-out pairs, if any.
pub fn patch(
    (config, parts): (&Config, &Parts),
    finetuned: &Snapshot,
    step: usize,
    validation: Option<&Validation>,
    device: &Device,
    listener: &mut Listener<'_>,
) -> Result<()> {
    let Some(pretrained) = parts.pretrained()? else {
        return Ok(());
    };
    let (mut alpha, mut curve) = (USUAL, None);
    if let Some(validation) = validation {
        let mut points = Vec::new();
        for alpha in patch::tenths() {
            let mut patched = pretrained.patched(finetuned, alpha);
            let clip = parts.config.build(&mut patched, device)?;
            let line = validation.run(clip, step, parts, device, listener)?;
            listener(&Event::Tried { alpha, line: &line });
            points.push(Point { alpha, line });
        }
        // The score includes all that the model should keep, so no further limit is needed.
        alpha = patch::choose_alpha(points.iter().map(|point| Tried {
            alpha: point.alpha,
            composition: point.line.worth(),
            recognition: None,
        }));
        let lines: Vec<String> = points
            .iter()
            .map(serde_json::to_string)
            .collect::<serde_json::Result<_>>()
            .context("patching.jsonl")?;
        let path = config.out.join("patching.jsonl");
        let mut file = AtomicFile::create(&path)?;
        file.write_all((lines.join("\n") + "\n").as_bytes()).with_context(|| path.display())?;
        file.commit()?;
        curve = Some(path);
    }
    let dir = write_model(config, parts, &pretrained.patched(finetuned, alpha), "patched")?;
    listener(&Event::Patched { alpha, dir, curve });
    Ok(())
}
