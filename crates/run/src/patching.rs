//! Patches the model at the end of a run: interpolates between its initial and final weights (Castro et al., arXiv 2402.15021,
//! section 3.3).

use clove::device::Device;
use clove::patch::{self, Tried};
use clove::weights::{Snapshot, write_file};
use serde::Serialize;

use crate::config::Config;
use crate::error::{Context as _, Result, bail};
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
        alpha = choose(&points, config, listener)?;
        let lines: Vec<String> = points
            .iter()
            .map(serde_json::to_string)
            .collect::<serde_json::Result<_>>()
            .context("patching.jsonl")?;
        let path = config.out.join("patching.jsonl");
        write_file(&path, lines.join("\n") + "\n")?;
        curve = Some(path);
    }
    let dir = write_model(config, parts, &pretrained.patched(finetuned, alpha), "patched")?;
    listener(&Event::Patched { alpha, dir, curve });
    Ok(())
}

/// The best alpha among those whose validations are over the same photos: the ones with the most.
fn choose(points: &[Point], config: &Config, listener: &mut Listener<'_>) -> Result<f64> {
    // Of equals the first.
    let most = points.iter().rev().max_by_key(|point| point.line.scored());
    let Some(most) = most else {
        bail!("no alpha was tried");
    };
    if let Some(problem) = most.line.nothing() {
        bail!(
            "{problem}; so no alpha was chosen and no patched model was written; the trained model is {}",
            config.out.join("model").display()
        );
    }
    let compared: Vec<&Point> =
        points.iter().filter(|point| point.line.is_over_same(&most.line)).collect();
    if compared.len() < points.len() {
        listener(&Event::Note(format!(
            "warning: {} of the {} alphas weren't compared, because other photos could be read",
            points.len() - compared.len(),
            points.len()
        )));
    }
    // The score includes all that the model should keep, so no further limit is needed.
    Ok(patch::choose_alpha(compared.iter().map(|point| Tried {
        alpha: point.alpha,
        composition: point.line.worth(),
        recognition: None,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Control;
    use crate::validation::of_twenty;

    fn chosen(points: &[(f64, usize, f64, &str)]) -> (Result<f64>, usize) {
        let point = |&(alpha, images, worth, rows): &(f64, usize, f64, &str)| Point {
            alpha,
            line: of_twenty(6, images, worth, Some(rows)),
        };
        let points: Vec<Point> = points.iter().map(point).collect();
        let config = "[model]\ninit = \"clip\"\n[data]\nkind = \"scenes\"\n";
        let config = Config::from_toml("x.toml", config).unwrap();
        let mut notes = 0;
        let alpha = choose(&points, &config, &mut |_| {
            notes += 1;
            Control::Continue
        });
        (alpha, notes)
    }

    #[test]
    fn alpha_is_chosen_over_the_same_photos_and_never_over_none() {
        let (alpha, notes) =
            chosen(&[(0.0, 20, 0.2, "all"), (0.5, 20, 0.4, "all"), (1.0, 20, 0.3, "all")]);
        assert_eq!((alpha.unwrap(), notes), (0.5, 0));
        // One photo alone is always found.
        let (alpha, notes) =
            chosen(&[(0.0, 1, 1.0, "one"), (0.5, 20, 0.3, "all"), (1.0, 20, 0.4, "all")]);
        assert_eq!((alpha.unwrap(), notes), (1.0, 1));
        let (alpha, _) = chosen(&[(0.0, 0, 0.0, "none"), (1.0, 0, 0.0, "none")]);
        let error = alpha.unwrap_err().to_string();
        let start = "validation.path: none of the 20 photos can be read; so no alpha was chosen";
        assert!(error.starts_with(start), "{error}");
    }
}
