//! The table of models and blind baselines, and the settings.

use clove_lab::{Figure, ModelRow, Report};
use maud::{Markup, html};

use super::finding::alphas;
use super::text::{NO_FIGURE, count, duration, fixed, percent, plural, short, signed, usable};
use crate::page::clean;

/// Names of the kinds of all rows, in their order.
fn kinds(report: &Report) -> Vec<&str> {
    let of_models = report.models.iter().flat_map(|model| &model.kinds).map(|(name, _)| name);
    let of_rules = report.blind.iter().flat_map(|rule| &rule.kinds).map(|(name, _)| name);
    let mut names: Vec<&str> = Vec::new();
    for name in of_models.chain(of_rules) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

fn figure_of<'row, F>(kinds: &'row [(String, F)], name: &str) -> Option<&'row F> {
    kinds.iter().find(|(of, _)| of == name).map(|(_, figure)| figure)
}

/// Figures of a model in the order of the columns.
fn columns<'row>(model: &'row ModelRow, kinds: &[&str]) -> Vec<Option<&'row Figure>> {
    let figures = [Some(&model.composition), Some(&model.recognition)].into_iter();
    figures.chain(kinds.iter().map(|kind| figure_of(&model.kinds, kind))).collect()
}

/// The table of all figures on the test split.
pub(super) fn models(report: &Report) -> Markup {
    let kinds = kinds(report);
    let rows: Vec<_> = report.models.iter().map(|model| columns(model, &kinds)).collect();
    let width = kinds.len() + 2;
    // Compared as printed, so that equal figures are both best or neither is.
    let best = |column: usize| {
        let means = rows.iter().filter_map(|row| usable(row[column]?.mean));
        means.max_by(f64::total_cmp).map(percent).filter(|_| rows.len() > 1)
    };
    let best: Vec<Option<String>> = (0..width).map(best).collect();
    html! {
        div.scroll role="region" aria-label="Accuracy of the models" tabindex="0" {
            table.figures {
                caption { span { (caption(report)) } }
                (head(&kinds))
                tbody {
                    @for (model, row) in report.models.iter().zip(&rows) {
                        @let reference = rows.first().filter(|first| !std::ptr::eq(*first, row));
                        tr class=[(!model.alphas.is_empty()).then_some("ours")] {
                            th scope="row" { (clean(&model.name)) }
                            @for (column, figure) in row.iter().enumerate() {
                                (cell(*figure, reference.and_then(|first| first[column]), best[column].as_deref()))
                            }
                        }
                    }
                }
                @if !report.blind.is_empty() {
                    tbody {
                        tr.group {
                            th scope="rowgroup" colspan=(width + 1) { span { "Blind baselines (no picture)" } }
                        }
                        @for rule in &report.blind {
                            tr.blind {
                                th scope="row" { (clean(&rule.name)) }
                                td.n { (percent(rule.composition)) }
                                td.n { (NO_FIGURE) }
                                @for kind in &kinds {
                                    td.n { (figure_of(&rule.kinds, kind).copied().map_or(NO_FIGURE.to_owned(), percent)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn caption(report: &Report) -> Markup {
    let seeds = report.settings.seeds.len();
    html! {
        "Accuracy on the test split, in percent (" (count(report.settings.composition_rows)) " composition pairs, "
        (count(report.settings.recognition_rows)) " recognition pictures)."
        @if seeds > 1 { " Mean ± standard deviation over " (plural(seeds, "seed")) "." }
        @if let [first, _, ..] = report.models.as_slice() {
            " Small figures: difference from " (clean(&first.name)) ", in points. Bold: best in the column."
        }
    }
}

/// Two lines of column headings: the change that makes a negative, and the changed part.
fn head(kinds: &[&str]) -> Markup {
    let act = |kind: &str| kind.split_once('_').map(|(act, _)| act.to_owned());
    let groups: Vec<&[&str]> =
        kinds.chunk_by(|one, other| act(one).is_some() && act(one) == act(other)).collect();
    html! {
        thead {
            tr {
                th scope="col" rowspan="2" { "Model" }
                th.n scope="col" rowspan="2" { "Composition" small { "mean over kinds" } }
                th.n scope="col" rowspan="2" { "Recognition" small { "unseen classes" } }
                @for group in &groups {
                    @match act(group[0]) {
                        Some(act) => { th.over scope="colgroup" colspan=(group.len()) { (clean(&act)) } }
                        None => { th.n scope="col" rowspan="2" { (clean(group[0])) } }
                    }
                }
            }
            tr {
                @for group in &groups {
                    @for (index, (_, part)) in group.iter().filter_map(|kind| kind.split_once('_')).enumerate() {
                        th class=(if index == 0 { "n first" } else { "n" }) scope="col" { (clean(part)) }
                    }
                }
            }
        }
    }
}

fn cell(figure: Option<&Figure>, reference: Option<&Figure>, best: Option<&str>) -> Markup {
    let Some(figure) = figure.filter(|figure| usable(figure.mean).is_some()) else {
        return html! { td.n { (NO_FIGURE) } };
    };
    let mean = percent(figure.mean);
    let difference = reference.and_then(|reference| usable(figure.mean - reference.mean));
    html! {
        td.n {
            @if best == Some(mean.as_str()) { b { (mean) } } @else { (mean) }
            @if let Some(spread) = figure.spread.and_then(usable) {
                " " span.spread { "±\u{a0}" (fixed(spread * 100.0, 1)) }
            }
            @if let Some(difference) = difference {
                small class=(if difference > 0.0 { "delta up" } else { "delta down" }) { (signed(difference * 100.0, 1)) }
            }
        }
    }
}

/// How each model was made.
pub(super) fn abouts(report: &Report) -> Markup {
    let is_described = |model: &&ModelRow| !model.about.is_empty() || !model.alphas.is_empty();
    let models: Vec<&ModelRow> = report.models.iter().filter(is_described).collect();
    html! {
        @if !models.is_empty() {
            dl.terms {
                @for model in models {
                    dt { (clean(&model.name)) }
                    dd {
                        (clean(model.about.trim_end_matches('.')))
                        @if !model.alphas.is_empty() { " (" (alphas(&model.alphas)) ")" }
                    }
                }
            }
        }
    }
}

/// The settings, the rule, and the command of the run.
pub(super) fn settings(report: &Report) -> Markup {
    let settings = &report.settings;
    let seeds: Vec<String> = settings.seeds.iter().map(u64::to_string).collect();
    let origin =
        if settings.from_scratch { "trained in this run" } else { "included with the program" };
    let image_rate = match settings.image_rate {
        1.0 => String::new(),
        share if share.is_finite() => {
            format!(" (image tower: {} % of it)", (100.0 * share).round())
        }
        _ => format!(" (image tower: {NO_FIGURE})"),
    };
    let classes = match settings.classes.len() {
        0 => NO_FIGURE.to_owned(),
        number => format!("{number}: {}", settings.classes.join(", ")),
    };
    let tuning = format!(
        "{}, batch size {}, peak learning rate {}{image_rate}",
        plural(settings.steps, "step"),
        count(settings.batch),
        rate(settings.learning_rate),
    );
    let [pairs, pictures] = [settings.composition_rows, settings.recognition_rows].map(count);
    let rows = [
        ("Choice of alpha", report.rule.clone()),
        ("Seeds", seeds.join(", ")),
        ("Pretrained model", origin.to_owned()),
        ("Parameters", count(settings.parameters)),
        ("Fine-tuning", tuning),
        ("Negatives per caption", count(settings.negatives_per_caption)),
        ("Test split", format!("{pairs} composition pairs, {pictures} recognition pictures")),
        ("Recognition classes", classes),
        ("Device", settings.device.clone()),
        ("Duration", duration(settings.seconds)),
        ("Version", format!("clove {}", report.version)),
    ];
    html! {
        dl.terms {
            @for (name, value) in &rows {
                dt { (name) }
                dd { @if value.is_empty() { (NO_FIGURE) } @else { (clean(value)) } }
            }
        }
        p { "To reproduce this run:" }
        pre {
            code {
                "clove lab --seeds " (settings.seeds.len().max(1))
                @if settings.from_scratch { " --from-scratch" }
            }
        }
    }
}

/// A learning rate in the notation of papers: `3e-4`, or `0.01`.
fn rate(value: f64) -> String {
    match usable(value) {
        Some(value) if value != 0.0 && value.abs() < 1e-2 => {
            format!("{value:e}").replace('-', "\u{2212}")
        }
        _ => short(value),
    }
}
