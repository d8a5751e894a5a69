//! The page's state: captions, pictures, settings. Views read it; their handlers and [`super::work`] write it.

use std::collections::HashMap;

use leptos::prelude::*;
use web_sys::Blob;

use super::client::Client;
use super::library::Library;
use crate::address::Kept;
use crate::protocol::{Model, Negative};
use crate::verdict::{Scored, owners};

/// The paper's alpha.
pub const ALPHA: f64 = 0.6;
/// The numbers of the sample scenes. Fine-tuning corrects most of them, but not the last.
pub const SAMPLES: [u32; 6] = [3, 37, 17, 18, 11, 24];

/// A row: a caption.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Unique; never reused.
    pub id: u32,
    pub text: String,
    /// Whether it's a wrong caption; [`owners`] finds its caption.
    pub wrong: bool,
    /// The hard negative, if it was made.
    pub made: Option<Negative>,
    pub score: Option<Score>,
    /// Whether its words are explained.
    pub explained: bool,
    /// Whether the picture shows its similarity by patch.
    pub heated: bool,
    /// The contribution of each word, as last computed.
    pub words: Vec<(String, f32)>,
    /// A message below the row.
    pub note: Option<String>,
    /// The number of sets of hard negatives made of it.
    pub made_of: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The cosine.
    pub similarity: f32,
    /// The probability among the rows.
    pub probability: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The engine's number for it.
    pub id: u32,
    /// The name of the file or the sample.
    pub name: String,
    /// The number of a sample.
    pub sample: Option<u32>,
    /// Its URL, once known.
    pub url: Option<String>,
    /// Width and height, once known.
    pub size: Option<(u32, u32)>,
    /// A sample's caption and wrong caption.
    pub captions: Vec<(String, bool)>,
    /// The epoch of the engine that has it.
    pub taken_by: Option<u32>,
}

/// A point of the chart: the margins at one alpha.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub alpha: f64,
    /// The row of each caption with wrong captions, and its margin.
    pub margins: Vec<(u32, f32)>,
}

/// The similarity of a caption to each patch of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    pub picture: u32,
    pub caption: String,
    /// Patches per row and per column.
    pub side: u32,
    /// Cosines, row by row.
    pub similarities: Vec<f32>,
    /// The part of the picture that the patches cover, as fractions: left, top, width, height.
    pub seen: [f64; 4],
}

/// The page's state. A handle.
#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    /// The captions, as written.
    pub rows: RwSignal<Vec<Row>>,
    /// Whether the captions are a sample's, unchanged.
    pub pristine: RwSignal<bool>,
    /// The pictures, in the order of the strip.
    pub pictures: RwSignal<Vec<Picture>>,
    pub selected: RwSignal<Option<u32>>,
    pub alpha: RwSignal<f64>,
    pub style: RwSignal<String>,
    /// Whether rows are ordered by score.
    pub best_first: RwSignal<bool>,
    /// Whether a caption has the focus; then rows keep their order.
    pub editing: RwSignal<bool>,
    pub charted: RwSignal<bool>,
    /// The points of the chart.
    pub curve: RwSignal<Vec<Point>>,
    pub engine: Client,
    /// Changes with each engine and each opened model; 0 while no engine runs.
    pub epoch: RwSignal<u32>,
    /// The similarity by patch on display.
    pub heat: RwSignal<Option<Heat>>,
    pub camera: RwSignal<bool>,
    /// The files of pictures.
    pub files: StoredValue<HashMap<u32, Blob>, LocalStorage>,
    /// The engine that has the lexicon.
    pub lexicon_in: StoredValue<Option<u32>>,
    pub model: RwSignal<Option<Model>>,
    /// The card of models.
    pub library: Library,
    next: StoredValue<u32>,
}

impl State {
    /// The state of an address.
    pub fn new(kept: &Kept) -> Self {
        let state = Self {
            pristine: RwSignal::new(kept.captions.is_empty()),
            alpha: RwSignal::new(kept.alpha.unwrap_or(ALPHA)),
            style: RwSignal::new(super::text::STYLES[0].0.to_owned()),
            library: Library::new(),
            next: StoredValue::new(1),
            ..Self::default()
        };
        state.set_captions(&kept.captions);
        state
    }

    /// A unique number.
    pub fn name(&self) -> u32 {
        let name = self.next.get_value();
        self.next.set_value(name + 1);
        name
    }

    pub fn row(&self, text: &str, wrong: bool) -> Row {
        Row { id: self.name(), text: text.to_owned(), wrong, ..Row::default() }
    }

    /// Replaces all rows; without captions, by an empty one.
    pub fn set_captions(&self, captions: &[(String, bool)]) {
        let mut rows: Vec<Row> =
            captions.iter().map(|(text, wrong)| self.row(text, *wrong)).collect();
        if rows.is_empty() {
            rows.push(self.row("", false));
        }
        self.rows.set(rows);
    }

    /// Whether there's a fine-tuned model.
    pub fn is_pair(&self) -> bool {
        self.model.with(|model| model.as_ref().is_none_or(|model| model.finetuned.is_some()))
    }

    /// Changes a row, if it exists.
    pub fn change(&self, id: u32, change: impl FnOnce(&mut Row)) {
        self.rows.update(|rows| {
            if let Some(row) = rows.iter_mut().find(|row| row.id == id) {
                change(row);
            }
        });
    }

    /// Changes a picture, if it exists.
    pub fn change_picture(&self, id: u32, change: impl FnOnce(&mut Picture)) {
        self.pictures.update(|pictures| {
            if let Some(picture) = pictures.iter_mut().find(|picture| picture.id == id) {
                change(picture);
            }
        });
    }

    pub fn picture(&self) -> Option<Picture> {
        let selected = self.selected.get()?;
        self.pictures.with(|pictures| pictures.iter().find(|one| one.id == selected).cloned())
    }

    /// The scored rows, for the verdict.
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

    /// The caption of a wrong caption.
    pub fn caption_of(&self, id: u32) -> Option<String> {
        self.rows.with(|rows| {
            let at = rows.iter().position(|row| row.id == id)?;
            let wrong: Vec<bool> = rows.iter().map(|row| row.wrong).collect();
            Some(rows[owners(&wrong)[at]?].text.clone())
        })
    }

    /// The state for the address.
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
