//! The page's views.

mod bench;
mod camera;
mod captions;
mod library;
mod patching;
mod pictures;
mod row;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use web_sys::{ClipboardEvent, DragEvent, HtmlElement};

use super::client::Status;
use super::state::State;
use super::{dom, text, work};

pub fn app(state: State) -> impl IntoView {
    let over = RwSignal::new(false);
    listen(state, over);
    view! {
        <div class="page" class:over=move || over.get()>
            <header class="top">
                <div class="titles">
                    <h1>{text::TITLE}</h1>
                    <a href=dom::page_address(&["lab"])>{text::TO_LAB}</a>
                </div>
                <p class="what">{text::WHAT}</p>
                {status(state.engine.status, move || spawn_local(work::run(state)))}
            </header>
            <main class="columns">
                {pictures::pictures(state)}
                <div class="column">
                    {captions::captions(state)}
                    {patching::patching(state)}
                    {library::models(state)}
                </div>
            </main>
            <footer class="quiet"><a href="?bench">{text::BENCH_LINK}</a></footer>
        </div>
    }
}

pub use bench::bench;
pub use pictures::{notices, veil};

/// The engine's status, and a button to retry after its failure.
pub fn status(
    status: RwSignal<Status>,
    retry: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let line = move || match status.get() {
        Status::Choosing => text::CHOOSING.to_owned(),
        Status::Starting { gpu } => text::starting(gpu),
        Status::Runs { line } => line,
        Status::Failed { reason } => text::FAILED.to_owned() + &reason,
    };
    let class = move || match status.get() {
        Status::Choosing | Status::Starting { .. } => "lamp waits",
        Status::Runs { .. } => "lamp runs",
        Status::Failed { .. } => "lamp failed",
    };
    let failed = move || matches!(status.get(), Status::Failed { .. });
    view! {
        <div class="engine">
            <p class="status" role="status" id="engine">
                <span class=class aria-hidden="true"></span>
                <span>{line}</span>
            </p>
            <Show when=failed><button type="button" on:click=move |_| retry()>{text::RETRY}</button></Show>
        </div>
    }
}

/// The slider of alpha; `note` is the id of its description.
pub fn alpha(
    alpha: RwSignal<f64>,
    note: Option<&'static str>,
    off: impl Fn() -> bool + Send + Sync + 'static,
) -> impl IntoView {
    let slide = move |event| {
        if let Ok(value) = event_target_value(&event).parse::<f64>() {
            alpha.set(value.clamp(0.0, 1.0));
        }
    };
    view! {
        <div class="alpha">
            <label for="alpha" class="label">{text::ALPHA}</label>
            <input
                id="alpha"
                type="range"
                min="0"
                max="1"
                step="0.05"
                aria-describedby=note
                disabled=off
                prop:value=move || alpha.get().to_string()
                on:input=slide
            />
            <output for="alpha">{move || format!("{:.2}", alpha.get())}</output>
        </div>
    }
}

/// A choice among named values; options are identified by their index.
pub fn select<T: PartialEq + 'static>(
    id: &'static str,
    all: impl Fn() -> Vec<(T, String)> + Copy + Send + Sync + 'static,
    now: impl Fn() -> T + Send + Sync + 'static,
    set: impl Fn(T) + 'static,
) -> impl IntoView {
    let options = move || {
        let now = now();
        let option = |(at, (value, name)): (usize, (T, String))| view! { <option value=at.to_string() selected=value == now>{name}</option> };
        all().into_iter().enumerate().map(option).collect_view()
    };
    let change = move |event| {
        let at: Option<usize> = event_target_value(&event).parse().ok();
        if let Some((value, _)) = at.and_then(|at| all().into_iter().nth(at)) {
            set(value);
        }
    };
    view! { <select id=id on:change=change>{options}</select> }
}

/// A chart's line through points in the chart's units. With a radius and titles, each point has a dot with its title.
pub fn line(
    class: String,
    name: String,
    points: &[(f64, f64)],
    dots: Option<(&'static str, Vec<String>)>,
) -> impl IntoView + use<> {
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let dots = dots.map(|(radius, titles)| {
        let dot = |(place, title): (&(f64, f64), String)| view! { <circle cx=place.0 cy=place.1 r=radius><title>{title}</title></circle> };
        points.iter().zip(titles).map(dot).collect_view()
    });
    view! {
        <g class=class>
            <title>{name}</title>
            <polyline points=path.join(" ") />
            {dots}
        </g>
    }
}

/// The smallest and the largest value.
pub fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
        (low.min(*value), high.max(*value))
    })
}

/// Accepts pictures dropped or pasted anywhere.
fn listen(state: State, over: RwSignal<bool>) {
    let files = |event: &DragEvent| {
        let types = event.data_transfer().map(|data| data.types());
        types.is_some_and(|types| types.includes(&"Files".into(), 0))
    };
    let _ = window_event_listener(leptos::ev::dragover, move |event| {
        if files(&event) {
            event.prevent_default();
            over.set(true);
        }
    });
    let _ = window_event_listener(leptos::ev::dragleave, move |event| {
        if event.related_target().is_none() {
            over.set(false);
        }
    });
    let _ = window_event_listener(leptos::ev::drop, move |event| {
        over.set(false);
        if files(&event) {
            event.prevent_default();
            super::pictures::add_transfer(state, event.data_transfer());
        }
    });
    let _ = window_event_listener(leptos::ev::paste, move |event| {
        if let Some(paste) = event.dyn_ref::<ClipboardEvent>()
            && super::pictures::add_transfer(state, paste.clipboard_data())
        {
            paste.prevent_default();
        }
    });
}

/// Whether the focus has left an element and its descendants.
fn left(event: &web_sys::FocusEvent) -> bool {
    let inside = event.current_target().and_then(|it| it.dyn_into::<HtmlElement>().ok());
    let next = event.related_target().and_then(|it| it.dyn_into::<web_sys::Node>().ok());
    !inside.is_some_and(|inside| inside.contains(next.as_ref()) && next.is_some())
}
