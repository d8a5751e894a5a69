//! The pictures, and adding more.

use leptos::prelude::*;

use super::super::state::{Heat, Picture, SAMPLES, State};
use super::super::{dom, pictures, text};
use super::{camera, range};

/// The veil's largest opacity.
const VEIL: f64 = 0.85;

/// The column of pictures.
pub fn pictures(state: State) -> impl IntoView {
    view! {
        <section class="card pictures" aria-labelledby="pictures-title">
            <h2 id="pictures-title">{text::PICTURES}</h2>
            {notices(state.engine.notices)}
            {stage(state)}
            {strip(state)}
            {sources(state)}
            <Show when=move || state.camera.get()>{camera::lens(state)}</Show>
        </section>
    }
}

/// Notices, which can be dismissed.
pub fn notices(notices: RwSignal<Vec<String>>) -> impl IntoView {
    let shown = move || notices.with(|notices| !notices.is_empty());
    view! {
        <div role="alert">
            <Show when=shown>
                <div class="notice">
                    <ul>
                        {move || {
                            let all = notices.get();
                            all.into_iter().map(|words| view! { <li>{words}</li> }).collect_view()
                        }}
                    </ul>
                    <button type="button" class="plain" on:click=move |_| notices.set(Vec::new())>
                        {text::DISMISS}
                    </button>
                </div>
            </Show>
        </div>
    }
}

fn stage(state: State) -> impl IntoView {
    let shown = Memo::new(move |_| state.picture());
    let picture = move || match shown.get() {
        None => view! { <p class="empty">{text::NO_PICTURE}</p> }.into_any(),
        Some(Picture { url: None, .. }) => {
            view! { <p class="empty">{text::READING}</p> }.into_any()
        }
        Some(Picture { url: Some(url), name, .. }) => {
            view! { <img class="shown" src=url alt=name /> }.into_any()
        }
    };
    let about = move || {
        shown.get().map(|picture| {
            let size = picture.size.map(|(width, height)| format!("{width} × {height}"));
            let id = picture.id;
            view! {
                <figcaption>
                    <span class="name">{picture.name}</span>
                    <span class="quiet">{size}</span>
                    <button type="button" class="plain" on:click=move |_| pictures::remove(state, id)>
                        {text::REMOVE_PICTURE}
                    </button>
                </figcaption>
            }
        })
    };
    // Only if they differ from the current captions.
    let captions = Memo::new(move |_| {
        let captions = shown.get()?.captions;
        let there = state.rows.with(|rows| {
            let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
            captions.iter().all(|(text, _)| texts.contains(&text.as_str()))
        });
        (!captions.is_empty() && !there).then_some(captions)
    });
    let use_them = move || {
        captions.get().map(|captions| {
            let click = move |_| {
                state.set_captions(&captions);
                state.pristine.set(true);
            };
            view! { <button type="button" on:click=click>{text::USE_CAPTION}</button> }
        })
    };
    view! {
        <figure class="stage">
            <div class="frame">{picture}{heat(state)}</div>
            {move || heat_of(state).map(|_| view! { <p class="quiet" id="heat-note">{text::HEAT_NOTE}</p> })}
            {about}
        </figure>
        {use_them}
    }
}

/// The similarity by patch of the picture on display, and its size.
fn heat_of(state: State) -> Option<(Heat, (u32, u32))> {
    let picture = state.picture()?;
    let heat = state.heat.get().filter(|heat| heat.picture == picture.id)?;
    Some((heat, picture.size?))
}

fn heat(state: State) -> impl IntoView {
    move || {
        let (heat, (width, height)) = heat_of(state)?;
        let [left, top, wide, high] = heat.seen;
        let (x, y) = (f64::from(width), f64::from(height));
        let squares = veil(&heat.similarities, heat.side, [left * x, top * y, wide * x, high * y]);
        let label = text::heat_of(&heat.caption);
        Some(view! {
            <svg class="heat" viewBox=format!("0 0 {width} {height}") role="img" aria-label=label>{squares}</svg>
        })
    }
}

/// A veil over an area (left, top, width, height): a square per patch, thinnest where the caption fits best.
pub fn veil(
    similarities: &[f32],
    side: u32,
    [left, top, width, height]: [f64; 4],
) -> impl IntoView + use<> {
    let (low, high) = range(similarities);
    let spread = (high - low).max(f32::EPSILON);
    let side = side.max(1);
    let (across, down) = (width / f64::from(side), height / f64::from(side));
    let square = |(at, similarity): (usize, &f32)| {
        let (row, column) = (at as u32 / side, at as u32 % side);
        let strength = f64::from((high - similarity) / spread);
        view! {
            <rect
                x=left + f64::from(column) * across
                y=top + f64::from(row) * down
                width=across
                height=down
                fill-opacity=format!("{:.2}", strength * VEIL)
            >
                <title>{text::similarity(*similarity)}</title>
            </rect>
        }
    };
    similarities.iter().enumerate().map(square).collect_view()
}

fn strip(state: State) -> impl IntoView {
    let several = move || state.pictures.with(|pictures| pictures.len() > 1);
    view! {
        <Show when=several>
            <ul class="strip">
                <For each=move || state.pictures.get() key=|one| (one.id, one.url.clone()) let(picture)>
                    {
                        let id = picture.id;
                        let current = move || (state.selected.get() == Some(id)).to_string();
                        view! {
                            <li>
                                <button
                                    type="button"
                                    class="thumb"
                                    aria-pressed=current
                                    title=picture.name.clone()
                                    on:click=move |_| pictures::select(state, id)
                                >
                                    <img src=picture.url alt=picture.name.clone() loading="lazy" />
                                </button>
                            </li>
                        }
                    }
                </For>
            </ul>
        </Show>
    }
}

fn sources(state: State) -> impl IntoView {
    let chosen = dom::chosen(move |files| pictures::add_files(state, &files));
    let sample = move |(place, number): (usize, u32)| {
        let current = move || {
            let shown = state.picture().and_then(|picture| picture.sample);
            (shown == Some(number)).to_string()
        };
        view! {
            <button
                type="button"
                class="number"
                aria-label=text::sample(number)
                aria-pressed=current
                on:click=move |_| pictures::add_sample(state, number)
            >
                {place + 1}
            </button>
        }
    };
    view! {
        <p class="quiet drop">{text::DROP}</p>
        <div class="buttons">
            <input id="files" type="file" accept="image/*" multiple hidden on:change=chosen />
            <button type="button" on:click=|_| dom::press("files")>{text::CHOOSE}</button>
            <button type="button" on:click=move |_| state.camera.set(true)>{text::CAMERA}</button>
        </div>
        <div class="samples" role="group" aria-labelledby="samples-title">
            <span id="samples-title" class="label">{text::SAMPLES}</span>
            {SAMPLES.into_iter().enumerate().map(sample).collect_view()}
        </div>
    }
}
