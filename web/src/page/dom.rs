//! Small dealings with the browser.

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, HtmlElement, Url, UrlSearchParams};

/// Puts the state into the address, without a step in the history.
pub fn keep_hash(hash: &str) {
    // Refused when called too often; the next call mends it.
    let _ = window().history().and_then(|history| {
        history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("#{hash}")))
    });
}

/// Focuses an element once it's on the page, before the next key is pressed.
pub fn focus_soon(id: String) {
    leptos::task::spawn_local(async move {
        leptos::task::tick().await;
        let found = document().get_element_by_id(&id);
        if let Some(element) = found.and_then(|one| one.dyn_into::<HtmlElement>().ok()) {
            let _ = element.focus();
        }
    });
}

/// Presses a hidden control, such as a file chooser.
pub fn press(id: &str) {
    let found = document().get_element_by_id(id);
    if let Some(element) = found.and_then(|one| one.dyn_into::<HtmlElement>().ok()) {
        element.click();
    }
}

/// Asks the browser not to clear what is kept here when room is short.
pub fn persist() {
    let storage = window().navigator().storage();
    if !storage.is_undefined() {
        // It may say no, and keeps the files all the same for now.
        let _ = storage.persist();
    }
}

/// Saves a file.
pub fn save(blob: &Blob, name: &str) {
    let Ok(url) = Url::create_object_url_with_blob(blob) else {
        return;
    };
    let link = document().create_element("a");
    if let Some(link) = link.ok().and_then(|one| one.dyn_into::<HtmlAnchorElement>().ok()) {
        link.set_href(&url);
        link.set_download(name);
        link.click();
    }
    // The download has begun by then.
    gloo_timers::callback::Timeout::new(10_000, move || {
        let _ = Url::revoke_object_url(&url);
    })
    .forget();
}

/// The page's own address with these parameters, and the engine that this one asks for.
pub fn page_address(parameters: &[&str]) -> String {
    let mut parts: Vec<String> = parameters.iter().map(ToString::to_string).collect();
    let search = window().location().search().unwrap_or_default();
    let engine = UrlSearchParams::new_with_str(&search)
        .ok()
        .and_then(|search| search.get("engine"))
        // What it may be is checked where it's used; here it must be nothing but a word.
        .filter(|engine| engine.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    parts.extend(engine.map(|engine| format!("engine={engine}")));
    if parts.is_empty() { "./".to_owned() } else { format!("./?{}", parts.join("&")) }
}

/// Bytes as a file.
///
/// # Errors
/// When the browser has no room.
pub fn blob(bytes: &Uint8Array, kind: &str) -> Result<Blob, JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(kind);
    Blob::new_with_u8_array_sequence_and_options(&Array::of1(bytes), &options)
}

/// Text as a file.
///
/// # Errors
/// When the browser has no room.
pub fn text_blob(text: &str, kind: &str) -> Result<Blob, JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(kind);
    Blob::new_with_str_sequence_and_options(&Array::of1(&text.into()), &options)
}

/// A file's bytes.
///
/// # Errors
/// In words, when it can't be read.
pub async fn read(file: &Blob) -> Result<Uint8Array, String> {
    let buffer = JsFuture::from(file.array_buffer()).await;
    let buffer = buffer.map_err(|error| {
        let error = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
        error.map_or_else(|| super::text::ODD_ANSWER.to_owned(), String::from)
    })?;
    Ok(Uint8Array::new(&buffer))
}

/// Longest that the first visit waits for its service worker, in milliseconds.
const PATIENCE: u32 = 1_500;

/// So that a second visit works offline; where there's none, as on plain HTTP, the page works all the same.
///
/// Waits a little for the service worker: an engine that starts under it is kept by it.
pub async fn service_worker() {
    let begun = promise(|| async {
        // What fails here is done without.
        let _ = begin_service_worker().await;
        Ok(JsValue::UNDEFINED)
    });
    let late = promise(|| async {
        gloo_timers::future::TimeoutFuture::new(PATIENCE).await;
        Ok(JsValue::UNDEFINED)
    });
    let _ = JsFuture::from(Promise::race(&Array::of2(&begun, &late))).await;
}

fn promise<D>(work: impl FnOnce() -> D) -> Promise
where
    D: Future<Output = Result<JsValue, JsValue>> + 'static,
{
    wasm_bindgen_futures::future_to_promise(work())
}

async fn begin_service_worker() -> Result<(), JsValue> {
    let navigator = window().navigator();
    if !Reflect::get(&navigator, &"serviceWorker".into())?.is_truthy() {
        return Ok(());
    }
    let container = navigator.service_worker();
    // The program's name holds its hash, so each build has a service worker and a cache of its own.
    let version = super::assets::named("program")
        .unwrap_or_default()
        .replace(|one: char| !one.is_ascii_alphanumeric(), "");
    JsFuture::from(container.register(&format!("service-worker.js?{version}"))).await?;
    let registration = JsFuture::from(container.ready()?).await?;
    let active = Reflect::get(&registration, &"active".into())?;
    let post: Function = Reflect::get(&active, &"postMessage".into())?.dyn_into()?;
    post.call1(&active, &fetched()?.into())?;
    Ok(())
}

/// The page and what it has fetched so far: on the first visit without the service worker.
fn fetched() -> Result<Array, JsValue> {
    let list = Array::of1(&window().location().href()?.into());
    let clock = Reflect::get(&window(), &"performance".into())?;
    let entries: Function = Reflect::get(&clock, &"getEntriesByType".into())?.dyn_into()?;
    let entries: Array = entries.call1(&clock, &"resource".into())?.dyn_into()?;
    for entry in entries.iter() {
        list.push(&Reflect::get(&entry, &"name".into())?);
    }
    Ok(list)
}
