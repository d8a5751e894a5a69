//! Learning curves: loss, and both accuracies on the validation split, against the step.

use super::alpha::PERCENT;
use super::chart::{self, Area, Fill, Limits, Scale};
use super::text::{escape, fixed, listed, put, usable};
use clove_lab::{Curve, Report};

/// More points than this aren't told apart at the width of a panel.
const MOST_POINTS: usize = 240;

/// Marks on a line, that tell lines apart without colour.
const MARKS: usize = 6;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 290.0;
const FONT: f64 = 13.5;

const STEPS: Limits = Limits {
    floor: 0.0,
    ceiling: f64::MAX,
    least_span: 1.0,
};

const LOSS: Limits = Limits {
    floor: 0.0,
    ceiling: f64::MAX,
    least_span: 0.01,
};

/// What one panel shows.
#[derive(Debug)]
struct Panel {
    id: &'static str,
    title: &'static str,
    scale: f64,
    limits: Limits,
    points: fn(&Curve) -> &[(usize, f64)],
}

const PANELS: [Panel; 3] = [
    Panel {
        id: "loss",
        title: "Training loss",
        scale: 1.0,
        limits: LOSS,
        points: |curve| &curve.loss,
    },
    Panel {
        id: "composition",
        title: "Composition on validation, %",
        scale: 100.0,
        limits: PERCENT,
        points: |curve| &curve.composition,
    },
    Panel {
        id: "recognition",
        title: "Recognition on validation, %",
        scale: 100.0,
        limits: PERCENT,
        points: |curve| &curve.recognition,
    },
];

/// The figure with its legend; none if no curve has a point.
pub(super) fn figure(report: &Report) -> Option<String> {
    let panels: String = PANELS
        .iter()
        .filter_map(|panel| drawing(panel, &report.curves))
        .collect();
    if panels.is_empty() {
        return None;
    }
    let middle = chart::KEY_WIDTH / 2.0;
    let keys = report
        .curves
        .iter()
        .enumerate()
        .map(|(series, curve)| {
            format!(
                r#"<li><svg class="chart" viewBox="0 -8 {0:.0} 16" width="{0:.0}" height="16" aria-hidden="true"><g class="{1}">{2}{3}</g></svg>{4}</li>"#,
                chart::KEY_WIDTH,
                chart::colour(series),
                chart::polyline([Some((0.0, 0.0)), Some((chart::KEY_WIDTH, 0.0))]),
                chart::mark(series, Fill::Full, (middle, 0.0), 4.0),
                escape(&curve.name)
            )
        })
        .collect::<Vec<_>>().concat();
    Some(format!(
        r#"<figure><ul class="keys">{keys}</ul><div class="panels">{panels}</div></figure>"#
    ))
}

/// The points that can be plotted, thinned to what the eye can tell apart; the last one stays.
fn plotted(panel: &Panel, curve: &Curve) -> Vec<(f64, Option<f64>)> {
    let points = (panel.points)(curve);
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    points
        .iter()
        .enumerate()
        .filter(|(index, _)| (points.len() - 1 - index).is_multiple_of(every))
        .map(|(_, (step, value))| {
            let step = *step as f64;
            (step, usable(step).and_then(|_| usable(value * panel.scale)))
        })
        .collect()
}

fn drawing(panel: &Panel, curves: &[Curve]) -> Option<String> {
    let lines: Vec<_> = curves.iter().map(|curve| plotted(panel, curve)).collect();
    let plot = Area {
        left: FONT * 2.9,
        top: FONT * 2.2,
        right: WIDTH - FONT * 1.2,
        bottom: HEIGHT - FONT * 3.0,
    };
    let drawn = || lines.iter().flatten().filter(|(_, value)| value.is_some());
    let across = Scale::over(
        drawn().map(|(step, _)| *step),
        STEPS,
        (plot.left, plot.right),
        5.0,
    )?;
    let up = Scale::over(
        drawn().filter_map(|(_, value)| *value),
        panel.limits,
        (plot.bottom, plot.top),
        5.0,
    )?;
    let mut svg = chart::frame(plot, &across, &up, FONT * 0.93);
    let mut ends = Vec::new();
    for (series, (curve, line)) in curves.iter().zip(&lines).enumerate() {
        let pixels: Vec<Option<(f64, f64)>> = line
            .iter()
            .map(|(step, value)| value.map(|value| (across.at(*step), up.at(value))))
            .collect();
        let every = pixels.len().div_ceil(MARKS).max(1);
        let last = pixels.len().saturating_sub(1);
        let marks: String = pixels
            .iter()
            .enumerate()
            .filter(|(index, _)| (last - index).is_multiple_of(every))
            .filter_map(|(_, at)| *at)
            .map(|at| chart::mark(series, Fill::Full, at, 3.8))
            .collect();
        put(
            &mut svg,
            format_args!(
                r#"<g class="{}"><title>{}</title>{}{marks}</g>"#,
                chart::colour(series),
                escape(&curve.name),
                chart::polyline(pixels)
            ),
        );
        if let Some((step, Some(value))) = line.iter().rev().find(|(_, value)| value.is_some()) {
            let decimals = if panel.scale > 1.0 { 1 } else { 3 };
            ends.push(format!(
                "{} {} at step {step:.0}",
                curve.name,
                fixed(*value, decimals)
            ));
        }
    }
    Some(format!(
        r#"<svg class="chart" viewBox="0 0 {WIDTH:.0} {HEIGHT:.0}" font-size="{FONT:.1}" role="img" aria-labelledby="curve-{id}-title curve-{id}-desc"><title id="curve-{id}-title">{title}, against the step</title><desc id="curve-{id}-desc">Last points: {ends}.</desc><text class="heading" x="0" y="{FONT:.1}">{title}</text>{svg}<text class="name" text-anchor="end" x="{x:.1}" y="{y:.1}">Step</text></svg>"#,
        id = panel.id,
        title = panel.title,
        ends = escape(&listed(&ends)),
        x = plot.right,
        y = HEIGHT - FONT * 0.4
    ))
}
