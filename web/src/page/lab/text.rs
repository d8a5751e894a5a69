//! Every English text of the lab.

mod lessons;

pub use lessons::{Words, happened, happened_blind, happened_sweep, lesson};

use clove_scenes::{Size, Texture, Thing};

use crate::lab::address::View;
use crate::lab::settings::{Loss, Negatives, Settings, Texts};

pub const DOCUMENT: &str = "CLoVe: the lab";
pub const TITLE: &str = "CLoVe: the lab";
pub const TO_SCORING: &str = "Score your own pictures";
pub const WHAT: &str = "A small CLIP of drawn scenes, trained, broken, mended and patched in this tab. \
     Nothing leaves it.";
pub const TABS: &str = "Parts of the lab";

pub fn tab(view: View) -> &'static str {
    match view {
        View::Lessons => "Lessons",
        View::Draw => "Draw",
        View::Train => "Train",
        View::Patch => "Patch",
        View::Inside => "Look inside",
    }
}

pub const PRETRAINED: &str = "Pretrained";
pub const PATCHED: &str = "Patched";
pub const TUNED: &str = "Fine-tuned";
pub const TUNED_HERE: &str = "Fine-tuned here";
pub const SHIPPED: &str = "CLoVe, which comes with the page";
pub const TUNED_MODEL: &str = "Fine-tuned model";
pub const MODEL: &str = "Model";
pub const ALPHA: &str = "Alpha";

// Drawing.

pub const DRAW: &str = "Draw a scene";
pub const DRAW_NOTE: &str = "Drag things, or pick one and use the arrow keys (with Shift: further); Delete takes it away. \
     Put one on the middle of a large shape, and it lies inside.";
pub const SAID: &str = "What is said of it";
pub const UNCLEAR: &str =
    "This could be said in more than one way: move things apart, in two halves of the picture.";
pub const OTHER_WORDS: &str = "Other words and negatives";
pub const ADD_THING: &str = "Add a shape";
pub const FULL: &str = "Four are the most that a caption names.";
pub const PICK: &str = "Pick a shape to change it.";
pub const PICKED: &str = "The shape that is picked";
pub const SHAPE: &str = "Shape";
pub const REMOVE: &str = "Remove";
pub const SEEN: &str = "As the models see it: 48 by 48 pixels";
pub const TEXTS: &str = "Texts";
pub const THE_CAPTION: &str = "The caption: its similarity with the picture";
pub const TOLD: &str = "Wrong captions that are told";
pub const SCORES_NOTE: &str = "Beside each wrong caption: by how much the right one is more similar to the picture. \
     ✗ where the model prefers the wrong one.";

pub fn told(told: bool) -> &'static str {
    if told {
        "prefers the caption by "
    } else {
        "prefers the wrong one by "
    }
}

pub fn size(size: Size) -> &'static str {
    match size {
        Size::Small => "small",
        Size::Ordinary => "ordinary",
        Size::Large => "large",
    }
}

pub fn texture(texture: Texture) -> &'static str {
    match texture {
        Texture::Plain => "plain",
        Texture::Striped => "striped",
        Texture::Dotted => "dotted",
    }
}

/// A thing for those who don't see it.
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

/// SugarCrepe's kinds with their names for people.
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
    let found = KINDS.iter().find(|(kind, _)| *kind == name);
    found.map_or("", |(_, words)| words)
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
pub const IMAGE_RATE: &str = "Image tower's share of it";
pub const STEPS: &str = "Steps";
pub const BATCH: &str = "Scenes in a step";
pub const SEED: &str = "Seed";
pub const START: &str = "Start";
pub const USUAL: &str = "As usual";
pub const FORM_NOTE: &str = "Runs begin from the pretrained model. They pause while the tab is hidden, and are kept in this browser.";
pub const NO_RUN: &str = "No run yet: start one.";
pub const NO_RUNS: &str = "Runs and opened models stand here, to be compared.";
pub const PAUSE: &str = "Pause";
pub const GO_ON: &str = "Go on";
pub const ONE_STEP: &str = "One step";
pub const STOP: &str = "Stop";
pub const DOWNLOAD: &str = "Download the model";
pub const TOML: &str = "Settings for clove train";
pub const PROGRESS: &str = "Progress";
pub const GOING: &str = "In training";
pub const PAUSED: &str = "Paused";
pub const HIDDEN: &str = "Waits for the tab to be seen";
pub const DONE: &str = "Done";
pub const LOSS_CURVE: &str = "Loss";
pub const COMPOSITION: &str = "Composition";
pub const RECOGNITION: &str = "Recognition";
pub const SEEN_CLASSES: &str = "Classes that fine-tuning shows";
pub const UNSEEN_CLASSES: &str = "Classes that it never shows";
pub const CURVES_NOTE: &str = "Composition: how often the right caption of two is preferred; a guess gets 50 %. Recognition: how often a shape alone is \
     named rightly, of twelve that fine-tuning shows, or of ten that it doesn't. Both on a few hundred validation pictures.";
pub const COLUMNS: [&str; 4] = ["Steps", "Composition", "Swaps", "Unseen classes"];
pub const FORGET: &str = "Forget";
pub const OPEN: &str = "Open a model";
pub const FILES_NOTE: &str = "A downloaded model is one safetensors file, which clove eval, clove score and clove patch take for a model's directory. \
     What is opened here is such a file, or a model.safetensors of clove lab or clove train.";
pub const OPENED_NOTE: &str =
    "Opened from a file: there are no curves. Draw, Patch and Look inside use it.";
pub const NOT_SAVED: &str = "the browser can't save the file";
pub const NOT_KEPT: &str =
    "The browser has no room for the run: it's kept while this page is open, and no longer.";
pub const INTERRUPTED: &str =
    "The engine stopped on the way; another is being started. Please try again.";

pub fn spoilt(runs: usize) -> String {
    let (runs, are) = match runs {
        1 => ("One run".to_owned(), "was"),
        _ => (format!("{runs} runs"), "were"),
    };
    format!("{runs} of an earlier visit can't be read, and {are} removed.")
}

pub fn run(id: u32, settings: &Settings) -> String {
    format!("Run {id}: {}, seed {}", settings.label(), settings.seed)
}

pub fn pairs(settings: &Settings) -> String {
    let pairs = settings.steps * settings.batch;
    let scenes = settings.scenes;
    if (pairs as u64) <= scenes {
        format!("{pairs} pairs in all, no scene twice.")
    } else {
        let times = pairs as f64 / scenes as f64;
        format!("{pairs} pairs in all: each scene about {times:.1} times.")
    }
}

pub fn progress(state: &str, done: usize, of: usize) -> String {
    format!("{state}: step {done} of {of}")
}

pub fn loss(loss: f32) -> String {
    format!("loss {loss:.3}")
}

pub fn speed(pairs: f64) -> String {
    format!("{pairs:.0} pairs a second")
}

pub fn failed(reason: &str) -> String {
    format!("Failed: {reason}")
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
pub const PATCH_WHAT: &str = "Between the pretrained weights (alpha 0) and the fine-tuned ones (alpha 1) every mixture is a model. Move alpha: each \
     place that you rest at is measured and stands in the curve.";
pub const SWEEP: &str = "Draw the whole curve and choose alpha";
pub const SWEEPING: &str = "Measuring along alpha …";
pub const DOWNLOAD_PATCHED: &str = "Download the patched model";
pub const NO_CURVE: &str = "Measuring the first point …";
pub const NOT_RESTED: &str = "This run is in training: pause it, and it can be measured.";
pub const RECOGNITION_UNSEEN: &str =
    "Recognition of classes that fine-tuning never shows, validation";
pub const COMPOSITION_VALIDATION: &str = "Composition, validation";
pub const CURVE: &str = "Composition against recognition along alpha";
pub const ON_TEST: &str = "On the test split, which chose nothing";
pub const RULE: &str = "Chosen: the alpha with the highest composition on the validation split, among those whose recognition there is within 1 point of \
     the pretrained model's.";

pub fn chosen(alpha: u32) -> String {
    format!("chosen: alpha {:.2}", f64::from(alpha) / 100.0)
}

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
pub const MATRIX_NOTE: &str = "Each row is a picture, each column a text; the darker, the more similar. Framed: a picture's own caption. \
     In the right half a picture's own hard negative is framed thinly, and red where the model prefers it.";
pub const MAP_NOTE: &str = "The two directions in which embeddings differ most. A line joins a picture with its caption. How far pictures and \
     captions lie apart as a whole is the modality gap (Liang et al., arXiv 2203.02053).";
pub const HEAT: &str = "The picture; what the model finds least like the caption is veiled";
pub const EXPLAINED_NOTE: &str = "An approximation: what a word adds is the similarity less that of the caption without it; a patch's similarity was never \
     trained for. The scene is the one in Draw.";

pub fn matrix_label(told: usize, of: usize) -> String {
    format!("{told} of {of} pictures prefer their caption to its hard negative.")
}

pub fn gap(gap: f32, explained: [f32; 2]) -> String {
    format!(
        "The means of pictures and captions are {gap:.2} apart. The map shows {:.0} % of all differences.",
        100.0 * (explained[0] + explained[1])
    )
}

// Lessons.

pub const LESSONS_WHAT: &str = "Six short lessons. Each asks what you expect before it lets you see; each takes from seconds to some minutes.";
pub const LESSONS_NOTE: &str = "The address of a lesson can be handed on: it keeps the answer, and steps and seed of its run (&n=300&seed=7).";
pub const ALL_LESSONS: &str = "All lessons";
pub const LESSON_DONE: &str = "done";
pub const PRINT: &str = "Print this lesson";
pub const NEXT: &str = "Next:";
pub const ANSWER_FIRST: &str = "Answer first: what do you expect?";
pub const ENGINE_FIRST: &str = "The engine is being started.";
pub const RUN_AGAIN: &str = "Run it again";
pub const ENOUGH: &str = "Enough: measure what it has learnt";
pub const GUESS: &str = "The line marks what a guess gets.";
pub const HAPPENED: &str = "What happened";
pub const MEASURING: &str = "Measuring …";
pub const TRAINING: &str = "Training with hard negatives …";
pub const LIVE: &str = "On validation pictures";
pub const SWAPS: &str = "Exchanges told";
pub const ALL_KINDS: &str = "all kinds of wrong captions";
pub const PRETRAINED_SEES: &str = "the pretrained model, which sees the picture";

/// A run's name and what is done meanwhile, by its texts.
pub fn curated(texts: Texts) -> (&'static str, &'static str) {
    match texts {
        Texts::Alt => ("Trained on alt texts", "Training on alt texts …"),
        Texts::Captions => ("Trained on full captions", "Training on full captions …"),
    }
}

pub fn you_said(answer: &str) -> String {
    format!("You said: {answer}")
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

/// A rule that sees no picture, where it says something: all texts here have as many words, and none a full stop.
pub fn blind(name: &str) -> Option<&'static str> {
    match name {
        "shorter caption (characters)" => Some("blind: the shorter text"),
        "bigram model (mean log p)" => Some("blind: the more usual pairs of words"),
        _ => None,
    }
}
