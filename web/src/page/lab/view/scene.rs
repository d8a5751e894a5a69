//! A scene as SVG.

use clove_scenes::{Colour, Placed, Texture};
use leptos::prelude::*;

/// The side of the picture, in SVG units.
pub const SIDE: f32 = 100.0;

/// A colour in SVG.
pub fn rgb([red, green, blue]: [u8; 3]) -> String {
    format!("rgb({red} {green} {blue})")
}

/// Stripes and dots of all colours, as in the models' input.
pub fn patterns() -> impl IntoView {
    let pattern = |colour: Colour| {
        let (plain, mark) = (rgb(colour.rgb()), rgb(colour.marked()));
        let word = colour.word();
        view! {
            <pattern
                id=format!("striped-{word}")
                width="9.1"
                height="9.1"
                patternUnits="userSpaceOnUse"
                patternTransform="rotate(37)"
            >
                <rect width="9.1" height="9.1" fill=plain.clone() />
                <rect width="4.5" height="9.1" fill=mark.clone() />
            </pattern>
            <pattern id=format!("dotted-{word}") width="10.5" height="21" patternUnits="userSpaceOnUse">
                <rect width="10.5" height="21" fill=plain />
                <circle cx="5.2" cy="5.2" r="2.8" fill=mark.clone() />
                <circle cx="0" cy="15.7" r="2.8" fill=mark.clone() />
                <circle cx="10.5" cy="15.7" r="2.8" fill=mark />
            </pattern>
        }
    };
    // Patterns use the picture's units, so that they are equally coarse on all objects.
    view! { <defs>{Colour::ALL.map(pattern)}</defs> }
}

/// Objects, back to front.
pub fn things(placed: &[Placed]) -> impl IntoView + use<> {
    let thing = |one: &Placed| {
        let object = one.object;
        // In the picture's units, like the patterns.
        let contours = object.shape.contours().iter().map(|contour| {
            let points: Vec<String> = contour
                .iter()
                .map(|(x, y)| {
                    let place = |from: f32, by: f32| (from + by * one.radius) * SIDE;
                    format!("{:.2} {:.2}", place(one.x, *x), place(one.y, *y))
                })
                .collect();
            format!("M{}Z", points.join("L"))
        });
        let path: String = contours.collect();
        let fill = match object.texture {
            Texture::Plain => rgb(object.colour.rgb()),
            Texture::Striped => format!("url(#striped-{})", object.colour.word()),
            Texture::Dotted => format!("url(#dotted-{})", object.colour.word()),
        };
        view! { <path d=path fill=fill /> }
    };
    placed.iter().map(thing).collect_view()
}

/// A whole picture.
pub fn picture(placed: &[Placed], label: String) -> impl IntoView + use<> {
    view! {
        <svg class="scene" viewBox=format!("0 0 {SIDE} {SIDE}") role="img" aria-label=label>
            {patterns()}
            <rect class="ground" width=SIDE height=SIDE />
            {things(placed)}
        </svg>
    }
}
