//! `clove eval`: evaluates models on a benchmark, with blind baselines.

mod page;
mod published;
mod words;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clove::device::{DeviceChoice, OpenDevice};
use clove::evaluate::{Difference, ScoredRow, difference};
use clove::score::Scorer;
use clove::weights::{ModelSource, refuse_inputs, write_file};
use clove_data::benchmarks::aro;
use clove_data::captions;
use clove_run::evaluation::{Bench, Figures, Files, Outcome, Store, Suite};
use clove_scenes::Split;
use serde::Serialize;

use self::published::Table;
use crate::args::Eval;
use crate::listener::Listener;
use crate::{model, output};

/// The evaluation of a model, as `--json` and `--out` write it.
#[derive(Serialize)]
struct Tried<'a> {
    #[serde(flatten)]
    outcome: Outcome,
    model: String,
    device: &'a str,
    /// Remarks on excluded rows and files.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    embedded: usize,
    /// Number of cached embeddings.
    known: usize,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<Table>,
}

/// A line of `--rows`.
#[derive(Serialize)]
struct Line<'a> {
    /// Only with several models.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    set: &'a str,
    #[serde(flatten)]
    row: &'a ScoredRow,
}

/// Several models on the same rows.
#[derive(Serialize)]
struct Comparison<'a> {
    models: &'a [Tried<'a>],
    /// Difference of each model from the first, for trials.
    differences: &'a [Option<Difference>],
}

pub fn run(args: &Eval, device: DeviceChoice) -> Result<()> {
    let outputs = [&args.orders, &args.rows, &args.html, &args.out];
    let outputs: Vec<&Path> = outputs.into_iter().flatten().map(PathBuf::as_path).collect();
    let mut inputs: Vec<&Path> = args.model.iter().map(PathBuf::as_path).collect();
    let lists = [&args.data, &args.images, &args.captions, &args.class_names, &args.templates];
    inputs.extend(lists.into_iter().flatten().map(|list| of_list(list)));
    output::check(&outputs, &inputs)?;
    let files = Files {
        data: args.data.as_deref(),
        images: args.images.as_deref(),
        splits: &args.split,
        class_names: args.class_names.as_deref(),
        templates: args.templates.as_deref(),
        seed: args.seed,
        same_image: args.same_image,
    };
    let mut bench = Bench::open(args.suite, files, Split::Test)?;
    // The files in a folder that it reads. What doesn't exist yet is none of them.
    if outputs.iter().any(|output| output.exists()) {
        let read = bench.inputs();
        let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
        outputs.iter().try_for_each(|output| refuse_inputs(output, &read))?;
    }
    bench.captions = args.captions.as_deref().map(captions::read_training_captions).transpose()?;
    let sources = args.model.iter().map(|dir| model::open(dir));
    let sources = sources.collect::<Result<Vec<ModelSource>, _>>()?;
    let device = model::open_device(device)?;
    let mut tried = Vec::with_capacity(sources.len());
    for (source, dir) in sources.iter().zip(&args.model) {
        let found = try_model(args, &bench, source, &device);
        tried.push(found.with_context(|| dir.display().to_string())?);
    }
    let differences: Vec<Option<Difference>> =
        tried.iter().skip(1).map(|other| differs(&tried[0].outcome, &other.outcome)).collect();
    if let Some(out) = &args.orders {
        let options = serde_json::to_string_pretty(&aro::options(bench.sets()))?;
        write_file(out, options + "\n")?;
        output::note(&format!("{}: word orders", out.display()));
    }
    if let Some(out) = &args.rows {
        write_file(out, lines(&tried)?)?;
        output::note(&format!("{}: rows", out.display()));
    }
    if let Some(out) = &args.html {
        write_file(out, page::page(&bench, &tried, &differences))?;
        output::note(&format!("{}: page", out.display()));
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
    let json = if let [only] = &tried[..] {
        serde_json::to_value(only)?
    } else {
        text.push(words::side_by_side(&tried, &differences));
        serde_json::to_value(Comparison { models: &tried, differences: &differences })?
    };
    if let Some(out) = &args.out {
        write_file(out, serde_json::to_string_pretty(&json)? + "\n")?;
        output::note(&format!("{}: report", out.display()));
    }
    if args.json { output::print_json(&json) } else { output::print(&text.join("\n\n")) }
}

/// The file of a list such as `FILE.json#DATASET`.
fn of_list(list: &Path) -> &Path {
    let end = list.to_str().and_then(|list| Some(list.rfind(".json#")? + ".json".len()));
    end.and_then(|end| list.to_str()?.get(..end)).map_or(list, Path::new)
}

fn try_model<'a>(
    args: &Eval,
    bench: &'a Bench,
    source: &ModelSource,
    device: &'a OpenDevice,
) -> Result<Tried<'a>> {
    let scorer = pollster::block_on(Scorer::load(source, &device.device))?;
    model::note_defaults(source);
    // Scenes have no files to cache embeddings of.
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
        device: &device.description,
        notes: &bench.notes,
        outcome,
        embedded: store.made,
        known: store.found,
        published: published::beside(bench.suite(), source.config())?,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Difference of another model from the first, for trials.
fn differs(first: &Outcome, other: &Outcome) -> Option<Difference> {
    match &first.figures {
        Figures::Trials(report) => difference(report, &first.rows, &other.rows),
        _ => None,
    }
}

fn lines(all: &[Tried<'_>]) -> Result<String> {
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
