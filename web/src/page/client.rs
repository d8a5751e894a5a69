//! The running engine: choosing it, starting it, replacing it when it ends, and asking it.

use js_sys::Uint8Array;
use leptos::prelude::*;

use super::engine::{Answered, Engine, Failure, Kind};
use super::{choice, text};
use crate::protocol::{Answer, Ask, Model};

/// The engine of the page or the lab, and what went wrong with it. A handle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client {
    pub status: RwSignal<Status>,
    /// What went wrong, to be dismissed.
    pub notices: RwSignal<Vec<String>>,
    engine: StoredValue<Option<Engine>, LocalStorage>,
    started: StoredValue<u32>,
}

/// Whether an engine runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Status {
    /// Looking for a GPU.
    #[default]
    Choosing,
    /// An engine is starting, on WebGPU or on the CPU.
    Starting { gpu: bool },
    /// An engine runs; the line says on what, and why.
    Runs { line: String },
    /// No engine could be started.
    Failed { reason: String },
}

impl Client {
    /// The running engine.
    pub fn get(self) -> Option<Engine> {
        self.engine.get_value()
    }

    /// The number of engines started so far.
    pub fn started(self) -> u32 {
        self.started.get_value()
    }

    /// Asks the running engine.
    pub async fn ask(self, ask: Ask, bytes: Option<Uint8Array>) -> Answered {
        self.get().ok_or(Failure::Ended)?.ask(ask, bytes).await
    }

    /// Asks the running engine; shows a refusal as a notice.
    pub async fn asked(
        self,
        ask: Ask,
        bytes: Option<Uint8Array>,
    ) -> Option<(Answer, Option<Uint8Array>)> {
        self.ask(ask, bytes).await.map_err(|failure| self.tell(failure)).ok()
    }

    /// Shows a refusal as a notice; after the end of an engine the next one answers.
    pub fn tell(self, failure: Failure) {
        if let Failure::Refused(reason) = failure {
            self.notice(reason);
        }
    }

    pub fn notice(self, words: String) {
        self.notices.update(|notices| {
            if notices.last() != Some(&words) {
                notices.push(words);
            }
        });
    }

    /// Chooses and starts an engine, and replaces it when it ends, until too many have failed. With `trains`, uses engines that
    /// train. Calls `opened` for each with its models, and `ended` at its end.
    pub async fn run(self, trains: bool, opened: impl Fn(Model), ended: impl Fn()) {
        self.status.set(Status::Choosing);
        let choice = choice::choose().await;
        let mut why = choice.why.clone();
        let mut reason = String::new();
        for (failures, kind) in choice.ladder().enumerate() {
            let kind = Kind { trains, ..kind };
            if failures > 0 {
                why = choice.again(kind, &reason);
            }
            self.status.set(Status::Starting { gpu: kind.gpu });
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
