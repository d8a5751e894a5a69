//! Command-line arguments.

mod data;
mod eval;
mod patch;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args as ArgsDerive, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clove::device::DeviceChoice;
use clove_data::caption_stream::Format;
use clove_negatives::Style;
use clove_run::{Fault, Setting};

pub use self::data::{Data, DataCommand, Inspect};
pub use self::eval::Eval;
pub use self::patch::{Alphas, Patch};

/// Version, commit and back ends.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("CLOVE_COMMIT"),
    ")\nback ends: wgpu (Vulkan, Metal, Direct3D 12), flex (CPU)"
);

/// The given words, with `--caption` before each of its texts, and `=` before one that begins with a hyphen, such as `-5 degrees`, which
/// would be taken for an option.
pub fn given(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    const CAPTION: &str = "--caption";
    let (mut all, mut is_caption) = (Vec::new(), false);
    for word in words {
        let text = word.to_string_lossy();
        let is_long = text.starts_with("--") && !text.contains(char::is_whitespace);
        if is_long || ["-h", "-V"].contains(&&*text) {
            is_caption = text == CAPTION;
            all.extend((!is_caption).then_some(word));
        } else if !is_caption {
            all.push(word);
        } else if text.starts_with('-') {
            let mut joined = OsString::from(CAPTION);
            joined.push("=");
            joined.push(word);
            all.push(joined);
        } else {
            all.extend([OsString::from(CAPTION), word]);
        }
    }
    all
}

/// Fine-tune CLIP with hard negatives on any GPU; patch, score and evaluate models
#[derive(Debug, Parser)]
#[command(
    name = "clove",
    version,
    long_version = LONG_VERSION,
    arg_required_else_help = true,
    after_help = "A model DIR is a Hugging Face CLIPModel directory (config.json, model.safetensors), an open_clip one \
                  (open_clip_config.json, open_clip_model.safetensors), or a model in a single file. open_clip's weights alone need \
                  -gelu or -quickgelu in their name.\n\
                  Exit codes: 0 success, 1 error in a file or on the device, 2 invalid arguments, 130 interrupted.\n\n\
                  Examples:\n  clove lab\n  clove train --example folder > train.toml\n  clove help train"
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    /// auto (a GPU if there is one, else the CPU), cpu, gpu (any adapter, software included) or gpu:N (see `clove devices`)
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the full pipeline on synthetic scenes
    Lab(Lab),
    /// Fine-tune a model on images, captions and hard negatives
    Train(Train),
    /// Inspect a data set
    Data(Data),
    /// Score captions against a photo
    Score(Score),
    /// Embed photos and texts into a safetensors file
    Embed(Embed),
    /// Write token ids of texts
    Tokenize(Tokenize),
    /// Write preprocessed pixels of photos
    Preprocess(Preprocess),
    /// Generate hard negatives of captions
    Negatives(Negatives),
    /// Interpolate a fine-tuned model with its pretrained model
    Patch(Patch),
    /// Evaluate models on a benchmark
    Eval(Eval),
    /// Convert a model to another layout or precision
    Convert(Convert),
    /// List devices; check that they compute correctly
    Devices(Devices),
    /// Print shell completions or the manual page
    Completions(Completions),
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Fine-tunes a small pretrained model on captions of synthetic scenes with several kinds of hard negatives, patches it, \
                  and measures composition and recognition. Ctrl-C stops it; run the same command again to resume.\n\n\
                  Examples:\n  clove lab\n  clove lab --seeds 3 --out lab-3-seeds\n  clove lab --from-scratch --out lab-from-scratch"
)]
pub struct Lab {
    /// Write the report, models and runs to this folder
    #[arg(long, value_name = "DIR", default_value = "clove-lab")]
    pub out: PathBuf,
    /// Train the pretrained model too, instead of using the built-in one
    #[arg(long)]
    pub from_scratch: bool,
    /// Number of seeds; the report has mean and standard deviation
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = up_to(100))]
    pub seeds: usize,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Writes to the folder `out` of the configuration: run.toml (the resolved configuration), metrics.jsonl, TensorBoard \
                  events, checkpoints and finally model/, which every other command accepts. Ctrl-C saves and stops; --resume resumes. A \
                  resumed run can be extended (train.steps, train.epochs).\n\n\
                  Examples:\n  clove train --example folder > train.toml\n  clove train --explain optimizer\n  clove train train.toml --dry-run\n  clove train train.toml --set optimizer.learning_rate=1e-5 --set out=runs/low\n  \
                  clove train train.toml --resume\n  clove train --resume runs/low --set train.epochs=4"
)]
#[expect(clippy::option_option, reason = "clap's form of an option with an optional value")]
pub struct Train {
    /// Training configuration
    #[arg(value_name = "CONFIG.toml", required_unless_present_any = ["example", "explain", "resume"])]
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
    /// Resume a run from its last complete checkpoint: the run in the folder RUN, or else the one in `out` of CONFIG.toml
    #[arg(long, value_name = "RUN")]
    pub resume: Option<Option<PathBuf>>,
    /// Print the plan and exit
    #[arg(long)]
    pub dry_run: bool,
    /// Print plain lines instead of the dashboard
    #[arg(long)]
    pub plain: bool,
    /// Inject a fault to test recovery
    #[arg(long, value_name = "FAULT", hide = true)]
    pub inject_fault: Option<Fault>,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Probabilities are over the given captions. --negatives adds a column with probabilities over captions and negatives.\n\n\
                  Examples:\n  clove score --model clip-vit-base-patch32 --image photo.jpg \\\n    --caption \"a man riding a horse\" --caption \"a horse riding a man\"\n  \
                  clove score --model clip-vit-base-patch32 --image photo.jpg --caption \"a man riding a horse\" --negatives 5 --style mixed"
)]
pub struct Score {
    /// Model directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Photo to score
    #[arg(long, value_name = "FILE")]
    pub image: PathBuf,
    /// Caption; repeatable
    #[arg(long = "caption", value_name = "TEXT", required = true, num_args = 1..)]
    pub captions: Vec<String>,
    /// Generate up to K hard negatives per caption and score them too
    #[arg(long, value_name = "K", value_parser = up_to(64))]
    pub negatives: Option<usize>,
    /// Style of negatives
    #[arg(long, value_parser = styles(), default_value = "replace", requires = "negatives")]
    pub style: Style,
    /// Seed of the random choices
    #[arg(long, value_name = "N", default_value_t = 0, requires = "negatives")]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ArgsDerive)]
#[command(
    group = ArgGroup::new("what").args(["images", "texts"]).required(true).multiple(true),
    after_help = "Tensors: image_features [n, d] and text_features [m, d], L2-normalized, and logit_scale [1].\n\n\
                  Example:\n  clove embed --model clip-vit-base-patch32 --images *.jpg --texts captions.txt --out features.safetensors"
)]
pub struct Embed {
    /// Model directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Photos, one row each
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub images: Vec<PathBuf>,
    /// UTF-8 file, one text per line, or - for standard input; a blank line is an empty text
    #[arg(long, value_name = "FILE")]
    pub texts: Option<PathBuf>,
    /// Output safetensors file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Leave out photos that can't be read; for --out F.safetensors, F.images.json lists the photos of the rows
    #[arg(long, requires = "images")]
    pub skip_unreadable: bool,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Reads no weights. Truncates texts longer than the context and keeps end-of-text; prints how many on stderr.\n\n\
                  Example:\n  clove tokenize --model clip-vit-base-patch32 --texts captions.txt --out ids.safetensors"
)]
pub struct Tokenize {
    /// Model directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// UTF-8 file, one text per line, or - for standard input; a blank line is an empty text
    #[arg(long, value_name = "FILE")]
    pub texts: PathBuf,
    /// Output safetensors file with tensor input_ids [m, context]; prints the tokens if omitted
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON, one object per line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Reads no weights: size, crop, mean and std come from processor_config.json, preprocessor_config.json or open_clip's preprocess_cfg.\n\n\
                  Example:\n  clove preprocess --model clip-vit-base-patch32 --images *.jpg --out pixels.safetensors"
)]
pub struct Preprocess {
    /// Model directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Photos, in row order
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub images: Vec<PathBuf>,
    /// Output safetensors file with tensor pixel_values [n, 3, size, size]
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Leave out photos that can't be read; for --out F.safetensors, F.images.json lists the photos of the rows
    #[arg(long)]
    pub skip_unreadable: bool,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Writes one JSON object per line. Add an image to each and `clove train` reads them:\n  \
                  {\"caption\": \"a man riding a horse\", \"negatives\": [{\"text\": \"a man riding a cow\", \"kind\": \"replace_obj\", \"from\": \"horse\", \"to\": \"cow\"}]}\n\n\
                  Writes one line per caption, in order. The list of negatives is empty for a blank line, an unreadable row, a caption \
                  longer than 16,384 bytes (truncated in the output) and a caption that gives none. Prints a summary of captions \
                  without negatives, by reason, on stderr.\n\n\
                  text: one caption per line. The other formats are those of training (`clove train --example`), and captions stand in the \
                  same columns and fields; images needn't be there. Braces, stars and folders name several files. The captions of one \
                  image never become negatives of each other.\n\n\
                  Examples:\n  clove negatives --input captions.txt --out negatives.jsonl\n  \
                  clove negatives --style mixed --per-caption 4 --input captions.csv --field alt_text > negatives.jsonl\n  \
                  echo \"a black dog and a white cat\" | clove negatives --style swap --seed 7\n  \
                  clove negatives --input shard-000.tar --field top_caption --out shard-000.jsonl"
)]
pub struct Negatives {
    /// Style of negatives
    #[arg(long, value_parser = styles(), default_value = "replace")]
    pub style: Style,
    /// Maximum number of negatives per caption
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = up_to(64))]
    pub per_caption: usize,
    /// Seed of the random choices
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Epoch: training uses other negatives in each
    #[arg(long, value_name = "E", default_value_t = 0)]
    pub epoch: u64,
    /// Input file, folder or pattern such as train-*.parquet; standard input if omitted or -
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Input format; auto uses the extension (.txt, .csv, .tsv, .jsonl, .json, .tar, .parquet) and reads standard input as text
    #[arg(
        long,
        value_parser = one_of(&CAPTION_FORMATS, |format| format.0, |_| String::new()),
        default_value = "auto"
    )]
    pub format: CaptionFormat,
    /// Column or field with the captions
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Output file; standard output if omitted
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Styles of negatives.
fn styles() -> impl TypedValueParser<Value = Style> {
    one_of(&Style::ALL, Style::name, |style| {
        match style {
            Style::Replace => "Replace a word by another of its kind (CLoVe, after REPLACE)",
            Style::Negclip => "Swap two phrases, nouns, adjectives, adverbs or verbs (NegCLIP)",
            Style::Swap => "Swap objects or their attributes (SugarCrepe)",
            Style::Shuffle => "Shuffle words (ARO)",
            Style::Mixed => "Mix all of these",
        }
        .to_owned()
    })
}

/// The format of captions by name; `None` for the format of the extension.
type CaptionFormat = (&'static str, Option<Format>);

const CAPTION_FORMATS: [CaptionFormat; 10] = [
    ("auto", None),
    ("text", Some(Format::Text)),
    ("table", Some(Format::Table)),
    ("csv", Some(Format::Table)),
    ("tsv", Some(Format::Table)),
    ("json-lines", Some(Format::JsonLines)),
    ("webdataset", Some(Format::Webdataset)),
    ("parquet", Some(Format::Parquet)),
    ("coco", Some(Format::Coco)),
    ("folder", Some(Format::Folder)),
];

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Without --dtype, values keep their type and bits; web defaults to f16. Photos are cropped as the layout's own \
                  library crops them; the two can differ by a pixel.\n\n\
                  Examples:\n  clove convert --model clip-vit-base-patch32 --to open-clip --out converted\n  \
                  clove convert --model clip-vit-base-patch32 --to web --out site/clip-vit-base-patch32"
)]
pub struct Convert {
    /// Model directory
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Output layout
    #[arg(long, value_enum)]
    pub to: Target,
    /// Output element type
    #[arg(long, value_enum)]
    pub dtype: Option<Dtype>,
    /// Output directory, new or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the model in the output directory
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Target {
    /// transformers' CLIPModel: config.json, model.safetensors
    HuggingFace,
    /// open_clip_config.json, open_clip_model.safetensors
    OpenClip,
    /// hugging-face in f16 with manifest.json, for the browser page; serve it from any static host
    Web,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Dtype {
    F32,
    F16,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "--check runs the operations that models consist of, compares with the CPU, and exits with 1 if anything differs.\n\n\
                  Examples:\n  clove devices --json\n  clove devices --check\n  clove devices --check --device gpu:0"
)]
pub struct Devices {
    /// Compare the results of the selected device with known results
    #[arg(long)]
    pub check: bool,
    /// Check only this item, such as matmul-77 or softmax; repeatable
    #[arg(long, value_name = "NAME", requires = "check")]
    pub item: Vec<String>,
    /// Corrupt one result of this item to test the check
    #[arg(long, value_name = "NAME", requires = "check", hide = true)]
    pub inject_fault: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "Examples:\n  clove completions bash > /etc/bash_completion.d/clove\n  clove completions zsh > ~/.zfunc/_clove\n  \
                  clove completions man > /usr/local/share/man/man1/clove.1"
)]
pub struct Completions {
    /// Shell, or man for the manual page
    #[arg(value_parser = shells(), value_name = "SHELL")]
    pub shell: ShellOrMan,
}

/// A shell by name; `None` for the manual page.
type ShellOrMan = (&'static str, Option<Shell>);

const SHELLS: [ShellOrMan; 6] = [
    ("bash", Some(Shell::Bash)),
    ("elvish", Some(Shell::Elvish)),
    ("fish", Some(Shell::Fish)),
    ("powershell", Some(Shell::PowerShell)),
    ("zsh", Some(Shell::Zsh)),
    ("man", None),
];

fn shells() -> impl TypedValueParser<Value = ShellOrMan> {
    let about = |shell: ShellOrMan| shell.1.map_or("roff, section 1", |_| "").to_owned();
    one_of(&SHELLS, |shell| shell.0, about)
}

/// Parses one of several values by name. Help lists them with their descriptions.
fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
    about: fn(T) -> String,
) -> impl TypedValueParser<Value = T> {
    let values = all.iter().map(move |value| {
        let about = about(*value);
        let value = PossibleValue::new(name(*value));
        if about.is_empty() { value } else { value.help(about) }
    });
    PossibleValuesParser::new(values).map(move |given| {
        let mut found = all.iter().filter(|value| name(**value) == given);
        *found.next().expect("the parser took one of these names")
    })
}

/// Parses a number from 1 to `most`.
fn up_to(most: usize) -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u64).range(1..=most as u64).map(|number| number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_may_begin_with_a_hyphen_and_an_option_after_it_stays_one() {
        let joined = |words: &[&str]| -> Vec<String> {
            let words = given(words.iter().map(OsString::from));
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
        };
        for text in ["-5 degrees", "-5", "- a list", "-minus", "--- three hyphens"] {
            assert_eq!(
                joined(&["score", "--caption", text, "a cat", text, "--json"]),
                [
                    "score",
                    &format!("--caption={text}"),
                    "--caption",
                    "a cat",
                    &format!("--caption={text}"),
                    "--json",
                ]
            );
        }
        let other = ["patch", "--alpha", "-5 degrees", "-h", "--out", "x"];
        assert_eq!(joined(&other), other);
    }
}
