//! `clove eval`: a model on a benchmark, with the blind baselines beside it.

mod page;
mod published;
mod words;

use std::time::Instant;

use anyhow::{Context as _, Result};
use clove::device::OpenDevice;
use clove::evaluate::{Difference, ScoredRow, difference};
use clove::score::Scorer;
use clove::weights::ModelSource;
use clove_data::benchmarks::aro;
use clove_data::captions;
use clove_run::evaluation::{Bench, Figures, Files, Outcome, Store, Suite};
use clove_scenes::Split;
use serde::Serialize;

use self::published::Table;
use crate::args::Eval;
use crate::listener::Listener;
use crate::{model, output, tensors};

/// What `--json` prints and `--out` writes.
#[derive(Serialize)]
struct Evaluation<'a> {
    #[serde(flatten)]
    figures: &'a Figures,
    model: String,
    device: String,
    /// What of the benchmark's files isn't counted.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    /// Photos that are there and can't be read, with the reasons.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unreadable: &'a [(String, String)],
    /// Photos and texts that were embedded now, and that were known.
    embedded: usize,
    known: usize,
    seconds: f64,
    /// What was published of models of this shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<&'a Table>,
}

/// A line of `--rows`.
#[derive(Serialize)]
struct Line<'a> {
    /// Where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    set: &'a str,
    #[serde(flatten)]
    row: &'a ScoredRow,
}

/// A model that was tried.
struct Tried {
    model: String,
    outcome: Outcome,
    embedded: usize,
    known: usize,
    seconds: f64,
    published: Option<Table>,
}

/// Several models on the same rows.
#[derive(Serialize)]
struct Comparison<'a> {
    models: Vec<Evaluation<'a>>,
    /// Of trials, how each model differs from the first.
    differences: Vec<Option<Difference>>,
}

pub fn run(args: &Eval) -> Result<()> {
    let files = Files {
        data: args.data.as_deref(),
        images: args.images.as_deref(),
        splits: &args.split,
        class_names: args.class_names.as_deref(),
        templates: args.templates.as_deref(),
        seed: args.seed,
    };
    let mut bench = Bench::open(args.suite, files, Split::Test)?;
    bench.captions = args.captions.as_deref().map(captions::read_training_captions).transpose()?;
    let sources = args.model.iter().map(|dir| model::open(dir));
    let sources = sources.collect::<Result<Vec<ModelSource>, _>>()?;
    let device = model::open_device(args.device.device)?;
    let mut tried = Vec::with_capacity(sources.len());
    for (source, dir) in sources.iter().zip(&args.model) {
        let found = try_model(args, &bench, source, &device);
        tried.push(found.with_context(|| dir.display().to_string())?);
    }
    let evaluations = tried.iter().map(|tried| Evaluation {
        figures: &tried.outcome.figures,
        model: tried.model.clone(),
        device: device.description.clone(),
        notes: &bench.notes,
        unreadable: &tried.outcome.unreadable,
        embedded: tried.embedded,
        known: tried.known,
        seconds: tried.seconds,
        published: tried.published.as_ref(),
    });
    let mut models: Vec<Evaluation<'_>> = evaluations.collect();
    let differences: Vec<Option<Difference>> =
        tried.iter().skip(1).map(|other| differs(&tried[0].outcome, &other.outcome)).collect();
    if let Some(out) = &args.orders {
        let options = serde_json::to_string_pretty(&aro::options(bench.sets()))?;
        tensors::write_text(out, &(options + "\n"))?;
        output::note(&format!("{}: the orders", out.display()));
    }
    if let Some(out) = &args.rows {
        tensors::write_text(out, &lines(&tried)?)?;
        output::note(&format!("{}: the outcome of each row", out.display()));
    }
    if let Some(out) = &args.html {
        let models: Vec<(&str, &Outcome, Option<&Table>)> = tried
            .iter()
            .map(|tried| (tried.model.as_str(), &tried.outcome, tried.published.as_ref()))
            .collect();
        tensors::write_text(out, &page::page(&bench, &models, &differences))?;
        output::note(&format!("{}: a page", out.display()));
    }
    let mut text: Vec<String> = tried
        .iter()
        .map(|tried| {
            let mut words = words::words(&tried.outcome, &bench.notes);
            if let Some(table) = &tried.published {
                words = format!("{words}\n\n{}", table.words());
            }
            if args.model.len() == 1 { words } else { format!("{}\n{words}", tried.model) }
        })
        .collect();
    let json = if models.len() == 1 {
        serde_json::to_value(models.remove(0))?
    } else {
        let names = tried.iter().map(|tried| tried.model.as_str());
        text.push(words::side_by_side(
            &names.zip(tried.iter().map(|tried| &tried.outcome)).collect::<Vec<_>>(),
            &differences,
        ));
        serde_json::to_value(Comparison { models, differences })?
    };
    if let Some(out) = &args.out {
        tensors::write_text(out, &(serde_json::to_string_pretty(&json)? + "\n"))?;
        output::note(&format!("{}: report", out.display()));
    }
    if args.json { output::print_json(&json) } else { output::print(&text.join("\n\n")) }
}

fn try_model(
    args: &Eval,
    bench: &Bench,
    source: &ModelSource,
    device: &OpenDevice,
) -> Result<Tried> {
    let scorer = pollster::block_on(Scorer::load(source, &device.device))?;
    model::note_defaults(source);
    // Scenes are drawn, and embedded as they are.
    let mut store = if args.no_cache || args.suite == Suite::Scenes {
        Store::forgetful(source.config().embed_dim)
    } else {
        Store::open(source, &device.description)?
    };
    let began = Instant::now();
    let mut listener = Listener::new();
    let outcome = bench.score(&scorer, &mut store, &mut |event| listener.hear(event))?;
    listener.close();
    Ok(Tried {
        model: source.place(),
        outcome,
        embedded: store.made,
        known: store.found,
        published: published::beside(bench.suite(), source.config())?,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// How another model's mean of subsets differs, on trials.
fn differs(first: &Outcome, other: &Outcome) -> Option<Difference> {
    match &first.figures {
        Figures::Trials(report) => difference(report, &first.rows, &other.rows),
        _ => None,
    }
}

fn lines(all: &[Tried]) -> Result<String> {
    let mut text = String::new();
    for tried in all {
        for line in &tried.outcome.lines {
            let mut line = line.clone();
            if let (Some(line), true) = (line.as_object_mut(), all.len() > 1) {
                line.insert("model".to_owned(), tried.model.clone().into());
            }
            text.push_str(&line.to_string());
            text.push('\n');
        }
        for (set, rows) in &tried.outcome.rows {
            for row in rows {
                let model = (all.len() > 1).then_some(tried.model.as_str());
                text.push_str(&serde_json::to_string(&Line { model, set, row })?);
                text.push('\n');
            }
        }
    }
    Ok(text)
}
