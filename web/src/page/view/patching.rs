//! The chart of margins against alpha.

use leptos::prelude::*;

use super::super::state::{Point, State};
use super::super::text;

/// The chart's size and margins, in its own units.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 30.0;
/// Styles of lines.
const LOOKS: usize = 4;

/// The card with the chart.
pub fn patching(state: State) -> impl IntoView {
    let open = move |event: web_sys::Event| {
        let details: web_sys::Element = event_target(&event);
        state.charted.set(details.has_attribute("open"));
    };
    view! {
        <section class="card">
            <details on:toggle=open>
                <summary>{text::CHART}</summary>
                <p class="quiet">{text::CHART_NOTE}</p>
                {chart(state)}
            </details>
        </section>
    }
}

fn x(alpha: f64) -> f64 {
    LEFT + alpha * (WIDTH - LEFT - RIGHT)
}

/// A range that includes all margins and zero.
fn scale(curve: &[Point]) -> (f64, f64) {
    let all = curve.iter().flat_map(|point| &point.margins);
    let (low, high) = all.fold((0.0f64, 0.0f64), |(low, high), (_, by)| {
        (low.min(f64::from(*by)), high.max(f64::from(*by)))
    });
    let air = ((high - low) * 0.1).max(0.01);
    (low - air, high + air)
}

fn chart(state: State) -> impl IntoView {
    move || {
        let curve = state.curve.get();
        if curve.is_empty() {
            return view! { <p class="empty">{text::CHART_EMPTY}</p> }.into_any();
        }
        let (low, high) = scale(&curve);
        let y = move |by: f64| TOP + (high - by) / (high - low) * (HEIGHT - TOP - BOTTOM);
        let mut rows: Vec<u32> = Vec::new();
        for (row, _) in curve.iter().flat_map(|point| &point.margins) {
            if !rows.contains(row) {
                rows.push(*row);
            }
        }
        let caption = |row: u32| {
            state.rows.with_untracked(|rows| {
                let found = rows.iter().find(|one| one.id == row);
                found.map(|row| row.text.clone()).unwrap_or_default()
            })
        };
        let lines = rows.iter().enumerate().map(|(at, row)| {
            let of_row = |point: &Point| {
                let by = point.margins.iter().find(|(one, _)| one == row)?.1;
                Some((point.alpha, by))
            };
            let points = curve.iter().filter_map(of_row);
            let (places, titles): (Vec<_>, Vec<_>) = points
                .map(|(alpha, by)| ((x(alpha), y(f64::from(by))), text::chart(alpha, by)))
                .unzip();
            let class = format!("line look-{}", at % LOOKS);
            super::line(class, text::curve_of(&caption(*row)), &places, Some(("3.5", titles)))
        });
        let lines = lines.collect_view();
        let legend = rows.iter().enumerate().map(
            |(at, row)| view! { <li class=format!("look-{}", at % LOOKS)>{caption(*row)}</li> },
        );
        let legend =
            (rows.len() > 1).then(|| view! { <ul class="legend">{legend.collect_view()}</ul> });
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|alpha: f64| {
            view! { <text class="tick" x=x(alpha) y=HEIGHT - 10.0 text-anchor="middle">{alpha.to_string()}</text> }
        });
        let marks = [low, 0.0, high]
            .into_iter()
            // Skip labels that would overlap.
            .filter(|by| *by == 0.0 || (y(*by) - y(0.0)).abs() > 16.0)
            .map(|by| {
                view! {
                    <text class="tick" x=LEFT - 8.0 y=y(by) + 4.0 text-anchor="end">{text::signed(by as f32)}</text>
                }
            });
        let marks = marks.collect_view();
        let told: Vec<String> = curve
            .iter()
            .filter_map(|point| Some(text::chart(point.alpha, point.margins.first()?.1)))
            .collect();
        let now = move || x(state.alpha.get());
        view! {
            <svg class="chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=told.join("; ")>
                <line class="zero" x1=LEFT x2=WIDTH - RIGHT y1=y(0.0) y2=y(0.0) />
                <line class="now" x1=now x2=now y1=TOP y2=HEIGHT - BOTTOM />
                {ticks}
                {marks}
                {lines}
            </svg>
            {legend}
        }
        .into_any()
    }
}
