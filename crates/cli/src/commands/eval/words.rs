//! Reports as text.

use clove::evaluate::{BlindFigures, Difference, Recall, Report, SubsetReport};
use clove_report::eval::{percent, short, spread};
use clove_run::evaluation::{Figures, Outcome};
use clove_run::words::counted;

use super::Tried;
use crate::output;

const NAMED: usize = 5;

pub fn words(outcome: &Outcome, notes: &[String]) -> String {
    let figures = figures(&outcome.figures);
    let mut lines = vec![match &outcome.figures {
        Figures::Trials(report) => table(report),
        Figures::Retrieval { images, captions, missing, report, chance, intervals, .. } => {
            let mut rows =
                vec![["retrieval", "%", "95 %", "chance", "ties"].map(str::to_owned).to_vec()];
            let chances = [chance.image_to_text, chance.text_to_image].concat();
            let intervals = [intervals.image_to_text, intervals.text_to_image].concat();
            for (number, (name, share)) in figures.into_iter().enumerate() {
                let recall = [&report.image_to_text, &report.text_to_image][number / 3];
                rows.push(vec![
                    name,
                    percent(share),
                    spread(intervals[number]),
                    percent(Some(chances[number])),
                    recall.ties.to_string(),
                ]);
            }
            format!(
                "{}, {}, {missing} missing\n{}",
                counted(*images as u64, "photo"),
                counted(*captions as u64, "caption"),
                output::table(&rows)
            )
        }
        Figures::ZeroShot { report, names, templates, missing, chance, interval, .. } => {
            let mut rows = vec![["zero-shot", "%", "95 %"].map(str::to_owned).to_vec()];
            let chance = ("chance".to_owned(), Some(*chance));
            // Only top-1, the first, has an interval.
            let intervals = std::iter::once(*interval).chain(std::iter::repeat(None));
            for ((name, share), interval) in figures.into_iter().chain([chance]).zip(intervals) {
                rows.push(vec![name, percent(share), spread(interval)]);
            }
            let mut classes: Vec<(&String, f64)> = names
                .iter()
                .zip(&report.classes)
                .filter_map(|(name, class)| Some((name, class.accuracy?)))
                .collect();
            classes.sort_by(|a, b| b.1.total_cmp(&a.1));
            let list = |classes: &[(&String, f64)]| -> String {
                let classes = classes.iter().take(NAMED);
                let classes = classes.map(|(name, share)| format!("{name} {:.0} %", 100.0 * share));
                classes.collect::<Vec<_>>().join(", ")
            };
            let best = list(&classes);
            classes.reverse();
            format!(
                "{}, {missing} missing, {} per class, {}\n{}\nbest: {best}\nworst: {}",
                counted(report.rows as u64, "photo"),
                counted(*templates as u64, "prompt"),
                counted(report.ties as u64, "tie"),
                output::table(&rows),
                list(&classes)
            )
        }
    }];
    lines.extend(notes.iter().cloned());
    if !outcome.unreadable.is_empty() {
        lines.push(format!(
            "{} unreadable, whose rows count as missing:",
            counted(outcome.unreadable.len() as u64, "photo")
        ));
        let named = outcome.unreadable.iter().take(NAMED);
        lines.extend(named.map(|(name, why)| format!("  {name}: {why}")));
    }
    lines.join("\n")
}

/// The report of trials: subsets and means in rows, blind baselines in columns.
fn table(report: &Report) -> String {
    let mut header = vec![report.suite.clone()];
    header.extend(["accuracy", "95 %", "rows", "missing", "ties"].map(str::to_owned));
    header.extend(report.blind.iter().map(|blind| short(&blind.baseline)));
    let mut rows = vec![header];
    let mut add = |name: String,
                   share: Option<f64>,
                   interval: Option<[f64; 2]>,
                   counts: [String; 3],
                   blind: &dyn Fn(&BlindFigures) -> Option<f64>| {
        let mut row = vec![name, percent(share), spread(interval)];
        row.extend(counts);
        row.extend(report.blind.iter().map(|found| percent(blind(&found.scored_rows))));
        rows.push(row);
    };
    for (index, subset) in report.subsets.iter().enumerate() {
        let counts = [subset.rows, subset.missing, subset.ties].map(|count| count.to_string());
        add(subset.title(), subset.accuracy, subset.interval, counts, &|found| {
            found.subsets[index].accuracy
        });
    }
    let first = report.subsets.first().and_then(|subset| subset.metric.clone());
    let sum = |count: fn(&SubsetReport) -> usize| {
        let subsets = report.subsets.iter().filter(|subset| subset.metric == first);
        subsets.map(count).sum::<usize>().to_string()
    };
    let counts =
        [sum(|subset| subset.rows), sum(|subset| subset.missing), sum(|subset| subset.ties)];
    let (name, interval) = ("mean of subsets".to_owned(), report.intervals.map(|i| i.macro_mean));
    add(name, report.macro_mean, interval, counts, &|found| found.macro_mean);
    let (name, interval) = ("mean of rows".to_owned(), report.intervals.map(|i| i.weighted_mean));
    add(name, report.weighted_mean, interval, [const { String::new() }; 3], &|found| {
        found.weighted_mean
    });
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
            "by the suite's own protocol, which judges each photo by a threshold from the other half of the rows: {} % of matches, \
             {} % of others, {} % on average (chance 50)",
            percent(Some(found.positive)),
            percent(Some(found.negative)),
            percent(Some(found.mean))
        ));
    }
    if let Some(recognition) = &report.recognition {
        lines.push(format!(
            "recognition: {} % of {}, among {} classes absent from fine-tuning on scenes",
            percent(recognition.top1),
            counted(recognition.rows as u64, "picture"),
            recognition.classes.len()
        ));
    }
    if report.missing_image_count > 0 {
        lines.push(format!(
            "{} missing from the folder, whose rows count as missing: {}{}",
            counted(report.missing_image_count as u64, "photo"),
            report.missing_images.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "),
            if report.missing_image_count > NAMED { " and others" } else { "" }
        ));
    }
    if !report.skipped_rows.is_empty() {
        lines.push(format!(
            "{} not scored, because two texts are equal: {}",
            counted(report.skipped_rows.len() as u64, "row"),
            report.skipped_rows.join(", ")
        ));
    }
    lines.join("\n")
}

/// Figures of several models in columns, and differences from the first.
pub fn side_by_side(models: &[Tried<'_>], differences: &[Option<Difference>]) -> String {
    for (number, tried) in (1..).zip(models).skip(1) {
        if let Some(photo) = tried.outcome.differs_by(&models[0].outcome) {
            return format!(
                "not compared: models 1 and {number} were scored on different photos; only one could read {photo}"
            );
        }
    }
    let mut header = vec!["side by side".to_owned()];
    header.extend((1..=models.len()).map(|number| format!("model {number}")));
    let mut rows = vec![header];
    let columns: Vec<Vec<(String, Option<f64>)>> =
        models.iter().map(|tried| figures(&tried.outcome.figures)).collect();
    for (number, (name, _)) in columns.iter().flatten().take(columns[0].len()).enumerate() {
        let values = columns.iter().map(|column| column.get(number));
        let values = values.map(|value| percent(value.and_then(|(_, share)| *share)));
        rows.push(std::iter::once(name.clone()).chain(values).collect());
    }
    let mut lines = vec![output::table(&rows)];
    for (number, tried) in (1..).zip(models) {
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
        lines.push(format!("model {number}: {}{differs}", tried.model));
    }
    lines.join("\n")
}

/// The named figures of a report.
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
