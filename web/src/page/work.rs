//! Keeps an engine running, and scores, words and the chart up to date.

use std::collections::HashMap;
use std::future::Future;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::engine::Failure;
use super::state::{Heat, Point, Row, Score, State};
use super::{library, pictures};
use crate::protocol::{Answer, Ask};
use crate::verdict::margins;

/// Milliseconds without changes before captions are scored.
const REST: u32 = 150;
/// The most such waits, so that results follow a moving slider.
const RESTS: usize = 2;
/// The chart's steps of alpha.
const STEPS: u32 = 10;

/// Keeps an engine running, and sends it the page's pictures and models.
pub async fn run(state: State) {
    let opened = |model| {
        state.model.set(Some(model));
        spawn_local(async move {
            library::reopen(state).await;
            state.epoch.set(state.name());
            library::list(state).await;
            pictures::hand_over(state).await;
        });
    };
    state.engine.run(false, opened, || state.epoch.set(0)).await;
}

/// Does `work` for the latest wish whenever it changes, one at a time.
pub fn keep<W, F, D>(wanted: Memo<W>, rest: u32, work: F)
where
    W: Clone + PartialEq + Send + Sync + 'static,
    F: Fn(W) -> D + Clone + 'static,
    D: Future<Output = ()> + 'static,
{
    let busy = StoredValue::new(false);
    Effect::new(move || {
        wanted.track();
        if busy.get_value() {
            return;
        }
        busy.set_value(true);
        let work = work.clone();
        spawn_local(async move {
            loop {
                let mut now = wanted.get_untracked();
                for _ in 0..RESTS {
                    TimeoutFuture::new(rest).await;
                    let later = wanted.get_untracked();
                    if later == now {
                        break;
                    }
                    now = later;
                }
                work(now.clone()).await;
                if wanted.get_untracked() == now {
                    break;
                }
            }
            busy.set_value(false);
        });
    });
}

/// The input of a request.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    image: u32,
    epoch: u32,
    /// Row, caption, and whether it's a wrong caption.
    rows: Vec<(u32, String, bool)>,
    alpha: f64,
}

impl Wanted {
    /// `None` while there's nothing to score, or no engine.
    fn of(state: State, alpha: f64) -> Option<Self> {
        let epoch = state.epoch.get();
        let picture = state.picture()?;
        let rows: Vec<_> = state.rows.with(|rows| {
            let texts = rows.iter().filter(|row| !row.text.trim().is_empty());
            texts.map(|row| (row.id, row.text.trim().to_owned(), row.wrong)).collect()
        });
        (epoch != 0 && picture.taken_by == Some(epoch) && !rows.is_empty()).then_some(Self {
            image: picture.id,
            epoch,
            rows,
            alpha,
        })
    }

    fn captions(&self) -> Vec<String> {
        self.rows.iter().map(|(_, text, _)| text.clone()).collect()
    }
}

/// Keeps everything on display up to date.
pub fn keep_up(state: State) {
    let scores = Memo::new(move |_| Wanted::of(state, state.alpha.get()));
    keep(scores, REST, move |wanted| score(state, wanted));

    let only = move |of: fn(&Row) -> bool| {
        Memo::new(move |_| {
            let mut wanted = Wanted::of(state, state.alpha.get())?;
            state.rows.with(|rows| {
                let all = rows.iter().filter(|row| of(row)).map(|row| row.id);
                let kept: Vec<u32> = all.collect();
                wanted.rows.retain(|(id, ..)| kept.contains(id));
            });
            Some(wanted)
        })
    };
    let words = only(|row| row.explained);
    keep(words, REST, move |wanted| explain(state, wanted, words));
    keep(only(|row| row.heated), REST, move |wanted| warm(state, wanted));

    let curve = Memo::new(move |_| {
        let wanted = Wanted::of(state, 0.0)?;
        let has_margins = wanted.rows.iter().any(|(.., wrong)| *wrong);
        (state.charted.get() && has_margins && state.is_pair()).then_some(wanted)
    });
    keep(curve, 2 * REST, move |wanted| chart(state, wanted, curve));
}

async fn score(state: State, wanted: Option<Wanted>) {
    let Some(wanted) = wanted else { return };
    let request =
        Ask::Score { image: wanted.image, captions: wanted.captions(), alpha: wanted.alpha };
    if let Some((Answer::Scores { similarities, probabilities, .. }, _)) =
        state.engine.asked(request, None).await
    {
        let ids = wanted.rows.iter().map(|(id, ..)| *id);
        let scores = similarities.into_iter().zip(probabilities);
        let scores = scores.map(|(similarity, probability)| Score { similarity, probability });
        let mut found: HashMap<u32, Score> = ids.zip(scores).collect();
        state.rows.update(|rows| {
            for row in rows {
                row.score = found.remove(&row.id);
            }
        });
    }
}

async fn explain(state: State, wanted: Option<Wanted>, latest: Memo<Option<Wanted>>) {
    let Some(now) = &wanted else { return };
    for (id, caption, _) in now.rows.clone() {
        if latest.get_untracked() != wanted {
            return;
        }
        let request = Ask::Words { image: now.image, caption, alpha: now.alpha };
        match state.engine.ask(request, None).await {
            Ok((Answer::Words { words }, _)) => state.change(id, |row| row.words = words),
            Err(Failure::Refused(reason)) => state.change(id, |row| row.note = Some(reason)),
            _ => (),
        }
    }
}

/// The similarity of a caption by patch.
async fn warm(state: State, wanted: Option<Wanted>) {
    let Some((image, alpha, caption)) = wanted.and_then(|wanted| {
        let caption = wanted.rows.first()?.1.clone();
        Some((wanted.image, wanted.alpha, caption))
    }) else {
        return state.heat.set(None);
    };
    let request = Ask::Heat { image, caption: caption.clone(), alpha };
    if let Some((Answer::Heat { side, similarities, seen }, _)) =
        state.engine.asked(request, None).await
    {
        state.heat.set(Some(Heat { picture: image, caption, side, similarities, seen }));
    }
}

/// Requests one alpha at a time, so that scores don't wait for a whole chart.
async fn chart(state: State, wanted: Option<Wanted>, latest: Memo<Option<Wanted>>) {
    state.curve.set(Vec::new());
    let Some(now) = &wanted else { return };
    let wrong: Vec<bool> = now.rows.iter().map(|(.., wrong)| *wrong).collect();
    for step in 0..=STEPS {
        if latest.get_untracked() != wanted {
            return;
        }
        let alpha = f64::from(step) / f64::from(STEPS);
        let request =
            Ask::Curve { image: now.image, captions: now.captions(), alphas: vec![alpha] };
        let Some((Answer::Curve { similarities, .. }, _)) = state.engine.asked(request, None).await
        else {
            return;
        };
        let Some(similarities) = similarities.first() else {
            return;
        };
        let margins = margins(&wrong, similarities).into_iter();
        let margins = margins.map(|margin| (now.rows[margin.caption].0, margin.by)).collect();
        state.curve.update(|curve| curve.push(Point { alpha, margins }));
    }
}
