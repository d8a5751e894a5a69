//! The vocabulary of scenes.

use std::collections::BTreeSet;

use crate::caption::{CLUTTER, LARGE, SMALL};
use crate::{Colour, Shape};

/// All words of captions, alt texts and class prompts, sorted.
pub fn words() -> Vec<&'static str> {
    let mut words: BTreeSet<&'static str> = [
        "a", "above", "an", "and", "below", "drawing", "in", "inside", "is", "left", "of", "on",
        "picture", "right", "striped", "dotted", "the", "there", "to", "top", "under", "with", ",",
    ]
    .into();
    words.extend(Shape::ALL.iter().map(|shape| shape.word()));
    words.extend(Colour::ALL.iter().map(|colour| colour.word()));
    words.extend(SMALL);
    words.extend(LARGE);
    words.extend(CLUTTER);
    words.into_iter().collect()
}
