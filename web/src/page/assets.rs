//! The page's own files, under the names that the build wrote into its script tag.

use js_sys::Uint8Array;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestInit, Response};

use super::text;

/// An attribute of the script tag.
pub fn named(name: &str) -> Option<String> {
    let tag = document().query_selector("script[data-program]").ok()??;
    tag.get_attribute(&format!("data-{name}"))
}

fn told(name: &str) -> Result<(String, String), String> {
    let both = named(name).zip(named(&format!("{name}-integrity")));
    both.ok_or_else(|| text::missing(name))
}

/// A worker's script, after checking its hash and that of the script it imports. Workers take no hash themselves; they load the
/// checked scripts from the cache.
pub async fn worker(name: &str) -> Result<String, String> {
    let (script, hashes) = told(name)?;
    let imported = script.replace("_loader.js", ".js");
    for (file, hash) in [&script, &imported].into_iter().zip(hashes.split(' ')) {
        fetch(file, hash).await.ok_or_else(|| text::missing(file))?;
    }
    Ok(script)
}

/// A file's bytes.
pub async fn bytes(name: &str) -> Result<Uint8Array, String> {
    let (file, hash) = told(name)?;
    fetch(&file, &hash).await.ok_or_else(|| text::missing(&file))
}

/// The scene models' files, one after the other, and the length of the first.
pub async fn scene_models() -> Result<(Uint8Array, u32), String> {
    let first = bytes("pretrained").await?;
    let second = bytes("deltas").await?;
    let both = Uint8Array::new_with_length(first.length() + second.length());
    both.set(&first, 0);
    both.set(&second, first.length());
    Ok((both, first.length()))
}

async fn fetch(file: &str, integrity: &str) -> Option<Uint8Array> {
    let options = RequestInit::new();
    options.set_integrity(integrity);
    let response = JsFuture::from(window().fetch_with_str_and_init(file, &options)).await.ok()?;
    let response: Response = response.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    let buffer = JsFuture::from(response.array_buffer().ok()?).await.ok()?;
    Some(Uint8Array::new(&buffer))
}
