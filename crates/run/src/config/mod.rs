//! What decides a run. One tree is the configuration file that is read, run.toml that is written, and the text of
//! `clove train --explain` and `--example`.

mod check;
mod choices;
mod document;
mod example;
mod keys;
mod read;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clove::loss::{Loss, OwnNegatives};
use clove::preprocess::RandomResizedCrop;
use clove::train::{AdamWConfig, Compute, Locked, Lora, Schedule, TrainConfig};
use clove_data::sets::Filter;
use serde::{Deserialize, Serialize};

pub use self::choices::{Choice, Crops, Kind, LossKind, Precision, Style, TextKind, Tower};
pub use self::document::Setting;
pub use self::example::{EXAMPLES, example, explain};
pub use self::keys::Key;
use self::keys::tables;
use crate::Result;

tables! {
    /// A whole configuration.
    Config {
        /// The run's folder. If it holds a run already, only a resumed run may use it.
        // It lies in the folder itself, which can be moved.
        #[serde(skip_serializing)]
        out: PathBuf = "clove-train".into();
        /// The seed of random weights, of the order, and of crops, captions and negatives. On a CPU the same seed gives the
        /// same run bit for bit.
        seed: u64 = 0;
        /// What training starts from.
        model: Model = Model::default();
        /// What there is to learn from.
        data: Data = Data::default();
        /// Hard negatives: captions that are wrong in a few words.
        negatives: Negatives = Negatives::default();
        /// What is minimised.
        loss: LossSettings = LossSettings::default();
        /// AdamW (Loshchilov and Hutter, arXiv 1711.05101).
        optimizer: Optimizer = Optimizer::default();
        /// How long, and how.
        train: Training = Training::default();
        /// Low-rank adaptation (Hu et al., arXiv 2106.09685): the towers' matrices move by products of two thin ones, which
        /// learn in their place. It takes less memory and forgets less. The model that is written is an ordinary one.
        #[serde(skip_serializing_if = "Option::is_none")]
        lora: Option<LoraSettings> = None;
        /// Held-out pairs on which the model is tried at the start, every so many steps and at the end.
        #[serde(skip_serializing_if = "Option::is_none")]
        validation: Option<Validation> = None;
    }

    /// What training starts from: `init` or `shape`.
    Model {
        /// A model's directory in Hugging Face's or open_clip's layout, or "scenes" for the small model that comes along.
        #[serde(skip_serializing_if = "Option::is_none")]
        init: Option<PathBuf> = None => "\"clip-vit-base-patch32\"";
        /// Random weights instead: "scenes" for the shape of the scene model, or an open_clip model configuration, which gets
        /// CLIP's vocabulary.
        #[serde(skip_serializing_if = "Option::is_none")]
        shape: Option<PathBuf> = None => "\"model.json\"";
        /// The most tokens of a text, if fewer than the model takes. CLoVe cuts CLIP's 77 to 64 (arXiv 2402.15021).
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<usize> = None => "64";
    }

    /// What there is to learn from.
    Data {
        /// How the set lies on disk: "folder", "json-lines", "table", "webdataset", "parquet" or "coco". "scenes" are drawn
        /// and need no files. "mixture" draws from several [[data.sets]].
        kind: Kind = Kind::Scenes;
        /// The set. folder: a folder of images, each with its captions in a .txt file of the same name, one a line.
        /// json-lines: a file with a JSON object a line: {"image": "a.jpg", "caption": "...", "negatives": ["..."]}.
        /// table: a .csv or .tsv file with a header. webdataset: tar files, also packed (.tar.gz, .tar.zst) and in
        /// s3://bucket/, gs://bucket/ or https://host/. parquet: a file or a folder of them. coco: COCO's or Karpathy's JSON.
        /// Braces name several files: {00000..00099} or {train,extra}.
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<PathBuf> = None => "\"photos\"";
        /// The folder that image paths are relative to. Default: the folder of the file that names them.
        #[serde(skip_serializing_if = "Option::is_none")]
        images: Option<PathBuf> = None => "\"photos\"";
        /// The splits of Karpathy's file whose images count. Default: all.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        splits: Vec<String> = Vec::new() => "[\"train\", \"restval\"]";
        /// The folder for copies of packed and remote files. Copies stay there for the next run, and a transfer that broke off
        /// goes on. Default: shards in CLOVE_CACHE or in the system's cache folder. S3 takes AWS_ACCESS_KEY_ID,
        /// AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT or AWS_SKIP_SIGNATURE=true; Google's storage takes
        /// GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SKIP_SIGNATURE=true.
        // Of the machine, not of the run.
        #[serde(skip_serializing)]
        cache: Option<PathBuf> = None => "\"/data/shards\"";
        /// Scenes in an epoch. Default: as many as the lab's training of such a model sees.
        #[serde(skip_serializing_if = "Option::is_none")]
        scenes: Option<u64> = None => "60800";
        /// Show the same scenes in every epoch, as a set on disk does. Otherwise every epoch draws new ones.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        repeat: bool = false;
        /// "captions": full captions of the common shapes. "alt": noisy alt texts of all shapes. "alt-common": noisy alt texts
        /// of the scenes that "captions" has. Alt texts have no negatives. Default: "captions".
        #[serde(skip_serializing_if = "Option::is_none")]
        texts: Option<TextKind> = None => "\"captions\"";
        /// The smallest and the largest share of an image's area that a random crop keeps. Default: 0.9 and 1, CLoVe's.
        #[serde(skip_serializing_if = "Option::is_none")]
        crop_scale: Option<[f64; 2]> = None => "[0.9, 1.0]";
        /// The smallest and the largest ratio of a crop's width to its height. Default: 3/4 and 4/3.
        #[serde(skip_serializing_if = "Option::is_none")]
        crop_ratio: Option<[f64; 2]> = None => "[0.75, 1.3333333333333333]";
        /// Where photos are cropped: "cpu", or "gpu" for the device that trains, which leaves the cores more time to decode.
        /// The pixels are the same. Photos above 4 million pixels stay on the CPU. Default: "cpu".
        // Of the machine, not of the run.
        #[serde(skip_serializing)]
        crops: Option<Crops> = None => "\"cpu\"";
        /// The largest share of unreadable images before the run ends. Each is left out and listed in skipped.jsonl.
        /// Default: 0.1.
        #[serde(skip_serializing_if = "Option::is_none")]
        unreadable: Option<f64> = None => "0.1";
        /// The set's BLAKE3, as --dry-run and run.toml show it. Another set is then refused.
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<String> = None => "\"0123...\"";
        /// Where captions stand, and which one is taken.
        #[serde(skip_serializing_if = "Option::is_none")]
        captions: Option<Captions> = None;
        /// What of the set is left out. --dry-run counts it by reason. Default: nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        filter: Option<Filter> = None;
        /// The sets of a mixture.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        sets: Vec<SetSettings> = Vec::new();
    }

    /// Where captions stand, and which one is taken.
    Captions {
        /// The fields, columns or keys that hold captions. Default: caption, captions, text or title. A sample has the captions
        /// of all of them.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<String> = Vec::new() => "[\"alt\", \"synthetic\"]";
        /// How often each field is chosen beside the others. Default: every caption of a sample is as likely.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        weights: Vec<f64> = Vec::new() => "[1.0, 3.0]";
        /// "random": another caption each time the image is seen. "first": that of the first field that has one. "longest":
        /// that of the most characters.
        choice: Choice = Choice::Random;
    }

    /// One set on disk.
    SetSettings {
        /// As data.kind, without "scenes" and "mixture".
        kind: Kind = Kind::Folder;
        /// As data.path.
        path: PathBuf = PathBuf::new();
        /// As data.images.
        #[serde(skip_serializing_if = "Option::is_none")]
        images: Option<PathBuf> = None;
        /// As data.splits.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        splits: Vec<String> = Vec::new();
        /// How often the set is drawn from beside the others. Give every set a weight or none; without weights each sample is
        /// drawn once an epoch.
        #[serde(skip_serializing_if = "Option::is_none")]
        weight: Option<f64> = None;
        /// As data.captions.
        #[serde(skip_serializing_if = "Option::is_none")]
        captions: Option<Captions> = None;
    }

    /// Hard negatives.
    Negatives {
        /// "none", or "file" for those that the set brings. The others are made of each caption anew every time it's seen:
        /// "replace" (a word gives way to another of its kind), "negclip" (two phrases or words change places), "swap" (objects
        /// or their attributes change places), "shuffle" (words lose their order), "mixed" (all of these). --dry-run shows some.
        /// Default: "mixed" for scenes, "file" for sets that can bring negatives, "none" for others.
        style: Style = Style::None;
        /// The most negatives of a caption.
        per_caption: usize = 1;
    }

    /// What is minimised.
    LossSettings {
        /// "clove": every negative is a candidate for every image of the batch (Castro et al., arXiv 2402.15021). "clip": no
        /// negatives. "fsc": CLIP's loss, and each image chooses between its caption and that caption's own negatives (Oh et
        /// al., arXiv 2410.05210).
        kind: LossKind = LossKind::Clove;
        /// For "fsc": the factor of the choice among a caption's own negatives. Source: arXiv 2410.05210.
        weight: f64 = OwnNegatives::default().weight;
        /// For "fsc": the exponent of the focal loss. Source: arXiv 2410.05210.
        gamma: i32 = OwnNegatives::default().gamma;
        /// For "fsc": the share of the label that is spread evenly. Source: arXiv 2410.05210.
        smoothing: f64 = OwnNegatives::default().smoothing;
        /// Compute the loss by the project's own kernels on a GPU. They keep no logits of the whole batch in memory. Where they
        /// don't run, tensor operations do.
        fused: bool = false;
    }

    /// AdamW and its schedule.
    Optimizer {
        /// The highest learning rate. It rises linearly over the warm-up and falls to 0 along a cosine. Default: 1e-6, CLoVe's;
        /// scene models have the lab's.
        learning_rate: f64 = usual().schedule.peak;
        /// Steps in which the learning rate rises. Default: a tenth of the steps, at most 2000 (CLoVe's, arXiv 2402.15021).
        #[serde(skip_serializing_if = "Option::is_none")]
        warmup: Option<usize> = None => "2000";
        /// Decay of the gradients' running mean. Source: open_clip.
        beta_1: f64 = usual().optimizer.beta_1;
        /// Decay of the running mean of squared gradients. Source: open_clip.
        beta_2: f64 = usual().optimizer.beta_2;
        /// Added to the root of the mean square. Source: open_clip.
        epsilon: f64 = usual().optimizer.epsilon;
        /// Weight decay of matrices. Source: CLoVe, arXiv 2402.15021.
        weight_decay: f64 = usual().optimizer.weight_decay;
        /// The image tower's learning rate as a share of learning_rate. Less than 1 forgets less of what images look like.
        /// Default: 1; 0.25 for the pretrained scene model.
        image_rate: f64 = usual().image_rate;
        /// The largest joint length of all gradients; longer ones are shortened to it. inf never shortens. Default: inf; 1 for
        /// scene models.
        clip_norm: f64 = f64::INFINITY;
    }

    /// How long, and how.
    Training {
        /// Optimiser steps. Give steps or epochs.
        steps: usize = 0 => "10000";
        /// How often the whole set is seen, if steps aren't given. Batches run on from one epoch into the next.
        /// Default: 1.
        #[serde(skip_serializing)]
        epochs: Option<f64> = None => "1";
        /// Pairs of an image and a caption in a step.
        batch: usize = 64;
        /// Pairs that are in memory at a time. Fewer than a batch take each pair through the model twice and give the same
        /// gradients (Gao et al., arXiv 2101.06983). Default: as many as the memory holds, if that's known; otherwise a batch.
        micro_batch: usize = 0 => "16";
        /// GiB of memory that a step may take. Default: what is free on a CPU. A GPU doesn't tell. --dry-run shows what a step
        /// takes.
        // Of the machine, not of the run.
        #[serde(skip_serializing)]
        memory: Option<f64> = None => "8.0";
        /// Compute a layer's inner values again on the way back instead of keeping them: a third more work for a fraction of
        /// the memory (Chen et al., arXiv 1604.06174).
        checkpointing: bool = false;
        /// What the towers are computed in: "f32", "f16" or "bf16". Weights, losses and the optimiser stay in f32. Half
        /// precision halves the memory of activations. "auto" times a few steps of each and takes the fastest.
        precision: Precision = Precision::F32;
        /// Towers that don't learn: "image" (Zhai et al., arXiv 2111.07991), "text" or both. The temperature always learns.
        locked: Vec<Tower> = Vec::new();
        /// Steps between checkpoints. Stopping and the last step save one too.
        checkpoint_every: usize = 500;
        /// How often the run may go back to the last checkpoint, and past the batch at fault, after a step whose loss or gradient
        /// isn't a number; and how often it may begin anew after a GPU was lost.
        recoveries: usize = 3;
        /// Checkpoints that are kept.
        keep: usize = 2;
    }

    /// Low-rank adaptation.
    LoraSettings {
        /// The rank of the products. With rank 4 a learning rate of 5e-5 works well. Source: FSC-CLIP, arXiv 2410.05210.
        rank: usize = 0 => "4";
        /// The products are scaled by alpha / rank.
        alpha: f64 = 1.0;
        /// The towers that learn this way.
        towers: Vec<Tower> = vec![Tower::Image, Tower::Text];
    }

    /// Held-out pairs, and how often the model is tried on them.
    Validation {
        /// As data.kind. Default: the training data's.
        kind: Kind = Kind::Folder;
        /// The held-out set. The model looks for each photo's captions and each caption's photo among it, and compares captions
        /// with hard negatives made as in training. Figures go to validation.jsonl and TensorBoard. The best model has the highest
        /// mean of R@1, of negatives told and, with classes, of photos classified; it stands in best/.
        path: PathBuf = PathBuf::new() => "\"held-out\"";
        /// As data.images.
        #[serde(skip_serializing_if = "Option::is_none")]
        images: Option<PathBuf> = None => "\"photos\"";
        /// As data.splits.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        splits: Vec<String> = Vec::new() => "[\"val\"]";
        /// Photos by class, for zero-shot classification: a folder or a tar file with a folder for each class, a tar file with a
        /// .cls beside each image, or CIFAR's binary files. Fine-tuning on captions costs such knowledge; patching restores it.
        #[serde(skip_serializing_if = "Option::is_none")]
        classes: Option<PathBuf> = None => "\"imagenette2/val\"";
        /// A text file with the classes' names, one a line in the order of the folders. Default: the folders' names.
        #[serde(skip_serializing_if = "Option::is_none")]
        class_names: Option<PathBuf> = None => "\"names.txt\"";
        /// A text file with prompts, one a line, {c} for the class. Default: "a photo of a {c}."
        #[serde(skip_serializing_if = "Option::is_none")]
        templates: Option<PathBuf> = None => "\"templates.txt\"";
        /// Steps between validations. Default: train.checkpoint_every.
        every: usize = 0 => "500";
        /// The most photos of the set; the first ones are taken.
        most: usize = 1_000;
        /// Training ends after so many validations in a row without a better one. Default: never.
        #[serde(skip_serializing_if = "Option::is_none")]
        patience: Option<usize> = None => "5";
        /// Where the held-out captions stand. Default: as in the training data, if it's of the same kind.
        #[serde(skip_serializing_if = "Option::is_none")]
        captions: Option<Captions> = None;
    }
}

/// [`Filter`]'s keys.
const FILTER: &[Key] = &[
    Key { name: "min_words", about: &[" Fewest words of a caption."], sample: Some("3") },
    Key { name: "max_words", about: &[" Most words of a caption."], sample: Some("80") },
    Key {
        name: "min_side",
        about: &[" Fewest pixels of an image's shorter side. Every image's header is read for it."],
        sample: Some("64"),
    },
    Key {
        name: "max_aspect",
        about: &[" How many times as long as the shorter side the longer one may be."],
        sample: Some("4.0"),
    },
    Key {
        name: "duplicates",
        about: &[
            " \"captions\" drops a caption that stood earlier, whatever its case, spacing and punctuation. \"images\" joins samples",
            " whose images have the same bytes. \"keep\" does neither.",
        ],
        sample: Some("\"keep\""),
    },
];

/// Every table with its keys, in the order of the file.
const TABLES: [(&str, &[Key]); 12] = [
    ("", Config::KEYS),
    ("model", Model::KEYS),
    ("data", Data::KEYS),
    ("data.captions", Captions::KEYS),
    ("data.filter", FILTER),
    ("data.sets", SetSettings::KEYS),
    ("negatives", Negatives::KEYS),
    ("loss", LossSettings::KEYS),
    ("optimizer", Optimizer::KEYS),
    ("train", Training::KEYS),
    ("lora", LoraSettings::KEYS),
    ("validation", Validation::KEYS),
];

/// CLoVe's settings, on which the defaults are founded.
fn usual() -> TrainConfig {
    TrainConfig::new(1)
}

impl Validation {
    /// Where the pairs are.
    #[must_use]
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

/// [`Model`], sorted out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// A model's directory, or its one file.
    Directory(&'a Path),
    /// The scene model that comes along.
    Pretrained,
    /// A scene model with random weights.
    Blank,
    /// A model with random weights, of the shape in an open_clip configuration.
    Described(&'a Path),
}

impl Model {
    /// What training starts from.
    #[must_use]
    pub fn start(&self) -> Start<'_> {
        match (&self.init, &self.shape) {
            (Some(init), _) if init.as_os_str() == "scenes" => Start::Pretrained,
            (Some(init), _) => Start::Directory(init),
            (None, Some(shape)) if shape.as_os_str() != "scenes" => Start::Described(shape),
            (None, _) => Start::Blank,
        }
    }
}

impl Data {
    /// The sets that it's made of: one, or those of a mixture; of scenes none.
    #[must_use]
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

impl Config {
    /// As run.toml has it: every key with its value.
    ///
    /// # Errors
    /// Never, unless a path isn't UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// The trainer's settings.
    #[must_use]
    pub fn train_config(&self) -> TrainConfig {
        let rates = &self.optimizer;
        let usual = TrainConfig::new(self.train.steps);
        TrainConfig {
            schedule: Schedule {
                peak: rates.learning_rate,
                warmup: rates.warmup.unwrap_or(usual.schedule.warmup),
                steps: self.train.steps,
            },
            optimizer: AdamWConfig {
                beta_1: rates.beta_1,
                beta_2: rates.beta_2,
                epsilon: rates.epsilon,
                weight_decay: rates.weight_decay,
            },
            clip_norm: rates.clip_norm.is_finite().then_some(rates.clip_norm),
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
            locked: Locked {
                image: self.train.locked.contains(&Tower::Image),
                text: self.train.locked.contains(&Tower::Text),
            },
            image_rate: rates.image_rate,
            ..usual
        }
    }

    /// How images of a set are cropped.
    #[must_use]
    pub fn crop(&self) -> RandomResizedCrop {
        let usual = RandomResizedCrop::default();
        RandomResizedCrop {
            scale: self.data.crop_scale.map_or(usual.scale, Into::into),
            ratio: self.data.crop_ratio.map_or(usual.ratio, Into::into),
        }
    }
}
