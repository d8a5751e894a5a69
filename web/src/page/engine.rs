//! The page's side of the messages: one engine, from start to end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{ErrorEvent, Event, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::{assets, text};
use crate::protocol::{Answer, Ask, Reply, Request};

/// The longest start of an engine, in milliseconds; the slowest known software adapter takes 90 s.
const PATIENCE: u32 = 180_000;

/// A program of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Whether it runs on WebGPU.
    pub gpu: bool,
    /// Whether it can train.
    pub trains: bool,
}

impl Kind {
    /// On the CPU, without training.
    pub const CPU: Self = Self { gpu: false, trains: false };
    /// On WebGPU, without training.
    pub const GPU: Self = Self { gpu: true, trains: false };

    fn name(self) -> String {
        let program = if self.trains { "trainer" } else { "engine" };
        let device = if self.gpu { "gpu" } else { "cpu" };
        format!("{program}-{device}")
    }
}

/// An answer and its bytes.
pub type Answered = Result<(Answer, Option<Uint8Array>), Failure>;

/// Why there's no answer.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The engine ended.
    Ended,
    /// The engine refused, for this reason.
    Refused(String),
}

/// A running engine.
#[derive(Clone)]
pub struct Engine(Rc<Inner>);

struct Inner {
    worker: Worker,
    next: Cell<u32>,
    pending: RefCell<HashMap<u32, Pending>>,
    /// Resolves at the end, with the reason.
    end: Promise,
    tell_end: Function,
    ended: Cell<bool>,
    handlers: RefCell<Option<Handlers>>,
}

/// A request waiting for its reply.
struct Pending {
    /// Resolved with the reply's parts, or with undefined at the engine's end.
    resolve: Function,
    progress: Option<Progress>,
}

/// Receives [`Answer::Progress`]: bytes so far, and in total.
type Progress = Rc<dyn Fn(u64, Option<u64>)>;

struct Handlers {
    _message: Closure<dyn FnMut(MessageEvent)>,
    _error: Closure<dyn FnMut(Event)>,
}

/// A promise, and the function that resolves it.
fn promise() -> (Promise, Function) {
    // The executor runs at once. `Function::default` would compile a string, which the page's policy forbids.
    let mut resolves: Function = JsValue::UNDEFINED.unchecked_into();
    let promise = Promise::new(&mut |resolve, _| resolves = resolve);
    (promise, resolves)
}

impl Engine {
    /// Starts an engine and opens the scene models; returns its answer.
    pub async fn open(kind: Kind) -> Result<(Self, Answer), String> {
        // Fetched while the worker starts; cached for the next engine.
        let models = assets::scene_models();
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let script = assets::worker(&kind.name()).await?;
        let worker =
            Worker::new_with_options(&script, &options).map_err(|_| text::NO_WORKER.to_owned())?;
        let (end, tell_end) = promise();
        let (ready, tell_ready) = promise();
        let engine = Self(Rc::new(Inner {
            worker,
            next: Cell::new(0),
            pending: RefCell::default(),
            end,
            tell_end,
            ended: Cell::new(false),
            handlers: RefCell::default(),
        }));
        engine.listen(tell_ready);
        let late = engine.clone();
        let patience =
            gloo_timers::callback::Timeout::new(PATIENCE, move || late.stop(text::SILENT));
        let both = Array::of2(&ready, &engine.0.end);
        // Neither promise rejects.
        let _ = JsFuture::from(Promise::race(&both)).await;
        let opened = match models.await {
            Ok((bytes, pretrained)) => engine.ask(Ask::Open { pretrained }, Some(bytes)).await,
            Err(reason) => Err(Failure::Refused(reason)),
        };
        patience.cancel();
        let reason = match opened {
            Ok((answer @ Answer::Opened { .. }, _)) => return Ok((engine, answer)),
            Ok(_) => text::ODD_ANSWER.to_owned(),
            Err(Failure::Refused(reason)) => reason,
            Err(Failure::Ended) => return Err(engine.ended().await),
        };
        engine.stop(&reason);
        Err(reason)
    }

    fn listen(&self, tell_ready: Function) {
        let weak = Rc::downgrade(&self.0);
        let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let (Some(inner), Some(parts)) =
                (weak.upgrade(), event.data().dyn_into::<Array>().ok())
            else {
                return;
            };
            let Some(text) = parts.get(0).as_string() else {
                return;
            };
            if text == "ready" {
                let _ = tell_ready.call0(&JsValue::NULL);
                return;
            }
            let Ok(reply) = serde_json::from_str::<Number>(&text) else {
                return Self(inner).stop(text::ODD_ANSWER);
            };
            let progress =
                inner.pending.borrow().get(&reply.id).and_then(|one| one.progress.clone());
            if let Some(progress) = progress
                && let Ok(Reply { answer: Answer::Progress { done, total }, .. }) =
                    serde_json::from_str(&text)
            {
                return progress(done, total);
            }
            let pending = inner.pending.borrow_mut().remove(&reply.id);
            if let Some(Pending { resolve, .. }) = pending {
                let _ = resolve.call1(&JsValue::NULL, &parts);
            }
        });
        let weak = Rc::downgrade(&self.0);
        let error = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            event.prevent_default();
            let said = event.dyn_ref::<ErrorEvent>().map(ErrorEvent::message);
            let reason = said.filter(|said| !said.is_empty());
            if let Some(inner) = weak.upgrade() {
                Self(inner).stop(reason.as_deref().unwrap_or(text::STOPPED));
            }
        });
        let worker = &self.0.worker;
        worker.set_onmessage(Some(message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(error.as_ref().unchecked_ref()));
        *self.0.handlers.borrow_mut() = Some(Handlers { _message: message, _error: error });
    }

    /// Asks, and waits for the answer. Transfers `bytes`.
    pub async fn ask(&self, ask: Ask, bytes: Option<Uint8Array>) -> Answered {
        self.ask_with(self.number(), ask, bytes, None, None).await
    }

    /// A number for [`Self::ask_with`].
    pub fn number(&self) -> u32 {
        let id = self.0.next.get();
        self.0.next.set(id.wrapping_add(1));
        id
    }

    /// Asks under a number from [`Self::number`], with files, and reports progress.
    pub async fn ask_with(
        &self,
        id: u32,
        ask: Ask,
        bytes: Option<Uint8Array>,
        files: Option<&Array>,
        progress: Option<Progress>,
    ) -> Answered {
        let inner = &self.0;
        if inner.ended.get() {
            return Err(Failure::Ended);
        }
        let refused = |error: serde_json::Error| Failure::Refused(error.to_string());
        let text = serde_json::to_string(&Request { id, ask }).map_err(refused)?;
        let message =
            Array::of2(&text.into(), &bytes.as_ref().map_or(JsValue::NULL, JsValue::from));
        if let Some(files) = files {
            message.push(files);
        }
        let handed = Array::new();
        if let Some(bytes) = &bytes {
            handed.push(&bytes.buffer());
        }
        let (answered, resolve) = promise();
        inner.pending.borrow_mut().insert(id, Pending { resolve, progress });
        if inner.worker.post_message_with_transfer(&message, &handed).is_err() {
            inner.pending.borrow_mut().remove(&id);
            return Err(Failure::Refused(text::ODD_ANSWER.to_owned()));
        }
        let parts = JsFuture::from(answered)
            .await
            .ok()
            .and_then(|parts| parts.dyn_into::<Array>().ok())
            .ok_or(Failure::Ended)?;
        let text = parts.get(0).as_string().unwrap_or_default();
        let reply: Reply = serde_json::from_str(&text).map_err(refused)?;
        match reply.answer {
            Answer::Failed { reason } => Err(Failure::Refused(reason)),
            answer => Ok((answer, parts.get(1).dyn_into().ok())),
        }
    }

    /// Waits for its end; returns the reason.
    pub async fn ended(&self) -> String {
        let reason = JsFuture::from(self.0.end.clone()).await;
        reason
            .ok()
            .and_then(|reason| reason.as_string())
            .unwrap_or_else(|| text::STOPPED.to_owned())
    }

    pub fn stop(&self, reason: &str) {
        let inner = &self.0;
        if !inner.ended.replace(true) {
            inner.worker.terminate();
            inner.worker.set_onmessage(None);
            inner.worker.set_onerror(None);
            let _ = inner.tell_end.call1(&JsValue::NULL, &reason.into());
            let pending: Vec<Pending> =
                inner.pending.borrow_mut().drain().map(|(_, one)| one).collect();
            for Pending { resolve, .. } in pending {
                let _ = resolve.call0(&JsValue::NULL);
            }
        }
    }
}

/// The number of a reply.
#[derive(serde::Deserialize)]
struct Number {
    id: u32,
}
