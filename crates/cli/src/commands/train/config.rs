//! What a training run's configuration says. Called by `clove train`; crates/cli/configs explains every key.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use clove::loss::{Loss, OwnNegatives};
use clove::preprocess::RandomResizedCrop;
use clove::train::{AdamWConfig, Compute, Locked, Lora, Schedule, TrainConfig};
use clove_data::sets::Filter;
use serde::{Deserialize, Serialize};

use super::captions::Captions;

/// Every key with its value: what run.toml holds, and what a resumed run must have again.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// Left out of run.toml, which lies in it: a run's folder can be moved.
    #[serde(skip)]
    pub out: PathBuf,
    pub seed: u64,
    pub model: Model,
    pub data: Data,
    pub negatives: Negatives,
    pub loss: LossSettings,
    pub optimizer: Optimizer,
    pub train: Training,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// GiB that a step may take. Of the machine, not of the run: it isn't in run.toml.
    #[serde(skip)]
    pub memory: Option<f64>,
}

/// Held-out pairs, and how often the model is tried on them.
#[derive(Debug, Clone, Serialize)]
pub struct Validation {
    pub kind: Kind,
    pub path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Of a COCO file, those whose images are meant; none for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<String>,
    /// Photos by their classes, for zero-shot classification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_names: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<PathBuf>,
    pub every: usize,
    pub most: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captions: Option<Captions>,
}

impl Validation {
    /// Where the pairs are.
    pub fn set(&self) -> SetSettings {
        SetSettings {
            kind: self.kind,
            path: self.path.clone(),
            images: self.images.clone(),
            splits: self.splits.clone(),
            weight: None,
            captions: self.captions.clone(),
        }
    }
}

/// What training starts from: one of the two.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<PathBuf>,
    /// Tokens of a text at most, where that's fewer than the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
}

/// [`Model`], sorted out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    Directory(&'a Path),
    /// The scene model that comes with the program.
    Pretrained,
    /// A scene model with random weights.
    Blank,
    /// A model with random weights, of the shape that an open_clip configuration describes.
    Described(&'a Path),
}

impl Model {
    pub fn start(&self) -> Start<'_> {
        match (&self.init, &self.shape) {
            (Some(init), _) if init.as_os_str() == "scenes" => Start::Pretrained,
            (Some(init), _) => Start::Directory(init),
            (None, Some(shape)) if shape.as_os_str() != "scenes" => Start::Described(shape),
            (None, _) => Start::Blank,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Data {
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Of a COCO file, those whose images are meant; none for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<String>,
    /// The folder of copies of what is on a server, or packed. Of the machine, not of the run: it isn't in run.toml.
    #[serde(skip)]
    pub cache: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenes: Option<u64>,
    /// Whether each epoch has the same scenes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_scale: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_ratio: Option<[f64; 2]>,
    /// Where photos are cropped and resized. The pixels are the same, and it's of the machine: it isn't in run.toml.
    #[serde(skip)]
    pub crops: Option<Crops>,
    /// The share of the samples that may be unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<f64>,
    /// Of the set, [`clove_data::sets::ImageTextSet::digest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captions: Option<Captions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Those of a mixture.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetSettings>,
}

/// A set on disk.
#[derive(Debug, Clone, Serialize)]
pub struct SetSettings {
    pub kind: Kind,
    pub path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Of a COCO file, those whose images are meant; none for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<String>,
    /// How often it's drawn from beside the others; either all sets of a mixture have one or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captions: Option<Captions>,
}

impl Data {
    /// The sets that it's made of: one, or those of a mixture; of scenes none.
    pub fn sets(&self) -> Vec<SetSettings> {
        match (self.kind, &self.path) {
            (Kind::Scenes | Kind::Mixture, _) | (_, None) => self.sets.clone(),
            (kind, Some(path)) => vec![SetSettings {
                kind,
                path: path.clone(),
                images: self.images.clone(),
                splits: self.splits.clone(),
                weight: None,
                captions: self.captions.clone(),
            }],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Not on disk.
    #[value(skip)]
    Scenes,
    Folder,
    JsonLines,
    Table,
    Webdataset,
    Parquet,
    Coco,
    /// Several sets.
    #[value(skip)]
    Mixture,
}

/// Where photos are cropped and resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crops {
    Cpu,
    Gpu,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextKind {
    Captions,
    Alt,
    /// Of the scenes that captions have.
    AltCommon,
}

#[derive(Debug, Clone, Serialize)]
pub struct Negatives {
    pub style: Style,
    pub per_caption: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    None,
    Negclip,
    Replace,
    Mixed,
    /// Not of scenes.
    Swap,
    /// Not of scenes.
    Shuffle,
    /// Those that the set brings.
    File,
}

impl Style {
    /// How negatives are made of a set's captions; `None` where they aren't.
    pub fn of_captions(self) -> Option<clove_negatives::Style> {
        match self {
            Self::None | Self::File => None,
            Self::Negclip => Some(clove_negatives::Style::Negclip),
            Self::Replace => Some(clove_negatives::Style::Replace),
            Self::Mixed => Some(clove_negatives::Style::Mixed),
            Self::Swap => Some(clove_negatives::Style::Swap),
            Self::Shuffle => Some(clove_negatives::Style::Shuffle),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct LossSettings {
    pub kind: LossKind,
    pub weight: f64,
    pub gamma: i32,
    pub smoothing: f64,
    pub fused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    Clip,
    Clove,
    Fsc,
}

#[derive(Debug, Clone, Serialize)]
pub struct Optimizer {
    pub learning_rate: f64,
    pub warmup: usize,
    pub beta_1: f64,
    pub beta_2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    pub image_rate: f64,
    /// Infinite for none: TOML has `inf`, and no null.
    pub clip_norm: f64,
}

/// Low-rank adaptation.
#[derive(Debug, Clone, Serialize)]
pub struct LoraSettings {
    pub rank: usize,
    pub alpha: f64,
    pub towers: Vec<Tower>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Training {
    pub steps: usize,
    pub batch: usize,
    /// 0 where it's left to the memory, until [`super::memory`] has looked at that.
    pub micro_batch: usize,
    pub checkpointing: bool,
    pub precision: Precision,
    pub locked: Vec<Tower>,
    pub checkpoint_every: usize,
    /// How often a run may go back after a step that spoilt the weights, or begin anew after a device was lost.
    pub recoveries: usize,
    pub keep: usize,
}

/// What the towers are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    F32,
    F16,
    Bf16,
    /// The fastest of them, until [`super::precision`] has timed them.
    Auto,
}

impl Precision {
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Auto => "auto",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tower {
    Image,
    Text,
}

impl Config {
    /// As run.toml has it.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// The trainer's settings.
    pub fn train_config(&self) -> TrainConfig {
        let Optimizer {
            learning_rate,
            warmup,
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
            image_rate,
            clip_norm,
        } = self.optimizer;
        TrainConfig {
            schedule: Schedule {
                peak: learning_rate,
                warmup,
                steps: self.train.steps,
            },
            optimizer: AdamWConfig {
                beta_1,
                beta_2,
                epsilon,
                weight_decay,
            },
            clip_norm: clip_norm.is_finite().then_some(clip_norm),
            loss: match self.loss.kind {
                LossKind::Clip => Loss::Clip,
                LossKind::Clove => Loss::Clove,
                LossKind::Fsc => Loss::Fsc(OwnNegatives {
                    weight: self.loss.weight,
                    gamma: self.loss.gamma,
                    smoothing: self.loss.smoothing,
                }),
            },
            fused_loss: self.loss.fused,
            micro_batch: self.train.micro_batch,
            checkpointing: self.train.checkpointing,
            compute: match self.train.precision {
                Precision::F32 | Precision::Auto => Compute::F32,
                Precision::F16 => Compute::F16,
                Precision::Bf16 => Compute::Bf16,
            },
            lora: self.lora.as_ref().map(|lora| Lora {
                rank: lora.rank,
                alpha: lora.alpha,
                image: lora.towers.contains(&Tower::Image),
                text: lora.towers.contains(&Tower::Text),
                seed: self.seed,
            }),
            locked: self.locked(),
            image_rate,
            ..TrainConfig::new(self.train.steps)
        }
    }

    /// What stays as it is.
    pub fn locked(&self) -> Locked {
        Locked {
            image: self.train.locked.contains(&Tower::Image),
            text: self.train.locked.contains(&Tower::Text),
        }
    }

    /// How images of a set are cropped.
    pub fn crop(&self) -> RandomResizedCrop {
        let usual = RandomResizedCrop::default();
        RandomResizedCrop {
            scale: self.data.crop_scale.map_or(usual.scale, Into::into),
            ratio: self.data.crop_ratio.map_or(usual.ratio, Into::into),
        }
    }
}
