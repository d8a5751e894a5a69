//! The arguments of `clove data`.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ArgsDerive, Subcommand};
use clove_negatives::Style;
use clove_run::Setting;
use clove_run::config::Kind;

use super::{one_of, styles};

#[derive(Debug, ArgsDerive)]
#[command(after_help = "Example:\n  clove data inspect train.toml")]
pub struct Data {
    #[command(subcommand)]
    pub command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Print statistics of a data set and write a page of sample pictures
    Inspect(Inspect),
}

#[derive(Debug, ArgsDerive)]
#[command(
    group = ArgGroup::new("what").args(["config", "path"]).required(true),
    after_help = "Counts images, captions, negatives and skipped samples by reason. Measures all captions and a sample of the images. \
                  Generates hard negatives of some captions if a style is given. Writes a self-contained page with pictures, captions \
                  and negatives.\n\n\
                  Examples:\n  clove data inspect train.toml\n  clove data inspect train.toml --all --json > report.json\n  \
                  clove data inspect --kind json-lines --path captions.jsonl --images photos --style replace --style swap"
)]
pub struct Inspect {
    /// Training configuration: gives the set, the tokenizer and the style of negatives
    #[arg(value_name = "CONFIG.toml")]
    pub config: Option<PathBuf>,
    /// Override a key of the configuration, such as data.path=other; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    pub settings: Vec<Setting>,
    /// Format of the set
    #[arg(
        long,
        value_parser = one_of(&Kind::ON_DISK, Kind::name, |_| String::new()),
        requires = "path",
        required_unless_present = "config"
    )]
    pub kind: Option<Kind>,
    /// File or folder of the set
    #[arg(long, value_name = "PATH", requires = "kind")]
    pub path: Option<PathBuf>,
    /// Folder that image paths in a list are relative to
    #[arg(long, value_name = "DIR", requires = "path")]
    pub images: Option<PathBuf>,
    /// Split to read, or "all"; all but validation and test if omitted; repeatable
    #[arg(long = "split", value_name = "SPLIT", requires = "path")]
    pub splits: Vec<String>,
    /// Model whose tokenizer and context length to use; CLIP's if omitted
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub model: Option<PathBuf>,
    /// Generate hard negatives in this style and report the yield; repeatable
    #[arg(long = "style", value_parser = styles())]
    pub styles: Vec<Style>,
    /// Number of samples to open and to generate negatives for, spread over the set
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "all")]
    pub sample: u64,
    /// Open all samples
    #[arg(long)]
    pub all: bool,
    /// Maximum number of pictures on the page
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub shown: u64,
    /// Output page
    #[arg(long, value_name = "FILE", default_value = "inspect.html")]
    pub out: PathBuf,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}
