//! The page.
//!
//! [`state`] holds the state, [`view`] shows it, [`client`] keeps an engine running and asks it, [`work`] keeps results up to
//! date, and [`text`] has all texts.

mod assets;
mod bench;
mod choice;
mod client;
mod dom;
mod engine;
mod export;
pub mod lab;
mod library;
mod negatives;
mod pictures;
mod state;
mod text;
mod view;
mod work;

use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;

use self::state::State;
use crate::address::Kept;

/// Mounts the page and starts an engine.
pub fn start() {
    let Some(root) = document().get_element_by_id("page") else {
        return;
    };
    let hash = window().location().hash().unwrap_or_default();
    let kept = Kept::from_hash(&hash);
    root.set_inner_html("");
    if dom::parameter("bench").is_some() {
        mount_to(root.unchecked_into(), view::bench).forget();
        return;
    }
    let handle = mount_to(root.unchecked_into(), move || {
        let state = State::new(&kept);
        if kept.sample.is_some() || kept.captions.is_empty() {
            pictures::add_sample(state, kept.sample.unwrap_or(state::SAMPLES[0]));
        }
        Effect::new(move || dom::keep_hash(&state.kept().to_hash()));
        work::keep_up(state);
        spawn_local(async move {
            dom::service_worker().await;
            work::run(state).await;
        });
        view::app(state)
    });
    handle.forget();
}
