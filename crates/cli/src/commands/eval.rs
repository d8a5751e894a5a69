//! `clove eval`: a model on a benchmark, with the blind baselines beside it.

use anyhow::Result;
use clove::evaluate::Report;
use clove_data::captions;
use clove_scenes::Split;

use crate::args::Eval;
use crate::bench::Bench;
use crate::{model, output, tensors};

pub fn run(args: &Eval) -> Result<()> {
    let mut bench = Bench::open(
        args.suite,
        args.data.as_deref(),
        args.images.as_deref(),
        Split::Test,
    )?;
    bench.captions = args
        .captions
        .as_deref()
        .map(captions::read_training_captions)
        .transpose()?;
    let scorer = model::load(&args.model, args.device.device)?;
    let report = bench.score(&scorer)?;
    if let Some(out) = &args.out {
        let mut text = serde_json::to_string_pretty(&report)?;
        text.push('\n');
        tensors::write_text(out, &text)?;
        output::note(&format!("{}: report", out.display()));
    }
    if args.json {
        output::print_json(&report)
    } else {
        output::print(&table(&report))
    }
}

/// The report as people read it: a line a subset, the means, and the blind baselines in columns beside the model.
fn table(report: &Report) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
    };
    let mut header = vec![report.suite.clone()];
    header.extend(["accuracy", "rows", "missing", "ties"].map(str::to_owned));
    header.extend(report.blind.iter().map(|blind| short(&blind.baseline)));
    let mut rows = vec![header];
    for (index, subset) in report.subsets.iter().enumerate() {
        let mut row = vec![
            subset.name.clone(),
            percent(subset.accuracy),
            subset.rows.to_string(),
            subset.missing.to_string(),
            subset.ties.to_string(),
        ];
        for blind in &report.blind {
            row.push(percent(blind.scored_rows.subsets[index].accuracy));
        }
        rows.push(row);
    }
    let sum = |count: fn(&clove::evaluate::SubsetReport) -> usize| {
        report.subsets.iter().map(count).sum::<usize>().to_string()
    };
    let mut mean = vec![
        "mean of subsets".to_owned(),
        percent(report.macro_mean),
        sum(|subset| subset.rows),
        sum(|subset| subset.missing),
        sum(|subset| subset.ties),
    ];
    let mut weighted = vec!["mean of rows".to_owned(), percent(report.weighted_mean)];
    weighted.extend([const { String::new() }; 3]);
    for blind in &report.blind {
        mean.push(percent(blind.scored_rows.macro_mean));
        weighted.push(percent(blind.scored_rows.weighted_mean));
    }
    rows.extend([mean, weighted]);
    let mut lines = vec![output::table(&rows)];
    lines.extend(report.groups.iter().map(|group| {
        format!(
            "{}: {} (mean of subsets), {} (mean of rows)",
            group.name,
            percent(group.macro_mean),
            percent(group.weighted_mean)
        )
    }));
    if let Some(lift) = &report.image_lift {
        lines.push(format!(
            "image lift: {:+.1} points over the best blind baseline, {}",
            100.0 * lift.lift,
            lift.baseline
        ));
    }
    if let Some(recognition) = &report.recognition {
        lines.push(format!(
            "recognition: {} % of {} pictures, among {} classes that fine-tuning on scenes never shows",
            percent(recognition.top1),
            recognition.rows,
            recognition.classes.len()
        ));
    }
    if report.missing_image_count > 0 {
        lines.push(format!(
            "{} photos of the benchmark aren't in the folder; their rows are counted as missing",
            report.missing_image_count
        ));
    }
    if !report.skipped_rows.is_empty() {
        lines.push(format!(
            "{} rows can't be scored, their negative equals their caption: {}",
            report.skipped_rows.len(),
            report.skipped_rows.join(", ")
        ));
    }
    lines.join("\n")
}

/// A baseline's name as it fits over a column.
fn short(baseline: &str) -> String {
    baseline
        .replace("shorter caption (words)", "fewer words")
        .replace("shorter caption (characters)", "fewer letters")
        .replace("no final full stop", "no stop")
        .replace("bigram model (sum log p)", "bigram sum")
        .replace("bigram model (mean log p)", "bigram mean")
}
