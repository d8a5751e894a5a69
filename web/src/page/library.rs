//! Models: choosing, opening, downloading and removing them.

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Reflect};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{File, FileList};

use super::engine::Failure;
use super::state::State;
use super::{dom, pictures, text};
use crate::protocol::{Answer, Ask, Found, Kept, Where};

#[derive(Debug, Clone, PartialEq)]
pub struct Download {
    pub place: String,
    /// The request's number.
    pub request: u32,
    pub done: u64,
    pub total: Option<u64>,
    /// When the first progress came, in milliseconds, and its bytes.
    pub began: Option<(f64, u64)>,
}

/// A pretrained model, and a fine-tuned one.
pub type Chosen = (Where, Option<Where>);

/// The state of the card of models. A handle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Library {
    pub kept: RwSignal<Kept>,
    /// Folders chosen from the disk.
    pub disk: RwSignal<Vec<String>>,
    pub chosen: RwSignal<Chosen>,
    pub in_use: RwSignal<Chosen>,
    /// Whether models are being opened.
    pub opening: RwSignal<bool>,
    /// The name or URL typed.
    pub typed: RwSignal<String>,
    /// Whether its size is being checked.
    pub looking: RwSignal<bool>,
    /// The model found there.
    pub found: RwSignal<Option<Found>>,
    pub download: RwSignal<Option<Download>>,
    /// What went wrong.
    pub trouble: RwSignal<Option<String>>,
    files: StoredValue<BTreeMap<String, Array>, LocalStorage>,
}

/// The scene models.
pub fn scenes() -> Chosen {
    (Where::Scenes, Some(Where::Scenes))
}

impl Library {
    /// A library with the scene models.
    pub fn new() -> Self {
        let (chosen, in_use) = (RwSignal::new(scenes()), RwSignal::new(scenes()));
        Self { chosen, in_use, ..Self::default() }
    }
}

fn tell(state: State, failure: Failure) {
    if let Failure::Refused(reason) = failure {
        state.library.trouble.set(Some(reason));
    }
}

/// Asks the engine; shows a refusal on the card.
async fn ask(state: State, ask: Ask) -> Option<Answer> {
    state.library.trouble.set(None);
    let answered = state.engine.ask(ask, None).await;
    answered.map_err(|failure| tell(state, failure)).ok().map(|(answer, _)| answer)
}

/// Lists the stored models.
pub async fn list(state: State) {
    // A browser without storage is no trouble before a download.
    if let Ok((Answer::Kept(kept), _)) = state.engine.ask(Ask::Kept, None).await {
        state.library.kept.set(kept);
    }
}

/// Checks the size of the model typed.
pub async fn look(state: State) {
    let library = state.library;
    library.found.set(None);
    library.looking.set(true);
    // A hub of the page's address: `?hub=https://hub.example.org`.
    let hub = dom::parameter("hub");
    let request = Ask::Look { place: library.typed.get_untracked(), hub };
    if let Some(Answer::Found(found)) = ask(state, request).await {
        library.found.set(Some(found));
    }
    library.looking.set(false);
}

/// Downloads a model, or resumes its download.
pub async fn fetch(state: State, place: String) {
    let library = state.library;
    let Some(engine) = state.engine.get() else {
        return;
    };
    library.trouble.set(None);
    library.found.set(None);
    dom::persist();
    let request = engine.number();
    let download = Download { place: place.clone(), request, done: 0, total: None, began: None };
    library.download.set(Some(download));
    let progress = move |done, total| {
        library.download.update(|download| {
            if let Some(download) = download {
                (download.done, download.total) = (done, total);
                download.began.get_or_insert((js_sys::Date::now(), done));
            }
        });
    };
    let ask = Ask::Fetch { place: place.clone(), hub: dom::parameter("hub") };
    let fetched = engine.ask_with(request, ask, None, None, Some(Rc::new(progress))).await;
    library.download.set(None);
    match fetched {
        Ok((Answer::Kept(kept), _)) => {
            library.kept.set(kept);
            choose(state, Where::Kept(place));
        }
        Ok(_) => (),
        Err(failure) => {
            tell(state, failure);
            list(state).await;
        }
    }
}

/// Selects a new model: as the pretrained one, or as the fine-tuned one if a pretrained one is selected.
fn choose(state: State, place: Where) {
    state.library.chosen.update(|(pretrained, finetuned)| {
        if *pretrained == Where::Scenes || *pretrained == place {
            (*pretrained, *finetuned) = (place, None);
        } else {
            *finetuned = Some(place);
        }
    });
}

/// Stops the download; it can be resumed.
pub async fn stop(state: State) {
    if let Some(Download { request, .. }) = state.library.download.get_untracked() {
        let _ = state.engine.ask(Ask::Stop { fetch: request }, None).await;
    }
}

/// Removes a stored model.
pub async fn forget(state: State, place: String) {
    let gone = Where::Kept(place.clone());
    if let Some(Answer::Kept(kept)) = ask(state, Ask::Forget { place }).await {
        state.library.kept.set(kept);
        state.library.chosen.update(|chosen| {
            if chosen.0 == gone {
                *chosen = scenes();
            } else if chosen.1.as_ref() == Some(&gone) {
                chosen.1 = None;
            }
        });
    }
}

/// Whether files are a model's rather than pictures.
pub fn are_models(files: &FileList) -> bool {
    dom::files(files).any(|file| file.name().ends_with(".safetensors"))
}

/// Takes a model's files from the disk: those of the chosen folder, without its subfolders.
pub fn take(state: State, files: &FileList) {
    let mut folder = None;
    let chosen = Array::new();
    for file in dom::files(files) {
        // The path from the chosen folder; empty for chosen files.
        let path = Reflect::get(&file, &"webkitRelativePath".into());
        let path = path.ok().and_then(|path| path.as_string()).unwrap_or_default();
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        match (parts.next(), parts.next(), parts.next()) {
            (Some(top), Some(_), None) => folder = Some(top.to_owned()),
            (_, _, Some(_)) => continue,
            _ => (),
        }
        chosen.push(&file);
    }
    let first = chosen.get(0).dyn_into::<File>().ok();
    let Some(name) = folder.or_else(|| first.map(|file| file.name())) else {
        return state.library.trouble.set(Some(text::EMPTY_FOLDER.to_owned()));
    };
    state.library.trouble.set(None);
    state.library.files.update_value(|files| {
        files.insert(name.clone(), chosen);
    });
    state.library.disk.update(|names| {
        if !names.contains(&name) {
            names.push(name.clone());
        }
    });
    choose(state, Where::Disk(name));
}

/// Opens the selected models.
pub async fn open(state: State) {
    let library = state.library;
    library.trouble.set(None);
    let chosen = library.chosen.get_untracked();
    match load(state, &chosen).await {
        Ok(()) => {
            library.in_use.set(chosen);
            state.epoch.set(state.name());
            pictures::hand_over(state).await;
        }
        Err(failure) => tell(state, failure),
    }
    library.opening.set(false);
}

/// Opens the models in use in a new engine; if that fails, the scene models.
pub async fn reopen(state: State) {
    let library = state.library;
    let wanted = library.in_use.get_untracked();
    if wanted == scenes() || state.engine.get().is_none() {
        return;
    }
    if let Err(failure) = load(state, &wanted).await {
        library.in_use.set(scenes());
        tell(state, failure);
    }
    library.opening.set(false);
}

async fn load(state: State, (pretrained, finetuned): &Chosen) -> Result<(), Failure> {
    let engine = state.engine.get().ok_or(Failure::Ended)?;
    state.library.opening.set(true);
    for place in [Some(pretrained), finetuned.as_ref()].into_iter().flatten() {
        if let Where::Disk(place) = place {
            let files = state.library.files.with_value(|files| files.get(place).cloned());
            let ask = Ask::Files { place: place.clone() };
            engine.ask_with(engine.number(), ask, None, files.as_ref(), None).await?;
        }
    }
    let ask = Ask::Load { pretrained: pretrained.clone(), finetuned: finetuned.clone() };
    if let (Answer::Loaded(model), _) = engine.ask(ask, None).await? {
        state.model.set(Some(model));
    }
    Ok(())
}
