//! The adapter that the browser offers WebGPU on.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// A property, unless it's undefined or null.
pub fn member(of: &JsValue, name: &str) -> Option<JsValue> {
    let value = Reflect::get(of, &name.into()).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

/// The browser's WebGPU.
pub fn gpu() -> Option<JsValue> {
    member(&member(&js_sys::global(), "navigator")?, "gpu")
}

/// The default adapter.
pub async fn adapter() -> Option<JsValue> {
    let gpu = gpu()?;
    let request: Function = member(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let promise: Promise = request.call0(&gpu).ok()?.dyn_into().ok()?;
    let adapter = JsFuture::from(promise).await.ok()?;
    (!adapter.is_null() && !adapter.is_undefined()).then_some(adapter)
}

/// An adapter's description, vendor, architecture and device, as far as the browser reveals them.
pub fn describe(adapter: &JsValue) -> String {
    let info = member(adapter, "info");
    let part = |name: &str| {
        let part = member(info.as_ref()?, name)?.as_string()?;
        (!part.is_empty()).then_some(part)
    };
    let parts = ["description", "vendor", "architecture", "device"].into_iter().filter_map(part);
    parts.collect::<Vec<_>>().join(", ")
}
