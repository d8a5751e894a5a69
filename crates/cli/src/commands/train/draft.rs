//! From a configuration's keys to a [`Config`]: the defaults, and what makes no sense.

mod data;

use anyhow::{Result, bail};
use clove::loss::OwnNegatives;
use clove::train::{AdamWConfig, TrainConfig};
use clove_lab::Recipe;

use super::config::{
    Config, Data, Kind, LoraSettings, LossKind, LossSettings, Model, Negatives, Optimizer,
    Precision, Start, Style, TextKind, Tower, Training,
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
        let data = data::data(keys, &recipe)?;
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
        let validation = data::validation(keys, &data, training.checkpoint_every)?;
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

fn negatives(keys: &mut Document, data: &Data) -> Result<Negatives> {
    let sets = data.sets();
    let brings_some = sets
        .iter()
        .any(|set| !matches!(set.kind, Kind::Folder | Kind::Coco));
    let usual = match (data.kind, data.texts) {
        (Kind::Scenes, Some(TextKind::Captions)) => Style::Mixed,
        _ if brings_some => Style::File,
        _ => Style::None,
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
        (Kind::Mixture, Style::File) if !brings_some => Some(
            "none of the sets brings negatives; use \"none\", or one that is made of captions (\"replace\", \"negclip\", \"swap\", \
             \"shuffle\" or \"mixed\")",
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
