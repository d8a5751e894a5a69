//! Saving the result as a file.

use leptos::prelude::*;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, CanvasRenderingContext2d, HtmlImageElement};

use super::state::{Row, State};
use super::{dom, text};
use crate::verdict::verdict;

#[derive(Debug, Serialize)]
struct Report {
    picture: Option<String>,
    model: Option<String>,
    finetuned: Option<String>,
    alpha: f64,
    verdict: String,
    captions: Vec<Caption>,
}

#[derive(Debug, Serialize)]
struct Caption {
    text: String,
    wrong: bool,
    kind: Option<String>,
    similarity: Option<f32>,
    probability: Option<f32>,
}

fn rows(state: State) -> Vec<Row> {
    let rows = state.rows.get_untracked();
    rows.into_iter().filter(|row| !row.text.trim().is_empty()).collect()
}

/// Saves the result as JSON.
pub fn json(state: State) {
    let model = state.model.get_untracked();
    let report = Report {
        picture: untrack(|| state.picture()).map(|picture| picture.name),
        model: model.as_ref().map(|model| model.name.clone()),
        finetuned: model.and_then(|model| model.finetuned),
        alpha: state.alpha.get_untracked(),
        verdict: text::verdict(&verdict(&untrack(|| state.scored()))),
        captions: rows(state)
            .into_iter()
            .map(|row| Caption {
                text: row.text,
                wrong: row.wrong,
                kind: row.made.map(|made| made.kind),
                similarity: row.score.map(|score| score.similarity),
                probability: row.score.map(|score| score.probability),
            })
            .collect(),
    };
    let json = serde_json::to_string_pretty(&report).ok();
    let blob = json.and_then(|json| dom::blob(&json.as_bytes().into(), "application/json").ok());
    if let Some(blob) = blob {
        dom::save(&blob, "clove.json");
    }
}

/// Measures of the PNG in pixels.
const WIDTH: f64 = 960.0;
const PICTURE: f64 = 320.0;
const MARGIN: f64 = 32.0;
const LINE: f64 = 22.0;

/// Saves the result as PNG: picture, verdict and scored captions.
pub async fn png(state: State) {
    // Without a canvas nothing is saved.
    let _ = try_png(state).await;
}

async fn try_png(state: State) -> Result<(), JsValue> {
    let (canvas, context) = dom::canvas(WIDTH as u32, 0)?;
    let picture = loaded(untrack(|| state.picture()).and_then(|picture| picture.url)).await;
    let left = MARGIN + PICTURE + MARGIN;
    let font = |size: u32, weight: &str| format!("{weight} {size}px system-ui, sans-serif");
    let wide = WIDTH - left - MARGIN;

    let said = text::verdict(&verdict(&untrack(|| state.scored())));
    context.set_font(&font(18, "600"));
    let title = wrapped(&context, &said, wide);
    context.set_font(&font(15, "400"));
    let rows: Vec<(Row, Vec<String>)> = rows(state)
        .into_iter()
        .map(|row| {
            let lines = wrapped(&context, &row.text, wide);
            (row, lines)
        })
        .collect();
    let lines = title.len() + rows.iter().map(|(_, lines)| lines.len() + 2).sum::<usize>() + 1;
    let height = (lines as f64 * LINE + 2.0 * MARGIN).max(PICTURE + 2.0 * MARGIN);
    // Setting a size clears the canvas and the font.
    canvas.set_height(height as u32);

    context.set_fill_style_str("#ffffff");
    context.fill_rect(0.0, 0.0, WIDTH, height);
    if let Some(picture) = picture {
        let (w, h) = (f64::from(picture.natural_width()), f64::from(picture.natural_height()));
        let scale = PICTURE / w.max(h).max(1.0);
        context.draw_image_with_html_image_element_and_dw_and_dh(
            &picture,
            MARGIN,
            MARGIN,
            w * scale,
            h * scale,
        )?;
    }
    let mut y = MARGIN + LINE * 0.8;
    context.set_fill_style_str("#1c2024");
    context.set_font(&font(18, "600"));
    for line in title {
        context.fill_text(&line, left, y)?;
        y += LINE;
    }
    y += LINE * 0.5;
    for (row, lines) in rows {
        context.set_fill_style_str(if row.wrong { "#a33a2a" } else { "#1c2024" });
        context.set_font(&font(15, "400"));
        for line in lines {
            context.fill_text(&line, left, y)?;
            y += LINE;
        }
        if let Some(score) = row.score {
            let part = f64::from(score.probability.clamp(0.0, 1.0));
            context.set_fill_style_str("#e4e7ea");
            context.fill_rect(left, y - LINE * 0.45, 300.0, 6.0);
            context.set_fill_style_str(if row.wrong { "#a33a2a" } else { "#1f6f63" });
            context.fill_rect(left, y - LINE * 0.45, 300.0 * part, 6.0);
            context.set_fill_style_str("#5b636b");
            context.set_font(&font(13, "400"));
            let numbers = format!(
                "{}   {}",
                text::probability(score.probability),
                text::similarity(score.similarity)
            );
            context.fill_text(&numbers, left + 312.0, y - 1.0)?;
        }
        y += LINE * 1.6;
    }
    let done = Closure::once_into_js(|blob: Option<Blob>| {
        if let Some(blob) = blob {
            dom::save(&blob, "clove.png");
        }
    });
    canvas.to_blob(done.unchecked_ref())
}

async fn loaded(url: Option<String>) -> Option<HtmlImageElement> {
    let image = HtmlImageElement::new().ok()?;
    image.set_src(&url?);
    JsFuture::from(image.decode()).await.ok()?;
    Some(image)
}

/// A text in lines of this width.
fn wrapped(context: &CanvasRenderingContext2d, text: &str, wide: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        let fits = context.measure_text(&longer).is_ok_and(|size| size.width() <= wide);
        if fits || line.is_empty() {
            *line = longer;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
