//! The verdict and the captions.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::state::State;
use super::super::{export, text};
use super::row::{self, add_after};
use crate::verdict::{Verdict, verdict};

/// The card of captions: verdict, settings, rows and export.
pub fn captions(state: State) -> impl IntoView {
    let said = Memo::new(move |_| verdict(&state.scored()));
    let class = move || match said.get() {
        Verdict::One { by, .. } if by > 0.0 => "verdict right",
        Verdict::Several { right, of, .. } if right == of => "verdict right",
        Verdict::One { .. } | Verdict::Several { .. } => "verdict wrong",
        _ => "verdict",
    };
    let order = order(state);
    let add = move |_| {
        let last = state.rows.with_untracked(|rows| rows.last().map(|row| row.id));
        add_after(state, last, false);
    };
    view! {
        <section class="card captions" aria-labelledby="captions-title">
            <h2 id="captions-title">{text::CAPTIONS}</h2>
            <p class=class id="verdict" aria-live="polite">{move || text::verdict(&said.get())}</p>
            {settings(state)}
            <p id="alpha-note" class="quiet alpha-note">{move || if state.is_pair() { text::ALPHA_NOTE } else { text::NOT_PAIR }}</p>
            <ol
                class="rows"
                class:best=move || state.best_first.get()
                on:focusin=move |_| state.editing.set(true)
                on:focusout=move |event| if super::left(&event) { state.editing.set(false) }
            >
                <For each=move || order.get() key=|id| *id let(id)>{row::row(state, id)}</For>
            </ol>
            <div class="buttons ends">
                <button type="button" id="add" on:click=add>{text::ADD}</button>
                <span class="export">
                    <span class="label">{text::EXPORT}</span>
                    <button type="button" on:click=move |_| export::json(state)>{text::EXPORT_JSON}</button>
                    <button type="button" on:click=move |_| spawn_local(export::png(state))>{text::EXPORT_PNG}</button>
                </span>
            </div>
        </section>
    }
}

/// The rows' order, which stays while a row has the focus.
fn order(state: State) -> Memo<Vec<u32>> {
    Memo::new(move |before: Option<&Vec<u32>>| {
        let mut rows: Vec<(u32, f32)> = state.rows.with(|rows| {
            let score = |row: &super::super::state::Row| {
                row.score.map_or(f32::NEG_INFINITY, |one| one.similarity)
            };
            rows.iter().map(|row| (row.id, score(row))).collect()
        });
        if !state.best_first.get() {
            return rows.into_iter().map(|(id, _)| id).collect();
        }
        if let (true, Some(before)) = (state.editing.get(), before) {
            let mut order: Vec<u32> = Vec::with_capacity(rows.len());
            order.extend(before.iter().filter(|id| rows.iter().any(|(row, _)| row == *id)));
            for (at, (id, _)) in rows.iter().enumerate() {
                if !order.contains(id) {
                    // A new row follows the one above it.
                    let above = at.checked_sub(1).map(|above| rows[above].0);
                    let place = order.iter().position(|one| Some(*one) == above);
                    order.insert(place.map_or(order.len(), |place| place + 1), *id);
                }
            }
            return order;
        }
        rows.sort_by(|one, other| other.1.total_cmp(&one.1));
        rows.into_iter().map(|(id, _)| id).collect()
    })
}

fn settings(state: State) -> impl IntoView {
    let choice = move |best: bool, label: &'static str| {
        view! {
            <label>
                <input
                    type="radio"
                    name="order"
                    prop:checked=move || state.best_first.get() == best
                    on:change=move |_| state.best_first.set(best)
                />
                <span>{label}</span>
            </label>
        }
    };
    let styles = text::STYLES.map(|(style, label)| view! { <option value=style>{label}</option> });
    view! {
        <div class="settings">
            <fieldset class="switch">
                <legend class="label">{text::ORDER}</legend>
                <span class="choices">{choice(false, text::IN_PLACE)} {choice(true, text::BEST_FIRST)}</span>
            </fieldset>
            <label class="style">
                <span class="label">{text::STYLE}</span>
                <select
                    id="style"
                    prop:value=move || state.style.get()
                    on:change=move |event| state.style.set(event_target_value(&event))
                >
                    {styles}
                </select>
            </label>
            {super::alpha(state.alpha, Some("alpha-note"), move || !state.is_pair())}
        </div>
    }
}
