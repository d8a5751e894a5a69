//! The program's arguments.

mod data;
mod eval;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args as ArgsDerive, Parser, Subcommand, ValueEnum};
use clove::device::DeviceChoice;
use clove_negatives::Style;
use clove_run::evaluation::Suite;
use clove_run::{Fault, Setting};

pub use self::data::{Data, DataCommand, Inspect};
pub use self::eval::Eval;
use self::eval::suites;

/// CLIP on any GPU: score captions against photos, patch fine-tuned models, measure compositionality.
#[derive(Debug, Parser)]
#[command(
    name = "clove",
    version,
    arg_required_else_help = true,
    after_help = "A model DIR is a Hugging Face CLIPModel directory (config.json, model.safetensors) or an open_clip one \
                  (open_clip_config.json, open_clip_model.safetensors).\n\
                  Exit codes: 0 success, 1 something in a file or on the device is wrong, 2 arguments don't parse."
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole method on drawn scenes: fine-tune, break recognition, patch it back
    Lab(Lab),
    /// Train a model on images, captions and hard negatives
    Train(Train),
    /// Look at data before training on it
    Data(Data),
    /// Score captions against a photo
    Score(Score),
    /// Embed photos and texts into a safetensors file
    Embed(Embed),
    /// Turn texts into token ids
    Tokenize(Tokenize),
    /// Turn photos into a model's pixels
    Preprocess(Preprocess),
    /// Make hard negatives of captions
    Negatives(Negatives),
    /// Interpolate a fine-tuned model with the pretrained one
    Patch(Patch),
    /// Measure a model on a benchmark
    Eval(Eval),
    /// Write a model in another layout or precision
    Convert(Convert),
    /// List the devices that a model can run on
    Devices(Devices),
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Fine-tunes a small pretrained model on captions of drawn scenes with several kinds of hard negatives, patches it, and \
                  measures composition and recognition. Ctrl-C stops it; the same command goes on from there.\n\n\
                  Examples:\n  clove lab\n  clove lab --seeds 3 --out lab-3-seeds\n  clove lab --from-scratch --out lab-from-scratch"
)]
pub struct Lab {
    /// The folder for the report, the models and the runs
    #[arg(long, value_name = "DIR", default_value = "clove-lab")]
    pub out: PathBuf,
    /// Train the pretrained model too, instead of taking the one that comes with the program
    #[arg(long)]
    pub from_scratch: bool,
    /// Fine-tune with so many seeds, and report mean and spread
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seeds)]
    pub seeds: usize,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub device: Device,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "The folder `out` of the configuration gets run.toml (every key, with its value), metrics.jsonl, TensorBoard events, \
                  checkpoints, and at the end model/, which every other command takes. Ctrl-C saves and stops; --resume goes on.\n\n\
                  Examples:\n  clove train --example folder > train.toml\n  clove train --explain optimizer\n  clove train train.toml --dry-run\n  clove train train.toml --set optimizer.learning_rate=1e-5 --set out=runs/low\n  \
                  clove train train.toml --resume"
)]
pub struct Train {
    /// The configuration
    #[arg(value_name = "CONFIG.toml", required_unless_present_any = ["example", "explain"])]
    pub config: Option<PathBuf>,
    /// Print an annotated configuration: scenes, folder, json-lines, table, parquet, webdataset, coco, mixture or
    /// from-scratch
    #[arg(long, value_name = "KIND", conflicts_with_all = ["config", "explain"])]
    pub example: Option<String>,
    /// Explain a key of the configuration: meaning, default and source; without KEY, list all keys
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "", conflicts_with = "config")]
    pub explain: Option<String>,
    /// Override a key of the configuration, such as optimizer.learning_rate=1e-5; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<Setting>,
    /// Resume the run in `out` from its last complete checkpoint
    #[arg(long)]
    pub resume: bool,
    /// Print the plan and exit
    #[arg(long)]
    pub dry_run: bool,
    /// Print plain lines instead of the dashboard
    #[arg(long)]
    pub plain: bool,
    /// Do this to the run, to see what becomes of it
    #[arg(long, value_name = "FAULT", hide = true)]
    pub inject_fault: Option<Fault>,
    #[command(flatten)]
    pub device: Device,
}

/// Where a model runs.
#[derive(Debug, ArgsDerive)]
pub struct Device {
    /// auto (a real GPU if there is one, else the CPU), cpu, gpu (any GPU, a software one too) or gpu:N (see `clove devices`)
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Probabilities are over the given captions. With --negatives there's a second column of them, over negatives too.\n\n\
                  Examples:\n  clove score --model clip-vit-base-patch32 --image photo.jpg \\\n    --caption \"a man riding a horse\" --caption \"a horse riding a man\"\n  \
                  clove score --model clip-vit-base-patch32 --image photo.jpg --caption \"a man riding a horse\" --negatives 5 --style mixed"
)]
pub struct Score {
    /// The model's directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// The photo
    #[arg(long, value_name = "FILE")]
    pub image: PathBuf,
    /// A caption; give it as often as you like
    #[arg(long = "caption", value_name = "TEXT", required = true, num_args = 1..)]
    pub captions: Vec<String>,
    /// Make up to so many hard negatives of each caption, and score them too
    #[arg(long, value_name = "K", value_parser = per_caption)]
    pub negatives: Option<usize>,
    /// How the negatives are made
    #[arg(long, value_enum, default_value_t, requires = "negatives")]
    pub style: NegativeStyle,
    /// Another seed makes other negatives
    #[arg(long, value_name = "N", default_value_t = 0, requires = "negatives")]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub device: Device,
}

#[derive(Debug, ArgsDerive)]
#[command(
    group = ArgGroup::new("what").args(["images", "texts"]).required(true).multiple(true),
    after_help = "Tensors: image_features [n, d] and text_features [m, d], rows of length one, and logit_scale [1].\n\n\
                  Example:\n  clove embed --model clip-vit-base-patch32 --images *.jpg --texts captions.txt --out features.safetensors"
)]
pub struct Embed {
    /// The model's directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Photos, a row each
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub images: Vec<PathBuf>,
    /// A UTF-8 file with a text a line; a blank line is a text too
    #[arg(long, value_name = "FILE")]
    pub texts: Option<PathBuf>,
    /// The safetensors file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub device: Device,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Reads no weights. Texts longer than the model's context are cut, keeping end-of-text; stderr says how many.\n\n\
                  Example:\n  clove tokenize --model clip-vit-base-patch32 --texts captions.txt --out ids.safetensors"
)]
pub struct Tokenize {
    /// The model's directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// A UTF-8 file with a text a line; a blank line is a text too
    #[arg(long, value_name = "FILE")]
    pub texts: PathBuf,
    /// The safetensors file to write, tensor input_ids [m, context]; without it the tokens are printed
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON, an object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub device: Device,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Reads no weights: size, crop, mean and std come from preprocessor_config.json or open_clip's preprocess_cfg.\n\n\
                  Example:\n  clove preprocess --model clip-vit-base-patch32 --images *.jpg --out pixels.safetensors"
)]
pub struct Preprocess {
    /// The model's directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Photos, in the order of the rows
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub images: Vec<PathBuf>,
    /// The safetensors file to write, tensor pixel_values [n, 3, size, size]
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub device: Device,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Writes a JSON object a line, as `clove train` reads them where each has its image too:\n  \
                  {\"caption\": \"a man riding a horse\", \"negatives\": [{\"text\": \"a man riding a cow\", \"kind\": \"replace_obj\", \"from\": \"horse\", \"to\": \"cow\"}]}\n\n\
                  There's a line for each caption, in their order; without negatives where none can be made: of a blank line, of a \
                  caption of more than 16,384 bytes, whose end isn't written either, and of a row that can't be read. How many there \
                  are, and why not more, is told on stderr.\n\n\
                  text: a caption a line. csv, tsv: the column caption or title. json-lines: the field captions, caption, text or title.\n\
                  webdataset: a tar file; of each .json file in it the field top_caption, caption or captions. A field holds one caption \
                  or a list of them; those of a list are captions of one image, and none becomes another's negative.\n\n\
                  Examples:\n  clove negatives --input captions.txt --out negatives.jsonl\n  \
                  clove negatives --style mixed --per-caption 4 --input captions.csv --field alt_text > negatives.jsonl\n  \
                  echo \"a black dog and a white cat\" | clove negatives --style swap --seed 7\n  \
                  clove negatives --input shard-000.tar --field top_caption --out shard-000.jsonl"
)]
pub struct Negatives {
    /// How they're made
    #[arg(long, value_enum, default_value_t)]
    pub style: NegativeStyle,
    /// Most negatives of a caption
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = per_caption)]
    pub per_caption: usize,
    /// Another seed makes other negatives
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// As the seed: the negatives of another epoch of training
    #[arg(long, value_name = "E", default_value_t = 0)]
    pub epoch: u64,
    /// The captions; standard input if it's absent or -
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// How the captions lie in it; auto goes by the extension (.txt, .csv, .tsv, .jsonl, .tar), and takes standard input for text
    #[arg(long, value_enum, default_value_t)]
    pub format: CaptionFormat,
    /// The column or field that holds the captions
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// The file to write; standard output without it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub device: Device,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum NegativeStyle {
    /// A word gives way to another of its kind (CLoVe's own, after REPLACE)
    #[default]
    Replace,
    /// Two phrases, nouns, adjectives, adverbs or verbs change places (NegCLIP)
    Negclip,
    /// Objects, or their attributes, change places (SugarCrepe)
    Swap,
    /// Words lose their order (ARO)
    Shuffle,
    /// Of all these kinds
    Mixed,
}

impl From<NegativeStyle> for Style {
    fn from(style: NegativeStyle) -> Self {
        match style {
            NegativeStyle::Replace => Self::Replace,
            NegativeStyle::Negclip => Self::Negclip,
            NegativeStyle::Swap => Self::Swap,
            NegativeStyle::Shuffle => Self::Shuffle,
            NegativeStyle::Mixed => Self::Mixed,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CaptionFormat {
    #[default]
    Auto,
    Text,
    Csv,
    Tsv,
    JsonLines,
    Webdataset,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "theta = (1 - alpha) * pretrained + alpha * finetuned, over every tensor. The CLoVe paper uses 0.6; choose alpha on \
                  held-out data, not on the benchmark that you report.\n\n\
                  Examples:\n  clove patch --pretrained clip-vit-base-patch32 --finetuned my-run --alpha 0.6 --out patched\n  \
                  clove patch --pretrained clove-lab/models/pretrained --finetuned clove-lab/models/clove \\\n    --sweep 0:1:0.1 --select scenes --out patched\n  \
                  clove patch --pretrained clip-vit-base-patch32 --finetuned my-run/model --sweep 0:1:0.05 \\\n    \
                  --select retrieval --data held-out.jsonl --beside sugar-crepe --beside-data sugar-crepe/data --beside-images val2017 \\\n    \
                  --out patched"
)]
pub struct Patch {
    /// The pretrained model's directory
    #[arg(long, value_name = "DIR")]
    pub pretrained: PathBuf,
    /// The fine-tuned model's directory
    #[arg(long, value_name = "DIR")]
    pub finetuned: PathBuf,
    /// The share of the fine-tuned model, from 0 to 1
    #[arg(long, value_name = "A", value_parser = alpha, allow_negative_numbers = true, required_unless_present = "sweep")]
    pub alpha: Option<f64>,
    /// Try these alphas and take the best, for example 0:1:0.05
    #[arg(long, value_name = "FROM:TO:STEP", value_parser = sweep, conflicts_with = "alpha", requires = "select")]
    pub sweep: Option<Alphas>,
    /// The suite that --sweep chooses by: held-out data, not the benchmark that you report. scenes takes the best composition among
    /// the alphas that lose at most a point of recognition; the others have no test of recognition, and take the best accuracy, of
    /// retrieval the best mean of both R@1
    #[arg(
        long,
        value_name = "SUITE",
        value_parser = suites(),
        requires = "sweep",
        requires_if("sugar-crepe", "data"),
        requires_if("sugar-crepe", "images")
    )]
    pub select: Option<Suite>,
    /// The directory of the suite's files; scenes have none
    #[arg(long, value_name = "DIR", requires = "select")]
    pub data: Option<PathBuf>,
    /// The directory of the suite's photos; scenes have none
    #[arg(long, value_name = "DIR", requires = "select")]
    pub images: Option<PathBuf>,
    /// A suite that is measured at each alpha too, and has no say in the choice
    #[arg(long, value_name = "SUITE", value_parser = suites(), requires = "sweep")]
    pub beside: Option<Suite>,
    /// The files of the suite beside
    #[arg(long, value_name = "PATH", requires = "beside")]
    pub beside_data: Option<PathBuf>,
    /// The directory of the photos of the suite beside
    #[arg(long, value_name = "DIR", requires = "beside")]
    pub beside_images: Option<PathBuf>,
    /// The directory to write the patched model to; with --sweep also sweep.json, the figures of every alpha
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub device: Device,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Without --dtype every number keeps its bits, but for web, which is f16.\n\n\
                  Examples:\n  clove convert --model clip-vit-base-patch32 --to open-clip --out converted\n  \
                  clove convert --model clip-vit-base-patch32 --to web --out site/clip-vit-base-patch32"
)]
pub struct Convert {
    /// The model's directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// The layout to write
    #[arg(long, value_enum)]
    pub to: Target,
    /// The type of the elements to write
    #[arg(long, value_enum)]
    pub dtype: Option<Dtype>,
    /// The directory to write the model to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub device: Device,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Target {
    /// transformers' CLIPModel: config.json, model.safetensors
    HuggingFace,
    /// open_clip_config.json, open_clip_model.safetensors
    OpenClip,
    /// As hugging-face in f16, with manifest.json: for the browser program, which fetches it from any static host
    Web,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Dtype {
    F32,
    F16,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "--check runs on each device what models consist of, compares with the CPU, and exits with 1 where anything differs.\n\n\
                  Examples:\n  clove devices --json\n  clove devices --check\n  clove devices --check --device gpu:0"
)]
pub struct Devices {
    /// Compare what the device computes (with --device auto, the best one; gpu takes a software one too) with known numbers
    #[arg(long)]
    pub check: bool,
    /// Check only this: matmul-77, softmax, ...; may be given several times
    #[arg(long, value_name = "NAME", requires = "check")]
    pub item: Vec<String>,
    /// Wrong one number of this item's, to see whether the check finds it
    #[arg(long, value_name = "NAME", requires = "check", hide = true)]
    pub inject_fault: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub device: Device,
}

/// The alphas of a sweep.
#[derive(Debug, Clone)]
pub struct Alphas(pub Vec<f64>);

fn sweep(text: &str) -> Result<Alphas, String> {
    const WRONG: &str = "a sweep is FROM:TO:STEP with 0 <= FROM <= TO <= 1 and a STEP of at least 0.001, for example 0:1:0.05";
    let numbers: Vec<f64> = text
        .split(':')
        .filter_map(|part| part.parse().ok())
        .collect();
    let &[from, to, step] = &numbers[..] else {
        return Err(WRONG.to_owned());
    };
    if !(0.0 <= from && from <= to && to <= 1.0 && step >= 0.001) || text.split(':').count() != 3 {
        return Err(WRONG.to_owned());
    }
    // Decimals as they're written: 0.3, not 0.1 + 0.1 + 0.1.
    let rounded = |alpha: f64| (alpha * 1e9).round() / 1e9;
    let count = ((to - from) / step + 1e-9).floor() as u32;
    let mut alphas: Vec<f64> = (0..=count)
        .map(|place| rounded(from + f64::from(place) * step))
        .collect();
    if alphas.last().is_some_and(|last| *last < to) {
        alphas.push(to);
    }
    Ok(Alphas(alphas))
}

/// Reads one of several values by its name; help tells of each.
fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
    about: fn(T) -> String,
) -> impl TypedValueParser<Value = T> {
    let values = all.iter().map(move |value| {
        let about = about(*value);
        let value = PossibleValue::new(name(*value));
        if about.is_empty() {
            value
        } else {
            value.help(about)
        }
    });
    PossibleValuesParser::new(values).map(move |given| {
        let mut found = all.iter().filter(|value| name(**value) == given);
        *found.next().expect("the parser took one of these names")
    })
}

fn seeds(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|seeds| (1..=100).contains(seeds))
        .ok_or_else(|| "a number of seeds is from 1 to 100".to_owned())
}

fn per_caption(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=64).contains(count))
        .ok_or_else(|| "a number of negatives is from 1 to 64".to_owned())
}

fn alpha(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|alpha| (0.0..=1.0).contains(alpha))
        .ok_or_else(|| "alpha is a number from 0 (pretrained) to 1 (fine-tuned)".to_owned())
}
