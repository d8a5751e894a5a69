//! A look inside: similarities of a few scenes, a map of embeddings, and contributions of words and patches.

use leptos::prelude::*;

use super::super::super::text::signed;
use super::super::super::view::{range, veil};
use super::super::state::{Inside, Lab, Matrix};
use super::super::text;
use super::card;
use super::scene::SIDE;
use crate::lab::Map;
use crate::protocol::Explained;

/// Scenes of each kind on the map.
const SCENES: u64 = 20;

/// The view.
pub fn inside(lab: Lab) -> impl IntoView {
    let which = [
        (Inside::Pretrained, text::PRETRAINED),
        (Inside::Patched, text::PATCHED),
        (Inside::Tuned, text::TUNED),
    ]
    .map(|(one, name)| {
        view! {
            <label>
                <input type="radio" name="inside" prop:checked=move || lab.inside.get() == one on:change=move |_| lab.inside.set(one) />
                <span>{name}</span>
            </label>
        }
    });
    let waiting = || view! { <p class="empty">{text::WAITING}</p> }.into_any();
    view! {
        {card("inside-title", text::INSIDE, view! {
            <div class="settings">
                <div><span class="label">{text::MODEL}</span><div class="choices">{which}</div></div>
                {super::tuned(lab)}
                {super::alpha(lab)}
                <button type="button" on:click=move |_| lab.first.update(|first| *first += SCENES)>{text::OTHER_SCENES}</button>
            </div>
        })}
        <div class="halves">
            {card("matrix-title", text::MATRIX, move || {
                lab.matrix.get().map_or_else(waiting, |found| matrix(&found).into_any())
            })}
            {card("map-title", text::MAP, move || {
                lab.map.get().map_or_else(waiting, |found| map(&found).into_any())
            })}
        </div>
        {card("explained-title", text::EXPLAINED, move || {
            lab.explained.get().map_or_else(waiting, |(found, picture)| explained(&found, picture).into_any())
        })}
    }
}

fn matrix(found: &Matrix) -> impl IntoView + use<> {
    /// A cell's side, and the pictures' width.
    const CELL: f64 = 26.0;
    const PICTURE: f64 = 30.0;
    let rows = found.pictures.len();
    let columns = found.texts.len();
    let (low, high) = range(&found.similarities);
    let spread = (high - low).max(f32::EPSILON);
    let mut told = 0;
    let cells: Vec<_> = found
        .similarities
        .iter()
        .enumerate()
        .map(|(at, similarity)| {
            let (row, column) = (at / columns.max(1), at % columns.max(1));
            let right = row == column;
            let own = found.similarities.get(row * columns + row).copied().unwrap_or_default();
            let is_negative = column == row + rows;
            if is_negative && own > *similarity {
                told += 1;
            }
            let class = match (right, is_negative) {
                (true, _) => "cell right",
                (_, true) if *similarity >= own => "cell missed",
                (_, true) => "cell hard",
                _ => "cell",
            };
            // A gap separates captions and negatives.
            let gap = if column >= rows { 8.0 } else { 0.0 };
            let strength = f64::from((similarity - low) / spread);
            view! {
                <rect
                    class=class
                    x=PICTURE + 4.0 + gap + column as f64 * CELL
                    y=row as f64 * CELL
                    width=CELL - 2.0
                    height=CELL - 2.0
                    fill-opacity=format!("{:.2}", 0.06 + 0.94 * strength)
                >
                    <title>{format!("{}: {similarity:.3}", found.texts.get(column).cloned().unwrap_or_default())}</title>
                </rect>
            }
        })
        .collect();
    let pictures: Vec<_> = found
        .pictures
        .iter()
        .enumerate()
        .map(|(row, url)| {
            view! { <image href=url.clone() x="0" y=row as f64 * CELL width=CELL - 2.0 height=CELL - 2.0 /> }
        })
        .collect();
    let width = PICTURE + 12.0 + columns as f64 * CELL;
    let height = rows as f64 * CELL + 14.0;
    let label = text::matrix_label(told, rows);
    let names = [(text::CAPTIONS, 0.0), (text::THEIR_NEGATIVES, rows as f64 * CELL + 8.0)].map(
        |(name, from)| {
            view! { <text class="tick" x=PICTURE + 4.0 + from y=height - 2.0>{name}</text> }
        },
    );
    view! {
        <svg class="matrix" viewBox=format!("0 0 {width} {height}") role="img" aria-label=label.clone()>
            {pictures}
            {cells}
            {names}
        </svg>
        <p>{label}</p>
        <p class="quiet">{text::MATRIX_NOTE}</p>
    }
}

fn map(found: &Map) -> impl IntoView + use<> {
    const AIR: f32 = 4.0;
    let all = || found.pairs.iter().flatten();
    let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    for place in all() {
        for axis in 0..2 {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis]);
        }
    }
    // One scale for both axes preserves distances.
    let spread = (high[0] - low[0]).max(high[1] - low[1]).max(f32::EPSILON);
    let scale = (SIDE - 2.0 * AIR) / spread;
    let height = (high[1] - low[1]) * scale + 2.0 * AIR;
    let at =
        |place: &[f32; 2]| (AIR + (place[0] - low[0]) * scale, AIR + (high[1] - place[1]) * scale);
    let drawn: Vec<_> = found
        .pairs
        .iter()
        .zip(&found.captions)
        .map(|([image, words], caption)| {
            let ((x, y), (other_x, other_y)) = (at(image), at(words));
            view! {
                <g>
                    <title>{caption.clone()}</title>
                    <line x1=x y1=y x2=other_x y2=other_y />
                    <circle class="tone-0" cx=x cy=y r="1.2" />
                    <rect class="tone-1" x=other_x - 1.0 y=other_y - 1.0 width="2" height="2" />
                </g>
            }
        })
        .collect();
    let said = text::gap(found.gap, found.explained);
    view! {
        <svg class="map" viewBox=format!("0 0 {SIDE} {height}") role="img" aria-label=said.clone()>{drawn}</svg>
        <ul class="key"><li class="tone-0">{text::PICTURES}</li><li class="tone-1">{text::CAPTIONS}</li></ul>
        <p>{said}</p>
        <p class="quiet">{text::MAP_NOTE}</p>
    }
}

fn explained(found: &Explained, picture: Option<String>) -> impl IntoView + use<> {
    let side = f64::from(SIDE);
    let veil = veil(&found.patches, found.side, [0.0, 0.0, side, side]);
    let largest = found.words.iter().map(|(_, by)| by.abs()).fold(f32::EPSILON, f32::max);
    let words: Vec<_> = found
        .words
        .iter()
        .map(|(word, by)| {
            let width = f64::from(by.abs() / largest) * 50.0;
            let class = if *by < 0.0 { "less" } else { "more" };
            view! {
                <li>
                    <span>{word.clone()}</span>
                    <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                        <rect class=class x=if *by < 0.0 { 50.0 - width } else { 50.0 } width=width height="10" />
                        <line x1="50" x2="50" y1="0" y2="10" />
                    </svg>
                    <span class="amount">{signed(*by)}</span>
                </li>
            }
        })
        .collect();
    view! {
        <div class="explained">
            <svg class="scene" viewBox=format!("0 0 {SIDE} {SIDE}") role="img" aria-label=text::HEAT>
                <image href=picture width=SIDE height=SIDE />
                <g class="heat">{veil}</g>
            </svg>
            <ol class="word-bars">{words}</ol>
        </div>
        <p class="quiet">{text::EXPLAINED_NOTE}</p>
    }
}
