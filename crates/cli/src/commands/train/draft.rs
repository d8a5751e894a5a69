//! From a configuration's keys to a [`Config`]: the defaults, and what makes no sense.

use anyhow::{Result, bail};
use clove::lab::Recipe;
use clove::loss::OwnNegatives;
use clove::preprocess::RandomResizedCrop;
use clove::train::{AdamWConfig, TrainConfig};
use clove_data::sets::Filter;

use super::config::{
    Config, Data, Kind, LoraSettings, LossKind, LossSettings, Model, Negatives, Optimizer,
    Precision, Start, Style, TextKind, Tower, Training, Validation,
};
use super::document::Document;

/// A configuration that doesn't know yet how large the data is.
#[derive(Debug)]
pub struct Draft {
    pub config: Config,
    /// Where the number of steps isn't given.
    epochs: Option<f64>,
    warmup: Option<usize>,
}

/// A slip of the keyboard shouldn't ask for centuries.
const MOST_STEPS: usize = 1_000_000_000;

impl Draft {
    /// Reads a configuration and refuses what doesn't make sense.
    pub fn read(mut document: Document) -> Result<Self> {
        let keys = &mut document;
        let out = keys.take("out")?.unwrap_or_else(|| "clove-train".into());
        // TOML's integers have a sign.
        let seed = keys.get("seed", 0, |_: u64| true, "")?;
        let model = model(keys)?;
        let (base, recipe) = match model.start() {
            // The scene models' own recipes.
            Start::Blank | Start::Described(_) => {
                (Recipe::PRETRAINING.train_config(), Recipe::PRETRAINING)
            }
            Start::Pretrained => (Recipe::FINE_TUNING.train_config(), Recipe::FINE_TUNING),
            Start::Directory(_) => (TrainConfig::new(1), Recipe::FINE_TUNING),
        };
        let data = data(keys, &recipe)?;
        let negatives = negatives(keys, &data)?;
        let loss = loss(keys)?;
        let warmup = keys.take("optimizer.warmup")?;
        let optimizer = optimizer(keys, &base)?;
        let length = ["train.steps", "train.epochs"];
        let (steps, epochs) =
            keys.take_either::<usize, f64>(length, "give either steps or epochs")?;
        match (steps, epochs) {
            (Some(steps), None) if !(1..=MOST_STEPS).contains(&steps) => {
                return Err(keys.wrong("train.steps", format!("must be from 1 to {MOST_STEPS}")));
            }
            (None, Some(epochs)) if !(epochs > 0.0 && epochs.is_finite()) => {
                return Err(keys.wrong("train.epochs", "must be above 0"));
            }
            _ => {}
        }
        let any = |count| count >= 1;
        let batch = keys.get(
            "train.batch",
            recipe.batch,
            |batch| (1..=65_536).contains(&batch),
            "must be from 1 to 65536",
        )?;
        let training = Training {
            steps: steps.unwrap_or(0),
            batch,
            // 0: what the memory holds.
            micro_batch: keys.get(
                "train.micro_batch",
                0,
                |pairs| (0..=batch).contains(&pairs),
                "must be from 1 to train.batch, or 0 for what the memory holds",
            )?,
            checkpointing: keys.take("train.checkpointing")?.unwrap_or(false),
            precision: keys.take("train.precision")?.unwrap_or(Precision::F32),
            locked: keys.take("train.locked")?.unwrap_or_default(),
            recoveries: keys.get(
                "train.recoveries",
                3,
                |count| count <= 1_000,
                "must be at most 1000",
            )?,
            checkpoint_every: keys.get("train.checkpoint_every", 500, any, "must be at least 1")?,
            keep: keys.get("train.keep", 2, any, "must be at least 1")?,
        };
        let memory = keys.take("train.memory")?;
        if memory.is_some_and(|gib: f64| !(gib > 0.0 && gib.is_finite())) {
            return Err(keys.wrong("train.memory", "must be a number of GiB above 0"));
        }
        let lora = lora(keys, &training.locked)?;
        let validation = validation(keys, &data, training.checkpoint_every)?;
        document.finish()?;
        Ok(Self {
            config: Config {
                out,
                seed,
                model,
                data,
                negatives,
                loss,
                optimizer,
                train: training,
                lora,
                validation,
                memory,
            },
            epochs: steps.is_none().then(|| epochs.unwrap_or(1.0)),
            warmup,
        })
    }

    /// Fills in what depends on the data: `samples` make an epoch, `digest` is the set's.
    pub fn resolve(self, samples: u64, digest: Option<String>) -> Result<Config> {
        let mut config = self.config;
        if let Some(epochs) = self.epochs {
            let steps = (epochs * samples as f64 / config.train.batch as f64).ceil();
            if steps > MOST_STEPS as f64 {
                bail!(
                    "train.epochs: {epochs} epochs are {steps} steps; at most {MOST_STEPS} are taken"
                );
            }
            config.train.steps = (steps as usize).max(1);
        }
        let usual = TrainConfig::new(config.train.steps).schedule.warmup;
        config.optimizer.warmup = self.warmup.unwrap_or(usual);
        match (&config.data.digest, &digest) {
            (Some(wanted), Some(found)) if wanted != found => bail!(
                "data.digest: the set isn't the one that was meant: its digest is {found}, not {wanted}"
            ),
            _ => config.data.digest = digest,
        }
        Ok(config)
    }
}

fn model(keys: &mut Document) -> Result<Model> {
    let (init, shape) = keys.take_either(
        ["model.init", "model.shape"],
        "a model starts from init or, with random weights, from a shape; give one of them",
    )?;
    if init.is_none() && shape.is_none() {
        return Err(keys.wrong(
            "model.init",
            "is missing; give a model's directory, or \"scenes\" for the scene model that comes with the program",
        ));
    }
    let context = keys.take("model.context")?;
    if context.is_some_and(|tokens| tokens < 2) {
        let problem = "must be at least 2: start and end of text are two tokens";
        return Err(keys.wrong("model.context", problem));
    }
    Ok(Model {
        init,
        shape,
        context,
    })
}

fn lora(keys: &mut Document, locked: &[Tower]) -> Result<Option<LoraSettings>> {
    let Some(rank) = keys.take("lora.rank")? else {
        keys.refuse(
            &["lora.alpha", "lora.towers"],
            "there are no low-rank factors without lora.rank",
        )?;
        return Ok(None);
    };
    if !(1..=1_024).contains(&rank) {
        return Err(keys.wrong("lora.rank", "must be from 1 to 1024"));
    }
    let both = vec![Tower::Image, Tower::Text];
    let towers: Vec<Tower> = keys.take("lora.towers")?.unwrap_or(both);
    if towers.is_empty() {
        return Err(keys.wrong("lora.towers", "must name \"image\", \"text\" or both"));
    }
    if towers.iter().any(|tower| locked.contains(tower)) {
        let problem =
            "names a tower that train.locked locks; it either learns by factors or not at all";
        return Err(keys.wrong("lora.towers", problem));
    }
    Ok(Some(LoraSettings {
        rank,
        alpha: keys.get(
            "lora.alpha",
            1.0,
            |alpha: f64| alpha > 0.0 && alpha.is_finite(),
            "must be a number above 0",
        )?,
        towers,
    }))
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

fn data(keys: &mut Document, recipe: &Recipe) -> Result<Data> {
    let Some(kind) = keys.take("data.kind")? else {
        return Err(keys.wrong(
            "data.kind",
            "is missing; give \"scenes\", \"folder\", \"json-lines\", \"table\", \"webdataset\", \"parquet\" or \"coco\"",
        ));
    };
    let mut data = Data {
        kind,
        path: None,
        images: None,
        splits: Vec::new(),
        cache: None,
        scenes: None,
        texts: None,
        crop_scale: None,
        crop_ratio: None,
        unreadable: None,
        digest: None,
        filter: None,
    };
    if kind == Kind::Scenes {
        let files = [
            "data.path",
            "data.images",
            "data.splits",
            "data.cache",
            "data.crop_scale",
            "data.crop_ratio",
            "data.unreadable",
            "data.digest",
        ];
        let files = [&files[..], &IN_DATA].concat();
        keys.refuse(&files, "scenes have none: they're drawn, and drawn to size")?;
        let epoch = (recipe.steps * recipe.batch) as u64;
        let some = |count| count >= 1;
        data.scenes = Some(keys.get("data.scenes", epoch, some, "must be at least 1")?);
        data.texts = Some(keys.take("data.texts")?.unwrap_or(TextKind::Captions));
        return Ok(data);
    }
    keys.refuse(
        &["data.scenes", "data.texts"],
        "only the kind \"scenes\" has it",
    )?;
    data.path = keys.take("data.path")?;
    if data.path.is_none() {
        let what = match kind {
            Kind::JsonLines => "a file of JSON objects, one a line",
            Kind::Table => "a .csv or .tsv file with a header",
            Kind::Parquet => {
                "a .parquet file, a folder of them, or several by braces: train-{000..099}.parquet"
            }
            Kind::Webdataset => {
                "tar files, several by braces: part-{000..099}.tar, s3://bucket/part-{000..099}.tar.gz"
            }
            _ => "a folder of images with a text beside each",
        };
        return Err(keys.wrong("data.path", format!("is missing; give {what}")));
    }
    if has_images(kind) {
        data.images = keys.take("data.images")?;
    } else {
        keys.refuse(&["data.images"], HAVE_IMAGES)?;
    }
    data.splits = splits(keys, "data.splits", kind)?;
    if matches!(kind, Kind::Webdataset | Kind::Parquet) {
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

fn validation(keys: &mut Document, data: &Data, every: usize) -> Result<Option<Validation>> {
    let Some(path) = keys.take("validation.path")? else {
        keys.refuse(
            &[
                "validation.kind",
                "validation.images",
                "validation.splits",
                "validation.every",
                "validation.most",
                "validation.patience",
            ],
            "there's nothing to validate on without validation.path",
        )?;
        return Ok(None);
    };
    let kind = keys.take("validation.kind")?;
    let kind = match kind.unwrap_or(data.kind) {
        Kind::Scenes => {
            let problem = "must be \"folder\", \"json-lines\", \"table\", \"webdataset\", \"parquet\" or \"coco\"";
            return Err(keys.wrong("validation.kind", problem));
        }
        kind => kind,
    };
    if !has_images(kind) {
        keys.refuse(&["validation.images"], HAVE_IMAGES)?;
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
        patience,
        every: keys.get("validation.every", every, any, "must be at least 1")?,
        most: keys.get("validation.most", 1_000, any, "must be at least 1")?,
    }))
}

fn negatives(keys: &mut Document, data: &Data) -> Result<Negatives> {
    let usual = match (data.kind, data.texts) {
        (Kind::Scenes, Some(TextKind::Alt)) | (Kind::Folder | Kind::Coco, _) => Style::None,
        (Kind::Scenes, _) => Style::Mixed,
        (Kind::JsonLines | Kind::Table | Kind::Webdataset | Kind::Parquet, _) => Style::File,
    };
    let style = keys.take("negatives.style")?.unwrap_or(usual);
    let problem = match (data.kind, style) {
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
        _ => None,
    };
    if let Some(problem) = problem {
        return Err(keys.wrong("negatives.style", problem));
    }
    Ok(Negatives {
        style,
        per_caption: keys.get(
            "negatives.per_caption",
            1,
            |count| (1..=64).contains(&count),
            "must be from 1 to 64; for none, set negatives.style to \"none\"",
        )?,
    })
}

fn loss(keys: &mut Document) -> Result<LossSettings> {
    let usual = OwnNegatives::default();
    Ok(LossSettings {
        kind: keys.take("loss.kind")?.unwrap_or(LossKind::Clove),
        weight: keys.get("loss.weight", usual.weight, not_negative, NOT_NEGATIVE)?,
        gamma: keys.get(
            "loss.gamma",
            usual.gamma,
            |gamma| (0..=32).contains(&gamma),
            "must be from 0 to 32",
        )?,
        smoothing: keys.get("loss.smoothing", usual.smoothing, below_one, BELOW_ONE)?,
        fused: keys.take("loss.fused")?.unwrap_or(false),
    })
}

fn optimizer(keys: &mut Document, base: &TrainConfig) -> Result<Optimizer> {
    let positive = |value: f64| value > 0.0 && value.is_finite();
    let AdamWConfig {
        beta_1,
        beta_2,
        epsilon,
        weight_decay,
    } = base.optimizer;
    let above = "must be a number above 0";
    Ok(Optimizer {
        learning_rate: keys.get(
            "optimizer.learning_rate",
            base.schedule.peak,
            positive,
            above,
        )?,
        warmup: 0,
        beta_1: keys.get("optimizer.beta_1", beta_1, below_one, BELOW_ONE)?,
        beta_2: keys.get("optimizer.beta_2", beta_2, below_one, BELOW_ONE)?,
        epsilon: keys.get("optimizer.epsilon", epsilon, positive, above)?,
        weight_decay: keys.get(
            "optimizer.weight_decay",
            weight_decay,
            not_negative,
            NOT_NEGATIVE,
        )?,
        image_rate: keys.get("optimizer.image_rate", base.image_rate, positive, above)?,
        clip_norm: keys.get(
            "optimizer.clip_norm",
            base.clip_norm.unwrap_or(f64::INFINITY),
            |norm| norm > 0.0,
            "must be a number above 0, or inf for no clipping",
        )?,
    })
}

const NOT_NEGATIVE: &str = "must be a number that isn't negative";

fn not_negative(value: f64) -> bool {
    value >= 0.0 && value.is_finite()
}

const BELOW_ONE: &str = "must be at least 0 and below 1";

fn below_one(value: f64) -> bool {
    (0.0..1.0).contains(&value)
}

#[cfg(test)]
mod tests;
