//! Which engine is started, and why.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::UrlSearchParams;

use super::engine::Kind;
use super::text;

/// Names of adapters that compute on the CPU.
const SOFTWARE: [&str; 4] = ["swiftshader", "llvmpipe", "basic render", "software"];

/// A choice.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The engine.
    pub kind: Kind,
    /// Why, for people.
    pub why: String,
}

impl Choice {
    /// What is tried, one after the other: an engine may stop for a reason that passes, and where a GPU's does twice, there's the
    /// CPU.
    pub fn ladder(&self) -> impl Iterator<Item = Kind> + use<> {
        let ladder: &[Kind] = match self.kind {
            Kind::Gpu | Kind::TrainerGpu => &[Kind::Gpu, Kind::Gpu, Kind::Cpu, Kind::Cpu],
            Kind::Cpu | Kind::TrainerCpu => &[Kind::Cpu, Kind::Cpu],
        };
        ladder.iter().copied()
    }

    /// Why another engine is started after one that ended for a reason.
    pub fn again(&self, kind: Kind, reason: &str) -> String {
        if kind.is_gpu() == self.kind.is_gpu() {
            text::restarted(reason)
        } else {
            text::fell_back(reason)
        }
    }
}

/// The GPU where the tab has a real one, else the CPU, unless the address says (`?engine=cpu`, `?engine=gpu`).
pub async fn choose() -> Choice {
    let choice = |kind, why: &str| Choice { kind, why: why.to_owned() };
    match asked().as_deref() {
        Some("cpu") => return choice(Kind::Cpu, text::ASKED_CPU),
        Some("gpu") => return choice(Kind::Gpu, text::ASKED_GPU),
        _ => (),
    }
    if gpu().is_none() {
        return choice(Kind::Cpu, text::NO_WEBGPU);
    }
    match find_adapter().await {
        None => choice(Kind::Cpu, text::NO_ADAPTER),
        Some(Adapter { name, is_software: true }) => choice(Kind::Cpu, &text::software(&name)),
        Some(_) => choice(Kind::Gpu, text::GPU_FOUND),
    }
}

/// What the browser offers WebGPU on.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// As the browser says it.
    pub name: String,
    /// Whether it computes on the CPU.
    pub is_software: bool,
}

fn gpu() -> Option<JsValue> {
    member(&member(&leptos::prelude::window(), "navigator")?, "gpu")
}

/// The adapter that an engine would get.
pub async fn find_adapter() -> Option<Adapter> {
    let adapter = adapter(&gpu()?).await?;
    let info = member(&adapter, "info");
    let part = |name: &str| {
        let part = member(info.as_ref()?, name)?.as_string()?;
        (!part.is_empty()).then_some(part)
    };
    let parts: Vec<String> =
        ["description", "vendor", "architecture", "device"].into_iter().filter_map(part).collect();
    let name = parts.join(", ");
    let fallback = [info.as_ref(), Some(&adapter)]
        .into_iter()
        .flatten()
        .filter_map(|object| member(object, "isFallbackAdapter"))
        .any(|value| value.is_truthy());
    let lower = name.to_lowercase();
    Some(Adapter {
        is_software: fallback || SOFTWARE.iter().any(|known| lower.contains(known)),
        name,
    })
}

fn asked() -> Option<String> {
    let search = leptos::prelude::window().location().search().ok()?;
    UrlSearchParams::new_with_str(&search).ok()?.get("engine")
}

/// A property that's there.
fn member(of: &JsValue, name: &str) -> Option<JsValue> {
    let value = Reflect::get(of, &name.into()).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

async fn adapter(gpu: &JsValue) -> Option<JsValue> {
    let request: Function = member(gpu, "requestAdapter")?.dyn_into().ok()?;
    let promise: Promise = request.call0(gpu).ok()?.dyn_into().ok()?;
    let adapter = JsFuture::from(promise).await.ok()?;
    (!adapter.is_null() && !adapter.is_undefined()).then_some(adapter)
}
