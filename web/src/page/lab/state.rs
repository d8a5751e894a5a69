//! What the lab knows.

use std::collections::HashMap;

use clove_scenes::suite::twins;
use clove_scenes::{Kind, Split};
use js_sys::Uint8Array;
use leptos::prelude::*;

use super::super::client::Client;
use super::super::state::ALPHA;
use super::text;
use crate::lab::address::{Place, View};
use crate::lab::editor::Drawing;
use crate::lab::lesson::Lesson;
use crate::lab::settings::Settings;
use crate::lab::{Contest, Measured, Of, Weights};

/// A training run, or a model that was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The engine's name for it.
    pub id: u32,
    /// Its name in the browser's storage, which no other tab's run has.
    pub key: String,
    /// A file's name; none for a run.
    pub file: Option<String>,
    /// What decides it.
    pub settings: Settings,
    /// The loss of each step.
    pub losses: Vec<f32>,
    /// Figures after so many steps.
    pub points: Vec<(usize, Measured)>,
    /// Training alone, in milliseconds.
    pub milliseconds: f64,
    /// How it is.
    pub phase: Phase,
}

/// How a run is.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// It goes on when it's told to.
    Paused,
    /// It's in training.
    Going,
    /// It came to its end, or was stopped: it doesn't go on.
    Done,
    /// It can't go on.
    Failed(String),
}

impl Run {
    /// In a few words.
    pub fn label(&self) -> String {
        match &self.file {
            Some(file) => file.clone(),
            None => text::run(self.id, &self.settings),
        }
    }

    /// Pairs a second, training alone.
    pub fn speed(&self) -> Option<f64> {
        let pairs = (self.losses.len() * self.settings.batch) as f64;
        (self.milliseconds > 0.0).then(|| pairs / self.milliseconds * 1e3)
    }

    /// The last figures.
    pub fn last(&self) -> Option<&Measured> {
        self.points.last().map(|(_, measured)| measured)
    }
}

/// What the models make of the drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The caption, then its hard negatives.
    pub captions: Vec<String>,
    /// Cosines of the three models, caption by caption.
    pub similarities: Vec<Vec<f32>>,
    /// The picture as they see it.
    pub picture: Option<String>,
}

/// Composition and recognition along alpha, of one model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sweep {
    /// Alpha in hundredths, with the figures on the validation split.
    pub points: Vec<(u32, Measured)>,
    /// What the rule chose, in hundredths, once all tenths are there.
    pub chosen: Option<u32>,
    /// Figures on the test split: alpha in hundredths.
    pub test: Vec<(u32, Measured)>,
}

/// What a lesson found.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Figures of models, by name.
    Models(Vec<(String, Measured)>),
    /// Two benchmarks.
    Contests(Vec<Contest>),
    /// Along alpha.
    Sweep(Sweep),
}

/// Scenes against texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The pictures' addresses.
    pub pictures: Vec<String>,
    /// Captions, then a hard negative of each.
    pub texts: Vec<String>,
    /// Row by row.
    pub similarities: Vec<f32>,
}

/// Where embeddings lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Of each scene its picture's place and its caption's.
    pub pairs: Vec<[[f32; 2]; 2]>,
    /// The captions.
    pub captions: Vec<String>,
    /// Shares of the variance.
    pub explained: [f32; 2],
    /// Between the means.
    pub gap: f32,
}

/// What words and patches add.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Words with what each adds.
    pub words: Vec<(String, f32)>,
    /// Patches in a row.
    pub side: u32,
    /// Row by row.
    pub patches: Vec<f32>,
    /// The picture as the model sees it.
    pub picture: Option<String>,
}

/// A lesson at work: what it does, and how much of it is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Working {
    /// The lesson.
    pub lesson: Lesson,
    /// In words.
    pub doing: String,
    /// From 0 to 1.
    pub share: f64,
    /// The run that it's about.
    pub run: Option<u32>,
}

/// All of it; a handle that's copied freely.
#[derive(Debug, Clone, Copy)]
pub struct Lab {
    /// The engine.
    pub engine: Client,
    /// Counts engines; 0 while none runs.
    pub epoch: RwSignal<u32>,
    /// What is seen.
    pub view: RwSignal<View>,
    /// What went wrong.
    pub notices: RwSignal<Vec<String>>,

    /// The lesson that is open.
    pub lesson: RwSignal<Option<Lesson>>,
    /// How long lessons train, where the address says it.
    pub lesson_steps: RwSignal<Option<usize>>,
    /// What was answered.
    pub answers: RwSignal<HashMap<Lesson, usize>>,
    /// What was found.
    pub outcomes: RwSignal<HashMap<Lesson, Outcome>>,
    /// A lesson that is being worked on.
    pub working: RwSignal<Option<Working>>,

    /// The scene that is drawn.
    pub drawing: RwSignal<Drawing>,
    /// The thing that is picked.
    pub picked: RwSignal<Option<u32>>,
    /// Of wordings and negatives.
    pub words: RwSignal<u64>,
    /// What the models make of it.
    pub scored: RwSignal<Option<Scored>>,

    /// The fine-tuned model that is looked at.
    pub tuned: RwSignal<Of>,
    /// How far it's patched.
    pub alpha: RwSignal<f64>,

    /// Of the next run.
    pub settings: RwSignal<Settings>,
    /// Runs and opened models.
    pub runs: RwSignal<Vec<Run>>,
    /// The run whose curves are seen.
    pub shown: RwSignal<Option<u32>>,
    /// The run that is in training.
    pub going: RwSignal<Option<u32>>,
    /// Whether the tab is hidden.
    pub hidden: RwSignal<bool>,
    /// Files of runs and opened models, for a new engine.
    pub kept: StoredValue<HashMap<u32, Uint8Array>, LocalStorage>,

    /// Along alpha, by model and the step that it's at.
    pub sweeps: RwSignal<HashMap<Rested, Sweep>>,
    /// How much of a whole curve is drawn, while one is.
    pub sweeping: RwSignal<Option<f64>>,

    /// What is looked into: how far the model is patched.
    pub inside: RwSignal<Inside>,
    /// Scenes against texts.
    pub matrix: RwSignal<Option<Matrix>>,
    /// Where embeddings lie.
    pub map: RwSignal<Option<Map>>,
    /// Which scenes both are of.
    pub first: RwSignal<u64>,
    /// Words and patches of the drawing.
    pub explained: RwSignal<Option<Explained>>,

    /// What nobody follows.
    pub own: StoredValue<Own>,
}

/// What the lab knows and doesn't show.
#[derive(Debug, Default)]
pub struct Own {
    /// Milliseconds that the last point of a run's curves took.
    pub measuring: Option<f64>,
    /// The pretrained model's figures as curves have them.
    pub pretrained: Option<Measured>,
    /// Counts wishes to train or to rest: a loop goes on while the last one is its own.
    pub turn: u32,
    /// Whether a loop is still at work.
    pub looping: bool,
    /// Counts names.
    names: u32,
}

/// A model and the step that it's at.
pub type Rested = (Of, usize);

/// Which model is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inside {
    /// The pretrained one.
    Pretrained,
    /// The patched one.
    Patched,
    /// The fine-tuned one.
    Tuned,
}

impl Lab {
    /// As the address has it.
    pub fn new(place: &Place) -> Self {
        let lab = Self {
            engine: Client::new(),
            epoch: RwSignal::new(0),
            view: RwSignal::default(),
            notices: RwSignal::default(),
            lesson: RwSignal::default(),
            lesson_steps: RwSignal::default(),
            answers: RwSignal::default(),
            outcomes: RwSignal::default(),
            working: RwSignal::default(),
            drawing: RwSignal::new(first_drawing()),
            picked: RwSignal::default(),
            words: RwSignal::new(1),
            scored: RwSignal::default(),
            tuned: RwSignal::new(Of::Shipped),
            alpha: RwSignal::new(ALPHA),
            settings: RwSignal::default(),
            runs: RwSignal::default(),
            shown: RwSignal::default(),
            going: RwSignal::default(),
            hidden: RwSignal::new(document().hidden()),
            kept: StoredValue::new_local(HashMap::new()),
            sweeps: RwSignal::default(),
            sweeping: RwSignal::default(),
            inside: RwSignal::new(Inside::Patched),
            matrix: RwSignal::default(),
            map: RwSignal::default(),
            first: RwSignal::default(),
            explained: RwSignal::default(),
            own: StoredValue::new(Own::default()),
        };
        lab.go(place);
        lab
    }

    /// Shows what an address keeps.
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
        if !place.things.is_empty() {
            let drawing = Drawing::from_things(place.things.iter().copied());
            if !drawing.items.is_empty() {
                self.drawing.set(drawing);
            }
        }
    }

    /// What the address keeps of it.
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

    /// A name that no run has.
    pub fn name(&self) -> u32 {
        self.own.update_value(|own| own.names += 1);
        self.own.with_value(|own| own.names)
    }

    /// Tells of something that went wrong.
    pub fn notice(&self, words: String) {
        self.notices.update(|notices| {
            if notices.last() != Some(&words) {
                notices.push(words);
            }
        });
    }

    /// Changes a run.
    pub fn change(&self, id: u32, change: impl FnOnce(&mut Run)) {
        self.runs.update(|runs| {
            if let Some(run) = runs.iter_mut().find(|run| run.id == id) {
                change(run);
            }
        });
    }

    /// A run as it is; nothing follows its changes.
    pub fn run(&self, id: u32) -> Option<Run> {
        self.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).cloned())
    }

    /// The steps of the fine-tuned model that is looked at, so that what's shown of it is renewed as it learns.
    pub fn tuned_steps(&self) -> usize {
        match self.tuned.get() {
            Of::Held(id) => self.runs.with(|runs| {
                let run = runs.iter().find(|run| run.id == id);
                // At its measurements, and when it rests: not at every step.
                run.map_or(0, |run| match run.phase {
                    Phase::Going => run.points.last().map_or(0, |(step, _)| *step),
                    _ => run.losses.len(),
                })
            }),
            Of::Pretrained | Of::Shipped => 0,
        }
    }

    /// The fine-tuned model that is looked at, where it isn't being changed.
    pub fn rested(&self) -> Option<Rested> {
        let of = self.tuned.get();
        let Of::Held(id) = of else {
            return Some((of, 0));
        };
        self.runs.with(|runs| {
            let run = runs.iter().find(|run| run.id == id)?;
            (run.phase != Phase::Going).then_some((of, run.losses.len()))
        })
    }

    /// Pretrained, patched, fine-tuned.
    pub fn three(&self) -> [Weights; 3] {
        let (of, alpha) = (self.tuned.get(), self.alpha.get());
        [Weights::of(Of::Pretrained), Weights { of, alpha }, Weights::of(of)]
    }

    /// The model that is looked into.
    pub fn looked_into(&self) -> Weights {
        let [pretrained, patched, tuned] = self.three();
        match self.inside.get() {
            Inside::Pretrained => pretrained,
            Inside::Patched => patched,
            Inside::Tuned => tuned,
        }
    }
}

/// A scene that a bag of words can't tell from its twin.
fn first_drawing() -> Drawing {
    let pair = twins(Kind::SwapAttribute, Split::Test, 0, 1);
    Drawing::of(&pair.scenes[0], &mut pair.drawing[0].clone())
}
