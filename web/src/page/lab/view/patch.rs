//! Patching: a model along alpha.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::state::{Lab, Sweep};
use super::super::{teaching, text};
use super::chart::{Axis, Line, bars, chart, percent};
use super::train::download;
use crate::lab::{Of, Weights};

/// The view.
pub fn patch(lab: Lab) -> impl IntoView {
    let whole = move |_| {
        let Some(model) = untrack(|| lab.rested()) else {
            return;
        };
        lab.sweeping.set(Some(0.0));
        spawn_local(async move {
            let swept = teaching::sweep(lab, model, &|done| lab.sweeping.set(Some(done))).await;
            match swept {
                Ok(Sweep { chosen: Some(chosen), .. }) => lab.alpha.set(f64::from(chosen) / 100.0),
                Ok(_) => (),
                Err(failure) => lab.failed(failure),
            }
            lab.sweeping.set(None);
        });
    };
    let save = move |_| {
        let (of, alpha) = (lab.tuned.get_untracked(), lab.alpha.get_untracked());
        let name = match of {
            Of::Held(id) => text::file_of(id, alpha),
            Of::Pretrained | Of::Shipped => text::file_of(0, alpha),
        };
        spawn_local(download(lab, Weights { of, alpha }, name));
    };
    let idle =
        move || lab.epoch.get() != 0 && lab.sweeping.get().is_none() && lab.rested().is_some();
    let sweep = move || {
        let model = lab.rested()?;
        lab.sweeps.with(|sweeps| sweeps.get(&model).cloned())
    };
    view! {
        <section class="card" aria-labelledby="patch-title">
            <h2 id="patch-title">{text::PATCH}</h2>
            <p class="what">{text::PATCH_WHAT}</p>
            <div class="settings">{super::tuned(lab)}{super::alpha(lab)}</div>
            <div class="buttons">
                <button type="button" class="main" id="sweep" disabled=move || !idle() on:click=whole>{text::SWEEP}</button>
                <button type="button" id="download-patched" disabled=move || !idle() on:click=save>{text::DOWNLOAD_PATCHED}</button>
            </div>
            {move || lab.sweeping.get().map(|share| view! {
                <p class="quiet" role="status">{text::SWEEPING}</p>
                <progress max="1" value=share.to_string() aria-label=text::PROGRESS></progress>
            })}
            {move || if lab.rested().is_some() {
                let now = (lab.alpha.get() * 100.0).round() as u32;
                curve(&sweep().unwrap_or_default(), Some(now)).into_any()
            } else {
                view! { <p class="empty">{text::NOT_RESTED}</p> }.into_any()
            }}
        </section>
    }
}

/// Composition against recognition along alpha, with the chosen and the current alpha; and the figures on the test split.
pub fn curve(sweep: &Sweep, now: Option<u32>) -> impl IntoView + use<> {
    let points: Vec<(u32, f64, f64)> = sweep
        .points
        .iter()
        .filter_map(|(alpha, measured)| Some((*alpha, measured.unseen?, measured.composition?)))
        .collect();
    if points.is_empty() {
        return view! { <p class="empty">{text::NO_CURVE}</p> }.into_any();
    }
    // A margin that keeps noise small.
    let range = |of: &dyn Fn(&(u32, f64, f64)) -> f64| {
        let (low, high) = points
            .iter()
            .map(of)
            .fold((1.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let air = ((high - low) * 0.15).max(0.03);
        ((low - air).max(0.0), (high + air).min(1.0))
    };
    let x = Axis { name: text::RECOGNITION_UNSEEN, range: range(&|point| point.1), write: percent };
    let y =
        Axis { name: text::COMPOSITION_VALIDATION, range: range(&|point| point.2), write: percent };
    let line = Line {
        name: text::CURVE.to_owned(),
        look: 0,
        points: points.iter().map(|(_, across, up)| (*across, *up)).collect(),
        dots: true,
    };
    let mut marks = Vec::new();
    for (alpha, across, up) in &points {
        let words = match (sweep.chosen == Some(*alpha), now == Some(*alpha)) {
            (true, _) => text::CHOSEN.to_owned() + &text::alpha_is(*alpha),
            (false, true) => text::alpha_is(*alpha),
            (false, false) => continue,
        };
        marks.push((*across, *up, words));
    }
    let test = (!sweep.test.is_empty()).then(|| {
        let groups: Vec<_> = sweep
            .test
            .iter()
            .map(|(alpha, measured)| {
                (
                    text::alpha_name(*alpha, sweep.chosen),
                    vec![measured.composition, measured.unseen],
                )
            })
            .collect();
        view! {
            <h3>{text::ON_TEST}</h3>
            {bars(&[text::COMPOSITION.to_owned(), text::UNSEEN_CLASSES.to_owned()], &groups, false)}
            <p class="quiet">{text::RULE}</p>
        }
    });
    view! {
        <div id="curve" data-points=points.len().to_string() data-chosen=sweep.chosen.map(|chosen| chosen.to_string())>
            {chart(text::CURVE.to_owned(), &x, &y, &[line], &marks)}
            {test}
        </div>
    }
    .into_any()
}
