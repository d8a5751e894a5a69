//! Reports as people read them on a terminal.

use clove::evaluate::{Difference, Recall, Report, ZeroShotReport};
use clove_report::eval::{percent, short, spread};
use clove_run::evaluation::{BothWays, Figures, Outcome};
use indicatif::HumanCount;

use crate::output;

/// Photos that can't be read, and classes, that a table names.
const NAMED: usize = 5;

/// The report as people read it.
pub fn words(outcome: &Outcome, notes: &[String]) -> String {
    let mut lines = vec![match &outcome.figures {
        Figures::Trials(report) => table(report),
        Figures::Retrieval { images, captions, report, chance, intervals, .. } => {
            let head = format!(
                "{} photos, {} captions",
                HumanCount(*images as u64),
                HumanCount(*captions as u64)
            );
            let both = [&report.image_to_text, &report.text_to_image];
            format!("{head}\n{}", recalls(both, chance, intervals))
        }
        Figures::ZeroShot { report, names, templates, chance, interval, .. } => {
            classes(report, names, *templates, *chance, *interval)
        }
    }];
    lines.extend(notes.iter().cloned());
    if !outcome.unreadable.is_empty() {
        lines.push(format!(
            "{} photos can't be read; their rows are counted as missing:",
            outcome.unreadable.len()
        ));
        let named = outcome.unreadable.iter().take(NAMED);
        lines.extend(named.map(|(name, why)| format!("  {name}: {why}")));
    }
    lines.join("\n")
}

fn recalls(
    both: [&Recall; 2],
    chance: &BothWays<[f64; 3]>,
    intervals: &BothWays<[Option<[f64; 2]>; 3]>,
) -> String {
    let header = ["retrieval", "%", "95 %", "chance", "ties"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let names = ["image to text", "text to image"];
    let guesses = [chance.image_to_text, chance.text_to_image];
    let intervals = [intervals.image_to_text, intervals.text_to_image];
    for (way, recall) in both.into_iter().enumerate() {
        let shares = [(1, recall.at_1), (5, recall.at_5), (10, recall.at_10)];
        for (number, (k, share)) in shares.into_iter().enumerate() {
            rows.push(vec![
                format!("{} R@{k}", names[way]),
                percent(share),
                spread(intervals[way][number]),
                percent(Some(guesses[way][number])),
                recall.ties.to_string(),
            ]);
        }
    }
    output::table(&rows)
}

/// Zero-shot accuracies, with the classes that are told best and worst.
fn classes(
    report: &ZeroShotReport,
    names: &[String],
    templates: usize,
    chance: f64,
    interval: Option<[f64; 2]>,
) -> String {
    let mut rows = vec![["zero-shot", "%", "95 %"].map(str::to_owned).to_vec()];
    for (name, share, interval) in [
        ("top-1", report.top1, interval),
        ("top-5", report.top5, None),
        ("mean of classes", report.mean_per_class, None),
        ("chance", Some(chance), None),
    ] {
        rows.push(vec![name.to_owned(), percent(share), spread(interval)]);
    }
    let mut told: Vec<(&String, f64)> = names
        .iter()
        .zip(&report.classes)
        .filter_map(|(name, class)| Some((name, class.accuracy?)))
        .collect();
    told.sort_by(|a, b| b.1.total_cmp(&a.1));
    let list = |told: &[(&String, f64)]| -> String {
        let told = told.iter().take(NAMED);
        let told = told.map(|(name, share)| format!("{name} {:.0} %", 100.0 * share));
        told.collect::<Vec<_>>().join(", ")
    };
    let best = list(&told);
    told.reverse();
    format!(
        "{} photos, {} prompts a class, {} ties\n{}\nbest: {best}\nworst: {}",
        HumanCount(report.rows as u64),
        templates,
        report.ties,
        output::table(&rows),
        list(&told)
    )
}

/// The report as people read it: a line a subset, the means, and the blind baselines in columns beside the model.
fn table(report: &Report) -> String {
    let mut header = vec![report.suite.clone()];
    header.extend(["accuracy", "95 %", "rows", "missing", "ties"].map(str::to_owned));
    header.extend(report.blind.iter().map(|blind| short(&blind.baseline)));
    let mut rows = vec![header];
    for (index, subset) in report.subsets.iter().enumerate() {
        let mut row = vec![
            subset.title(),
            percent(subset.accuracy),
            spread(subset.interval),
            subset.rows.to_string(),
            subset.missing.to_string(),
            subset.ties.to_string(),
        ];
        for blind in &report.blind {
            row.push(percent(blind.scored_rows.subsets[index].accuracy));
        }
        rows.push(row);
    }
    let first = report.subsets.first().and_then(|subset| subset.metric.clone());
    let sum = |count: fn(&clove::evaluate::SubsetReport) -> usize| {
        let subsets = report.subsets.iter().filter(|subset| subset.metric == first);
        subsets.map(count).sum::<usize>().to_string()
    };
    let mut mean = vec![
        "mean of subsets".to_owned(),
        percent(report.macro_mean),
        spread(report.intervals.map(|intervals| intervals.macro_mean)),
        sum(|subset| subset.rows),
        sum(|subset| subset.missing),
        sum(|subset| subset.ties),
    ];
    let mut weighted = vec![
        "mean of rows".to_owned(),
        percent(report.weighted_mean),
        spread(report.intervals.map(|intervals| intervals.weighted_mean)),
    ];
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
    if let Some(found) = &report.matching {
        lines.push(format!(
            "by the suite's own protocol, each photo judged for itself by a threshold that the other half of the rows chose: {} % of \
             matches, {} % of others, {} % on average (chance 50)",
            percent(Some(found.positive)),
            percent(Some(found.negative)),
            percent(Some(found.mean))
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
            "{} photos of the benchmark aren't in the folder, {}{}; their rows are counted as missing",
            report.missing_image_count,
            report.missing_images.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "),
            if report.missing_image_count > NAMED { " and others" } else { "" }
        ));
    }
    if !report.skipped_rows.is_empty() {
        lines.push(format!(
            "{} rows can't be scored, for two of their texts are equal: {}",
            report.skipped_rows.len(),
            report.skipped_rows.join(", ")
        ));
    }
    lines.join("\n")
}

/// Several models' figures in columns, and how each differs from the first.
pub fn side_by_side(models: &[(&str, &Outcome)], differences: &[Option<Difference>]) -> String {
    let mut header = vec!["side by side".to_owned()];
    header.extend((1..=models.len()).map(|number| format!("model {number}")));
    let mut rows = vec![header];
    let columns: Vec<Vec<(String, Option<f64>)>> =
        models.iter().map(|(_, outcome)| figures(&outcome.figures)).collect();
    for (number, (name, _)) in columns.iter().flatten().take(columns[0].len()).enumerate() {
        let values = columns.iter().map(|column| column.get(number));
        let values = values.map(|value| percent(value.and_then(|(_, share)| *share)));
        rows.push(std::iter::once(name.clone()).chain(values).collect());
    }
    let mut lines = vec![output::table(&rows)];
    for (number, (name, _)) in (1..).zip(models) {
        let found = (number > 1).then(|| differences.get(number - 2)).flatten();
        let differs = match found {
            Some(Some(found)) => format!(
                ": {:+.1} points over model 1 in the mean of subsets, 95 % from {:+.1} to {:+.1}",
                100.0 * found.macro_mean,
                100.0 * found.interval[0],
                100.0 * found.interval[1]
            ),
            _ => String::new(),
        };
        lines.push(format!("model {number}: {name}{differs}"));
    }
    lines.join("\n")
}

/// The figures of a report by their names.
pub fn figures(figures: &Figures) -> Vec<(String, Option<f64>)> {
    match figures {
        Figures::Trials(report) => {
            let subsets = report.subsets.iter();
            let mut found: Vec<(String, Option<f64>)> =
                subsets.map(|subset| (subset.title(), subset.accuracy)).collect();
            found.push(("mean of subsets".to_owned(), report.macro_mean));
            found.push(("mean of rows".to_owned(), report.weighted_mean));
            found
        }
        Figures::Retrieval { report, .. } => {
            let both = [
                ("image to text", &report.image_to_text),
                ("text to image", &report.text_to_image),
            ];
            let at = |name: &str, recall: &Recall| {
                [(1, recall.at_1), (5, recall.at_5), (10, recall.at_10)]
                    .map(|(k, share)| (format!("{name} R@{k}"), share))
            };
            both.into_iter().flat_map(|(name, recall)| at(name, recall)).collect()
        }
        Figures::ZeroShot { report, .. } => vec![
            ("top-1".to_owned(), report.top1),
            ("top-5".to_owned(), report.top5),
            ("mean of classes".to_owned(), report.mean_per_class),
        ],
    }
}
