//! Runs from visit to visit: each in one file, in a cache of the browser that is the lab's own.

use js_sys::{Array, Uint8Array};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, Request, Response};

use super::super::dom;
use super::state::{Lab, Phase, Run};
use super::text;
use crate::lab::Measured;
use crate::lab::settings::Settings;
use crate::protocol::Ask;

/// The cache. Its name isn't one of those that the service worker clears.
const CACHE: &str = "lab-runs";
/// The folder of runs beside the page, in name only.
const PLACE: &str = "lab-run/";

/// A name for a run that no other has, in whatever tab; later ones sort after earlier ones.
pub fn key() -> String {
    let chance = (js_sys::Math::random() * f64::from(u32::MAX)) as u32;
    format!("{:013.0}-{chance:08x}", js_sys::Date::now())
}

/// Where runs lie: of this page, since others may share its origin.
fn place() -> String {
    let base = document().base_uri().ok().flatten().unwrap_or_default();
    let folder = base.split(['?', '#']).next().unwrap_or_default();
    let end = folder.rfind('/').map_or(0, |at| at + 1);
    format!("{}{PLACE}", &folder[..end])
}

/// What a run's file says of it beside what the engine needs.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    settings: Settings,
    losses: Vec<f32>,
    points: Vec<(usize, Measured)>,
    milliseconds: f64,
    done: bool,
}

/// What is remembered of a run.
pub fn record(run: &Run) -> String {
    let record = Record {
        settings: run.settings,
        losses: run.losses.clone(),
        points: run.points.clone(),
        milliseconds: run.milliseconds,
        done: run.phase == Phase::Done || run.losses.len() >= run.settings.steps,
    };
    // Numbers and names are always JSON.
    serde_json::to_string(&record).unwrap_or_default()
}

/// The record in a run's file, a safetensors file with it in its metadata.
fn read(bytes: &[u8]) -> Option<Record> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__")]
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        record: String,
    }
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let header: Header = serde_json::from_slice(rest.get(..length)?).ok()?;
    serde_json::from_str(&header.metadata.record).ok()
}

async fn cache() -> Result<Cache, JsValue> {
    let caches = window().caches()?;
    Ok(JsFuture::from(caches.open(CACHE)).await?.unchecked_into())
}

/// Keeps a run's file, here and in the browser.
pub async fn keep(lab: Lab, id: u32, bytes: &Uint8Array) {
    let Some(run) = lab.run(id) else { return };
    lab.kept.update_value(|kept| {
        kept.insert(id, bytes.clone());
    });
    let put = async {
        let response = Response::new_with_opt_buffer_source(Some(bytes))?;
        let cache = cache().await?;
        let place = format!("{}{}", place(), run.key);
        JsFuture::from(cache.put_with_str(&place, &response)).await
    };
    // Absent on plain HTTP, and in private windows: there a run is kept while the page is open.
    let is_there = window().is_secure_context();
    match put.await {
        Ok(_) => dom::persist(),
        Err(_) if is_there => lab.notice(text::NOT_KEPT.to_owned()),
        Err(_) => (),
    }
}

/// Forgets a run or an opened model.
pub async fn forget(lab: Lab, run: &Run) {
    lab.kept.update_value(|kept| {
        kept.remove(&run.id);
    });
    remove(&run.key).await;
}

async fn remove(key: &str) {
    if let Ok(cache) = cache().await {
        // What isn't there needn't be deleted.
        let _ = JsFuture::from(cache.delete_with_str(&format!("{}{key}", place()))).await;
    }
}

/// Puts the runs of earlier visits into the table.
pub async fn list(lab: Lab) {
    // Where there's no cache there's none.
    let Ok(found) = all().await else { return };
    let mut spoilt = 0;
    for (key, bytes) in found {
        let Some(record) = read(&bytes.to_vec()) else {
            // Another version's, or cut off: it can't be used, and would take room for ever.
            remove(&key).await;
            spoilt += 1;
            continue;
        };
        let id = lab.name();
        lab.kept.update_value(|kept| {
            kept.insert(id, bytes);
        });
        lab.runs.update(|runs| {
            runs.push(Run {
                id,
                key,
                file: None,
                settings: record.settings.sound(),
                losses: record.losses,
                points: record.points,
                milliseconds: record.milliseconds,
                phase: if record.done { Phase::Done } else { Phase::Paused },
            });
        });
        lab.shown.set(Some(id));
    }
    if spoilt > 0 {
        lab.notice(text::spoilt(spoilt));
    }
}

async fn all() -> Result<Vec<(String, Uint8Array)>, JsValue> {
    let cache = cache().await?;
    let requests: Array = JsFuture::from(cache.keys()).await?.dyn_into()?;
    let (mut found, place) = (Vec::new(), place());
    for request in requests.iter() {
        let request: Request = request.dyn_into()?;
        let url = request.url();
        let Some(key) = url.strip_prefix(&place) else {
            continue;
        };
        let response = JsFuture::from(cache.match_with_request(&request)).await?;
        let response: Response = response.dyn_into()?;
        let buffer = JsFuture::from(response.array_buffer()?).await?;
        found.push((key.to_owned(), Uint8Array::new(&buffer)));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Gives a new engine all runs and opened models. A run is then where it was kept last.
pub async fn hand_over(lab: Lab) {
    for run in lab.runs.get_untracked() {
        let bytes = lab.kept.with_value(|kept| kept.get(&run.id).cloned());
        let ask = match (&run.file, &bytes) {
            (Some(name), _) => Ask::OpenModel { held: run.id, name: name.clone() },
            (None, Some(_)) => Ask::RestoreRun { run: run.id, settings: run.settings },
            // It was never kept: it begins again.
            (None, None) => Ask::StartRun { run: run.id, settings: run.settings },
        };
        if run.file.is_none() {
            let record = bytes.as_ref().and_then(|bytes| read(&bytes.to_vec()));
            lab.change(run.id, |run| {
                let record = record.as_ref();
                run.losses = record.map(|record| record.losses.clone()).unwrap_or_default();
                run.points = record.map(|record| record.points.clone()).unwrap_or_default();
                run.milliseconds = record.map_or(0.0, |record| record.milliseconds);
            });
        }
        // The engine takes what it's given.
        let copy = bytes.map(|bytes| bytes.slice(0, bytes.length()));
        if let Some(Err(reason)) = lab.engine.ask(ask, copy).await {
            lab.change(run.id, |run| run.phase = Phase::Failed(reason));
        }
    }
}
