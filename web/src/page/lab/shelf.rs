//! Storage of runs across visits: one file each, in a cache of the browser.

use js_sys::{Array, Uint8Array};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, Request, Response};

use super::super::dom;
use super::super::engine::Failure;
use super::state::{Lab, Phase, Run};
use super::text;
use crate::lab::Measured;
use crate::lab::settings::Settings;
use crate::protocol::Ask;

/// The cache's name. The service worker doesn't clear it.
const CACHE: &str = "lab-runs";
/// The folder of runs beside the page; it exists in the cache only.
const PLACE: &str = "lab-run/";

/// A name for a run, unique across tabs; names sort by time.
pub fn key() -> String {
    let chance = (js_sys::Math::random() * f64::from(u32::MAX)) as u32;
    format!("{:013.0}-{chance:08x}", js_sys::Date::now())
}

/// The URL of this page's runs; other pages may share the origin.
fn place() -> String {
    let base = document().base_uri().ok().flatten().unwrap_or_default();
    let folder = base.split(['?', '#']).next().unwrap_or_default();
    let end = folder.rfind('/').map_or(0, |at| at + 1);
    format!("{}{PLACE}", &folder[..end])
}

/// The page's record in a run's file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    settings: Settings,
    losses: Vec<f32>,
    points: Vec<(usize, Measured)>,
    milliseconds: f64,
    done: bool,
}

/// The record of a run, as JSON.
pub fn record(run: &Run) -> String {
    let record = Record {
        settings: run.settings,
        losses: run.losses.clone(),
        points: run.points.clone(),
        milliseconds: run.milliseconds,
        done: run.phase == Phase::Done || run.losses.len() >= run.settings.steps,
    };
    // Numbers and names always serialize.
    serde_json::to_string(&record).unwrap_or_default()
}

/// Reads the record from the metadata of a run's safetensors file.
fn read(bytes: &[u8]) -> Option<Record> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let header: serde_json::Value = serde_json::from_slice(rest.get(..length)?).ok()?;
    serde_json::from_str(header["__metadata__"]["record"].as_str()?).ok()
}

async fn cache() -> Result<Cache, JsValue> {
    let caches = window().caches()?;
    Ok(JsFuture::from(caches.open(CACHE)).await?.unchecked_into())
}

/// Keeps a run's file, in the page and in the browser's storage.
pub async fn keep(lab: Lab, id: u32, bytes: &Uint8Array) {
    let Some(run) = lab.run(id) else { return };
    lab.keep(id, bytes.clone());
    let put = async {
        let response = Response::new_with_opt_buffer_source(Some(bytes))?;
        let cache = cache().await?;
        let place = format!("{}{}", place(), run.key);
        JsFuture::from(cache.put_with_str(&place, &response)).await
    };
    // Without a cache, as on plain HTTP and in private windows, a run lasts until the page closes.
    let is_there = window().is_secure_context();
    match put.await {
        Ok(_) => dom::persist(),
        Err(_) if is_there => lab.engine.notice(text::NOT_KEPT.to_owned()),
        Err(_) => (),
    }
}

/// Removes a run or an opened model.
pub async fn forget(lab: Lab, run: &Run) {
    lab.kept.update_value(|kept| {
        kept.remove(&run.id);
    });
    remove(&run.key).await;
}

async fn remove(key: &str) {
    if let Ok(cache) = cache().await {
        // A missing file is no error.
        let _ = JsFuture::from(cache.delete_with_str(&format!("{}{key}", place()))).await;
    }
}

/// Lists the runs of earlier visits.
pub async fn list(lab: Lab) {
    // Without a cache there are none.
    let Ok(found) = all().await else { return };
    let mut spoilt = 0;
    for (key, bytes) in found {
        let Some(record) = read(&bytes.to_vec()) else {
            // Another version's, or truncated.
            remove(&key).await;
            spoilt += 1;
            continue;
        };
        let id = lab.name();
        lab.keep(id, bytes);
        lab.add(Run {
            losses: record.losses,
            points: record.points,
            milliseconds: record.milliseconds,
            phase: if record.done { Phase::Done } else { Phase::Paused },
            ..Run::new(id, key, record.settings.sound())
        });
    }
    if spoilt > 0 {
        lab.engine.notice(text::spoilt(spoilt));
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

/// Sends all runs and opened models to a new engine. Runs return to their last saved step.
pub async fn hand_over(lab: Lab) {
    for run in lab.runs.get_untracked() {
        let bytes = lab.kept.with_value(|kept| kept.get(&run.id).cloned());
        let ask = match (&run.file, &bytes) {
            (Some(name), _) => Ask::OpenModel { held: run.id, name: name.clone() },
            (None, Some(_)) => Ask::RestoreRun { run: run.id, settings: run.settings },
            // It was never saved: it starts over.
            (None, None) => Ask::StartRun { run: run.id, settings: run.settings },
        };
        if run.file.is_none() {
            let record = bytes.as_ref().and_then(|bytes| read(&bytes.to_vec()));
            let kept = record.map(|record| (record.losses, record.points, record.milliseconds));
            lab.change(run.id, |run| {
                (run.losses, run.points, run.milliseconds) = kept.unwrap_or_default();
            });
        }
        // Bytes are transferred, so the engine gets a copy.
        let copy = bytes.map(|bytes| bytes.slice(0, bytes.length()));
        if let Err(Failure::Refused(reason)) = lab.engine.ask(ask, copy).await {
            lab.change(run.id, |run| run.phase = Phase::Failed(reason));
        }
    }
}
