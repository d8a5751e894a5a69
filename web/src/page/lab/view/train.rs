//! Training runs: settings, the run on display, and the table of all runs.

use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::HtmlInputElement;

use super::super::super::dom;
use super::super::super::view::select;
use super::super::state::{Lab, Phase, Run};
use super::super::{shelf, text, training};
use super::card;
use super::chart::{Axis, Line, bars, chart};
use crate::lab::settings::{Loss, Negatives, Settings, Texts, limits};
use crate::lab::{Measured, Of, Suite, Weights};
use crate::protocol::{Answer, Ask};

/// The view.
pub fn train(lab: Lab) -> impl IntoView {
    view! {
        <div class="columns">
            {card("settings-title", text::NEW_RUN, form(lab))}
            <div class="column">
                {card("run-title", text::RUN, shown(lab))}
                {card("runs-title", text::RUNS, (table(lab), files(lab)))}
            </div>
        </div>
    }
}

/// A setting with a few values.
fn choice<T: Copy + PartialEq + Send + Sync + 'static>(
    lab: Lab,
    name: &'static str,
    label: &'static str,
    all: &'static [(T, &'static str)],
    get: fn(&Settings) -> T,
    set: fn(&mut Settings, T),
) -> impl IntoView {
    let all =
        move || all.iter().map(|(one, words)| (*one, (*words).to_owned())).collect::<Vec<_>>();
    let change = move |one| {
        lab.settings.update(|settings| {
            set(settings, one);
            *settings = settings.sound();
        });
    };
    view! {
        <label class="setting">
            <span class="label">{label}</span>
            {select(name, all, move || lab.settings.with(get), change)}
        </label>
    }
}

/// A numeric setting; leaving the field corrects invalid values.
fn number(
    lab: Lab,
    name: &'static str,
    label: &'static str,
    get: fn(&Settings) -> String,
    set: fn(&mut Settings, f64),
) -> impl IntoView {
    let change = move |event| {
        let value: Option<f64> = event_target_value(&event).trim().parse().ok();
        lab.settings.update(|settings| {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                set(settings, value);
            }
            *settings = settings.sound();
        });
        // Also corrects the field if the setting is unchanged.
        let field: HtmlInputElement = event_target(&event);
        field.set_value(&lab.settings.with_untracked(get));
    };
    view! {
        <label class="setting">
            <span class="label">{label}</span>
            <input type="text" inputmode="decimal" name=name prop:value=move || lab.settings.with(get) on:change=change />
        </label>
    }
}

fn form(lab: Lab) -> impl IntoView {
    let start = move |_| {
        let settings = lab.settings.get_untracked();
        spawn_local(async move {
            if let Some(id) = training::begin(lab, settings).await {
                training::go_on(lab, id);
            }
        });
    };
    let ready = move || lab.epoch.get() != 0;
    let pairs = move || lab.settings.with(text::pairs);
    view! {
        <div class="form">
            {choice(lab, "texts", text::TEXTS_OF, &text::TEXTS_ALL, |s| s.texts, |s, to| s.texts = to)}
            {number(lab, "scenes", text::SCENES, |s| s.scenes.to_string(), |s, to| s.scenes = to.max(0.0) as u64)}
            {choice(lab, "negatives", text::NEGATIVES, &text::NEGATIVES_ALL, |s| s.negatives, |s, to| {
                s.negatives = to;
                // Alt texts have no negatives.
                if to != Negatives::None {
                    s.texts = Texts::Captions;
                }
            })}
            {choice(lab, "loss", text::LOSS, &text::LOSSES, |s| s.loss, |s, to: Loss| s.loss = to)}
            {number(lab, "rate", text::RATE, |s| s.learning_rate.to_string(), |s, to| s.learning_rate = to)}
            {number(lab, "image-rate", text::IMAGE_RATE, |s| s.image_rate.to_string(), |s, to| s.image_rate = to)}
            {number(lab, "steps", text::STEPS, |s| s.steps.to_string(), |s, to| s.steps = to.clamp(0.0, *limits::STEPS.end() as f64) as usize)}
            {number(lab, "batch", text::BATCH, |s| s.batch.to_string(), |s, to| s.batch = to.clamp(0.0, *limits::BATCH.end() as f64) as usize)}
            {number(lab, "seed", text::SEED, |s| s.seed.to_string(), |s, to| s.seed = to.max(0.0) as u64)}
        </div>
        <p class="quiet">{pairs}</p>
        <div class="buttons">
            <button type="button" class="main" id="start" disabled=move || !ready() on:click=start>{text::START}</button>
            <button type="button" on:click=move |_| lab.settings.set(Settings::default())>{text::USUAL}</button>
        </div>
        <p class="quiet">{text::FORM_NOTE}</p>
    }
}

/// The run on display.
fn shown(lab: Lab) -> impl IntoView {
    let run = Memo::new(move |_| lab.with_run(lab.shown.get()?, Run::clone));
    move || match run.get() {
        None => view! { <p class="empty">{text::NO_RUN}</p> }.into_any(),
        Some(run) => view! {
            {head(lab, &run)}
            {buttons(lab, &run)}
            {curves(&run)}
        }
        .into_any(),
    }
}

fn head(lab: Lab, run: &Run) -> impl IntoView + use<> {
    let done = run.losses.len();
    let state = match &run.phase {
        Phase::Going if lab.hidden.get() => text::HIDDEN.to_owned(),
        Phase::Going => text::GOING.to_owned(),
        Phase::Paused => text::PAUSED.to_owned(),
        Phase::Done => text::DONE.to_owned(),
        Phase::Failed(reason) => text::FAILED.to_owned() + reason,
    };
    let is_file = run.file.is_some();
    view! {
        <p><strong>{run.label()}</strong></p>
        {(!is_file).then(|| view! {
            <p class="quiet" id="run-state" data-steps=done.to_string()>{text::progress(run, &state)}</p>
            <progress max=run.settings.steps.to_string() value=done.to_string() aria-label=text::PROGRESS></progress>
        })}
    }
}

fn buttons(lab: Lab, run: &Run) -> impl IntoView + use<> {
    let id = run.id;
    let going = run.phase == Phase::Going;
    let can_go = run.phase == Phase::Paused && run.file.is_none();
    let is_run = run.file.is_none();
    let ready = move || lab.epoch.get() != 0;
    let model = Weights::of(Of::Held(id));
    let settings = run.settings;
    let toml = move |_| {
        if let Ok(blob) = dom::blob(&settings.to_toml().as_bytes().into(), "application/toml") {
            dom::save(&blob, "lab.toml");
        }
    };
    view! {
        <div class="buttons">
            {is_run.then(|| view! {
                <button type="button" id="pause" disabled=!going on:click=move |_| training::pause(lab, id)>{text::PAUSE}</button>
                <button type="button" id="resume" disabled=move || !(can_go && ready()) on:click=move |_| training::go_on(lab, id)>{text::GO_ON}</button>
                <button type="button" id="step" disabled=move || !(can_go && ready()) on:click=move |_| training::take_turn(lab, id, 1)>{text::ONE_STEP}</button>
                <button type="button" id="stop" disabled=move || !((going || can_go) && ready()) on:click=move |_| training::stop(lab, id)>{text::STOP}</button>
            })}
            <button type="button" id="download" disabled=move || !ready() on:click=move |_| spawn_local(download(lab, model, text::file_of(id, 1.0)))>
                {text::DOWNLOAD}
            </button>
            {is_run.then(|| view! { <button type="button" id="toml" on:click=toml>{text::TOML}</button> })}
        </div>
    }
}

/// Saves a model as one file.
pub async fn download(lab: Lab, model: Weights, name: String) {
    let saved = lab.engine.asked(Ask::SaveModel { model }, None).await;
    if let Some((Answer::Bytes, Some(bytes))) = saved {
        match dom::blob(&bytes, "application/octet-stream") {
            Ok(blob) => dom::save(&blob, &name),
            Err(_) => lab.engine.notice(text::NOT_SAVED.to_owned()),
        }
    }
}

/// Loss, composition by kind, recognition.
fn curves(run: &Run) -> impl IntoView + use<> {
    if run.file.is_some() {
        return view! { <p class="quiet">{text::OPENED_NOTE}</p> }.into_any();
    }
    let steps = Axis::steps(run.settings.steps);
    let losses: Vec<(f64, f64)> = run
        .losses
        .iter()
        .enumerate()
        .map(|(at, loss)| ((at + 1) as f64, f64::from(*loss)))
        .collect();
    let highest = losses.iter().map(|(_, loss)| *loss).fold(0.0, f64::max);
    let loss = Axis {
        name: text::LOSS_CURVE,
        range: (0.0, if highest > 0.0 { highest * 1.05 } else { 1.0 }),
        write: |value| format!("{value:.1}"),
    };
    let kinds = text::KINDS.iter().enumerate().map(|(look, (kind, words))| {
        Line::over(words, look, &run.points, |measured| measured.kind(kind))
    });
    let kinds: Vec<Line> = kinds.collect();
    let recognition = [
        Line::over(text::SEEN_CLASSES, 0, &run.points, |measured| measured.seen),
        Line::over(text::UNSEEN_CLASSES, 1, &run.points, |measured| measured.unseen),
    ];
    let loss_line =
        Line { name: text::LOSS_CURVE.to_owned(), look: 0, points: losses, dots: false };
    view! {
        <div class="plots">
            {chart(text::LOSS_CURVE.to_owned(), &steps, &loss, &[loss_line], &[])}
            {chart(text::RECOGNITION.to_owned(), &steps, &Axis::share(text::RECOGNITION), &recognition, &[])}
            {chart(text::COMPOSITION.to_owned(), &steps, &Axis::share(text::COMPOSITION), &kinds, &[])}
        </div>
        <p class="quiet">{text::CURVES_NOTE}</p>
    }
    .into_any()
}

fn table(lab: Lab) -> impl IntoView {
    let rows = Memo::new(move |_| {
        let shown = lab.shown.get();
        lab.runs.with(|runs| {
            let row = |run: &Run| {
                let last = run.last();
                let share = |value: Option<f64>| {
                    value.map_or("–".to_owned(), |value| format!("{:.1}", 100.0 * value))
                };
                let cells = [
                    run.losses.len().to_string(),
                    share(last.and_then(|last| last.composition)),
                    share(last.and_then(Measured::swaps)),
                    share(last.and_then(|last| last.unseen)),
                ];
                (run.id, run.label(), cells, shown == Some(run.id), run.phase == Phase::Going)
            };
            runs.iter().map(row).collect::<Vec<_>>()
        })
    });
    let compared = Memo::new(move |_| {
        let row = |run: &Run| {
            let last = run.last()?;
            Some((run.label(), vec![last.composition, last.unseen]))
        };
        lab.runs.with(|runs| runs.iter().filter_map(row).collect::<Vec<_>>())
    });
    let bars = move || {
        let series = [text::COMPOSITION.to_owned(), text::UNSEEN_CLASSES.to_owned()];
        compared.with(|groups| (groups.len() > 1).then(|| bars(&series, groups, false)))
    };
    move || {
        if rows.with(Vec::is_empty) {
            return view! { <p class="empty">{text::NO_RUNS}</p> }.into_any();
        }
        let rows = rows.get().into_iter().map(|(id, label, cells, shown, going)| {
            let cells = cells.map(|cell| view! { <td class="number-cell">{cell}</td> });
            view! {
                <tr class:shown-run=shown>
                    <th scope="row">
                        <button type="button" class="link" aria-pressed=shown.to_string() on:click=move |_| lab.shown.set(Some(id))>{label}</button>
                    </th>
                    {cells}
                    <td><button type="button" class="plain" disabled=move || going || lab.epoch.get() == 0 on:click=move |_| spawn_local(forget(lab, id))>{text::FORGET}</button></td>
                </tr>
            }
        });
        view! {
            <div class="scroll">
                <table id="runs">
                    <thead>
                        <tr>
                            <th scope="col">{text::RUN}</th>
                            {text::COLUMNS.map(|name| view! { <th scope="col" class="number-cell">{name}</th> })}
                            <th></th>
                        </tr>
                    </thead>
                    <tbody>{rows.collect_view()}</tbody>
                </table>
            </div>
            {bars}
        }
        .into_any()
    }
}

async fn forget(lab: Lab, id: u32) {
    let Some(run) = lab.run(id) else { return };
    training::pause(lab, id);
    training::rested(lab).await;
    let _ = lab.engine.ask(Ask::Drop { held: id }, None).await;
    shelf::forget(lab, &run).await;
    if lab.tuned.get_untracked() == Of::Held(id) {
        lab.tuned.set(Of::Shipped);
    }
    lab.sweeps.update(|sweeps| sweeps.retain(|(of, _), _| *of != Of::Held(id)));
    lab.runs.update(|runs| runs.retain(|run| run.id != id));
    if lab.shown.get_untracked() == Some(id) {
        let last = lab.runs.with_untracked(|runs| runs.last().map(|run| run.id));
        lab.shown.set(last);
    }
}

fn files(lab: Lab) -> impl IntoView {
    let chosen = dom::chosen(move |files| {
        if let Some(file) = files.get(0) {
            spawn_local(async move { open(lab, &file).await });
        }
    });
    view! {
        <div class="buttons">
            <input id="model-file" type="file" accept=".safetensors" hidden on:change=chosen />
            <button type="button" disabled=move || lab.epoch.get() == 0 on:click=|_| dom::press("model-file")>{text::OPEN}</button>
        </div>
        <p class="quiet">{text::FILES_NOTE}</p>
    }
}

async fn open(lab: Lab, file: &web_sys::File) {
    let name = file.name();
    let bytes = match dom::read(file).await {
        Ok(bytes) => bytes,
        Err(reason) => return lab.engine.notice(format!("{name}: {reason}")),
    };
    let id = lab.name();
    let kept = bytes.slice(0, bytes.length());
    let ask = Ask::OpenModel { held: id, name: name.clone() };
    if lab.engine.asked(ask, Some(bytes)).await.is_none() {
        return;
    }
    lab.keep(id, kept);
    let opened = Run::new(id, shelf::key(), Settings::default());
    lab.add(Run { file: Some(name), phase: Phase::Done, ..opened });
    lab.tuned.set(Of::Held(id));
    let model = Weights::of(Of::Held(id));
    if let Ok(measured) = training::measured(lab, model, Suite::Glance).await {
        lab.change(id, |run| run.points.push((0, measured)));
    }
}
