//! The result of the run in one paragraph.

use clove_lab::{ModelRow, Report};
use maud::{Markup, html};

use super::text::{fixed, percent_sign, plural, short, usable};
use crate::page::clean;

/// Smaller differences are printed as 0.0 points and are neither a gain nor a loss.
const NOTHING: f64 = 0.0005;

/// The three models of the paragraph: pretrained, fine-tuned without patching, patched.
fn story(report: &Report) -> Option<[&ModelRow; 3]> {
    let patched = report.models.iter().rposition(|model| !model.alphas.is_empty())?;
    let unpatched = patched.checked_sub(1).filter(|index| *index > 0)?;
    Some([report.models.first()?, &report.models[unpatched], &report.models[patched]])
}

/// A change; 0 below [`NOTHING`].
fn difference(from: f64, to: f64) -> Option<f64> {
    let difference = usable(to - from)?;
    Some(if difference.abs() < NOTHING { 0.0 } else { difference })
}

/// The size of a change.
fn points(change: f64) -> Markup {
    html! { strong { (fixed(change.abs() * 100.0, 1)) "\u{a0}points" } }
}

/// The paragraph.
pub(super) fn paragraph(report: &Report) -> Markup {
    let seeds = report.settings.seeds.len();
    html! {
        p.finding {
            @if let Some(told) = story(report).and_then(told) {
                (told)
            } @else if let Some(model) = report.models.first() {
                (clean(&model.name)) " reaches " (percent_sign(model.composition.mean))
                " in composition and " (percent_sign(model.recognition.mean)) " in recognition."
            } @else {
                "This run has no model results."
            }
            @if seeds > 1 {
                " All figures are means over " (plural(seeds, "seed")) " on the test split."
            } @else {
                " All figures are from the test split."
            }
        }
    }
}

/// The effects of fine-tuning and of patching; `None` if a figure is missing.
fn told([pretrained, unpatched, patched]: [&ModelRow; 3]) -> Option<Markup> {
    let composition = [pretrained, unpatched, patched].map(|model| model.composition.mean);
    let recognition = [pretrained, unpatched, patched].map(|model| model.recognition.mean);
    let composed = difference(composition[0], composition[1])?;
    let recognised = difference(recognition[0], recognition[1])?;
    let returned = difference(recognition[1], recognition[2])?;
    let remained = difference(composition[0], composition[2])?;
    Some(html! {
        "Fine-tuning with hard negatives " (change(composed, "composition"))
        " (" (percent_sign(composition[0])) " to " (percent_sign(composition[1])) ") and "
        (change(recognised, "recognition"))
        " (" (percent_sign(recognition[0])) " to " (percent_sign(recognition[1])) "). Patching with "
        (alphas(&patched.alphas)) " "
        @if recognised < 0.0 && returned > 0.0 {
            "restored " (points(returned)) " of recognition"
        } @else if recognised < 0.0 && returned < 0.0 {
            "lowered recognition by a further " (points(returned))
        } @else {
            (change(returned, "recognition"))
        }
        " (to " (percent_sign(recognition[2])) "); composition is then "
        @if remained == 0.0 {
            "equal to the pretrained model's"
        } @else {
            (points(remained)) @if remained > 0.0 { " above" } @else { " below" } " the pretrained model"
        }
        " (" (percent_sign(composition[2])) ")."
    })
}

fn change(change: f64, what: &str) -> Markup {
    html! {
        @if change == 0.0 {
            "left " (what) " unchanged"
        } @else {
            @if change > 0.0 { "raised " } @else { "lowered " } (what) " by " (points(change))
        }
    }
}

/// The alphas of the seeds, or a single one if they are equal.
pub(super) fn alphas(alphas: &[f64]) -> String {
    let texts: Vec<String> = alphas.iter().copied().map(short).collect();
    match texts.as_slice() {
        [] => "no alpha".to_owned(),
        [first, rest @ ..] if rest.iter().all(|text| text == first) => {
            format!("α\u{a0}=\u{a0}{first}")
        }
        _ => format!("α\u{a0}=\u{a0}{} by seed", texts.join(", ")),
    }
}
