//! What the page has computed: the engine is kept running, and scores, words and the chart are kept up with what's shown.

use std::future::Future;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::state::{Heat, Point, Score, State};
use super::{library, pictures};
use crate::protocol::{Answer, Ask};
use crate::verdict::margins;

/// Milliseconds for which typing must rest before captions are scored.
const REST: u32 = 150;
/// Rests that are waited for: a slider that never rests is followed all the same.
const RESTS: usize = 2;
/// Points of the chart, less one.
const STEPS: u32 = 10;

/// Keeps an engine running, and hands it what the page has.
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

/// Does `work` whenever what's wanted changes, one at a time; the latest wish wins.
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

/// What is scored.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    image: u32,
    epoch: u32,
    /// Row, text, and whether it's a wrong one.
    rows: Vec<(u32, String, bool)>,
    alpha: f64,
}

impl Wanted {
    /// None while there's nothing to score or nobody to do it.
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

/// Keeps everything that's shown up to date.
pub fn keep_up(state: State) {
    let scores = Memo::new(move |_| Wanted::of(state, state.alpha.get()));
    keep(scores, REST, move |wanted| score(state, wanted));

    let words = Memo::new(move |_| {
        let mut wanted = Wanted::of(state, state.alpha.get())?;
        state.rows.with(|rows| {
            let explained = |id| rows.iter().any(|row| row.id == id && row.explained);
            wanted.rows.retain(|(id, ..)| explained(*id));
        });
        Some(wanted)
    });
    keep(words, REST, move |wanted| explain(state, wanted, words));

    let heat = Memo::new(move |_| {
        let mut wanted = Wanted::of(state, state.alpha.get())?;
        state.rows.with(|rows| {
            let heated = |id| rows.iter().any(|row| row.id == id && row.heated);
            wanted.rows.retain(|(id, ..)| heated(*id));
        });
        (!wanted.rows.is_empty()).then_some(wanted)
    });
    keep(heat, REST, move |wanted| warm(state, wanted));

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
    match state.engine.ask(request, None).await {
        Some(Ok((Answer::Scores { similarities, probabilities, .. }, _))) => {
            state.rows.update(|rows| {
                let scores = similarities.iter().zip(&probabilities);
                let mut found: std::collections::HashMap<u32, Score> = wanted
                    .rows
                    .iter()
                    .zip(scores)
                    .map(|((id, ..), (&similarity, &probability))| {
                        let score = Score { similarity, probability };
                        (*id, score)
                    })
                    .collect();
                for row in rows {
                    row.score = found.remove(&row.id);
                }
            })
        }
        Some(Err(reason)) => state.notice(reason),
        _ => (),
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
            Some(Ok((Answer::Words { words }, _))) => state.change(id, |row| row.words = words),
            Some(Err(reason)) => state.change(id, |row| row.note = Some(reason)),
            _ => (),
        }
    }
}

/// Where the model sees a caption.
async fn warm(state: State, wanted: Option<Wanted>) {
    let Some((wanted, caption)) = wanted.and_then(|wanted| {
        let caption = wanted.rows.first()?.1.clone();
        Some((wanted, caption))
    }) else {
        return state.heat.set(None);
    };
    let request = Ask::Heat { image: wanted.image, caption: caption.clone(), alpha: wanted.alpha };
    match state.engine.ask(request, None).await {
        Some(Ok((Answer::Heat { side, similarities, seen }, _))) => {
            state.heat.set(Some(Heat { picture: wanted.image, caption, side, similarities, seen }))
        }
        Some(Err(reason)) => state.notice(reason),
        _ => (),
    }
}

/// An alpha a request, so that scores don't wait for a whole chart.
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
        match state.engine.ask(request, None).await {
            Some(Ok((Answer::Curve { similarities, .. }, _))) => {
                let Some(similarities) = similarities.first() else {
                    return;
                };
                let found = margins(&wrong, similarities).into_iter();
                let point = Point {
                    alpha,
                    margins: found.map(|margin| (now.rows[margin.caption].0, margin.by)).collect(),
                };
                state.curve.update(|curve| curve.push(point));
            }
            Some(Err(reason)) => return state.notice(reason),
            _ => return,
        }
    }
}
