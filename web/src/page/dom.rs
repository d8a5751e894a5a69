//! Helpers for the browser's interfaces.

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{
    Blob, BlobPropertyBag, CanvasRenderingContext2d, Event, File, FileList, HtmlAnchorElement,
    HtmlCanvasElement, HtmlElement, HtmlInputElement, Url, UrlSearchParams,
};

/// Puts the state into the address, without a history entry.
pub fn keep_hash(hash: &str) {
    // Browsers limit the rate; the next call catches up.
    let _ = window().history().and_then(|history| {
        history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("#{hash}")))
    });
}

/// Focuses an element once it's on the page.
pub fn focus_soon(id: String) {
    leptos::task::spawn_local(async move {
        leptos::task::tick().await;
        if let Some(element) = element(&id) {
            let _ = element.focus();
        }
    });
}

/// Clicks a hidden control, such as a file chooser.
pub fn press(id: &str) {
    if let Some(element) = element(id) {
        element.click();
    }
}

fn element(id: &str) -> Option<HtmlElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Asks the browser to keep the page's data when space is short.
pub fn persist() {
    let storage = window().navigator().storage();
    if !storage.is_undefined() {
        // It may refuse, and keeps the data for now.
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

/// A parameter of the page's address.
pub fn parameter(name: &str) -> Option<String> {
    let search = window().location().search().ok()?;
    UrlSearchParams::new_with_str(&search).ok()?.get(name)
}

/// The page's address with these parameters, and the current choice of an engine.
pub fn page_address(parameters: &[&str]) -> String {
    let mut parts: Vec<String> = parameters.iter().map(ToString::to_string).collect();
    // It becomes part of a link, so only a plain word is accepted.
    let engine = parameter("engine")
        .filter(|engine| engine.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    parts.extend(engine.map(|engine| format!("engine={engine}")));
    if parts.is_empty() { "./".to_owned() } else { format!("./?{}", parts.join("&")) }
}

/// The files of a list.
pub fn files(list: &FileList) -> impl Iterator<Item = File> {
    (0..list.length()).filter_map(|at| list.get(at))
}

/// Takes the files of a file chooser, and resets it, so that the same files can be chosen again.
pub fn chosen(take: impl Fn(FileList) + Copy) -> impl Fn(Event) + Copy {
    move |event| {
        let input: HtmlInputElement = event_target(&event);
        if let Some(files) = input.files() {
            take(files);
        }
        input.set_value("");
    }
}

/// A canvas of this size, and its context.
pub fn canvas(
    width: u32,
    height: u32,
) -> Result<(HtmlCanvasElement, CanvasRenderingContext2d), JsValue> {
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.dyn_into()?;
    canvas.set_width(width);
    canvas.set_height(height);
    let context = canvas.get_context("2d")?.ok_or(JsValue::NULL)?.dyn_into()?;
    Ok((canvas, context))
}

/// The message of a browser's error.
pub fn words(error: &JsValue) -> Option<String> {
    error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()))
}

/// Bytes as a file.
pub fn blob(bytes: &Uint8Array, kind: &str) -> Result<Blob, JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(kind);
    Blob::new_with_u8_array_sequence_and_options(&Array::of1(bytes), &options)
}

/// A file's bytes.
pub async fn read(file: &Blob) -> Result<Uint8Array, String> {
    match JsFuture::from(file.array_buffer()).await {
        Ok(buffer) => Ok(Uint8Array::new(&buffer)),
        Err(error) => Err(words(&error).unwrap_or_else(|| super::text::ODD_ANSWER.to_owned())),
    }
}

/// The longest wait for the service worker, in milliseconds.
const PATIENCE: u32 = 1_500;

/// Starts the service worker, so that later visits work offline. Without one, as on plain HTTP, the page works online.
///
/// Waits briefly, so that it caches the engine's files.
pub async fn service_worker() {
    let begun = future_to_promise(async {
        // The page works without it.
        let _ = begin_service_worker().await;
        Ok(JsValue::UNDEFINED)
    });
    let late = future_to_promise(async {
        gloo_timers::future::TimeoutFuture::new(PATIENCE).await;
        Ok(JsValue::UNDEFINED)
    });
    let _ = JsFuture::from(Promise::race(&Array::of2(&begun, &late))).await;
}

async fn begin_service_worker() -> Result<(), JsValue> {
    let navigator = window().navigator();
    if !Reflect::get(&navigator, &"serviceWorker".into())?.is_truthy() {
        return Ok(());
    }
    let container = navigator.service_worker();
    // The program's name contains its hash, so each build has its own service worker and cache.
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

/// The URLs that the page fetched before the service worker started.
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
