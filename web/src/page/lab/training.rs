//! Owns the loop of a run: a step at a time is asked for, so that pausing is not asking.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::shelf;
use super::state::{Lab, Phase, Run};
use crate::lab::settings::Settings;
use crate::lab::{Answer, Ask, Measured, Of, Step, Suite, Weights};

/// Points of a run's curves, with the one before it begins.
const POINTS: usize = 12;
/// How many times as long as a point's measurement training must have gone on since the last: a short run isn't spent on measuring.
const REST: f64 = 3.0;
/// Milliseconds between looks at whether a hidden tab is seen again.
const HIDDEN: u32 = 250;
/// Milliseconds of training after which a run is kept even where no point of its curves is due.
const KEEP_EVERY: f64 = 60_000.0;

/// A new run, shown and not yet begun; gives its name, or none where there's no engine or it refuses.
pub async fn begin(lab: Lab, settings: Settings) -> Option<u32> {
    let id = lab.name();
    let settings = settings.sound();
    match lab.ask(Ask::Start { run: id, settings }, None).await {
        Some(Ok(_)) => {}
        Some(Err(reason)) => {
            lab.notice(reason);
            return None;
        }
        None => return None,
    }
    lab.runs.update(|runs| {
        runs.push(Run {
            id,
            file: None,
            settings,
            losses: Vec::new(),
            points: Vec::new(),
            milliseconds: 0.0,
            phase: Phase::Paused,
        });
    });
    lab.shown.set(Some(id));
    // From its first step on, everything that looks at a fine-tuned model looks at this one.
    lab.tuned.set(Of::Held(id));
    Some(id)
}

/// Puts a run in training; one that was in training pauses.
pub fn go_on(lab: Lab, id: u32) {
    if let Some(other) = lab.going.get_untracked().filter(|other| *other != id) {
        pause(lab, other);
    }
    lab.going.set(Some(id));
    lab.change(id, |run| run.phase = Phase::Going);
    spawn_local(async move {
        train(lab, id, usize::MAX).await;
    });
}

/// Pauses a run after the step that it's at.
pub fn pause(lab: Lab, id: u32) {
    lab.change(id, |run| {
        if run.phase == Phase::Going {
            run.phase = Phase::Paused;
        }
    });
    if lab.going.get_untracked() == Some(id) {
        lab.going.set(None);
    }
}

/// Takes one step of a paused run.
pub fn step(lab: Lab, id: u32) {
    lab.going.set(Some(id));
    lab.change(id, |run| run.phase = Phase::Going);
    spawn_local(async move {
        train(lab, id, 1).await;
        pause(lab, id);
    });
}

/// Ends a run before its last step.
pub fn stop(lab: Lab, id: u32) {
    pause(lab, id);
    lab.change(id, |run| run.phase = Phase::Done);
    spawn_local(async move {
        measure_and_keep(lab, id).await;
    });
}

/// Trains while the run is to go on, at most so many steps.
pub async fn train(lab: Lab, id: u32, most: usize) {
    let is_on = move || {
        lab.going.get_untracked() == Some(id)
            && lab.run(id).is_some_and(|run| run.phase == Phase::Going)
    };
    let Some(run) = lab.run(id) else { return };
    if run.losses.is_empty() && run.points.is_empty() {
        measure(lab, id).await;
    }
    let (mut kept_at, mut measured_at) = (run.milliseconds, run.milliseconds);
    for _ in 0..most {
        while lab.hidden.get_untracked() && is_on() {
            gloo_timers::future::TimeoutFuture::new(HIDDEN).await;
        }
        if !is_on() {
            break;
        }
        let step = match lab.ask(Ask::Step { run: id }, None).await {
            Some(Ok((Answer::Step(step), _))) => step,
            Some(Err(reason)) => return fail(lab, id, reason),
            // Another engine goes on.
            Some(Ok(_)) | None => return,
        };
        let Some(run) = record(lab, id, &step) else {
            return;
        };
        let steps = run.losses.len();
        let rested = run.milliseconds - measured_at >= REST * lab.measuring.get_value();
        if step.is_last || (rested && is_due(&run)) {
            measure(lab, id).await;
            keep(lab, id).await;
            (kept_at, measured_at) = (run.milliseconds, run.milliseconds);
        } else if run.milliseconds - kept_at > KEEP_EVERY {
            keep(lab, id).await;
            kept_at = run.milliseconds;
        }
        if step.is_last {
            lab.change(id, |run| run.phase = Phase::Done);
            if lab.going.get_untracked() == Some(id) {
                lab.going.set(None);
            }
            keep(lab, id).await;
            return;
        }
    }
    measure_and_keep(lab, id).await;
}

/// Whether a twelfth of the run has passed since the last point.
fn is_due(run: &Run) -> bool {
    let last = run.points.last().map_or(0, |(step, _)| *step);
    run.losses.len() - last >= run.settings.steps.div_ceil(POINTS)
}

/// Milliseconds since the page began.
fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

/// Writes a step down; gives the run as it is then.
fn record(lab: Lab, id: u32, step: &Step) -> Option<Run> {
    lab.change(id, |run| {
        // An engine that was started anew may be at an earlier step.
        run.losses.truncate(step.step);
        run.points.retain(|(at, _)| *at <= step.step);
        run.losses.push(step.loss);
        run.milliseconds += step.milliseconds;
    });
    lab.run(id)
}

fn fail(lab: Lab, id: u32, reason: String) {
    lab.change(id, |run| run.phase = Phase::Failed(reason));
    if lab.going.get_untracked() == Some(id) {
        lab.going.set(None);
    }
}

/// Adds a point to the run's curves.
async fn measure(lab: Lab, id: u32) {
    let Some(run) = lab.run(id) else { return };
    let steps = run.losses.len();
    if run.points.last().is_some_and(|(at, _)| *at == steps) {
        return;
    }
    let model = Weights::of(Of::Held(id));
    let began = now();
    if let Some(Ok(measured)) = measured(lab, model, Suite::Glance).await {
        lab.measuring.set_value(now() - began);
        lab.change(id, |run| run.points.push((steps, measured)));
    }
}

async fn measure_and_keep(lab: Lab, id: u32) {
    measure(lab, id).await;
    keep(lab, id).await;
}

/// A model's figures; none when the engine ended.
pub async fn measured(lab: Lab, model: Weights, suite: Suite) -> Option<Result<Measured, String>> {
    match lab.ask(Ask::Measure { model, suite }, None).await? {
        Ok((Answer::Measured(measured), _)) => Some(Ok(measured)),
        Ok(_) => None,
        Err(reason) => Some(Err(reason)),
    }
}

/// Keeps a run as it is now, for another engine and another visit.
async fn keep(lab: Lab, id: u32) {
    let Some(run) = lab.run(id) else { return };
    let record = shelf::record(&run);
    match lab.ask(Ask::Keep { run: id, record }, None).await {
        Some(Ok((Answer::Bytes, Some(bytes)))) => shelf::keep(lab, id, &bytes).await,
        Some(Err(reason)) => lab.notice(reason),
        _ => (),
    }
}
