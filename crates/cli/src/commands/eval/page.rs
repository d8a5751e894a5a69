//! The report as a page.

use clove::evaluate::{Difference, Report, ScoredRow, SubsetReport};

use super::published::Table;
use super::words::{figures, percent, short, spread};
use crate::bench::{Bench, Figures, Outcome};
use crate::output;
use crate::page::{self, escape, put, section};

/// Rows that went best, and that went worst, that are shown.
const SHOWN: usize = 9;

/// Classes, most and least often right.
const CLASSES: usize = 12;

pub fn page(
    bench: &Bench,
    models: &[(&str, &Outcome, Option<&Table>)],
    differences: &[Option<Difference>],
) -> String {
    let title = format!("clove eval: {}", bench.suite());
    let mut main = format!("<header><h1>{}</h1>", escape(bench.suite()));
    for note in &bench.notes {
        put(&mut main, format_args!("<p>{}</p>", escape(note)));
    }
    main.push_str("</header>");
    if models.len() > 1 {
        main.push_str(&section("Side by side", &compared(models, differences)));
    }
    for (model, outcome, published) in models {
        let body = match &outcome.figures {
            Figures::Trials(report) => trials(bench, report, outcome),
            other => plain(other),
        };
        let published = published.map_or_else(String::new, |table| {
            format!("<pre>{}</pre>", escape(&table.words()))
        });
        let body = body + &published + &unreadable(outcome);
        main.push_str(&section(&escape(model), &body));
    }
    page::frame(&title, &main)
}

fn compared(
    models: &[(&str, &Outcome, Option<&Table>)],
    differences: &[Option<Difference>],
) -> String {
    let columns: Vec<_> = models
        .iter()
        .map(|(_, outcome, _)| figures(&outcome.figures))
        .collect();
    let mut table = r#"<div class="scroll"><table><tr><th></th>"#.to_owned();
    for (name, ..) in models {
        put(&mut table, format_args!("<th>{}</th>", escape(name)));
    }
    table.push_str("</tr>");
    for (number, (name, _)) in columns[0].iter().enumerate() {
        put(&mut table, format_args!("<tr><th>{}</th>", escape(name)));
        for column in &columns {
            let share = column.get(number).and_then(|(_, share)| *share);
            put(&mut table, format_args!("<td>{}</td>", percent(share)));
        }
        table.push_str("</tr>");
    }
    table.push_str("</table></div>");
    for ((name, ..), found) in models.iter().skip(1).zip(differences) {
        if let Some(found) = found {
            put(
                &mut table,
                format_args!(
                    "<p>{}: {:+.1} points over the first in the mean of subsets (95 % of bootstrap draws: {:+.1} to {:+.1}).</p>",
                    escape(name),
                    100.0 * found.macro_mean,
                    100.0 * found.interval[0],
                    100.0 * found.interval[1]
                ),
            );
        }
    }
    table
}

fn trials(bench: &Bench, report: &Report, outcome: &Outcome) -> String {
    let mut body = format!(
        "<p>Mean of subsets {} %{}, mean of rows {} %{}.",
        percent(report.macro_mean),
        within(report.intervals.map(|found| found.macro_mean)),
        percent(report.weighted_mean),
        within(report.intervals.map(|found| found.weighted_mean))
    );
    if let Some(lift) = &report.image_lift {
        put(
            &mut body,
            format_args!(
                " That is {:+.1} points over the best blind rule, “{}”, which never sees a photo.",
                100.0 * lift.lift,
                escape(&lift.baseline)
            ),
        );
    }
    body.push_str("</p>");
    body.push_str(&accuracies(report));
    body.push_str(
        "<p><small>Bars are accuracies, lines across them 95 % bootstrap intervals by photo, upright marks the best blind rule. A tie \
         isn’t right.</small></p>",
    );
    body.push_str("<h3>Blind rules, in %</h3>");
    body.push_str(&blind(report));
    if !report.skipped_rows.is_empty() {
        let rows = escape(&report.skipped_rows.join(", "));
        put(
            &mut body,
            format_args!("<p>Not scored, for two of their texts are equal: {rows}.</p>"),
        );
    }
    // Of several metrics the first: each row once.
    let first = report.subsets.first().map(|subset| &subset.metric);
    let counted = outcome.rows.iter().zip(&report.subsets);
    let counted = counted.filter(|(_, subset)| Some(&subset.metric) == first);
    let mut rows: Vec<(&str, &ScoredRow)> = counted
        .map(|(rows, _)| rows)
        .flat_map(|(set, rows)| rows.iter().map(move |row| (set.as_str(), row)))
        .collect();
    rows.sort_by(|one, other| one.1.margin.total_cmp(&other.1.margin));
    for (title, rows) in [
        (
            "What went worst",
            rows.iter().take(SHOWN).collect::<Vec<_>>(),
        ),
        ("What went best", rows.iter().rev().take(SHOWN).collect()),
    ] {
        let cards: String = rows
            .iter()
            .map(|(set, row)| card(bench, set, row))
            .collect();
        if !cards.is_empty() {
            put(
                &mut body,
                format_args!(r#"<h3>{title}</h3><div class="cards">{cards}</div>"#),
            );
        }
    }
    body
}

fn within(interval: Option<[f64; 2]>) -> String {
    interval.map_or_else(String::new, |found| format!(" ({})", spread(Some(found))))
}

/// A bar for each subset, with its interval and the best blind rule.
fn accuracies(report: &Report) -> String {
    let mut table = r#"<div class="scroll"><table class="marked"><tr><th></th><th></th><th>%</th><th>95 %</th><th>best blind</th><th>rows</th><th>ties</th><th>missing</th></tr>"#.to_owned();
    for (number, subset) in report.subsets.iter().enumerate() {
        let shares = report.blind.iter().filter_map(|blind| {
            let share = blind.scored_rows.subsets.get(number)?.accuracy?;
            Some((share, &blind.baseline))
        });
        let best = shares.max_by(|one, other| one.0.total_cmp(&other.0));
        put(
            &mut table,
            format_args!(
                "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&subset.title()),
                bar(subset, best.map(|(share, _)| share)),
                percent(subset.accuracy),
                spread(subset.interval),
                best.map_or_else(String::new, |(share, name)| format!(
                    "{} {}",
                    percent(Some(share)),
                    escape(&short(name))
                )),
                subset.rows,
                subset.ties,
                subset.missing
            ),
        );
    }
    table + "</table></div>"
}

fn bar(subset: &SubsetReport, blind: Option<f64>) -> String {
    let Some(accuracy) = subset.accuracy else {
        return String::new();
    };
    let mut marks = format!(r#"<i style="width:{:.1}%"></i>"#, 100.0 * accuracy);
    if let Some([low, high]) = subset.interval {
        put(
            &mut marks,
            format_args!(
                r#"<u style="left:{:.1}%;width:{:.1}%"></u>"#,
                100.0 * low,
                100.0 * (high - low)
            ),
        );
    }
    if let Some(blind) = blind {
        put(
            &mut marks,
            format_args!(r#"<b style="left:{:.1}%"></b>"#, 100.0 * blind),
        );
    }
    format!(r#"<span class="mark">{marks}</span>"#)
}

fn blind(report: &Report) -> String {
    let mut table = r#"<div class="scroll"><table><tr><th></th><th>model</th>"#.to_owned();
    for blind in &report.blind {
        put(
            &mut table,
            format_args!("<th>{}</th>", escape(&short(&blind.baseline))),
        );
    }
    table.push_str("</tr>");
    for (number, subset) in report.subsets.iter().enumerate() {
        put(
            &mut table,
            format_args!(
                "<tr><th>{}</th><td>{}</td>",
                escape(&subset.title()),
                percent(subset.accuracy)
            ),
        );
        for blind in &report.blind {
            let found = blind.scored_rows.subsets.get(number);
            let share = found.and_then(|found| found.accuracy);
            put(&mut table, format_args!("<td>{}</td>", percent(share)));
        }
        table.push_str("</tr>");
    }
    table + "</table></div>"
}

/// A row with its pictures and texts.
fn card(bench: &Bench, set: &str, row: &ScoredRow) -> String {
    let Some(example) = bench.example(set, &row.id) else {
        return String::new();
    };
    let mut body = String::new();
    for photo in &example.photos {
        match photo.thumbnail() {
            Ok(url) => put(
                &mut body,
                format_args!(r#"<img src="{}" alt="" loading="lazy">"#, escape(&url)),
            ),
            Err(error) => put(
                &mut body,
                format_args!(
                    r#"<p class="missing">{}</p>"#,
                    escape(&output::one_line(&error))
                ),
            ),
        }
    }
    for (number, text) in example.texts.iter().enumerate() {
        let class = if example.is_negative(number) {
            r#" class="not""#
        } else {
            ""
        };
        put(
            &mut body,
            format_args!(r#"<p dir="auto"{class}>{}</p>"#, escape(text)),
        );
    }
    format!(
        "<article>{body}<footer>{} {}, by {:+.3}</footer></article>",
        escape(set),
        escape(&row.id),
        row.margin
    )
}

/// Retrieval and zero-shot.
fn plain(found: &Figures) -> String {
    let chance = match found {
        Figures::Retrieval { chance, .. } => [chance.image_to_text, chance.text_to_image].concat(),
        Figures::ZeroShot { chance, .. } => vec![*chance],
        Figures::Trials(_) => Vec::new(),
    };
    let rows = figures(found)
        .into_iter()
        .enumerate()
        .map(|(number, (name, share))| (name, share, chance.get(number).copied()));
    let intervals = match found {
        Figures::Retrieval { intervals, .. } => {
            [intervals.image_to_text, intervals.text_to_image].concat()
        }
        Figures::ZeroShot { interval, .. } => vec![*interval],
        Figures::Trials(_) => Vec::new(),
    };
    let mut body = shares("%", rows);
    let named = figures(found).into_iter().zip(intervals);
    let named: Vec<String> = named
        .filter_map(|((name, _), interval)| Some(format!("{name} {}", spread(Some(interval?)))))
        .collect();
    put(
        &mut body,
        format_args!(
            "<p>95 % bootstrap intervals by photo, in %: {}.</p>",
            escape(&named.join(", "))
        ),
    );
    if let Figures::ZeroShot { report, names, .. } = found {
        let mut told: Vec<(String, Option<f64>, Option<f64>)> = names
            .iter()
            .zip(&report.classes)
            .filter(|(_, class)| class.accuracy.is_some())
            .map(|(name, class)| (name.clone(), class.accuracy, None))
            .collect();
        told.sort_by(|one, other| other.1.unwrap_or(0.0).total_cmp(&one.1.unwrap_or(0.0)));
        body.push_str("<h3>Classes most often right</h3>");
        body.push_str(&shares("%", told.iter().take(CLASSES).cloned()));
        body.push_str("<h3>Classes least often right</h3>");
        body.push_str(&shares("%", told.iter().rev().take(CLASSES).cloned()));
    }
    body
}

/// Shares with a bar each, and chance where it's known of any.
fn shares(head: &str, rows: impl Iterator<Item = (String, Option<f64>, Option<f64>)>) -> String {
    let rows: Vec<_> = rows.collect();
    let knows_chance = rows.iter().any(|(_, _, chance)| chance.is_some());
    let more = if knows_chance { "<th>chance</th>" } else { "" };
    let mut table = format!(
        r#"<div class="scroll"><table class="marked"><tr><th></th><th></th><th>{head}</th>{more}</tr>"#
    );
    for (name, share, chance) in rows {
        let mark = chance.map_or_else(String::new, |chance| {
            format!(r#"<b style="left:{:.1}%"></b>"#, 100.0 * chance)
        });
        put(
            &mut table,
            format_args!(
                r#"<tr><th dir="auto">{}</th><td><span class="mark"><i style="width:{:.1}%"></i>{mark}</span></td><td>{}</td>{}</tr>"#,
                escape(&name),
                100.0 * share.unwrap_or(0.0),
                percent(share),
                if knows_chance {
                    let chance = chance.map_or_else(String::new, |chance| percent(Some(chance)));
                    format!("<td>{chance}</td>")
                } else {
                    String::new()
                }
            ),
        );
    }
    table + "</table></div>"
}

fn unreadable(outcome: &Outcome) -> String {
    if outcome.unreadable.is_empty() {
        return String::new();
    }
    let mut list = "<h3>Photos that can’t be read</h3><ul>".to_owned();
    for (name, why) in &outcome.unreadable {
        put(
            &mut list,
            format_args!("<li>{}: {}</li>", escape(name), escape(why)),
        );
    }
    list + "</ul>"
}
