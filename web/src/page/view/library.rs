//! The card of models.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::library::{self, Download};
use super::super::state::State;
use super::super::{dom, text};
use super::select;
use crate::protocol::{Found, KeptModel, Where};

pub fn models(state: State) -> impl IntoView {
    view! {
        <section class="card models" aria-labelledby="models-title">
            <h2 id="models-title">{text::MODELS}</h2>
            <p class="quiet" id="model">{move || state.model.with(|model| model.as_ref().map(text::model))}</p>
            <details>
                <summary>{text::OTHER_MODELS}</summary>
                {trouble(state)}
                {choice(state)}
                {sources(state)}
                {kept(state)}
            </details>
        </section>
    }
}

fn trouble(state: State) -> impl IntoView {
    let trouble = state.library.trouble;
    view! {
        <div role="alert">
            {move || trouble.get().map(|words| view! {
                <div class="notice" id="model-trouble">
                    <p>{words}</p>
                    <button type="button" class="plain" on:click=move |_| trouble.set(None)>{text::DISMISS}</button>
                </div>
            })}
        </div>
    }
}

/// All models that can be opened, with their names.
fn all(state: State) -> Vec<(Where, String)> {
    let kept = state.library.kept.get().models.into_iter();
    let kept = kept
        .filter(|model| model.complete)
        .map(|model| (Where::Kept(model.place.clone()), model.place));
    let disk = state.library.disk.get().into_iter();
    let disk = disk.map(|name| (Where::Disk(name.clone()), format!("{name} ({})", text::ON_DISK)));
    kept.chain(disk).collect()
}

fn choice(state: State) -> impl IntoView {
    let chosen = state.library.chosen;
    let pretrained = move || -> Vec<(Where, String)> {
        let scenes = (Where::Scenes, text::SCENES.to_owned());
        std::iter::once(scenes).chain(all(state)).collect()
    };
    let finetuned = move || -> Vec<(Option<Where>, String)> {
        let none = (None, text::NONE.to_owned());
        let others = if chosen.get().0 == Where::Scenes {
            vec![(Where::Scenes, text::SCENES_TUNED.to_owned())]
        } else {
            all(state)
        };
        let others = others.into_iter().map(|(place, name)| (Some(place), name));
        std::iter::once(none).chain(others).collect()
    };
    let set_pretrained = move |place: Where| {
        let finetuned = (place == Where::Scenes).then_some(Where::Scenes);
        chosen.set((place, finetuned));
    };
    let set_finetuned = move |place| chosen.update(|(_, finetuned)| *finetuned = place);
    let busy = move || state.library.opening.get();
    let same = move || chosen.get() == state.library.in_use.get();
    view! {
        <div class="choice">
            <label for="pretrained" class="label">{text::PRETRAINED}</label>
            {select("pretrained", pretrained, move || chosen.get().0, set_pretrained)}
            <label for="finetuned" class="label">{text::FINETUNED}</label>
            {select("finetuned", finetuned, move || chosen.get().1, set_finetuned)}
            <button
                type="button"
                id="open-models"
                disabled=move || busy() || same()
                on:click=move |_| spawn_local(library::open(state))
            >
                {move || if busy() { text::OPENING } else { text::OPEN }}
            </button>
        </div>
    }
}

fn sources(state: State) -> impl IntoView {
    let chosen = dom::chosen(move |files| library::take(state, &files));
    let typed = state.library.typed;
    let look = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        spawn_local(library::look(state));
    };
    let fetching = move || state.library.download.with(Option::is_some);
    view! {
        <h3>{text::FROM_DISK}</h3>
        <p class="quiet">{text::FROM_DISK_NOTE}</p>
        <div class="buttons">
            <input id="model-folder" type="file" prop:webkitdirectory=true hidden on:change=chosen />
            <button type="button" on:click=|_| dom::press("model-folder")>{text::CHOOSE_FOLDER}</button>
            <input id="model-files" type="file" accept=".safetensors,.json,.txt" multiple hidden on:change=chosen />
            <button type="button" on:click=|_| dom::press("model-files")>{text::CHOOSE_FILES}</button>
        </div>
        <h3>{text::FROM_WEB}</h3>
        <form class="buttons look" on:submit=look>
            <label for="place" class="quiet">{text::FROM_WEB_NOTE}</label>
            <input
                id="place"
                type="text"
                list="places"
                autocomplete="off"
                spellcheck="false"
                placeholder=text::PLACES[0]
                prop:value=move || typed.get()
                on:input=move |event| typed.set(event_target_value(&event))
            />
            <datalist id="places">
                {text::PLACES.map(|place| view! { <option value=place></option> }).collect_view()}
            </datalist>
            <button
                type="submit"
                disabled=move || typed.with(|typed| typed.trim().is_empty()) || state.library.looking.get() || fetching()
            >
                {move || if state.library.looking.get() { text::LOOKING } else { text::LOOK }}
            </button>
        </form>
        {found(state)}
        {download(state)}
    }
}

fn found(state: State) -> impl IntoView {
    move || {
        let Found { place, bytes, files } = state.library.found.get()?;
        let fetched = place.clone();
        let fetch = move |_| spawn_local(library::fetch(state, fetched.clone()));
        Some(view! {
            <div class="found" id="found">
                <p>{text::found(&place, bytes)}</p>
                <p class="quiet">{files.join(", ")}</p>
                <button type="button" id="fetch" on:click=fetch>{text::FETCH}</button>
            </div>
        })
    }
}

fn download(state: State) -> impl IntoView {
    let running = move || state.library.download.with(Option::is_some);
    let words = move || {
        let download = state.library.download.get()?;
        let Download { place, done, total, began, .. } = download;
        let left = began.zip(total).and_then(|((began, first), total)| {
            let seconds = (js_sys::Date::now() - began) / 1e3;
            let speed = (done - first.min(done)) as f64 / seconds;
            // The first second is too short for an estimate.
            (seconds > 1.0 && speed > 0.0).then(|| (total.saturating_sub(done)) as f64 / speed)
        });
        Some(text::progress(&place, done, total, left))
    };
    let part = move || {
        let download = state.library.download.get()?;
        Some((download.done as f64 / download.total? as f64).to_string())
    };
    view! {
        <Show when=running>
            <div class="download" id="download">
                <p>{words}</p>
                <progress max="1" value=part aria-label=text::DOWNLOADING></progress>
                <button type="button" on:click=move |_| spawn_local(library::stop(state))>{text::STOP}</button>
            </div>
        </Show>
    }
}

fn kept(state: State) -> impl IntoView {
    let fetching = move || state.library.download.with(Option::is_some);
    let row = move |model: KeptModel| {
        let KeptModel { place, bytes, total, complete } = model;
        let size = text::kept(bytes, total, complete);
        let (more, gone) = (place.clone(), place.clone());
        let label = format!("{} {place}", text::REMOVE);
        let go_on = (!complete).then(|| {
            view! {
                <button
                    type="button"
                    disabled=fetching
                    on:click=move |_| spawn_local(library::fetch(state, more.clone()))
                >
                    {text::GO_ON}
                </button>
            }
        });
        view! {
            <li>
                <span class="name">{place}</span>
                <span class="quiet">{size}</span>
                {go_on}
                <button
                    type="button"
                    class="plain"
                    aria-label=label
                    disabled=fetching
                    on:click=move |_| spawn_local(library::forget(state, gone.clone()))
                >
                    {text::REMOVE}
                </button>
            </li>
        }
    };
    let any = move || state.library.kept.with(|kept| !kept.models.is_empty());
    view! {
        <Show when=any>
            <h3>{text::KEPT}</h3>
            <p class="quiet">{move || state.library.kept.with(|kept| text::storage(kept.usage, kept.quota))}</p>
            <ul class="kept" id="kept">
                {move || state.library.kept.get().models.into_iter().map(row).collect_view()}
            </ul>
        </Show>
    }
}
