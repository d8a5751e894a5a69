//! The engine's device.

use clove::device::OpenDevice;

use super::Failure;
#[cfg(feature = "engine-gpu")]
use crate::webgpu;

/// A device; each program has the code for one.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One core, with SIMD.
    #[cfg(feature = "engine-cpu")]
    Cpu,
    /// The tab's GPU.
    #[cfg(feature = "engine-gpu")]
    Gpu,
}

impl Kind {
    /// Opens it.
    ///
    /// # Errors
    /// If there's none, or it can't be opened.
    #[cfg_attr(
        not(feature = "engine-gpu"),
        expect(clippy::unused_async, reason = "the GPU opens asynchronously")
    )]
    pub async fn open(self) -> Result<OpenDevice, Failure> {
        match self {
            #[cfg(feature = "engine-cpu")]
            Self::Cpu => Ok(clove::device::cpu()),
            #[cfg(feature = "engine-gpu")]
            Self::Gpu => open_gpu().await,
        }
    }
}

/// Opens WebGPU with subgroups: burn writes `enable subgroups;` into its shaders where the adapter has them, but doesn't request
/// them, and Chrome rejects such shaders. Ends the worker if the device is lost, because requests would wait forever.
#[cfg(feature = "engine-gpu")]
async fn open_gpu() -> Result<OpenDevice, Failure> {
    super::checked(gpu::ask_for_subgroups())?;
    let adapter = webgpu::adapter().await.ok_or("WebGPU has no adapter here")?;
    let name = match webgpu::describe(&adapter) {
        name if name.is_empty() => "an adapter without a name".to_owned(),
        name => name,
    };
    Ok(clove::device::webgpu(name).await?)
}

#[cfg(feature = "engine-gpu")]
mod gpu {
    use js_sys::{Array, Function, Object, Promise, Reflect};
    use wasm_bindgen::prelude::*;
    use wasm_bindgen_futures::{JsFuture, spawn_local};

    /// Wraps `GPUAdapter.requestDevice`, to request `subgroups` where the adapter has them.
    pub fn ask_for_subgroups() -> Result<(), JsValue> {
        type Request = dyn FnMut(JsValue, JsValue) -> Result<JsValue, JsValue>;
        let class = Reflect::get(&js_sys::global(), &"GPUAdapter".into())?;
        if class.is_undefined() {
            return Err(js_sys::Error::new("this browser has no WebGPU").into());
        }
        let prototype = Reflect::get(&class, &"prototype".into())?;
        let original: Function = Reflect::get(&prototype, &"requestDevice".into())?.dyn_into()?;
        if Reflect::has(&original, &"clove".into())? {
            return Ok(());
        }
        let wrapped = Closure::<Request>::new(move |adapter: JsValue, descriptor: JsValue| {
            let descriptor =
                if descriptor.is_undefined() { Object::new().into() } else { descriptor };
            with_subgroups(&adapter, &descriptor)?;
            let device = original.call1(&adapter, &descriptor)?;
            spawn_local(watch(Promise::from(device.clone())));
            Ok(device)
        });
        // A method that passes `this` as its first argument. The page's policy forbids code in strings.
        let method = this_first(wrapped.as_ref().unchecked_ref());
        wrapped.forget();
        Reflect::set(&method, &"clove".into(), &true.into())?;
        Reflect::set(&prototype, &"requestDevice".into(), &method)?;
        Ok(())
    }

    /// Ends this worker when the device is lost, by an unhandled error.
    async fn watch(device: Promise) {
        let lost = async {
            let device = JsFuture::from(device).await?;
            let lost: Promise = Reflect::get(&device, &"lost".into())?.dyn_into()?;
            let info = JsFuture::from(lost).await?;
            Ok::<_, JsValue>(Reflect::get(&info, &"message".into())?.as_string())
        };
        // If there's no device, `requestDevice` has reported why.
        let Ok(message) = lost.await else { return };
        let message = message.filter(|message| !message.is_empty());
        let words = message.unwrap_or_else(|| "the browser gives no reason".to_owned());
        let error = js_sys::Error::new(&format!("the GPU was lost: {words}"));
        let report = Reflect::get(&js_sys::global(), &"reportError".into());
        if let Ok(report) = report.and_then(JsCast::dyn_into::<Function>) {
            let _ = report.call1(&js_sys::global(), &error);
        }
    }

    fn with_subgroups(adapter: &JsValue, descriptor: &JsValue) -> Result<(), JsValue> {
        let features = Reflect::get(adapter, &"features".into())?;
        let has: Function = Reflect::get(&features, &"has".into())?.dyn_into()?;
        if has.call1(&features, &"subgroups".into())?.is_falsy() {
            return Ok(());
        }
        let asked = Reflect::get(descriptor, &"requiredFeatures".into())?;
        let list = if asked.is_undefined() { Array::new() } else { Array::from(&asked) };
        if !list.includes(&"subgroups".into(), 0) {
            list.push(&"subgroups".into());
            Reflect::set(descriptor, &"requiredFeatures".into(), &list)?;
        }
        Ok(())
    }

    #[wasm_bindgen(module = "/src/engine/this-first.js")]
    extern "C" {
        #[wasm_bindgen(js_name = thisFirst)]
        fn this_first(function: &Function) -> Function;
    }
}
