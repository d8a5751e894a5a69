//! The arguments of `clove patch`.

use std::path::PathBuf;

use clap::Args as ArgsDerive;
use clove_run::evaluation::Suite;

use super::eval::suites;

#[derive(Debug, ArgsDerive)]
#[command(
    after_help = "theta = (1 - alpha) * pretrained + alpha * finetuned, over every tensor; of a context that training cut, the \
                  positions that both models have. The CLoVe paper uses 0.6; choose alpha on held-out data, not on the benchmark you report.\n\n\
                  Examples:\n  clove patch --pretrained clip-vit-base-patch32 --finetuned my-run --alpha 0.6 --out patched\n  \
                  clove patch --pretrained clove-lab/models/pretrained --finetuned clove-lab/models/clove \\\n    --sweep 0:1:0.1 --select scenes --out patched\n  \
                  clove patch --pretrained clip-vit-base-patch32 --finetuned my-run/model --sweep 0:1:0.05 \\\n    \
                  --select retrieval --data held-out.jsonl --beside sugar-crepe --beside-data sugar-crepe/data --beside-images val2017 \\\n    \
                  --out patched"
)]
pub struct Patch {
    /// Pretrained model directory
    #[arg(long, value_name = "DIR")]
    pub pretrained: PathBuf,
    /// Fine-tuned model directory
    #[arg(long, value_name = "DIR")]
    pub finetuned: PathBuf,
    /// Weight of the fine-tuned model, from 0 to 1
    #[arg(long, value_name = "A", value_parser = alpha, allow_negative_numbers = true, required_unless_present = "sweep")]
    pub alpha: Option<f64>,
    /// Try these alphas and write the best, for example 0:1:0.05
    #[arg(long, value_name = "FROM:TO:STEP", value_parser = sweep, conflicts_with = "alpha", requires = "select")]
    pub sweep: Option<Alphas>,
    /// Suite that --sweep optimizes: held-out data, not the benchmark you report. scenes: best composition among alphas that
    /// lose at most one point of recognition. retrieval: best mean R@1 of both directions. Others: best mean accuracy
    #[arg(
        long,
        value_name = "SUITE",
        value_parser = suites(),
        requires = "sweep",
        requires_if("sugar-crepe", "data"),
        requires_if("sugar-crepe", "images")
    )]
    pub select: Option<Suite>,
    /// Files of the suite; scenes need none
    #[arg(long, value_name = "DIR", requires = "select")]
    pub data: Option<PathBuf>,
    /// Photos of the suite; scenes need none
    #[arg(long, value_name = "DIR", requires = "select")]
    pub images: Option<PathBuf>,
    /// Second suite, measured at each alpha and not used for the choice
    #[arg(long, value_name = "SUITE", value_parser = suites(), requires = "sweep")]
    pub beside: Option<Suite>,
    /// Files of the second suite
    #[arg(long, value_name = "PATH", requires = "beside")]
    pub beside_data: Option<PathBuf>,
    /// Photos of the second suite
    #[arg(long, value_name = "DIR", requires = "beside")]
    pub beside_images: Option<PathBuf>,
    /// Output directory of the patched model, new or empty; --sweep adds sweep.json with the figures of every alpha
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the model in the output directory
    #[arg(long)]
    pub force: bool,
}

/// The alphas of a sweep.
#[derive(Debug, Clone)]
pub struct Alphas(pub Vec<f64>);

fn sweep(text: &str) -> Result<Alphas, String> {
    const WRONG: &str = "a sweep is FROM:TO:STEP with 0 <= FROM <= TO <= 1 and a STEP of at least 0.001, for example 0:1:0.05";
    let numbers: Vec<f64> = text.split(':').filter_map(|part| part.parse().ok()).collect();
    let &[from, to, step] = &numbers[..] else {
        return Err(WRONG.to_owned());
    };
    if !(0.0 <= from && from <= to && to <= 1.0 && step >= 0.001) || text.split(':').count() != 3 {
        return Err(WRONG.to_owned());
    }
    // Decimals as they're written: 0.3, not 0.1 + 0.1 + 0.1.
    let rounded = |alpha: f64| (alpha * 1e9).round() / 1e9;
    let count = ((to - from) / step + 1e-9).floor() as u32;
    let mut alphas: Vec<f64> =
        (0..=count).map(|place| rounded(from + f64::from(place) * step)).collect();
    if alphas.last().is_some_and(|last| *last < to) {
        alphas.push(to);
    }
    Ok(Alphas(alphas))
}

fn alpha(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|alpha| (0.0..=1.0).contains(alpha))
        .ok_or_else(|| "alpha is a number from 0 (pretrained) to 1 (fine-tuned)".to_owned())
}
