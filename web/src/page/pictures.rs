//! Adding, selecting and removing pictures, and sending them to the engine.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::Clamped;
use web_sys::{Blob, DataTransfer, FileList, ImageData, Url};

use super::engine::{Answered, Engine, Failure};
use super::state::{Picture, State};
use super::{dom, text};
use crate::protocol::{Answer, Ask};

/// Takes files and selects the first.
pub fn add_files(state: State, files: &FileList) {
    for (at, file) in dom::files(files).enumerate() {
        let named = file.name();
        let name = if named.is_empty() { text::PASTED.to_owned() } else { named };
        let url = Url::create_object_url_with_blob(&file).ok();
        add(state, name, None, url, Some(file.into()), at == 0);
    }
}

/// Takes a photo.
pub fn add_photo(state: State, photo: Blob) {
    let url = Url::create_object_url_with_blob(&photo).ok();
    add(state, text::PHOTO.to_owned(), None, url, Some(photo), true);
}

/// Takes dropped or pasted files; returns whether there were any.
pub fn add_transfer(state: State, data: Option<DataTransfer>) -> bool {
    let files = data.and_then(|data| data.files());
    let Some(files) = files.filter(|files| files.length() > 0) else {
        return false;
    };
    if super::library::are_models(&files) {
        super::library::take(state, &files);
    } else {
        add_files(state, &files);
    }
    true
}

/// Adds a sample, or selects it if it's there.
pub fn add_sample(state: State, number: u32) {
    let there = state.pictures.with_untracked(|pictures| {
        pictures.iter().find(|one| one.sample == Some(number)).map(|one| one.id)
    });
    match there {
        Some(id) => select(state, id),
        None => add(state, text::sample(number), Some(number), None, None, true),
    }
}

fn add(
    state: State,
    name: String,
    sample: Option<u32>,
    url: Option<String>,
    file: Option<Blob>,
    select: bool,
) {
    let id = state.name();
    if let Some(file) = file {
        state.files.update_value(|files| {
            files.insert(id, file);
        });
    }
    state.pictures.update(|pictures| {
        pictures.push(Picture {
            id,
            name,
            sample,
            url,
            size: None,
            captions: Vec::new(),
            taken_by: None,
        });
    });
    if select {
        self::select(state, id);
    }
    spawn_local(hand(state, id));
}

/// Selects a picture. A sample brings its captions, unless they were changed.
pub fn select(state: State, id: u32) {
    state.selected.set(Some(id));
    let captions = state.pictures.with_untracked(|pictures| {
        let picture = pictures.iter().find(|one| one.id == id);
        picture.map(|one| one.captions.clone()).unwrap_or_default()
    });
    if state.pristine.get_untracked() && !captions.is_empty() {
        state.set_captions(&captions);
    }
    // An engine with many pictures drops those that were used longest ago.
    let was_taken = |one: &Picture| one.id == id && one.size.is_some() && one.taken_by.is_none();
    if state.pictures.with_untracked(|pictures| pictures.iter().any(was_taken)) {
        spawn_local(hand(state, id));
    }
}

/// Removes a picture and selects its neighbour.
pub fn remove(state: State, id: u32) {
    let mut neighbour = None;
    state.pictures.update(|pictures| {
        let Some(at) = pictures.iter().position(|one| one.id == id) else {
            return;
        };
        let gone = pictures.remove(at);
        if let (None, Some(url)) = (gone.sample, gone.url) {
            let _ = Url::revoke_object_url(&url);
        }
        let last = pictures.len().saturating_sub(1);
        neighbour = pictures.get(at.min(last)).map(|one| one.id);
    });
    state.files.update_value(|files| {
        files.remove(&id);
    });
    if state.selected.get_untracked() == Some(id) {
        match neighbour {
            Some(next) => select(state, next),
            None => state.selected.set(None),
        }
    }
}

/// Sends all pictures to a new engine.
pub async fn hand_over(state: State) {
    let ids: Vec<u32> =
        state.pictures.with_untracked(|pictures| pictures.iter().map(|one| one.id).collect());
    for id in ids {
        hand(state, id).await;
    }
}

async fn hand(state: State, id: u32) {
    let (Some(engine), epoch) = (state.engine.get(), state.epoch.get_untracked()) else {
        return;
    };
    let picture =
        state.pictures.with_untracked(|pictures| pictures.iter().find(|one| one.id == id).cloned());
    let Some(picture) = picture.filter(|picture| picture.taken_by != Some(epoch)) else {
        return;
    };
    match ask(state, &engine, &picture).await {
        Ok((Answer::Image { width, height, caption, wrong, dropped, .. }, pixels)) => {
            for other in dropped {
                state.change_picture(other, |picture| picture.taken_by = None);
                if state.selected.get_untracked() == Some(other) {
                    select(state, other);
                }
            }
            let drawn = pixels.and_then(|rgb| draw(&rgb.to_vec(), width, height));
            state.change_picture(id, |picture| {
                picture.size = Some((width, height));
                picture.taken_by = Some(epoch);
                picture.url = drawn.or(picture.url.take());
                picture.captions = caption
                    .into_iter()
                    .map(|text| (text, false))
                    .chain(wrong.into_iter().map(|text| (text, true)))
                    .collect();
            });
            if state.selected.get_untracked() == Some(id) {
                select(state, id);
            }
        }
        Ok(_) => refuse(state, &picture, text::ODD_ANSWER),
        Err(Failure::Refused(reason)) => refuse(state, &picture, &reason),
        Err(Failure::Ended) => (),
    }
}

fn refuse(state: State, picture: &Picture, reason: &str) {
    state.engine.notice(format!("{}: {reason}", picture.name));
    remove(state, picture.id);
}

async fn ask(state: State, engine: &Engine, picture: &Picture) -> Answered {
    let image = picture.id;
    if let Some(number) = picture.sample {
        return engine.ask(Ask::Sample { image, number }, None).await;
    }
    let file = state.files.with_value(|files| files.get(&image).cloned());
    let file = file.ok_or(Failure::Ended)?;
    let bytes = dom::read(&file).await.map_err(Failure::Refused)?;
    // The GPU gives the same numbers; it isn't the default because no measurement shows a gain.
    let on_device = dom::parameter("preprocess").as_deref() == Some("gpu");
    engine.ask(Ask::Image { image, on_device }, Some(bytes)).await
}

/// The data URL of a picture of these pixels, three bytes each.
pub fn draw(rgb: &[u8], width: u32, height: u32) -> Option<String> {
    let rgba: Vec<u8> =
        rgb.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], u8::MAX]).collect();
    let data = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&rgba), width, height).ok()?;
    let (canvas, context) = dom::canvas(width, height).ok()?;
    context.put_image_data(&data, 0.0, 0.0).ok()?;
    canvas.to_data_url().ok()
}
