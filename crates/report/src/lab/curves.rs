//! Learning curves: loss, and both accuracies on the validation split, by step.

use clove_lab::{Curve, Report};
use maud::{Markup, html};

use super::alpha::PERCENT;
use super::chart::{self, Area, Fill, Limits, Scale, px};
use super::text::{fixed, listed, usable};
use crate::page::clean;

/// Most points that can be distinguished at the width of a panel.
const MOST_POINTS: usize = 240;

/// Marks on a line, which distinguish lines without colour.
const MARKS: usize = 6;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 290.0;
const FONT: f64 = 13.5;

const STEPS: Limits = Limits { floor: 0.0, ceiling: f64::MAX, least_span: 1.0 };

const LOSS: Limits = Limits { floor: 0.0, ceiling: f64::MAX, least_span: 0.01 };

/// A panel.
#[derive(Debug)]
struct Panel {
    id: &'static str,
    title: &'static str,
    scale: f64,
    limits: Limits,
    points: fn(&Curve) -> &[(usize, f64)],
}

const PANELS: [Panel; 3] = [
    panel("loss", "Training loss", 1.0, LOSS, |curve| &curve.loss),
    panel("composition", "Composition on validation, %", 100.0, PERCENT, |curve| {
        &curve.composition
    }),
    panel("recognition", "Recognition on validation, %", 100.0, PERCENT, |curve| {
        &curve.recognition
    }),
];

const fn panel(
    id: &'static str,
    title: &'static str,
    scale: f64,
    limits: Limits,
    points: fn(&Curve) -> &[(usize, f64)],
) -> Panel {
    Panel { id, title, scale, limits, points }
}

/// The figure with its legend; `None` if no curve has a point.
pub(super) fn figure(report: &Report) -> Option<Markup> {
    let panels: Vec<Markup> =
        PANELS.iter().filter_map(|panel| drawing(panel, &report.curves)).collect();
    if panels.is_empty() {
        return None;
    }
    let width = format!("{:.0}", chart::KEY_WIDTH);
    Some(html! {
        figure {
            ul.keys {
                @for (series, curve) in report.curves.iter().enumerate() {
                    li {
                        svg.chart viewBox={ "0 -8 " (width) " 16" } width=(width) height="16" aria-hidden="true" {
                            (chart::series_key(series))
                        }
                        (clean(&curve.name))
                    }
                }
            }
            div.panels { @for panel in &panels { (panel) } }
        }
    })
}

/// The points that can be plotted, thinned to [`MOST_POINTS`]; the last one stays.
fn plotted(panel: &Panel, curve: &Curve) -> Vec<(f64, Option<f64>)> {
    let points = (panel.points)(curve);
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let kept = points.iter().enumerate();
    let kept = kept.filter(|(index, _)| (points.len() - 1 - index).is_multiple_of(every));
    let plotted = kept.map(|(_, (step, value))| {
        let step = *step as f64;
        (step, usable(step).and_then(|_| usable(value * panel.scale)))
    });
    plotted.collect()
}

fn drawing(panel: &Panel, curves: &[Curve]) -> Option<Markup> {
    let lines: Vec<_> = curves.iter().map(|curve| plotted(panel, curve)).collect();
    let plot = Area {
        left: FONT * 2.9,
        top: FONT * 2.2,
        right: WIDTH - FONT * 1.2,
        bottom: HEIGHT - FONT * 3.0,
    };
    let drawn = || lines.iter().flatten().filter(|(_, value)| value.is_some());
    let across = Scale::over(drawn().map(|(step, _)| *step), STEPS, (plot.left, plot.right), 5.0)?;
    let up = Scale::over(
        drawn().filter_map(|(_, value)| *value),
        panel.limits,
        (plot.bottom, plot.top),
        5.0,
    )?;
    let pixel =
        |(step, value): &(f64, Option<f64>)| value.map(|value| (across.at(*step), up.at(value)));
    let decimals = if panel.scale > 1.0 { 1 } else { 3 };
    let ends = curves.iter().zip(&lines).filter_map(|(curve, line)| {
        let (step, value) = line.iter().rev().find_map(|(step, value)| Some((step, (*value)?)))?;
        Some(format!("{} {} at step {step:.0}", curve.name, fixed(value, decimals)))
    });
    let ends: Vec<String> = ends.collect();
    let (title, desc) = (format!("curve-{}-title", panel.id), format!("curve-{}-desc", panel.id));
    Some(html! {
        svg.chart viewBox=(format_args!("0 0 {WIDTH:.0} {HEIGHT:.0}")) font-size=(px(FONT)) role="img"
            aria-labelledby={ (title) " " (desc) } {
            title id=(title) { (panel.title) ", by step" }
            desc id=(desc) { "Last points: " (clean(&listed(&ends))) "." }
            text.heading x="0" y=(px(FONT)) { (panel.title) }
            (chart::frame(plot, &across, &up, FONT * 0.93))
            @for (series, (curve, line)) in curves.iter().zip(&lines).enumerate() {
                @let every = line.len().div_ceil(MARKS).max(1);
                @let pixels: Vec<_> = line.iter().map(pixel).collect();
                @let marked = pixels.iter().rev().step_by(every).rev();
                g class=(chart::colour(series)) {
                    title { (clean(&curve.name)) }
                    (chart::polyline(pixels.iter().copied()))
                    @for at in marked.filter_map(|at| *at) { (chart::mark(series, Fill::Full, at, 3.8)) }
                }
            }
            text.name text-anchor="end" x=(px(plot.right)) y=(px(HEIGHT - FONT * 0.4)) { "Step" }
        }
    })
}
