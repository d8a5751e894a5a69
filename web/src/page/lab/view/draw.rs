//! The scene editor, with the drawing's caption and scores.

use clove_scenes::{Colour, Placed, Shape, Size, Texture};
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{Element, KeyboardEvent, PointerEvent};

use super::super::state::Lab;
use super::super::text;
use super::scene::{self, SIDE};
use crate::lab::editor::{CLEAR, Described, Drawing, MOST};

/// The step of an arrow key, and with Shift.
const STEP: f32 = 0.02;
const STRIDE: f32 = 0.1;

/// The view.
pub fn draw(lab: Lab) -> impl IntoView {
    let described =
        Memo::new(move |_| lab.drawing.with(|drawing| drawing.describe(lab.words.get())));
    view! {
        <div class="columns">
            <section class="card" aria-labelledby="draw-title">
                <h2 id="draw-title">{text::DRAW}</h2>
                {canvas(lab, described)}
                {tools(lab)}
                {seen(lab)}
            </section>
            <section class="card" aria-labelledby="said-title">
                <h2 id="said-title">{text::SAID}</h2>
                <p class="caption-now" id="caption" aria-live="polite">
                    {move || described.get().map(|found| found.caption)}
                </p>
                {move || {
                    let unclear = described.get().is_some_and(|found| found.arrangement.clearness < CLEAR);
                    unclear.then(|| view! { <p class="hint">{text::UNCLEAR}</p> })
                }}
                <div class="buttons">
                    <button type="button" on:click=move |_| lab.words.update(|words| *words += 1)>
                        {text::OTHER_WORDS}
                    </button>
                </div>
                <div class="settings">{super::tuned(lab)}{super::alpha(lab)}</div>
                {scores(lab, described)}
            </section>
        </div>
    }
}

/// A pointer's position in the picture.
fn place(event: &PointerEvent) -> Option<(f32, f32)> {
    let canvas: Element = event.current_target()?.dyn_into().ok()?;
    let frame = canvas.get_bounding_client_rect();
    let share = |at: f64, from: f64, length: f64| ((at - from) / length.max(1.0)) as f32;
    Some((
        share(f64::from(event.client_x()), frame.left(), frame.width()),
        share(f64::from(event.client_y()), frame.top(), frame.height()),
    ))
}

/// The object at a place, the front one first; otherwise the nearest within reach.
fn hit(described: &Described, drawing: &Drawing, (x, y): (f32, f32)) -> Option<(u32, (f32, f32))> {
    /// A finger is less exact than a mouse.
    const NEARLY: f32 = 1.2;
    let placed = &described.arrangement.placed;
    let distance = |one: &Placed| (one.x - x).hypot(one.y - y) / one.radius;
    let in_front = placed.iter().rev().find(|one| distance(one) < 1.0);
    let found = in_front.or_else(|| {
        let near = placed.iter().filter(|one| distance(one) < NEARLY);
        near.min_by(|one, other| distance(one).total_cmp(&distance(other)))
    })?;
    let item = drawing.items.iter().find(|item| item.thing.object.shape == found.object.shape)?;
    Some((item.id, (item.thing.x - x, item.thing.y - y)))
}

fn canvas(lab: Lab, described: Memo<Option<Described>>) -> impl IntoView {
    // The dragged object, and the pointer's offset.
    let dragged = RwSignal::new(None::<(u32, (f32, f32))>);
    let down = move |event: PointerEvent| {
        let Some(at) = place(&event) else { return };
        let found = described.with_untracked(|described| {
            lab.drawing.with_untracked(|drawing| hit(described.as_ref()?, drawing, at))
        });
        lab.picked.set(found.map(|(id, _)| id));
        dragged.set(found);
        if found.is_some() {
            // A finger drags the object, not the page.
            event.prevent_default();
            if let Some(canvas) = event.current_target()
                && let Ok(canvas) = canvas.dyn_into::<Element>()
            {
                let _ = canvas.set_pointer_capture(event.pointer_id());
            }
        }
    };
    let moved = move |event: PointerEvent| {
        if let (Some((id, (dx, dy))), Some((x, y))) = (dragged.get_untracked(), place(&event)) {
            lab.drawing.update(|drawing| drawing.move_to(id, x + dx, y + dy));
        }
    };
    let up = move |_: PointerEvent| dragged.set(None);
    let ids = Memo::new(move |_| {
        lab.drawing.with(|drawing| drawing.items.iter().map(|item| item.id).collect::<Vec<_>>())
    });
    let label = move || described.get().map(|found| found.caption);
    view! {
        <svg
            class="scene canvas"
            viewBox=format!("0 0 {SIDE} {SIDE}")
            role="group"
            aria-label=label
            on:pointerdown=down
            on:pointermove=moved
            on:pointerup=up
            on:pointercancel=up
        >
            {scene::patterns()}
            <rect class="ground" width=SIDE height=SIDE />
            {move || described.get().map(|found| scene::things(&found.arrangement.placed))}
            <For each=move || ids.get() key=|id| *id let(id)>{handle(lab, described, id)}</For>
        </svg>
        <p class="quiet">{text::DRAW_NOTE}</p>
    }
}

/// An object's handle, which takes focus and keys.
fn handle(lab: Lab, described: Memo<Option<Described>>, id: u32) -> impl IntoView {
    let item = Memo::new(move |_| lab.drawing.with(|drawing| drawing.item(id)));
    let radius = move || {
        let shape = item.get()?.thing.object.shape;
        described.with(|described| {
            let placed = &described.as_ref()?.arrangement.placed;
            let found = placed.iter().find(|one| one.object.shape == shape)?;
            Some(found.radius * SIDE)
        })
    };
    let key = move |event: KeyboardEvent| {
        let by = if event.shift_key() { STRIDE } else { STEP };
        let (dx, dy) = match event.key().as_str() {
            "ArrowLeft" => (-by, 0.0),
            "ArrowRight" => (by, 0.0),
            "ArrowUp" => (0.0, -by),
            "ArrowDown" => (0.0, by),
            "Delete" | "Backspace" => {
                event.prevent_default();
                return remove(lab, id);
            }
            _ => return,
        };
        event.prevent_default();
        lab.drawing.update(|drawing| {
            if let Some(item) = drawing.item(id) {
                drawing.move_to(id, item.thing.x + dx, item.thing.y + dy);
            }
        });
    };
    let x = move || item.get().map_or(0.0, |item| item.thing.x * SIDE);
    let y = move || item.get().map_or(0.0, |item| item.thing.y * SIDE);
    let label = move || item.get().map(|item| text::thing(&item.thing));
    view! {
        <circle
            class="handle"
            class:picked=move || lab.picked.get() == Some(id)
            tabindex="0"
            role="button"
            aria-label=label
            aria-pressed=move || (lab.picked.get() == Some(id)).to_string()
            cx=x
            cy=y
            r=move || radius().unwrap_or(0.0) + 2.0
            on:focus=move |_| lab.picked.set(Some(id))
            on:keydown=key
        />
    }
}

fn remove(lab: Lab, id: u32) {
    lab.drawing.update(|drawing| drawing.remove(id));
    lab.picked.set(None);
}

fn tools(lab: Lab) -> impl IntoView {
    let full = move || lab.drawing.with(|drawing| drawing.items.len() >= MOST);
    let add = move |_| {
        let mut added = None;
        lab.drawing.update(|drawing| added = drawing.add());
        lab.picked.set(added);
    };
    // Without the position, which changes with every move.
    let picked = Memo::new(move |_| {
        let id = lab.picked.get()?;
        let item = lab.drawing.with(|drawing| drawing.item(id))?;
        Some((id, item.thing.object))
    });
    view! {
        <div class="buttons">
            <button type="button" id="add-thing" disabled=full on:click=add>{text::ADD_THING}</button>
            {move || full().then(|| view! { <span class="quiet">{text::FULL}</span> })}
        </div>
        {move || match picked.get() {
            None => view! { <p class="quiet">{text::PICK}</p> }.into_any(),
            Some((id, object)) => inspector(lab, id, object).into_any(),
        }}
    }
}

fn inspector(lab: Lab, id: u32, object: clove_scenes::Object) -> impl IntoView {
    let change = move |change: &dyn Fn(&mut clove_scenes::Object)| {
        lab.drawing.update(|drawing| drawing.change(id, |thing| change(&mut thing.object)));
    };
    let shape = move |event| {
        let word = event_target_value(&event);
        if let Some(shape) = Shape::ALL.into_iter().find(|shape| shape.word() == word) {
            change(&|object| object.shape = shape);
        }
    };
    let shapes = Shape::ALL.map(|shape| {
        view! { <option value=shape.word() selected=shape == object.shape>{shape.word()}</option> }
    });
    let colours = Colour::ALL.map(|colour| {
        view! {
            <button
                type="button"
                class="swatch"
                title=colour.word()
                aria-label=colour.word()
                aria-pressed=(colour == object.colour).to_string()
                on:click=move |_| change(&|object| object.colour = colour)
            >
                <svg viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5" fill=scene::rgb(colour.rgb()) /></svg>
            </button>
        }
    });
    let sizes = [Size::Small, Size::Ordinary, Size::Large].map(|size| {
        view! {
            <button type="button" aria-pressed=(size == object.size).to_string()
                on:click=move |_| change(&|object| object.size = size)>{text::size(size)}</button>
        }
    });
    let textures = [Texture::Plain, Texture::Striped, Texture::Dotted].map(|texture| {
        view! {
            <button type="button" aria-pressed=(texture == object.texture).to_string()
                on:click=move |_| change(&|object| object.texture = texture)>{text::texture(texture)}</button>
        }
    });
    view! {
        <div class="inspector" role="group" aria-label=text::PICKED>
            <label class="setting">
                <span class="label">{text::SHAPE}</span>
                <select on:change=shape>{shapes}</select>
            </label>
            <div class="buttons tight">{colours}</div>
            <div class="buttons tight">{sizes}</div>
            <div class="buttons tight">{textures}</div>
            <button type="button" class="plain" on:click=move |_| remove(lab, id)>{text::REMOVE}</button>
        </div>
    }
}

/// The models' input.
fn seen(lab: Lab) -> impl IntoView {
    move || {
        let picture = lab.scored.get()?.picture?;
        Some(view! {
            <figure class="seen">
                <img src=picture alt=text::SEEN width="96" height="96" />
                <figcaption class="quiet">{text::SEEN}</figcaption>
            </figure>
        })
    }
}

fn scores(lab: Lab, described: Memo<Option<Described>>) -> impl IntoView {
    let negatives = Memo::new(move |_| {
        described.with(|found| found.as_ref().map(|found| found.negatives.clone()))
    });
    let header = move || {
        let names = [text::PRETRAINED, text::PATCHED, text::TUNED];
        names.map(|name| view! { <th scope="col">{name}</th> })
    };
    let caption = move || {
        let scored = lab.scored.get();
        let cells = (0..3).map(move |model| {
            let value = scored
                .as_ref()
                .and_then(|scored| scored.similarities.get(model)?.first().copied());
            let exact = value.map(|value| format!("{value:.6}"));
            view! { <td class="number-cell" title=exact>{value.map(|value| format!("{value:.3}"))}</td> }
        });
        cells.collect_view()
    };
    let rows = move || {
        let scored = lab.scored.get();
        let rows = negatives.get().unwrap_or_default().into_iter().map(|(kind, words)| {
            // Scores arrive after the texts.
            let at = scored
                .as_ref()
                .and_then(|scored| scored.captions.iter().position(|caption| *caption == words));
            let cells = (0..3).map(|model| {
                let margin = scored.as_ref().zip(at).and_then(|(scored, at)| {
                    let of = scored.similarities.get(model)?;
                    Some(of.first()? - of.get(at)?)
                });
                let class = match margin {
                    Some(margin) if margin > 0.0 => "number-cell told",
                    Some(_) => "number-cell missed",
                    None => "number-cell",
                };
                view! {
                    <td class=class>
                        {margin.map(|margin| view! {
                            <span class="sign" aria-hidden="true">{if margin > 0.0 { "✓" } else { "✗" }}</span>
                            <span class="visually-hidden">{text::PREFERS[usize::from(margin > 0.0)]}</span>
                            {super::super::super::text::signed(margin)}
                        })}
                    </td>
                }
            });
            let cells = cells.collect_view();
            view! { <tr><th scope="row">{words.clone()}<span class="quiet kind-name">{text::kind(kind.name())}</span></th>{cells}</tr> }
        });
        rows.collect_view()
    };
    let tally = move || {
        lab.scored.with(|scored| {
            let scored = scored.as_ref()?;
            let told = scored.similarities.iter().map(|of| {
                let first = of.first().copied().unwrap_or_default();
                of.iter().skip(1).filter(|other| first > **other).count()
            });
            let of = scored.captions.len().saturating_sub(1);
            let cells =
                told.map(|told| view! { <td class="number-cell">{format!("{told} of {of}")}</td> });
            Some(cells.collect_view())
        })
    };
    view! {
        <div class="scroll">
            <table class="told-table" id="scores">
                <thead><tr><th scope="col">{text::TEXTS}</th>{header}</tr></thead>
                <tbody>
                    <tr class="right-row"><th scope="row">{text::THE_CAPTION}</th>{caption}</tr>
                    {rows}
                </tbody>
                <tfoot><tr><th scope="row">{text::TOLD}</th>{tally}</tr></tfoot>
            </table>
        </div>
        <p class="quiet">{text::SCORES_NOTE}</p>
    }
}
