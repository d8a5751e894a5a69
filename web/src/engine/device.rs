//! The device that this engine computes on.

use clove::device::OpenDevice;

use super::Failure;

/// Which device a program computes on: each has the code for one.
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
    /// In words, when there is none or it can't be opened.
    #[cfg_attr(
        not(feature = "engine-gpu"),
        expect(clippy::unused_async, reason = "the GPU takes its time to open")
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

/// burn writes `enable subgroups;` into its shaders where the adapter has them, and opens the device without asking for them,
/// which Chrome refuses; so they're asked for on the way. What comes back is watched: nothing else tells of a device that is
/// lost, and what waits for it would wait for ever.
#[cfg(feature = "engine-gpu")]
async fn open_gpu() -> Result<OpenDevice, Failure> {
    gpu::ask_for_subgroups().map_err(|error| gpu::words(&error))?;
    let adapter = gpu::adapter().await.map_err(|error| gpu::words(&error))?;
    clove::device::webgpu(adapter).await.map_err(super::failure)
}

#[cfg(feature = "engine-gpu")]
mod gpu {
    use js_sys::{Array, Function, Object, Promise, Reflect};
    use wasm_bindgen::prelude::*;
    use wasm_bindgen_futures::{JsFuture, spawn_local};

    pub fn words(error: &JsValue) -> String {
        error
            .dyn_ref::<js_sys::Error>()
            .map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
    }

    /// The adapter's name, for people.
    pub async fn adapter() -> Result<String, JsValue> {
        let navigator = Reflect::get(&js_sys::global(), &"navigator".into())?;
        let gpu = Reflect::get(&navigator, &"gpu".into())?;
        if gpu.is_undefined() {
            return Err(js_sys::Error::new("this browser has no WebGPU").into());
        }
        let request: Function = Reflect::get(&gpu, &"requestAdapter".into())?.dyn_into()?;
        let adapter = JsFuture::from(Promise::from(request.call0(&gpu)?)).await?;
        if adapter.is_null() {
            return Err(js_sys::Error::new("WebGPU has no adapter here").into());
        }
        let info = Reflect::get(&adapter, &"info".into())?;
        let part = |name: &str| {
            Reflect::get(&info, &name.into())
                .ok()
                .and_then(|value| value.as_string())
                .filter(|text| !text.is_empty())
        };
        let parts: Vec<String> =
            ["description", "vendor", "architecture"].into_iter().filter_map(part).collect();
        Ok(if parts.is_empty() { "an adapter without a name".to_owned() } else { parts.join(", ") })
    }

    /// Wraps `GPUAdapter.requestDevice`, so that `subgroups` is among what is asked for where the adapter has it.
    pub fn ask_for_subgroups() -> Result<(), JsValue> {
        let class = Reflect::get(&js_sys::global(), &"GPUAdapter".into())?;
        if class.is_undefined() {
            return Err(js_sys::Error::new("this browser has no WebGPU").into());
        }
        let prototype = Reflect::get(&class, &"prototype".into())?;
        let original: Function = Reflect::get(&prototype, &"requestDevice".into())?.dyn_into()?;
        if Reflect::has(&original, &"clove".into())? {
            return Ok(());
        }
        let wrapped = Closure::wrap(Box::new(move |adapter: JsValue, descriptor: JsValue| {
            let descriptor =
                if descriptor.is_undefined() { Object::new().into() } else { descriptor };
            with_subgroups(&adapter, &descriptor)?;
            let device = original.call1(&adapter, &descriptor)?;
            spawn_local(watch(Promise::from(device.clone())));
            Ok(device)
        })
            as Box<dyn FnMut(JsValue, JsValue) -> Result<JsValue, JsValue>>);
        // A method that hands its `this` on. Made of bind alone: a strict policy forbids code in strings.
        let method = this_first(wrapped.as_ref().unchecked_ref());
        wrapped.forget();
        Reflect::set(&method, &"clove".into(), &true.into())?;
        Reflect::set(&prototype, &"requestDevice".into(), &method)?;
        Ok(())
    }

    /// Ends this worker, as any error does that nobody handles, when the device is lost.
    async fn watch(device: Promise) {
        let lost = async {
            let device = JsFuture::from(device).await?;
            let lost: Promise = Reflect::get(&device, &"lost".into())?.dyn_into()?;
            let info = JsFuture::from(lost).await?;
            Ok::<_, JsValue>(Reflect::get(&info, &"message".into())?.as_string())
        };
        // Who asked for the device hears why there's none.
        let Ok(message) = lost.await else { return };
        let message = message.filter(|message| !message.is_empty());
        let words = message.unwrap_or_else(|| "the browser doesn't say why".to_owned());
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
