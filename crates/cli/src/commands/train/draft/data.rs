//! What a configuration says of data: of a set, of a mixture of several, and of held-out pairs.

use anyhow::Result;
use clove::preprocess::RandomResizedCrop;
use clove_data::sets::Filter;
use clove_lab::Recipe;

use super::super::captions::{Captions, Choice};
use super::super::config::{Data, Kind, SetSettings, TextKind, Validation};
use super::super::document::Document;

/// The kinds of sets.
const KINDS: &str =
    "\"folder\", \"json-lines\", \"table\", \"webdataset\", \"parquet\" or \"coco\"";

/// What there is to learn from.
pub(super) fn data(keys: &mut Document, recipe: &Recipe) -> Result<Data> {
    let kind = keys.take("data.kind")?;
    let is_mixture = keys.has("data.sets");
    let Some(kind) = kind.or(is_mixture.then_some(Kind::Mixture)) else {
        let problem = format!("is missing; give \"scenes\", {KINDS}, or several [[data.sets]]");
        return Err(keys.wrong("data.kind", problem));
    };
    let mut data = Data {
        kind,
        path: None,
        images: None,
        splits: Vec::new(),
        cache: None,
        scenes: None,
        repeat: false,
        texts: None,
        crop_scale: None,
        crop_ratio: None,
        crops: None,
        unreadable: None,
        digest: None,
        captions: None,
        filter: None,
        sets: Vec::new(),
    };
    if kind == Kind::Scenes {
        let files = [
            &OF_A_SET[..],
            &OF_FILES,
            &IN_DATA,
            &OF_CAPTIONS,
            &["data.sets"],
        ];
        keys.refuse(
            &files.concat(),
            "scenes have none: they're drawn, and drawn to size",
        )?;
        let epoch = (recipe.steps * recipe.batch) as u64;
        let some = |count| count >= 1;
        data.scenes = Some(keys.get("data.scenes", epoch, some, "must be at least 1")?);
        data.repeat = keys.take("data.repeat")?.unwrap_or(false);
        data.texts = Some(keys.take("data.texts")?.unwrap_or(TextKind::Captions));
        return Ok(data);
    }
    keys.refuse(
        &["data.scenes", "data.repeat", "data.texts"],
        "only the kind \"scenes\" has it",
    )?;
    if kind == Kind::Mixture {
        let problem = "each of data.sets has its own; it means nothing beside them";
        keys.refuse(&[&OF_A_SET[..], &OF_CAPTIONS].concat(), problem)?;
        data.sets = sets(keys)?;
    } else {
        keys.refuse(
            &["data.sets"],
            "is for several sets; without data.kind beside it",
        )?;
        let set = set(keys, kind)?;
        data.path = Some(set.path);
        data.images = set.images;
        data.splits = set.splits;
        data.captions = set.captions;
    }
    let is_copied = |set: &SetSettings| matches!(set.kind, Kind::Webdataset | Kind::Parquet);
    if data.sets().iter().any(is_copied) {
        data.cache = keys.take("data.cache")?;
    } else {
        let problem = "only the kinds \"webdataset\" and \"parquet\" have it: others aren't copied";
        keys.refuse(&["data.cache"], problem)?;
    }
    let usual = RandomResizedCrop::default();
    data.crop_scale = Some(keys.get(
        "data.crop_scale",
        usual.scale.into(),
        |[from, to]: [f64; 2]| 0.0 < from && from <= to && to <= 1.0,
        "must be the smallest and the largest part of the image's area, above 0 and at most 1",
    )?);
    data.crop_ratio = Some(keys.get(
        "data.crop_ratio",
        usual.ratio.into(),
        |[from, to]: [f64; 2]| 0.01 <= from && from <= to && to <= 100.0,
        "must be the smallest and the largest ratio of width to height, from 0.01 to 100",
    )?);
    data.crops = keys.take("data.crops")?;
    data.unreadable = Some(keys.get(
        "data.unreadable",
        0.1,
        |share| (0.0..=1.0).contains(&share),
        "must be a share, from 0 to 1",
    )?);
    data.digest = keys.take("data.digest")?;
    data.filter = filter(keys, IN_DATA)?;
    Ok(data)
}

/// The keys of a set, but for its captions'.
const OF_A_SET: [&str; 3] = ["data.path", "data.images", "data.splits"];

const OF_FILES: [&str; 6] = [
    "data.cache",
    "data.crop_scale",
    "data.crop_ratio",
    "data.crops",
    "data.unreadable",
    "data.digest",
];

/// The sets of a mixture.
fn sets(keys: &mut Document) -> Result<Vec<SetSettings>> {
    let tables: Vec<toml::Table> = keys.take("data.sets")?.unwrap_or_default();
    let mut sets = Vec::with_capacity(tables.len());
    for (number, table) in tables.into_iter().enumerate() {
        let mut keys = keys.within(&format!("data.sets[{number}]"), table);
        let kind = match keys.take("data.kind")? {
            Some(Kind::Scenes | Kind::Mixture) | None => {
                return Err(keys.wrong("data.kind", format!("must be {KINDS}")));
            }
            Some(kind) => kind,
        };
        let mut set = set(&mut keys, kind)?;
        set.weight = keys.take("data.weight")?;
        if set
            .weight
            .is_some_and(|weight| !(weight > 0.0 && weight.is_finite()))
        {
            return Err(keys.wrong("data.weight", "must be a number above 0"));
        }
        keys.finish()?;
        sets.push(set);
    }
    if sets.is_empty() {
        return Err(keys.wrong("data.sets", "must have at least one set"));
    }
    let weights = sets.iter().filter(|set| set.weight.is_some()).count();
    if weights != 0 && weights != sets.len() {
        let problem = "either all of them have a weight or none; without any, every sample of all sets is drawn once in an epoch";
        return Err(keys.wrong("data.sets", problem));
    }
    Ok(sets)
}

/// Where a set of a kind is.
fn set(keys: &mut Document, kind: Kind) -> Result<SetSettings> {
    let Some(path) = keys.take("data.path")? else {
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
        return Err(keys.wrong("data.path", format!("is missing; give {what}")));
    };
    if !has_images(kind) {
        keys.refuse(&["data.images"], HAVE_IMAGES)?;
    }
    Ok(SetSettings {
        kind,
        path,
        images: keys.take("data.images")?,
        splits: splits(keys, "data.splits", kind)?,
        weight: None,
        captions: captions(keys, OF_CAPTIONS, kind)?,
    })
}

/// The keys of captions.
type CaptionKeys = [&'static str; 3];

const OF_CAPTIONS: CaptionKeys = [
    "data.captions.fields",
    "data.captions.weights",
    "data.captions.choice",
];

/// Where captions stand, and which is taken; `None` where no key says so.
fn captions(keys: &mut Document, names: CaptionKeys, kind: Kind) -> Result<Option<Captions>> {
    let [fields, weights, choice] = names;
    let captions = Captions {
        fields: keys.take(fields)?.unwrap_or_default(),
        weights: keys.take(weights)?.unwrap_or_default(),
        choice: keys.take(choice)?.unwrap_or_default(),
    };
    if !captions.fields.is_empty() && !has_fields(kind) {
        return Err(keys.wrong(fields, HAVE_FIELDS));
    }
    let mut sorted = captions.fields.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < captions.fields.len() {
        return Err(keys.wrong(fields, "names a field twice"));
    }
    if !captions.weights.is_empty() {
        if captions.weights.len() != captions.fields.len() {
            let problem = format!(
                "must be as many as captions.fields, which are {}",
                captions.fields.len()
            );
            return Err(keys.wrong(weights, problem));
        }
        let is_one = |weight: &f64| *weight > 0.0 && weight.is_finite();
        if !captions.weights.iter().all(is_one) {
            return Err(keys.wrong(weights, "must be numbers above 0"));
        }
        if captions.choice != Choice::Random {
            return Err(keys.wrong(weights, "only the choice \"random\" has weights"));
        }
    }
    Ok((captions != Captions::default()).then_some(captions))
}

/// The splits of a COCO file.
fn splits(keys: &mut Document, key: &'static str, kind: Kind) -> Result<Vec<String>> {
    if kind != Kind::Coco {
        keys.refuse(&[key], "only the kind \"coco\" has it")?;
        return Ok(Vec::new());
    }
    Ok(keys.take(key)?.unwrap_or_default())
}

const HAVE_IMAGES: &str =
    "only the kinds \"json-lines\", \"table\", \"parquet\" and \"coco\" have it";

/// Whether a kind's images can lie in a folder of their own.
fn has_images(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::JsonLines | Kind::Table | Kind::Parquet | Kind::Coco
    )
}

const HAVE_FIELDS: &str =
    "only the kinds \"json-lines\", \"table\", \"webdataset\" and \"parquet\" have it";

/// Whether a kind's captions stand in fields that have names.
fn has_fields(kind: Kind) -> bool {
    !matches!(kind, Kind::Folder | Kind::Coco)
}

/// The keys of a filter.
type FilterKeys = [&'static str; 5];

const IN_DATA: FilterKeys = [
    "data.filter.min_words",
    "data.filter.max_words",
    "data.filter.min_side",
    "data.filter.max_aspect",
    "data.filter.duplicates",
];

/// What of a set is left out; `None` where no key says so.
fn filter(keys: &mut Document, names: FilterKeys) -> Result<Option<Filter>> {
    let [min_words, max_words, min_side, max_aspect, duplicates] = names;
    let filter = Filter {
        min_words: keys.take(min_words)?,
        max_words: keys.take(max_words)?,
        min_side: keys.take(min_side)?,
        max_aspect: keys.take(max_aspect)?,
        duplicates: keys.take(duplicates)?,
    };
    let least = filter.min_words.unwrap_or(1).max(1);
    if filter.max_words.is_some_and(|most| most < least) {
        return Err(keys.wrong(max_words, format!("must be at least {least}")));
    }
    if filter
        .max_aspect
        .is_some_and(|most| most.is_nan() || most < 1.0)
    {
        return Err(keys.wrong(
            max_aspect,
            "must be the longer side as a multiple of the shorter one, at least 1",
        ));
    }
    Ok((filter != Filter::default()).then_some(filter))
}

/// Held-out pairs.
pub(super) fn validation(
    keys: &mut Document,
    data: &Data,
    every: usize,
) -> Result<Option<Validation>> {
    let Some(path) = keys.take("validation.path")? else {
        keys.refuse(
            &[
                "validation.kind",
                "validation.images",
                "validation.splits",
                "validation.every",
                "validation.most",
                "validation.patience",
                "validation.captions.fields",
                "validation.classes",
                "validation.class_names",
                "validation.templates",
            ],
            "there's nothing to validate on without validation.path",
        )?;
        return Ok(None);
    };
    let kind = match keys.take("validation.kind")?.unwrap_or(data.kind) {
        Kind::Scenes | Kind::Mixture => {
            return Err(keys.wrong("validation.kind", format!("must be {KINDS}")));
        }
        kind => kind,
    };
    // Those of the training data's kind stand as those do.
    let alike = data.captions.as_ref().filter(|_| kind == data.kind);
    let fields: Option<Vec<String>> = keys.take("validation.captions.fields")?;
    let fields = fields.or_else(|| Some(alike?.fields.clone()));
    let captions = Captions {
        fields: fields.unwrap_or_default(),
        ..Captions::default()
    };
    if !captions.fields.is_empty() && !has_fields(kind) {
        return Err(keys.wrong("validation.captions.fields", HAVE_FIELDS));
    }
    if !has_images(kind) {
        keys.refuse(&["validation.images"], HAVE_IMAGES)?;
    }
    let classes = keys.take("validation.classes")?;
    if classes.is_none() {
        keys.refuse(
            &["validation.class_names", "validation.templates"],
            "there are no classes without validation.classes",
        )?;
    }
    let any = |count| count >= 1;
    let patience = keys.take("validation.patience")?;
    if patience == Some(0) {
        return Err(keys.wrong("validation.patience", "must be at least 1"));
    }
    Ok(Some(Validation {
        kind,
        path,
        images: keys.take("validation.images")?,
        splits: splits(keys, "validation.splits", kind)?,
        captions: (captions != Captions::default()).then_some(captions),
        classes,
        class_names: keys.take("validation.class_names")?,
        templates: keys.take("validation.templates")?,
        patience,
        every: keys.get("validation.every", every, any, "must be at least 1")?,
        most: keys.get("validation.most", 1_000, any, "must be at least 1")?,
    }))
}
