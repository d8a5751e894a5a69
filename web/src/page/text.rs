//! Every English text of the page.

use super::state::SAMPLES as SAMPLE_NUMBERS;
use crate::protocol::Model;
use crate::verdict::Verdict;

pub const TITLE: &str = "CLoVe";
pub const WHAT: &str = "Which caption fits a picture, and does the model notice who does what to whom? \
     Everything is computed in this tab: no picture leaves it.";

pub const TO_LAB: &str = "The lab: lessons, and a CLIP that you train";

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
pub const WHICH_WORDS: &str = "Which words matter";
pub const HIDE_WORDS: &str = "Hide words";
pub const WHERE: &str = "Where it looks";
pub const HIDE_WHERE: &str = "Hide where";
pub const HEAT_NOTE: &str = "An approximation: how similar each patch of the picture is to the caption, from least (veiled) to most (clear). CLIP was never trained to tell this.";
pub const NOT_PAIR: &str = "Alpha needs a fine-tuned model beside the pretrained one.";
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

/// A file of the page itself.
pub fn missing(name: &str) -> String {
    format!("the page's file {name} can't be fetched; reload the page, a newer one may be there")
}

/// Why the CPU is used though there's an adapter.
pub fn software(adapter: &str) -> String {
    format!("the browser's only adapter, {adapter}, is software")
}

pub fn starting(gpu: bool) -> String {
    let engine = if gpu { "WebGPU" } else { "CPU" };
    format!("Starting the {engine} engine …")
}

/// What runs, on what, and why.
pub fn running(backend: &str, adapter: &str, why: &str, milliseconds: f64) -> String {
    let on = if adapter.eq_ignore_ascii_case(backend) {
        format!("the {backend}")
    } else {
        format!("{backend} ({adapter})")
    };
    format!(
        "Computes on {on}: {why}. Opened in {:.1} s.",
        milliseconds / 1e3
    )
}

/// The models in use.
pub fn model(model: &Model) -> String {
    let size = format!("{:.1} million numbers", model.parameters as f64 / 1e6);
    match (model.name.as_str(), &model.finetuned) {
        ("scenes", _) => format!(
            "Small models of drawn scenes such as the samples, {size} each. They know nothing of photos; for those open a CLIP."
        ),
        (name, None) => format!(
            "{name}: {size}. Without a fine-tuned model beside it there is nothing to patch."
        ),
        (name, Some(finetuned)) => format!("{name} and, fine-tuned, {finetuned}: {size} each."),
    }
}

pub const MODELS: &str = "Models";
pub const OTHER_MODELS: &str = "Use other models";
pub const PRETRAINED: &str = "Pretrained";
pub const FINETUNED: &str = "Fine-tuned";
pub const SCENES: &str = "Scenes (comes with this page)";
pub const SCENES_TUNED: &str = "Scenes, fine-tuned with hard negatives";
pub const NONE: &str = "None";
pub const OPEN: &str = "Open";
pub const OPENING: &str = "Opening …";
pub const FROM_DISK: &str = "From this computer";
pub const FROM_DISK_NOTE: &str = "A CLIP's folder in Hugging Face's or open_clip's layout, or its files. A fine-tuned model may be its weights alone.";
pub const CHOOSE_FOLDER: &str = "Choose a folder";
pub const CHOOSE_FILES: &str = "Choose files";
pub const EMPTY_FOLDER: &str = "The folder has no files.";
pub const FROM_WEB: &str = "From the web";
pub const FROM_WEB_NOTE: &str = "A name on the Hugging Face hub, or the address of a folder. It's fetched only when you say so.";
pub const PLACES: [&str; 3] = [
    "openai/clip-vit-base-patch32",
    "openai/clip-vit-base-patch16",
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
];
pub const LOOK: &str = "Look";
pub const LOOKING: &str = "Looking …";
pub const FETCH: &str = "Fetch";
pub const DOWNLOADING: &str = "Download";
pub const STOP: &str = "Stop";
pub const GO_ON: &str = "Go on";
pub const KEPT: &str = "Kept in this browser";

pub fn on_disk(name: &str) -> String {
    format!("{name} (this computer)")
}

fn megabytes(bytes: f64) -> String {
    if bytes < 9.95e6 {
        format!("{:.1} MB", bytes / 1e6)
    } else if bytes < 9.95e8 {
        format!("{:.0} MB", bytes / 1e6)
    } else {
        format!("{:.1} GB", bytes / 1e9)
    }
}

pub fn found(place: &str, bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{place}: {} to fetch.", megabytes(bytes as f64)),
        None => format!("{place}: its size isn't told."),
    }
}

pub fn progress(place: &str, done: u64, total: Option<u64>, left: Option<f64>) -> String {
    let mut words = format!("{place}: {}", megabytes(done as f64));
    if let Some(total) = total {
        words = format!("{words} of {}", megabytes(total as f64));
    }
    if let Some(left) = left {
        let left = if left < 90.0 {
            format!("{:.0} s", left.ceil())
        } else {
            format!("{:.0} min", (left / 60.0).ceil())
        };
        words = format!("{words}, {left} left");
    }
    words
}

pub fn kept(bytes: u64, total: Option<u64>, complete: bool) -> String {
    let there = megabytes(bytes as f64);
    match total {
        _ if complete => there,
        Some(total) => format!("{there} of {}", megabytes(total as f64)),
        None => format!("{there}, not all of it"),
    }
}

pub fn forget(place: &str) -> String {
    format!("Remove {place}")
}

pub fn storage(usage: f64, quota: Option<f64>) -> String {
    match quota {
        Some(quota) => format!("{} of {} in use.", megabytes(usage), megabytes(quota)),
        None => format!("{} in use.", megabytes(usage)),
    }
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

/// One of those that are offered, or any other that an address names.
pub fn sample(number: u32) -> String {
    match SAMPLE_NUMBERS.iter().position(|known| *known == number) {
        Some(place) => format!("Sample {}", place + 1),
        None => format!("Scene {number}"),
    }
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

pub const BENCH: &str = "CLoVe, measured in this browser";
pub const BENCH_WHAT: &str = "How long the engines take here: nothing is sent anywhere. It takes a minute or two; leave the tab in front.";
pub const BENCH_LINK: &str = "Measure this browser";
pub const BENCH_NOTE: &str = "Medians in milliseconds. The first score counts from the worker's start, downloads included. \
     The large model has the shape of OpenAI's ViT-B/32 and random weights; a caption has twelve words. The photo has 4000 x 3000 pixels; \
     ?preprocess=gpu lets the GPU make photos ready.";
pub const BENCH_SOFTWARE: &str = "The adapter is software, far slower than a GPU: the large model was left out (?bench=all measures it).";
pub const BACK: &str = "Back to the page";
pub const MEASURE: &str = "Measure";
pub const MEASURING: &str = "Measuring …";
pub const ENGINE: &str = "Engine";
pub const FIRST_SCORE: &str = "First score";
pub const SCENE_MODEL: &str = "Scene model";
pub const LARGE_MODEL: &str = "ViT-B/32";
pub const AN_IMAGE: &str = "Image";
pub const A_CAPTION: &str = "Caption";
pub const A_PHOTO: &str = "Photo made ready";
pub const BY_HOST: &str = "On the CPU";
pub const BY_DEVICE: &str = "On the GPU";

pub fn backend(gpu: bool) -> &'static str {
    if gpu { "WebGPU" } else { "CPU" }
}

pub fn milliseconds(time: f64) -> String {
    if time < 10.0 {
        format!("{time:.2}")
    } else {
        format!("{time:.0}")
    }
}

pub const TAKE: &str = "Take it";
pub const CANCEL: &str = "Cancel";
pub const NO_CAMERA: &str = "no camera can be used here";
pub const PHOTO: &str = "photo";
pub const LENS: &str = "What the camera sees";

pub fn camera_refused(reason: &str) -> String {
    format!("Camera: {reason}")
}

pub fn heat_of(caption: &str) -> String {
    format!("How similar each part of the picture is to “{caption}”")
}

/// What a reader of the chart is told instead of it.
pub fn chart(alpha: f64, margin: f32) -> String {
    format!("alpha {alpha:.1}: {}", signed(margin))
}

pub fn curve_of(caption: &str) -> String {
    format!("Margin of “{caption}”")
}
