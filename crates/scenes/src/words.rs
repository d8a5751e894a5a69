//! The vocabulary of all texts about scenes.

use std::collections::BTreeSet;

use crate::caption::{CLUTTER, LARGE, SMALL};
use crate::{Colour, Shape};

/// Every word that a caption, an alt text or a class prompt can hold, sorted, each once.
#[must_use]
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
