//! The lab's views.

mod chart;
mod draw;
mod inside;
mod lessons;
mod patch;
mod scene;
mod train;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::dom;
use super::super::view::{notices, select, status};
use super::state::Lab;
use super::{text, work};
use crate::lab::Of;
use crate::lab::address::View;

pub fn app(lab: Lab) -> impl IntoView {
    let retry = move || spawn_local(work::run(lab));
    let seen = move || match lab.view.get() {
        View::Lessons => lessons::lessons(lab).into_any(),
        View::Draw => draw::draw(lab).into_any(),
        View::Train => train::train(lab).into_any(),
        View::Patch => patch::patch(lab).into_any(),
        View::Inside => inside::inside(lab).into_any(),
    };
    view! {
        <div class="page lab">
            <header class="top">
                <div class="titles">
                    <h1>{text::TITLE}</h1>
                    <a href=dom::page_address(&[])>{text::TO_SCORING}</a>
                </div>
                <p class="what">{text::WHAT}</p>
                {status(lab.engine.status, retry)}
                {tabs(lab)}
            </header>
            {notices(lab.engine.notices)}
            <main class="lab-main">{seen}</main>
        </div>
    }
}

/// A card with a heading of this id.
fn card(id: &'static str, title: &'static str, content: impl IntoView) -> impl IntoView {
    view! {
        <section class="card" aria-labelledby=id>
            <h2 id=id>{title}</h2>
            {content}
        </section>
    }
}

fn tabs(lab: Lab) -> impl IntoView {
    let tab = move |view: View| {
        let click = move |event: web_sys::MouseEvent| {
            event.prevent_default();
            lab.view.set(view);
            if view == View::Lessons {
                lab.lesson.set(None);
            }
        };
        let current = move || (lab.view.get() == view).then_some("page");
        view! {
            <a href=format!("#v={}", view.slug()) aria-current=current on:click=click>{text::tab(view)}</a>
        }
    };
    view! { <nav class="tabs" aria-label=text::TABS>{View::ALL.map(tab)}</nav> }
}

/// The choice of the fine-tuned model.
fn tuned(lab: Lab) -> impl IntoView {
    // Names only: losses change at every step.
    let names = Memo::new(move |_| {
        lab.runs.with(|runs| {
            let shipped = (Of::Shipped, text::SHIPPED.to_owned());
            let names = runs.iter().map(|run| (Of::Held(run.id), run.label()));
            std::iter::once(shipped).chain(names).collect::<Vec<_>>()
        })
    });
    view! {
        <label class="setting">
            <span class="label">{text::TUNED_MODEL}</span>
            {select("tuned", move || names.get(), move || lab.tuned.get(), move |of| lab.tuned.set(of))}
        </label>
    }
}

/// The slider of alpha.
fn alpha(lab: Lab) -> impl IntoView {
    super::super::view::alpha(lab.alpha, None, || false)
}
