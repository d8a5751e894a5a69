//! Chooses alpha: scores the model at each alpha of a sweep.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clove::device::DeviceChoice;
use clove::patch::{ALLOWED_LOSS, Pair, Tried, choose_alpha};
use clove::score::Scorer;
use clove::weights::{ModelSource, refuse_inputs};
use clove_lab::RULE;
use clove_report::eval::percent;
use clove_run::evaluation::{Bench, Counts, Files, Outcome, Store, Suite};
use clove_run::words::counted;
use clove_scenes::Split;
use serde::Serialize;

use crate::args::{Alphas, Patch};
use crate::listener::Listener;
use crate::{model, output};

/// sweep.json.
#[derive(Serialize)]
pub struct Sweep {
    suite: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<String>,
    rule: &'static str,
    pub chosen: f64,
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
    #[serde(flatten)]
    counts: Counts,
}

pub fn sweep(
    args: &Patch,
    (alphas, suite): (&Alphas, Suite),
    pretrained: &ModelSource,
    finetuned: &ModelSource,
    device: DeviceChoice,
) -> Result<Sweep> {
    // Only scenes have a validation split. A choice on another benchmark makes its test figures invalid.
    if suite != Suite::Scenes
        && args.beside == Some(suite)
        && is_same(args.beside_data.as_deref(), args.data.as_deref())
    {
        bail!(
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
    let mut first: Option<(f64, Vec<Outcome>)> = None;
    let mut score = |alpha: f64| -> Result<Point> {
        let scorer = &mut pair.at(alpha)?;
        let scorer = pollster::block_on(Scorer::build(pretrained, scorer, &device.device))
            .with_context(|| format!("at alpha {alpha}"))?;
        // Each alpha is another model, so embeddings are not kept.
        let mut store = Store::forgetful(pretrained.config().embed_dim);
        let mut score = |bench: &Bench| {
            let outcome = bench.score(&scorer, &mut store, &mut |event| listener.hear(event));
            outcome.with_context(|| format!("at alpha {alpha}"))
        };
        let mut outcomes = vec![score(&bench)?];
        let figures = &outcomes[0].figures;
        let counts = figures.counts();
        let (composition, recognition) = (figures.accuracy(), figures.recognition());
        let mut text = format!("alpha {alpha}: {}", share(composition, counts));
        if recognition.is_some() {
            text = format!("{text}, recognition {} %", percent(recognition));
        }
        let mut second = None;
        if let Some(bench) = &beside {
            let outcome = score(bench)?;
            second = outcome.figures.accuracy();
            let share = share(second, outcome.figures.counts());
            text = format!("{text}; {} {share}", bench.suite());
            outcomes.push(outcome);
        }
        output::note(&text);
        match &first {
            Some(first) => compare(first, (alpha, &outcomes))?,
            None => first = Some((alpha, outcomes)),
        }
        Ok(Point { alpha, composition, recognition, beside: second, counts })
    };
    let points = alphas.0.iter().map(|alpha| score(*alpha)).collect::<Result<Vec<Point>>>()?;
    let tests_recognition = points.iter().any(|point| point.recognition.is_some());
    // The rule compares with the pretrained model, whether the sweep includes it or not.
    let reference = if tests_recognition { score(0.0)?.recognition } else { None };
    let rule = if tests_recognition {
        RULE
    } else {
        "the alpha with the highest mean accuracy of the subsets"
    };
    Ok(Sweep {
        suite: bench.suite().to_owned(),
        beside: beside.map(|bench| bench.suite().to_owned()),
        rule,
        chosen: choose(&points, reference)?,
        points,
    })
}

/// Refuses figures over different photos.
fn compare(
    (first, outcomes): &(f64, Vec<Outcome>),
    (alpha, others): (f64, &[Outcome]),
) -> Result<()> {
    match outcomes.iter().zip(others).find_map(|(one, other)| one.differs_by(other)) {
        None => Ok(()),
        Some(photo) => bail!(
            "alpha {first} and alpha {alpha} were scored on different photos, so they can't be compared; only one could read {photo}"
        ),
    }
}

/// `61.9 % of 21 rows, 3 missing`.
fn share(accuracy: Option<f64>, counts: Counts) -> String {
    let rows = counted(counts.rows as u64, "row");
    format!("{} % of {rows}, {} missing", percent(accuracy), counts.missing)
}

/// The best alpha of a sweep among those that keep the recognition of the pretrained model, if that is measured.
fn choose(points: &[Point], pretrained: Option<f64>) -> Result<f64> {
    let least = pretrained.map(|share| share - ALLOWED_LOSS);
    let qualifying = points.iter().filter(|point| point.recognition >= least);
    let mut tried = qualifying.filter_map(|point| {
        let composition = point.composition?;
        Some(Tried { alpha: point.alpha, composition, recognition: None })
    });
    let first = tried.next().with_context(|| {
        format!(
            "no alpha of the sweep keeps recognition within {} of the pretrained model's {} %; add smaller ones to --sweep",
            counted((100.0 * ALLOWED_LOSS) as u64, "point"),
            percent(pretrained)
        )
    })?;
    Ok(choose_alpha(std::iter::once(first).chain(tried)))
}

/// Whether two paths lead to one place.
fn is_same(one: Option<&Path>, other: Option<&Path>) -> bool {
    one == other || one.zip(other).is_some_and(|(one, other)| refuse_inputs(one, &[other]).is_err())
}

pub fn table(sweep: &Sweep) -> String {
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
