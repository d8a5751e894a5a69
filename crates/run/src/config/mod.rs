//! The configuration of a run. One description serves for reading configuration files, writing run.toml, and the texts of
//! `clove train --explain` and `--example`.

mod check;
mod choices;
mod document;
mod earlier;
mod example;
mod keys;
mod paths;
mod read;
mod settings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clove::loss::OwnNegatives;
use clove::train::TrainConfig;
use clove_data::sets::Filter;
use serde::{Deserialize, Serialize};

pub use self::choices::{Choice, Crops, Kind, LossKind, Precision, Style, TextKind, Tower};
pub use self::document::Setting;
pub use self::example::{example, explain};
use self::keys::{Key, tables};
pub(crate) use self::paths::PATHS;

tables! {
    /// A configuration.
    Config {
        /// The run's folder. It must not hold another run.
        // Not written to run.toml: the folder can be moved.
        #[serde(skip_serializing)]
        out: PathBuf = "clove-train".into();
        /// Seed of the weights, the order of samples, crops, captions and negatives. On a CPU, runs with equal seeds are equal bit
        /// for bit.
        seed: u64 = 0;
        /// The initial model.
        model: Model = Model::default();
        /// The training data.
        data: Data = Data::default();
        /// Hard negatives: captions that are wrong in a few words.
        negatives: Negatives = Negatives::default();
        /// The loss.
        loss: LossSettings = LossSettings::default();
        /// AdamW (Loshchilov and Hutter, arXiv 1711.05101).
        optimizer: Optimizer = Optimizer::default();
        /// Length and mode of training.
        train: Training = Training::default();
        /// Low-rank adaptation (Hu et al., arXiv 2106.09685): trains low-rank updates of the towers' matrices. Needs less memory and
        /// forgets less. The written model is an ordinary one.
        lora: Option<LoraSettings> = None;
        /// Validation on held-out pairs: at the start, every `every` steps and at the end.
        validation: Option<Validation> = None;
        /// What the run reads. run.toml has these keys, so that a resumed run notices other inputs. If given, others are refused.
        inputs: Option<Inputs> = None;
    }

    /// The initial model: `init` or `shape`.
    Model {
        /// A model directory in Hugging Face's or open_clip's layout, or "scenes" for the built-in scene model.
        init: Option<PathBuf> = None => "\"clip-vit-base-patch32\"";
        /// Start from random weights: "scenes" for the shape of the scene model, or an open_clip model configuration, with CLIP's
        /// vocabulary.
        shape: Option<PathBuf> = None => "\"model.json\"";
        /// Context in tokens, at most the model's. CLoVe reduces CLIP's 77 to 64 (arXiv 2402.15021).
        context: Option<usize> = None => "64";
    }

    /// The training data.
    Data {
        /// Format of the set: "folder", "json-lines", "table", "webdataset", "parquet" or "coco". "scenes" are synthetic and need no
        /// files. "mixture" draws from several [[data.sets]].
        kind: Kind = Kind::Scenes;
        /// The set. folder: a folder of images, each with its captions in a .txt file of the same name, one per line.
        /// json-lines: a file with one JSON object per line: {"image": "a.jpg", "caption": "...", "negatives": ["..."]}.
        /// table: a .csv or .tsv file with a header. webdataset: tar files, optionally compressed (.tar.gz, .tar.zst), local or in
        /// s3://bucket/, gs://bucket/ or https://host/. parquet: a file or a folder of files. coco: COCO's or Karpathy's JSON.
        /// Braces and stars name several files: {00000..00099}, {train,extra}, train-*.csv. A path that exists stands for itself.
        path: Option<PathBuf> = None => "\"photos\"";
        /// Folder that image paths are relative to. Default: the folder of the file that names them.
        images: Option<PathBuf> = None => "\"photos\"";
        /// Splits to use, by the names of files and folders (train-00000-of-00004.parquet, test/), by a column or field "split", or by
        /// Karpathy's "split"; "all" for all. Default: all but validation and test.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        splits: Vec<String> = Vec::new() => "[\"train\", \"restval\"]";
        /// Folder for copies of compressed and remote files. Copies are kept; interrupted downloads resume. Default: shards in
        /// CLOVE_CACHE or the system's cache folder. S3 uses AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT or
        /// AWS_SKIP_SIGNATURE=true; Google Cloud Storage uses GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SKIP_SIGNATURE=true.
        // A property of the machine, not of the run.
        #[serde(skip_serializing)]
        cache: Option<PathBuf> = None => "\"/data/shards\"";
        /// Most space of all copies in that folder, in GiB. The least recently used ones are removed to make room, those in use never.
        /// Default: as much as leaves 1 GiB of the disk free.
        // A property of the machine, not of the run.
        #[serde(skip_serializing)]
        cache_size: Option<f64> = None => "200.0";
        /// Scenes per epoch. Default: the number that the lab trains such a model on.
        scenes: Option<u64> = None => "60800";
        /// Repeat the same scenes in every epoch. Otherwise every epoch has new ones.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        repeat: bool = false;
        /// "captions": full captions of common shapes. "alt": noisy alt texts of all shapes. "alt-common": noisy alt texts of the
        /// scenes of "captions". Alt texts have no negatives. Default: "captions".
        texts: Option<TextKind> = None => "\"captions\"";
        /// Smallest and largest share of the image area that a random crop keeps. Default: 0.9 and 1, CLoVe's.
        crop_scale: Option<[f64; 2]> = None => "[0.9, 1.0]";
        /// Smallest and largest ratio of width to height of a crop. Default: 3/4 and 4/3.
        crop_ratio: Option<[f64; 2]> = None => "[0.75, 1.3333333333333333]";
        /// Crop photos on the "cpu", or on the training device ("gpu"), which leaves the cores more time to decode. The pixels are
        /// the same. The CPU always crops photos above 4 million pixels. Default: "cpu".
        // A property of the machine, not of the run.
        #[serde(skip_serializing)]
        crops: Option<Crops> = None => "\"cpu\"";
        /// Largest tolerated share of samples with an unreadable image; beyond it, the run stops. Such samples are skipped and listed in
        /// skipped.jsonl; each counts once. With 0, the first one stops the run. More than half of the images missing stops it at the
        /// start, unless this share is larger. Default: 0.1.
        unreadable: Option<f64> = None => "0.1";
        /// BLAKE3 of the set, as shown by --dry-run and run.toml: the texts, and the images' names and sizes. If given, another set is
        /// refused.
        digest: Option<String> = None => "\"0123...\"";
        /// The source and choice of captions.
        captions: Option<Captions> = None;
        /// Columns of tables and fields of JSON objects. data.captions.fields names those of captions.
        columns: Option<Columns> = None;
        /// Filters of samples. --dry-run counts filtered samples by reason. Default: none.
        filter: Option<Filter> = None;
        /// The sets of a mixture.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        sets: Vec<SetSettings> = Vec::new();
    }

    /// The source and choice of captions.
    Captions {
        /// Fields, columns or keys with captions; a sample has the captions of all of them. Default: caption, captions, text or
        /// title.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<String> = Vec::new() => "[\"alt\", \"synthetic\"]";
        /// Relative probability of each field. Default: every caption of a sample is equally likely.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        weights: Vec<f64> = Vec::new() => "[1.0, 3.0]";
        /// "random": a random caption in each epoch. "first": the caption of the first field that has one. "longest": the caption
        /// with the most characters.
        choice: Choice = Choice::Random;
    }

    /// Columns of tables and fields of JSON objects.
    Columns {
        /// Column or field of the image's path. Default: image, file_name, filename, filepath, path or the like.
        image: Option<String> = None => "\"img_path\"";
        /// Columns or fields of hard negatives; a sample has those of all of them. Default: negatives, negative, neg_caption or the like.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        negatives: Vec<String> = Vec::new() => "[\"foil\"]";
    }

    /// A set on disk.
    SetSettings {
        /// Like data.kind, except "scenes" and "mixture".
        kind: Kind = Kind::Folder;
        /// Like data.path.
        path: PathBuf = PathBuf::new();
        /// Like data.images.
        images: Option<PathBuf> = None;
        /// Like data.splits.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        splits: Vec<String> = Vec::new();
        /// Relative probability of drawing from the set. Give all sets a weight or none; without weights, each sample is drawn once
        /// per epoch.
        weight: Option<f64> = None;
        /// Like data.captions.
        captions: Option<Captions> = None;
        /// Like data.columns.
        columns: Option<Columns> = None;
    }

    /// Hard negatives.
    Negatives {
        /// "none", or "file" for the negatives of the set. The other styles generate new negatives from each caption in every epoch:
        /// "replace" (replace a word by another of its kind), "negclip" (swap two phrases or words), "swap" (swap objects or their
        /// attributes), "shuffle" (shuffle words), "mixed" (all of these). --dry-run shows examples.
        /// Default: "mixed" for scenes, "file" for formats with negatives, "none" for others.
        style: Style = Style::None;
        /// Maximum number of negatives per caption.
        per_caption: usize = 1;
    }

    /// The loss.
    LossSettings {
        /// "clove": every negative is a candidate for every image of the batch (Castro et al., arXiv 2402.15021). "clip": without
        /// negatives. "fsc": CLIP's loss plus, for each image, the choice between its caption and that caption's negatives (Oh et
        /// al., arXiv 2410.05210).
        kind: LossKind = LossKind::Clove;
        /// For "fsc": weight of the choice between a caption and its negatives. Source: arXiv 2410.05210.
        weight: f64 = OwnNegatives::default().weight;
        /// For "fsc": exponent of the focal loss. Source: arXiv 2410.05210.
        gamma: i32 = OwnNegatives::default().gamma;
        /// For "fsc": label smoothing. Source: arXiv 2410.05210.
        smoothing: f64 = OwnNegatives::default().smoothing;
        /// Compute the loss with fused GPU kernels, which don't store the logits of the whole batch. Falls back to tensor operations.
        fused: bool = false;
    }

    /// AdamW and its schedule.
    Optimizer {
        /// Peak learning rate, after a linear warm-up and before a cosine decay to 0. Default: 1e-6, CLoVe's; the lab's for scene
        /// models.
        learning_rate: f64 = usual().schedule.peak;
        /// Steps of the warm-up. Default: a tenth of the steps, at most 2000 (CLoVe's, arXiv 2402.15021).
        warmup: Option<usize> = None => "2000";
        /// Decay of the running mean of gradients. Source: open_clip.
        beta_1: f64 = usual().optimizer.beta_1;
        /// Decay of the running mean of squared gradients. Source: open_clip.
        beta_2: f64 = usual().optimizer.beta_2;
        /// Term added to the denominator. Source: open_clip.
        epsilon: f64 = usual().optimizer.epsilon;
        /// Weight decay of matrices. Source: CLoVe, arXiv 2402.15021.
        weight_decay: f64 = usual().optimizer.weight_decay;
        /// Learning rate of the image tower as a share of learning_rate. Below 1, the tower forgets less. Default: 1; 0.25 for the
        /// pretrained scene model.
        image_rate: f64 = usual().image_rate;
        /// Maximum norm of the gradient; inf disables clipping. Default: inf; 1 for scene models.
        clip_norm: f64 = f64::INFINITY;
    }

    /// Length and mode of training.
    Training {
        /// Optimizer steps. Give steps or epochs.
        steps: usize = 0 => "10000";
        /// Passes over the data, instead of steps. Batches span epochs. Default: 1.
        #[serde(skip_serializing)]
        epochs: Option<f64> = None => "1";
        /// Image-caption pairs per step.
        batch: usize = 64;
        /// Pairs in memory at a time. Less than a batch runs each pair through the model twice, with the same gradients (Gao et al.,
        /// arXiv 2101.06983). Default: the most that fits into memory, if its size is known; otherwise a batch.
        micro_batch: usize = 0 => "16";
        /// Memory for a step, in GiB. Default: the free memory on a CPU, unknown on a GPU. --dry-run shows the memory of a step.
        // A property of the machine, not of the run.
        #[serde(skip_serializing)]
        memory: Option<f64> = None => "8.0";
        /// Recompute activations in the backward pass instead of storing them: a third more work, a fraction of the memory (Chen et
        /// al., arXiv 1604.06174).
        checkpointing: bool = false;
        /// Precision of the towers: "f32", "f16" or "bf16". Weights, losses and the optimizer stay in f32. Half precision halves the
        /// memory of activations. "auto" times a few steps of each and selects the fastest.
        precision: Precision = Precision::F32;
        /// Towers to freeze: "image" (Zhai et al., arXiv 2111.07991), "text" or both. The temperature is always trained.
        locked: Vec<Tower> = Vec::new();
        /// Steps between checkpoints. Stopping and the last step also save one.
        checkpoint_every: usize = 500;
        /// Maximum number of returns to the last checkpoint after a step with a non-finite loss or gradient, skipping the batch; also
        /// the maximum number of restarts after a lost GPU.
        recoveries: usize = 3;
        /// Number of checkpoints to keep.
        keep: usize = 2;
    }

    /// Low-rank adaptation.
    LoraSettings {
        /// Rank of the updates. With rank 4, use a learning rate of 5e-5. Source: FSC-CLIP, arXiv 2410.05210.
        rank: usize = 0 => "4";
        /// Updates are scaled by alpha / rank.
        alpha: f64 = 1.0;
        /// Towers to adapt.
        towers: Vec<Tower> = vec![Tower::Image, Tower::Text];
    }

    /// Validation on held-out pairs.
    Validation {
        /// Like data.kind. Default: the kind of the training data.
        kind: Kind = Kind::Folder;
        /// The held-out set. Measures retrieval in both directions and the accuracy on hard negatives, generated as in training.
        /// Writes validation.jsonl and TensorBoard events, and the best model to best/: the one with the highest mean of R@1, the
        /// accuracy on hard negatives and, with classes, zero-shot accuracy.
        path: PathBuf = PathBuf::new() => "\"held-out\"";
        /// Like data.images.
        images: Option<PathBuf> = None => "\"photos\"";
        /// Like data.splits. Default: validation, or else test.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        splits: Vec<String> = Vec::new() => "[\"val\"]";
        /// Photos by class, for zero-shot classification: a folder or tar file with a folder per class, shards with a .cls file
        /// per image, or CIFAR's binary files. Fine-tuning on captions costs recognition; patching restores it.
        classes: Option<PathBuf> = None => "\"imagenette2/val\"";
        /// Text file with class names, one per line in the order of the folders. Default: the names of the folders.
        class_names: Option<PathBuf> = None => "\"names.txt\"";
        /// Text file with prompts, one per line, {c} for the class. Default: "a photo of a {c}."
        templates: Option<PathBuf> = None => "\"templates.txt\"";
        /// Steps between validations. Default: train.checkpoint_every.
        every: usize = 0 => "500";
        /// Maximum number of photos; the first of the set.
        most: usize = 1_000;
        /// Stop training after this number of validations in a row without improvement. Default: never.
        patience: Option<usize> = None => "5";
        /// The source of the held-out captions. Default: as in the training data, if it has the same kind.
        captions: Option<Captions> = None;
        /// Like data.columns. Default: as in the training data, if it has the same kind.
        columns: Option<Columns> = None;
    }

    /// What a run reads besides the training set (data.digest).
    Inputs {
        /// BLAKE3 of the initial model's weights.
        weights: Option<String> = None;
        /// BLAKE3 of its tokenizer.
        tokenizer: Option<String> = None;
        /// BLAKE3 of its preprocessing.
        preprocessing: Option<String> = None;
        /// Number of training samples.
        samples: Option<u64> = None;
        /// Number of held-out photos.
        held_out: Option<u64> = None;
        /// BLAKE3 of the held-out captions and of the photos' names and sizes.
        held_out_digest: Option<String> = None;
        /// BLAKE3 of the bytes of the held-out photos.
        held_out_photos: Option<String> = None;
        /// BLAKE3 of the photos to classify, their classes and the prompts.
        classes: Option<String> = None;
        /// Version of the rules that generate negatives from captions.
        negatives: Option<u32> = None;
    }
}

/// [`Filter`]'s keys.
const FILTER: &[Key] = &[
    key("min_words", &[" Minimum number of words of a caption."], "3"),
    key("max_words", &[" Maximum number of words of a caption."], "80"),
    key(
        "min_side",
        &[
            " Minimum length of an image's shorter side, in pixels. Reads the header of every image.",
        ],
        "64",
    ),
    key("max_aspect", &[" Maximum ratio of the longer to the shorter side."], "4.0"),
    key(
        "duplicates",
        &[
            " \"captions\" drops repeated captions, ignoring case, spacing and punctuation. \"images\" joins samples whose images have",
            " the same bytes. \"keep\" does neither.",
        ],
        "\"keep\"",
    ),
];

const fn key(name: &'static str, about: &'static [&'static str], sample: &'static str) -> Key {
    Key { name, about, sample: Some(sample) }
}

/// All tables with their keys, in file order.
const TABLES: [(&str, &[Key]); 18] = [
    ("", Config::KEYS),
    ("model", Model::KEYS),
    ("data", Data::KEYS),
    ("data.captions", Captions::KEYS),
    ("data.columns", Columns::KEYS),
    ("data.filter", FILTER),
    ("data.sets", SetSettings::KEYS),
    ("data.sets.captions", Captions::KEYS),
    ("data.sets.columns", Columns::KEYS),
    ("negatives", Negatives::KEYS),
    ("loss", LossSettings::KEYS),
    ("optimizer", Optimizer::KEYS),
    ("train", Training::KEYS),
    ("lora", LoraSettings::KEYS),
    ("validation", Validation::KEYS),
    // Held-out captions only have fields.
    ("validation.captions", Captions::KEYS.split_at(1).0),
    ("validation.columns", Columns::KEYS),
    ("inputs", Inputs::KEYS),
];

/// CLoVe's settings, the basis of the defaults.
fn usual() -> TrainConfig {
    TrainConfig::new(1)
}

impl Validation {
    /// The set of held-out pairs.
    pub fn set(&self) -> SetSettings {
        SetSettings {
            kind: self.kind,
            path: self.path.clone(),
            images: self.images.clone(),
            splits: self.splits.clone(),
            captions: self.captions.clone(),
            columns: self.columns.clone(),
            ..SetSettings::default()
        }
    }
}

/// The initial model, from [`Model`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// A model directory or single-file model.
    Directory(&'a Path),
    /// The built-in scene model.
    Pretrained,
    /// A scene model with random weights.
    Blank,
    /// A model with random weights and the shape in an open_clip configuration.
    Described(&'a Path),
}

impl Model {
    /// The initial model.
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
    /// The sets: one, or those of a mixture; none for scenes.
    pub fn sets(&self) -> Vec<SetSettings> {
        match (self.kind, &self.path) {
            (Kind::Scenes | Kind::Mixture, _) | (_, None) => self.sets.clone(),
            (kind, Some(path)) => vec![SetSettings {
                kind,
                path: path.clone(),
                images: self.images.clone(),
                splits: self.splits.clone(),
                captions: self.captions.clone(),
                columns: self.columns.clone(),
                ..SetSettings::default()
            }],
        }
    }
}
