//! The worker's side of the messages.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, File, MessageEvent};

use super::{Engine, Kind, library};
use crate::protocol::{Answer, Reply, Request};

/// The attachments of a request.
#[derive(Debug, Default)]
pub struct Enclosed {
    pub bytes: Option<Vec<u8>>,
    /// Files, by name in their folder.
    pub files: Vec<(String, File)>,
}

type Waiting = Rc<RefCell<VecDeque<(Request, Enclosed)>>>;

/// The worker's scope.
pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Milliseconds since the worker's start.
pub fn now() -> f64 {
    scope().performance().map_or(0.0, |clock| clock.now())
}

/// The size of the program's memory in bytes.
pub fn memory() -> f64 {
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: js_sys::ArrayBuffer = memory.buffer().unchecked_into();
    f64::from(buffer.byte_length())
}

/// Listens for requests, and reports readiness.
pub fn start(kind: Kind) {
    let waiting: Waiting = Rc::default();
    // None while a request is being answered.
    let engine = Rc::new(RefCell::new(Some(Engine::new(kind))));
    let listen = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let Some(request) = received(&event.data()) else {
            return;
        };
        let (Request { id, ask }, enclosed) = request;
        if library::answers(&ask) {
            spawn_local(async move { reply(id, library::answer(id, ask).await, None) });
            return;
        }
        waiting.borrow_mut().push_back((Request { id, ask }, enclosed));
        if let Some(idle) = engine.borrow_mut().take() {
            spawn_local(work(idle, engine.clone(), waiting.clone()));
        }
    });
    scope().set_onmessage(Some(listen.as_ref().unchecked_ref()));
    listen.forget();
    send("ready", None);
}

/// Answers waiting requests in order.
async fn work(mut engine: Engine, back: Rc<RefCell<Option<Engine>>>, waiting: Waiting) {
    loop {
        let next = waiting.borrow_mut().pop_front();
        let Some((request, enclosed)) = next else {
            break;
        };
        let (answer, bytes) = engine.answer(request.ask, enclosed).await;
        reply(request.id, answer, bytes);
    }
    *back.borrow_mut() = Some(engine);
}

/// Sends an answer or progress.
pub fn reply(id: u32, answer: Answer, bytes: Option<Vec<u8>>) {
    if let Ok(text) = serde_json::to_string(&Reply { id, answer }) {
        send(&text, bytes);
    }
}

fn received(data: &JsValue) -> Option<(Request, Enclosed)> {
    let parts = data.dyn_ref::<Array>()?;
    let request = serde_json::from_str(&parts.get(0).as_string()?).ok()?;
    let bytes = parts.get(1).dyn_ref::<Uint8Array>().map(Uint8Array::to_vec);
    let files = parts.get(2).dyn_into::<Array>().unwrap_or_default();
    let files = files.iter().filter_map(|file| {
        let file: File = file.dyn_into().ok()?;
        Some((file.name(), file))
    });
    let files = files.collect();
    Some((request, Enclosed { bytes, files }))
}

fn send(text: &str, bytes: Option<Vec<u8>>) {
    let bytes = bytes.map(|bytes| Uint8Array::from(bytes.as_slice()));
    let message = Array::of2(&text.into(), &bytes.as_ref().map_or(JsValue::NULL, JsValue::from));
    let handed = Array::new();
    if let Some(bytes) = &bytes {
        handed.push(&bytes.buffer());
    }
    // Fails only for values that can't be cloned; text and bytes can.
    let _ = scope().post_message_with_transfer(&message, &handed);
}
