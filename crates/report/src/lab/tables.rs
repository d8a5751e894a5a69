//! The table of models and blind rules, and the settings.

use super::finding::alphas;
use super::text::{
    NO_FIGURE, count, duration, escape, fixed, percent, plural, points, put, short, usable,
};
use clove_lab::{Figure, ModelRow, Report};

/// Names of the kinds over all rows, in the order in which they first stand.
fn kinds(report: &Report) -> Vec<&str> {
    let of_models = report.models.iter().flat_map(|model| &model.kinds);
    let of_rules = report.blind.iter().flat_map(|rule| &rule.kinds);
    let mut names: Vec<&str> = Vec::new();
    for name in of_models
        .map(|(name, _)| name.as_str())
        .chain(of_rules.map(|(name, _)| name.as_str()))
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn figure_of<'row, F>(kinds: &'row [(String, F)], name: &str) -> Option<&'row F> {
    kinds
        .iter()
        .find(|(of, _)| of == name)
        .map(|(_, figure)| figure)
}

/// Figures of a model in the order of the columns.
fn columns<'row>(model: &'row ModelRow, kinds: &[&str]) -> Vec<Option<&'row Figure>> {
    [Some(&model.composition), Some(&model.recognition)]
        .into_iter()
        .chain(kinds.iter().map(|kind| figure_of(&model.kinds, kind)))
        .collect()
}

/// `<table>` of everything measured on the test split.
pub(super) fn models(report: &Report) -> String {
    let kinds = kinds(report);
    let rows: Vec<_> = report
        .models
        .iter()
        .map(|model| columns(model, &kinds))
        .collect();
    let width = kinds.len() + 2;
    // Compared as printed, so that two equal figures are both best or neither.
    let best: Vec<Option<String>> = (0..width)
        .map(|column| {
            rows.iter()
                .filter_map(|row| usable(row[column]?.mean))
                .max_by(f64::total_cmp)
                .map(percent)
                .filter(|_| rows.len() > 1)
        })
        .collect();
    let mut body = String::from("<tbody>");
    for (index, (model, row)) in report.models.iter().zip(&rows).enumerate() {
        let class = if model.alphas.is_empty() {
            ""
        } else {
            r#" class="ours""#
        };
        put(
            &mut body,
            format_args!(r#"<tr{class}><th scope="row">{}</th>"#, escape(&model.name)),
        );
        for (column, figure) in row.iter().enumerate() {
            let reference = rows
                .first()
                .filter(|_| index > 0)
                .and_then(|first| first[column]);
            body.push_str(&cell(*figure, reference, best[column].as_deref()));
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody>");
    if !report.blind.is_empty() {
        put(
            &mut body,
            format_args!(
                r#"<tbody><tr class="group"><th scope="rowgroup" colspan="{}"><span>Rules that see no picture</span></th></tr>"#,
                width + 1
            ),
        );
        for rule in &report.blind {
            put(
                &mut body,
                format_args!(
                    r#"<tr class="blind"><th scope="row">{}</th><td class="n">{}</td><td class="n">{NO_FIGURE}</td>"#,
                    escape(&rule.name),
                    percent(rule.composition)
                ),
            );
            for kind in &kinds {
                let share = figure_of(&rule.kinds, kind).copied();
                put(
                    &mut body,
                    format_args!(
                        r#"<td class="n">{}</td>"#,
                        share.map_or_else(|| NO_FIGURE.to_owned(), percent)
                    ),
                );
            }
            body.push_str("</tr>");
        }
        body.push_str("</tbody>");
    }
    let seeds = report.settings.seeds.len();
    let spread = if seeds > 1 {
        format!(" Mean ± standard deviation over {}.", plural(seeds, "seed"))
    } else {
        String::new()
    };
    let below = match report.models.first() {
        Some(first) if report.models.len() > 1 => format!(
            " Below each figure: the difference from {} in points. Bold: the best of its column.",
            escape(&first.name)
        ),
        _ => String::new(),
    };
    format!(
        r#"<div class="scroll" role="region" aria-label="Accuracy of the models" tabindex="0"><table class="figures"><caption><span>Accuracy on the test split, in percent: {} pairs of composition, {} pictures of recognition.{spread}{below}</span></caption>{}{body}</table></div>"#,
        count(report.settings.composition_rows),
        count(report.settings.recognition_rows),
        head(&kinds)
    )
}

/// Two lines of column headings: what a negative does to the text, and to which part of it.
fn head(kinds: &[&str]) -> String {
    let mut above = String::new();
    let mut below = String::new();
    let mut rest = kinds;
    while let Some(first) = rest.first() {
        let Some((act, _)) = first.split_once('_') else {
            put(
                &mut above,
                format_args!(
                    r#"<th scope="col" rowspan="2" class="n">{}</th>"#,
                    escape(first)
                ),
            );
            rest = &rest[1..];
            continue;
        };
        let parts: Vec<&str> = rest
            .iter()
            .map_while(|kind| kind.split_once('_'))
            .take_while(|(of, _)| *of == act)
            .map(|(_, part)| part)
            .collect();
        put(
            &mut above,
            format_args!(
                r#"<th scope="colgroup" colspan="{}" class="over">{}</th>"#,
                parts.len(),
                escape(act)
            ),
        );
        for (index, part) in parts.iter().enumerate() {
            let class = if index == 0 { "n first" } else { "n" };
            put(
                &mut below,
                format_args!(r#"<th scope="col" class="{class}">{}</th>"#, escape(part)),
            );
        }
        rest = &rest[parts.len()..];
    }
    format!(
        r#"<thead><tr><th scope="col" rowspan="2">Model</th><th scope="col" rowspan="2" class="n">Composition<small>mean of the kinds</small></th><th scope="col" rowspan="2" class="n">Recognition<small>unseen classes</small></th>{above}</tr><tr>{below}</tr></thead>"#
    )
}

fn cell(figure: Option<&Figure>, reference: Option<&Figure>, best: Option<&str>) -> String {
    let Some(figure) = figure.filter(|figure| usable(figure.mean).is_some()) else {
        return format!(r#"<td class="n">{NO_FIGURE}</td>"#);
    };
    let mean = percent(figure.mean);
    let mean = if best == Some(mean.as_str()) {
        format!("<b>{mean}</b>")
    } else {
        mean
    };
    let spread = figure
        .spread
        .and_then(usable)
        .map(|spread| {
            format!(
                r#" <span class="spread">±&nbsp;{}</span>"#,
                fixed(spread * 100.0, 1)
            )
        })
        .unwrap_or_default();
    let delta = reference
        .and_then(|reference| usable(figure.mean - reference.mean))
        .map(|difference| {
            let class = if difference > 0.0 { "up" } else { "down" };
            format!(
                r#"<small class="delta {class}">{}</small>"#,
                points(difference)
            )
        })
        .unwrap_or_default();
    format!(r#"<td class="n">{mean}{spread}{delta}</td>"#)
}

/// How each model was made.
pub(super) fn abouts(report: &Report) -> String {
    let entries = report
        .models
        .iter()
        .filter(|model| !model.about.is_empty() || !model.alphas.is_empty())
        .map(|model| {
            let alpha = if model.alphas.is_empty() {
                String::new()
            } else {
                format!("; here {}", alphas(&model.alphas))
            };
            format!(
                "<dt>{}</dt><dd>{}{alpha}</dd>",
                escape(&model.name),
                escape(model.about.trim_end_matches('.'))
            )
        })
        .collect::<Vec<_>>()
        .concat();
    if entries.is_empty() {
        entries
    } else {
        format!(r#"<dl class="terms">{entries}</dl>"#)
    }
}

/// The settings, the rule, and how to run it again.
pub(super) fn settings(report: &Report) -> String {
    let settings = &report.settings;
    let seeds: Vec<String> = settings.seeds.iter().map(u64::to_string).collect();
    let rows = [
        ("Choice of alpha", escape(&report.rule)),
        ("Seeds", seeds.join(", ")),
        (
            "Pretrained model",
            if settings.from_scratch {
                "trained in this run".to_owned()
            } else {
                "comes with the program".to_owned()
            },
        ),
        ("Numbers in the model", count(settings.parameters)),
        (
            "Fine-tuning",
            format!(
                "{} of {}, learning rate up to {}, the image tower's {} of it",
                plural(settings.steps, "step"),
                plural(settings.batch, "scene"),
                rate(settings.learning_rate),
                match settings.image_rate {
                    1.0 => "all".to_owned(),
                    share if share.is_finite() => format!("{} %", (100.0 * share).round()),
                    _ => NO_FIGURE.to_owned(),
                }
            ),
        ),
        (
            "Hard negatives of a caption",
            count(settings.negatives_per_caption),
        ),
        (
            "Test pairs of composition",
            count(settings.composition_rows),
        ),
        (
            "Test pictures of recognition",
            count(settings.recognition_rows),
        ),
        (
            "Classes of recognition",
            match settings.classes.len() {
                0 => String::new(),
                number => format!("{number}: {}", escape(&settings.classes.join(", "))),
            },
        ),
        ("Device", escape(&settings.device)),
        ("Time", duration(settings.seconds)),
        ("Program", format!("clove {}", escape(&report.version))),
    ];
    let entries = rows
        .iter()
        .map(|(name, value)| {
            let value = if value.is_empty() { NO_FIGURE } else { value };
            format!("<dt>{name}</dt><dd>{value}</dd>")
        })
        .collect::<Vec<_>>()
        .concat();
    let scratch = if settings.from_scratch {
        " --from-scratch"
    } else {
        ""
    };
    format!(
        r#"<dl class="terms">{entries}</dl><p>To run it again:</p><pre><code>clove lab --seeds {}{scratch}</code></pre>"#,
        settings.seeds.len().max(1)
    )
}

/// A learning rate as it's written in papers: `3e-4`, or `0.01`.
fn rate(value: f64) -> String {
    match usable(value) {
        Some(value) if value != 0.0 && value.abs() < 1e-2 => {
            format!("{value:e}").replace('-', "\u{2212}")
        }
        _ => short(value),
    }
}
