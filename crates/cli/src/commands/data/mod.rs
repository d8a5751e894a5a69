//! `clove data inspect`: statistics and samples of a data set.

mod captions;
mod images;
mod page;
mod spread;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clove::tokenizer::Tokenizer;
use clove::weights::write_file;
use clove_data::fetch::{Copies, Shown};
use clove_data::sets::{Filtered, ImageTextSet};
use clove_negatives::{Request, Style};
use clove_report::Card;
use clove_run::config::SetSettings;
use clove_run::negatives::{self, Yield};
use clove_run::words::counted;
use clove_run::{Config, Parts, Pool, Source, open_set};
use indicatif::HumanCount;
use rayon::prelude::*;
use serde::Serialize;

use self::captions::Captions;
use self::images::Images;
use self::spread::Spread;
use crate::args::{Data, DataCommand, Inspect};
use crate::interrupt::Interrupt;
use crate::listener::Listener;
use crate::progress::Progress;
use crate::{model, output};

/// The context of published CLIP models.
const CLIP_CONTEXT: usize = 77;

const QUOTED: usize = 10;

pub fn run(args: &Data) -> Result<()> {
    match &args.command {
        DataCommand::Inspect(args) => inspect(args),
    }
}

struct Task {
    name: String,
    set: ImageTextSet,
    tokenizer: Tokenizer,
    styles: Vec<Style>,
    per_caption: usize,
    seed: u64,
    filtered: Option<Filtered>,
}

#[derive(Serialize)]
struct Report {
    set: String,
    samples: usize,
    captions_per_sample: Spread,
    /// Negatives of the set that differ from their sample's captions.
    negatives: usize,
    /// Those that equal one: no caption is trained against itself.
    negatives_like_captions: usize,
    filtered: Option<Filtered>,
    /// Number of skipped samples by kind of reason.
    skipped: Vec<(String, usize)>,
    /// Every skipped sample with its full reason.
    skipped_samples: Vec<(String, String)>,
    /// Rows of splits that are not read.
    of_other_splits: usize,
    captions: Captions,
    images: Images,
    /// Yield of generated negatives by style.
    made_negatives: Vec<(Style, Yield)>,
    #[serde(skip)]
    cards: Vec<Card>,
}

fn inspect(args: &Inspect) -> Result<()> {
    let inputs = [&args.config, &args.path, &args.images, &args.model];
    let inputs: Vec<&Path> = inputs.into_iter().flatten().map(PathBuf::as_path).collect();
    output::check(&[&args.out], &inputs)?;
    let interrupt = Interrupt::listen()?;
    let task = open(args, &interrupt)?;
    let count = task.set.samples.len();
    let opened = if args.all { (0..count).collect() } else { spread_over(count, args.sample) };
    let shown = spread_over(opened.len(), args.shown);
    let progress = Progress::new();
    progress.plan((count + opened.len() * (1 + task.styles.len())) as u64);
    let report = look(&task, &opened, &shown, &progress, &interrupt);
    progress.finish();
    let report = report?;
    write_file(&args.out, page::page(&report))?;
    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(&text(&report))?;
    }
    output::note(&format!(
        "{}: {} with their captions",
        args.out.display(),
        counted(report.cards.len() as u64, "picture")
    ));
    Ok(())
}

fn open(args: &Inspect, interrupt: &Interrupt) -> Result<Task> {
    let mut listener = Listener::stopped_by(interrupt);
    let hear = &mut |event: &clove_run::Event<'_>| listener.hear(event);
    let mut styles = args.styles.clone();
    let Some(file) = &args.config else {
        // clap requires both without a configuration.
        let (kind, path) = args.kind.zip(args.path.as_deref()).context("--path is missing")?;
        let tokenizer = match &args.model {
            Some(dir) => model::open(dir)?.tokenizer()?,
            None => Tokenizer::clip(CLIP_CONTEXT),
        };
        let settings = SetSettings {
            kind,
            path: path.to_owned(),
            images: args.images.clone(),
            splits: args.splits.clone(),
            ..SetSettings::default()
        };
        return Ok(Task {
            name: format!("{} ({})", Shown::path(path), kind.name()),
            set: open_set(&settings, Copies::default(), hear)?.into_memory()?,
            tokenizer,
            styles,
            per_caption: 1,
            seed: 0,
            filtered: None,
        });
    };
    let config = Config::read(file, &args.settings)?;
    let parts = Parts::open(&config.model, config.seed)?;
    let source = Source::open(&config.data, hear)
        .with_context(|| format!("the data of {}", file.display()))?;
    let Source::Pool(Pool { set, filtered, .. }) = source else {
        bail!(
            "{}: data.kind: scenes are synthetic, without a set to inspect; `clove train {0} --dry-run` shows some",
            file.display()
        );
    };
    if let Some(style) = config.negatives.style.of_captions()
        && !styles.contains(&style)
    {
        styles.insert(0, style);
    }
    Ok(Task {
        name: file.display().to_string(),
        set: set.into_memory()?,
        tokenizer: parts.tokenizer,
        styles,
        per_caption: config.negatives.per_caption,
        seed: config.seed,
        filtered,
    })
}

/// `most` of `count` indices, evenly spread.
fn spread_over(count: usize, most: u64) -> Vec<usize> {
    let taken = (count as u64).min(most);
    (0..taken)
        .map(|place| (u128::from(place) * count as u128 / u128::from(taken)) as usize)
        .collect()
}

fn look(
    task: &Task,
    opened: &[usize],
    shown: &[usize],
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<Report> {
    let set = &task.set;
    progress.say("captions");
    let captions = Captions::of(set, &task.tokenizer, progress, interrupt)?;
    let mut made_negatives = Vec::new();
    let mut made: Vec<Vec<(Style, String)>> = vec![Vec::new(); shown.len()];
    if !task.styles.is_empty() {
        progress.say("hard negatives");
        let generator = negatives::generator()?;
        // Negatives of the first caption of a sample.
        let make = |style: Style, index: usize| {
            let captions = &set.samples[index].captions;
            generator.negatives(&Request {
                caption: &captions[0],
                others: &negatives::others(captions, 0),
                style,
                count: task.per_caption,
                seed: task.seed,
                epoch: 0,
                index: index as u64,
            })
        };
        for &style in &task.styles {
            let found = opened.par_iter().map(|&index| {
                let mut found = Yield::default();
                if !interrupt.asked() {
                    found.add(&make(style, index));
                    progress.advance(1);
                }
                found
            });
            let found = found.reduce(Yield::default, Yield::merge);
            if interrupt.asked() {
                bail!("stopped while generating negatives");
            }
            made_negatives.push((style, found));
            for (made, &place) in made.iter_mut().zip(shown) {
                let negatives = make(style, opened[place]).negatives;
                made.extend(negatives.into_iter().map(|negative| (style, negative.text)));
            }
        }
    }
    progress.say("images");
    let (images, thumbnails) = Images::of(set, opened, shown, progress, interrupt)?;
    let cards = shown.iter().zip(thumbnails).zip(made);
    let cards = cards
        .map(|((&place, picture), made)| page::card(&set.samples[opened[place]], picture, made));
    let skipped = set.skipped_by_kind();
    let negatives: usize = set.samples.iter().map(|sample| sample.negatives.len()).sum();
    let alike = set.samples.iter().map(|sample| {
        sample.negatives.iter().filter(|negative| sample.captions.contains(negative)).count()
    });
    let alike: usize = alike.sum();
    let per_sample = set.samples.iter().map(|sample| sample.captions.len() as u32);
    Ok(Report {
        set: task.name.clone(),
        samples: set.samples.len(),
        captions_per_sample: Spread::of(per_sample.collect()),
        negatives: negatives - alike,
        negatives_like_captions: alike,
        filtered: task.filtered,
        skipped: skipped.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
        skipped_samples: set.skipped.clone(),
        of_other_splits: set.of_other_splits,
        captions,
        images,
        made_negatives,
        cards: cards.collect(),
    })
}

fn text(report: &Report) -> String {
    let mut lines = vec![format!("{}: {}", report.set, summary(report))];
    for (kind, count) in &report.skipped {
        lines.push(format!("  skipped: {} {kind}", HumanCount(*count as u64)));
    }
    for (place, reason) in report.skipped_samples.iter().take(3) {
        lines.push(format!("    {place}: {reason}"));
    }
    let head = |name: &str| [&[name.to_owned()], &Spread::COLUMNS.map(str::to_owned)[..]].concat();
    let row = |name: &str, spread: &Spread| [&[name.to_owned()], &spread.cells()[..]].concat();
    let captions = &report.captions;
    lines.push(output::table(&[
        head("captions"),
        row("  per sample", &report.captions_per_sample),
        row("  words", &captions.words),
        row("  tokens", &captions.tokens),
    ]));
    lines.extend(remarks(report).into_iter().map(|line| format!("  {line}")));
    for (text, count) in captions.frequent.iter().take(5) {
        lines.push(format!("    {} times {text:?}", HumanCount(*count as u64)));
    }
    let images = &report.images;
    lines.push(output::table(&[
        head(&format!("{} images opened", HumanCount(images.tried as u64))),
        row("  width", &images.width),
        row("  height", &images.height),
        row("  shorter side", &images.shorter_side),
    ]));
    for (format, count) in &images.formats {
        lines.push(format!("  {} {format}", HumanCount(*count as u64)));
    }
    if let Some((name, width, height)) = images.smallest.first() {
        lines.push(format!("  smallest: {width} x {height}, {name}"));
    }
    if !images.unreadable.is_empty() {
        let count = HumanCount(images.unreadable.len() as u64);
        lines.push(format!("  {count} unreadable:"));
        let first = images.unreadable.iter().take(QUOTED);
        lines.extend(first.map(|(_, reason)| format!("    {reason}")));
    }
    for (style, found) in &report.made_negatives {
        lines.push(format!("negatives, {}: {}", style.name(), found.summary()));
        lines.push(output::table(&found.kinds()).trim_end().to_owned());
        lines.extend(found.why_none().map(|why| format!("  {why}")));
    }
    lines.retain(|line| !line.is_empty());
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

fn summary(report: &Report) -> String {
    let counted = |number: usize, thing| counted(number as u64, thing);
    let skipped = report.skipped.iter().map(|(_, count)| count).sum();
    let filtered = match &report.filtered {
        Some(filtered) => format!("; filtered out: {}", filtered.summary()),
        None => String::new(),
    };
    let others = match report.of_other_splits {
        0 => String::new(),
        rows => format!("; {} of other splits", counted(rows, "row")),
    };
    format!(
        "{} with {} and {}; {} skipped{others}{filtered}",
        counted(report.samples, "sample"),
        counted(report.captions.count, "caption"),
        counted(report.negatives, "negative"),
        counted(skipped, "place")
    )
}

fn remarks(report: &Report) -> Vec<String> {
    let captions = &report.captions;
    let share = |part: usize| {
        let percent = 100.0 * part as f64 / captions.count.max(1) as f64;
        format!("{} ({percent:.1} %)", HumanCount(part as u64))
    };
    let scripts: Vec<String> =
        captions.scripts.iter().map(|(name, count)| format!("{name} {}", share(*count))).collect();
    let mut remarks = vec![
        format!(
            "{} are longer than the context of {} tokens and are truncated",
            share(captions.cut),
            captions.context
        ),
        format!("{} repeat an earlier one", share(captions.repeated)),
        format!("{} are ASCII; by script: {}", share(captions.ascii), scripts.join(", ")),
    ];
    if report.negatives_like_captions > 0 {
        let alike = counted(report.negatives_like_captions as u64, "negative");
        remarks
            .push(format!("{alike} equal to a caption of their image, which training leaves out"));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::spread_over;

    #[test]
    fn places_are_spread_over_the_whole() {
        assert_eq!(spread_over(10, 5), [0, 2, 4, 6, 8]);
        assert_eq!(spread_over(3, 5), [0, 1, 2]);
        assert_eq!(spread_over(5, 2), [0, 2]);
        assert!(spread_over(5, 0).is_empty());
        assert!(spread_over(0, 5).is_empty());
    }
}
