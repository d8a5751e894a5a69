//! `clove patch`: interpolates two models.

use anyhow::{Context as _, Result};
use clove::device::DeviceChoice;
use clove::patch::{Pair, Tried, choose_alpha, patch_to};
use clove::score::Scorer;
use clove::weights::{ModelSource, write_file};
use clove_lab::RULE;
use clove_report::eval::percent;
use clove_run::evaluation::{Bench, Files, Store, Suite};
use clove_scenes::Split;
use serde::Serialize;

use crate::args::{Alphas, Patch};
use crate::listener::Listener;
use crate::{model, output};

pub fn run(args: &Patch, device: DeviceChoice) -> Result<()> {
    let pretrained = model::open(&args.pretrained)?;
    let finetuned = model::open(&args.finetuned)?;
    let (alpha, sweep) = match (args.alpha, &args.sweep, args.select) {
        (Some(alpha), _, _) => (alpha, None),
        (None, Some(alphas), Some(suite)) => {
            let sweep = sweep(args, (alphas, suite), &pretrained, &finetuned, device)?;
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
        let text = serde_json::to_string_pretty(&sweep)? + "\n";
        write_file(&args.out.join("sweep.json"), text)?;
        output::print(&table(&sweep))?;
    }
    output::note(&format!(
        "{}: alpha {alpha} between {} and {}",
        args.out.display(),
        args.pretrained.display(),
        args.finetuned.display()
    ));
    Ok(())
}

#[derive(Serialize)]
struct Sweep {
    suite: String,
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
    /// Recognition, 0 to 1, if the suite measures it.
    recognition: Option<f64>,
    /// Accuracy on the second suite, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<f64>,
}

impl From<&Point> for Tried {
    fn from(point: &Point) -> Self {
        Self {
            alpha: point.alpha,
            composition: point.composition.unwrap_or(f64::NAN),
            recognition: point.recognition,
        }
    }
}

fn sweep(
    args: &Patch,
    (alphas, suite): (&Alphas, Suite),
    pretrained: &ModelSource,
    finetuned: &ModelSource,
    device: DeviceChoice,
) -> Result<Sweep> {
    // Only scenes have a validation split. A choice on another benchmark makes its test figures invalid.
    if suite != Suite::Scenes && args.beside == Some(suite) && args.beside_data == args.data {
        anyhow::bail!(
            "--beside: alpha would be chosen and measured on the same rows; give --select held-out data"
        );
    }
    let files =
        Files { data: args.data.as_deref(), images: args.images.as_deref(), ..Files::default() };
    let bench = Bench::open(suite, files, Split::Validation)?;
    let files = Files {
        data: args.beside_data.as_deref(),
        images: args.beside_images.as_deref(),
        ..Files::default()
    };
    let beside = args.beside.map(|suite| Bench::open(suite, files, Split::Test));
    let beside = beside.transpose().context("--beside")?;
    let device = model::open_device(device)?;
    model::note_defaults(pretrained);
    let mut pair = Pair::open(pretrained, finetuned)?;
    let mut listener = Listener::new();
    let mut score = |alpha: f64| -> Result<Point> {
        let scorer =
            pollster::block_on(Scorer::build(pretrained, &mut pair.at(alpha)?, &device.device))?;
        // Each alpha is another model, so embeddings are not kept.
        let mut store = Store::forgetful(pretrained.config().embed_dim);
        let mut score = |bench: &Bench| {
            let outcome = bench.score(&scorer, &mut store, &mut |event| listener.hear(event));
            outcome.map(|outcome| outcome.figures).with_context(|| format!("at alpha {alpha}"))
        };
        let figures = score(&bench)?;
        let mut text = format!("alpha {alpha}: {} %", percent(figures.accuracy()));
        if figures.recognition().is_some() {
            text = format!("{text}, recognition {} %", percent(figures.recognition()));
        }
        let mut second = None;
        if let Some(bench) = &beside {
            second = score(bench)?.accuracy();
            text = format!("{text}; {} {} %", bench.suite(), percent(second));
        }
        output::note(&text);
        Ok(Point {
            alpha,
            composition: figures.accuracy(),
            recognition: figures.recognition(),
            beside: second,
        })
    };
    let points = alphas.0.iter().map(|alpha| score(*alpha)).collect::<Result<Vec<Point>>>()?;
    let tests_recognition = points.iter().any(|point| point.recognition.is_some());
    // The rule compares with the pretrained model, whether the sweep includes it or not.
    let reference = if tests_recognition { Some(score(0.0)?) } else { None };
    let chosen = choose_alpha(reference.iter().chain(&points).map(Tried::from));
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
        points,
    })
}

fn table(sweep: &Sweep) -> String {
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
        .map_or_else(String::new, |beside| format!("; {beside} was only measured"));
    // Scenes have separate splits for validation and test.
    let spent = if sweep.suite == "scenes" { "" } else { "; don't report the patched model on it" };
    format!("{}chosen on {}: {}{spent}{beside}", output::table(&rows), sweep.suite, sweep.rule)
}
