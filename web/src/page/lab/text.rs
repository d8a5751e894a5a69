//! The lab's texts.

mod lessons;

pub use lessons::{Words, happened, happened_blind, happened_sweep, lesson};

use clove_scenes::{Size, Texture, Thing};

use super::state::Run;
use crate::lab::address::View;
use crate::lab::settings::{Loss, Negatives, Settings, Texts};

pub const DOCUMENT: &str = "CLoVe: the lab";
pub const TITLE: &str = "CLoVe: the lab";
pub const TO_SCORING: &str = "Score your own pictures";
pub const WHAT: &str =
    "Train, break, repair and patch a small CLIP of drawn scenes in this tab. No data leaves it.";
pub const TABS: &str = "Parts of the lab";

pub fn tab(view: View) -> &'static str {
    ["Lessons", "Draw", "Train", "Patch", "Look inside"][view as usize]
}

pub const PRETRAINED: &str = "Pretrained";
pub const PATCHED: &str = "Patched";
pub const TUNED: &str = "Fine-tuned";
pub const TUNED_HERE: &str = "Fine-tuned here";
pub const SHIPPED: &str = "CLoVe, included with this page";
pub const TUNED_MODEL: &str = "Fine-tuned model";
pub const MODEL: &str = "Model";

// Drawing.

pub const DRAW: &str = "Draw a scene";
pub const DRAW_NOTE: &str = "Drag shapes, or select one and move it with the arrow keys (Shift: larger steps). Delete removes it. Place a shape on the middle of a large one to put it inside.";
pub const SAID: &str = "Its caption";
pub const UNCLEAR: &str = "This scene has more than one correct caption. Move the shapes apart, into two halves of the picture.";
pub const OTHER_WORDS: &str = "New wording and negatives";
pub const ADD_THING: &str = "Add a shape";
pub const FULL: &str = "A caption names at most four shapes.";
pub const PICK: &str = "Select a shape to change it.";
pub const PICKED: &str = "Selected shape";
pub const SHAPE: &str = "Shape";
pub const REMOVE: &str = "Remove";
pub const SEEN: &str = "Model input: 48 × 48 pixels";
pub const TEXTS: &str = "Texts";
pub const THE_CAPTION: &str = "Similarity of the caption and the picture";
pub const TOLD: &str = "Wrong captions rejected";
pub const SCORES_NOTE: &str = "Beside each wrong caption: how much more similar the right one is to the picture. ✗ marks those that the model prefers.";

/// Of a wrong caption that the model prefers, and of one that it doesn't.
pub const PREFERS: [&str; 2] = ["prefers the wrong one by ", "prefers the caption by "];

pub fn size(size: Size) -> &'static str {
    ["small", "ordinary", "large"][size as usize]
}

pub fn texture(texture: Texture) -> &'static str {
    ["plain", "striped", "dotted"][texture as usize]
}

/// A shape for screen readers.
pub fn thing(thing: &Thing) -> String {
    let object = thing.object;
    format!(
        "{} {} {} {}, {:.0} % from the left and {:.0} % from the top",
        size(object.size),
        texture(object.texture),
        object.colour.word(),
        object.shape.word(),
        thing.x * 100.0,
        thing.y * 100.0
    )
}

/// SugarCrepe's kinds in words.
pub const KINDS: [(&str, &str); 7] = [
    ("replace_obj", "another shape"),
    ("replace_att", "another colour or pattern"),
    ("replace_rel", "another relation"),
    ("swap_obj", "shapes exchanged"),
    ("swap_att", "colours exchanged"),
    ("add_obj", "a shape more or less"),
    ("add_att", "an attribute more or less"),
];

pub fn kind(name: &str) -> &'static str {
    KINDS.iter().find(|(kind, _)| *kind == name).map_or("", |(_, words)| words)
}

// Training.

pub const NEW_RUN: &str = "A new run";
pub const RUN: &str = "Run";
pub const RUNS: &str = "All runs";
pub const TEXTS_OF: &str = "Texts";
pub const TEXTS_ALL: [(Texts, &str); 2] = [
    (Texts::Captions, "full, synthetic captions"),
    (Texts::Alt, "noisy alt texts of the same scenes"),
];
pub const SCENES: &str = "Different scenes";
pub const NEGATIVES: &str = "Hard negatives";
pub const NEGATIVES_ALL: [(Negatives, &str); 4] = [
    (Negatives::None, "none"),
    (Negatives::Swap, "swap words"),
    (Negatives::Replace, "replace a word"),
    (Negatives::Mixed, "mixed, all seven kinds"),
];
pub const LOSS: &str = "Loss";
pub const LOSSES: [(Loss, &str); 3] = [
    (Loss::Clove, "CLoVe: negatives for every picture"),
    (Loss::Fsc, "FSC: a caption's own negatives"),
    (Loss::Clip, "CLIP: no negatives"),
];
pub const RATE: &str = "Learning rate";
pub const IMAGE_RATE: &str = "Image tower's learning rate, relative";
pub const STEPS: &str = "Steps";
pub const BATCH: &str = "Batch size";
pub const SEED: &str = "Seed";
pub const START: &str = "Start";
pub const USUAL: &str = "Defaults";
pub const FORM_NOTE: &str = "Runs start from the pretrained model. They pause while the tab is hidden, and are stored in this browser.";
pub const NO_RUN: &str = "No run yet: start one.";
pub const NO_RUNS: &str = "Runs and opened models appear here for comparison.";
pub const PAUSE: &str = "Pause";
pub const GO_ON: &str = "Resume";
pub const ONE_STEP: &str = "One step";
pub const STOP: &str = "Stop";
pub const DOWNLOAD: &str = "Download the model";
pub const TOML: &str = "Settings for clove train";
pub const PROGRESS: &str = "Progress";
pub const GOING: &str = "Training";
pub const PAUSED: &str = "Paused";
pub const HIDDEN: &str = "Paused while the tab is hidden";
pub const DONE: &str = "Done";
pub const FAILED: &str = "Failed: ";
pub const LOSS_CURVE: &str = "Loss";
pub const COMPOSITION: &str = "Composition";
pub const RECOGNITION: &str = "Recognition";
pub const SEEN_CLASSES: &str = "Classes in the fine-tuning data";
pub const UNSEEN_CLASSES: &str = "Classes absent from the fine-tuning data";
pub const CURVES_NOTE: &str = "Composition: accuracy at choosing the right caption of two (chance: 50 %). Recognition: accuracy at naming a single shape, of twelve classes in the fine-tuning data or ten absent from it. Both use a few hundred validation pictures.";
pub const COLUMNS: [&str; 4] = ["Steps", "Composition", "Swaps", "Unseen classes"];
pub const FORGET: &str = "Delete";
pub const OPEN: &str = "Open a model";
pub const FILES_NOTE: &str = "A downloaded model is one safetensors file. clove eval, clove score and clove patch accept it in place of a model directory. Open such a file here, or a model.safetensors from clove lab or clove train.";
pub const OPENED_NOTE: &str =
    "Opened from a file, so it has no curves. Use it in Draw, Patch and Look inside.";
pub const NOT_SAVED: &str = "the browser can't save the file";
pub const NOT_KEPT: &str =
    "The browser has no space for this run: it is lost when you close the page.";
pub const INTERRUPTED: &str = "The engine stopped and is restarting. Please try again.";

pub fn spoilt(runs: usize) -> String {
    let (runs, are) = match runs {
        1 => ("One run".to_owned(), "was"),
        _ => (format!("{runs} runs"), "were"),
    };
    format!("{runs} of an earlier visit {are} unreadable and removed.")
}

pub fn run(id: u32, settings: &Settings) -> String {
    format!("Run {id}: {}, seed {}", settings.label(), settings.seed)
}

pub fn pairs(settings: &Settings) -> String {
    let pairs = settings.steps * settings.batch;
    let scenes = settings.scenes;
    if (pairs as u64) <= scenes {
        format!("{pairs} pairs in total; no scene is repeated.")
    } else {
        let times = pairs as f64 / scenes as f64;
        format!("{pairs} pairs in total; each scene about {times:.1} times.")
    }
}

/// A run's state, and its latest loss and speed.
pub fn progress(run: &Run, state: &str) -> String {
    let done = run.losses.len();
    let mut words = format!("{state}: step {done} of {}", run.settings.steps);
    if let Some(loss) = run.losses.last() {
        words = format!("{words} · loss {loss:.3}");
    }
    if let Some(speed) = run.speed() {
        words = format!("{words} · {speed:.0} pairs per second");
    }
    words
}

pub fn file_of(id: u32, alpha: f64) -> String {
    match (id, alpha < 1.0) {
        (0, _) => format!("clove-alpha-{alpha:.2}.safetensors"),
        (_, true) => format!("run-{id}-alpha-{alpha:.2}.safetensors"),
        (_, false) => format!("run-{id}.safetensors"),
    }
}

// Patching.

pub const PATCH: &str = "Patch";
pub const PATCH_WHAT: &str = "Every alpha between the pretrained weights (0) and the fine-tuned weights (1) gives a model. Move alpha: each value that you stop at is measured and added to the curve.";
pub const SWEEP: &str = "Measure the whole curve and choose alpha";
pub const SWEEPING: &str = "Measuring along alpha …";
pub const DOWNLOAD_PATCHED: &str = "Download the patched model";
pub const NO_CURVE: &str = "Measuring the first point …";
pub const NOT_RESTED: &str = "This run is still training. Pause it to measure it.";
pub const RECOGNITION_UNSEEN: &str =
    "Recognition of classes absent from the fine-tuning data, validation";
pub const COMPOSITION_VALIDATION: &str = "Composition, validation";
pub const CURVE: &str = "Composition against recognition along alpha";
pub const CHOSEN: &str = "chosen: ";
pub const ON_TEST: &str = "On the test split, not used to choose alpha";
pub const RULE: &str = "Chosen: the alpha with the highest composition on the validation split whose recognition stays within 1 point of the pretrained model's.";

pub fn alpha_is(alpha: u32) -> String {
    format!("alpha {:.2}", f64::from(alpha) / 100.0)
}

pub fn alpha_name(alpha: u32, chosen: Option<u32>) -> String {
    match alpha {
        0 => "Pretrained (alpha 0)".to_owned(),
        100 => "Fine-tuned (alpha 1)".to_owned(),
        _ if chosen == Some(alpha) => format!("Patched ({})", alpha_is(alpha)),
        _ => alpha_is(alpha),
    }
}

// Looking inside.

pub const INSIDE: &str = "Look inside";
pub const WAITING: &str = "Computing …";
pub const OTHER_SCENES: &str = "Other scenes";
pub const MATRIX: &str = "Similarities";
pub const MAP: &str = "A map of the embeddings";
pub const EXPLAINED: &str = "Your drawing: where, and which words";
pub const CAPTIONS: &str = "captions";
pub const PICTURES: &str = "pictures";
pub const THEIR_NEGATIVES: &str = "their hard negatives";
pub const MATRIX_NOTE: &str = "Rows are pictures, columns are texts; darker is more similar. Thick frames mark each picture's own caption. In the right half, thin frames mark its hard negative, red where the model prefers it.";
pub const MAP_NOTE: &str = "The first two principal components of the embeddings. A line joins a picture and its caption. The distance between pictures and captions as a whole is the modality gap (Liang et al., arXiv 2203.02053).";
pub const HEAT: &str = "The picture; patches least similar to the caption are faded";
pub const EXPLAINED_NOTE: &str = "Approximate. A word's contribution is the similarity minus that of the caption without it. Patch similarities were never trained. The scene is the one in Draw.";

pub fn matrix_label(told: usize, of: usize) -> String {
    format!("{told} of {of} pictures prefer their caption to its hard negative.")
}

pub fn gap(gap: f32, explained: [f32; 2]) -> String {
    format!(
        "The mean picture and the mean caption are {gap:.2} apart. The map shows {:.0} % of the variance.",
        100.0 * (explained[0] + explained[1])
    )
}

// Lessons.

pub const LESSONS_WHAT: &str = "Six short lessons. Each asks for your prediction first, and takes from seconds to a few minutes.";
pub const LESSONS_NOTE: &str = "Share a lesson by its address: it contains your answer and the run's steps and seed (&n=300&seed=7).";
pub const ALL_LESSONS: &str = "All lessons";
pub const LESSON_DONE: &str = "done";
pub const PRINT: &str = "Print this lesson";
pub const NEXT: &str = "Next:";
pub const ANSWER_FIRST: &str = "Answer first: what do you expect?";
pub const ENGINE_FIRST: &str = "The engine is starting.";
pub const RUN_AGAIN: &str = "Run it again";
pub const ENOUGH: &str = "Stop and measure";
pub const GUESS: &str = "The line marks chance.";
pub const YOU_SAID: &str = "You said: ";
pub const HAPPENED: &str = "What happened";
pub const MEASURING: &str = "Measuring …";
pub const TRAINING: &str = "Training with hard negatives …";
pub const LIVE: &str = "On validation pictures";
pub const SWAPS: &str = "Swapped captions rejected";
pub const ALL_KINDS: &str = "all kinds of wrong captions";
pub const PRETRAINED_SEES: &str = "the pretrained model, with the picture";

/// The name of a run with these texts, and its progress.
pub fn curated(texts: Texts) -> (&'static str, &'static str) {
    match texts {
        Texts::Alt => ("Trained on alt texts", "Training on alt texts …"),
        Texts::Captions => ("Trained on full captions", "Training on full captions …"),
    }
}

pub fn contest(name: &str) -> &'static str {
    match name {
        "twins" => "Twins: each text is right for one picture",
        _ => "Wrong captions by shuffling words",
    }
}

pub fn example(caption: &str, wrong: &str) -> String {
    format!("“{caption}” or “{wrong}”?")
}

/// A text-only rule; `None` for rules on the numbers of words and full stops, which are equal here.
pub fn blind(name: &str) -> Option<&'static str> {
    match name {
        "shorter caption (characters)" => Some("text only: the shorter caption"),
        "bigram model (mean log p)" => Some("text only: the more frequent word pairs"),
        _ => None,
    }
}
