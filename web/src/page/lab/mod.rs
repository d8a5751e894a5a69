//! The lab: lessons, a scene editor, training runs, alpha, and a look inside.
//!
//! [`state`] holds the state, [`view`] shows it, [`work`] keeps the engine running and the views up to date, [`training`] is the
//! training loop, [`teaching`] does the work of lessons, [`shelf`] stores runs across visits, and [`text`] has all texts.

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

/// Mounts the lab and starts an engine.
pub fn start() {
    let Some(root) = document().get_element_by_id("page") else {
        return;
    };
    root.set_inner_html("");
    document().set_title(text::DOCUMENT);
    let of_address = || Place::from_hash(&window().location().hash().unwrap_or_default());
    let place = of_address();
    let handle = mount_to(root.unchecked_into(), move || {
        let lab = Lab::new(&place);
        Effect::new(move || dom::keep_hash(&lab.place().to_hash()));
        // Links within the page, and pasted addresses.
        let _ = window_event_listener(leptos::ev::hashchange, move |_| {
            let place = of_address();
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
