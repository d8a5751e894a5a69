//! `clove train`: a run of `clove_run` with a listener. Here are the arguments, what is printed, and the new process that takes a
//! lost device's place.

mod restart;

use anyhow::{Context as _, Result, bail};
use clove_run::config::{Start, example, explain};
use clove_run::{Begin, Config, Error, Run};

use crate::args::Train;
use crate::interrupt::Interrupt;
use crate::listener::Listener;
use crate::{model, output};

/// Captions that `--dry-run` shows.
const SHOWN: u64 = 5;

pub fn run(args: &Train) -> Result<()> {
    if let Some(kind) = &args.example {
        return output::print(&example(kind)?);
    }
    if let Some(key) = &args.explain {
        return output::print(&explain(Some(key.as_str()).filter(|key| !key.is_empty()))?);
    }
    // clap asks for it where neither is given.
    let file = args.config.as_deref().context("CONFIG.toml lacks")?;
    let mut listener = Listener::stopped_by(&Interrupt::listen()?).plain(args.plain);
    let config = Config::read(file, &args.settings)?;
    let mut run = Run::open(config, &mut |event| listener.hear(event))?;
    let begin = if args.resume { Begin::Resume } else { Begin::New };
    if args.dry_run {
        return dry_run(args, &mut run, begin, &mut listener);
    }
    // Before the folder is made: without its device no run begins.
    let device = model::open_device(args.device.device)?;
    let fault = args.inject_fault;
    let fault = fault.map(|fault| fault.of_life(restart::restarts()));
    let result = run.train(&device, begin, fault, &mut |event| listener.hear(event));
    listener.close();
    match result {
        Ok(_) => {
            output::note(&next(run.config()));
            Ok(())
        }
        Err(stopped @ Error::Stopped { .. }) => {
            bail!("{stopped}: the same command with --resume goes on")
        }
        Err(lost @ Error::DeviceLost { .. }) => {
            restart::restart(&lost, run.config().train.recoveries)
        }
        Err(error) => Err(error.into()),
    }
}

fn dry_run(args: &Train, run: &mut Run, begin: Begin, listener: &mut Listener) -> Result<()> {
    let device = clove::device::open(args.device.device)?;
    let plan = run.prepare(&device, begin, false, &mut |event| listener.hear(event))?;
    let config = run.config();
    let remark = if config.out.join("run.toml").exists() {
        ", which holds a run: only --resume goes on there"
    } else {
        ""
    };
    let mut lines = vec![
        config.to_toml()?,
        format!("out: {}{remark}", config.out.display()),
        format!("device: {}", device.description),
    ];
    lines.extend(plan);
    if let Some(estimate) = run.estimate() {
        lines.push(format!("negatives of the first: {}", estimate.summary()));
        lines.push(output::table(&estimate.kinds()).trim_end().to_owned());
        lines.extend(estimate.why_none().map(|why| format!("  {why}")));
    }
    lines.push("the first captions, with their negatives:".to_owned());
    for position in 0..SHOWN.min(config.train.batch as u64) {
        let words = run.words_at(position);
        lines.push(format!("  {}: {:?}", words.place, words.caption));
        let negatives = words.negatives.iter();
        lines.extend(negatives.map(|negative| format!("    not {negative:?}")));
    }
    output::print(&lines.join("\n"))
}

/// What to do with the model.
fn next(config: &Config) -> String {
    let dir = config.out.join("model");
    let (scored, pretrained) = match config.model.start() {
        Start::Blank => {
            return format!("next: clove eval --model {} --suite scenes", dir.display());
        }
        Start::Described(_) => (dir.clone(), None),
        Start::Directory(init) => (config.out.join("patched"), Some(init.display().to_string())),
        // `clove lab` writes it.
        Start::Pretrained => {
            let lab = "clove-lab/models/pretrained".to_owned();
            (config.out.join("patched"), Some(lab))
        }
    };
    let again = pretrained.map(|pretrained| {
        format!(
            "; with another alpha: clove patch --pretrained {pretrained} --finetuned {} --alpha 0.8 --out patched",
            dir.display()
        )
    });
    format!(
        "next: clove score --model {} --image photo.jpg --caption \"a dog\" --caption \"a cat\"{}",
        scored.display(),
        again.unwrap_or_default()
    )
}
