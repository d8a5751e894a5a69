//! Keeps an engine running, and the views up to date.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::pictures;
use super::super::work::keep;
use super::state::{Inside, Lab, Matrix, Phase, Scored};
use super::{shelf, teaching, training};
use crate::lab::Weights;
use crate::lab::address::View;
use crate::lab::editor::Described;
use crate::protocol::{Answer, Ask};

/// Milliseconds without changes before a request.
const REST: u32 = 60;
/// Scenes in the matrix, and on the map.
const IN_MATRIX: usize = 8;
const ON_MAP: usize = 80;
/// Seeds the background, angles and shades of the drawing.
const DRAWN_BY: u64 = 5;

/// Keeps an engine running, and sends it the lab's models.
pub async fn run(lab: Lab) {
    let opened = |_| {
        spawn_local(async move {
            shelf::hand_over(lab).await;
            lab.epoch.set(lab.engine.started());
            // The run in training continues from its last saved step.
            let going = lab.going.get_untracked();
            let paused = |id: &u32| lab.run(*id).is_some_and(|run| run.phase == Phase::Paused);
            match going.filter(paused) {
                Some(run) => training::go_on(lab, run),
                None => lab.going.set(None),
            }
        });
    };
    let ended = || {
        lab.epoch.set(0);
        lab.runs.update(|runs| {
            for run in runs {
                if run.phase == Phase::Going {
                    run.phase = Phase::Paused;
                }
            }
        });
    };
    lab.engine.run(true, opened, ended).await;
}

/// The input of a request about the drawing.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    epoch: u32,
    described: Described,
    models: Vec<Weights>,
    steps: usize,
}

impl Wanted {
    fn of(lab: Lab, models: Vec<Weights>) -> Option<Self> {
        let epoch = lab.epoch.get();
        let described = lab.drawing.with(|drawing| drawing.describe(lab.words.get()))?;
        (epoch != 0).then(|| Self { epoch, described, models, steps: lab.tuned_steps() })
    }
}

/// Keeps everything on display up to date.
pub fn keep_up(lab: Lab) {
    let _ = window_event_listener_untyped("visibilitychange", move |_| {
        lab.hidden.set(document().hidden());
    });
    let drawn = Memo::new(move |_| {
        (lab.view.get() == View::Draw).then(|| Wanted::of(lab, lab.three().to_vec())).flatten()
    });
    keep(drawn, REST, move |wanted| score(lab, wanted));
    keep_up_the_curve(lab);

    let inside = move || lab.view.get() == View::Inside;
    let explained =
        Memo::new(move |_| inside().then(|| Wanted::of(lab, vec![lab.looked_into()])).flatten());
    keep(explained, REST, move |wanted| explain(lab, wanted));

    let looked = Memo::new(move |_| {
        let epoch = lab.epoch.get();
        let model = lab.looked_into();
        // The pretrained model doesn't change.
        let steps = match lab.inside.get() {
            Inside::Pretrained => 0,
            Inside::Patched | Inside::Tuned => lab.tuned_steps(),
        };
        let first = lab.first.get();
        (inside() && epoch != 0).then_some((model, first, steps, epoch))
    });
    keep(looked, REST, move |wanted| look(lab, wanted.map(|(model, first, ..)| (model, first))));
}

/// Measures the alpha at which the slider rests, unless the model is training.
fn keep_up_the_curve(lab: Lab) {
    let wanted = Memo::new(move |_| {
        let rested = lab.rested()?;
        let free = lab.view.get() == View::Patch && lab.sweeping.with(Option::is_none);
        let alpha = (lab.alpha.get() * 100.0).round() as u32;
        (free && lab.epoch.get() != 0).then_some((rested, alpha))
    });
    keep(wanted, 2 * REST, move |wanted| async move {
        let Some((rested, alpha)) = wanted else {
            return;
        };
        if let Err(failure) = teaching::point(lab, rested, alpha).await {
            lab.engine.tell(failure);
        }
    });
}

async fn score(lab: Lab, wanted: Option<Wanted>) {
    let Some(wanted) = wanted else { return };
    let mut captions = vec![wanted.described.caption];
    captions.extend(wanted.described.negatives.into_iter().map(|(_, text)| text));
    let ask = Ask::Scene {
        placed: wanted.described.arrangement.placed,
        seed: DRAWN_BY,
        captions: captions.clone(),
        models: wanted.models,
    };
    if let Some((Answer::Scene { size, similarities }, pixels)) = lab.engine.asked(ask, None).await
    {
        let picture = pixels.and_then(|rgb| pictures::draw(&rgb.to_vec(), size, size));
        lab.scored.set(Some(Scored { captions, similarities, picture }));
    }
}

async fn explain(lab: Lab, wanted: Option<Wanted>) {
    let Some(wanted) = wanted else { return };
    let Some(model) = wanted.models.first().copied() else {
        return;
    };
    let placed = wanted.described.arrangement.placed;
    let scene = Ask::Scene {
        placed: placed.clone(),
        seed: DRAWN_BY,
        captions: Vec::new(),
        models: Vec::new(),
    };
    let picture = match lab.engine.ask(scene, None).await {
        Ok((Answer::Scene { size, .. }, pixels)) => {
            pixels.and_then(|rgb| pictures::draw(&rgb.to_vec(), size, size))
        }
        _ => None,
    };
    let ask = Ask::Explain { placed, seed: DRAWN_BY, caption: wanted.described.caption, model };
    if let Some((Answer::Explained(explained), _)) = lab.engine.asked(ask, None).await {
        lab.explained.set(Some((explained, picture)));
    }
}

async fn look(lab: Lab, wanted: Option<(Weights, u64)>) {
    let Some((model, first)) = wanted else { return };
    let ask = Ask::Matrix { model, first, count: IN_MATRIX };
    let Some((Answer::Matrix { size, texts, similarities }, Some(pixels))) =
        lab.engine.asked(ask, None).await
    else {
        return;
    };
    let pixels = pixels.to_vec();
    let each = (3 * size * size).max(1) as usize;
    let pictures =
        pixels.chunks_exact(each).map(|rgb| pictures::draw(rgb, size, size).unwrap_or_default());
    lab.matrix.set(Some(Matrix { pictures: pictures.collect(), texts, similarities }));
    let ask = Ask::Map { model, first, count: ON_MAP };
    if let Some((Answer::Map(map), _)) = lab.engine.asked(ask, None).await {
        lab.map.set(Some(map));
    }
}
