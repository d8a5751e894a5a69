//! The main chart: composition and recognition as alpha varies.

use clove_lab::{ALLOWED_LOSS, Report, Sweep, SweepPoint};
use maud::{Markup, PreEscaped, html};

use super::chart::{self, Area, Fill, Key, Labels, Limits, Scale, px};
use super::text::{listed, percent, percent_sign, short, usable};
use crate::page::clean;

/// Depth of the shaded band below the pretrained model's recognition. A guide for the eye; [`Report::rule`] chose alpha.
pub(super) const BAND: f64 = ALLOWED_LOSS;

/// Alphas closer than this are the same step of the sweep, since sums of steps are inexact.
const SAME_ALPHA: f64 = 1e-6;

/// Labels of one role are merged where their points are closer than this, in heights of letters.
const CLUSTER: f64 = 4.0;

/// An accuracy axis in percent, at least four points wide: a narrower one would make noise look like a finding.
pub(super) const PERCENT: Limits = Limits { floor: 0.0, ceiling: 100.0, least_span: 4.0 };

/// Size and font of a drawing of the chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Part of the drawing's ids, since a page may have several.
    pub name: &'static str,
    pub width: f64,
    pub plot_height: f64,
    pub font: f64,
}

/// For a column of 700 pixels and more.
pub(super) const WIDE: Size = Size { name: "wide", width: 880.0, plot_height: 400.0, font: 14.0 };

/// For a phone.
pub(super) const NARROW: Size =
    Size { name: "narrow", width: 350.0, plot_height: 320.0, font: 13.0 };

/// A point in percent, if it has both figures.
fn in_percent(point: &SweepPoint) -> Option<(f64, f64)> {
    Some((usable(point.recognition * 100.0)?, usable(point.composition * 100.0)?))
}

/// Whether the chart has points.
pub(super) fn has_points(report: &Report) -> bool {
    all_points(report).next().is_some()
}

fn all_points(report: &Report) -> impl Iterator<Item = (f64, f64)> {
    let points = report.sweeps.iter().flat_map(|sweep| sweep.validation.iter().chain(&sweep.test));
    points.filter_map(in_percent)
}

/// Recognition of the pretrained model on the validation split, in percent; its mean if the seeds differ.
fn pretrained_recognition(report: &Report) -> Option<f64> {
    let points = report.sweeps.iter().filter_map(|sweep| point_at(sweep, 0.0));
    let values: Vec<f64> = points.filter_map(|point| usable(point.recognition * 100.0)).collect();
    usable(values.iter().sum::<f64>() / values.len() as f64)
}

/// The point of the validation split at an alpha.
fn point_at(sweep: &Sweep, alpha: f64) -> Option<&SweepPoint> {
    sweep.validation.iter().find(|point| (point.alpha - alpha).abs() < SAME_ALPHA)
}

/// The chart's title.
const TITLE: &str = "Composition and recognition as alpha varies";

/// The text of an empty chart.
pub(super) const NO_CURVE: &str = "No alpha curve in this run.";

/// The chart as an `<svg>` element; with a heading and a background where it is `alone`.
pub(super) fn svg(report: &Report, size: Size, alone: bool) -> Markup {
    let Size { name, width, plot_height, font } = size;
    let margin = if alone { font * 1.5 } else { 2.0 };
    let legend_top = if alone { margin + font * 2.2 } else { margin };
    let (legend, legend_height) =
        chart::legend(&keys(report), (margin, legend_top), width - 2.0 * margin, font * 0.93);
    let top = legend_top + legend_height + font * 2.4;
    let plot = Area {
        left: margin + font * 2.6,
        top,
        right: width - margin - font * 1.5,
        bottom: top + plot_height,
    };
    let height = plot.bottom + font * 3.2 + margin;
    let (title, desc) = (format!("alpha-{name}-title"), format!("alpha-{name}-desc"));
    html! {
        svg xmlns=[alone.then_some("http://www.w3.org/2000/svg")] class={ "chart " (name) }
            viewBox=(format_args!("0 0 {width:.0} {height:.0}")) font-size=(px(font)) role="img"
            aria-labelledby={ (title) " " (desc) } {
            title id=(title) { (TITLE) }
            desc id=(desc) { (clean(&description(report))) }
            @if alone {
                style { (PreEscaped(chart::CHART_CSS)) }
                rect.ground x=".5" y=".5" width=(format_args!("{:.0}", width - 1.0))
                    height=(format_args!("{:.0}", height - 1.0)) rx="8" {}
                text.heading font-size=(px(font * 1.25)) x=(px(margin)) y=(px(margin + font)) { (TITLE) }
            }
            (legend)
            text.name x=(px(margin)) y=(px(plot.top - font * 0.8)) { "Composition, %" }
            text.name text-anchor="end" x=(px(plot.right)) y=(px(plot.bottom + font * 2.8)) { "Recognition, %" }
            @if let Some(drawn) = drawing(report, plot, font) {
                (drawn)
            } @else {
                text.name text-anchor="middle" x=(px((plot.left + plot.right) / 2.0))
                    y=(px((plot.top + plot.bottom) / 2.0)) { (NO_CURVE) }
            }
        }
    }
}

fn keys(report: &Report) -> Vec<Key> {
    let middle = (chart::KEY_WIDTH / 2.0, 0.0);
    let seeds = report.sweeps.iter().enumerate().map(|(series, sweep)| Key {
        drawing: chart::series_key(series),
        words: format!("seed {}", sweep.seed),
    });
    let mut keys: Vec<Key> = seeds.collect();
    let has = |points: fn(&Sweep) -> &Vec<SweepPoint>| {
        report.sweeps.iter().any(|sweep| !points(sweep).is_empty())
    };
    let mut add = |drawing: &Markup, words: &str| {
        keys.push(Key { drawing: html! { g.any { (drawing) } }, words: words.to_owned() });
    };
    if has(|sweep| &sweep.validation) {
        add(&chart::mark(0, Fill::Full, middle, 3.5), "validation");
        let ringed = html! { (chart::mark(0, Fill::Full, middle, 4.0)) (ring(middle)) };
        add(&ringed, "chosen alpha");
    }
    if has(|sweep| &sweep.test) {
        add(&chart::mark(0, Fill::Hollow, middle, 5.0), "test");
    }
    if pretrained_recognition(report).is_some() {
        keys.push(Key {
            drawing: html! {
                rect.band x="0" y="-7" width=(format_args!("{:.0}", chart::KEY_WIDTH)) height="14" {}
            },
            words: format!("within {} point of pretrained recognition", short(BAND * 100.0)),
        });
    }
    keys
}

fn ring((x, y): (f64, f64)) -> Markup {
    html! { circle.ring cx=(px(x)) cy=(px(y)) r="8.5" {} }
}

/// The role of a labelled point. Points of one role that are close together share a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Pretrained,
    Chosen,
    Unpatched,
}

fn drawing(report: &Report, plot: Area, font: f64) -> Option<Markup> {
    let edge = pretrained_recognition(report).map(|recognition| recognition - BAND * 100.0);
    let across = Scale::over(
        all_points(report).map(|(recognition, _)| recognition).chain(edge),
        PERCENT,
        (plot.left, plot.right),
        (plot.right - plot.left) / (font * 4.8),
    )?;
    let up = Scale::over(
        all_points(report).map(|(_, composition)| composition),
        PERCENT,
        (plot.bottom, plot.top),
        (plot.bottom - plot.top) / (font * 4.5),
    )?;
    let pixel = |point: &SweepPoint| {
        let (recognition, composition) = in_percent(point)?;
        Some((across.at(recognition), up.at(composition)))
    };
    let mut labels = Labels::new(plot, font);
    let mut wanted: Vec<(Role, f64, (f64, f64))> = Vec::new();
    let (mut lines, mut marks) = (Vec::new(), Vec::new());
    for (series, sweep) in report.sweeps.iter().enumerate() {
        let line: Vec<_> = sweep.validation.iter().map(pixel).collect();
        for pair in line.windows(2) {
            if let [Some(from), Some(to)] = pair {
                labels.keep_off_line(*from, *to);
            }
        }
        lines.push(html! { g class=(chart::colour(series)) { (chart::polyline(line)) } });
    }
    for (series, sweep) in report.sweeps.iter().enumerate() {
        let points = sweep.validation.iter().map(|point| ("validation", Fill::Full, 3.5, point));
        let test = sweep.test.iter().map(|point| ("test", Fill::Hollow, 5.0, point));
        let mut group = Vec::new();
        for (split, fill, radius, point) in points.chain(test) {
            let Some(at) = pixel(point) else { continue };
            group.push(html! {
                g {
                    title {
                        "seed " (sweep.seed) ", alpha " (short(point.alpha)) ", " (split)
                        ": composition " (percent_sign(point.composition))
                        ", recognition " (percent_sign(point.recognition))
                    }
                    (chart::mark(series, fill, at, radius))
                }
            });
            labels.keep_off(at, radius);
        }
        for (role, alpha) in
            [(Role::Pretrained, 0.0), (Role::Chosen, sweep.chosen), (Role::Unpatched, 1.0)]
        {
            if let Some(at) = point_at(sweep, alpha).and_then(pixel) {
                if role == Role::Chosen {
                    group.push(ring(at));
                    labels.keep_off(at, 8.5);
                }
                wanted.push((role, alpha, at));
            }
        }
        marks.push(html! { g class=(chart::colour(series)) { @for mark in group { (mark) } } });
    }
    let labels = labelled(&mut labels, &wanted, CLUSTER * font);
    // Lines, then marks, then labels: no line covers a label.
    Some(html! {
        @if let Some(edge) = edge {
            @let left = across.at_clamped(edge);
            rect.band x=(px(left)) y=(px(plot.top)) width=(px(plot.right - left))
                height=(px(plot.bottom - plot.top)) {}
        }
        (chart::frame(plot, &across, &up, font * 0.93))
        @for part in lines.iter().chain(&marks).chain(&labels) { (part) }
    })
}

/// Labels of the points, one for all of a role within `reach` of each other.
fn labelled(labels: &mut Labels, wanted: &[(Role, f64, (f64, f64))], reach: f64) -> Vec<Markup> {
    let mut placed = Vec::new();
    for role in [Role::Chosen, Role::Pretrained, Role::Unpatched] {
        let mut rest: Vec<_> = wanted.iter().filter(|(of, ..)| *of == role).collect();
        while let Some((_, _, (x, y))) = rest.first().copied() {
            let (near, far): (Vec<_>, Vec<_>) = rest
                .into_iter()
                .partition(|(_, _, other)| (other.0 - x).hypot(other.1 - y) <= reach);
            rest = far;
            let alphas: Vec<f64> = near.iter().map(|(_, alpha, _)| *alpha).collect();
            let mut heights: Vec<_> = near.iter().map(|(_, _, at)| *at).collect();
            heights.sort_by(|one, other| one.1.total_cmp(&other.1));
            let at = heights[heights.len() / 2];
            placed.push(labels.place(at, &label(role, &alphas)));
        }
    }
    placed
}

fn label(role: Role, alphas: &[f64]) -> String {
    match role {
        Role::Pretrained => "pretrained, α = 0".to_owned(),
        Role::Unpatched => "unpatched, α = 1".to_owned(),
        Role::Chosen => format!("chosen, α = {}", distinct(alphas)),
    }
}

/// `0.6`, `0.6 / 0.7`, or `0.5 to 0.8` for more than three.
fn distinct(alphas: &[f64]) -> String {
    let mut sorted = alphas.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut texts: Vec<String> = sorted.into_iter().map(short).collect();
    texts.dedup();
    match texts.as_slice() {
        [first, .., last] if texts.len() > 3 => format!("{first} to {last}"),
        _ => texts.join(" / "),
    }
}

fn description(report: &Report) -> String {
    if !has_points(report) {
        return NO_CURVE.to_owned();
    }
    let mut sentences = vec![
        "Each line shows one seed on the validation split, with alpha rising from 0 (pretrained) to 1 (fine-tuned)."
            .to_owned(),
    ];
    for sweep in &report.sweeps {
        let chosen = format!("the chosen alpha {}", short(sweep.chosen));
        let stops = [("alpha 0", 0.0), (chosen.as_str(), sweep.chosen), ("alpha 1", 1.0)];
        let stops = stops.into_iter().filter_map(|(name, alpha)| {
            let point = point_at(sweep, alpha)?;
            let [composition, recognition] =
                [point.composition, point.recognition].map(percent_sign);
            Some(format!("composition {composition} and recognition {recognition} at {name}"))
        });
        let stops: Vec<String> = stops.collect();
        if !stops.is_empty() {
            sentences.push(format!("Seed {}: {}.", sweep.seed, listed(&stops)));
        }
    }
    sentences.join(" ")
}

/// The chart's data as a collapsed table.
pub(super) fn table(report: &Report) -> Markup {
    html! {
        details {
            summary { "Data of the chart" }
            div.scroll role="region" aria-label="Data of the chart" tabindex="0" {
                table.plain {
                    caption { span { "Accuracy in percent for each alpha." } }
                    thead {
                        tr {
                            @for name in ["Seed", "Split"] { th scope="col" { (name) } }
                            @for name in ["Alpha", "Composition", "Recognition"] { th.n scope="col" { (name) } }
                        }
                    }
                    tbody {
                        @for sweep in &report.sweeps {
                            @for (split, points) in [("validation", &sweep.validation), ("test", &sweep.test)] {
                                @for point in points { (row(sweep, split, point)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row(sweep: &Sweep, split: &str, point: &SweepPoint) -> Markup {
    let is_chosen = (point.alpha - sweep.chosen).abs() < SAME_ALPHA;
    html! {
        tr class=[is_chosen.then_some("ours")] {
            td { (sweep.seed) }
            td { (split) }
            td.n { (short(point.alpha)) @if is_chosen { " (chosen)" } }
            td.n { (percent(point.composition)) }
            td.n { (percent(point.recognition)) }
        }
    }
}
