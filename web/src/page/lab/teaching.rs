//! Does what lessons ask for.

use leptos::prelude::*;

use super::state::{Lab, Outcome, Phase, Rested, Sweep, Working};
use super::{text, training};
use crate::lab::lesson::Lesson;
use crate::lab::settings::{Negatives, Settings, Texts};
use crate::lab::{Measured, Of, Suite, Weights};
use crate::protocol::{Answer, Ask};

/// Tenths of alpha.
const TENTHS: u32 = 10;
/// Milliseconds between looks at a run that a lesson waits for.
const LOOK: u32 = 100;

/// The run of the lesson on hard negatives: of the negatives those that teach who is where, in small steps, so that the effect is
/// seen in minutes on one core.
fn hard_negatives(settings: Settings) -> Settings {
    Settings {
        negatives: Negatives::Swap,
        learning_rate: 3e-3,
        image_rate: 1.0,
        batch: 32,
        ..settings
    }
}

/// The two runs of the lesson on data: the same but for their texts.
fn data_curation(settings: Settings) -> [(Texts, Settings); 2] {
    [Texts::Alt, Texts::Captions].map(|texts| {
        let settings = Settings { texts, negatives: Negatives::None, batch: 32, ..settings };
        (texts, settings.sound())
    })
}

/// How many steps a lesson's run has where the address doesn't say, and each of two.
const STEPS: usize = 900;
const STEPS_OF_TWO: usize = 450;

/// A lesson's settings, with as many steps and the seed that the address says.
fn lesson_settings(lab: Lab, steps: usize) -> Settings {
    Settings {
        steps: lab.lesson_steps.get_untracked().unwrap_or(steps),
        seed: lab.settings.with_untracked(|settings| settings.seed),
        // No scene twice, whatever the steps.
        scenes: 100_000,
        ..Settings::default()
    }
}

/// Does a lesson's work, and writes down what came of it.
pub async fn work(lab: Lab, lesson: Lesson) {
    if lab.working.get_untracked().is_some() {
        return;
    }
    let say = |doing: &str, share: f64, run: Option<u32>| {
        lab.working.set(Some(Working { lesson, doing: doing.to_owned(), share, run }));
    };
    say(text::MEASURING, 0.0, None);
    let outcome = match lesson {
        Lesson::BagOfWords => bag_of_words(lab).await,
        Lesson::HardNegatives => train_and_compare(lab, &say).await,
        Lesson::Shortcut => shortcut(lab).await,
        Lesson::Forgetting => forgetting(lab, &say).await,
        Lesson::Patching => patching(lab, &say).await,
        Lesson::DataCuration => curation(lab, &say).await,
    };
    match outcome {
        Some(Ok(outcome)) => lab.outcomes.update(|all| {
            all.insert(lesson, outcome);
        }),
        Some(Err(reason)) => lab.notice(reason),
        None => lab.notice(text::INTERRUPTED.to_owned()),
    }
    lab.working.set(None);
}

/// Says what is done, how much of it, and of which run.
type Say<'a> = &'a dyn Fn(&str, f64, Option<u32>);

type Found = Option<Result<Outcome, String>>;

/// The inside of `Some(Ok(_))`, or back with the rest.
macro_rules! get {
    ($asked:expr) => {
        match $asked? {
            Ok(found) => found,
            Err(reason) => return Some(Err(reason)),
        }
    };
}

async fn bag_of_words(lab: Lab) -> Found {
    let model = Weights::of(Of::Pretrained);
    let measured = get!(training::measured(lab, model, Suite::Test).await);
    Some(Ok(Outcome::Models(vec![(text::PRETRAINED.to_owned(), measured)])))
}

/// Trains, and waits for the end.
async fn trained(
    lab: Lab,
    settings: Settings,
    say: Say<'_>,
    doing: &str,
) -> Option<Result<u32, String>> {
    let id = training::begin(lab, settings).await?;
    training::go_on(lab, id);
    loop {
        gloo_timers::future::TimeoutFuture::new(LOOK).await;
        let run = lab.run(id)?;
        say(doing, run.losses.len() as f64 / settings.steps as f64, Some(id));
        match run.phase {
            Phase::Done => return Some(Ok(id)),
            Phase::Failed(reason) => return Some(Err(reason)),
            Phase::Going | Phase::Paused => {}
        }
    }
}

async fn train_and_compare(lab: Lab, say: Say<'_>) -> Found {
    let before = Weights::of(Of::Pretrained);
    let before = get!(training::measured(lab, before, Suite::Swaps).await);
    let settings = hard_negatives(lesson_settings(lab, STEPS));
    let id = get!(trained(lab, settings, say, text::TRAINING).await);
    say(text::MEASURING, 1.0, None);
    let after = Weights::of(Of::Held(id));
    let after = get!(training::measured(lab, after, Suite::Swaps).await);
    Some(Ok(Outcome::Models(vec![
        (text::PRETRAINED.to_owned(), before),
        (text::TUNED_HERE.to_owned(), after),
    ])))
}

async fn shortcut(lab: Lab) -> Found {
    let model = Weights::of(Of::Pretrained);
    let (answer, _) = get!(lab.engine.ask(Ask::Shortcut { model }, None).await);
    match answer {
        Answer::Shortcut(contests) => Some(Ok(Outcome::Contests(contests))),
        _ => None,
    }
}

async fn forgetting(lab: Lab, say: Say<'_>) -> Found {
    let mut found = Vec::new();
    for (at, (name, of)) in
        [(text::PRETRAINED, Of::Pretrained), (text::SHIPPED, Of::Shipped)].into_iter().enumerate()
    {
        say(text::MEASURING, at as f64 / 2.0, None);
        let measured = get!(training::measured(lab, Weights::of(of), Suite::Test).await);
        found.push((name.to_owned(), measured));
    }
    Some(Ok(Outcome::Models(found)))
}

async fn patching(lab: Lab, say: Say<'_>) -> Found {
    let swept = sweep(lab, (Of::Shipped, 0), &|share| {
        say(text::SWEEPING, share, None);
    })
    .await;
    Some(Ok(Outcome::Sweep(get!(swept))))
}

/// Measures a model at every tenth of alpha on the validation split, chooses one by the rule, and measures that one and both ends
/// on the test split. What was measured before is not measured again.
pub async fn sweep(
    lab: Lab,
    model: Rested,
    progress: &dyn Fn(f64),
) -> Option<Result<Sweep, String>> {
    let of = model.0;
    let all = f64::from(TENTHS + 1 + 3);
    for tenth in 0..=TENTHS {
        progress(f64::from(tenth) / all);
        get!(point(lab, model, 100 / TENTHS * tenth).await);
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
    let (answer, _) = get!(lab.engine.ask(Ask::ChooseAlpha { points }, None).await);
    let Answer::Alpha { alpha } = answer else {
        return None;
    };
    let chosen = (alpha * 100.0).round() as u32;
    let mut test = Vec::new();
    let mut alphas = vec![0, chosen, 100];
    alphas.dedup();
    for (at, alpha) in alphas.into_iter().enumerate() {
        progress((f64::from(TENTHS + 1) + at as f64) / all);
        let weights = Weights { of, alpha: f64::from(alpha) / 100.0 };
        test.push((alpha, get!(training::measured(lab, weights, Suite::Test).await)));
    }
    lab.sweeps.update(|sweeps| {
        let sweep = sweeps.entry(model).or_default();
        (sweep.chosen, sweep.test) = (Some(chosen), test);
    });
    Some(Ok(found(lab)))
}

/// A model's figures on the validation split at an alpha in hundredths, from the curve where they're known.
pub async fn point(lab: Lab, model: Rested, alpha: u32) -> Option<Result<Measured, String>> {
    let known = lab.sweeps.with_untracked(|sweeps| {
        let points = &sweeps.get(&model)?.points;
        let found = points.iter().find(|(other, _)| *other == alpha)?;
        Some(found.1.clone())
    });
    if let Some(known) = known {
        return Some(Ok(known));
    }
    let weights = Weights { of: model.0, alpha: f64::from(alpha) / 100.0 };
    let measured = get!(training::measured(lab, weights, Suite::Sweep).await);
    lab.sweeps.update(|sweeps| {
        let points = &mut sweeps.entry(model).or_default().points;
        points.push((alpha, measured.clone()));
        points.sort_by_key(|(alpha, _)| *alpha);
    });
    Some(Ok(measured))
}

async fn curation(lab: Lab, say: Say<'_>) -> Found {
    let before = Weights::of(Of::Pretrained);
    let before = get!(training::measured(lab, before, Suite::Test).await);
    let mut found = vec![(text::PRETRAINED.to_owned(), before)];
    // Fewer steps each, so that the lesson takes no longer than the others.
    for (texts, settings) in data_curation(lesson_settings(lab, STEPS_OF_TWO)) {
        let (name, doing) = text::curated(texts);
        let id = get!(trained(lab, settings, say, doing).await);
        say(text::MEASURING, 1.0, None);
        let model = Weights::of(Of::Held(id));
        let measured = get!(training::measured(lab, model, Suite::Test).await);
        found.push((name.to_owned(), measured));
    }
    Some(Ok(Outcome::Models(found)))
}
