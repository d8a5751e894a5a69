//! Every English text of the page.

use crate::verdict::Verdict;

pub const TITLE: &str = "CLoVe";
pub const WHAT: &str = "Which caption fits a picture, and does the model notice who does what to whom? \
     Everything is computed in this tab: no picture leaves it.";

pub const PICTURES: &str = "Picture";
pub const DROP: &str = "Drop pictures here, paste them, or choose some.";
pub const CHOOSE: &str = "Choose pictures";
pub const CAMERA: &str = "Take a photo";
pub const SAMPLES: &str = "Samples";
pub const NO_PICTURE: &str = "No picture yet";
pub const READING: &str = "Reading the picture …";
pub const REMOVE_PICTURE: &str = "Remove this picture";
pub const USE_CAPTION: &str = "Use the sample's captions";
pub const DISMISS: &str = "Dismiss";
pub const PASTED: &str = "pasted picture";

pub const CAPTIONS: &str = "Captions";
pub const CAPTION: &str = "Caption";
pub const WRONG_CAPTION: &str = "Wrong caption";
pub const PLACEHOLDER: &str = "Describe the picture";
pub const ADD: &str = "Add a caption";
pub const REMOVE: &str = "Remove";
pub const MARK_WRONG: &str = "Mark as wrong";
pub const MARK_RIGHT: &str = "Mark as right";
pub const ORDER: &str = "Order";
pub const IN_PLACE: &str = "In place";
pub const BEST_FIRST: &str = "Best first";
pub const SIMILARITY: &str = "Similarity";
pub const PROBABILITY: &str = "Probability";

pub const STYLE: &str = "Hard negatives";
pub const STYLES: [(&str, &str); 5] = [
    ("mixed", "mixed"),
    ("replace", "replace a word"),
    ("swap", "swap words"),
    ("negclip", "as NegCLIP"),
    ("shuffle", "shuffle"),
];
pub const MAKE: &str = "Make hard negatives";
pub const AGAIN: &str = "Make others";
pub const MAKING: &str = "Making …";
pub const LEXICON_MISSING: &str = "The lexicon can't be fetched";
pub const WHICH_WORDS: &str = "Which words matter";
pub const HIDE_WORDS: &str = "Hide words";
pub const WORDS_NOTE: &str = "What each word adds to the similarity";

pub const ALPHA: &str = "Alpha";
pub const ALPHA_NOTE: &str =
    "0 is the pretrained model, 1 the fine-tuned one; between them their weights are mixed.";
pub const CHART: &str = "Margins against alpha";
pub const CHART_NOTE: &str = "A caption's similarity less that of its best wrong caption. Below the line the wrong one is preferred.";
pub const CHART_EMPTY: &str = "Give a caption a wrong one first.";

pub const EXPORT: &str = "Export";
pub const EXPORT_JSON: &str = "JSON";
pub const EXPORT_PNG: &str = "PNG";
pub const RETRY: &str = "Try again";

pub const CHOOSING: &str = "Looking for a GPU …";
pub const ASKED_CPU: &str = "the address asks for it";
pub const ASKED_GPU: &str = "the address asks for it";
pub const NO_WEBGPU: &str = "this browser has no WebGPU";
pub const NO_ADAPTER: &str = "WebGPU has no adapter here";
pub const GPU_FOUND: &str = "the browser offers a GPU";
pub const STOPPED: &str = "the engine stopped";
pub const SILENT: &str = "the engine doesn't answer";
pub const ODD_ANSWER: &str = "the engine's answer makes no sense";
pub const NO_WORKER: &str = "the engine can't be started";

/// Why the CPU is used though there's an adapter.
pub fn software(adapter: &str) -> String {
    format!("the browser's only adapter, {adapter}, is software")
}

pub fn starting(gpu: bool) -> String {
    let engine = if gpu { "WebGPU" } else { "CPU" };
    format!("Starting the {engine} engine …")
}

/// What runs, on what, and why.
pub fn running(backend: &str, adapter: &str, why: &str) -> String {
    if adapter.eq_ignore_ascii_case(backend) {
        format!("Computes on the {backend}: {why}")
    } else {
        format!("Computes on {backend} ({adapter}): {why}")
    }
}

/// The model, after it's open.
pub fn model(name: &str, parameters: u64, milliseconds: f64) -> String {
    let of = match name {
        "scenes" => {
            "A small model of drawn scenes such as the samples, which knows nothing of photos"
        }
        other => other,
    };
    format!(
        "{of}: {:.1} million numbers, opened in {:.1} s.",
        parameters as f64 / 1e6,
        milliseconds / 1e3
    )
}

pub fn restarted(reason: &str) -> String {
    format!("started again after: {reason}")
}

pub fn fell_back(reason: &str) -> String {
    format!("WebGPU failed, {reason}")
}

pub fn failed(reason: &str) -> String {
    format!("No engine runs: {reason}")
}

pub fn sample(number: u32) -> String {
    format!("Sample {}", number + 1)
}

pub fn size(width: u32, height: u32) -> String {
    format!("{width} × {height}")
}

pub fn none_made(why: &str) -> String {
    format!("No hard negatives: {why}.")
}

/// A signed number of a margin, with a true minus.
pub fn signed(number: f32) -> String {
    if number.abs() < 5e-4 {
        return "0.000".to_owned();
    }
    let sign = if number < 0.0 { '−' } else { '+' };
    format!("{sign}{:.3}", number.abs())
}

pub fn similarity(number: f32) -> String {
    let sign = if number < 0.0 { "−" } else { "" };
    format!("{sign}{:.3}", number.abs())
}

pub fn probability(number: f32) -> String {
    format!("{:.1} %", number * 100.0)
}

/// A hard negative's kind, as people say it.
pub fn kind(kind: &str) -> String {
    match kind {
        "replace_obj" => "object replaced".to_owned(),
        "replace_att" => "attribute replaced".to_owned(),
        "replace_rel" => "relation replaced".to_owned(),
        "swap_obj" => "objects swapped".to_owned(),
        "swap_att" => "attributes swapped".to_owned(),
        "swap_rel" => "relations swapped".to_owned(),
        other => other.replace('_', " "),
    }
}

pub fn exchanged(from: &str, to: &str) -> String {
    format!("{from} → {to}")
}

/// The verdict in words.
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Nothing => "Write a caption to score it.".to_owned(),
        Verdict::Alone { similarity } => format!(
            "Similarity {}. Make hard negatives to see whether the model reads or guesses.",
            self::similarity(*similarity)
        ),
        Verdict::Best { text, by } => format!("Likes best “{text}”, by {by:.3}."),
        Verdict::One { by, .. } if *by == 0.0 => {
            "Can't tell the right caption from a wrong one.".to_owned()
        }
        Verdict::One { by, .. } if *by > 0.0 => format!("Prefers the right caption by {by:.3}."),
        Verdict::One { by, rival } => {
            format!("Prefers the wrong caption by {:.3}: “{rival}”.", by.abs())
        }
        Verdict::Several {
            right,
            of,
            smallest,
        } => format!(
            "Prefers the right caption {right} times of {of}; the smallest margin is {}.",
            signed(*smallest)
        ),
    }
}

/// What a reader of the chart is told instead of it.
pub fn chart(alpha: f64, margin: f32) -> String {
    format!("alpha {alpha:.1}: {}", signed(margin))
}

pub fn curve_of(caption: &str) -> String {
    format!("Margin of “{caption}”")
}
