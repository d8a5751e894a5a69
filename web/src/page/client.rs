//! The engine that runs: it's chosen, started, followed by another when it ends, and asked.

use js_sys::Uint8Array;
use leptos::prelude::*;

use super::engine::{Engine, Failure};
use super::{choice, text};
use crate::protocol::{Answer, Ask, Model};

/// What runs, for the page and the lab alike; a handle that's copied freely.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Whether an engine runs.
    pub status: RwSignal<Status>,
    engine: StoredValue<Option<Engine>, LocalStorage>,
    started: StoredValue<u32>,
}

/// Whether an engine runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// A GPU is looked for.
    Choosing,
    /// An engine is being fetched and opened.
    Starting {
        /// Whether it's WebGPU's.
        gpu: bool,
    },
    /// It answers.
    Runs {
        /// On what and why.
        line: String,
    },
    /// None could be started.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What an engine answered, and the bytes that came along; or why it refused.
pub type Answered = Result<(Answer, Option<Uint8Array>), String>;

impl Client {
    /// Without an engine.
    pub fn new() -> Self {
        Self {
            status: RwSignal::new(Status::Choosing),
            engine: StoredValue::new_local(None),
            started: StoredValue::new(0),
        }
    }

    /// The engine that runs.
    pub fn get(self) -> Option<Engine> {
        self.engine.get_value()
    }

    /// Counts started engines.
    pub fn started(self) -> u32 {
        self.started.get_value()
    }

    /// Asks the engine that runs; none when it ended, and another will be there.
    pub async fn ask(self, ask: Ask, bytes: Option<Uint8Array>) -> Option<Answered> {
        match self.get()?.ask(ask, bytes).await {
            Ok(answered) => Some(Ok(answered)),
            Err(Failure::Refused(reason)) => Some(Err(reason)),
            Err(Failure::Ended) => None,
        }
    }

    /// Chooses an engine, starts it, and another when it ends, until too many have failed; with `trains`, engines that train.
    /// `opened` hears of each with its models, `ended` of its end.
    pub async fn run(self, trains: bool, opened: impl Fn(Model), ended: impl Fn()) {
        self.status.set(Status::Choosing);
        let choice = choice::choose().await;
        let mut why = choice.why.clone();
        let mut reason = String::new();
        for (failures, kind) in choice.ladder().enumerate() {
            let kind = if trains { kind.that_trains() } else { kind };
            if failures > 0 {
                why = choice.again(kind, &reason);
            }
            self.status.set(Status::Starting { gpu: kind.is_gpu() });
            let (engine, answer) = match Engine::open(kind).await {
                Ok(both) => both,
                Err(failed) => {
                    reason = failed;
                    continue;
                }
            };
            if let Answer::Opened { backend, adapter, model, milliseconds, .. } = answer {
                self.engine.set_value(Some(engine.clone()));
                self.started.update_value(|started| *started += 1);
                self.status.set(Status::Runs {
                    line: text::running(&backend, &adapter, &why, milliseconds),
                });
                opened(model);
            }
            reason = engine.ended().await;
            self.engine.set_value(None);
            ended();
        }
        self.status.set(Status::Failed { reason });
    }
}
