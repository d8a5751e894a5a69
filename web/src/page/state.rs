//! What the page knows: rows, pictures, settings. Views read it, the view's handlers and [`super::work`] write it.

use std::collections::HashMap;

use leptos::prelude::*;
use web_sys::Blob;

use super::client::Client;
use super::library::Library;
use crate::address::Kept;
use crate::protocol::Model;
use crate::verdict::{Scored, owners};

/// The paper's alpha.
pub const ALPHA: f64 = 0.6;
/// The samples that are offered, by their numbers among drawn scenes: most are ones that fine-tuning mends, the last is one that
/// it doesn't.
pub const SAMPLES: [u32; 6] = [3, 37, 17, 18, 11, 24];

/// A caption.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Its name, never used again.
    pub id: u32,
    /// The text.
    pub text: String,
    /// Whether it's a wrong one of another: [`owners`] says of which.
    pub wrong: bool,
    /// How it was made, where it was.
    pub made: Option<Made>,
    /// The latest score.
    pub score: Option<Score>,
    /// Whether its words are to be explained.
    pub explained: bool,
    /// Whether the picture shows where the model sees it.
    pub heated: bool,
    /// What each word adds; of the text, image and alpha that were last answered for.
    pub words: Vec<(String, f32)>,
    /// What went wrong with it, or is being done.
    pub note: Option<String>,
    /// Counts the sets of hard negatives that were made of it.
    pub made_of: u64,
}

/// How a hard negative was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// In SugarCrepe's terms.
    pub kind: String,
    /// What stood in the caption.
    pub from: String,
    /// What stands there now.
    pub to: String,
}

/// A score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Cosine.
    pub similarity: f32,
    /// Among the rows.
    pub probability: f32,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The engine's name for it.
    pub id: u32,
    /// The file's, or a sample's.
    pub name: String,
    /// A sample's number.
    pub sample: Option<u32>,
    /// Where the browser finds it, once it's there.
    pub url: Option<String>,
    /// Width and height, when the engine has it.
    pub size: Option<(u32, u32)>,
    /// A sample's caption and a wrong one.
    pub captions: Vec<(String, bool)>,
    /// The engine that has it.
    pub taken_by: Option<u32>,
}

/// A point of the chart: for each caption with wrong ones its margin.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// From 0 to 1.
    pub alpha: f64,
    /// Row and margin.
    pub margins: Vec<(u32, f32)>,
}

/// How similar a caption is to each part of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// The picture.
    pub picture: u32,
    /// The caption.
    pub caption: String,
    /// Patches in a row, and as many rows.
    pub side: u32,
    /// Row by row.
    pub similarities: Vec<f32>,
    /// The part of the picture that they cover, as fractions: left, top, width, height.
    pub seen: [f64; 4],
}

/// All of it; a handle that's copied freely.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// Captions, in place.
    pub rows: RwSignal<Vec<Row>>,
    /// Whether nobody has changed the rows yet, so that a sample may bring its own.
    pub pristine: RwSignal<bool>,
    /// Pictures, in the strip's order.
    pub pictures: RwSignal<Vec<Picture>>,
    /// The picture that's scored.
    pub selected: RwSignal<Option<u32>>,
    /// How far to patch.
    pub alpha: RwSignal<f64>,
    /// Style of hard negatives.
    pub style: RwSignal<String>,
    /// Whether rows stand in the order of their scores.
    pub best_first: RwSignal<bool>,
    /// Whether a caption has the focus: rows don't move then.
    pub editing: RwSignal<bool>,
    /// Whether the chart is open.
    pub charted: RwSignal<bool>,
    /// The chart.
    pub curve: RwSignal<Vec<Point>>,
    /// The engine.
    pub engine: Client,
    /// Counts engines and the models that they open; 0 while none runs.
    pub epoch: RwSignal<u32>,
    /// Where the model sees the caption that's asked for.
    pub heat: RwSignal<Option<Heat>>,
    /// Whether a photo is being taken.
    pub camera: RwSignal<bool>,
    /// What went wrong with pictures.
    pub notices: RwSignal<Vec<String>>,
    /// Files of pictures.
    pub files: StoredValue<HashMap<u32, Blob>, LocalStorage>,
    /// The engine that has the lexicon.
    pub lexicon_in: StoredValue<Option<u32>>,
    /// What is known of the models in use.
    pub model: RwSignal<Option<Model>>,
    /// Models to choose from, and getting more.
    pub library: Library,
    next: StoredValue<u32>,
}

impl State {
    /// As the address has it.
    pub fn new(kept: &Kept) -> Self {
        let state = Self {
            rows: RwSignal::default(),
            pristine: RwSignal::new(kept.captions.is_empty()),
            pictures: RwSignal::default(),
            selected: RwSignal::new(None),
            alpha: RwSignal::new(kept.alpha.unwrap_or(ALPHA)),
            style: RwSignal::new(super::text::STYLES[0].0.to_owned()),
            best_first: RwSignal::new(false),
            editing: RwSignal::new(false),
            charted: RwSignal::new(false),
            curve: RwSignal::default(),
            engine: Client::new(),
            epoch: RwSignal::new(0),
            heat: RwSignal::new(None),
            camera: RwSignal::new(false),
            notices: RwSignal::default(),
            files: StoredValue::new_local(HashMap::new()),
            lexicon_in: StoredValue::new(None),
            model: RwSignal::new(None),
            library: Library::new(),
            next: StoredValue::new(1),
        };
        state.set_captions(&kept.captions);
        state
    }

    /// A name that nothing has.
    pub fn name(&self) -> u32 {
        let name = self.next.get_value();
        self.next.set_value(name + 1);
        name
    }

    /// A new row.
    pub fn row(&self, text: &str, wrong: bool) -> Row {
        Row { id: self.name(), text: text.to_owned(), wrong, ..Row::default() }
    }

    /// Replaces all rows; none becomes an empty one.
    pub fn set_captions(&self, captions: &[(String, bool)]) {
        let mut rows: Vec<Row> =
            captions.iter().map(|(text, wrong)| self.row(text, *wrong)).collect();
        if rows.is_empty() {
            rows.push(self.row("", false));
        }
        self.rows.set(rows);
    }

    /// Whether there's a fine-tuned model beside the pretrained one.
    pub fn is_pair(&self) -> bool {
        self.model.with(|model| {
            let finetuned = model.as_ref().map(|model| model.finetuned.is_some());
            finetuned.unwrap_or(true)
        })
    }

    /// Changes a row that's still there.
    pub fn change(&self, id: u32, change: impl FnOnce(&mut Row)) {
        self.rows.update(|rows| {
            if let Some(row) = rows.iter_mut().find(|row| row.id == id) {
                change(row);
            }
        });
    }

    /// Changes a picture that's still there.
    pub fn change_picture(&self, id: u32, change: impl FnOnce(&mut Picture)) {
        self.pictures.update(|pictures| {
            if let Some(picture) = pictures.iter_mut().find(|picture| picture.id == id) {
                change(picture);
            }
        });
    }

    /// The selected picture.
    pub fn picture(&self) -> Option<Picture> {
        let selected = self.selected.get()?;
        self.pictures.with(|pictures| pictures.iter().find(|one| one.id == selected).cloned())
    }

    /// Tells of something that went wrong.
    pub fn notice(&self, words: String) {
        self.notices.update(|notices| {
            if notices.last() != Some(&words) {
                notices.push(words);
            }
        });
    }

    /// Rows that are scored, for the verdict.
    pub fn scored(&self) -> Vec<Scored> {
        self.rows.with(|rows| {
            rows.iter()
                .filter(|row| !row.text.trim().is_empty())
                .filter_map(|row| {
                    Some(Scored {
                        text: row.text.trim().to_owned(),
                        wrong: row.wrong,
                        similarity: row.score?.similarity,
                    })
                })
                .collect()
        })
    }

    /// The caption that a wrong row belongs to.
    pub fn caption_of(&self, id: u32) -> Option<String> {
        self.rows.with(|rows| {
            let at = rows.iter().position(|row| row.id == id)?;
            let wrong: Vec<bool> = rows.iter().map(|row| row.wrong).collect();
            Some(rows[owners(&wrong)[at]?].text.clone())
        })
    }

    /// What the address keeps of it.
    pub fn kept(&self) -> Kept {
        Kept {
            sample: self.picture().and_then(|picture| picture.sample),
            alpha: Some(self.alpha.get()),
            captions: self.rows.with(|rows| {
                let texts = rows.iter().filter(|row| !row.text.trim().is_empty());
                texts.map(|row| (row.text.clone(), row.wrong)).collect()
            }),
        }
    }
}
