//! The work of lessons.

use leptos::prelude::*;

use super::super::engine::Failure;
use super::state::{Lab, Outcome, Phase, Rested, Sweep, Working};
use super::{text, training};
use crate::lab::lesson::Lesson;
use crate::lab::settings::{Negatives, Settings, Texts};
use crate::lab::{Measured, Of, Suite, Weights};
use crate::protocol::{Answer, Ask};

/// Steps of alpha.
const TENTHS: u32 = 10;
/// Milliseconds between checks of a lesson's run.
const LOOK: u32 = 100;

/// The default steps of a lesson's run, and of each of two runs.
const STEPS: usize = 900;
const STEPS_OF_TWO: usize = 450;

/// The settings of a lesson's run, with the steps and the seed of the address.
fn lesson_settings(lab: Lab, steps: usize) -> Settings {
    Settings {
        steps: lab.lesson_steps.get_untracked().unwrap_or(steps),
        seed: lab.settings.with_untracked(|settings| settings.seed),
        batch: 32,
        // No scene is repeated.
        scenes: 100_000,
        ..Settings::default()
    }
}

/// Does a lesson's work, and stores its outcome.
pub async fn work(lab: Lab, lesson: Lesson) {
    if lab.working.get_untracked().is_some() {
        return;
    }
    let say = |doing: &str, share: f64, run: Option<u32>| {
        lab.working.set(Some(Working { lesson, doing: doing.to_owned(), share, run }));
    };
    say(text::MEASURING, 0.0, None);
    let outcome = match lesson {
        Lesson::BagOfWords => compare(lab, &[(text::PRETRAINED, Of::Pretrained)], &say).await,
        Lesson::HardNegatives => train_and_compare(lab, &say).await,
        Lesson::Shortcut => shortcut(lab).await,
        Lesson::Forgetting => {
            let both = [(text::PRETRAINED, Of::Pretrained), (text::SHIPPED, Of::Shipped)];
            compare(lab, &both, &say).await
        }
        Lesson::Patching => {
            let progress = |share| say(text::SWEEPING, share, None);
            sweep(lab, (Of::Shipped, 0), &progress).await.map(Outcome::Sweep)
        }
        Lesson::DataCuration => curation(lab, &say).await,
    };
    match outcome {
        Ok(outcome) => lab.outcomes.update(|all| {
            all.insert(lesson, outcome);
        }),
        Err(failure) => lab.failed(failure),
    }
    lab.working.set(None);
}

/// Receives the current step, its progress, and its run.
type Say<'a> = &'a dyn Fn(&str, f64, Option<u32>);

/// Measures models on the test split.
async fn compare(lab: Lab, models: &[(&str, Of)], say: Say<'_>) -> Result<Outcome, Failure> {
    let mut found = Vec::new();
    for (at, (name, of)) in models.iter().enumerate() {
        say(text::MEASURING, at as f64 / models.len() as f64, None);
        let measured = training::measured(lab, Weights::of(*of), Suite::Test).await?;
        found.push(((*name).to_owned(), measured));
    }
    Ok(Outcome::Models(found))
}

/// Trains a run to its end.
async fn trained(lab: Lab, settings: Settings, say: Say<'_>, doing: &str) -> Result<u32, Failure> {
    let id = training::begin(lab, settings).await.ok_or(Failure::Ended)?;
    training::go_on(lab, id);
    loop {
        gloo_timers::future::TimeoutFuture::new(LOOK).await;
        let run = lab.run(id).ok_or(Failure::Ended)?;
        say(doing, run.losses.len() as f64 / settings.steps as f64, Some(id));
        match run.phase {
            Phase::Done => return Ok(id),
            Phase::Failed(reason) => return Err(Failure::Refused(reason)),
            Phase::Going | Phase::Paused => {}
        }
    }
}

async fn train_and_compare(lab: Lab, say: Say<'_>) -> Result<Outcome, Failure> {
    let before = training::measured(lab, Weights::of(Of::Pretrained), Suite::Swaps).await?;
    // Swapped words and small batches show an effect in minutes on one core.
    let settings = Settings {
        negatives: Negatives::Swap,
        learning_rate: 3e-3,
        image_rate: 1.0,
        ..lesson_settings(lab, STEPS)
    };
    let id = trained(lab, settings, say, text::TRAINING).await?;
    say(text::MEASURING, 1.0, None);
    let after = training::measured(lab, Weights::of(Of::Held(id)), Suite::Swaps).await?;
    Ok(Outcome::Models(vec![
        (text::PRETRAINED.to_owned(), before),
        (text::TUNED_HERE.to_owned(), after),
    ]))
}

async fn shortcut(lab: Lab) -> Result<Outcome, Failure> {
    let model = Weights::of(Of::Pretrained);
    match lab.engine.ask(Ask::Shortcut { model }, None).await? {
        (Answer::Shortcut(contests), _) => Ok(Outcome::Contests(contests)),
        _ => Err(Failure::Ended),
    }
}

/// Measures a model at every tenth of alpha on the validation split, chooses one by the rule, and measures that one and both ends
/// on the test split. Uses earlier measurements.
pub async fn sweep(lab: Lab, model: Rested, progress: &dyn Fn(f64)) -> Result<Sweep, Failure> {
    let of = model.0;
    let all = f64::from(TENTHS + 1 + 3);
    for tenth in 0..=TENTHS {
        progress(f64::from(tenth) / all);
        point(lab, model, 100 / TENTHS * tenth).await?;
    }
    let found = |lab: Lab| {
        lab.sweeps.with_untracked(|sweeps| sweeps.get(&model).cloned()).unwrap_or_default()
    };
    let points = found(lab).points.into_iter().filter_map(|(alpha, measured)| {
        let tenth = alpha.is_multiple_of(100 / TENTHS);
        let point = (f64::from(alpha) / 100.0, measured.composition?, measured.unseen?);
        tenth.then_some(point)
    });
    let points = points.collect();
    let (answer, _) = lab.engine.ask(Ask::ChooseAlpha { points }, None).await?;
    let Answer::Alpha { alpha } = answer else {
        return Err(Failure::Ended);
    };
    let chosen = (alpha * 100.0).round() as u32;
    let mut test = Vec::new();
    let mut alphas = vec![0, chosen, 100];
    alphas.dedup();
    for (at, alpha) in alphas.into_iter().enumerate() {
        progress((f64::from(TENTHS + 1) + at as f64) / all);
        let weights = Weights { of, alpha: f64::from(alpha) / 100.0 };
        test.push((alpha, training::measured(lab, weights, Suite::Test).await?));
    }
    lab.sweeps.update(|sweeps| {
        let sweep = sweeps.entry(model).or_default();
        (sweep.chosen, sweep.test) = (Some(chosen), test);
    });
    Ok(found(lab))
}

/// A model's figures on the validation split at an alpha in hundredths, measured or known.
pub async fn point(lab: Lab, model: Rested, alpha: u32) -> Result<Measured, Failure> {
    let known = lab.sweeps.with_untracked(|sweeps| {
        let points = &sweeps.get(&model)?.points;
        let found = points.iter().find(|(other, _)| *other == alpha)?;
        Some(found.1.clone())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let weights = Weights { of: model.0, alpha: f64::from(alpha) / 100.0 };
    let measured = training::measured(lab, weights, Suite::Sweep).await?;
    lab.sweeps.update(|sweeps| {
        let points = &mut sweeps.entry(model).or_default().points;
        points.push((alpha, measured.clone()));
        points.sort_by_key(|(alpha, _)| *alpha);
    });
    Ok(measured)
}

async fn curation(lab: Lab, say: Say<'_>) -> Result<Outcome, Failure> {
    let before = training::measured(lab, Weights::of(Of::Pretrained), Suite::Test).await?;
    let mut found = vec![(text::PRETRAINED.to_owned(), before)];
    // Fewer steps each, so that the lesson takes no longer than the others.
    let settings = Settings { negatives: Negatives::None, ..lesson_settings(lab, STEPS_OF_TWO) };
    for texts in [Texts::Alt, Texts::Captions] {
        let (name, doing) = text::curated(texts);
        let id = trained(lab, Settings { texts, ..settings }, say, doing).await?;
        say(text::MEASURING, 1.0, None);
        let measured = training::measured(lab, Weights::of(Of::Held(id)), Suite::Test).await?;
        found.push((name.to_owned(), measured));
    }
    Ok(Outcome::Models(found))
}
