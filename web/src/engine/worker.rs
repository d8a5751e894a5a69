//! The worker's side of the messages.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use super::Engine;
use crate::protocol::{Reply, Request};

type Waiting = Rc<RefCell<VecDeque<(Request, Option<Vec<u8>>)>>>;

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Milliseconds since the worker began.
pub fn now() -> f64 {
    scope().performance().map_or(0.0, |clock| clock.now())
}

/// Listens for requests, and says that it does.
pub fn start() {
    let waiting: Waiting = Rc::default();
    // None while a request is being answered.
    let engine = Rc::new(RefCell::new(Some(Engine::default())));
    let listen = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let Some(request) = received(&event.data()) else {
            return;
        };
        waiting.borrow_mut().push_back(request);
        if let Some(idle) = engine.borrow_mut().take() {
            spawn_local(work(idle, engine.clone(), waiting.clone()));
        }
    });
    scope().set_onmessage(Some(listen.as_ref().unchecked_ref()));
    listen.forget();
    send("ready", None);
}

/// Answers what waits, in its order.
async fn work(mut engine: Engine, back: Rc<RefCell<Option<Engine>>>, waiting: Waiting) {
    loop {
        let next = waiting.borrow_mut().pop_front();
        let Some((request, bytes)) = next else { break };
        let (answer, bytes) = engine.answer(request.ask, bytes).await;
        let reply = Reply {
            id: request.id,
            answer,
        };
        if let Ok(text) = serde_json::to_string(&reply) {
            send(&text, bytes);
        }
    }
    *back.borrow_mut() = Some(engine);
}

fn received(data: &JsValue) -> Option<(Request, Option<Vec<u8>>)> {
    let parts = data.dyn_ref::<Array>()?;
    let request = serde_json::from_str(&parts.get(0).as_string()?).ok()?;
    let bytes = parts.get(1).dyn_ref::<Uint8Array>().map(Uint8Array::to_vec);
    Some((request, bytes))
}

fn send(text: &str, bytes: Option<Vec<u8>>) {
    let bytes = bytes.map(|bytes| Uint8Array::from(bytes.as_slice()));
    let message = Array::of2(
        &text.into(),
        &bytes.as_ref().map_or(JsValue::NULL, JsValue::from),
    );
    let handed = Array::new();
    if let Some(bytes) = &bytes {
        handed.push(&bytes.buffer());
    }
    // Fails only for what can't be cloned, and text and bytes can.
    let _ = scope().post_message_with_transfer(&message, &handed);
}
