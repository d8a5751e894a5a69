//! Models: which are in use, which can be, and getting more.

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Reflect};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{File, FileList, UrlSearchParams};

use super::engine::{Engine, Failure};
use super::state::State;
use super::{dom, pictures, text};
use crate::protocol::{Answer, Ask, Kept, Where};

/// What a look at a place on the web found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its name.
    pub place: String,
    /// Bytes in all, where that's told.
    pub bytes: Option<u64>,
    /// The model's files.
    pub files: Vec<String>,
}

/// A download that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Download {
    /// What is fetched.
    pub place: String,
    /// The request's number.
    pub request: u32,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes in all, where that's known.
    pub total: Option<u64>,
    /// When it began, in milliseconds, and with how many bytes.
    pub began: Option<(f64, u64)>,
}

/// What is known of models; a handle that's copied freely.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    /// What the browser keeps.
    pub kept: RwSignal<Kept>,
    /// Folders that were chosen on the disk.
    pub disk: RwSignal<Vec<String>>,
    /// The pretrained model that is chosen, and the fine-tuned one.
    pub chosen: RwSignal<(Where, Option<Where>)>,
    /// Those in use.
    pub in_use: RwSignal<(Where, Option<Where>)>,
    /// Whether others are being opened.
    pub opening: RwSignal<bool>,
    /// What was typed, to look for.
    pub typed: RwSignal<String>,
    /// Whether it's being looked for.
    pub looking: RwSignal<bool>,
    /// What was found.
    pub found: RwSignal<Option<Found>>,
    /// What is being fetched.
    pub download: RwSignal<Option<Download>>,
    /// What went wrong.
    pub trouble: RwSignal<Option<String>>,
    files: StoredValue<BTreeMap<String, Array>, LocalStorage>,
}

/// The scene models.
pub fn scenes() -> (Where, Option<Where>) {
    (Where::Scenes, Some(Where::Scenes))
}

impl Library {
    /// Nothing but the scene models.
    pub fn new() -> Self {
        Self {
            kept: RwSignal::default(),
            disk: RwSignal::default(),
            chosen: RwSignal::new(scenes()),
            in_use: RwSignal::new(scenes()),
            opening: RwSignal::new(false),
            typed: RwSignal::default(),
            looking: RwSignal::new(false),
            found: RwSignal::new(None),
            download: RwSignal::new(None),
            trouble: RwSignal::new(None),
            files: StoredValue::new_local(BTreeMap::new()),
        }
    }
}

/// Another hub, which the address names: `?hub=https://hub.example.org`.
fn hub() -> Option<String> {
    let search = window().location().search().ok()?;
    UrlSearchParams::new_with_str(&search).ok()?.get("hub")
}

fn tell(state: State, failure: Failure) {
    if let Failure::Refused(reason) = failure {
        state.library.trouble.set(Some(reason));
    }
}

/// Asks what the browser keeps.
pub async fn list(state: State) {
    let Some(engine) = state.engine.get() else {
        return;
    };
    // A browser that keeps nothing is no trouble until it's asked to.
    if let Ok((Answer::Kept(kept), _)) = engine.ask(Ask::Kept, None).await {
        state.library.kept.set(kept);
    }
}

/// Looks for what was typed.
pub async fn look(state: State) {
    let library = state.library;
    let Some(engine) = state.engine.get() else {
        return;
    };
    library.trouble.set(None);
    library.found.set(None);
    library.looking.set(true);
    let request = Ask::Look { place: library.typed.get_untracked(), hub: hub() };
    match engine.ask(request, None).await {
        Ok((Answer::Found { place, bytes, files }, _)) => {
            library.found.set(Some(Found { place, bytes, files }))
        }
        Ok(_) => (),
        Err(failure) => tell(state, failure),
    }
    library.looking.set(false);
}

/// Fetches a model, or the rest of it.
pub async fn fetch(state: State, place: String) {
    let library = state.library;
    let Some(engine) = state.engine.get() else {
        return;
    };
    library.trouble.set(None);
    library.found.set(None);
    dom::persist();
    let request = engine.number();
    library.download.set(Some(Download {
        place: place.clone(),
        request,
        done: 0,
        total: None,
        began: None,
    }));
    let progress = move |done, total| {
        library.download.update(|download| {
            if let Some(download) = download {
                download.done = done;
                download.total = total;
                download.began.get_or_insert((js_sys::Date::now(), done));
            }
        });
    };
    let ask = Ask::Fetch { place: place.clone(), hub: hub() };
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

/// Puts a new model into the choice: as the pretrained one, or beside another one as its fine-tuned sister.
fn choose(state: State, place: Where) {
    state.library.chosen.update(|(pretrained, finetuned)| {
        if *pretrained == Where::Scenes || *pretrained == place {
            (*pretrained, *finetuned) = (place, None);
        } else {
            *finetuned = Some(place);
        }
    });
}

/// Stops the download; what has come is kept.
pub async fn stop(state: State) {
    let download = state.library.download.get_untracked();
    if let (Some(engine), Some(download)) = (state.engine.get(), download) {
        let ask = Ask::Stop { fetch: download.request };
        let _ = engine.ask(ask, None).await;
    }
}

/// Removes a model from the browser's storage.
pub async fn forget(state: State, place: String) {
    let library = state.library;
    let Some(engine) = state.engine.get() else {
        return;
    };
    library.trouble.set(None);
    let gone = Where::Kept(place.clone());
    match engine.ask(Ask::Forget { place }, None).await {
        Ok((Answer::Kept(kept), _)) => {
            library.kept.set(kept);
            library.chosen.update(|chosen| {
                if chosen.0 == gone {
                    *chosen = scenes();
                } else if chosen.1.as_ref() == Some(&gone) {
                    chosen.1 = None;
                }
            });
        }
        Ok(_) => (),
        Err(failure) => tell(state, failure),
    }
}

/// Whether files are a model's rather than pictures.
pub fn are_models(files: &FileList) -> bool {
    (0..files.length())
        .filter_map(|at| files.get(at))
        .any(|file| file.name().ends_with(".safetensors"))
}

/// Takes the files of a model that were chosen on the disk: a folder's own, not those of folders in it.
pub fn take(state: State, files: &FileList) {
    let all = (0..files.length()).filter_map(|at| files.get(at));
    let mut folder = None;
    let chosen = Array::new();
    for file in all {
        let path = path(&file);
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

/// Its path from the folder that was chosen, empty where files were.
fn path(file: &File) -> String {
    let path = Reflect::get(file, &"webkitRelativePath".into());
    path.ok().and_then(|path| path.as_string()).unwrap_or_default()
}

/// Opens what is chosen.
pub async fn open(state: State) {
    let library = state.library;
    let Some(engine) = state.engine.get() else {
        return;
    };
    library.trouble.set(None);
    library.opening.set(true);
    let chosen = library.chosen.get_untracked();
    match load(state, &engine, &chosen).await {
        Ok(()) => {
            library.in_use.set(chosen);
            state.epoch.set(state.name());
            pictures::hand_over(state).await;
        }
        Err(failure) => tell(state, failure),
    }
    library.opening.set(false);
}

/// Opens in a new engine what was open in the one before; where that fails the scene models stay.
pub async fn reopen(state: State) {
    let library = state.library;
    let wanted = library.in_use.get_untracked();
    let Some(engine) = state.engine.get() else {
        return;
    };
    if wanted == scenes() {
        return;
    }
    library.opening.set(true);
    if let Err(failure) = load(state, &engine, &wanted).await {
        library.in_use.set(scenes());
        tell(state, failure);
    }
    library.opening.set(false);
}

async fn load(
    state: State,
    engine: &Engine,
    (pretrained, finetuned): &(Where, Option<Where>),
) -> Result<(), Failure> {
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
