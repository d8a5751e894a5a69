//! What makes no sense in a configuration.

use toml::Value;

use super::document::Document;
use super::read::{MOST_STEPS, kind_missing};
use super::{Captions, Choice, Config, Kind, Style, TextKind, Validation};
use crate::error::Result;

/// The kinds of sets.
pub(super) const ON_DISK: &str =
    "\"folder\", \"json-lines\", \"table\", \"webdataset\", \"parquet\" or \"coco\"";

/// The kind of the data: it's a mixture where there are several sets.
pub(super) fn kind(document: &Document) -> Result<Kind> {
    let has_sets = document.get("data.sets").is_some();
    let kind = document.take("data.kind")?;
    kind.or(has_sets.then_some(Kind::Mixture))
        .ok_or_else(|| document.wrong("data.kind", kind_missing()))
}

/// The kinds of a mixture's sets, or that of the one set. What can't be read is told of later.
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

/// Whether a set may bring negatives.
pub(super) fn brings_negatives(document: &Document) -> bool {
    let brings =
        |kind: &Kind| !matches!(kind, Kind::Folder | Kind::Coco | Kind::Scenes | Kind::Mixture);
    kinds_of_sets(document).iter().any(brings)
}

/// Why data of a kind doesn't have a key of a set.
pub(super) fn foreign(kind: Kind, name: &str) -> Option<&'static str> {
    let has_images = matches!(kind, Kind::JsonLines | Kind::Table | Kind::Parquet | Kind::Coco);
    match name {
        "images" if !has_images => {
            Some("only the kinds \"json-lines\", \"table\", \"parquet\" and \"coco\" have it")
        }
        "splits" if kind != Kind::Coco => Some("only the kind \"coco\" has it"),
        "captions.fields" | "captions.weights" if matches!(kind, Kind::Folder | Kind::Coco) => {
            Some("only the kinds \"json-lines\", \"table\", \"webdataset\" and \"parquet\" have it")
        }
        _ => None,
    }
}

/// The keys of one set.
const OF_A_SET: [&str; 6] =
    ["path", "images", "splits", "captions.fields", "captions.weights", "captions.choice"];

/// The keys that drawn scenes have.
const OF_SCENES: [&str; 3] = ["scenes", "repeat", "texts"];

/// Why data of a kind doesn't have a key of the table `data`.
pub(super) fn foreign_data(kind: Kind, copies: bool, name: &str) -> Option<&'static str> {
    match kind {
        _ if name == "kind" => None,
        Kind::Scenes => (!OF_SCENES.contains(&name))
            .then_some("scenes have none: they're drawn, and drawn to size"),
        _ if OF_SCENES.contains(&name) => Some("only the kind \"scenes\" has it"),
        Kind::Mixture if OF_A_SET.contains(&name) => {
            Some("each of data.sets has its own; it means nothing beside them")
        }
        _ if kind != Kind::Mixture && name == "sets" => {
            Some("is for several sets; without data.kind beside it")
        }
        _ if name == "cache" && !copies => {
            Some("only the kinds \"webdataset\" and \"parquet\" have it: others aren't copied")
        }
        _ => foreign(kind, name),
    }
}

/// Refuses keys that mean nothing beside others, and misses those that others ask for.
pub(super) fn beside(document: &Document) -> Result<()> {
    if let (None, None) = (document.get("model.init"), document.get("model.shape")) {
        return Ok(()); // That's told first.
    }
    let kind = kind(document)?;
    let copied = |kind: &Kind| matches!(kind, Kind::Webdataset | Kind::Parquet);
    let copies = kinds_of_sets(document).iter().any(copied);
    let of_data = super::read::known();
    for key in of_data.iter().filter(|key| !key.starts_with("data.sets.")) {
        if let Some(name) = key.strip_prefix("data.")
            && let Some(reason) = foreign_data(kind, copies, name)
        {
            document.refuse(&[key.as_str()], reason)?;
        }
    }
    match document.get("data.sets") {
        Some(Value::Array(sets)) => {
            for (number, set) in sets.iter().enumerate() {
                let place = format!("data.sets[{number}]");
                let kind = set.get("kind").cloned();
                let kind: Option<Kind> = kind.and_then(|kind| kind.try_into().ok());
                let on_disk = kind.filter(|kind| !matches!(kind, Kind::Scenes | Kind::Mixture));
                let Some(kind) = on_disk else {
                    return Err(
                        document.wrong(&format!("{place}.kind"), format!("must be {ON_DISK}"))
                    );
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
            }
            if sets.is_empty() {
                return Err(document.wrong("data.sets", "must have at least one set"));
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
    let with_table = |table: &str, needed: &str, reason: &str| {
        let keys = of_data.iter().filter(|key| key.starts_with(table));
        match document.get(needed) {
            Some(_) => Ok(()),
            None => document.refuse(&keys.map(String::as_str).collect::<Vec<_>>(), reason),
        }
    };
    with_table("lora.", "lora.rank", "there are no low-rank factors without lora.rank")?;
    with_table(
        "validation.",
        "validation.path",
        "there's nothing to validate on without validation.path",
    )?;
    if document.get("validation.classes").is_none() {
        document.refuse(
            &["validation.class_names", "validation.templates"],
            "there are no classes without validation.classes",
        )?;
    }
    Ok(())
}

fn path_missing(kind: Kind) -> String {
    let what = match kind {
        Kind::JsonLines => "a file of JSON objects, one a line",
        Kind::Table => "a .csv or .tsv file with a header",
        Kind::Parquet => {
            "a .parquet file, a folder of them, or several by braces: train-{000..099}.parquet"
        }
        Kind::Webdataset => {
            "tar files, several by braces: part-{000..099}.tar, s3://bucket/part-{000..099}.tar.gz"
        }
        Kind::Coco => "a JSON file of COCO's or Karpathy's",
        _ => "a folder of images with a text beside each",
    };
    format!("is missing; give {what}")
}

/// Refuses keys whose values may not be so, and says what they have to be.
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
const NOT_NEGATIVE: &str = "must be a number that isn't negative";
const BELOW_ONE: &str = "must be at least 0 and below 1";

/// Refuses values that make no sense.
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
        "model.context": config.model.context.is_none_or(|tokens| tokens >= 2),
            "must be at least 2: start and end of text are two tokens";
        "data.scenes": data.scenes.is_none_or(|scenes| scenes >= 1), AT_LEAST_ONE;
        "data.crop_scale": rises(data.crop_scale, f64::MIN_POSITIVE, 1.0),
            "must be the smallest and the largest part of the image's area, above 0 and at most 1";
        "data.crop_ratio": rises(data.crop_ratio, 0.01, 100.0),
            "must be the smallest and the largest ratio of width to height, from 0.01 to 100";
        "data.unreadable": data.unreadable.is_none_or(|share| (0.0..=1.0).contains(&share)),
            "must be a share, from 0 to 1";
        "data.filter.max_words": filter.max_words.is_none_or(|most| most >= fewest),
            format!("must be at least {fewest}");
        "data.filter.max_aspect": filter.max_aspect.is_none_or(|most| most >= 1.0),
            "must be the longer side as a multiple of the shorter one, at least 1";
        "negatives.per_caption": (1..=64).contains(&config.negatives.per_caption),
            "must be from 1 to 64; for none, set negatives.style to \"none\"";
        "loss.weight": not_negative(loss.weight), NOT_NEGATIVE;
        "loss.gamma": (0..=32).contains(&loss.gamma), "must be from 0 to 32";
        "loss.smoothing": below_one(loss.smoothing), BELOW_ONE;
        "optimizer.learning_rate": positive(rates.learning_rate), POSITIVE;
        "optimizer.beta_1": below_one(rates.beta_1), BELOW_ONE;
        "optimizer.beta_2": below_one(rates.beta_2), BELOW_ONE;
        "optimizer.epsilon": positive(rates.epsilon), POSITIVE;
        "optimizer.weight_decay": not_negative(rates.weight_decay), NOT_NEGATIVE;
        "optimizer.image_rate": positive(rates.image_rate), POSITIVE;
        "optimizer.clip_norm": rates.clip_norm > 0.0, "must be a number above 0, or inf for no clipping";
        "train.steps": !steps_given || (1..=MOST_STEPS).contains(&train.steps),
            format!("must be from 1 to {MOST_STEPS}");
        "train.epochs": train.epochs.is_none_or(positive), "must be above 0";
        "train.batch": (1..=65_536).contains(&train.batch), "must be from 1 to 65536";
        "train.micro_batch": train.micro_batch <= train.batch,
            "must be from 1 to train.batch, or 0 for what the memory holds";
        "train.recoveries": train.recoveries <= 1_000, "must be at most 1000";
        "train.checkpoint_every": train.checkpoint_every >= 1, AT_LEAST_ONE;
        "train.keep": train.keep >= 1, AT_LEAST_ONE;
        "train.memory": train.memory.is_none_or(positive), "must be a number of GiB above 0";
        "lora.rank": lora.is_none_or(|lora| (1..=1_024).contains(&lora.rank)), "must be from 1 to 1024";
        "lora.towers": lora.is_none_or(|lora| !lora.towers.is_empty()),
            "must name \"image\", \"text\" or both";
        "lora.towers": lora.is_none_or(|lora| lora.towers.iter().all(is_unlocked)),
            "names a tower that train.locked locks; it either learns by factors or not at all";
        "lora.alpha": lora.is_none_or(|lora| positive(lora.alpha)), POSITIVE;
        "validation.every": validation.is_none_or(|held_out| held_out.every >= 1), AT_LEAST_ONE;
        "validation.most": validation.is_none_or(|held_out| held_out.most >= 1), AT_LEAST_ONE;
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
        let problem = "either all of them have a weight or none; without any, every sample of all sets is drawn once in an epoch";
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
    for name in ["images", "splits", "captions.fields"] {
        if let Some(reason) = foreign(validation.kind, name) {
            document.refuse(&[&format!("validation.{name}")], reason)?;
        }
    }
    if validation.patience == Some(0) {
        return Err(document.wrong("validation.patience", AT_LEAST_ONE));
    }
    Ok(())
}

/// What is wrong with how captions are found, and the key.
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
        format!("must be as many as captions.fields, which are {}", fields.len())
    } else if !weights.iter().all(is_one) {
        "must be numbers above 0".to_owned()
    } else if *choice != Choice::Random {
        "only the choice \"random\" has weights".to_owned()
    } else {
        return None;
    };
    Some(("captions.weights", problem))
}

/// Why the data has no negatives of a style.
fn wrong_style(config: &Config) -> Option<&'static str> {
    let data = &config.data;
    let sets = data.sets();
    let brings = |kind| !matches!(kind, Kind::Folder | Kind::Coco);
    match (data.kind, config.negatives.style) {
        (_, Style::None) => None,
        (Kind::Scenes, Style::File) => {
            Some("scenes bring no file; use \"none\", \"negclip\", \"replace\" or \"mixed\"")
        }
        (Kind::Scenes, _) if data.texts == Some(TextKind::Alt) => {
            Some("hard negatives are made of full captions; with texts = \"alt\" use \"none\"")
        }
        (Kind::Scenes, Style::Swap | Style::Shuffle) => Some(
            "scenes have negatives of their own, and none of this style; use \"none\", \"negclip\", \"replace\" or \"mixed\"",
        ),
        (Kind::Coco, Style::File) => Some(
            "COCO's files bring no negatives; use \"none\", or one that is made of captions (\"replace\", \"negclip\", \"swap\", \
             \"shuffle\" or \"mixed\")",
        ),
        (Kind::Folder, Style::File) => Some(
            "a folder of texts brings no negatives; use \"none\", one that is made of captions (\"replace\", \"negclip\", \"swap\", \
             \"shuffle\" or \"mixed\"), or the kind \"json-lines\"",
        ),
        (Kind::Mixture, Style::File) if !sets.iter().any(|set| brings(set.kind)) => Some(
            "none of the sets brings negatives; use \"none\", or one that is made of captions (\"replace\", \"negclip\", \"swap\", \
             \"shuffle\" or \"mixed\")",
        ),
        _ => None,
    }
}
