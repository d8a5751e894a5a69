//! A run of `clove lab` as a page, `report.html`, and its main chart as an SVG file.
//!
//! A missing or infinite figure is shown as a dash.

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
use maud::{Markup, html};

use crate::page;

/// The page's style without that of its charts.
const PAGE_CSS: &str = include_str!("report.css");

/// `report.html`: the result, the alpha curve, the accuracies, the learning curves, examples and the settings.
///
/// Its colours follow the light or dark mode of the system. An example's picture must be a `data:image/` URL.
pub fn page(report: &Report) -> String {
    let main = html! {
        header { h1 { "CLoVe lab" } (finding::paragraph(report)) }
        (section("curve", "How alpha changes the result", &alpha_section(report)))
        (section("models", "Accuracy", &models_section(report)))
        @if let Some(figure) = curves::figure(report) {
            (section("learning", "Learning curves", &html! {
                p {
                    "Fine-tuning of the first seed. Losses of runs with and without hard negatives are not comparable: \
                     negatives add texts to tell apart."
                }
                (figure)
            }))
        }
        @if !report.examples.is_empty() {
            (section("examples", "Example predictions", &html! {
                p {
                    "Pictures of the test split, scored by the models of the first seed. A bar is the margin: the cosine \
                     similarity of picture and caption minus that of picture and negative. A positive margin counts as correct."
                }
                (examples::cards(&report.examples))
            }))
        }
        (section("settings", "Settings", &tables::settings(report)))
    };
    let css = [PAGE_CSS, chart::CHART_CSS].concat();
    page::frame("CLoVe lab", &report.version, &css, &main)
}

/// The alpha curve as an SVG file: composition against recognition in percent, one line for each seed.
///
/// It has a background, and its colours follow the light or dark mode, so that it is legible wherever it is embedded.
pub fn alpha_curve_svg(report: &Report) -> String {
    alpha::svg(report, alpha::WIDE, true).into_string()
}

fn section(id: &str, title: &str, body: &Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (body) } }
}

fn alpha_section(report: &Report) -> Markup {
    if !alpha::has_points(report) {
        return html! { p { (alpha::NO_CURVE) } };
    }
    html! {
        p {
            "Alpha is the share of the fine-tuned weights: 0 is the pretrained model, 1 the fine-tuned one. "
            @if report.sweeps.len() == 1 { "The line shows" } @else { "Each line shows one seed on" }
            " the validation split, where alpha was chosen; the test split plays no part in the choice. \
             Higher is better composition, further right is better recognition."
        }
        figure.headline {
            (alpha::svg(report, alpha::WIDE, false))
            (alpha::svg(report, alpha::NARROW, false))
        }
        (alpha::table(report))
    }
}

fn models_section(report: &Report) -> Markup {
    let classes = report.settings.classes.len();
    html! {
        p {
            "Composition: choose between a caption and a hard negative, a text that differs in a few words."
            @if classes > 0 {
                " Recognition: choose among the names of " (classes) @if classes == 1 { " class" } @else { " classes" }
                " that fine-tuning never shows; chance is " (text::percent_sign(1.0 / classes as f64)) "."
            }
        }
        (tables::models(report))
        @if !report.blind.is_empty() {
            p {
                "A blind baseline decides from the texts alone. Every pair of texts comes with two pictures, and each text is \
                 correct for one of them, so every blind baseline scores 50\u{202f}%, which is chance. Accuracy above that comes \
                 from the picture."
            }
        }
        (tables::abouts(report))
    }
}
