//! The training loop: one request per step, so that a run pauses between requests.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::engine::Failure;
use super::shelf;
use super::state::{Lab, Phase, Run};
use crate::lab::settings::Settings;
use crate::lab::{Measured, Of, Step, Suite, Weights};
use crate::protocol::{Answer, Ask};

/// Points of a run's curves, including the pretrained model's.
const POINTS: usize = 12;
/// The least training time between measurements, in durations of a measurement.
const REST: f64 = 3.0;
/// Milliseconds of a measurement that is always worth its time at the end of a run.
const QUICK: f64 = 10_000.0;
/// The estimated duration of the first measurement, in steps.
const GUESS: f64 = 8.0;
/// Milliseconds between checks for the end of a loop.
const LOOK: u32 = 20;
/// Milliseconds between checks whether a hidden tab is visible again.
const HIDDEN: u32 = 250;
/// Milliseconds of training after which a run is saved without a measurement.
const KEEP_EVERY: f64 = 60_000.0;

/// Adds a new run, paused. Returns its number, or `None` if the engine refuses or ended.
pub async fn begin(lab: Lab, settings: Settings) -> Option<u32> {
    let id = lab.name();
    let settings = settings.sound();
    lab.engine.asked(Ask::StartRun { run: id, settings }, None).await?;
    lab.add(Run::new(id, shelf::key(), settings));
    // The views of a fine-tuned model follow it from its first step on.
    lab.tuned.set(Of::Held(id));
    Some(id)
}

/// Trains a run, and pauses the one in training.
pub fn go_on(lab: Lab, id: u32) {
    take_turn(lab, id, usize::MAX);
}

/// Pauses a run after its current step.
pub fn pause(lab: Lab, id: u32) {
    lab.change(id, |run| {
        if run.phase == Phase::Going {
            run.phase = Phase::Paused;
        }
    });
    if lab.going.get_untracked() == Some(id) {
        lab.going.set(None);
        new_turn(lab);
    }
}

/// Ends a run before its last step.
pub fn stop(lab: Lab, id: u32) {
    pause(lab, id);
    spawn_local(async move {
        rested(lab).await;
        lab.change(id, |run| run.phase = Phase::Done);
        measure(lab, id).await;
        keep(lab, id).await;
    });
}

fn new_turn(lab: Lab) -> u32 {
    let turn = lab.own.with_value(|own| own.turn).wrapping_add(1);
    lab.own.update_value(|own| own.turn = turn);
    turn
}

/// Waits until no loop runs.
pub async fn rested(lab: Lab) {
    while lab.own.with_value(|own| own.looping) {
        gloo_timers::future::TimeoutFuture::new(LOOK).await;
    }
}

/// Trains a run for at most `most` steps, after the end of the loop before it.
pub fn take_turn(lab: Lab, id: u32, most: usize) {
    if let Some(other) = lab.going.get_untracked().filter(|other| *other != id) {
        pause(lab, other);
    }
    let turn = new_turn(lab);
    lab.going.set(Some(id));
    lab.change(id, |run| run.phase = Phase::Going);
    spawn_local(async move {
        rested(lab).await;
        if lab.own.with_value(|own| own.turn) != turn {
            return;
        }
        lab.own.update_value(|own| own.looping = true);
        let end = train(lab, id, turn, most).await;
        lab.own.update_value(|own| own.looping = false);
        // If the engine ended, the next one continues.
        if end == End::Rests && lab.own.with_value(|own| own.turn) == turn {
            pause(lab, id);
        }
    });
}

/// Why a loop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was paused, or is complete.
    Rests,
    /// The engine ended.
    Broken,
}

async fn train(lab: Lab, id: u32, turn: u32, most: usize) -> End {
    let is_on = move || lab.own.with_value(|own| own.turn) == turn;
    let Some(run) = lab.run(id) else {
        return End::Rests;
    };
    let (mut kept_at, mut measured_at) = (run.milliseconds, run.milliseconds);
    for _ in 0..most {
        while lab.hidden.get_untracked() && is_on() {
            gloo_timers::future::TimeoutFuture::new(HIDDEN).await;
        }
        if !is_on() {
            break;
        }
        let step = match lab.engine.ask(Ask::Step { run: id }, None).await {
            Ok((Answer::Step(step), _)) => step,
            Err(Failure::Refused(reason)) => {
                lab.change(id, |run| run.phase = Phase::Failed(reason));
                return End::Rests;
            }
            Ok(_) | Err(Failure::Ended) => return End::Broken,
        };
        let Some(run) = record(lab, id, &step) else {
            return End::Rests;
        };
        let known = lab.own.with_value(|own| own.measuring);
        let point = known.unwrap_or(GUESS * step.milliseconds);
        if step.is_last {
            lab.change(id, |run| run.phase = Phase::Done);
            // On a slow device a short run doesn't end with a long wait.
            if point <= QUICK || run.milliseconds >= REST * point {
                measure(lab, id).await;
            }
            keep(lab, id).await;
            if lab.going.get_untracked() == Some(id) {
                lab.going.set(None);
            }
            return End::Rests;
        }
        if run.milliseconds - measured_at >= REST * point && is_due(&run) {
            measure(lab, id).await;
            keep(lab, id).await;
            (kept_at, measured_at) = (run.milliseconds, run.milliseconds);
        } else if run.milliseconds - kept_at > KEEP_EVERY {
            keep(lab, id).await;
            kept_at = run.milliseconds;
        }
    }
    keep(lab, id).await;
    End::Rests
}

/// Whether a twelfth of the run has passed since the last point.
fn is_due(run: &Run) -> bool {
    let last = run.points.last().map_or(0, |(step, _)| *step);
    run.losses.len() - last >= run.settings.steps.div_ceil(POINTS)
}

/// Milliseconds since the page was opened.
fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

/// Records a step; returns the run.
fn record(lab: Lab, id: u32, step: &Step) -> Option<Run> {
    lab.change(id, |run| {
        // A restarted engine may be at an earlier step.
        run.losses.truncate(step.step);
        run.points.retain(|(at, _)| *at <= step.step);
        run.losses.push(step.loss);
        run.milliseconds += step.milliseconds;
    });
    lab.run(id)
}

/// Adds a point to the run's curves, and the pretrained model's before the first.
async fn measure(lab: Lab, id: u32) {
    let Some(run) = lab.run(id) else { return };
    if run.points.is_empty() {
        let before = match lab.own.with_value(|own| own.pretrained.clone()) {
            Some(known) => Some(known),
            None => glance(lab, Of::Pretrained).await,
        };
        if let Some(before) = before {
            lab.own.update_value(|own| own.pretrained = Some(before.clone()));
            lab.change(id, |run| run.points.insert(0, (0, before)));
        }
    }
    let steps = run.losses.len();
    let has = lab.run(id).is_some_and(|run| run.points.iter().any(|(at, _)| *at == steps));
    if !has && let Some(measured) = glance(lab, Of::Held(id)).await {
        lab.change(id, |run| run.points.push((steps, measured)));
    }
}

async fn glance(lab: Lab, of: Of) -> Option<Measured> {
    let began = now();
    let measured = measured(lab, Weights::of(of), Suite::Glance).await.ok()?;
    lab.own.update_value(|own| own.measuring = Some(now() - began));
    Some(measured)
}

/// Measures a model.
pub async fn measured(lab: Lab, model: Weights, suite: Suite) -> Result<Measured, Failure> {
    match lab.engine.ask(Ask::Measure { model, suite }, None).await? {
        (Answer::Measured(measured), _) => Ok(measured),
        _ => Err(Failure::Ended),
    }
}

/// Saves a run, for another engine and another visit.
async fn keep(lab: Lab, id: u32) {
    let Some(run) = lab.run(id) else { return };
    let ask = Ask::KeepRun { run: id, record: shelf::record(&run) };
    if let Some((Answer::Bytes, Some(bytes))) = lab.engine.asked(ask, None).await {
        shelf::keep(lab, id, &bytes).await;
    }
}
