//! The lab: lessons, a scene editor, training runs, alpha, and a look inside.
//!
//! [`state`] is what it knows, [`view`] shows it, [`work`] keeps the engine and what's shown up to date, [`training`] owns the
//! loop of a run, [`teaching`] does what lessons ask for, [`shelf`] keeps runs from visit to visit, and [`text`] is every word.

mod shelf;
mod state;
mod teaching;
mod text;
mod training;
mod view;
mod work;

use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;

use self::state::Lab;
use super::dom;
use crate::lab::address::Place;

/// Mounts it and starts an engine.
pub fn start() {
    let Some(root) = document().get_element_by_id("page") else {
        return;
    };
    root.set_inner_html("");
    document().set_title(text::DOCUMENT);
    let hash = window().location().hash().unwrap_or_default();
    let place = Place::from_hash(&hash);
    let handle = mount_to(root.unchecked_into(), move || {
        let lab = Lab::new(&place);
        Effect::new(move || dom::keep_hash(&lab.place().to_hash()));
        // Links within the page, and a teacher's pasted one.
        let _ = window_event_listener(leptos::ev::hashchange, move |_| {
            let hash = window().location().hash().unwrap_or_default();
            let place = Place::from_hash(&hash);
            if place != untrack(|| lab.place()) {
                lab.go(&place);
            }
        });
        work::keep_up(lab);
        spawn_local(async move {
            dom::service_worker().await;
            shelf::list(lab).await;
            work::run(lab).await;
        });
        view::app(lab)
    });
    handle.forget();
}
