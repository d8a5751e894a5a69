//! The lessons: a question, a run, its outcome, and the paper.

use clove_scenes::suite::twins;
use clove_scenes::{Kind, Split, place};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::state::{Lab, Outcome, Phase};
use super::super::text::{self, Words};
use super::super::{teaching, training};
use super::chart::{Axis, Line, bars, chart};
use super::{patch, scene};
use crate::lab::lesson::Lesson;
use crate::lab::{Contest, Measured};

/// The view: the open lesson, or all.
pub fn lessons(lab: Lab) -> impl IntoView {
    let open = Memo::new(move |_| lab.lesson.get());
    move || match open.get() {
        None => list(lab).into_any(),
        Some(lesson) => one(lab, lesson).into_any(),
    }
}

fn link(lab: Lab, lesson: Lesson, words: String) -> impl IntoView {
    let click = move |event: web_sys::MouseEvent| {
        event.prevent_default();
        lab.lesson.set(Some(lesson));
        window().scroll_to_with_x_and_y(0.0, 0.0);
    };
    view! { <a href=format!("#v=lessons&l={}", lesson.slug()) on:click=click>{words}</a> }
}

fn list(lab: Lab) -> impl IntoView {
    let entries = Lesson::ALL.into_iter().enumerate().map(|(at, lesson)| {
        let words = text::lesson(lesson);
        let done = move || {
            let found = lab.outcomes.with(|all| all.contains_key(&lesson));
            found.then(|| view! { <span class="done">{text::LESSON_DONE}</span> })
        };
        view! {
            <li class="card lesson-card">
                <h2>{link(lab, lesson, format!("{}. {}", at + 1, words.title))} {done}</h2>
                <p>{words.short}</p>
            </li>
        }
    });
    view! {
        <p class="what">{text::LESSONS_WHAT}</p>
        <ol class="lesson-list">{entries.collect_view()}</ol>
        <p class="quiet">{text::LESSONS_NOTE}</p>
    }
}

fn one(lab: Lab, lesson: Lesson) -> impl IntoView {
    let words = text::lesson(lesson);
    let at = Lesson::ALL.iter().position(|other| *other == lesson).unwrap_or(0);
    let next = Lesson::ALL.get(at + 1).copied();
    let before = words.before.iter().map(|paragraph| view! { <p>{*paragraph}</p> });
    let print = |_| {
        let _ = window().print();
    };
    let all = move |event: web_sys::MouseEvent| {
        event.prevent_default();
        lab.lesson.set(None);
    };
    view! {
        <article class="card lesson">
            <p class="quiet crumbs"><a href="#v=lessons" on:click=all>{text::ALL_LESSONS}</a>{format!(" · {} / {}", at + 1, Lesson::ALL.len())}</p>
            <h2>{words.title}</h2>
            {before.collect_view()}
            {shown(lesson)}
            {question(lab, lesson, words)}
            {run(lab, lesson, words)}
            {result(lab, lesson, words)}
            <div class="buttons ends">
                <button type="button" class="plain no-print" on:click=print>{text::PRINT}</button>
                {next.map(|next| view! { <span class="next">{text::NEXT}" "{link(lab, next, text::lesson(next).title.to_owned())}</span> })}
            </div>
        </article>
    }
}

/// The scenes above a lesson's question.
fn shown(lesson: Lesson) -> Option<impl IntoView> {
    let kind = match lesson {
        Lesson::BagOfWords => Kind::SwapAttribute,
        Lesson::HardNegatives => Kind::SwapObject,
        Lesson::Shortcut => Kind::ReplaceRelation,
        Lesson::Forgetting | Lesson::Patching | Lesson::DataCuration => return None,
    };
    let pair = twins(kind, Split::Test, 0, 1);
    let figures = [0, 1].map(|side: usize| {
        let placed = place(&pair.scenes[side], &mut pair.drawing[side].clone());
        view! {
            <figure>
                {scene::picture(&placed, pair.captions[side].clone())}
                <figcaption>{pair.captions[side].clone()}</figcaption>
            </figure>
        }
    });
    Some(view! { <div class="pair">{figures}</div> })
}

fn question(lab: Lab, lesson: Lesson, words: Words) -> impl IntoView {
    let answers = words.answers.iter().enumerate().map(|(at, answer)| {
        let chosen = move || lab.answers.with(|all| all.get(&lesson) == Some(&at));
        let choose = move |_| {
            lab.answers.update(|all| {
                all.insert(lesson, at);
            });
        };
        view! {
            <label class="answer">
                <input type="radio" name="answer" prop:checked=chosen on:change=choose />
                <span>{*answer}</span>
            </label>
        }
    });
    view! {
        <fieldset class="question">
            <legend>{words.question}</legend>
            {answers.collect_view()}
        </fieldset>
    }
}

fn run(lab: Lab, lesson: Lesson, words: Words) -> impl IntoView {
    let answered = move || lab.answers.with(|all| all.contains_key(&lesson));
    let ready = move || lab.epoch.get() != 0 && lab.working.with(Option::is_none);
    let click = move |_| spawn_local(teaching::work(lab, lesson));
    let again = move || lab.outcomes.with(|all| all.contains_key(&lesson));
    let working = move || {
        let working = lab.working.get().filter(|working| working.lesson == lesson)?;
        Some(view! {
            <div class="working">
                <p role="status">{working.doing}</p>
                <progress max="1" value=working.share.to_string() aria-label=text::PROGRESS></progress>
                {stop(lab)}
            </div>
        })
    };
    view! {
        <p>{words.run}</p>
        <div class="buttons no-print">
            <button type="button" class="main" id="run-lesson" disabled=move || !(answered() && ready()) on:click=click>
                {move || if again() { text::RUN_AGAIN } else { words.button }}
            </button>
            {move || (!answered()).then(|| view! { <span class="quiet">{text::ANSWER_FIRST}</span> })}
            {move || (lab.epoch.get() == 0).then(|| view! { <span class="quiet">{text::ENGINE_FIRST}</span> })}
        </div>
        {working}
        {live(lab, lesson)}
    }
}

/// Buttons that end a lesson's run early, or resume it if it was paused.
fn stop(lab: Lab) -> impl IntoView {
    let run = Memo::new(move |_| {
        let id = lab.working.with(|working| working.as_ref()?.run)?;
        let paused = lab.with_run(id, |run| run.phase == Phase::Paused);
        Some((id, paused.unwrap_or(false)))
    });
    move || {
        let (id, paused) = run.get()?;
        Some(view! {
            <div class="buttons">
                {paused.then(|| view! { <button type="button" class="main" on:click=move |_| training::go_on(lab, id)>{text::GO_ON}</button> })}
                <button type="button" on:click=move |_| training::stop(lab, id)>{text::ENOUGH}</button>
            </div>
        })
    }
}

/// The curves of a lesson's run.
fn live(lab: Lab, lesson: Lesson) -> impl IntoView {
    let points = Memo::new(move |_| {
        let id = lab.working.with(|working| {
            let working = working.as_ref().filter(|working| working.lesson == lesson)?;
            working.run
        })?;
        lab.with_run(id, |run| (run.settings.steps, run.points.clone()))
    });
    move || {
        let (steps, points) = points.get().filter(|(_, points)| points.len() > 1)?;
        let (x, y) = (Axis::steps(steps), Axis::share(text::LIVE));
        let lines = [
            Line::over(text::SWAPS, 0, &points, Measured::swaps),
            Line::over(text::UNSEEN_CLASSES, 1, &points, |measured| measured.unseen),
        ];
        Some(chart(text::LIVE.to_owned(), &x, &y, &lines, &[]))
    }
}

fn result(lab: Lab, lesson: Lesson, words: Words) -> impl IntoView {
    move || {
        let outcome = lab.outcomes.with(|all| all.get(&lesson).cloned())?;
        let said = lab.answers.with_untracked(|all| {
            let at = all.get(&lesson)?;
            words.answers.get(*at).map(|answer| format!("{}{answer}", text::YOU_SAID))
        });
        let (drawn, happened) = match &outcome {
            Outcome::Models(models) => {
                (figures(lesson, models).into_any(), text::happened(lesson, models))
            }
            Outcome::Contests(contests) => {
                (self::contests(contests).into_any(), text::happened_blind(contests))
            }
            Outcome::Sweep(sweep) => (
                patch::curve(sweep, None).into_any(),
                text::happened_sweep(&sweep.test, sweep.chosen),
            ),
        };
        let (about, address) = words.paper;
        Some(view! {
            <section class="result" aria-labelledby="result-title" aria-live="polite">
                <h3 id="result-title">{text::HAPPENED}</h3>
                {drawn}
                <p class="said">{said}</p>
                <p id="happened">{happened}</p>
                <p>{words.after}</p>
                <p class="paper">{about}" "<a href=address rel="noreferrer">{address}</a></p>
            </section>
        })
    }
}

fn figures(lesson: Lesson, models: &[(String, Measured)]) -> impl IntoView + use<> {
    let names: Vec<String> = models.iter().map(|(name, _)| name.clone()).collect();
    let row = |name: &str, value: &dyn Fn(&Measured) -> Option<f64>| {
        let values = models.iter().map(|(_, measured)| value(measured)).collect();
        (name.to_owned(), values)
    };
    let recognition = [
        row(text::SEEN_CLASSES, &|measured| measured.seen),
        row(text::UNSEEN_CLASSES, &|measured| measured.unseen),
    ];
    let kinds: Vec<_> = text::KINDS
        .iter()
        .filter(|(name, _)| models.iter().any(|(_, measured)| measured.kind(name).is_some()))
        .map(|(name, words)| row(words, &|measured| measured.kind(name)))
        .collect();
    match lesson {
        Lesson::Forgetting => view! {
            <h4>{text::RECOGNITION}</h4>
            {bars(&names, &recognition, false)}
            <h4>{text::COMPOSITION}</h4>
            {bars(&names, &[row(text::ALL_KINDS, &|measured| measured.composition)], true)}
        }
        .into_any(),
        _ => bars(&names, &kinds, true).into_any(),
    }
}

fn contests(contests: &[Contest]) -> impl IntoView + use<> {
    let cards: Vec<_> = contests
        .iter()
        .map(|contest| {
            let mut rows = vec![(text::PRETRAINED_SEES.to_owned(), vec![Some(contest.model)])];
            rows.extend(contest.blind.iter().filter_map(|(name, value)| {
                Some((text::blind(name)?.to_owned(), vec![Some(*value)]))
            }));
            let [caption, wrong] = contest.example.clone();
            view! {
                <div class="contest">
                    <h4>{text::contest(&contest.name)}</h4>
                    <p class="quiet">{text::example(&caption, &wrong)}</p>
                    {bars(&[], &rows, true)}
                </div>
            }
        })
        .collect();
    view! { <div class="halves">{cards}</div> }
}
