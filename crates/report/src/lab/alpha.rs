//! The headline: composition against recognition along alpha.

use super::chart::{self, Area, Fill, Key, Labels, Limits, Scale};
use super::text::{escape, listed, percent, percent_sign, put, short, usable};
use clove_lab::ALLOWED_LOSS;
use clove_lab::{Report, Sweep, SweepPoint};

/// How far below the pretrained model's recognition the shaded band reaches. A guide for the eye; the rule that chose
/// alpha is [`Report::rule`].
pub(super) const BAND: f64 = ALLOWED_LOSS;

/// Alphas closer than this are the same step of the sweep: JSON keeps them exactly, sums of steps don't.
const SAME_ALPHA: f64 = 1e-6;

/// Labels of one role share one text where their points are closer than so many letters' heights.
const CLUSTER: f64 = 4.0;

/// An accuracy axis in percent, never narrower than four points: less would make noise look like a finding.
pub(super) const PERCENT: Limits = Limits {
    floor: 0.0,
    ceiling: 100.0,
    least_span: 4.0,
};

/// Size and type of one drawing of the chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Part of the drawing's ids: a page may hold more than one.
    pub name: &'static str,
    pub width: f64,
    pub plot_height: f64,
    pub font: f64,
}

/// For a column of 700 pixels and more.
pub(super) const WIDE: Size = Size {
    name: "wide",
    width: 880.0,
    plot_height: 400.0,
    font: 14.0,
};

/// For a phone.
pub(super) const NARROW: Size = Size {
    name: "narrow",
    width: 350.0,
    plot_height: 320.0,
    font: 13.0,
};

/// Point in percent, if both figures are there.
fn in_percent(point: &SweepPoint) -> Option<(f64, f64)> {
    Some((
        usable(point.recognition * 100.0)?,
        usable(point.composition * 100.0)?,
    ))
}

/// Whether there is anything to draw.
pub(super) fn has_points(report: &Report) -> bool {
    all_points(report).next().is_some()
}

fn all_points(report: &Report) -> impl Iterator<Item = (f64, f64)> {
    report
        .sweeps
        .iter()
        .flat_map(|sweep| sweep.validation.iter().chain(&sweep.test))
        .filter_map(in_percent)
}

/// Recognition of the pretrained model on the validation split, in percent; its mean if the seeds differ.
fn pretrained_recognition(report: &Report) -> Option<f64> {
    let values: Vec<f64> = report
        .sweeps
        .iter()
        .filter_map(|sweep| point_at(sweep, 0.0))
        .filter_map(|point| usable(point.recognition * 100.0))
        .collect();
    usable(values.iter().sum::<f64>() / values.len() as f64)
}

/// The point of the validation split at an alpha.
fn point_at(sweep: &Sweep, alpha: f64) -> Option<&SweepPoint> {
    sweep
        .validation
        .iter()
        .find(|point| (point.alpha - alpha).abs() < SAME_ALPHA)
}

/// The chart as an `<svg>` element; with a heading and a ground of its own where it stands `alone`.
pub(super) fn svg(report: &Report, size: Size, alone: bool) -> String {
    let Size {
        name,
        width,
        plot_height,
        font,
    } = size;
    let margin = if alone { font * 1.5 } else { 2.0 };
    let mut body = String::new();
    let mut top = margin;
    if alone {
        put(
            &mut body,
            format_args!(
                r#"<text class="heading" font-size="{:.1}" x="{margin:.1}" y="{:.1}">Composition against recognition along alpha</text>"#,
                font * 1.25,
                top + font
            ),
        );
        top += font * 2.2;
    }
    let (legend, legend_height) = chart::legend(
        &keys(report),
        (margin, top),
        width - 2.0 * margin,
        font * 0.93,
    );
    body.push_str(&legend);
    top += legend_height + font * 2.4;
    let plot = Area {
        left: margin + font * 2.6,
        top,
        right: width - margin - font * 1.5,
        bottom: top + plot_height,
    };
    let height = plot.bottom + font * 3.2 + margin;
    put(
        &mut body,
        format_args!(
            r#"<text class="name" x="{margin:.1}" y="{:.1}">Composition, %</text><text class="name" text-anchor="end" x="{:.1}" y="{:.1}">Recognition, %</text>"#,
            plot.top - font * 0.8,
            plot.right,
            plot.bottom + font * 2.8
        ),
    );
    match drawing(report, plot, font) {
        Some(drawn) => body.push_str(&drawn),
        None => put(
            &mut body,
            format_args!(
                r#"<text class="name" text-anchor="middle" x="{:.1}" y="{:.1}">No alpha curve in this run.</text>"#,
                (plot.left + plot.right) / 2.0,
                (plot.top + plot.bottom) / 2.0
            ),
        ),
    }
    let (space, style, ground) = if alone {
        (
            r#" xmlns="http://www.w3.org/2000/svg""#,
            format!("<style>{}</style>", chart::CHART_CSS),
            format!(
                r#"<rect class="ground" x=".5" y=".5" width="{:.0}" height="{:.0}" rx="8"/>"#,
                width - 1.0,
                height - 1.0
            ),
        )
    } else {
        ("", String::new(), String::new())
    };
    format!(
        r#"<svg{space} class="chart {name}" viewBox="0 0 {width:.0} {height:.0}" font-size="{font:.1}" role="img" aria-labelledby="alpha-{name}-title alpha-{name}-desc"><title id="alpha-{name}-title">Composition against recognition along alpha</title><desc id="alpha-{name}-desc">{}</desc>{style}{ground}{body}</svg>"#,
        escape(&description(report))
    )
}

fn keys(report: &Report) -> Vec<Key> {
    let middle = chart::KEY_WIDTH / 2.0;
    let mut keys: Vec<Key> = report
        .sweeps
        .iter()
        .enumerate()
        .map(|(series, sweep)| Key {
            drawing: format!(
                r#"<g class="{}">{}{}</g>"#,
                chart::colour(series),
                chart::polyline([Some((0.0, 0.0)), Some((chart::KEY_WIDTH, 0.0))]),
                chart::mark(series, Fill::Full, (middle, 0.0), 4.0)
            ),
            words: format!("seed {}", sweep.seed),
        })
        .collect();
    let has = |points: fn(&Sweep) -> &Vec<SweepPoint>| {
        report.sweeps.iter().any(|sweep| !points(sweep).is_empty())
    };
    let drawn = |drawing: String, words: &str| Key {
        drawing: format!(r#"<g class="any">{drawing}</g>"#),
        words: words.to_owned(),
    };
    if has(|sweep| &sweep.validation) {
        keys.push(drawn(
            chart::mark(0, Fill::Full, (middle, 0.0), 3.5),
            "validation",
        ));
        keys.push(drawn(
            chart::mark(0, Fill::Full, (middle, 0.0), 4.0) + &ring((middle, 0.0)),
            "chosen alpha",
        ));
    }
    if has(|sweep| &sweep.test) {
        keys.push(drawn(
            chart::mark(0, Fill::Hollow, (middle, 0.0), 5.0),
            "test",
        ));
    }
    if pretrained_recognition(report).is_some() {
        keys.push(Key {
            drawing: format!(
                r#"<rect class="band" x="0" y="-7" width="{:.0}" height="14"/>"#,
                chart::KEY_WIDTH
            ),
            words: format!(
                "at most {} point below pretrained recognition",
                short(BAND * 100.0)
            ),
        });
    }
    keys
}

fn ring((x, y): (f64, f64)) -> String {
    format!(r#"<circle class="ring" cx="{x:.1}" cy="{y:.1}" r="8.5"/>"#)
}

/// What a label is about. Points of one role that lie close together share a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Pretrained,
    Chosen,
    Unpatched,
}

fn drawing(report: &Report, plot: Area, font: f64) -> Option<String> {
    let edge = pretrained_recognition(report).map(|recognition| recognition - BAND * 100.0);
    let across = Scale::over(
        all_points(report)
            .map(|(recognition, _)| recognition)
            .chain(edge),
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
        in_percent(point)
            .map(|(recognition, composition)| (across.at(recognition), up.at(composition)))
    };

    let mut svg = String::new();
    if let Some(edge) = edge {
        let left = across.at_clamped(edge);
        put(
            &mut svg,
            format_args!(
                r#"<rect class="band" x="{left:.1}" y="{:.1}" width="{:.1}" height="{:.1}"/>"#,
                plot.top,
                plot.right - left,
                plot.bottom - plot.top
            ),
        );
    }
    svg.push_str(&chart::frame(plot, &across, &up, font * 0.93));

    let mut labels = Labels::new(plot, font);
    let mut wanted: Vec<(Role, f64, (f64, f64))> = Vec::new();
    // Lines first, then every mark, then labels: nothing that is read lies under a line.
    for (series, sweep) in report.sweeps.iter().enumerate() {
        let line: Vec<_> = sweep.validation.iter().map(pixel).collect();
        for pair in line.windows(2) {
            if let [Some(from), Some(to)] = pair {
                labels.keep_off_line(*from, *to);
            }
        }
        put(
            &mut svg,
            format_args!(
                r#"<g class="{}">{}</g>"#,
                chart::colour(series),
                chart::polyline(line)
            ),
        );
    }
    for (series, sweep) in report.sweeps.iter().enumerate() {
        put(
            &mut svg,
            format_args!(r#"<g class="{}">"#, chart::colour(series)),
        );
        for (split, points) in [("validation", &sweep.validation), ("test", &sweep.test)] {
            for point in points {
                let Some(at) = pixel(point) else { continue };
                let (fill, radius) = if split == "test" {
                    (Fill::Hollow, 5.0)
                } else {
                    (Fill::Full, 3.5)
                };
                put(
                    &mut svg,
                    format_args!(
                        "<g><title>seed {}, alpha {}, {split}: composition {}, recognition {}</title>{}</g>",
                        sweep.seed,
                        short(point.alpha),
                        percent_sign(point.composition),
                        percent_sign(point.recognition),
                        chart::mark(series, fill, at, radius)
                    ),
                );
                labels.keep_off(at, radius);
            }
        }
        for (role, alpha) in [
            (Role::Pretrained, 0.0),
            (Role::Chosen, sweep.chosen),
            (Role::Unpatched, 1.0),
        ] {
            if let Some(at) = point_at(sweep, alpha).and_then(pixel) {
                if role == Role::Chosen {
                    svg.push_str(&ring(at));
                    labels.keep_off(at, 8.5);
                }
                wanted.push((role, alpha, at));
            }
        }
        svg.push_str("</g>");
    }
    svg.push_str(&labelled(&mut labels, &wanted, CLUSTER * font));
    Some(svg)
}

/// Labels of the points, one for all of a role that lie within `reach` of each other.
fn labelled(labels: &mut Labels, wanted: &[(Role, f64, (f64, f64))], reach: f64) -> String {
    let mut svg = String::new();
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
            svg.push_str(&labels.place(at, &label(role, &alphas)));
        }
    }
    svg
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
        return "No alpha curve in this run.".to_owned();
    }
    let mut sentences = vec![
        "Each line is one seed's fine-tuned model mixed into the pretrained one, alpha rising from 0 to 1, on the validation split."
            .to_owned(),
    ];
    for sweep in &report.sweeps {
        let stops: Vec<String> = [
            ("alpha 0", 0.0),
            ("the chosen alpha", sweep.chosen),
            ("alpha 1", 1.0),
        ]
        .into_iter()
        .filter_map(|(name, alpha)| {
            let point = point_at(sweep, alpha)?;
            let value = if name.starts_with("the") {
                format!(" {}", short(alpha))
            } else {
                String::new()
            };
            Some(format!(
                "composition {} and recognition {} at {name}{value}",
                percent_sign(point.composition),
                percent_sign(point.recognition)
            ))
        })
        .collect();
        if !stops.is_empty() {
            sentences.push(format!("Seed {}: {}.", sweep.seed, listed(&stops)));
        }
    }
    sentences.join(" ")
}

/// The figures behind the chart, folded away.
pub(super) fn table(report: &Report) -> String {
    let mut rows = String::new();
    for sweep in &report.sweeps {
        for (split, points) in [("validation", &sweep.validation), ("test", &sweep.test)] {
            for point in points {
                let is_chosen = (point.alpha - sweep.chosen).abs() < SAME_ALPHA;
                put(
                    &mut rows,
                    format_args!(
                        r#"<tr{}><td>{}</td><td>{split}</td><td class="n">{}{}</td><td class="n">{}</td><td class="n">{}</td></tr>"#,
                        if is_chosen { r#" class="ours""# } else { "" },
                        sweep.seed,
                        short(point.alpha),
                        if is_chosen { " (chosen)" } else { "" },
                        percent(point.composition),
                        percent(point.recognition)
                    ),
                );
            }
        }
    }
    format!(
        r#"<details><summary>The figures behind the curve</summary><div class="scroll" role="region" aria-label="The figures behind the curve" tabindex="0"><table class="plain"><caption><span>Accuracy in percent along alpha.</span></caption><thead><tr><th scope="col">Seed</th><th scope="col">Split</th><th scope="col" class="n">Alpha</th><th scope="col" class="n">Composition</th><th scope="col" class="n">Recognition</th></tr></thead><tbody>{rows}</tbody></table></div></details>"#
    )
}
