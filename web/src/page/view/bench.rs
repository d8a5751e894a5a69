//! The page `?bench`.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::bench::{self, Measured};
use super::super::text;

pub fn bench() -> impl IntoView {
    let rows = RwSignal::new(Vec::<Measured>::new());
    let busy = RwSignal::new(false);
    let begin = move |_| {
        rows.set(Vec::new());
        busy.set(true);
        spawn_local(async move {
            let report = move |at: usize, measured: Measured| {
                rows.update(|rows| {
                    rows.truncate(at);
                    rows.push(measured);
                });
            };
            bench::run(report).await;
            busy.set(false);
        });
    };
    let number = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), text::milliseconds);
    let row = move |measured: Measured| {
        let adapter = !measured.adapter.eq_ignore_ascii_case(&measured.backend);
        let adapter = adapter.then_some(measured.adapter);
        let note = |note: String| view! { <tr><td colspan="8" class="quiet">{note}</td></tr> };
        view! {
            <tr>
                <th scope="row">{measured.backend}<span class="quiet">{adapter}</span></th>
                {measured.times.map(|time| view! { <td>{number(time)}</td> })}
            </tr>
            {measured.note.map(note)}
        }
    };
    view! {
        <div class="page">
            <header class="top">
                <h1>{text::BENCH}</h1>
                <p class="what">{text::BENCH_WHAT}</p>
            </header>
            <main class="card">
                <div class="buttons">
                    <button type="button" id="measure" disabled=move || busy.get() on:click=begin>
                        {move || if busy.get() { text::MEASURING } else { text::MEASURE }}
                    </button>
                    <a href="./">{text::BACK}</a>
                </div>
                <Show when=move || rows.with(|rows| !rows.is_empty())>
                    <div class="table">
                        <table id="measured" data-done=move || (!busy.get()).to_string()>
                            <thead>
                                <tr>
                                    <th rowspan="2" scope="col">{text::ENGINE}</th>
                                    <th rowspan="2" scope="col">{text::FIRST_SCORE}</th>
                                    {[text::SCENE_MODEL, text::LARGE_MODEL, text::A_PHOTO]
                                        .map(|name| view! { <th colspan="2" scope="colgroup">{name}</th> })}
                                </tr>
                                <tr>
                                    {text::COLUMNS.map(|name| view! { <th scope="col">{name}</th> })}
                                </tr>
                            </thead>
                            <tbody>{move || rows.get().into_iter().map(row).collect_view()}</tbody>
                        </table>
                    </div>
                </Show>
                <p class="quiet">{text::BENCH_NOTE}</p>
            </main>
        </div>
    }
}
