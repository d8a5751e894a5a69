//! A row: a caption with its scores and actions.

use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::KeyboardEvent;

use super::super::state::{Row, State};
use super::super::{dom, negatives, text};
use crate::marks::marks;

fn field(id: u32) -> String {
    format!("caption-{id}")
}

/// Adds an empty row after another and its wrong captions, and focuses it.
pub fn add_after(state: State, id: Option<u32>, wrong: bool) {
    let row = state.row("", wrong);
    let name = row.id;
    state.rows.update(|rows| {
        let at = rows.iter().position(|row| Some(row.id) == id);
        let mut place = at.map_or(rows.len(), |at| at + 1);
        // Wrong captions stay with their caption.
        while !wrong && rows.get(place).is_some_and(|row| row.wrong) {
            place += 1;
        }
        rows.insert(place, row);
    });
    dom::focus_soon(field(name));
}

/// Removes a row and focuses the one above; the last row is replaced by an empty one.
fn remove(state: State, id: u32) {
    state.pristine.set(false);
    let mut next = None;
    state.rows.update(|rows| {
        let Some(at) = rows.iter().position(|row| row.id == id) else {
            return;
        };
        let gone = rows.remove(at);
        // Hard negatives go with their caption.
        if !gone.wrong {
            while rows.get(at).is_some_and(|row| row.made.is_some()) {
                rows.remove(at);
            }
        }
        next = rows.get(at.saturating_sub(1)).map(|row| row.id);
    });
    match next {
        Some(next) => dom::focus_soon(field(next)),
        None => add_after(state, None, false),
    }
}

pub fn row(state: State, id: u32) -> impl IntoView {
    let row = Memo::new(move |_| {
        state.rows.with(|rows| {
            let found = rows.iter().find(|row| row.id == id);
            found.cloned().unwrap_or_default()
        })
    });
    let wrong = Memo::new(move |_| row.with(|row| row.wrong));
    view! {
        <li class="row" class:negative=move || wrong.get()>
            {editor(state, id, row, wrong)}
            {made(row)}
            {scores(row)}
            {words(row)}
            {move || row.get().note.map(|note| view! { <p class="note" role="status">{note}</p> })}
            {actions(state, id, row, wrong)}
        </li>
    }
}

fn editor(state: State, id: u32, row: Memo<Row>, wrong: Memo<bool>) -> impl IntoView {
    let text = Memo::new(move |_| row.with(|row| row.text.clone()));
    let label = move || {
        if wrong.get() { text::WRONG_CAPTION } else { text::CAPTION }
    };
    let input = move |event| {
        state.pristine.set(false);
        // A caption is one line, even if several are pasted.
        let text = event_target_value(&event).replace(['\r', '\n'], " ");
        state.change(id, |row| {
            row.text = text;
            row.words.clear();
            row.note = None;
            row.made = None;
        });
    };
    let key = move |event: KeyboardEvent| {
        if event.is_composing() {
            return;
        }
        match event.key().as_str() {
            "Enter" => {
                event.prevent_default();
                add_after(state, Some(id), wrong.get_untracked());
            }
            "Backspace" if text.with_untracked(String::is_empty) && !event.repeat() => {
                event.prevent_default();
                remove(state, id);
            }
            _ => (),
        }
    };
    // The same text behind the field gives the field its height and the marks.
    let behind = move || {
        let text = text.get();
        let pieces = match state.caption_of(id) {
            Some(caption) => marks(&caption, &text),
            None => vec![(text, false)],
        };
        let shown = pieces.into_iter().map(|(piece, marked)| {
            if marked {
                view! { <mark>{piece}</mark> }.into_any()
            } else {
                view! { <span>{piece}</span> }.into_any()
            }
        });
        shown.collect_view()
    };
    view! {
        <div class="field">
            <div class="behind" aria-hidden="true">{behind}" "</div>
            <textarea
                id=field(id)
                rows="1"
                spellcheck="true"
                enterkeyhint="next"
                aria-label=label
                placeholder=text::PLACEHOLDER
                prop:value=move || text.get()
                on:input=input
                on:keydown=key
            ></textarea>
        </div>
    }
}

fn made(row: Memo<Row>) -> impl IntoView {
    move || {
        row.get().made.map(|made| {
            // Shuffling changes the whole caption.
            let exchanged =
                (!made.kind.starts_with("shuffle")).then(|| format!("{} → {}", made.from, made.to));
            view! {
                <p class="made">
                    <span class="kind">{text::kind(&made.kind)}</span>
                    <span class="quiet">{exchanged}</span>
                </p>
            }
        })
    }
}

fn scores(row: Memo<Row>) -> impl IntoView {
    let score = Memo::new(move |_| row.with(|row| row.score));
    let bar = move |class: &'static str,
                    label: &'static str,
                    of: fn(f32, f32) -> f32,
                    words: fn(f32) -> String| {
        let value = move || score.get().map(|score| of(score.similarity, score.probability));
        let width = move || {
            let part = value().unwrap_or_default().clamp(0.0, 1.0);
            format!("{:.2}%", part * 100.0)
        };
        view! {
            <div class=format!("score {class}")>
                <span class="label">{label}</span>
                <span class="bar" aria-hidden="true"><span class="fill" style:width=width></span></span>
                <span class="value">{move || value().map_or_else(|| "–".to_owned(), words)}</span>
            </div>
        }
    };
    view! {
        <div class="scores" class:none=move || score.get().is_none()>
            {bar("probability", text::PROBABILITY, |_, probability| probability, text::probability)}
            {bar("similarity", text::SIMILARITY, |similarity, _| similarity, text::similarity)}
        </div>
    }
}

fn words(row: Memo<Row>) -> impl IntoView {
    let words = Memo::new(move |_| {
        row.with(|row| if row.explained { row.words.clone() } else { Vec::new() })
    });
    move || {
        let words = words.get();
        if words.is_empty() {
            return None;
        }
        let largest = words.iter().map(|(_, adds)| adds.abs()).fold(1e-6, f32::max);
        let shaded = words.into_iter().map(|(word, adds)| {
            let strength = format!("{:.0}%", adds.abs() / largest * 45.0);
            let class = if adds < 0.0 { "word less" } else { "word more" };
            view! {
                <li class=class style=("--strength", strength)>
                    <span>{word}</span>
                    <small>{text::signed(adds)}</small>
                </li>
            }
        });
        Some(view! {
            <div class="words">
                <p class="quiet">{text::WORDS_NOTE}</p>
                <ul>{shaded.collect_view()}</ul>
            </div>
        })
    }
}

/// A button that is on or off, with the words for off and on.
fn switch(
    on: Memo<bool>,
    disabled: impl Fn() -> bool + Send + Sync + 'static,
    words: [&'static str; 2],
    click: impl Fn() + 'static,
) -> impl IntoView {
    let pressed = move || on.get().to_string();
    view! {
        <button type="button" class="plain" disabled=disabled aria-pressed=pressed on:click=move |_| click()>
            {move || words[usize::from(on.get())]}
        </button>
    }
}

fn actions(state: State, id: u32, row: Memo<Row>, wrong: Memo<bool>) -> impl IntoView {
    let blank = Memo::new(move |_| row.with(|row| row.text.trim().is_empty()));
    let explained = Memo::new(move |_| row.with(|row| row.explained));
    let heated = Memo::new(move |_| row.with(|row| row.heated));
    let made = Memo::new(move |_| row.with(|row| row.made_of > 0));
    let off = move || blank.get() || state.epoch.get() == 0;
    let make = move || {
        (!wrong.get()).then(|| {
            view! {
                <button type="button" class="make" disabled=off on:click=move |_| spawn_local(negatives::make(state, id))>
                    {move || if made.get() { text::AGAIN } else { text::MAKE }}
                </button>
            }
        })
    };
    let toggle = move |_| {
        state.pristine.set(false);
        state.change(id, |row| {
            row.wrong = !row.wrong;
            row.made = None;
        });
    };
    // A picture shows the patches of one caption at a time.
    let heat = move || {
        let on = !heated.get_untracked();
        state.rows.update(|rows| {
            for row in rows {
                row.heated = on && row.id == id;
            }
        });
    };
    let explain = move || state.change(id, |row| row.explained = !row.explained);
    view! {
        <div class="actions">
            {make}
            {switch(explained, off, [text::WHICH_WORDS, text::HIDE_WORDS], explain)}
            {switch(heated, off, [text::WHERE, text::HIDE_WHERE], heat)}
            <button type="button" class="plain" on:click=toggle>
                {move || if wrong.get() { text::MARK_RIGHT } else { text::MARK_WRONG }}
            </button>
            <button type="button" class="plain" on:click=move |_| remove(state, id)>{text::REMOVE}</button>
        </div>
    }
}
