//! The camera.

use js_sys::{Promise, Reflect};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, HtmlVideoElement, MediaStream, MediaStreamConstraints, MediaStreamTrack};

use super::super::state::State;
use super::super::{dom, pictures, text};

/// The camera's preview with a button.
pub fn lens(state: State) -> impl IntoView {
    let video = NodeRef::<html::Video>::new();
    let stream = StoredValue::new_local(None::<MediaStream>);
    on_cleanup(move || {
        if let Some(stream) = stream.try_update_value(Option::take).flatten() {
            stop(&stream);
        }
    });
    video.on_load(move |video| {
        spawn_local(async move {
            match begin(&video).await {
                Ok(begun) => {
                    // Cancelled meanwhile.
                    if stream.try_set_value(Some(begun.clone())).is_some() {
                        stop(&begun);
                    }
                }
                Err(error) => {
                    refuse(state, &error);
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
                Err(error) => refuse(state, &error),
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

fn stop(stream: &MediaStream) {
    for track in stream.get_tracks() {
        track.unchecked_into::<MediaStreamTrack>().stop();
    }
}

fn refuse(state: State, error: &JsValue) {
    let reason = dom::words(error).unwrap_or_else(|| text::NO_CAMERA.to_owned());
    state.engine.notice(text::CAMERA_REFUSED.to_owned() + &reason);
}

async fn begin(video: &HtmlVideoElement) -> Result<MediaStream, JsValue> {
    let none = || JsValue::from(js_sys::Error::new(text::NO_CAMERA));
    let devices = window().navigator().media_devices()?;
    // Absent on insecure origins.
    if devices.is_undefined() {
        return Err(none());
    }
    let wish = MediaStreamConstraints::new();
    // Prefer the camera on the back.
    let facing = js_sys::Object::new();
    Reflect::set(&facing, &"facingMode".into(), &"environment".into())?;
    wish.set_video(&facing);
    let stream: MediaStream =
        JsFuture::from(devices.get_user_media_with_constraints(&wish)?).await?.unchecked_into();
    video.set_src_object(Some(&stream));
    Ok(stream)
}

/// The current frame, as a file.
async fn shoot(video: &HtmlVideoElement) -> Result<Blob, JsValue> {
    let none = || JsValue::from(js_sys::Error::new(text::NO_CAMERA));
    let (width, height) = (video.video_width(), video.video_height());
    if width == 0 || height == 0 {
        return Err(none());
    }
    let (canvas, context) = dom::canvas(width, height)?;
    context.draw_image_with_html_video_element(video, 0.0, 0.0)?;
    let blob = Promise::new(&mut |resolve, _| {
        // Fails only for a canvas with pixels of another origin.
        let _ = canvas.to_blob(&resolve);
    });
    let blob = JsFuture::from(blob).await?;
    blob.dyn_into::<Blob>().map_err(|_| none())
}
