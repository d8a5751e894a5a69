//! The choice of an engine.

use super::engine::Kind;
use super::{dom, text};
use crate::webgpu::{self, member};

/// Parts of the names of software adapters.
const SOFTWARE: [&str; 4] = ["swiftshader", "llvmpipe", "basic render", "software"];

/// A choice of an engine.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The engine.
    pub kind: Kind,
    /// The reason, for display.
    pub why: String,
}

impl Choice {
    /// The engines to try in turn: each twice, and after WebGPU the CPU.
    pub fn ladder(&self) -> impl Iterator<Item = Kind> + use<> {
        let gpu = if self.kind.gpu { 2 } else { 0 };
        std::iter::repeat_n(Kind::GPU, gpu).chain([Kind::CPU; 2])
    }

    /// The reason for another engine, after one that ended.
    pub fn again(&self, kind: Kind, reason: &str) -> String {
        let words = if kind.gpu == self.kind.gpu { text::RESTARTED } else { text::FELL_BACK };
        format!("{words}{reason}")
    }
}

/// Chooses WebGPU if the tab has a hardware adapter, else the CPU; `?engine=gpu` and `?engine=cpu` override.
pub async fn choose() -> Choice {
    let choice = |kind, why: &str| Choice { kind, why: why.to_owned() };
    match dom::parameter("engine").as_deref() {
        Some("cpu") => return choice(Kind::CPU, text::ASKED_CPU),
        Some("gpu") => return choice(Kind::GPU, text::ASKED_GPU),
        _ => (),
    }
    if webgpu::gpu().is_none() {
        return choice(Kind::CPU, text::NO_WEBGPU);
    }
    match find_adapter().await {
        None => choice(Kind::CPU, text::NO_ADAPTER),
        Some(Adapter { name, is_software: true }) => choice(Kind::CPU, &text::software(&name)),
        Some(_) => choice(Kind::GPU, text::GPU_FOUND),
    }
}

/// A WebGPU adapter.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// The browser's description.
    pub name: String,
    /// Whether it runs on the CPU.
    pub is_software: bool,
}

/// The adapter that an engine would get.
pub async fn find_adapter() -> Option<Adapter> {
    let adapter = webgpu::adapter().await?;
    let name = webgpu::describe(&adapter);
    let fallback = [member(&adapter, "info").as_ref(), Some(&adapter)]
        .into_iter()
        .flatten()
        .filter_map(|object| member(object, "isFallbackAdapter"))
        .any(|value| value.is_truthy());
    let lower = name.to_lowercase();
    let is_software = fallback || SOFTWARE.iter().any(|known| lower.contains(known));
    Some(Adapter { name, is_software })
}
