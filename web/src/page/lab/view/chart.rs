//! Charts: lines and bars.

use leptos::prelude::*;

use super::super::super::view;
use super::super::text;
use crate::lab::Measured;

/// The chart's size and margins, in its own units.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 38.0;
/// The most points of a line.
const POINTS: usize = 150;

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub name: String,
    /// The number of its style, from 0.
    pub look: usize,
    /// Coordinates along both axes.
    pub points: Vec<(f64, f64)>,
    /// Whether points are marked.
    pub dots: bool,
}

#[derive(Debug, Clone)]
pub struct Axis {
    pub name: &'static str,
    pub range: (f64, f64),
    /// The format of values.
    pub write: fn(f64) -> String,
}

impl Line {
    /// A value along the steps of a run.
    pub fn over(
        name: &str,
        look: usize,
        points: &[(usize, Measured)],
        value: impl Fn(&Measured) -> Option<f64>,
    ) -> Self {
        let point = |(step, measured): &(usize, Measured)| Some((*step as f64, value(measured)?));
        let points = points.iter().filter_map(point).collect();
        Self { name: name.to_owned(), look, points, dots: true }
    }
}

impl Axis {
    /// The steps of a run.
    pub fn steps(steps: usize) -> Self {
        let range = (0.0, steps.max(1) as f64);
        Self { name: text::STEPS, range, write: |value| format!("{value:.0}") }
    }

    /// Percentages from 0 to 100 %.
    pub fn share(name: &'static str) -> Self {
        Self { name, range: (0.0, 1.0), write: percent }
    }
}

pub fn percent(value: f64) -> String {
    format!("{:.0} %", 100.0 * value)
}

/// Lines against two axes, and marks: points with labels.
pub fn chart(
    label: String,
    x: &Axis,
    y: &Axis,
    lines: &[Line],
    marks: &[(f64, f64, String)],
) -> impl IntoView + use<> {
    let (x_range, y_range) = (x.range, y.range);
    let across = move |value: f64| {
        LEFT + (value - x_range.0) / (x_range.1 - x_range.0).max(f64::MIN_POSITIVE)
            * (WIDTH - LEFT - RIGHT)
    };
    let down = move |value: f64| {
        let share = (value - y_range.0) / (y_range.1 - y_range.0).max(f64::MIN_POSITIVE);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    };
    let ticks = |axis: &Axis| {
        let (from, to) = axis.range;
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| from + (to - from) * share)
    };
    let (write_x, write_y) = (x.write, y.write);
    let x_ticks = ticks(x).map(|value| {
        view! { <text class="tick" x=across(value) y=HEIGHT - 22.0 text-anchor="middle">{write_x(value)}</text> }
    });
    let y_ticks = ticks(y).map(|value| {
        view! {
            <line class="grid" x1=LEFT x2=WIDTH - RIGHT y1=down(value) y2=down(value) />
            <text class="tick" x=LEFT - 6.0 y=down(value) + 4.0 text-anchor="end">{write_y(value)}</text>
        }
    });
    let drawn: Vec<_> = lines
        .iter()
        .map(|line| {
            let points = thinned(&line.points);
            let (places, titles): (Vec<_>, Vec<_>) = points
                .into_iter()
                .map(|(at, value)| {
                    let title = format!("{}: {} at {}", line.name, write_y(value), write_x(at));
                    ((across(at), down(value)), title)
                })
                .unzip();
            let class = format!("line tone-{}", line.look);
            view::line(class, line.name.clone(), &places, line.dots.then_some(("3", titles)))
        })
        .collect();
    let marks: Vec<_> = marks
        .iter()
        .map(|(at, value, words)| {
            // Labels stay inside the chart.
            let (anchor, by) = if across(*at) > WIDTH * 0.7 { ("end", -8.0) } else { ("start", 8.0) };
            view! {
                <g class="mark">
                    <circle cx=across(*at) cy=down(*value) r="6" />
                    <text x=across(*at) + by y=down(*value) - 9.0 text-anchor=anchor>{words.clone()}</text>
                </g>
            }
        })
        .collect();
    let key = (lines.len() > 1).then(|| {
        let entry = |line: &Line| view! { <li class=format!("tone-{}", line.look)>{line.name.clone()}</li> };
        view! { <ul class="key">{lines.iter().map(entry).collect_view()}</ul> }
    });
    let name = x.name;
    view! {
        <figure class="plot">
            <figcaption class="label">{y.name}</figcaption>
            <svg class="plot-chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=label>
                {y_ticks}
                {x_ticks}
                <text class="tick" x=f64::midpoint(LEFT, WIDTH - RIGHT) y=HEIGHT - 5.0 text-anchor="middle">{name}</text>
                {drawn}
                {marks}
            </svg>
            {key}
        </figure>
    }
}

/// At most [`POINTS`] points, each the mean of its neighbours.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let each = points.len().div_ceil(POINTS).max(1);
    points
        .chunks(each)
        .map(|chunk| {
            let count = chunk.len() as f64;
            let sum =
                chunk.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
            (sum.0 / count, sum.1 / count)
        })
        .collect()
}

/// Groups of bars from 0 to 1: each group has a name and a value per series. `chance` marks 0.5.
pub fn bars(
    series: &[String],
    groups: &[(String, Vec<Option<f64>>)],
    chance: bool,
) -> impl IntoView + use<> {
    let rows: Vec<_> = groups
        .iter()
        .map(|(name, values)| {
            let bars: Vec<_> = values
                .iter()
                .enumerate()
                .filter_map(|(at, value)| Some((at, (*value)?)))
                .map(|(at, value)| {
                    view! {
                        <div class="bar-line">
                            <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                                <rect class="rest" width="100" height="10" />
                                <rect class=format!("tone-{at}") width=100.0 * value height="10" />
                                {chance.then(|| view! { <line x1="50" x2="50" y1="0" y2="10" /> })}
                            </svg>
                            <span class="amount">{format!("{:.1} %", 100.0 * value)}</span>
                        </div>
                    }
                })
                .collect();
            view! {
                <div class="bars-row">
                    <span class="bars-name">{name.clone()}</span>
                    <div>{bars}</div>
                </div>
            }
        })
        .collect();
    let key = (series.len() > 1).then(|| {
        let entry = |(at, name): (usize, &String)| view! { <li class=format!("tone-{at}")>{name.clone()}</li> };
        view! { <ul class="key">{series.iter().enumerate().map(entry).collect_view()}</ul> }
    });
    let guess = chance.then(|| view! { <p class="quiet">{text::GUESS}</p> });
    view! { <div class="bars">{rows}{key}{guess}</div> }
}
