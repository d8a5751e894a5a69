//! Checks of a configuration.

use toml::Value;

use super::document::Document;
use super::read::MOST_STEPS;
use super::{Captions, Choice, Config, Kind, Style, TextKind, Validation};
use crate::error::Result;

const ON_DISK: &str =
    "\"folder\", \"json-lines\", \"table\", \"webdataset\", \"parquet\" or \"coco\"";

/// The kind of the data; with data.sets, a mixture.
pub(super) fn kind(document: &Document) -> Result<Kind> {
    let has_sets = document.get("data.sets").is_some();
    let kind = document.take("data.kind")?;
    kind.or(has_sets.then_some(Kind::Mixture)).ok_or_else(|| {
        let problem = format!("is missing; give \"scenes\", {ON_DISK}, or several [[data.sets]]");
        document.wrong("data.kind", problem)
    })
}

/// The kinds of the sets. Skips invalid ones, which other checks report.
fn kinds_of_sets(document: &Document) -> Vec<Kind> {
    let read = |value: &Value| value.clone().try_into().ok();
    match document.get("data.sets") {
        Some(Value::Array(sets)) => {
            let kinds = sets.iter().filter_map(|set| read(set.get("kind")?));
            kinds.collect()
        }
        _ => document.get("data.kind").and_then(read).into_iter().collect(),
    }
}

/// Whether a set can contain negatives.
pub(super) fn brings_negatives(document: &Document) -> bool {
    kinds_of_sets(document).into_iter().any(Kind::brings_negatives)
}

/// Why a set of a kind can't have a key.
pub(super) fn foreign(kind: Kind, name: &str) -> Option<&'static str> {
    let has_images = matches!(kind, Kind::JsonLines | Kind::Table | Kind::Parquet | Kind::Coco);
    match name {
        "images" if !has_images => {
            Some("only for the kinds \"json-lines\", \"table\", \"parquet\" and \"coco\"")
        }
        "columns.image" if !has_images || kind == Kind::Coco => {
            Some("only for the kinds \"json-lines\", \"table\" and \"parquet\"")
        }
        "captions.fields" | "captions.weights" | "columns.negatives"
            if matches!(kind, Kind::Folder | Kind::Coco) =>
        {
            Some("only for the kinds \"json-lines\", \"table\", \"webdataset\" and \"parquet\"")
        }
        _ => None,
    }
}

const OF_A_SET: [&str; 8] = [
    "path",
    "images",
    "splits",
    "captions.fields",
    "captions.weights",
    "captions.choice",
    "columns.image",
    "columns.negatives",
];

const OF_SCENES: [&str; 3] = ["scenes", "repeat", "texts"];

/// Why data of a kind can't have a key of the table `data`.
pub(super) fn foreign_data(kind: Kind, copies: bool, name: &str) -> Option<&'static str> {
    match kind {
        _ if name == "kind" => None,
        Kind::Scenes => (!OF_SCENES.contains(&name))
            .then_some("not for scenes, which are generated at the model's size"),
        _ if OF_SCENES.contains(&name) => Some("only for the kind \"scenes\""),
        Kind::Mixture if OF_A_SET.contains(&name) => {
            Some("remove it; each of data.sets has its own")
        }
        _ if kind != Kind::Mixture && name == "sets" => Some("is for mixtures; remove data.kind"),
        _ if name.starts_with("cache") && !copies => {
            Some("only for the kinds \"webdataset\" and \"parquet\"; others aren't copied")
        }
        _ => foreign(kind, name),
    }
}

/// Refuses keys that conflict with others, and reports missing ones.
pub(super) fn beside(document: &Document) -> Result<()> {
    if document.get("model.init").is_none() && document.get("model.shape").is_none() {
        return Ok(()); // Reported with the defaults.
    }
    let kind = kind(document)?;
    let copies = kinds_of_sets(document).into_iter().any(Kind::is_copied);
    let known = super::read::known();
    for key in known.iter().filter(|key| !key.starts_with("data.sets.")) {
        let name = key.strip_prefix("data.");
        if let Some(reason) = name.and_then(|name| foreign_data(kind, copies, name)) {
            document.refuse(key, reason)?;
        }
    }
    match document.get("data.sets") {
        Some(Value::Array(sets)) if !sets.is_empty() => {
            for (number, set) in sets.iter().enumerate() {
                check_set(document, &format!("data.sets[{number}]"), set)?;
            }
        }
        _ if kind == Kind::Mixture => {
            return Err(document.wrong("data.sets", "must have at least one set"));
        }
        _ if kind != Kind::Scenes && document.get("data.path").is_none() => {
            return Err(document.wrong("data.path", path_missing(kind)));
        }
        _ => {}
    }
    for (keys, needed, reason) in [
        ("lora.", "lora.rank", "low-rank adaptation needs lora.rank"),
        ("validation.", "validation.path", "validation needs validation.path"),
        ("validation.class_names", "validation.classes", "needs validation.classes"),
        ("validation.templates", "validation.classes", "needs validation.classes"),
    ] {
        if document.get(needed).is_none() {
            for key in known.iter().filter(|key| key.starts_with(keys)) {
                document.refuse(key, reason)?;
            }
        }
    }
    Ok(())
}

/// Checks the keys of one of several sets.
fn check_set(document: &Document, place: &str, set: &Value) -> Result<()> {
    let kind: Option<Kind> = set.get("kind").and_then(|kind| kind.clone().try_into().ok());
    let Some(kind) = kind.filter(|kind| Kind::ON_DISK.contains(kind)) else {
        return Err(document.wrong(&format!("{place}.kind"), format!("must be {ON_DISK}")));
    };
    if set.get("path").is_none() {
        return Err(document.wrong(&format!("{place}.path"), path_missing(kind)));
    }
    for name in OF_A_SET {
        let value = name.split('.').try_fold(set, |value, part| value.get(part));
        if let Some(reason) = foreign(kind, name).filter(|_| value.is_some()) {
            return Err(document.wrong(&format!("{place}.{name}"), reason));
        }
    }
    Ok(())
}

fn path_missing(kind: Kind) -> String {
    let what = match kind {
        Kind::JsonLines => "a file with one JSON object per line",
        Kind::Table => "a .csv or .tsv file with a header, or several: captions-*.csv",
        Kind::Parquet => {
            "a .parquet file, a folder of files, or several by braces: train-{000..099}.parquet"
        }
        Kind::Webdataset => {
            "tar files, several by braces: part-{000..099}.tar, s3://bucket/part-{000..099}.tar.gz"
        }
        Kind::Coco => "COCO's or Karpathy's JSON",
        _ => "a folder of images with a text file for each",
    };
    format!("is missing; give {what}")
}

/// Reports the first key with an invalid value.
macro_rules! rules {
    ($document:expr; $($key:literal: $right:expr, $problem:expr;)*) => {
        $(
            let is_right: bool = $right;
            if !is_right {
                return Err($document.wrong($key, $problem));
            }
        )*
    };
}

const AT_LEAST_ONE: &str = "must be at least 1";
const POSITIVE: &str = "must be a number above 0";
const NOT_NEGATIVE: &str = "must be a number of at least 0";
const BELOW_ONE: &str = "must be at least 0 and below 1";

pub(super) fn values(config: &Config, document: &Document) -> Result<()> {
    let positive = |value: f64| value > 0.0 && value.is_finite();
    let not_negative = |value: f64| value >= 0.0 && value.is_finite();
    let below_one = |value: f64| (0.0..1.0).contains(&value);
    let rises = |pair: Option<[f64; 2]>, least: f64, most: f64| {
        pair.is_none_or(|[from, to]| least <= from && from <= to && to <= most)
    };
    let (data, loss, rates) = (&config.data, &config.loss, &config.optimizer);
    let train = &config.train;
    let filter = data.filter.unwrap_or_default();
    let fewest = filter.min_words.unwrap_or(1).max(1);
    let steps_given = document.get("train.steps").is_some();
    let lora = config.lora.as_ref();
    let validation = config.validation.as_ref();
    let is_unlocked = |tower| !train.locked.contains(tower);
    rules! { document;
        "out": !config.out.as_os_str().is_empty(), "must name a folder";
        "model.context": config.model.context.is_none_or(|tokens| tokens >= 2),
            "must be at least 2, for start and end of text";
        "data.scenes": data.scenes.is_none_or(|scenes| scenes >= 1), AT_LEAST_ONE;
        "data.crop_scale": rises(data.crop_scale, f64::MIN_POSITIVE, 1.0),
            "must be the smallest and largest share of the image area, above 0 and at most 1";
        "data.crop_ratio": rises(data.crop_ratio, 0.01, 100.0),
            "must be the smallest and largest ratio of width to height, from 0.01 to 100";
        "data.unreadable": data.unreadable.is_none_or(|share| (0.0..=1.0).contains(&share)),
            "must be a share, from 0 to 1";
        "data.filter.max_words": filter.max_words.is_none_or(|most| most >= fewest),
            format!("must be at least {fewest}");
        "data.filter.max_aspect": filter.max_aspect.is_none_or(|most| most >= 1.0),
            "must be a ratio of at least 1";
        "negatives.per_caption": (1..=64).contains(&config.negatives.per_caption),
            "must be from 1 to 64; to use no negatives, set negatives.style to \"none\"";
        "loss.weight": not_negative(loss.weight), NOT_NEGATIVE;
        "loss.gamma": (0..=32).contains(&loss.gamma), "must be from 0 to 32";
        "loss.smoothing": below_one(loss.smoothing), BELOW_ONE;
        "optimizer.learning_rate": positive(rates.learning_rate), POSITIVE;
        "optimizer.beta_1": below_one(rates.beta_1), BELOW_ONE;
        "optimizer.beta_2": below_one(rates.beta_2), BELOW_ONE;
        "optimizer.epsilon": positive(rates.epsilon), POSITIVE;
        "optimizer.weight_decay": not_negative(rates.weight_decay), NOT_NEGATIVE;
        "optimizer.image_rate": positive(rates.image_rate), POSITIVE;
        "optimizer.clip_norm": rates.clip_norm > 0.0, "must be a number above 0, or inf to disable clipping";
        "train.steps": !steps_given || (1..=MOST_STEPS).contains(&train.steps),
            format!("must be from 1 to {MOST_STEPS}");
        "train.epochs": train.epochs.is_none_or(positive), "must be above 0";
        "train.batch": (1..=65_536).contains(&train.batch), "must be from 1 to 65536";
        "train.micro_batch": train.micro_batch <= train.batch,
            "must be from 1 to train.batch, or 0 for the most that fits into memory";
        "train.recoveries": train.recoveries <= 1_000, "must be at most 1000";
        "train.checkpoint_every": train.checkpoint_every >= 1, AT_LEAST_ONE;
        "train.keep": train.keep >= 1, AT_LEAST_ONE;
        "data.cache_size": data.cache_size.is_none_or(positive), "must be a number of GiB above 0";
        "train.memory": train.memory.is_none_or(positive), "must be a number of GiB above 0";
        "lora.rank": lora.is_none_or(|lora| (1..=1_024).contains(&lora.rank)), "must be from 1 to 1024";
        "lora.towers": lora.is_none_or(|lora| !lora.towers.is_empty()),
            "must name \"image\", \"text\" or both";
        "lora.towers": lora.is_none_or(|lora| lora.towers.iter().all(is_unlocked)),
            "names a tower that train.locked freezes; remove it from one of the two";
        "lora.alpha": lora.is_none_or(|lora| positive(lora.alpha)), POSITIVE;
        "validation.every": validation.is_none_or(|held_out| held_out.every >= 1), AT_LEAST_ONE;
        "validation.most": validation.is_none_or(|held_out| held_out.most >= 1), AT_LEAST_ONE;
        "validation.patience": validation.is_none_or(|held_out| held_out.patience != Some(0)),
            AT_LEAST_ONE;
    }
    if let Some((key, problem)) = wrong_captions(data.captions.as_ref()) {
        return Err(document.wrong(&format!("data.{key}"), problem));
    }
    for (number, set) in data.sets.iter().enumerate() {
        let place = format!("data.sets[{number}]");
        if let Some((key, problem)) = wrong_captions(set.captions.as_ref()) {
            return Err(document.wrong(&format!("{place}.{key}"), problem));
        }
        if !set.weight.is_none_or(positive) {
            return Err(document.wrong(&format!("{place}.weight"), POSITIVE));
        }
    }
    let weights = data.sets.iter().filter(|set| set.weight.is_some()).count();
    if weights != 0 && weights != data.sets.len() {
        let problem =
            "give all sets a weight or none; without weights, each sample is drawn once per epoch";
        return Err(document.wrong("data.sets", problem));
    }
    if let Some(problem) = wrong_style(config) {
        return Err(document.wrong("negatives.style", problem));
    }
    held_out(validation, document)
}

fn held_out(validation: Option<&Validation>, document: &Document) -> Result<()> {
    let Some(validation) = validation else {
        return Ok(());
    };
    if matches!(validation.kind, Kind::Scenes | Kind::Mixture) {
        return Err(document.wrong("validation.kind", format!("must be {ON_DISK}")));
    }
    for name in ["images", "captions.fields", "columns.image", "columns.negatives"] {
        if let Some(reason) = foreign(validation.kind, name) {
            document.refuse(&format!("validation.{name}"), reason)?;
        }
    }
    Ok(())
}

/// An invalid key of the captions, and the problem.
fn wrong_captions(captions: Option<&Captions>) -> Option<(&'static str, String)> {
    let Captions { fields, weights, choice } = captions?;
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < fields.len() {
        return Some(("captions.fields", "names a field twice".to_owned()));
    }
    let is_one = |weight: &f64| *weight > 0.0 && weight.is_finite();
    let problem = if weights.is_empty() {
        return None;
    } else if weights.len() != fields.len() {
        format!("must have as many values as captions.fields, {}", fields.len())
    } else if !weights.iter().all(is_one) {
        "must be numbers above 0".to_owned()
    } else if *choice != Choice::Random {
        "only for the choice \"random\"".to_owned()
    } else {
        return None;
    };
    Some(("captions.weights", problem))
}

/// Why the data can't have negatives of the style.
fn wrong_style(config: &Config) -> Option<&'static str> {
    let data = &config.data;
    match (data.kind, config.negatives.style) {
        (_, Style::None) => None,
        (Kind::Scenes, Style::File) => {
            Some("scenes have no file; use \"none\", \"negclip\", \"replace\" or \"mixed\"")
        }
        (Kind::Scenes, _) if data.texts == Some(TextKind::Alt) => {
            Some("alt texts have no negatives; with texts = \"alt\" use \"none\"")
        }
        (Kind::Scenes, Style::Swap | Style::Shuffle) => Some(
            "scenes have no negatives of this style; use \"none\", \"negclip\", \"replace\" or \"mixed\"",
        ),
        (Kind::Coco, Style::File) => Some(
            "COCO's files have no negatives; use \"none\" or a style that generates them, such as \"mixed\"",
        ),
        (Kind::Folder, Style::File) => Some(
            "a folder of texts has no negatives; use \"none\", a style that generates them, such as \"mixed\", or the kind \"json-lines\"",
        ),
        (Kind::Mixture, Style::File)
            if !data.sets.iter().any(|set| set.kind.brings_negatives()) =>
        {
            Some(
                "none of the sets has negatives; use \"none\" or a style that generates them, such as \"mixed\"",
            )
        }
        _ => None,
    }
}
