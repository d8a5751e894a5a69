//! `clove patch`: a model between two.

use anyhow::{Context as _, Result};
use clove::patch::{Pair, Tried, choose_alpha, patch_to};
use clove::score::Scorer;
use clove::weights::ModelSource;
use clove_lab::RULE;
use clove_run::evaluation::{Bench, Figures, Files, Store, Suite};
use clove_scenes::Split;
use serde::Serialize;

use crate::args::{Alphas, Patch};
use crate::listener::Listener;
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
    patch_to(&pretrained, &finetuned, alpha, &args.out, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
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
    /// The suite that had no say.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<String>,
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
    /// Of the suite beside, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<f64>,
}

fn sweep(
    args: &Patch,
    alphas: &Alphas,
    suite: Suite,
    pretrained: &ModelSource,
    finetuned: &ModelSource,
) -> Result<Sweep> {
    // Scenes have a split to choose on. The others have none: whoever chooses on a benchmark can't report it.
    let files =
        Files { data: args.data.as_deref(), images: args.images.as_deref(), ..Files::default() };
    if suite != Suite::Scenes && args.beside == Some(suite) && args.beside_data == args.data {
        anyhow::bail!(
            "--beside: alpha would be chosen on the rows that it's measured on; give --select held-out data"
        );
    }
    let bench = Bench::open(suite, files, Split::Validation)?;
    let files = Files {
        data: args.beside_data.as_deref(),
        images: args.beside_images.as_deref(),
        ..Files::default()
    };
    let beside = args.beside.map(|suite| Bench::open(suite, files, Split::Test));
    let beside = beside.transpose().context("--beside")?;
    let device = model::open_device(args.device.device)?;
    model::note_defaults(pretrained);
    let mut pair = Pair::open(pretrained, finetuned)?;
    let mut listener = Listener::new();
    let mut score = |alpha: f64| -> Result<(Figures, Option<f64>)> {
        let scorer =
            pollster::block_on(Scorer::build(pretrained, &mut pair.at(alpha)?, &device.device))?;
        // Each alpha is another model, whose embeddings nobody asks for again.
        let mut store = Store::forgetful(pretrained.config().embed_dim);
        let place = || format!("at alpha {alpha}");
        let mut score = |bench: &Bench| {
            let outcome = bench.score(&scorer, &mut store, &mut |event| listener.hear(event));
            outcome.with_context(place)
        };
        let report = score(&bench)?.figures;
        let other = beside.as_ref().map(score).transpose()?;
        let other = other.and_then(|outcome| outcome.figures.accuracy());
        let percent = |share: Option<f64>| share.map_or(f64::NAN, |share| 100.0 * share);
        output::note(&format!(
            "alpha {alpha}: {:.1} %{}{}",
            percent(report.accuracy()),
            report
                .recognition()
                .map_or_else(String::new, |found| format!(", recognition {:.1} %", 100.0 * found)),
            beside.as_ref().map_or_else(String::new, |bench| format!(
                "; {} {:.1} %",
                bench.suite(),
                percent(other)
            ))
        ));
        Ok((report, other))
    };
    let mut reports = Vec::with_capacity(alphas.0.len());
    for alpha in &alphas.0 {
        let (report, beside) = score(*alpha)?;
        reports.push((*alpha, report, beside));
    }
    let tests_recognition = reports.iter().any(|(_, report, _)| report.recognition().is_some());
    // The rule compares with the pretrained model, whether it's in the sweep or not.
    let pretrained = if tests_recognition { Some(tried(0.0, &score(0.0)?.0)) } else { None };
    let points = reports.iter().map(|(alpha, report, _)| tried(*alpha, report));
    let chosen = choose_alpha(pretrained.into_iter().chain(points));
    let rule = if tests_recognition {
        RULE
    } else {
        "the alpha with the highest mean accuracy of the subsets"
    };
    Ok(Sweep {
        suite: bench.suite().to_owned(),
        beside: beside.map(|bench| bench.suite().to_owned()),
        rule,
        chosen,
        points: reports
            .into_iter()
            .map(|(alpha, report, beside)| Point {
                alpha,
                composition: report.accuracy(),
                recognition: report.recognition(),
                beside,
            })
            .collect(),
    })
}

fn tried(alpha: f64, report: &Figures) -> Tried {
    Tried {
        alpha,
        composition: report.accuracy().unwrap_or(f64::NAN),
        recognition: report.recognition(),
    }
}

fn table(sweep: &Sweep) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
    };
    let mut header = ["alpha", "composition", "recognition"].map(str::to_owned).to_vec();
    header.extend(sweep.beside.clone());
    header.push(String::new());
    let mut rows = vec![header];
    rows.extend(sweep.points.iter().map(|point| {
        let mut row =
            vec![point.alpha.to_string(), percent(point.composition), percent(point.recognition)];
        row.extend(sweep.beside.as_ref().map(|_| percent(point.beside)));
        let is_chosen = point.alpha == sweep.chosen;
        row.push(if is_chosen { "chosen" } else { "" }.to_owned());
        row
    }));
    let beside = sweep
        .beside
        .as_ref()
        .map_or_else(String::new, |beside| format!("; {beside} had no say in it"));
    // Scenes have a split to choose on, and another one for tests.
    let spent = if sweep.suite == "scenes" {
        ""
    } else {
        "; what the patched model gets there is no test of it any more"
    };
    format!("{}chosen on {}: {}{spent}{beside}", output::table(&rows), sweep.suite, sweep.rule)
}
