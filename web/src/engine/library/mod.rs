//! Models that are downloaded and stored in the browser. These requests bypass the queue, so that downloads don't delay scores.

mod download;
mod store;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use wasm_bindgen_futures::spawn_local;
use web_sys::AbortController;

use super::files::BrowserFiles;
use super::{Failure, checked, worker};
use crate::hub::{HUB, Place};
use crate::protocol::{Answer, Ask, Found};

/// Milliseconds between reports of progress.
const PACE: u32 = 100;

thread_local! {
    /// Running downloads, by request.
    static RUNNING: RefCell<HashMap<u32, AbortController>> = RefCell::default();
}

/// Whether this module answers a request.
pub fn answers(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::Look { .. } | Ask::Fetch { .. } | Ask::Stop { .. } | Ask::Kept | Ask::Forget { .. }
    )
}

/// Answers a request, and reports progress meanwhile.
pub async fn answer(id: u32, ask: Ask) -> Answer {
    let answered = match ask {
        Ask::Look { place, hub } => look(&place, hub.as_deref()).await,
        Ask::Fetch { place, hub } => fetch(id, &place, hub.as_deref()).await,
        Ask::Stop { fetch } => {
            RUNNING.with_borrow(|running| {
                if let Some(fetch) = running.get(&fetch) {
                    fetch.abort();
                }
            });
            Ok(Answer::Done)
        }
        Ask::Forget { place } => match store::forget(&place).await {
            Ok(()) => store::kept().await.map(Answer::Kept),
            Err(why) => Err(format!("{place}: {}", why.0).into()),
        },
        _ => store::kept().await.map(Answer::Kept),
    };
    answered.unwrap_or_else(|failure| Answer::Failed { reason: failure.0 })
}

/// A hub's URL without a trailing slash.
fn hub(named: Option<&str>) -> &str {
    named.unwrap_or(HUB).trim_end_matches('/')
}

async fn look(place: &str, named: Option<&str>) -> Result<Answer, Failure> {
    let place = Place::parse(place)?;
    let files = download::look(&place, hub(named)).await?;
    Ok(Answer::Found(Found {
        place: place.name(),
        bytes: files.iter().map(|file| file.size).sum(),
        files: files.into_iter().map(|file| file.name).collect(),
    }))
}

async fn fetch(id: u32, place: &str, named: Option<&str>) -> Result<Answer, Failure> {
    let place = Place::parse(place)?;
    let stop = checked(AbortController::new())?;
    let signal = stop.signal();
    RUNNING.with_borrow_mut(|running| running.insert(id, stop));
    let telling = Rc::new(Telling { id, latest: Cell::new((0, None)), waits: Cell::new(false) });
    let progress = |done: u64, total: Option<u64>| telling.tell(done, total);
    let fetched = download::fetch(&place, hub(named), &signal, &progress).await;
    RUNNING.with_borrow_mut(|running| running.remove(&id));
    fetched?;
    store::kept().await.map(Answer::Kept)
}

/// Reports the latest progress of a download, at most once per [`PACE`].
struct Telling {
    id: u32,
    latest: Cell<(u64, Option<u64>)>,
    waits: Cell<bool>,
}

impl Telling {
    fn tell(self: &Rc<Self>, done: u64, total: Option<u64>) {
        self.latest.set((done, total));
        if !self.waits.replace(true) {
            let telling = self.clone();
            spawn_local(async move {
                TimeoutFuture::new(PACE).await;
                telling.waits.set(false);
                let (done, total) = telling.latest.get();
                worker::reply(telling.id, Answer::Progress { done, total }, None);
            });
        }
    }
}

/// The files of a stored model.
pub async fn files(place: &str) -> Result<BrowserFiles, Failure> {
    let shelf = store::Shelf::open(place, false).await;
    let shelf = shelf.map_err(|why| format!("{place} is not stored here: {}", why.0))?;
    let record = shelf.record().await;
    if !record.is_complete() {
        return Err(format!("{place} is incomplete; resume its download").into());
    }
    Ok(BrowserFiles::new(place, shelf.files(&record).await?))
}
