//! The page's texts.

use super::state::SAMPLES as SAMPLE_NUMBERS;
use crate::protocol::Model;
use crate::verdict::Verdict;

pub const TITLE: &str = "CLoVe";
pub const WHAT: &str = "Which caption fits a picture, and does the model notice who does what to whom? Everything runs in this tab; your pictures never leave it.";

pub const TO_LAB: &str = "Open the lab: lessons, and a CLIP to train";

pub const PICTURES: &str = "Picture";
pub const DROP: &str = "Drop, paste or choose pictures.";
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
pub const NONE_MADE: &str = "No hard negatives made: ";
pub const MARK_WRONG: &str = "Mark as wrong";
pub const MARK_RIGHT: &str = "Mark as right";
pub const ORDER: &str = "Order";
pub const IN_PLACE: &str = "As written";
pub const BEST_FIRST: &str = "Best match first";
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
pub const AGAIN: &str = "Make new ones";
pub const MAKING: &str = "Making …";
pub const WHICH_WORDS: &str = "Which words matter";
pub const HIDE_WORDS: &str = "Hide words";
pub const WHERE: &str = "Where it looks";
pub const HIDE_WHERE: &str = "Hide where";
pub const HEAT_NOTE: &str = "Approximate: the similarity of each image patch to the caption. Faded patches are the least similar. CLIP was not trained for this.";
pub const NOT_PAIR: &str = "Alpha needs a pretrained and a fine-tuned model.";
pub const WORDS_NOTE: &str = "Contribution of each word to the similarity";

pub const ALPHA: &str = "Alpha";
pub const ALPHA_NOTE: &str = "0 is the pretrained model, 1 the fine-tuned model. Values in between interpolate their weights.";
pub const CHART: &str = "How alpha changes the result";
pub const CHART_NOTE: &str = "The similarity of a caption minus that of its highest-scoring wrong caption. Below zero, the model prefers the wrong caption.";
pub const CHART_EMPTY: &str = "Add a wrong caption first.";

pub const EXPORT: &str = "Export";
pub const EXPORT_JSON: &str = "JSON";
pub const EXPORT_PNG: &str = "PNG";
pub const RETRY: &str = "Try again";

pub const CHOOSING: &str = "Looking for a GPU …";
pub const ASKED_CPU: &str = "requested in the address";
pub const ASKED_GPU: &str = "requested in the address";
pub const NO_WEBGPU: &str = "this browser doesn't support WebGPU";
pub const NO_ADAPTER: &str = "no GPU available";
pub const GPU_FOUND: &str = "GPU available";
pub const RESTARTED: &str = "restarted after: ";
pub const FELL_BACK: &str = "WebGPU failed: ";
pub const FAILED: &str = "The engine stopped: ";
pub const STOPPED: &str = "the engine stopped";
pub const SILENT: &str = "the engine doesn't respond";
pub const ODD_ANSWER: &str = "the engine gave an unexpected answer";
pub const NO_WORKER: &str = "the engine can't start";

/// A missing file of the page.
pub fn missing(name: &str) -> String {
    format!("can't fetch {name}, a file of this page; reload the page to get the current version")
}

/// Why the CPU is used despite an adapter.
pub fn software(adapter: &str) -> String {
    format!("the only adapter, {adapter}, is software")
}

pub fn starting(gpu: bool) -> String {
    format!("Starting the {} engine …", backend(gpu))
}

/// The running engine, its device, and the reason.
pub fn running(backend: &str, adapter: &str, why: &str, milliseconds: f64) -> String {
    let on = if adapter.eq_ignore_ascii_case(backend) {
        format!("your {backend}")
    } else {
        format!("{backend} ({adapter})")
    };
    format!("Running on {on} ({why}). Started in {:.1} s.", milliseconds / 1e3)
}

pub fn model(model: &Model) -> String {
    let size = format!("{:.1} million parameters", model.parameters as f64 / 1e6);
    match (model.name.as_str(), &model.finetuned) {
        ("scenes", _) => format!(
            "Small models trained on drawn scenes like the samples, {size} each. They don't know photos; open a CLIP model for those."
        ),
        (name, None) => format!("{name}: {size}. Add a fine-tuned model to patch it."),
        (name, Some(finetuned)) => {
            format!("{name} and its fine-tuned version {finetuned}: {size} each.")
        }
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
pub const ON_DISK: &str = "this computer";
pub const FROM_DISK: &str = "From this computer";
pub const FROM_DISK_NOTE: &str = "A CLIP folder in Hugging Face or open_clip layout, or its files. For a fine-tuned model, the weights file is enough.";
pub const CHOOSE_FOLDER: &str = "Choose a folder";
pub const CHOOSE_FILES: &str = "Choose files";
pub const EMPTY_FOLDER: &str = "The folder has no files.";
pub const FROM_WEB: &str = "From the web";
pub const FROM_WEB_NOTE: &str = "A model name on the Hugging Face hub, or the URL of a folder. Nothing is downloaded until you press Download.";
pub const PLACES: [&str; 3] = [
    "openai/clip-vit-base-patch32",
    "openai/clip-vit-base-patch16",
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
];
pub const LOOK: &str = "Check size";
pub const LOOKING: &str = "Checking …";
pub const FETCH: &str = "Download";
pub const DOWNLOADING: &str = "Downloads";
pub const STOP: &str = "Stop";
pub const GO_ON: &str = "Resume";
pub const KEPT: &str = "Stored in this browser";

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
        Some(bytes) => format!("{place}: {} to download.", megabytes(bytes as f64)),
        None => format!("{place}: size unknown."),
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
        None => format!("{there}, incomplete"),
    }
}

pub fn storage(usage: f64, quota: Option<f64>) -> String {
    match quota {
        Some(quota) => format!("{} of {} in use.", megabytes(usage), megabytes(quota)),
        None => format!("{} in use.", megabytes(usage)),
    }
}

/// A sample, or another scene from an address.
pub fn sample(number: u32) -> String {
    match SAMPLE_NUMBERS.iter().position(|known| *known == number) {
        Some(place) => format!("Sample {}", place + 1),
        None => format!("Scene {number}"),
    }
}

/// A margin with its sign, with a minus sign and not a hyphen.
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

/// A hard negative's kind in words.
pub fn kind(kind: &str) -> String {
    match kind {
        "replace_obj" => "object replaced",
        "replace_att" => "attribute replaced",
        "replace_rel" => "relation replaced",
        "swap_obj" => "objects swapped",
        "swap_att" => "attributes swapped",
        "swap_rel" => "relations swapped",
        other => return other.replace('_', " "),
    }
    .to_owned()
}

/// The verdict in words.
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Nothing => "Write a caption to score it.".to_owned(),
        Verdict::Alone { similarity } => format!(
            "Similarity {}. Make hard negatives to test whether the model reads the caption.",
            self::similarity(*similarity)
        ),
        Verdict::Best { text, by } => format!("Best match: “{text}”, by {by:.3}."),
        Verdict::One { by, .. } if *by == 0.0 => {
            "The right caption and a wrong one score the same.".to_owned()
        }
        Verdict::One { by, .. } if *by > 0.0 => format!("Prefers the right caption by {by:.3}."),
        Verdict::One { by, rival } => {
            format!("Prefers the wrong caption by {:.3}: “{rival}”.", by.abs())
        }
        Verdict::Several { right, of, smallest } => format!(
            "Prefers the right caption in {right} of {of} cases; smallest margin {}.",
            signed(*smallest)
        ),
    }
}

pub const BENCH: &str = "CLoVe benchmark in this browser";
pub const BENCH_WHAT: &str = "Measures the engines on this machine; nothing is sent anywhere. It takes one to two minutes. Keep this tab in front.";
pub const BENCH_LINK: &str = "Measure this browser";
pub const BENCH_NOTE: &str = "Medians in milliseconds. The first score includes the start of the worker and all downloads. The large model is a ViT-B/32 with random weights; captions have twelve words. The photo is 4000 × 3000 pixels; ?preprocess=gpu preprocesses it on the GPU.";
pub const BENCH_SOFTWARE: &str = "The adapter is software and far slower than a GPU, so the large model is left out (?bench=all includes it).";
pub const BACK: &str = "Back to the page";
pub const MEASURE: &str = "Measure";
pub const MEASURING: &str = "Measuring …";
pub const ENGINE: &str = "Engine";
pub const FIRST_SCORE: &str = "First score";
pub const SCENE_MODEL: &str = "Scene model";
pub const LARGE_MODEL: &str = "ViT-B/32";
pub const A_PHOTO: &str = "Photo preprocessing";
pub const COLUMNS: [&str; 6] = ["Image", "Caption", "Image", "Caption", "On the CPU", "On the GPU"];

pub fn backend(gpu: bool) -> &'static str {
    if gpu { "WebGPU" } else { "CPU" }
}

pub fn milliseconds(time: f64) -> String {
    if time < 10.0 { format!("{time:.2}") } else { format!("{time:.0}") }
}

pub const TAKE: &str = "Capture";
pub const CANCEL: &str = "Cancel";
pub const NO_CAMERA: &str = "no camera available";
pub const PHOTO: &str = "photo";
pub const LENS: &str = "Camera preview";
pub const CAMERA_REFUSED: &str = "Camera: ";

pub fn heat_of(caption: &str) -> String {
    format!("How similar each part of the picture is to “{caption}”")
}

/// A point of the chart, for screen readers.
pub fn chart(alpha: f64, margin: f32) -> String {
    format!("alpha {alpha:.1}: {}", signed(margin))
}

pub fn curve_of(caption: &str) -> String {
    format!("Margin of “{caption}”")
}
