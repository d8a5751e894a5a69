//! Taking a photo.

use js_sys::{Promise, Reflect};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, CanvasRenderingContext2d, HtmlCanvasElement, HtmlVideoElement, MediaStream,
    MediaStreamConstraints, MediaStreamTrack,
};

use super::super::state::State;
use super::super::{pictures, text};

/// What the camera sees, and a button that takes it; nothing while no photo is being taken.
pub fn camera(state: State) -> impl IntoView {
    let on = move || state.camera.get();
    view! {
        <Show when=on>{lens(state)}</Show>
    }
}

fn lens(state: State) -> impl IntoView {
    let video = NodeRef::<html::Video>::new();
    let stream = StoredValue::new_local(None::<MediaStream>);
    let close = move || {
        if let Some(stream) = stream.try_update_value(Option::take).flatten() {
            for track in stream.get_tracks() {
                track.unchecked_into::<MediaStreamTrack>().stop();
            }
        }
    };
    on_cleanup(close);
    video.on_load(move |video| {
        spawn_local(async move {
            match begin(&video).await {
                Ok(begun) => {
                    // Cancelled meanwhile: the light goes off at once.
                    if stream.try_set_value(Some(begun.clone())).is_some() {
                        for track in begun.get_tracks() {
                            track.unchecked_into::<MediaStreamTrack>().stop();
                        }
                    }
                }
                Err(error) => {
                    state.notice(text::camera_refused(&words(&error)));
                    state.camera.set(false);
                }
            }
        });
    });
    let take = move |_| {
        let Some(video) = video.get_untracked() else {
            return;
        };
        spawn_local(async move {
            match shoot(&video).await {
                Ok(photo) => pictures::add_photo(state, photo),
                Err(error) => state.notice(text::camera_refused(&words(&error))),
            }
            state.camera.set(false);
        });
    };
    view! {
        <div class="camera">
            <video node_ref=video autoplay muted playsinline aria-label=text::LENS></video>
            <div class="buttons">
                <button type="button" id="take" on:click=take>{text::TAKE}</button>
                <button type="button" class="plain" on:click=move |_| state.camera.set(false)>{text::CANCEL}</button>
            </div>
        </div>
    }
}

fn words(error: &JsValue) -> String {
    let error = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
    error.map_or_else(|| text::NO_CAMERA.to_owned(), String::from)
}

async fn begin(video: &HtmlVideoElement) -> Result<MediaStream, JsValue> {
    let none = || JsValue::from(js_sys::Error::new(text::NO_CAMERA));
    let devices = window().navigator().media_devices()?;
    // Absent where the page isn't served safely.
    if devices.is_undefined() {
        return Err(none());
    }
    let wish = MediaStreamConstraints::new();
    // The one that looks away from the user, where there are two.
    let facing = js_sys::Object::new();
    Reflect::set(&facing, &"facingMode".into(), &"environment".into())?;
    wish.set_video(&facing);
    let stream: MediaStream =
        JsFuture::from(devices.get_user_media_with_constraints(&wish)?).await?.unchecked_into();
    video.set_src_object(Some(&stream));
    Ok(stream)
}

/// What's seen now, as a file.
async fn shoot(video: &HtmlVideoElement) -> Result<Blob, JsValue> {
    let none = || JsValue::from(js_sys::Error::new(text::NO_CAMERA));
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    let (width, height) = (video.video_width(), video.video_height());
    if width == 0 || height == 0 {
        return Err(none());
    }
    canvas.set_width(width);
    canvas.set_height(height);
    let context: CanvasRenderingContext2d =
        canvas.get_context("2d")?.ok_or_else(none)?.unchecked_into();
    context.draw_image_with_html_video_element(video, 0.0, 0.0)?;
    let blob = Promise::new(&mut |resolve, _| {
        // Refused only for a canvas that isn't ours to read.
        let _ = canvas.to_blob(&resolve);
    });
    let blob = JsFuture::from(blob).await?;
    blob.dyn_into::<Blob>().map_err(|_| none())
}
