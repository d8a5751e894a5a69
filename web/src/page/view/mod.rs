//! What's seen.

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

/// The whole page.
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
            <footer class="quiet">
                <a href="?bench">{text::BENCH_LINK}</a>
            </footer>
        </div>
    }
}

pub use bench::bench;
pub use pictures::notices;

/// How the engine is, and a way to start it again once it has failed.
pub fn status(
    status: RwSignal<Status>,
    retry: impl Fn() + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let line = move || match status.get() {
        Status::Choosing => text::CHOOSING.to_owned(),
        Status::Starting { gpu } => text::starting(gpu),
        Status::Runs { line } => line,
        Status::Failed { reason } => text::failed(&reason),
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
            <Show when=failed>
                <button type="button" on:click=move |_| retry()>
                    {text::RETRY}
                </button>
            </Show>
        </div>
    }
}

/// Pictures are dropped and pasted anywhere.
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

/// Whether the focus has left an element for another that isn't in it.
fn left(event: &web_sys::FocusEvent) -> bool {
    let inside = event.current_target().and_then(|it| it.dyn_into::<HtmlElement>().ok());
    let next = event.related_target().and_then(|it| it.dyn_into::<web_sys::Node>().ok());
    !inside.is_some_and(|inside| inside.contains(next.as_ref()) && next.is_some())
}
