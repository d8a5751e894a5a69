//! A lab run as a page to read: `report.html`, and the alpha curve as an SVG for a README.
//!
//! The `clove` program and the web page make them of a [`Report`]. Everything is inline: no request leaves the page, and
//! nothing in it needs a script. A figure that is not finite, or missing, stands as a dash.

mod alpha;
mod chart;
mod curves;
mod examples;
mod finding;
mod tables;
#[cfg(test)]
mod tests;
mod text;

use clove_lab::Report;
use text::{escape, plural, put};

/// What the page looks like, apart from the charts.
const PAGE_CSS: &str = include_str!("report.css");

/// `report.html`: the run's finding, its alpha curve, figures, learning curves, examples and settings.
///
/// The page is whole in itself, with light and dark colours as the reader's system asks, and its content policy forbids
/// every request. All text of the report is escaped; an example's picture is left out unless it is a `data:image/` URL.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut main = String::new();
    put(
        &mut main,
        format_args!(
            "<header><h1>CLoVe lab</h1>{}</header>",
            finding::paragraph(report)
        ),
    );
    main.push_str(&section("curve", "The alpha curve", &alpha_section(report)));
    main.push_str(&section("models", "The models", &models_section(report)));
    if let Some(figure) = curves::figure(report) {
        main.push_str(&section(
            "learning",
            "Learning curves",
            &format!(
                "<p>Fine-tuning of the first seed. The loss of a run with hard negatives has more to tell apart, so its height is not to be compared with that of a run without.</p>{figure}"
            ),
        ));
    }
    if !report.examples.is_empty() {
        main.push_str(&section(
            "examples",
            "What the models make of a picture",
            &format!(
                "<p>Pictures of the test split and the models of the first seed. A bar is the margin: the cosine similarity of the picture with the caption less that with the negative. A model is right if it is above zero.</p>{}",
                examples::cards(&report.examples)
            ),
        ));
    }
    main.push_str(&section("settings", "Settings", &tables::settings(report)));
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="clove {version}">
<link rel="icon" href="data:,">
<title>CLoVe lab</title>
<style>
{PAGE_CSS}{chart}</style>
</head>
<body>
<main>
{main}</main>
</body>
</html>
"#,
        version = escape(&report.version),
        chart = chart::CHART_CSS,
    )
}

/// The alpha curve as an SVG file of its own: composition against recognition in percent, one line for each seed.
///
/// It brings its own ground and follows the reader's light or dark colours, so it's legible wherever it's embedded.
#[must_use]
pub fn alpha_curve_svg(report: &Report) -> String {
    alpha::svg(report, alpha::WIDE, true)
}

fn section(id: &str, title: &str, body: &str) -> String {
    format!(
        r#"<section aria-labelledby="{id}"><h2 id="{id}">{title}</h2>{body}</section>
"#
    )
}

fn alpha_section(report: &Report) -> String {
    if !alpha::has_points(report) {
        return "<p>No alpha curve in this run.</p>".to_owned();
    }
    let lines = if report.sweeps.len() == 1 {
        "The line leads"
    } else {
        "Each line is one seed and leads"
    };
    format!(
        r#"<p>Alpha mixes the weights of the pretrained model (0) and the fine-tuned one (1). {lines} from the one to the other on the validation split, where alpha was chosen; the test split has no part in the choice. Up is better composition, right is better recognition.</p><figure class="headline">{}{}</figure>{}"#,
        alpha::svg(report, alpha::WIDE, false),
        alpha::svg(report, alpha::NARROW, false),
        alpha::table(report)
    )
}

fn models_section(report: &Report) -> String {
    let classes = match report.settings.classes.len() {
        0 => String::new(),
        number => format!(
            " Recognition is the choice among the names of {}, which fine-tuning never shows; chance is {}.",
            plural(number, "class").replace("classs", "classes"),
            text::percent_sign(1.0 / number as f64)
        ),
    };
    let blind = if report.blind.is_empty() {
        ""
    } else {
        "<p>A rule that sees no picture decides by the texts alone. Every pair of texts comes with two pictures, and each text is right once, so a rule that sees no picture is right half of the time, whatever it looks for: 50\u{202f}% is chance. What a model has above that comes from looking.</p>"
    };
    format!(
        "<p>Composition is the choice between a caption and a hard negative, a text that differs from it in a few words.{classes}</p>{}{blind}{}",
        tables::models(report),
        tables::abouts(report)
    )
}
