//! Shared parts of the charts: scales, marks, and labels without overlaps.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::text::{fixed, usable};
use crate::page::clean;

/// Colours of `chart.css`, and shapes of [`mark`].
const SERIES: usize = 7;

/// The style of every chart, for the page and for the standalone SVG.
pub(super) const CHART_CSS: &str = include_str!("chart.css");

/// Width of a letter relative to the font size: above the mean of system fonts, so that boxes are large enough.
const LETTER: f64 = 0.56;

/// Most ticks on an axis.
const MOST_TICKS: usize = 24;

/// Class of the series' colour.
pub(super) fn colour(series: usize) -> String {
    format!("s{}", series % SERIES)
}

/// A coordinate or a length, to a tenth of a pixel.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// Estimated width of a line of text.
pub(super) fn text_width(text: &str, font: f64) -> f64 {
    text.chars().map(|letter| if letter.is_ascii() { LETTER } else { 0.8 }).sum::<f64>() * font
}

/// An axis with values from `low` to `high` at pixels from `start` to `end`.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    step: f64,
}

/// The limits of an axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Least value.
    pub floor: f64,
    /// Greatest value.
    pub ceiling: f64,
    /// Least difference of its ends.
    pub least_span: f64,
}

impl Scale {
    /// An axis of all values with a margin and about `ticks` ticks; `None` without values.
    pub(super) fn over(
        values: impl IntoIterator<Item = f64>,
        limits: Limits,
        pixels: (f64, f64),
        ticks: f64,
    ) -> Option<Self> {
        let mut values = values.into_iter().filter_map(usable);
        let first = values.next()?;
        let (low, high) =
            values.fold((first, first), |(low, high), value| (low.min(value), high.max(value)));
        // Rounding would merge the ticks of a tiny span of large values.
        let span = (high - low).max(limits.least_span).max(high.abs().max(low.abs()) * 1e-6);
        let middle = (low + high) / 2.0;
        let reach = span * 0.56;
        let mut low = (middle - reach).max(limits.floor.min(low));
        let mut high = (middle + reach).min(limits.ceiling.max(high));
        if high - low < span {
            if low <= limits.floor {
                high = low + span;
            } else {
                low = high - span;
            }
        }
        let rough = (high - low) / ticks;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= rough * 0.999)?;
        Some(Self { low, high, start: pixels.0, end: pixels.1, step })
    }

    /// The pixel of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.start + share * (self.end - self.start)
    }

    /// The pixel of a value, or of the nearest end of the axis.
    pub(super) fn at_clamped(&self, value: f64) -> f64 {
        self.at(value.clamp(self.low, self.high))
    }

    /// Pixel and text of each tick.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 6.0) as usize;
        let first = (self.low / self.step - 1e-9).ceil();
        (0..MOST_TICKS)
            .map(|index| (first + index as f64) * self.step)
            .take_while(|value| *value <= self.high + self.step * 1e-9)
            .map(|value| (self.at(value), fixed(value, decimals)))
            .collect()
    }
}

/// The fill of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Full,
    Hollow,
}

/// A mark in the series' colour and shape, so that colour is never the only difference.
pub(super) fn mark(series: usize, fill: Fill, (x, y): (f64, f64), radius: f64) -> Markup {
    let class = ["full", "hollow"][fill as usize];
    // After the last colour the shapes shift by one, so that pairs of colour and shape repeat late.
    let shape = (series + series / SERIES) % SERIES;
    // Corners, turn and scale, which equalises the apparent sizes of the shapes.
    let (corners, turn, scale) = match shape {
        0 => return html! { circle class=(class) cx=(px(x)) cy=(px(y)) r=(px(radius)) {} },
        1 => (4, 0.125, 1.25),
        2 => (3, 0.0, 1.4),
        3 => (4, 0.0, 1.3),
        4 => (3, 0.5, 1.4),
        5 => (6, 0.0, 1.15),
        _ => (5, 0.5, 1.2),
    };
    let corner = |index: usize| {
        let angle = (index as f64 / corners as f64 + turn) * std::f64::consts::TAU;
        format!("{:.1} {:.1}", x + angle.sin() * radius * scale, y - angle.cos() * radius * scale)
    };
    let path = (0..corners).map(corner).collect::<Vec<_>>().join("L");
    html! { path class=(class) d={ "M" (path) "Z" } {} }
}

/// A line through points; a point that can't be plotted leaves a gap.
pub(super) fn polyline(points: impl IntoIterator<Item = Option<(f64, f64)>>) -> Markup {
    let mut path = String::new();
    let mut pen_is_down = false;
    for point in points {
        if let Some((x, y)) = point {
            path.push(if pen_is_down { 'L' } else { 'M' });
            // Writing to a String can't fail.
            let _ = write!(path, "{x:.1} {y:.1}");
        }
        pen_is_down = point.is_some();
    }
    html! { @if !path.is_empty() { path.line d=(path) {} } }
}

/// A rectangle.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Area {
    fn around(middle: (f64, f64), width: f64, height: f64) -> Self {
        Self {
            left: middle.0 - width / 2.0,
            top: middle.1 - height / 2.0,
            right: middle.0 + width / 2.0,
            bottom: middle.1 + height / 2.0,
        }
    }

    fn middle(&self) -> (f64, f64) {
        ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn holds(&self, other: &Self) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && self.right >= other.right
            && self.bottom >= other.bottom
    }

    fn contains(&self, (x, y): (f64, f64)) -> bool {
        x > self.left && x < self.right && y > self.top && y < self.bottom
    }

    fn nearest(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (x.clamp(self.left, self.right), y.clamp(self.top, self.bottom))
    }
}

/// Frame, grid and tick labels of a plot.
pub(super) fn frame(plot: Area, across: &Scale, up: &Scale, font: f64) -> Markup {
    // On a narrow axis with long numbers, only every second or third tick has a label.
    let ticks = across.ticks();
    let widest = ticks.iter().map(|(_, label)| text_width(label, font)).fold(0.0, f64::max);
    let apart = match ticks.as_slice() {
        [(first, _), (second, _), ..] => second - first,
        _ => widest + font,
    };
    let every = ((widest + font * 0.6) / apart).ceil().max(1.0) as usize;
    html! {
        @for (y, label) in up.ticks() {
            path.grid d=(format_args!("M{:.1} {y:.1}H{:.1}", plot.left, plot.right)) {}
            text.tick text-anchor="end" x=(px(plot.left - 8.0)) y=(px(y + font * 0.35)) { (label) }
        }
        @for (index, (x, label)) in ticks.iter().enumerate() {
            path.grid d=(format_args!("M{x:.1} {:.1}V{:.1}", plot.top, plot.bottom)) {}
            @if index % every == 0 {
                text.tick text-anchor="middle" x=(px(*x)) y=(px(plot.bottom + font * 1.3)) { (label) }
            }
        }
        path.axis d=(format_args!("M{0:.1} {1:.1}V{2:.1}H{3:.1}", plot.left, plot.top, plot.bottom, plot.right)) {}
    }
}

/// Places labels beside their points where they cover the least; labels never overlap.
#[derive(Debug, Default)]
pub(super) struct Labels {
    plot: Area,
    font: f64,
    taken: Vec<Area>,
    marks: Vec<Area>,
    /// Points along the lines, so close that no label fits between two.
    trail: Vec<(f64, f64)>,
    /// Points along the leaders, which labels avoid too.
    leaders: Vec<(f64, f64)>,
    texts: Vec<String>,
}

/// Cost of a leader through a label, in pixels of distance: more than the cost of any free place.
const CROSSED: f64 = 10_000.0;

/// Points from one point to another, so close that half a letter doesn't fit between two.
fn places(from: (f64, f64), to: (f64, f64), font: f64) -> impl Iterator<Item = (f64, f64)> {
    let length = (to.0 - from.0).hypot(to.1 - from.1);
    let pieces = (length / font * 2.0).ceil().max(1.0);
    (0..=pieces as usize).map(move |piece| {
        let share = piece as f64 / pieces;
        (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
    })
}

impl Labels {
    pub(super) fn new(plot: Area, font: f64) -> Self {
        Self { plot, font, ..Self::default() }
    }

    /// Makes labels avoid a mark.
    pub(super) fn keep_off(&mut self, at: (f64, f64), radius: f64) {
        let side = 2.0 * radius + 4.0;
        self.marks.push(Area::around(at, side, side));
    }

    /// Makes labels avoid a line, where there is room elsewhere.
    pub(super) fn keep_off_line(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.trail.extend(places(from, to, self.font));
    }

    /// The label as SVG, with a leader where it is away from its point; empty if there is no room.
    pub(super) fn place(&mut self, at: (f64, f64), text: &str) -> Markup {
        let (width, height) = (text_width(text, self.font), self.font * 1.25);
        let best = [9.0, 16.0, 26.0, 40.0, 58.0, 80.0, 110.0, 150.0]
            .into_iter()
            .flat_map(|distance| (0..24).map(move |turn| (distance, turn)))
            .filter_map(|(distance, turn)| {
                let (y, x) = (f64::from(turn) / 24.0 * std::f64::consts::TAU).sin_cos();
                let middle =
                    (at.0 + x * (distance + width / 2.0), at.1 + y * (distance + height / 2.0));
                let area = Area::around(middle, width, height);
                let is_free =
                    self.plot.holds(&area) && !self.taken.iter().any(|other| other.meets(&area));
                is_free.then(|| (self.cost(&area, at), area))
            })
            .min_by(|one, other| one.0.total_cmp(&other.0));
        // A repeated text is not worth a leader through another label.
        let is_said = self.texts.iter().any(|other| other == text);
        let Some((_, area)) = best.filter(|(cost, _)| !is_said || *cost < CROSSED) else {
            return Markup::default();
        };
        self.texts.push(text.to_owned());
        self.taken.push(area);
        let leader: Vec<_> = self.leader(&area, at).collect();
        let near = area.nearest(at);
        let svg = html! {
            @if !leader.is_empty() {
                path.leader d=(format_args!("M{:.1} {:.1}L{:.1} {:.1}", at.0, at.1, near.0, near.1)) {}
            }
            text.label text-anchor="middle" x=(px((area.left + area.right) / 2.0))
                y=(px((area.top + area.bottom) / 2.0 + self.font * 0.35)) { (clean(text)) }
        };
        self.leaders.extend(leader);
        svg
    }

    /// Points along the line from a point to its label; empty if they are close.
    fn leader(&self, area: &Area, at: (f64, f64)) -> impl Iterator<Item = (f64, f64)> + use<> {
        let near = area.nearest(at);
        let is_away = (near.0 - at.0).hypot(near.1 - at.1) > self.font * 1.3;
        is_away.then(|| places(at, near, self.font)).into_iter().flatten()
    }

    fn cost(&self, area: &Area, at: (f64, f64)) -> f64 {
        let near = area.nearest(at);
        let marks = self.marks.iter().filter(|mark| mark.meets(area)).count();
        // A label that almost touches another mark would be read as that point's.
        let gap = (near.0 - at.0).hypot(near.1 - at.1);
        let strangers = self
            .marks
            .iter()
            .map(Area::middle)
            .filter(|middle| (middle.0 - at.0).hypot(middle.1 - at.1) > self.font / 2.0)
            .filter(|middle| {
                let near = area.nearest(*middle);
                (near.0 - middle.0).hypot(near.1 - middle.1) < gap.max(self.font)
            })
            .count();
        let trail = self.trail.iter().filter(|place| area.contains(**place)).count();
        let is_crossed = self.leaders.iter().any(|place| area.contains(*place))
            || self
                .leader(area, at)
                .any(|place| self.taken.iter().any(|other| other.contains(place)));
        // In pixels of distance: a covered mark is worse than a far label, a covered line less so. A leader through a label is
        // the last resort.
        gap + 60.0 * marks as f64
            + 12.0 * trail as f64
            + 14.0 * strangers as f64
            + if is_crossed { CROSSED } else { 0.0 }
    }
}

/// An entry of a legend: its drawing, to the right of the origin and centred on the line, and its words.
#[derive(Debug)]
pub(super) struct Key {
    pub drawing: Markup,
    pub words: String,
}

/// Room for a key's drawing.
pub(super) const KEY_WIDTH: f64 = 26.0;

/// A series' line with a mark, for a legend.
pub(super) fn series_key(series: usize) -> Markup {
    html! {
        g class=(colour(series)) {
            (polyline([Some((0.0, 0.0)), Some((KEY_WIDTH, 0.0))]))
            (mark(series, Fill::Full, (KEY_WIDTH / 2.0, 0.0), 4.0))
        }
    }
}

/// The legend in lines of at most `width`, and its height.
pub(super) fn legend(keys: &[Key], corner: (f64, f64), width: f64, font: f64) -> (Markup, f64) {
    let line = font * 1.6;
    let (mut x, mut y) = (0.0, line / 2.0);
    let mut places = Vec::with_capacity(keys.len());
    for key in keys {
        let wide = KEY_WIDTH + 6.0 + text_width(&key.words, font);
        if x > 0.0 && x + wide > width {
            x = 0.0;
            y += line;
        }
        places.push((corner.0 + x, corner.1 + y));
        x += wide + font * 1.2;
    }
    let svg = html! {
        @for (key, (x, y)) in keys.iter().zip(places) {
            g transform=(format_args!("translate({x:.1} {y:.1})")) {
                (key.drawing)
                text.key x=(px(KEY_WIDTH + 6.0)) y=(px(font * 0.35)) { (clean(&key.words)) }
            }
        }
    };
    (svg, y + line / 2.0)
}
