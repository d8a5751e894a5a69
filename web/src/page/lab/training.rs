//! Owns the loop of a run: a step at a time is asked for, so that pausing is not asking.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::shelf;
use super::state::{Lab, Phase, Run};
use crate::lab::settings::Settings;
use crate::lab::{Measured, Of, Step, Suite, Weights};
use crate::protocol::{Answer, Ask};

/// Points of a run's curves, with the one before it begins.
const POINTS: usize = 12;
/// How many times as long as a point's measurement training must have gone on since the last: a short run isn't spent on measuring.
const REST: f64 = 3.0;
/// Milliseconds that a point may take without having been earned so.
const QUICK: f64 = 10_000.0;
/// What a point takes, in steps, before one was measured.
const GUESS: f64 = 8.0;
/// Milliseconds between looks at whether a loop has come to its end.
const LOOK: u32 = 20;
/// Milliseconds between looks at whether a hidden tab is seen again.
const HIDDEN: u32 = 250;
/// Milliseconds of training after which a run is kept even where no point of its curves is due.
const KEEP_EVERY: f64 = 60_000.0;

/// A new run, shown and not yet begun; gives its name, or none where there's no engine or it refuses.
pub async fn begin(lab: Lab, settings: Settings) -> Option<u32> {
    let id = lab.name();
    let settings = settings.sound();
    match lab.engine.ask(Ask::StartRun { run: id, settings }, None).await {
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
            key: shelf::key(),
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
    take_turn(lab, id, usize::MAX);
}

/// Takes one step of a paused run.
pub fn step(lab: Lab, id: u32) {
    take_turn(lab, id, 1);
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

/// Waits until no loop is at work.
pub async fn rested(lab: Lab) {
    while lab.own.with_value(|own| own.looping) {
        gloo_timers::future::TimeoutFuture::new(LOOK).await;
    }
}

/// Trains a run for at most so many steps, once the loop before it has come to its end.
fn take_turn(lab: Lab, id: u32, most: usize) {
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
        // Where the engine ended, the next one goes on.
        if end == End::Rests && lab.own.with_value(|own| own.turn) == turn {
            pause(lab, id);
        }
    });
}

/// Why a loop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It's told to, or there's nothing left to do.
    Rests,
    /// The engine is gone.
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
            Some(Ok((Answer::Step(step), _))) => step,
            Some(Err(reason)) => {
                lab.change(id, |run| run.phase = Phase::Failed(reason));
                return End::Rests;
            }
            Some(Ok(_)) | None => return End::Broken,
        };
        let Some(run) = record(lab, id, &step) else {
            return End::Rests;
        };
        // Before it's known how long a point takes, a few steps' time is a guess.
        let known = lab.own.with_value(|own| own.measuring);
        let point = known.unwrap_or(GUESS * step.milliseconds);
        if step.is_last {
            lab.change(id, |run| run.phase = Phase::Done);
            // On a slow device a short run isn't followed by a long wait.
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
    // It rests: what it has learnt is kept.
    keep(lab, id).await;
    End::Rests
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

/// Adds a point to the run's curves; the first one is the pretrained model's.
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
    if has {
        return;
    }
    if let Some(measured) = glance(lab, Of::Held(id)).await {
        lab.change(id, |run| run.points.push((steps, measured)));
    }
}

async fn glance(lab: Lab, of: Of) -> Option<Measured> {
    let began = now();
    let measured = measured(lab, Weights::of(of), Suite::Glance).await?.ok()?;
    lab.own.update_value(|own| own.measuring = Some(now() - began));
    Some(measured)
}

/// A model's figures; none when the engine ended.
pub async fn measured(lab: Lab, model: Weights, suite: Suite) -> Option<Result<Measured, String>> {
    match lab.engine.ask(Ask::Measure { model, suite }, None).await? {
        Ok((Answer::Measured(measured), _)) => Some(Ok(measured)),
        Ok(_) => None,
        Err(reason) => Some(Err(reason)),
    }
}

/// Keeps a run as it is now, for another engine and another visit.
async fn keep(lab: Lab, id: u32) {
    let Some(run) = lab.run(id) else { return };
    let record = shelf::record(&run);
    match lab.engine.ask(Ask::KeepRun { run: id, record }, None).await {
        Some(Ok((Answer::Bytes, Some(bytes)))) => shelf::keep(lab, id, &bytes).await,
        Some(Err(reason)) => lab.notice(reason),
        _ => (),
    }
}
