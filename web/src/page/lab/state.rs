//! The lab's state.

use std::collections::HashMap;

use clove_scenes::suite::twins;
use clove_scenes::{Kind, Split};
use js_sys::Uint8Array;
use leptos::prelude::*;

use super::super::client::Client;
use super::super::engine::Failure;
use super::super::state::ALPHA;
use super::text;
use crate::lab::address::{Place, View};
use crate::lab::editor::Drawing;
use crate::lab::lesson::Lesson;
use crate::lab::settings::Settings;
use crate::lab::{Contest, Map, Measured, Of, Weights};
use crate::protocol::Explained;

/// A training run, or an opened model.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The engine's number for it.
    pub id: u32,
    /// The name in the browser's storage, unique across tabs.
    pub key: String,
    /// The file's name; `None` for a run.
    pub file: Option<String>,
    pub settings: Settings,
    pub losses: Vec<f32>,
    /// Figures by step.
    pub points: Vec<(usize, Measured)>,
    /// Training time in milliseconds.
    pub milliseconds: f64,
    pub phase: Phase,
}

/// The phase of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// It can be resumed.
    Paused,
    Going,
    /// It's complete, or was stopped.
    Done,
    /// It failed, for this reason.
    Failed(String),
}

impl Run {
    /// A run before its first step.
    pub fn new(id: u32, key: String, settings: Settings) -> Self {
        Self {
            id,
            key,
            file: None,
            settings,
            losses: Vec::new(),
            points: Vec::new(),
            milliseconds: 0.0,
            phase: Phase::Paused,
        }
    }

    /// A short description.
    pub fn label(&self) -> String {
        match &self.file {
            Some(file) => file.clone(),
            None => text::run(self.id, &self.settings),
        }
    }

    /// Pairs per second of training.
    pub fn speed(&self) -> Option<f64> {
        let pairs = (self.losses.len() * self.settings.batch) as f64;
        (self.milliseconds > 0.0).then(|| pairs / self.milliseconds * 1e3)
    }

    /// The latest figures.
    pub fn last(&self) -> Option<&Measured> {
        self.points.last().map(|(_, measured)| measured)
    }
}

/// The scores of the drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The caption, followed by its hard negatives.
    pub captions: Vec<String>,
    /// Cosines, `[models][captions]`.
    pub similarities: Vec<Vec<f32>>,
    /// The models' input.
    pub picture: Option<String>,
}

/// The figures of a model along alpha.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sweep {
    /// Alpha in hundredths, and the figures on the validation split.
    pub points: Vec<(u32, Measured)>,
    /// The chosen alpha in hundredths, once all tenths are measured.
    pub chosen: Option<u32>,
    /// Alpha in hundredths, and the figures on the test split.
    pub test: Vec<(u32, Measured)>,
}

/// The result of a lesson.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Models' figures, by name.
    Models(Vec<(String, Measured)>),
    /// Two benchmarks.
    Contests(Vec<Contest>),
    /// A model along alpha.
    Sweep(Sweep),
}

/// Similarities of scenes and texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The pictures' URLs.
    pub pictures: Vec<String>,
    /// The captions, followed by a hard negative of each.
    pub texts: Vec<String>,
    /// Cosines, row by row.
    pub similarities: Vec<f32>,
}

/// The progress of a lesson.
#[derive(Debug, Clone, PartialEq)]
pub struct Working {
    pub lesson: Lesson,
    /// The current step, in words.
    pub doing: String,
    /// The share done, from 0 to 1.
    pub share: f64,
    /// The lesson's run.
    pub run: Option<u32>,
}

/// The lab's state. A handle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lab {
    pub engine: Client,
    /// The number of engines started; 0 while none runs.
    pub epoch: RwSignal<u32>,
    pub view: RwSignal<View>,

    pub lesson: RwSignal<Option<Lesson>>,
    /// Training steps of lessons, if the address has them.
    pub lesson_steps: RwSignal<Option<usize>>,
    pub answers: RwSignal<HashMap<Lesson, usize>>,
    pub outcomes: RwSignal<HashMap<Lesson, Outcome>>,
    pub working: RwSignal<Option<Working>>,

    pub drawing: RwSignal<Drawing>,
    pub picked: RwSignal<Option<u32>>,
    /// Seeds wording and negatives.
    pub words: RwSignal<u64>,
    pub scored: RwSignal<Option<Scored>>,

    /// The selected fine-tuned model.
    pub tuned: RwSignal<Of>,
    pub alpha: RwSignal<f64>,

    pub settings: RwSignal<Settings>,
    pub runs: RwSignal<Vec<Run>>,
    /// The run on display.
    pub shown: RwSignal<Option<u32>>,
    pub going: RwSignal<Option<u32>>,
    pub hidden: RwSignal<bool>,
    /// The files of runs and opened models, for a new engine.
    pub kept: StoredValue<HashMap<u32, Uint8Array>, LocalStorage>,

    /// Figures along alpha, by model and step.
    pub sweeps: RwSignal<HashMap<Rested, Sweep>>,
    /// The share of a whole curve that is measured, while one is.
    pub sweeping: RwSignal<Option<f64>>,

    /// The model on view inside.
    pub inside: RwSignal<Inside>,
    /// Similarities of scenes and texts.
    pub matrix: RwSignal<Option<Matrix>>,
    pub map: RwSignal<Option<Map>>,
    /// The first scene of both.
    pub first: RwSignal<u64>,
    /// Words and patches of the drawing, and the model's input.
    pub explained: RwSignal<Option<(Explained, Option<String>)>>,

    /// The state without signals.
    pub own: StoredValue<Own>,
}

/// The lab's state that no view shows.
#[derive(Debug, Default)]
pub struct Own {
    /// Milliseconds of the last measurement for a run's curves.
    pub measuring: Option<f64>,
    /// The pretrained model's figures for curves.
    pub pretrained: Option<Measured>,
    /// The number of commands to train or pause; a loop runs while the latest is its own.
    pub turn: u32,
    /// Whether a training loop runs.
    pub looping: bool,
    /// The number of runs.
    names: u32,
}

/// A model and its step.
pub type Rested = (Of, usize);

/// The model on view inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Inside {
    Pretrained,
    #[default]
    Patched,
    Tuned,
}

impl Lab {
    /// The state of an address.
    pub fn new(place: &Place) -> Self {
        // A scene whose caption differs from its twin's by swapped words.
        let pair = twins(Kind::SwapAttribute, Split::Test, 0, 1);
        let drawing = Drawing::of(&pair.scenes[0], &mut pair.drawing[0].clone());
        let lab = Self {
            drawing: RwSignal::new(drawing),
            words: RwSignal::new(1),
            alpha: RwSignal::new(ALPHA),
            hidden: RwSignal::new(document().hidden()),
            ..Self::default()
        };
        lab.go(place);
        lab
    }

    /// Restores the state of an address.
    pub fn go(&self, place: &Place) {
        self.view.set(place.view);
        self.lesson.set(place.lesson);
        self.lesson_steps.set(place.lesson_steps);
        self.settings.set(place.settings);
        if let (Some(lesson), Some(answer)) = (place.lesson, place.answer) {
            self.answers.update(|answers| {
                answers.insert(lesson, answer);
            });
        }
        if let Some(alpha) = place.alpha {
            self.alpha.set(alpha);
        }
        let drawing = Drawing::from_things(place.things.iter().copied());
        if !drawing.items.is_empty() {
            self.drawing.set(drawing);
        }
    }

    /// The state for the address.
    pub fn place(&self) -> Place {
        let lesson = self.lesson.get();
        let view = self.view.get();
        Place {
            view,
            lesson,
            answer: lesson.and_then(|lesson| self.answers.with(|all| all.get(&lesson).copied())),
            lesson_steps: self.lesson_steps.get(),
            settings: self.settings.get(),
            alpha: Some(self.alpha.get()).filter(|_| matches!(view, View::Draw | View::Patch)),
            things: if view == View::Draw {
                let drawing = self.drawing.get();
                drawing.items.into_iter().map(|item| item.thing).collect()
            } else {
                Vec::new()
            },
        }
    }

    /// A unique number for a run.
    pub fn name(&self) -> u32 {
        self.own.update_value(|own| own.names += 1);
        self.own.with_value(|own| own.names)
    }

    /// Shows why a task failed.
    pub fn failed(&self, failure: Failure) {
        self.engine.notice(match failure {
            Failure::Refused(reason) => reason,
            Failure::Ended => text::INTERRUPTED.to_owned(),
        });
    }

    /// Adds a run or an opened model, and shows it.
    pub fn add(&self, run: Run) {
        let id = run.id;
        self.runs.update(|runs| runs.push(run));
        self.shown.set(Some(id));
    }

    /// Keeps the file of a run or an opened model for a new engine.
    pub fn keep(&self, id: u32, bytes: Uint8Array) {
        self.kept.update_value(|kept| {
            kept.insert(id, bytes);
        });
    }

    pub fn change(&self, id: u32, change: impl FnOnce(&mut Run)) {
        self.runs.update(|runs| {
            if let Some(run) = runs.iter_mut().find(|run| run.id == id) {
                change(run);
            }
        });
    }

    /// Reads a run; tracks changes.
    pub fn with_run<T>(&self, id: u32, read: impl FnOnce(&Run) -> T) -> Option<T> {
        self.runs.with(|runs| runs.iter().find(|run| run.id == id).map(read))
    }

    /// A run; doesn't track changes.
    pub fn run(&self, id: u32) -> Option<Run> {
        self.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).cloned())
    }

    /// The step of the selected model, to update its figures as it learns.
    pub fn tuned_steps(&self) -> usize {
        match self.tuned.get() {
            Of::Held(id) => {
                let steps = self.with_run(id, |run| match run.phase {
                    // Changes at measurements and pauses, not at every step.
                    Phase::Going => run.points.last().map_or(0, |(step, _)| *step),
                    _ => run.losses.len(),
                });
                steps.unwrap_or(0)
            }
            Of::Pretrained | Of::Shipped => 0,
        }
    }

    /// The selected model, unless it's training.
    pub fn rested(&self) -> Option<Rested> {
        let of = self.tuned.get();
        let Of::Held(id) = of else {
            return Some((of, 0));
        };
        self.with_run(id, |run| (run.phase != Phase::Going).then_some((of, run.losses.len())))?
    }

    /// The pretrained, the patched and the fine-tuned model.
    pub fn three(&self) -> [Weights; 3] {
        let (of, alpha) = (self.tuned.get(), self.alpha.get());
        [Weights::of(Of::Pretrained), Weights { of, alpha }, Weights::of(of)]
    }

    /// The model on view inside.
    pub fn looked_into(&self) -> Weights {
        self.three()[self.inside.get() as usize]
    }
}
