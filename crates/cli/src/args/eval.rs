//! The arguments of `clove eval`.

use std::path::PathBuf;

use clap::Args as ArgsDerive;
use clap::builder::TypedValueParser;
use clove_run::evaluation::{SameImage, Suite};

use super::one_of;

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Reports blind baselines, which never see a photo, beside every score. Caches embeddings in CLOVE_CACHE or the system's \
                  cache folder, by content. The cache is never pruned; delete the folder to clear it.\n\n\
                  Examples:\n  clove eval --model clove-lab/models/clove-patched --suite scenes\n  \
                  clove eval --model clip-vit-base-patch32 --suite sugar-crepe --data sugar-crepe/data --images val2017 --out report.json\n  \
                  clove eval --model clip-vit-base-patch32 --suite retrieval --data dataset_flickr8k.json --images Flicker8k_Dataset --split test\n  \
                  clove eval --model clip-vit-base-patch32 --suite zero-shot --data cifar100.tar \\\n    \
                  --templates en_zeroshot_classification_templates.json#cifar100\n  \
                  clove eval --model clip-vit-base-patch32 --model my-run/patched --suite cola --data cola.json --images vg --html cola.html"
)]
pub struct Eval {
    /// Model directory; repeat to compare models
    #[arg(long, value_name = "DIR", required = true)]
    pub model: Vec<PathBuf>,
    /// Benchmark
    #[arg(long, value_parser = suites())]
    pub suite: Suite,
    /// Files of the benchmark; see the suite
    #[arg(long, value_name = "PATH", required_if_eq("suite", "sugar-crepe"))]
    pub data: Option<PathBuf>,
    /// Folder of photos; rows with a missing photo are counted and not scored
    #[arg(long, value_name = "DIR", required_if_eq("suite", "sugar-crepe"))]
    pub images: Option<PathBuf>,
    /// Split of a Karpathy file for retrieval and order; all photos if omitted
    #[arg(long, value_name = "SPLIT")]
    pub split: Vec<String>,
    /// Class names for zero-shot: a text file, one per line, or CLIP_benchmark's en_classnames.json#DATASET
    #[arg(long, value_name = "FILE")]
    pub class_names: Option<PathBuf>,
    /// Rows of retrieval with the same image are one: by path or by bytes
    #[arg(
        long,
        value_name = "BY",
        value_parser = one_of(SameImage::ALL, SameImage::name, |by| by.about().to_owned()),
        default_value = "path"
    )]
    pub same_image: SameImage,
    /// Prompts for zero-shot, {} or {c} is the class: a text file, one per line, or CLIP_benchmark's
    /// en_zeroshot_classification_templates.json#DATASET; default "a photo of a {}."
    #[arg(long, value_name = "FILE")]
    pub templates: Option<PathBuf>,
    /// Seed of the word orders
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Write the word orders to this file; --data accepts it
    #[arg(long, value_name = "FILE")]
    pub orders: Option<PathBuf>,
    /// Captions to train the blind bigram model (.txt, .csv, .tsv, .json, .jsonl); benchmark captions are excluded
    #[arg(long, value_name = "FILE")]
    pub captions: Option<PathBuf>,
    /// Output report, JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Output page: scores, blind baselines, best and worst rows with their pictures
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Output of each row, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub rows: Option<PathBuf>,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Disable the embedding cache
    #[arg(long)]
    pub no_cache: bool,
}

/// Every suite, with what it measures and its files.
pub fn suites() -> impl TypedValueParser<Value = Suite> {
    one_of(Suite::ALL, Suite::name, |suite| format!("{}. --data: {}", suite.about(), suite.data()))
}
