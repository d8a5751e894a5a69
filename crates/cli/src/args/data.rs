//! The arguments of `clove data`.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ArgsDerive, Subcommand};
use clove_run::Setting;
use clove_run::config::Kind;

use super::{Device, NegativeStyle, one_of};

#[derive(Debug, ArgsDerive)]
pub struct Data {
    #[command(subcommand)]
    pub command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Say what a set holds before one trains on it, and write a page of its pictures
    Inspect(Inspect),
}

#[derive(Debug, ArgsDerive)]
#[command(
    group = ArgGroup::new("what").args(["config", "path"]).required(true),
    after_help = "Counts images, captions and negatives, and what was skipped and why; measures captions (all of them) and images (a sample); \
                  makes hard negatives of some captions, where a style is given; and writes a page with pictures, their captions and \
                  their negatives. The page is one file, which needs no network.\n\n\
                  Examples:\n  clove data inspect train.toml\n  clove data inspect train.toml --all --json > report.json\n  \
                  clove data inspect --kind json-lines --path captions.jsonl --images photos --style replace --style swap"
)]
pub struct Inspect {
    /// A training configuration: its set, its model's tokenizer and its style of negatives
    #[arg(value_name = "CONFIG.toml")]
    pub config: Option<PathBuf>,
    /// Set a key of the configuration, such as data.path=other; give it as often as you like
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    pub settings: Vec<Setting>,
    /// How the set lies on disk
    #[arg(
        long,
        value_parser = one_of(&Kind::ON_DISK, Kind::name, |_| String::new()),
        requires = "path",
        required_unless_present = "config"
    )]
    pub kind: Option<Kind>,
    /// The set
    #[arg(long, value_name = "PATH", requires = "kind")]
    pub path: Option<PathBuf>,
    /// What the images' paths are relative to, where they stand in a list
    #[arg(long, value_name = "DIR", requires = "path")]
    pub images: Option<PathBuf>,
    /// The model whose tokenizer and context count; CLIP's without it
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub model: Option<PathBuf>,
    /// Make hard negatives in this style, and say how many captions give one; give it as often as you like
    #[arg(long = "style", value_enum)]
    pub styles: Vec<NegativeStyle>,
    /// Open so many images, spread over the set, and make negatives of so many samples' captions
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "all")]
    pub sample: u64,
    /// Open all images, and make negatives of all samples' captions
    #[arg(long)]
    pub all: bool,
    /// Pictures on the page, at most
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub shown: u64,
    /// The page to write
    #[arg(long, value_name = "FILE", default_value = "inspect.html")]
    pub out: PathBuf,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub device: Device,
}
