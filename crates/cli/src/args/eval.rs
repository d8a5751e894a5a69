//! The arguments of `clove eval`.

use std::path::PathBuf;

use clap::Args as ArgsDerive;
use clap::builder::TypedValueParser;
use clove_run::evaluation::Suite;

use super::{Device, one_of};

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Beside every score stands what blind rules get that never see a photo. Embeddings are kept (in CLOVE_CACHE, or where the \
                  system keeps caches), by the photos' and texts' content and the model's.\n\n\
                  Examples:\n  clove eval --model clove-lab/models/clove-patched --suite scenes\n  \
                  clove eval --model clip-vit-base-patch32 --suite sugar-crepe --data sugar-crepe/data --images val2017 --out report.json\n  \
                  clove eval --model clip-vit-base-patch32 --suite retrieval --data dataset_flickr8k.json --images Flicker8k_Dataset --split test\n  \
                  clove eval --model clip-vit-base-patch32 --suite zero-shot --data cifar100.tar \\\n    \
                  --templates en_zeroshot_classification_templates.json#cifar100\n  \
                  clove eval --model clip-vit-base-patch32 --model my-run/patched --suite cola --data cola.json --images vg --html cola.html"
)]
pub struct Eval {
    /// The model's directory; several are put side by side
    #[arg(long, value_name = "DIR", required = true)]
    pub model: Vec<PathBuf>,
    /// The benchmark
    #[arg(long, value_parser = suites())]
    pub suite: Suite,
    /// The benchmark's files: what is asked for stands with each suite
    #[arg(long, value_name = "PATH", required_if_eq("suite", "sugar-crepe"))]
    pub data: Option<PathBuf>,
    /// The directory of its photos; rows whose photo isn't there are counted, not scored
    #[arg(long, value_name = "DIR", required_if_eq("suite", "sugar-crepe"))]
    pub images: Option<PathBuf>,
    /// Of Karpathy's files for retrieval and order, the splits that are meant; without it all photos
    #[arg(long, value_name = "SPLIT")]
    pub split: Vec<String>,
    /// Names of the classes for zero-shot: a text file, a line each, or CLIP_benchmark's en_classnames.json#DATASET
    #[arg(long, value_name = "FILE")]
    pub class_names: Option<PathBuf>,
    /// Prompts for zero-shot with {c} for the class: a text file, a line each, or CLIP_benchmark's
    /// en_zeroshot_classification_templates.json#DATASET; without it \"a photo of a {c}.\"
    #[arg(long, value_name = "FILE")]
    pub templates: Option<PathBuf>,
    /// Of orders of words that are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The orders that were drawn to write, as --data takes them again
    #[arg(long, value_name = "FILE")]
    pub orders: Option<PathBuf>,
    /// Captions that train the blind n-gram model (.txt, .csv, .tsv, .json, .jsonl); those of the benchmark are left out
    #[arg(long, value_name = "FILE")]
    pub captions: Option<PathBuf>,
    /// The report to write, as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The page to write: figures beside those of blind rules, and the rows that went best and worst with their pictures
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The outcome of each row to write, a JSON object a line
    #[arg(long, value_name = "FILE")]
    pub rows: Option<PathBuf>,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Neither read embeddings that were kept nor keep any
    #[arg(long)]
    pub no_cache: bool,
    #[command(flatten)]
    pub device: Device,
}

/// Every suite, with what it measures and its files.
pub fn suites() -> impl TypedValueParser<Value = Suite> {
    one_of(Suite::ALL, Suite::name, |suite| {
        format!("{}. --data: {}", suite.about(), suite.data())
    })
}
