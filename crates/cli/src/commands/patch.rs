//! `clove patch`: a model between two.

use anyhow::{Context as _, Result};
use clove::lab::{self, RULE, SweepPoint};
use clove::patch::{Pair, patch_to};
use clove::score::Scorer;
use clove::weights::ModelSource;
use clove_scenes::Split;
use serde::Serialize;

use crate::args::{Alphas, Patch, Suite};
use crate::bench::{Bench, Figures, Files};
use crate::embeddings::Store;
use crate::{model, output, tensors};

pub fn run(args: &Patch) -> Result<()> {
    let pretrained = model::open(&args.pretrained)?;
    let finetuned = model::open(&args.finetuned)?;
    let (alpha, sweep) = match (args.alpha, &args.sweep, args.select) {
        (Some(alpha), _, _) => (alpha, None),
        (None, Some(alphas), Some(suite)) => {
            let sweep = sweep(args, alphas, suite, &pretrained, &finetuned)?;
            (sweep.chosen, Some(sweep))
        }
        (None, ..) => anyhow::bail!("give --alpha, or --sweep with --select"),
    };
    let bar = output::byte_progress("patching");
    patch_to(
        &pretrained,
        &finetuned,
        alpha,
        &args.out,
        &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        },
    )?;
    bar.finish_and_clear();
    if let Some(sweep) = sweep {
        let mut text = serde_json::to_string_pretty(&sweep)?;
        text.push('\n');
        tensors::write_text(&args.out.join("sweep.json"), &text)?;
        output::print(&table(&sweep))?;
    }
    output::note(&format!(
        "{}: {alpha} of the way from {} to {}",
        args.out.display(),
        args.pretrained.display(),
        args.finetuned.display()
    ));
    Ok(())
}

/// `sweep.json`.
#[derive(Serialize)]
struct Sweep {
    suite: String,
    rule: &'static str,
    chosen: f64,
    points: Vec<Point>,
}

#[derive(Serialize)]
struct Point {
    alpha: f64,
    /// Mean of the subsets, 0 to 1.
    composition: Option<f64>,
    /// Zero-shot, 0 to 1; none where the suite doesn't test it.
    recognition: Option<f64>,
}

fn sweep(
    args: &Patch,
    alphas: &Alphas,
    suite: Suite,
    pretrained: &ModelSource,
    finetuned: &ModelSource,
) -> Result<Sweep> {
    // Scenes have a split to choose on. The others have none: whoever chooses on a benchmark can't report it.
    let files = Files {
        data: args.data.as_deref(),
        images: args.images.as_deref(),
        ..Files::default()
    };
    let bench = Bench::open(suite, files, Split::Validation)?;
    let device = model::open_device(args.device.device)?;
    model::note_defaults(pretrained);
    let mut pair = Pair::open(pretrained, finetuned)?;
    let mut score = |alpha: f64| -> Result<Figures> {
        let scorer = pollster::block_on(Scorer::build(
            pretrained,
            &mut pair.at(alpha)?,
            &device.device,
        ))?;
        // Each alpha is another model, whose embeddings nobody asks for again.
        let mut store = Store::forgetful(pretrained.config().embed_dim);
        let report = bench
            .score(&scorer, &mut store)
            .with_context(|| format!("at alpha {alpha}"))?
            .figures;
        let percent = |share: Option<f64>| share.map_or(f64::NAN, |share| 100.0 * share);
        output::note(&format!(
            "alpha {alpha}: {:.1} %{}",
            percent(report.accuracy()),
            report
                .recognition()
                .map_or_else(String::new, |found| format!(
                    ", recognition {:.1} %",
                    100.0 * found
                ))
        ));
        Ok(report)
    };
    let mut reports = Vec::with_capacity(alphas.0.len());
    for alpha in &alphas.0 {
        reports.push((*alpha, score(*alpha)?));
    }
    let tests_recognition = reports
        .iter()
        .any(|(_, report)| report.recognition().is_some());
    let (chosen, rule) = if tests_recognition {
        // The rule compares with the pretrained model, whether it's in the sweep or not.
        let mut points = vec![of(0.0, &score(0.0)?)];
        points.extend(reports.iter().map(|(alpha, report)| of(*alpha, report)));
        (lab::choose_alpha(&points), RULE)
    } else {
        let mut best = (alphas.0[0], f64::NEG_INFINITY);
        for (alpha, report) in &reports {
            let accuracy = report.accuracy().unwrap_or(f64::NEG_INFINITY);
            if accuracy > best.1 {
                best = (*alpha, accuracy);
            }
        }
        (
            best.0,
            "the alpha with the highest mean accuracy of the subsets",
        )
    };
    Ok(Sweep {
        suite: bench.suite().to_owned(),
        rule,
        chosen,
        points: reports
            .into_iter()
            .map(|(alpha, report)| Point {
                alpha,
                composition: report.accuracy(),
                recognition: report.recognition(),
            })
            .collect(),
    })
}

fn of(alpha: f64, report: &Figures) -> SweepPoint {
    let (composition, recognition) = match report {
        Figures::Trials(report) => lab::figures(report),
        _ => (report.accuracy().unwrap_or(f64::NAN), f64::NAN),
    };
    SweepPoint {
        alpha,
        composition,
        recognition,
    }
}

fn table(sweep: &Sweep) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
    };
    let mut rows = vec![
        ["alpha", "composition", "recognition", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(sweep.points.iter().map(|point| {
        vec![
            point.alpha.to_string(),
            percent(point.composition),
            percent(point.recognition),
            if point.alpha == sweep.chosen {
                "chosen"
            } else {
                ""
            }
            .to_owned(),
        ]
    }));
    format!("{}chosen: {}", output::table(&rows), sweep.rule)
}
